"""The sample app: real TypeScript, checked, linted and tested by Deno itself."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from migration.source import graph

APP = Path(__file__).parents[3] / "migration" / "rehearsal" / "app"
TREES = ("before", "after")
MOVED = ("generate-artifact", "generate-artifact-fix")


def run(tree: str, state: Path, *arguments: str) -> str:
    """Run Deno in a tree, without remote modules; its output, once it has succeeded."""
    env = graph.environment(state / "deno")
    done = subprocess.run([graph.deno(), *arguments], cwd=APP / tree, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(tree: str) -> dict[str, bytes]:
    top = APP / tree
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("tree", TREES)
def test_the_app_passes_check_and_lint(tree: str, deno_state: Path) -> None:
    """Types and lint hold in both trees, tests included."""
    run(tree, deno_state, "check", "--no-remote", "supabase/functions")
    run(tree, deno_state, "lint", "supabase/functions")


@pytest.mark.parametrize("tree", TREES)
def test_the_apps_own_tests_pass_without_a_network(tree: str, deno_state: Path) -> None:
    """The Deno tests pass and ask for no network permission."""
    shown = run(tree, deno_state, "test", "--no-remote", "--allow-env", "--allow-read=supabase", "supabase/functions")
    assert " passed | 0 failed" in shown


def test_the_migration_changes_the_two_functions_and_adds_the_client() -> None:
    """Chat, images and every shared file are byte for byte the same before and after."""
    before, after = files("before"), files("after")
    differ = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    functions = {path for path in differ if "/tests/" not in path}
    assert functions == {
        "supabase/functions/_shared/openrouter-client.ts",
        *(f"supabase/functions/{slug}/index.ts" for slug in MOVED),
    }


@pytest.mark.parametrize("tree", TREES)
def test_guests_reach_the_artifact_functions_and_no_others(tree: str) -> None:
    """`verify_jwt` is off for the two artifact functions and on for the others."""
    functions = tomllib.loads((APP / tree / "supabase" / "config.toml").read_text())["functions"]
    assert {slug for slug, settings in functions.items() if not settings["verify_jwt"]} == set(MOVED)
    assert set(functions) == {*MOVED, "chat", "generate-image"}


@pytest.mark.parametrize("tree", TREES)
def test_nothing_comes_from_outside(tree: str) -> None:
    """The functions import each other's files only; the tests use nothing but Deno's built-in modules."""
    for path, text in files(tree).items():
        named = re.findall(r"""(?:\bfrom|\bimport)\s*\(?\s*["'`]([^"'`]+)""", text.decode())
        outside = [name for name in named if not name.startswith(("./", "../"))]
        assert set(outside) <= ({"node:assert/strict"} if "/tests/" in path else set()), path
