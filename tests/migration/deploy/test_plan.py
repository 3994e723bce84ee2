"""A plan says what a deploy would do, and changes nothing."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from migration.base.errors import Refused
from migration.base.secrets_type import Secret
from migration.cli.results.canvas import Canvas
from migration.cli.results.deploy import plan as draw_plan
from migration.cli.sink import one_line
from migration.clients.supabase_types import Upload
from migration.context import Context
from migration.deploy import deploy, plan
from migration.rehearsal.server import Running
from migration.source.differences import BaseComparison
from tests.support import repos, scene
from tests.support.scene import Scene, index, text


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    return scene.make(tmp_path, sandbox)


def _elsewhere(context: Context, slug: str, body: str, **metadata: Any) -> int:
    """Deploy by another road."""
    about = {"entrypoint_path": index(slug), "import_map_path": "", "static_patterns": [], "name": slug, **metadata}
    return context.supabase.deploy(Upload(slug, about, [(index(slug), body.encode())])).version


def _record(context: Context, slug: str, version: int, digest: str, revision: str = "") -> None:
    """A deployment that left this function so."""
    name = f"d-{slug}-{version}"
    intent = {"record": "intent", "deployment": name, "kind": "deploy",
              "revision": revision or context.repository.head(), "base_revision": "",
              "functions": [{"slug": slug, "action": "update", "before": None, "wanted": {}}]}  # fmt: skip
    outcome = {"record": "outcome", "deployment": name, "outcome": "live",
               "functions": [{"slug": slug, "after": {"version": version, "source_digest": digest}}]}  # fmt: skip
    context.ledger.append(intent)
    context.ledger.append(outcome)


def _actions(made: plan.Plan) -> dict[str, str]:
    return {item.slug: item.action for item in made.functions}


def test_a_plan_says_what_a_gate_comes_to_only_where_there_is_one(stage: Scene) -> None:
    stage.change(1)
    said = {gated: " ".join(plan.make(stage.context(), gated=gated).notes) for gated in (True, False)}
    assert "The gate sends at most" in said[True] and "The gate sends" not in said[False]


def test_uncommitted_changes_come_before_a_deploy(stage: Scene) -> None:
    """The plan names the files, and no deploy that would refuse them."""
    (stage.app / index("alpha")).write_text(text("unsaved"))
    made = plan.make(stage.context())
    assert made.notes[0] == f"Not committed: {index('alpha')}."
    assert [str(step) for step in made.next] == ["commit the changes, or set them aside; then look again:", "inv plan"]
    parts = [f"part{number}" for number in range(9)]
    for name in parts:
        (stage.app / f"supabase/functions/alpha/{name}.ts").write_text("export {};\n")
    imports = "".join(f'import "./{name}.ts";\n' for name in parts)
    (stage.app / index("alpha")).write_text(imports + text("unsaved"))
    assert plan.make(stage.context()).notes[0].endswith(" and 5 more."), "new files count, and not all are named"
    repos.git(stage.app, "checkout", "--quiet", ".")
    (stage.app / "notes.txt").write_text("of no function")
    assert str(plan.make(stage.context()).next[0]).startswith("inv deploy --plan ")


def test_an_untouched_function_is_deployed_to_restore_it(stage: Scene) -> None:
    """What is deployed although the migration must leave it alone is said before the question."""
    notes = plan.make(stage.context(), only=["other"]).notes
    assert any(note.startswith("other is in migration.unchanged: the migration must not touch it.") for note in notes)


def test_a_function_that_is_not_on_the_platform_is_created(stage: Scene) -> None:
    made = plan.make(stage.context())
    assert _actions(made) == {"alpha": "create", "beta": "create"}
    assert [item["restorable"] for item in made.as_json()["functions"]] == ["delete", "delete"]


def test_with_an_empty_ledger_a_function_on_the_platform_is_updated(stage: Scene) -> None:
    context = stage.context()
    _elsewhere(context, "alpha", text(0))
    made = plan.make(context)
    assert _actions(made) == {"alpha": "update", "beta": "create"}
    assert made.functions[0].snapshot is not None
    assert made.functions[0].snapshot.restorable == "snapshot"


def test_same_needs_the_recorded_version_and_the_recorded_source(stage: Scene) -> None:
    context = stage.context()
    digest = plan.make(context).functions[0].source.digest
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), digest)
    assert _actions(plan.make(context))["alpha"] == "same"
    stage.change(2)
    assert _actions(plan.make(stage.context()))["alpha"] == "update"


def test_a_secret_that_was_set_since_is_a_reason_to_deploy_the_same_source_again(stage: Scene) -> None:
    stage = replace(stage, settings={**stage.settings, "secrets": {"KEY": {}}})
    stage.context().supabase.set_secrets({"KEY": Secret("the first value")})
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    assert set(_actions(plan.make(stage.context())).values()) == {"same"}
    stage.context().supabase.set_secrets({"KEY": Secret("another value"), "OTHER": Secret("not configured")})
    made = plan.make(stage.context())
    assert set(_actions(made).values()) == {"update"}
    assert "KEY was set after v1 was deployed" in made.functions[0].why
    assert deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0
    assert set(_actions(plan.make(stage.context())).values()) == {"same"}


def test_secrets_that_stop_a_deploy_come_first(stage: Scene) -> None:
    """With the reason: beside a hold, the command alone would seem to lift it."""
    stage = replace(stage, settings={**stage.settings, "secrets": {"ABSENT_A": {}}})
    steps = [str(step) for step in plan.make(stage.context()).next]
    assert steps[:2] == ["first, since ABSENT_A is missing on the platform or differs:", "inv secret --set"]
    assert any("inv deploy" in step for step in steps[2:])


def test_another_live_version_is_drift_and_is_shown_with_both_versions_and_the_diff(stage: Scene) -> None:
    context = stage.context()
    digest = plan.make(context).functions[0].source.digest
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), digest)
    _elsewhere(context, "alpha", text("drift"))
    item = plan.make(stage.context(), diff=True).functions[0]
    assert item.action == "drifted"
    assert "left v1" in item.why
    assert "v2 was deployed outside Cutover" in item.why
    assert '-Deno.serve(() => new Response("drift"));' in item.diff
    assert '+Deno.serve(() => new Response("1"));' in item.diff


def test_git_restores_what_is_file_for_file_in_it(stage: Scene) -> None:
    context = stage.context()
    revision = context.repository.head()
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), "x", revision)
    stage.change(2)
    made = plan.make(stage.context())
    kept = made.functions[0].snapshot
    assert made.base_revision == revision
    assert kept is not None
    assert kept.restorable == "git"


@pytest.mark.parametrize("layout", ["source", "user_fn", "bare"])
def test_every_layout_of_a_download_can_be_restored(layout: str, stage: Scene) -> None:
    context = stage.context()
    _elsewhere(context, "alpha", text(0))
    stage.running.fault("body", "layout", layout=layout)
    kept = plan.make(context).functions[0].snapshot
    assert kept is not None
    assert (kept.restorable, kept.why) == ("snapshot", "")


def test_a_changed_verify_jwt_is_an_update_and_is_named(stage: Scene) -> None:
    context = stage.context()
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), plan.make(context).functions[0].source.digest)
    stage.commit({"supabase/config.toml": "[functions.alpha]\nverify_jwt = false\n"})
    item = plan.make(stage.context()).functions[0]
    assert item.action == "update"
    assert item.settings == ("verify_jwt: true → false (anyone can call it then)",)


def test_an_unwritten_verify_jwt_keeps_what_is_deployed(stage: Scene) -> None:
    context = stage.context()
    _elsewhere(context, "alpha", text(0), verify_jwt=False)
    item = plan.make(context).functions[0]
    assert item.settings == ()
    assert item.spec().upload.metadata["verify_jwt"] is False


def test_a_verify_jwt_that_somebody_else_changed_is_named_where_the_config_is_silent(stage: Scene) -> None:
    deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))  # a creation leaves it to the platform
    stage.change(2)
    deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    http, ref = stage.context().management, stage.running.project_ref
    assert http.request("PATCH", f"/v1/projects/{ref}/functions/alpha", json={"verify_jwt": False}).ok
    found = {item.slug: item for item in plan.make(stage.context()).functions}["alpha"]
    (said,) = found.settings
    assert "changed outside Cutover to false, it was true" in said and "anyone can call it" in said


def test_unchanged_functions_are_measured_file_by_file_against_base(stage: Scene) -> None:
    context = stage.context()
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), "x", context.repository.head())
    assert plan.make(context).unchanged[0].changed is False
    stage.commit({index("other"): text("changed")})
    (found,) = plan.make(stage.context()).unchanged
    assert (found.slug, found.changed, found.files) == ("other", True, (index("other"),))


def _told(stage: Scene, app: Path | None = None) -> tuple[BaseComparison, str]:
    made = plan.make(stage.context(app))
    stream = io.StringIO()
    draw_plan(json.loads(one_line(made)), Canvas(Console(file=stream, width=200)))
    return made.unchanged[0], stream.getvalue()


def test_a_function_of_which_only_settings_differ_from_base_is_told_with_them(stage: Scene) -> None:
    context = stage.context()
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), "x", context.repository.head())
    stage.commit({"supabase/config.toml": "[functions.other]\nverify_jwt = false\n"})
    found, shown = _told(stage)
    assert (found.changed, found.files) == (True, ())
    assert "other should be unchanged: only its settings differ (verify_jwt: none → false)\n" in shown


def test_a_base_that_a_shallow_clone_lacks_is_fetched(stage: Scene) -> None:
    """`fetch-depth: 1` of CI: from the ledger, and from app.base where the ledger is empty."""
    context = stage.context()
    base = context.repository.head()
    stage.change(2)
    remote = f"file://{stage.folder / 'remote.git'}"
    stage.settings = {"app": {"path": str(stage.app), "base": base}}
    first = repos.clone(remote, stage.folder / "first", "--depth=1")
    assert plan.make(stage.context(first)).base_revision == base
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), "x", base)
    found, shown = _told(stage, repos.clone(remote, stage.folder / "second", "--depth=1"))
    assert (found.changed, found.why) == (False, "")
    assert "should be unchanged" not in shown


def test_an_app_base_that_is_nowhere_is_refused_only_where_it_counts(stage: Scene) -> None:
    """Once the ledger has a base, app.base is history."""
    stage.settings = {"app": {"path": str(stage.app), "base": "f" * 40}}
    context = stage.context()
    with pytest.raises(Refused, match="is not a commit of"):
        plan.make(context)
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), "x", context.repository.head())
    assert plan.make(stage.context()).base_revision == context.repository.head()


def test_without_the_base_revision_nobody_says_that_a_function_has_changed(stage: Scene) -> None:
    context = stage.context()
    base = "f" * 40
    _record(context, "alpha", _elsewhere(context, "alpha", text(1)), "x", base)
    stage.change(2)
    shallow = repos.clone(f"file://{stage.folder / 'remote.git'}", stage.folder / "shallow", "--depth=1")
    found, shown = _told(stage, shallow)
    assert (found.changed, found.why) == (None, f"the base revision {base[:12]} is not in this clone")
    assert "should be unchanged" not in shown and f"The base revision {base[:12]} is no longer in git" in shown


def test_the_hash_is_stable_and_moves_with_revision_source_and_live_version(stage: Scene) -> None:
    first = plan.make(stage.context()).hash
    assert plan.make(stage.context()).hash == first
    stage.commit({"README": "another commit"})
    second = plan.make(stage.context()).hash
    stage.change(2)
    third = plan.make(stage.context()).hash
    _elsewhere(stage.context(), "alpha", text(9))
    assert len({first, second, third, plan.make(stage.context()).hash}) == 4


def test_only_makes_a_partial_plan_and_refuses_strangers(stage: Scene) -> None:
    made = plan.make(stage.context(), only=["beta"])
    assert (made.partial, _actions(made)) == (True, {"beta": "create"})
    with pytest.raises(Refused, match="gone is not one of"):
        plan.make(stage.context(), only=["gone"])


def test_untouched_function_is_planned_alone(stage: Scene) -> None:
    """It is deployed by its name and by itself; the revision that was rolled back does not hold it up."""
    made = plan.make(stage.context(), only=["other"])
    assert (_actions(made), made.only, str(made.command).count("--only other")) == ({"other": "create"}, "other", 1)
    with pytest.raises(Refused, match=r"other is in migration\.unchanged: it can only be deployed on its own"):
        plan.make(stage.context(), only=["alpha", "other"])


def test_a_disabled_function_is_left_out_and_named(stage: Scene) -> None:
    stage.commit({"supabase/config.toml": "[functions.alpha]\nenabled = false\n"})
    made = plan.make(stage.context())
    assert _actions(made) == {"beta": "create"}
    assert "alpha is not deployed" in made.notes[0]


def test_a_source_that_cannot_run_is_refused_in_the_plan(stage: Scene) -> None:
    stage.commit({index("alpha"): 'import "./gone.ts";'})
    with pytest.raises(Refused, match=r"gone\.ts does not exist"):
        plan.make(stage.context())


def test_a_plan_changes_nothing_on_the_platform_or_in_git(stage: Scene) -> None:
    context = stage.context()
    _elsewhere(context, "alpha", text(0))
    before = context.repository.ls_remote("origin"), len(stage.running.history())
    plan.make(context, diff=True)
    requests = stage.running.history()[before[1] :]
    assert {entry["method"] for entry in requests} == {"GET"}
    assert context.repository.ls_remote("origin") == before[0]


def test_the_json_has_the_promised_keys(stage: Scene) -> None:
    found = json.loads(one_line(plan.make(stage.context())))
    assert {"hash", "functions", "unchanged"} <= set(found)
    row = {"slug", "action", "files", "source_digest", "live_version", "restorable"}
    assert row <= set(found["functions"][0])


def test_a_remote_of_config_toml_keeps_a_function_closed(stage: Scene) -> None:
    """[functions.alpha] opens it for other projects; [remotes.NAME] of this one does not; so does the CLI."""
    ref = stage.running.project_ref
    remote = f'[remotes.ours]\nproject_id = "{ref}"\n[remotes.ours.functions.alpha]\nverify_jwt = true\n'
    open_ = "[functions.alpha]\nverify_jwt = false\n[functions.beta]\nverify_jwt = false\n"
    stage.commit({"supabase/config.toml": open_ + remote})
    deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False))
    live = {function.slug: function.verify_jwt for function in stage.context().supabase.functions()}
    assert (live["alpha"], live["beta"]) == (True, False)
    stage.commit({"supabase/config.toml": open_})
    item = {item.slug: item for item in plan.make(stage.context()).functions}["alpha"]
    assert item.action == "update" and "anyone can call it then" in item.settings[0]
