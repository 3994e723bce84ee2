"""The verbs as a user types them: help, and bad input that ends in one sentence and exit code 2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

import tasks
from migration.base.version import VERSION
from migration.cli import dispatch
from tests.support.project import ROOT, Project, copy, helped

VERBS = ("rehearse", "sandbox", "init", "config", "secret", "plan", "deploy", "smoke", "soak", "logs", "costs",
         "checks", "watch", "rollback", "status", "history", "unlock", "doctor", "report")  # fmt: skip

SMALL = "migration: {name: x, functions: [a]}\napp: {path: .}\nenvironments: {prod: {url: x}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return copy(tmp_path / "project")


def _one_sentence(text: str) -> None:
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line.strip()]
    assert 1 <= len(lines) <= 3, text
    assert len(lines) > 1, text


def test_every_verb_is_listed_and_explains_its_flags() -> None:
    listed = Project(ROOT).inv("--list").out
    assert (
        listed.startswith(f"Cutover {VERSION}\n") and f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()
    )
    assert set(re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE)) == set(VERBS)
    for verb in VERBS:
        shown = helped(verb)
        flags = re.findall(r"^  (--?\S+)(.*)$", shown, re.MULTILINE)
        assert "Docstring:" in shown and flags, verb


@pytest.mark.parametrize(
    "text,words",
    [
        (None, "does not exist"),
        ("migration: [", "not valid YAML"),
        (SMALL + "sekrets: {}\n", "did you mean secrets?"),
    ],
    ids=["missing", "broken", "unknown key"],
)  # fmt: skip
def test_a_bad_config_is_refused_before_anything(project: Project, text: str | None, words: str) -> None:
    project.config.unlink()
    if text is not None:
        project.config.write_text(text)
    done = project.inv("plan")
    assert done.code == 2 and words in done.err and done.out == ""
    _one_sentence(done.err)


def test_a_missing_value_is_named_with_where_to_put_it(project: Project) -> None:
    (project.folder / "app").mkdir()
    project.edit("path: migration/rehearsal/app", "path: app")
    done = project.inv("status")
    assert done.code == 2
    assert "SUPABASE_ACCESS_TOKEN is not set" in done.err and "\nset SUPABASE_ACCESS_TOKEN in .env" in done.err
    _one_sentence(done.err)


def test_the_sample_app_never_meets_a_real_project(project: Project) -> None:
    done = project.inv("deploy", "--yes", env={"SUPABASE_ACCESS_TOKEN": "sbp_" + "0" * 40})
    assert done.code == 2 and "The shipped sample app is for the sandbox only" in done.err
    _one_sentence(done.err)


def test_a_sandbox_that_is_not_running_is_said_with_how_to_start_it(project: Project) -> None:
    done = project.inv("plan", "--env", "sandbox")
    assert (
        done.code == 2
        and "The sandbox is not running" in done.err
        and "start it in another terminal" in done.err
        and "→ inv sandbox" in done.err
    )


def test_an_unknown_environment_names_the_known_ones(project: Project) -> None:
    done = project.inv("plan", "--env", "production")
    assert done.code == 2 and "use --env with one of: prod, local, sandbox" in done.err


def test_an_app_that_is_no_repository_is_refused(project: Project) -> None:
    (project.folder / "app/web").mkdir(parents=True)
    project.edit("path: migration/rehearsal/app", "path: app")
    done = project.inv("plan", env={"SUPABASE_ACCESS_TOKEN": "sbp_" + "0" * 40})
    assert done.code == 2 and "Traceback" not in done.err and "app" in done.err
    rehearsed = project.inv("rehearse", "--json")
    assert rehearsed.code == 2 and "git repository" in rehearsed.json["error"]["message"]


def test_an_empty_note_or_reason_is_not_the_same_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(dispatch, "run", lambda *given, **_: seen.append(given[2].note))
    for words in (["history"], ["history", "--note", ""], ["history", "--note", "x"]):
        Program(namespace=Collection.from_module(tasks)).run(["inv", *words], exit=False)
    assert seen == [None, "", "x"]


def test_local_knows_only_what_needs_no_project(project: Project) -> None:
    done = project.inv("plan", "--env", "local")
    assert done.code == 2 and "local has no project_ref" in done.err


def test_json_errors_are_one_object_on_stdout(project: Project) -> None:
    done = project.inv("plan", "--env", "sandbox", "--json")
    assert done.code == 2
    assert done.json["error"]["exit_code"] == 2 and done.json["error"]["hint"]


def test_a_mistyped_verb_is_refused(project: Project) -> None:
    done = project.inv("deplyo", "--json")
    assert done.code == 2 and done.json["error"]["exit_code"] == 2


def test_a_mistake_of_ours_is_one_sentence_with_the_details_in_a_file(project: Project) -> None:
    (project.folder / "migration" / "deploy" / "plan.py").write_text("raise ValueError('boom')\n")
    project.edit("path: migration/rehearsal/app", "path: .")
    done = project.inv("plan", env={"SUPABASE_ACCESS_TOKEN": "sbp_" + "0" * 40})
    assert done.code == 3 and "A bug in Cutover stopped it (ValueError: boom)" in done.err
    assert "Traceback" not in done.err and "ValueError: boom" in (project.folder / ".cutover" / "crash.txt").read_text()
