"""Graphs are Deno's own, from one run for many entrypoints, or from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.source import deno, graph, importmap
from migration.source.graph import Entrypoint, Graph

APP = {
    "a/index.ts": 'import "../shared.ts"; import { z } from "npm:zod"; import "https://example.com/x.ts";',
    "b/index.ts": 'import type { T } from "../shared.ts"; const m = await import("./lazy.ts"); await import("late");',
    "b/lazy.ts": "export const lazy = 1;",
    "c/index.js": '// @ts-types="./types.d.ts"\nimport * as it from "./it.js";\nimport d from "./d.json" with {type: "json"};',  # noqa: E501
    "c/it.js": "export {};",
    "c/types.d.ts": "export {};",
    "c/d.json": "{}",
    "shared.ts": 'export type T = 1; import "./deep.ts";',
    "deep.ts": 'import "./a/index.ts";',
}


def _write(app: Path, **files: str) -> Path:
    app.mkdir(exist_ok=True)
    for name, text in files.items():
        (app / name).write_text(text)
    return app / "index.ts"


def _app(folder: Path, **more: str) -> Path:
    for name, text in {**APP, **more}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder.resolve()


def _resolve(entry: Path, state: Path) -> Graph:
    return graph.resolve(Entrypoint(entry, entry.parent), state)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The modules that Deno was started for; Deno itself runs."""
    started: list[Path] = []
    real = deno.info

    def counted(entrypoint: Path, *rest: Any) -> dict[str, Any]:
        started.append(entrypoint)
        return real(entrypoint, *rest)

    monkeypatch.setattr(deno, "info", counted)
    return started


def test_the_same_text_is_resolved_once_wherever_it_lies(tmp_path: Path, runs: list[Path]) -> None:
    files = {"index.ts": 'import "./a.ts";', "a.ts": "export {}"}
    one, two = _write(tmp_path / "one", **files), _write(tmp_path / "two", **files)
    first = _resolve(one, tmp_path / "state")
    second = _resolve(two, tmp_path / "state")
    assert len(runs) == 1
    assert [path.name for path in second.files] == [path.name for path in first.files]
    assert second.files[0] == two


def test_a_change_anywhere_in_the_graph_is_seen(tmp_path: Path, runs: list[Path]) -> None:
    entry = _write(tmp_path / "app", **{"index.ts": 'import "./a.ts";', "a.ts": "export {}"})
    _resolve(entry, tmp_path / "state")
    _write(tmp_path / "app", **{"a.ts": 'import "./b.ts";', "b.ts": ""})
    found = _resolve(entry, tmp_path / "state")
    assert {path.name for path in found.files} == {"index.ts", "a.ts", "b.ts"}
    assert len(runs) == 2


@pytest.mark.parametrize("text", ['import "./gone.ts";', "await import(`./x/${name}.ts`);"])
def test_graphs_that_may_change_without_their_text_are_not_kept(text: str, tmp_path: Path, runs: list[Path]) -> None:
    entry = _write(tmp_path / "app", **{"index.ts": text})
    for _ in range(2):
        _resolve(entry, tmp_path / "state")
    assert len(runs) == 2


def test_a_file_that_is_gone_makes_the_kept_graph_worthless(tmp_path: Path) -> None:
    entry = _write(tmp_path / "app", **{"index.ts": 'import "./a.ts";', "a.ts": ""})
    _resolve(entry, tmp_path / "state")
    (tmp_path / "app/a.ts").unlink()
    assert _resolve(entry, tmp_path / "state").problems


def test_it_says_of_each_what_a_run_of_its_own_says(tmp_path: Path, runs: list[Path]) -> None:
    app, state = _app(tmp_path / "app"), tmp_path / "state"
    paths = [app / "a/index.ts", app / "b/index.ts", app / "c/index.js"]
    found = graph.resolve_all([Entrypoint(path, app) for path in paths], state)
    assert len(runs) == 1
    assert found == {path: graph.resolve(Entrypoint(path, app), tmp_path / "other") for path in paths}
    assert app / "b/lazy.ts" in found[paths[1]].files
    assert app / "b/lazy.ts" not in found[paths[0]].files


def test_a_function_with_a_mistake_is_left_out_and_the_others_are_not(tmp_path: Path) -> None:
    more = {"d/index.ts": 'import "./gone.ts";', "e/index.ts": "let a = ;"}
    app = _app(tmp_path / "app", **more)
    paths = [app / name for name in ("a/index.ts", "b/index.ts", "d/index.ts", "e/index.ts")]
    found = graph.resolve_all([Entrypoint(path, app) for path in paths], tmp_path / "state")
    assert set(found) == set(paths[:2])


def test_a_file_that_is_code_here_and_text_there_is_asked_for_alone(tmp_path: Path) -> None:
    app = _app(tmp_path / "app", **{"d/index.ts": 'import text from "../shared.ts" with {type: "text"};'})
    paths = [app / "a/index.ts", app / "d/index.ts"]
    assert graph.resolve_all([Entrypoint(path, app) for path in paths], tmp_path / "state") == {}


def test_each_import_map_is_a_run_of_its_own_and_what_is_known_is_not_asked_again(
    tmp_path: Path, runs: list[Path]
) -> None:
    more = {f"{slug}/index.ts": 'import "x";' for slug in ("d", "e", "f", "g")}
    maps = {"one.json": '{"imports": {"x": "./shared.ts"}}', "two.json": '{"imports": {"x": "./c/it.js"}}'}
    app, state = _app(tmp_path / "app", **more, **maps), tmp_path / "state"
    one, two = importmap.load(app / "one.json"), importmap.load(app / "two.json")
    entries = [
        Entrypoint(app / f"{slug}/index.ts", app, found)
        for slug, found in zip("defg", (one, one, two, two), strict=True)
    ]
    found = graph.resolve_all(entries, state)
    assert len(runs) == 2
    assert app / "shared.ts" in found[app / "d/index.ts"].files
    assert app / "c/it.js" in found[app / "f/index.ts"].files
    assert graph.resolve_all(entries, state) == found
    assert len(runs) == 2


@pytest.mark.parametrize("entries", ['{"imports": {"\\ud800": "./a.ts"}}', '{"scopes": {"\\udfff": {}}}',
                                     '{"imports": ' + '{"a":' * 100_000, '{"imports": {"a": NaN}}'])  # fmt: skip
def test_a_map_that_deno_would_not_read_is_refused_by_name(tmp_path: Path, entries: str) -> None:
    """Half a surrogate pair among it, which JSON can write and no path can hold."""
    (tmp_path / "map.json").write_text(entries)
    with pytest.raises(Refused, match=r"map\.json(:\d+:\d+)?: not valid JSON"):
        importmap.load(tmp_path / "map.json")


def test_types_and_dynamic_imports_never_stop(tmp_path: Path) -> None:
    """The hosted bundler follows code alone, and a dynamic import fails only when it runs."""
    index = """/// <reference types="./gone.d.ts" />
import type { A } from "./types.ts";
export type { C } from "./gone-too.ts";
// @ts-types="./absent.d.ts"
import { j } from "./j.js";
/** @type {import("./nowhere.ts").D} */
export const d = j;
try { await import("./gone.ts") } catch {}
try { await import("nothing") } catch {}
try { await import("./broken.ts") } catch {}
"""
    more = {"types.ts": 'import { B } from "./gone"; export type A = B;', "j.js": "export const j = 1;"}
    files = {"index.ts": index, "broken.ts": 'import "./gone2.ts"; let a = ;', **more}
    entry = _write(tmp_path / "app", **files)
    found = _resolve(entry, tmp_path / "state")
    assert found.problems == ()
    assert {path.name for path in found.files} == {"index.ts", "types.ts", "j.js"}
    late = [text.split(" The import")[0] for text in found.warnings]
    assert late == [
        "index.ts:8:20: gone.ts does not exist.",
        'index.ts:9:20: "nothing" is in no import map that is uploaded.',
        "broken.ts:1:30: syntax error: Expression expected",
    ]


def test_a_static_import_behind_code_still_stops(tmp_path: Path) -> None:
    """What only looks like a type is code: the bundler loads it."""
    entry = _write(tmp_path / "app", **{"index.ts": 'import { A } from "./a.ts"; let x: A;', "a.ts": 'import "./b.ts"'})
    assert _resolve(entry, tmp_path / "state").problems == ("a.ts:1:8: b.ts does not exist.",)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('import t from "./t.txt" with { type: "text" };', 'with { type: "text" }'),
        ('import defer * as d from "./a.ts";', "import defer *"),
        ('import source w from "./a.ts";', "import source w from"),
        ('const d = import.defer("./a.ts");', "import.defer("),
    ],
)
def test_syntax_newer_than_the_platform(text: str, word: str, tmp_path: Path) -> None:
    """Deno 2.1.4 refuses it, this machine's Deno does not: a warning that names the version."""
    entry = _write(tmp_path / "app", **{"index.ts": text, "t.txt": "t", "a.ts": "export {}"})
    (warning,) = _resolve(entry, tmp_path / "state").warnings
    assert word in warning and "newer than the platform's Deno 2.1.4" in warning


@pytest.mark.parametrize(
    "text", ['import defer from "./a.ts";', 'import source from "./a.ts";', "export const source = 1;"]
)
def test_old_syntax_is_no_warning(text: str, tmp_path: Path) -> None:
    """`defer` and `source` are also plain names."""
    entry = _write(tmp_path / "app", **{"index.ts": text, "a.ts": "export default 1"})
    assert _resolve(entry, tmp_path / "state").warnings == ()


LATE = "package.json and node_modules are not uploaded"


@pytest.mark.parametrize(
    ("files", "warnings"),
    [
        (
            {"index.ts": 'import x from "./x.cjs";', "x.cjs": 'module.exports = require("lodash");'},
            [f"x.cjs is CommonJS, which the platform cannot load ({LATE}). Write it as an ES module."],
        ),
        (
            {"index.ts": 'import "./x.js";', "x.js": 'const { join } = require("node:path");\nrequire("lodash");'},
            ['x.js:1:26: `require` is not defined when it runs. Write `import … from "node:path"`.'],
        ),
        (
            {
                "index.ts": 'import { createRequire } from "node:module";\n'
                'const require = createRequire(import.meta.url);\nrequire("node:path");\n'
                'require("lodash");\nrequire("./x.json");',
                "x.json": "{}",
            },
            [
                f'index.ts:4:9: require("lodash") finds nothing when it runs ({LATE}). '
                'Write `import … from "npm:lodash"`.',
                f'index.ts:5:9: require("./x.json") finds nothing when it runs ({LATE}). '
                'Write `import … from "./x.json" with { type: "json" }`.',
            ],
        ),
        ({"index.ts": 'import "./x.js";', "x.js": "export const require = (a) => a;"}, []),
    ],
)
def test_commonjs_is_warned_about(tmp_path: Path, files: dict[str, str], warnings: list[str]) -> None:
    """What `require` finds here and not on the platform, with what to write."""
    entry = _write(tmp_path / "app", **files)
    assert _resolve(entry, tmp_path / "state").warnings == tuple(warnings)
