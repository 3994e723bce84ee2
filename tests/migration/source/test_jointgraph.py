"""One run of Deno over many entrypoints tells of each what a run of its own would tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.source import graph, importmap, jointgraph
from migration.source.jointgraph import Entry

APP = {
    "a/index.ts": 'import "../shared.ts"; import { z } from "npm:zod"; import "https://example.com/x.ts";',
    "b/index.ts": 'import type { T } from "../shared.ts"; const m = await import("./lazy.ts"); import "unmapped";',
    "b/lazy.ts": "export const lazy = 1;",
    "c/index.js": '// @ts-types="./types.d.ts"\nimport * as it from "./it.js";\nimport d from "./d.json" with {type: "json"};',  # noqa: E501
    "c/it.js": "export {};",
    "c/types.d.ts": "export {};",
    "c/d.json": "{}",
    "shared.ts": 'export type T = 1; import "./deep.ts";',
    "deep.ts": 'import "./a/index.ts";',
}


def _app(folder: Path, **more: str) -> Path:
    for name, text in {**APP, **more}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder.resolve()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that Deno was started for; Deno itself runs."""
    asked: list[str] = []
    real = graph.info

    def counted(argv: list[str], app: Path, state: Path) -> object:
        asked.append(argv[-1])
        return real(argv, app, state)

    monkeypatch.setattr(graph, "info", counted)
    return asked


def test_it_says_of_each_what_a_run_of_its_own_says(tmp_path: Path, runs: list[str]) -> None:
    app, state = _app(tmp_path / "app"), tmp_path / "state"
    paths = [app / "a/index.ts", app / "b/index.ts", app / "c/index.js"]
    found = jointgraph.resolve([Entry(path, None) for path in paths], app, state)
    assert len(runs) == 1
    assert found == {path: graph.resolve(path, app, None, tmp_path / "other") for path in paths}
    assert app / "b/lazy.ts" in found[paths[1]].files
    assert app / "b/lazy.ts" not in found[paths[0]].files


def test_a_function_with_a_mistake_is_left_out_and_the_others_are_not(tmp_path: Path) -> None:
    more = {"d/index.ts": 'import "./gone.ts";', "e/index.ts": "let a = ;"}
    app = _app(tmp_path / "app", **more)
    paths = [app / name for name in ("a/index.ts", "b/index.ts", "d/index.ts", "e/index.ts")]
    found = jointgraph.resolve([Entry(path, None) for path in paths], app, tmp_path / "state")
    assert set(found) == set(paths[:2])


def test_a_file_that_is_code_here_and_text_there_is_asked_for_alone(tmp_path: Path) -> None:
    app = _app(tmp_path / "app", **{"d/index.ts": 'import text from "../shared.ts" with {type: "text"};'})
    paths = [app / "a/index.ts", app / "d/index.ts"]
    assert jointgraph.resolve([Entry(path, None) for path in paths], app, tmp_path / "state") == {}


def test_each_import_map_is_a_run_of_its_own_and_what_is_known_is_not_asked_again(
    tmp_path: Path, runs: list[str]
) -> None:
    more = {f"{slug}/index.ts": 'import "x";' for slug in ("d", "e", "f", "g")}
    maps = {"one.json": '{"imports": {"x": "./shared.ts"}}', "two.json": '{"imports": {"x": "./c/it.js"}}'}
    app, state = _app(tmp_path / "app", **more, **maps), tmp_path / "state"
    one, two = importmap.load(app / "one.json"), importmap.load(app / "two.json")
    entries = [Entry(app / f"{slug}/index.ts", found) for slug, found in zip("defg", (one, one, two, two), strict=True)]
    found = jointgraph.resolve(entries, app, state)
    assert len(runs) == 2
    assert app / "shared.ts" in found[app / "d/index.ts"].files
    assert app / "c/it.js" in found[app / "f/index.ts"].files
    assert jointgraph.resolve(entries, app, state) == {}
    assert len(runs) == 2
