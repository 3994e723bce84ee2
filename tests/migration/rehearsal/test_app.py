"""The sample app: real TypeScript, checked, linted and tested by Deno itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from migration.source import deno

SAMPLE = Path(__file__).parents[3] / "migration" / "rehearsal" / "app"
TREES = ("before", "after")
MOVED = ("generate-artifact", "generate-artifact-fix")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both states of the app, each whole: the tree as it is, and with the overlay of the migration."""
    top = tmp_path_factory.mktemp("sample")
    for tree in TREES:
        shutil.copytree(SAMPLE / "before", top / tree)
    shutil.copytree(SAMPLE / "after", top / "after", dirs_exist_ok=True)
    return top


def run(folder: Path, state: Path, *arguments: str) -> str:
    """Run Deno in a folder, without remote modules; its output, once it has succeeded."""
    env = deno.environment(state / "deno")
    done = subprocess.run([deno.executable(), *arguments], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("tree", TREES)
def test_check_and_lint_pass(tree: str, trees: Path, deno_state: Path) -> None:
    """Types and lint hold in both trees, tests included."""
    run(trees / tree, deno_state, "check", "--no-remote", "supabase/functions")
    run(trees / tree, deno_state, "lint", "supabase/functions")


@pytest.mark.parametrize("tree", TREES)
def test_own_tests_pass_offline(tree: str, trees: Path, deno_state: Path) -> None:
    """The Deno tests pass and ask for no network permission."""
    shown = run(
        trees / tree, deno_state, "test", "--no-remote", "--allow-env", "--allow-read=supabase", "supabase/functions"
    )
    assert " passed | 0 failed" in shown


def test_overlay_repeats_nothing() -> None:
    """Every file of the overlay is new or differs from the tree's."""
    before, overlay = files(SAMPLE / "before"), files(SAMPLE / "after")
    assert [path for path, data in overlay.items() if before.get(path) == data] == []


def test_migration_changes_two_functions(trees: Path) -> None:
    """Chat, images and every shared file are byte for byte the same before and after."""
    before, after = files(trees / "before"), files(trees / "after")
    differ = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    functions = {path for path in differ if "/tests/" not in path}
    assert functions == {
        "supabase/functions/_shared/openrouter-client.ts",
        *(f"supabase/functions/{slug}/index.ts" for slug in MOVED),
    }


@pytest.mark.parametrize("tree", TREES)
def test_guests_reach_artifact_functions_alone(tree: str, trees: Path) -> None:
    """`verify_jwt` is off for the two artifact functions and on for the others."""
    functions = tomllib.loads((trees / tree / "supabase" / "config.toml").read_text())["functions"]
    assert {slug for slug, settings in functions.items() if not settings["verify_jwt"]} == set(MOVED)
    assert set(functions) == {*MOVED, "chat", "generate-image"}


@pytest.mark.parametrize("tree", TREES)
def test_nothing_comes_from_outside(tree: str, trees: Path) -> None:
    """The functions import each other's files only; the tests use nothing but Deno's built-in modules."""
    for path, text in files(trees / tree).items():
        if path.startswith("web/"):
            continue
        named = re.findall(r"""(?:\bfrom|\bimport)\s*\(?\s*["'`]([^"'`]+)""", text.decode())
        outside = [name for name in named if not name.startswith(("./", "../"))]
        assert set(outside) <= ({"node:assert/strict"} if "/tests/" in path else set()), path


def test_page_loads_nothing_from_a_network(trees: Path) -> None:
    """React, the compiler, Tailwind and the font lie beside the page, each with its licence."""
    web = trees / "before" / "web"
    licences = (web / "vendor" / "LICENSES.md").read_text(encoding="utf-8")
    assert {path.name for path in (web / "vendor").iterdir()} - {"LICENSES.md"} == set(
        re.findall(r"^\| `([\w.-]+)` \|", licences, re.MULTILINE)
    )
    for path in web.glob("*.*"):
        assert not re.search(r"""(?:src|href|import|url)\s*[=(]?\s*["'(]https?:""", path.read_text(encoding="utf-8")), (
            path
        )
    assert sum(path.stat().st_size for path in web.rglob("*")) < 800_000
