"""Records become deployments: what is live, what it replaced, what was interrupted, what is held."""

from __future__ import annotations

from typing import Any

from migration.ledger.deployments import History, undoes
from tests.support.repos import fold

Records = list[dict[str, Any]]


def intent(name: str, *slugs: str, kind: str = "deploy", **more: Any) -> dict[str, Any]:
    functions = [
        {"slug": slug, "action": "update", "before": {"version": 1}, "wanted": {"source_digest": f"{name}-{slug}"}}
        for slug in slugs or ("a",)
    ]
    head = {"record": "intent", "deployment": name, "kind": kind, "revision": f"r-{name}", "at": f"at-{name}"}
    return {**head, "functions": functions, "to": None, "who": "ada", **more}


def outcome(name: str, how: str = "live", **versions: Any) -> dict[str, Any]:
    functions = [
        {"slug": slug, "after": {"version": version, "source_digest": f"{name}-{slug}"}}
        for slug, version in versions.items()
    ]
    return {"record": "outcome", "deployment": name, "outcome": how, "functions": functions, "at": f"end-{name}"}


def history(*records: dict[str, Any]) -> History:
    return fold([{"id": str(number), **record} for number, record in enumerate(records)])


def test_the_newest_deployment_that_stayed_is_live() -> None:
    ends = {"1": "live", "2": "unproven", "3": "restored"}
    found = history(*[record for name, end in ends.items() for record in (intent(name), outcome(name, end))])
    assert found.live and found.live.id == "2" and found.newest and found.newest.id == "3"
    assert found.base("default") == "r-2" and history().base("default") == "default"


def test_a_deployment_without_an_end_is_interrupted_and_an_unfinished_one_too() -> None:
    assert history(intent("1")).interrupted is not None
    assert history(intent("1"), outcome("1", "unfinished")).interrupted is not None
    for end in ("live", "unproven", "ungated", "restored", "abandoned", "rolled_back", "deleted"):
        assert history(intent("1"), outcome("1", end)).interrupted is None


def test_only_the_newest_can_be_interrupted() -> None:
    assert history(intent("1"), intent("2"), outcome("2")).interrupted is None


def test_a_second_outcome_replaces_an_unfinished_one() -> None:
    found = history(intent("1"), outcome("1", "unfinished"), outcome("1", "live", a=2))
    assert found.live and found.live.outcome == "live" and found.live.functions[0].after == {
        "version": 2, "source_digest": "1-a"}  # fmt: skip


def test_after_a_rollback_the_former_deployment_is_live_again() -> None:
    back = intent("r", kind="rollback", to="1")
    found = history(intent("1"), outcome("1"), intent("2"), outcome("2"), back, outcome("r", "rolled_back"))
    assert found.live and found.live.id == "1"
    undone = found.undone("2")
    assert undone and undone.id == "r" and found.undone("1") is None
    rollback = found.find("r")
    assert rollback and undoes(found, rollback) == ("2",)


def test_after_the_first_deployment_was_taken_back_nothing_of_ours_is_live() -> None:
    found = history(intent("1"), outcome("1"), intent("r", kind="rollback"), outcome("r", "rolled_back"))
    assert found.live is None and found.base("default") == "default"


def test_the_base_looks_through_a_partial_deployment_that_left_these_functions_alone() -> None:
    partial = [intent("2", "a", partial=True, base_revision="r-1"), outcome("2", a=2)]
    found = history(intent("1", "a", "b"), outcome("1", a=1, b=1), *partial)
    assert found.base("default", ["b"]) == "r-1" and found.base("default", ["a"]) == "r-2"
    first = history(intent("1", "a", partial=True, base_revision="r-0"), outcome("1", a=1))
    assert first.base("default", ["b"]) == "r-0" and first.base("default") == "r-1"


def test_a_rollback_far_back_takes_back_all_in_between() -> None:
    steps = [record for name in "123" for record in (intent(name), outcome(name))]
    found = history(*steps, intent("r", kind="rollback", to="1"), outcome("r", "rolled_back"))
    rollback = found.find("r")
    assert rollback and undoes(found, rollback) == ("3", "2") and found.live and found.live.id == "1"


def test_what_was_left_of_a_function_is_what_the_last_record_says() -> None:
    found = history(
        intent("1", "a", "b"), outcome("1", a=1, b=1), intent("2", "a"), outcome("2", "restored", a=3),
        intent("3", "a"), outcome("3", "abandoned"),
    )  # fmt: skip
    a, b = found.left("a"), found.left("b")
    assert a and (a.version, a.deployment) == (3, "2") and b and (b.version, b.deployment) == (1, "1")
    assert found.left("c") is None


def test_staging_answers_and_what_may_be_stranded_are_kept() -> None:
    head = {"record": "staged", "deployment": "1"}
    staged = {**head, "answers": [{"slug": "a", "version": 2}], "perhaps_stranded": ["b"]}
    again = {**head, "answers": [{"slug": "a", "version": 3}], "perhaps_stranded": []}
    found = history(intent("1", "a", "b"), staged)
    assert found.newest and found.newest.answers == ({"slug": "a", "version": 2},)
    assert found.newest.perhaps_stranded == ("b",)
    later = history(intent("1", "a"), staged, again).newest
    assert later and later.answers == ({"slug": "a", "version": 3},)


def test_a_hold_comes_with_its_record_knows_its_revert_and_ends_with_a_lift() -> None:
    held = {"tip": "r-2", "base": "r-1", "digests": {"a": "2-a"}}
    git = {"record": "git", "deployment": "r", "revert": {"commit": "c"}}
    steps = [intent("r", kind="rollback", hold=held), outcome("r", "rolled_back"), git]
    found = history(*steps)
    only = found.holds[0]
    assert (only["tip"], only["revert"], only["id"]) == ("r-2", {"commit": "c"}, "r")
    assert not history(*steps, {"record": "lift", "hold": "r", "reason": "x"}).holds
    assert not history(*steps, {"record": "lift", "hold": "all", "reason": "x"}).holds
    assert history(*steps, {"record": "lift", "hold": "other", "reason": "x"}).holds


def test_an_outcome_can_carry_a_hold_and_an_abandoned_rollback_holds_nothing() -> None:
    held = {"tip": "r-1", "digests": {}}
    assert history(intent("1"), {**outcome("1", "restored"), "hold": held}).holds
    assert not history(intent("r", kind="rollback", hold=held), outcome("r", "abandoned")).holds


def test_records_of_other_kinds_and_of_unknown_deployments_do_no_harm() -> None:
    strange = [{"record": "unreadable", "text": "x"}, {"record": "costs", "day": "2026-11-22"}, {"record": "future"}]
    found = history(*strange, outcome("nobody"), {"record": "git", "deployment": "nobody"}, intent("1"), outcome("1"))
    assert found.live and found.live.id == "1" and len(found.records) == 7


def test_a_record_with_missing_parts_still_folds() -> None:
    end = {"record": "outcome", "deployment": "1", "outcome": "live"}
    found = history({"record": "intent", "deployment": "1"}, end)
    assert found.live and found.live.functions == () and found.live.revision == ""


def late(name: str, version: int, kind: str = "deploy", **more: Any) -> dict[str, Any]:
    """An intent that found this version of `a` live."""
    functions = [{"slug": "a", "action": "update", "before": {"version": version, "function_id": "id"}, "wanted": {}}]
    return {**intent(name, kind=kind, **more), "functions": functions}


def test_records_that_waited_without_the_git_remote_take_the_place_that_they_had() -> None:
    """The rollback of version 2 came first, though the deploy over what it left is in the chain before it."""
    back = late("r", 2, kind="rollback", to=None)
    found = history(
        late("1", 1), outcome("1", a=2), late("2", 3), outcome("2", a=4), back, outcome("r", "rolled_back", a=3)
    )
    assert [one.id for one in found.deployments] == ["1", "r", "2"]
    left = found.left("a")
    assert left and left.version == 4 and found.live and found.live.id == "2"


def test_a_function_that_was_deleted_and_made_anew_begins_to_count_again() -> None:
    anew = late("2", 1)
    anew["functions"][0]["before"]["function_id"] = "another"
    assert [one.id for one in history(late("1", 5), outcome("1", a=6), anew).deployments] == ["1", "2"]


def test_hold_of_a_killed_rollback_gets_its_revert() -> None:
    """It was killed between its revert and the record of it; the next rollback records it under its own id."""
    held = {"tip": "r-2", "base": "r-1", "digests": {}}
    killed = intent("k", kind="rollback", hold=held)
    done = {"record": "git", "deployment": "r", "revert": {"commit": "c", "reverts": ["r-2"]}}
    covered = history(killed, outcome("k", "rolled_back"), intent("r", kind="rollback"), done)
    assert [hold["revert"]["commit"] for hold in covered.holds] == ["c"]
    both = history(killed, intent("r", kind="rollback", hold=held), {**done, "revert": {"commit": "c"}})
    assert [hold["revert"]["commit"] for hold in both.holds] == ["c", "c"]
    other = history(
        intent("k", kind="rollback", hold={"tip": "r-9", "base": "r-8"}), killed | {"deployment": "x"}, done
    )
    assert [bool(hold.get("revert")) for hold in other.holds] == [False, True]


def test_rollback_to_a_later_deployment_ends() -> None:
    """A record that names a later deployment, or its own, leads in no circle."""
    for target in ("r", "3"):
        back = intent("r", kind="rollback", to=target)
        found = history(intent("1"), outcome("1"), back, outcome("r", "rolled_back"), intent("3"), outcome("3"))
        assert found.base("default", ["x"]) and undoes(found, found.deployments[1]) == ("1",)
