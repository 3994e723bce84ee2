"""What was rolled back stays out until somebody lifts it, by revision and by source."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base import command
from migration.base.errors import Refused, ServiceFailed
from migration.deploy import forward, hold
from migration.git.repository import Repository
from migration.ledger.deployments import History
from tests.support.repos import QUIET, clone, commit, fold, git, ledger, pair


class Ground:
    """A line of commits: base, bad, revert; `history` holds bad, with its revert if it is known."""

    def __init__(self, folder: Path) -> None:
        self.remote, self.app = pair(folder)
        self.base = commit(self.app, {"f": "old\n"}, "Before")
        self.bad = commit(self.app, {"f": "new\n"}, "Bad")
        self.repository = Repository(self.app, QUIET)

    def revert(self) -> str:
        git(self.app, "revert", "--no-edit", self.bad)
        return git(self.app, "rev-parse", "HEAD")

    def history(self, revert: str = "", **more: Any) -> History:
        held = {"tip": self.bad, "base": self.base, "digests": {"f": "new-digest"}, **more}
        records: list[dict[str, Any]] = [{"record": "intent", "deployment": "r", "id": "1", "who": "ada", "hold": held}]
        if revert:
            records.append({"record": "git", "deployment": "r", "id": "2", "revert": {"commit": revert}})
        return fold(records)

    def check(self, found: History, revision: str, digest: str = "other") -> hold.Hold | None:
        return hold.check(self.repository, found, revision, {"f": digest}, "origin")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def test_the_held_revision_and_what_descends_from_it_are_held(ground: Ground) -> None:
    later = commit(ground.app, {"g": "x\n"}, "Later")
    for revision in (ground.bad, later):
        found = ground.check(ground.history(), revision)
        assert found is not None and found.who == "ada" and ground.bad[:9] in found.why


def test_what_came_before_and_what_contains_the_recorded_revert_are_free(ground: Ground) -> None:
    revert = ground.revert()
    later = commit(ground.app, {"g": "x\n"}, "Later")
    assert ground.check(ground.history(revert), ground.base) is None
    assert ground.check(ground.history(revert), revert) is None
    assert ground.check(ground.history(revert), later) is None
    assert ground.check(ground.history(), later) is not None


def test_the_same_source_is_held_wherever_it_comes_from(ground: Ground) -> None:
    found = ground.check(ground.history(), ground.base, "new-digest")
    assert found is not None and found.why == "the source of f"


def test_a_range_without_a_commit_holds_only_the_source(ground: Ground) -> None:
    empty = ground.history(tip=ground.base, base=ground.bad)
    assert ground.check(empty, ground.bad) is None and ground.check(empty, ground.bad, "new-digest") is not None
    assert ground.check(ground.history(tip=ground.bad, base=ground.bad), ground.bad) is None


def test_a_shallow_clone_is_deepened_rather_than_fooled(ground: Ground) -> None:
    later = commit(ground.app, {"g": "x\n"}, "Later")
    git(ground.app, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    shallow = Repository(clone(f"file://{ground.remote}", ground.app.parent / "shallow", "--depth=1"), QUIET)
    assert hold.check(shallow, ground.history(), later, {}, "origin") is not None


def test_a_shallow_clone_that_cannot_be_deepened_refuses(ground: Ground) -> None:
    later = commit(ground.app, {"g": "x\n"}, "Later")
    git(ground.app, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    shallow = Repository(clone(f"file://{ground.remote}", ground.app.parent / "shallow", "--depth=1"), QUIET)
    ground.remote.rename(ground.app.parent / "gone.git")
    with pytest.raises(Refused, match="lacks the history to decide whether") as caught:
        hold.check(shallow, ground.history(), later, {}, "origin")
    assert caught.value.hint == "git fetch --unshallow"


def test_lifting_ends_every_hold_and_records_who_and_why(ground: Ground) -> None:
    own = ledger(ground.app)
    own.append({"record": "intent", "deployment": "r", "hold": {"tip": ground.bad, "base": ground.base}})
    assert hold.lift(own, own.history(), "the provider mended it") == ["r"]
    record = own.records()[-1]
    assert record["reason"] == "the provider mended it" and record["who"] and not own.history().holds
    with pytest.raises(Refused, match="--lift-hold needs a reason"):
        hold.lift(own, own.history(), " ")


def around(ground: Ground) -> Any:
    config = SimpleNamespace(app=SimpleNamespace(branch="main"))
    ledger = SimpleNamespace(remote_refs=None)
    return SimpleNamespace(repository=ground.repository, remote="origin", config=config, ledger=ledger)


def test_the_refusal_says_who_rolled_back_and_how_to_go_on(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.CURRENT, "env", "staging")
    found = ground.check(ground.history(), ground.bad)
    assert found is not None
    error = hold.refuse(found, (hold.lift_command(),))
    assert error.exit_code == 2 and "taken back in a run of ada" in error.message
    assert error.hint == "inv deploy --env staging --lift-hold 'why it is safe now'"


@pytest.mark.parametrize("state", ["pushed", "review", "already"])
def test_the_refusal_names_the_revert_that_the_record_knows(ground: Ground, state: str) -> None:
    revert = ground.revert()
    known = {"commit": "tip" if state == "already" else revert, "state": state}
    if state == "already":
        known["revert"] = revert
    found = fold([*ground.history().records, {"record": "git", "deployment": "r", "id": "2", "revert": known}])
    held = ground.check(found, ground.base, "new-digest")
    assert held is not None and f" revert --no-edit {revert[:12]} && " in str(
        forward.roll_forward(around(ground), held.revert)[1]
    )
    assert hold.Hold(**held.as_json()) == held, "as a plan carries it"


def test_lifting_a_hold_keeps_to_the_functions_that_were_chosen(ground: Ground) -> None:
    """What was refused with `--only` must not deploy everything when it is typed again."""
    assert str(hold.lift_command("alpha,beta")).startswith("inv deploy --only alpha,beta --lift-hold ")
    assert " --only alpha --lift-hold " in str(forward.roll_forward(around(ground), "a" * 40, "alpha")[1])


def test_only_sources_that_changed_are_held() -> None:
    functions = [
        {"slug": "a", "before": {"source_digest": "old"}, "wanted": {"source_digest": "new"}},
        {"slug": "b", "before": {"source_digest": "same"}, "wanted": {"source_digest": "same"}},
        {"slug": "c", "before": None, "wanted": {"source_digest": "fresh"}},
    ]
    found = fold([{"record": "intent", "deployment": "d", "id": "1", "revision": "r", "functions": functions}])
    assert found.newest and hold.make(found.newest)["digests"] == {"a": "new", "c": "fresh"}


def test_an_unread_revert_is_not_called_missing(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git cannot tell whether the change was taken back, it stays on hold, and the words say why."""

    def fails(*_: object) -> bool:
        raise ServiceFailed("git did not answer.")

    monkeypatch.setattr(hold, "touched_since", fails)
    reader: Any = SimpleNamespace(repository=ground.repository)
    found = hold.check(ground.repository, ground.history(), ground.bad, {"f": "other"}, "origin", reader)
    assert found is not None and "is unknown (git did not answer)" in found.why
