"""What the bundler refuses, found by the real Deno."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from migration.rehearsal.bundle import Bundler, digest

ENTRY = "supabase/functions/a/index.ts"


def refusal(state: Path, files: dict[str, str], import_map: str = "") -> str | None:
    sent = {path: text.encode() for path, text in files.items()}
    return asyncio.run(Bundler(state).refusal(sent, ENTRY, import_map))


@pytest.mark.parametrize(
    "files",
    [
        {ENTRY: 'import x from "npm:lodash"; import y from "https://deno.land/x/y.ts"; console.log(x, y);'},
        {ENTRY: 'import "../_shared/x.ts";', "supabase/functions/_shared/x.ts": "export const x = 1;"},
        {ENTRY: 'import x from "./x.json" with { type: "json" }; x;', "supabase/functions/a/x.json": "{}"},
        {ENTRY: 'import "./plain.js"; import "./view.tsx";', "supabase/functions/a/plain.js": "var a = 1;",
         "supabase/functions/a/view.tsx": "export const View = () => <p>hi</p>;"},
        {ENTRY: "const wrong: number = 'typed'; wrong;"},
        {ENTRY: 'await import("bare").catch(() => {});'},
        {ENTRY: 'try { await import("./gone.ts") } catch {}'},
        {ENTRY: 'import type { A } from "./types.ts"; import type { B } from "./gone.ts";',
         "supabase/functions/a/types.ts": 'import { C } from "./gone"; export type A = C;'},
        {ENTRY: '/// <reference types="./gone.d.ts" />\nexport {};'},
    ],
    ids=["remote", "shared", "json", "scripts", "types", "dynamic", "late", "types-only", "reference"],
)  # fmt: skip
def test_what_can_be_loaded_passes_types_and_remote_modules_included(deno_state: Path, files: dict[str, str]) -> None:
    assert refusal(deno_state, files) is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({ENTRY: "const x = ;"}, "supabase/functions/a/index.ts:1:"),
        ({ENTRY: 'import "./gone.ts";'}, 'Module not found "file:///tmp/source/supabase/functions/a/gone.ts"'),
        ({ENTRY: 'import "./x.ts";', "supabase/functions/a/x.ts": "export const ="}, "supabase/functions/a/x.ts:1:"),
        ({ENTRY: 'import "./x.js";', "supabase/functions/a/x.js": "let = ;"}, "supabase/functions/a/x.js:1:"),
        ({ENTRY: 'import "bare";'}, 'Relative import path "bare" not prefixed with / or ./ or ../'),
    ],
    ids=["syntax", "missing", "deep", "script", "bare"],
)
def test_what_cannot_is_refused_with_the_place_but_no_path_of_this_machine(
    deno_state: Path, files: dict[str, str], said: str
) -> None:
    found = refusal(deno_state, files)
    assert found is not None and said in found
    assert "cutover-bundle" not in found


def test_the_import_map_counts(deno_state: Path) -> None:
    files = {ENTRY: 'import "lib";', "supabase/functions/a/deno.json": '{"imports": {"lib": "./lib.ts"}}'}
    missing = refusal(deno_state, files, "supabase/functions/a/deno.json")
    assert missing is not None and "lib.ts" in missing
    assert refusal(deno_state, files | {"supabase/functions/a/lib.ts": ""}, "supabase/functions/a/deno.json") is None


def test_the_same_files_are_checked_once(deno_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundler = Bundler(deno_state)
    assert asyncio.run(bundler.refusal({ENTRY: b"1;"}, ENTRY, "")) is None
    monkeypatch.setattr("migration.rehearsal.bundle.deno", lambda: "/nowhere")
    assert asyncio.run(bundler.refusal({ENTRY: b"1;"}, ENTRY, "")) is None


def test_the_digest_is_of_paths_bytes_and_start_and_not_of_order() -> None:
    files = {"a.ts": b"1", "b.ts": b"2"}
    known = digest(files, "a.ts", "")
    assert digest(dict(reversed(files.items())), "a.ts", "") == known
    others = [
        ({**files, "a.ts": b"2"}, "a.ts", ""),
        (files, "b.ts", ""),
        (files, "a.ts", "b.ts"),
        ({"a.ts": b"1"}, "a.ts", ""),
    ]
    assert len({known, *(digest(*other) for other in others)}) == 5
