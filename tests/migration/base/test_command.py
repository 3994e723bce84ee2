"""What is printed to be typed can be typed."""

from __future__ import annotations

import ast
import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection

import tasks
from migration.base.command import AGAIN, CURRENT, Do, chain, inv, lines, sh, started, steps, then
from tests.support.project import ROOT

CONTEXTS = {context.name: context for context in Collection.from_module(tasks).to_contexts()}


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in sorted((ROOT / "migration").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "inv":
                yield path, node


def test_every_command_exists() -> None:
    """Each `inv(…)` of the code names a verb, and flags that this verb has."""
    calls = list(_calls())
    assert len(calls) > 40
    for path, call in calls:
        where = f"{path.name}:{call.lineno}"
        names = [keyword.arg.rstrip("_").replace("_", "-") for keyword in call.keywords if keyword.arg]
        if isinstance(call.args[0], ast.Constant):
            assert call.args[0].value in CONTEXTS, where
            known = CONTEXTS[call.args[0].value].flags
            assert all(f"--{name}" in known for name in names if name not in ("env", "help")), where


def test_verbs_are_listed_where_env_has_no_place() -> None:
    from migration.base.command import EVERYWHERE

    without = {name for name, context in CONTEXTS.items() if "--env" not in context.flags}
    assert without <= EVERYWHERE


@pytest.mark.parametrize(
    ("command", "env", "text"),
    [
        (inv("status"), "prod", "inv status"),
        (inv("status"), "eu", "inv status --env eu"),
        (inv("smoke"), "prod", "inv smoke --env prod"),
        (inv("smoke"), "local", "inv smoke"),
        (inv("init"), "eu", "inv init"),
        (inv("deploy", env="eu", plan="12", only="", no_gate=True), "prod", "inv deploy --env eu --plan 12 --no-gate"),
        (inv("unlock", "a; rm -rf ~"), "prod", "inv unlock 'a; rm -rf ~'"),
        (inv("deploy", lift_hold="it's good"), "prod", """inv deploy --lift-hold 'it'"'"'s good'"""),
        (chain(sh("sleep", "5"), inv("doctor")), "eu", "sleep 5 && inv doctor --env eu"),
    ],
)
def test_a_command_names_what_it_must(command: object, env: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment where the verb would mean another one; what comes from outside is quoted."""
    monkeypatch.setattr(CURRENT, "env", env)
    assert str(command) == text and shlex.split(text)


def test_only_commands_follow_an_arrow() -> None:
    way = steps(Do("add credit"), inv("doctor"), Do("or to take it back:"), sh("git", "push"))
    assert lines(way.steps) == ["add credit", "→ inv doctor", "or to take it back:", "→ git push"]


def test_then_adds_a_command_where_none_is() -> None:
    assert then((Do("look"), AGAIN), inv("doctor")) == (Do("look"), inv("doctor"))
    assert then((inv("secret"),), inv("doctor")) == (inv("secret"),)


@pytest.mark.parametrize(
    ("depth", "program", "prefix"),
    [
        ("", "bin/inv", "inv"),
        ("", "other/bin/inv", "other/bin/inv"),
        ("", "invoke", "invoke"),
        ("1", "/x/bin/inv", "uv run inv"),
        ("", "__main__.py", "inv"),
    ],
)
def test_commands_begin_as_the_user_began(
    depth: str, program: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`uv run` exports UV_RUN_RECURSION_DEPTH (uv 0.4.18 and later). The path where the shell finds another program."""
    _programs(tmp_path, monkeypatch)
    monkeypatch.setattr("migration.base.command._ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", depth)
    monkeypatch.setattr("sys.argv", [program])
    assert started() == prefix
    monkeypatch.setenv("CUTOVER_CONFIG", "my app.yaml")
    assert started() == f"CUTOVER_CONFIG='my app.yaml' {prefix}"
    assert inspect.getdoc(started)


def test_commands_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`inv -r FOLDER` was typed outside of the folder: without it Invoke finds no tasks.py."""
    _programs(tmp_path, monkeypatch)
    (tmp_path / "a folder").mkdir()
    monkeypatch.setattr("migration.base.command._ROOT", tmp_path / "a folder")
    monkeypatch.setattr("sys.argv", ["bin/inv"])
    assert started() == f"{tmp_path}/bin/inv -r '{tmp_path}/a folder'"


def _programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs named inv, and nothing of this run's own start."""
    for place in ("bin", "other/bin"):
        (folder / place).mkdir(parents=True)
        (folder / place / "inv").touch(0o755)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CUTOVER_CONFIG", raising=False)
