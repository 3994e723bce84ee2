"""A rollback takes back what belongs to a function's source, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.git.repository import Repository
from migration.source import scope
from migration.source.reader import Reader
from tests.support import repos

F, G, H = (f"supabase/functions/{slug}/index.ts" for slug in "fgh")


def _app(folder: Path, files: dict[str, str], links: dict[str, str] | None = None) -> tuple[Path, str]:
    repos.alone(folder)
    for name, target in (links or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    return folder, repos.commit(folder, files)


def _files(app: Path, base: str, revision: str, state: Path) -> set[str]:
    return scope.sources(Reader(Repository(app, repos.QUIET), state), base, revision, ["f"])[0]


def test_a_mapped_folder_gives_only_what_is_reached(tmp_path: Path, deno_state: Path) -> None:
    """A page of the front end lies in the folder that the import map names, and belongs to no function."""
    files = {
        "supabase/functions/f/deno.json": '{"imports":{"@/":"../../../src/"}}',
        F: 'import "@/lib/a.ts";',
        "src/lib/a.ts": "1",
        "src/app/page.tsx": "1",
    }
    app, base = _app(tmp_path / "app", files)
    revision = repos.commit(app, {"src/lib/a.ts": "2", "src/app/page.tsx": "2", "src/app/new.tsx": "2"})
    assert _files(app, base, revision, deno_state) == {F, "supabase/functions/f/deno.json", "src/lib/a.ts"}


@pytest.mark.parametrize(
    ("links", "files", "expected"),
    [
        ({"supabase/functions/f/c.ts": "../../../shared/c.ts"}, {F: 'import "./c.ts";'}, "supabase/functions/f/c.ts"),
        ({"supabase/functions/f/lib": "../../../shared"}, {F: 'import "./lib/c.ts";'}, "supabase/functions/f/lib"),
        ({"supabase/functions/f": "../../other"}, {"other/index.ts": 'import "../../../shared/c.ts";'}, ""),
        ({"supabase/functions": "../fns"}, {"fns/f/index.ts": 'import "../../../shared/c.ts";'}, "supabase/functions"),
        (
            {"supabase/functions/f/c.ts": "../d.ts", "supabase/functions/d.ts": "../../shared/c.ts"},
            {F: 'import "./c.ts";'},
            "supabase/functions/d.ts",
        ),
    ],
    ids=["file", "folder", "function", "functions", "chain"],
)
def test_a_symlink_gives_the_file_behind_it(
    links: dict[str, str], files: dict[str, str], expected: str, tmp_path: Path, deno_state: Path
) -> None:
    """Git keeps the text of the link under its name; what changed is the file that it leads to."""
    app, base = _app(tmp_path / "app", {"shared/c.ts": "export const c = 1;", **files}, links)
    revision = repos.commit(app, {"shared/c.ts": "export const c = 2;"})
    assert {"shared/c.ts", expected} - {""} <= _files(app, base, revision, deno_state)
    own = Reader(Repository(app, repos.QUIET), deno_state)
    before, after = own.at(base, ["f"])["f"], own.at(revision, ["f"])["f"]
    assert before.digest != after.digest
    assert own.working(["f"])["f"].digest == after.digest
    assert len(after.files) == 2 and after.entrypoint == F


def test_a_retargeted_link_is_a_change(tmp_path: Path, deno_state: Path) -> None:
    """The link itself belongs to the source too."""
    links = {"supabase/functions/f/c.ts": "../../../shared/c.ts"}
    app, base = _app(tmp_path / "app", {"shared/c.ts": "1", "shared/d.ts": "2", F: 'import "./c.ts";'}, links)
    link = app / "supabase/functions/f/c.ts"
    link.unlink()
    link.symlink_to("../../../shared/d.ts")
    revision = repos.commit(app, {})
    found = _files(app, base, revision, deno_state)
    assert found == {F, "supabase/functions/f/c.ts", "shared/c.ts", "shared/d.ts"}


def test_a_broken_function_is_not_a_renamed_one(tmp_path: Path, deno_state: Path) -> None:
    """Who breaks a function beside the one that is deployed has not taken it out of git: its files stay as they are."""
    app, base = _app(tmp_path / "app", {F: "1", G: "1", H: "1"})
    revision = repos.commit(app, {F: "2", G: 'import "./gone.ts";', H: None})
    context: Any = SimpleNamespace(
        repository=Repository(app, repos.QUIET), remote="origin", app=app, state=deno_state,
        environment=SimpleNamespace(project_ref=""), ledger=SimpleNamespace(offline=None),
    )  # fmt: skip
    history: Any = SimpleNamespace(slugs=["f", "g", "h"])
    live: Any = dict.fromkeys("fgh")
    assert scope.with_renamed(context, base, revision, ["f"], history, live) == ("f", "h")
