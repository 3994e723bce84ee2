"""A deploy makes all of a change live or none of it, and says which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import peer
from migration.base import parallel
from migration.base.errors import Refused, Unreachable
from migration.cli.progress import Lines
from migration.clients.supabase_types import Upload
from migration.context import Context
from migration.deploy import deploy, plan
from migration.deploy.result import DeployResult, nothing_to_deploy
from migration.deploy.staging import Pace
from migration.rehearsal.server import Running, start
from tests.support import drawn, repos, scene
from tests.support.scene import Scene, index, text
from tests.support.streams import Gone

QUICK = Pace(upload=10.0, retry=2.0, limited=2.0, activate=2.0, wait=0.02, longest=0.1)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    return scene.make(tmp_path, sandbox)


def _deploy(context: Context, **more: object) -> DeployResult:
    return deploy.run(context, deploy.DeployOptions(**{"yes": True, "gate": False, "pace": QUICK, **more}))  # type: ignore[arg-type]


def _versions(stage: Scene) -> dict[str, int]:
    return {function.slug: function.version for function in stage.context().supabase.functions()}


def _texts(stage: Scene) -> set[str]:
    context = stage.context()
    return {body.decode() for slug in _versions(stage) for body in context.supabase.body(slug).files.values()}


def _elsewhere(stage: Scene, slug: str, body: str, stage_only: bool = False) -> int:
    """Upload by another road."""
    about = {"entrypoint_path": index(slug), "import_map_path": "", "static_patterns": [], "name": slug}
    platform = stage.context().supabase
    send = platform.stage if stage_only else platform.deploy
    return send(Upload(slug, about, [(index(slug), body.encode())])).version


def _sent(stage: Scene, *operations: str) -> list[str]:
    return [entry["operation"] for entry in stage.running.history() if entry["operation"] in operations]


def test_all_changed_functions_go_live_with_one_activation(stage: Scene) -> None:
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("ungated", 0)
    assert _versions(stage) == {"alpha": 1, "beta": 1}
    assert _sent(stage, "stage", "activate") == ["stage", "stage", "activate"]
    assert stage.context().lock.holder() is None


def test_dry_run_changes_nothing(stage: Scene) -> None:
    """All that comes before the lock is checked and shown; the platform, the ledger and the lock stay as they are, and
    what is named next deploys this very plan."""
    context = stage.context()
    context.environment = replace(context.environment, confirm=True)
    shown: list[plan.Plan] = []

    def show(first: plan.Plan) -> bool:
        shown.append(first)
        return False

    result = _deploy(context, dry_run=True, yes=False, confirm=show)
    assert (result.deployment.outcome, result.exit_code, _versions(stage)) == ("dry_run", 0, {})
    assert not list(context.ledger.records()) and not _sent(stage, "stage", "activate")
    assert not any("creates refs" in event[-1] for event in context.observer.events)  # type: ignore[attr-defined]
    assert list(map(str, result.next)) == [f"inv deploy --plan {shown[0].hash[:12]} --no-gate"]
    assert "Dry run: nothing stands in the way" in drawn.drawn("deploy", result)


def test_dry_run_is_refused_as_a_deploy_is(stage: Scene) -> None:
    """What stops a deploy stops its dry run."""
    (stage.app / index("alpha")).write_text("// not committed")
    with pytest.raises(Refused, match="function files are not committed"):
        _deploy(stage.context(), dry_run=True)


def test_a_second_deploy_of_the_same_changes_nothing_and_takes_no_lock(stage: Scene) -> None:
    _deploy(stage.context())
    before = list(stage.context().ledger.records())
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("same", 0)
    assert list(stage.context().ledger.records()) == before


def test_under_the_lock_nothing_is_decided_by_a_ledger_that_could_not_be_read_again(stage: Scene) -> None:
    """What this clone last knew may be from before the end of somebody else's deploy."""
    context = stage.context()
    take, read = context.lock.acquire, context.ledger.refs.read

    def deaf(*about: object) -> object:
        held = take(*about)  # type: ignore[arg-type]
        context.ledger.refs.read = _lost  # type: ignore[method-assign]
        return held

    context.lock.acquire = deaf  # type: ignore[assignment,method-assign]
    with pytest.raises(Unreachable, match="the ledger could not be read again"):
        _deploy(context)
    context.ledger.refs.read = read  # type: ignore[method-assign]
    assert _versions(stage) == {} and not context.ledger.records() and context.lock.holder() is None


def _lost() -> dict[str, str]:
    raise Unreachable("The answer was lost.")


def test_only_what_changed_is_sent_and_a_single_function_goes_in_one_step(stage: Scene) -> None:
    _deploy(stage.context())
    stage.change(2, "beta")
    _deploy(stage.context())
    assert _versions(stage) == {"alpha": 1, "beta": 2}
    assert _sent(stage, "stage", "deploy") == ["stage", "stage", "deploy"]


@pytest.fixture
def live(tmp_path: Path, sandbox: Running) -> Scene:
    """Version 1 is live and on record."""
    return scene.deployed(tmp_path, sandbox)


# Asking


def test_plain_yes_does_not_accept_drift_and_a_plan_hash_does(live: Scene) -> None:
    _elsewhere(live, "alpha", text("theirs"))
    with pytest.raises(Refused, match="alpha has drifted") as caught:
        _deploy(live.context())
    digest = plan.make(live.context()).hash
    assert digest[:12] in caught.value.hint
    assert _deploy(live.context(), yes=False, plan_hash=digest[:12]).exit_code == 0
    assert _versions(live) == {"alpha": 3, "beta": 1}


def test_the_typed_ref_accepts_drift_after_the_plan_was_shown(live: Scene) -> None:
    _elsewhere(live, "alpha", text("theirs"))
    shown: list[plan.Plan] = []
    assert _deploy(live.context(), yes=False, confirm=lambda made: not shown.append(made)).exit_code == 0  # type: ignore[func-returns-value]
    assert shown[0].drifted == ("alpha",)


def test_a_plan_that_has_moved_is_refused_and_nothing_is_sent(stage: Scene) -> None:
    digest = plan.make(stage.context()).hash
    stage.change(2)
    before = len(stage.running.history())
    with pytest.raises(Refused, match="something changed since"):
        _deploy(stage.context(), plan_hash=digest)
    assert {entry["method"] for entry in stage.running.history()[before:]} == {"GET"}


def test_whoever_does_not_confirm_changes_nothing_and_leaves_no_lock(stage: Scene) -> None:
    with pytest.raises(Refused, match="Not confirmed"):
        _deploy(stage.context(), yes=False, confirm=lambda _: False)
    assert not list(stage.context().ledger.records())
    assert stage.context().lock.holder() is None


def test_nobody_holds_the_lock_while_a_person_is_being_asked(stage: Scene) -> None:
    held: list[object] = []
    _deploy(stage.context(), yes=False, confirm=lambda _: not held.append(stage.context().lock.holder()))  # type: ignore[func-returns-value]
    assert held == [None]


def test_what_moves_while_the_person_thinks_is_seen_under_the_lock(live: Scene) -> None:
    live.change(2)
    with pytest.raises(Refused, match="the plan has changed"):
        _deploy(live.context(), yes=False, confirm=lambda _: bool(_elsewhere(live, "alpha", text("theirs"))))
    assert live.context().lock.holder() is None


# Preflight


def test_uncommitted_function_files_are_refused_and_others_are_not(stage: Scene) -> None:
    (stage.app / "notes.txt").write_text("mine")
    (stage.app / index("alpha")).write_text(text("dirty"))
    with pytest.raises(Refused, match=r"not committed: supabase/functions/alpha/index\.ts"):
        _deploy(stage.context())
    repos.git(stage.app, "checkout", "--", index("alpha"))
    assert _deploy(stage.context()).exit_code == 0


def test_a_source_file_that_git_ignores_is_not_committed_either(stage: Scene) -> None:
    stage.commit({index("alpha"): 'import "./key.ts";', ".gitignore": "key.ts\n"})
    (stage.app / "supabase/functions/alpha/key.ts").write_text("")
    with pytest.raises(Refused, match=r"alpha/key\.ts"):
        _deploy(stage.context())


def test_a_source_file_of_a_submodule_is_refused_for_what_it_is(stage: Scene) -> None:
    inner = stage.folder / "inner"
    inner.mkdir()
    repos.git(inner, "init", "--quiet")
    repos.commit(inner, {"mod.ts": "export const one = 1;\n"})
    library = "supabase/functions/_lib"
    add = ("submodule", "--quiet", "add", str(inner), library)
    repos.git(stage.app, "-c", "protocol.file.allow=always", *add)
    stage.commit({index("alpha"): 'import "../_lib/mod.ts";\n'})
    with pytest.raises(Refused, match=f"files of a submodule cannot be part .*: {library}/mod\\.ts") as caught:
        _deploy(stage.context())
    assert "not committed" not in caught.value.message


def test_an_unpushed_revision_is_refused_with_git_push_as_the_way(stage: Scene) -> None:
    stage.commit({index("alpha"): text(2)}, push=False)
    with pytest.raises(Refused, match="not pushed") as caught:
        _deploy(stage.context())
    assert caught.value.hint == f"git -C {stage.app} push origin HEAD:main"


def test_a_missing_secret_is_refused(tmp_path: Path, sandbox: Running) -> None:
    stage = scene.make(tmp_path, sandbox, secrets={"NEEDED_KEY": {}})
    with pytest.raises(Refused, match="a secret is missing: NEEDED_KEY"):
        _deploy(stage.context())


# Staging that fails


def test_one_upload_that_fails_takes_the_others_back_and_says_for_how_long_they_answered(live: Scene) -> None:
    live.change(2)
    live.running.fault("stage", "status", slug="beta", status=400, body={"message": "Failed to bundle"}, times=0)
    result = _deploy(live.context())
    assert (result.deployment.outcome, result.exit_code) == ("restored", 3)
    assert "Failed to bundle" in result.message
    assert "did not go live as a whole; the previous code is live again" in drawn.drawn("deploy", result)
    assert "gate" not in drawn.drawn("deploy", result)
    assert "v3 (code of v1)" in drawn.drawn("deploy", result)
    assert result.phases[-1]["name"] == "restore"
    assert result.deployment.new_code_seconds > 0
    assert _texts(live) == {text(1)}
    live.running.heal()
    assert _deploy(live.context()).exit_code == 0
    assert _texts(live) == {text(2)}


def test_a_created_function_is_deleted_again_when_another_one_fails(stage: Scene) -> None:
    stage.running.fault("stage", "status", slug="beta", status=400, body={"message": "no"}, times=0)
    result = _deploy(stage.context())
    assert (result.deployment.outcome, result.exit_code) == ("restored", 3), result.message
    assert _versions(stage) == {}


def test_a_lost_staging_answer_is_found_again_by_the_409(live: Scene) -> None:
    """The platform kept the upload: what is staged is exactly what is wanted, and goes live with the rest."""
    live.change(2)
    live.running.fault("stage", "reset", slug="beta", applied=True)
    result = _deploy(live.context())
    assert (result.deployment.outcome, result.exit_code) == ("ungated", 0), result.message
    assert _texts(live) == {text(2)}
    assert _sent(live, "activate") == ["activate"]


@pytest.mark.slow
def test_a_lost_staging_answer_on_the_harsher_platform_puts_the_rest_back(tmp_path: Path) -> None:
    """There nobody can settle the 409 without the lost answer: nothing is half live, and the way out is told."""
    settings = {"management": {"rate_limit": {"default": 0}, "harsh": True}}
    with start(tmp_path / "harsh", settings=settings) as running:
        stage = scene.make(tmp_path, running)
        _deploy(stage.context())
        stage.change(2)
        running.fault("stage", "reset", slug="beta", applied=True)
        result = _deploy(stage.context())
        assert result.exit_code in (3, 5), result.message
        assert _texts(stage) == {text(1)}
        again = _deploy(stage.context())
        assert again.exit_code in (3, 5)
        assert "delete the function" in " ".join([again.message, *map(str, again.next)])
        assert _texts(stage) == {text(1)}


def test_a_stranded_version_that_nobody_recorded_is_left_alone_and_the_way_out_is_told(live: Scene) -> None:
    live.change(2)
    _elsewhere(live, "beta", text("theirs"), stage_only=True)
    result = _deploy(live.context())
    assert result.exit_code in (3, 5)
    assert "nothing in the ledger explains it" in result.message
    assert "PUT" in " ".join(map(str, result.next))
    assert _texts(live) == {text(1)}


def test_a_stranded_version_that_the_ledger_explains_is_settled_and_replaced(live: Scene) -> None:
    """An upload that was lost for good in one deploy does not block the next one."""
    live.change(2)
    live.running.fault("stage", "hang", slug="beta", hold=4.0, applied=True)
    first = _deploy(live.context(), pace=Pace(upload=0.5, retry=0.1, limited=0.1, activate=2.0, wait=0.05, longest=0.1))
    assert first.exit_code == 3, first.message
    assert _texts(live) == {text(1)}
    result = _deploy(live.context())
    assert result.exit_code == 0, result.message
    assert _texts(live) == {text(2)}


def test_a_single_function_gets_past_what_the_ledger_explains_too(live: Scene) -> None:
    """One request deploys it: what was stranded goes live for a moment, and then what is wanted, even by a retry."""
    live.change(2)
    live.running.fault("stage", "hang", slug="beta", hold=1.0, applied=True)
    first = _deploy(live.context(), pace=Pace(upload=0.5, retry=0.1, limited=0.1, activate=2.0, wait=0.05, longest=0.1))
    assert first.exit_code == 3, first.message
    live.commit({index("alpha"): text(1), index("beta"): text(3)})
    live.running.fault("deploy", "status", status=502, nth=2)
    result = _deploy(live.context())
    assert result.exit_code == 0, result.message
    assert _texts(live) == {text(1), text(3)}


def test_a_conflict_after_a_bad_gateway_activates_nothing_that_does_not_exist(live: Scene) -> None:
    """The upload never arrived, so what the 409 seems to prove is not there: nothing was live, and nothing is said."""
    live.change(2, "alpha")
    live.running.fault("deploy", "status", status=502)
    live.running.fault("deploy", "status", status=409, body={"message": "no"}, nth=2)
    result = _deploy(live.context())
    assert result.exit_code == 3, result.message
    assert "is live again" not in result.message
    assert result.deployment.new_code_seconds == 0
    assert _texts(live) == {text(1)}
    assert _deploy(live.context()).exit_code == 0
    assert _texts(live) == {text(1), text(2)}


# Two at once


def test_of_two_deploys_at_once_one_waits_or_is_refused_by_name(live: Scene) -> None:
    live.change(2)
    live.running.fault("stage", "delay", ms=1500, times=2)
    calm = Pace(wait=0.02, longest=0.1)
    results = list(parallel.each(["one", "two"], lambda root: _deploy(live.context(root=root), pace=calm)))
    ended = [result for _, result in results if isinstance(result, DeployResult)]
    refused = [result for _, result in results if isinstance(result, Refused)]
    assert [result.exit_code for result in ended] == [0]
    assert len(refused) == 1
    assert "locked by" in refused[0].message
    assert _texts(live) == {text(2)}


# Drift by another road


@pytest.mark.slow
def test_what_the_real_cli_deploys_in_between_is_drift(live: Scene, tmp_path: Path) -> None:
    try:
        executable = peer.find()
    except peer.Missing as missing:
        pytest.skip(str(missing))
    (tmp_path / "home").mkdir()
    other = tmp_path / "other"
    for name, content in {"supabase/config.toml": 'project_id = "x"\n', index("alpha"): text("by the CLI")}.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(content)
    cli = peer.Cli(executable, live.running, tmp_path / "home")
    done = cli.run(["functions", "deploy", "alpha", "--use-api", "--yes"], other)
    assert done.code == 0, done.stderr
    made = plan.make(live.context(), diff=True)
    assert made.drifted == ("alpha",)
    assert "by the CLI" in made.functions[0].diff
    digest = made.hash
    assert _deploy(live.context(), yes=False, plan_hash=digest).exit_code == 0
    assert _texts(live) == {text(1)}
    refs = repos.git(live.folder / "remote.git", "for-each-ref", "--format=%(refname)", "refs/cutover/snapshots")
    assert len(refs.splitlines()) == 1, "what git cannot give back is kept where every machine finds it"


def test_a_reader_who_leaves_in_the_middle_decides_nothing(stage: Scene) -> None:
    """`inv deploy --yes | head -1`: all of it goes live all the same."""
    context = stage.context()
    context.observer = Lines(Gone(after=1))
    assert _deploy(context).deployment.outcome == "ungated"
    assert {one.version for one in stage.context().supabase.functions()} == {1}


def test_the_plan_of_some_functions_is_confirmed_with_the_same_ones(stage: Scene) -> None:
    made = plan.make(stage.context(), ["alpha"])
    (command,) = made.as_json()["next"]
    assert str(command) == f"inv deploy --plan {made.hash[:12]} --only alpha"
    ended = _deploy(stage.context(), yes=False, plan_hash=made.hash[:12], only=["alpha"])
    assert ended.deployment.outcome == "ungated" and set(_versions(stage)) == {"alpha"}


@pytest.mark.parametrize("typed", ["zz", "1234567", "not-a-hash"])
def test_what_is_no_hash_is_not_taken_for_a_plan_that_has_moved(stage: Scene, typed: str) -> None:
    with pytest.raises(Refused, match="--plan takes the hash that plan shows, at least 8 hex digits"):
        _deploy(stage.context(), yes=False, plan_hash=typed)


def test_functions_that_are_switched_off_are_not_called_equal(stage: Scene) -> None:
    off = "".join(f"[functions.{slug}]\nenabled = false\n" for slug in stage.functions)
    stage.commit({"supabase/config.toml": f'project_id = "test"\n{off}'})
    message = _deploy(stage.context()).message
    assert "very source" not in message and "alpha is not deployed" in message


def test_nothing_to_deploy_says_what_was_not_read(live: Scene) -> None:
    """What the ledger holds by now is not known where its remote is away; a function left out is named."""
    (live.app.parent / "remote.git").rename(live.app.parent / "gone.git")
    made = plan.make(live.context())
    assert made.unread and set(made.unread) <= set(made.notes) and not made.left_out
    told = nothing_to_deploy(made, None, live.context().clock.now())
    assert told.notes == made.unread and told.message == "Nothing to deploy: every function is live with this source."
