"""Broken settings of every kind: a source, or one refusal that names the file; never a traceback."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from migration.base.errors import Refused
from migration.source import functions_config, graph
from migration.source.functions_config import Project
from migration.source.graph import Entrypoint, Graph
from migration.source.source import Source
from tests.support import sources

pytestmark = pytest.mark.slow

REF = "abcdefghijklmnopqrst"
TOML = f"""project_id = "demo"
[functions.hello]
verify_jwt = "env(OPEN)"
entrypoint = "./functions/hello/index.ts"
import_map = "./functions/hello/deno.json"
static_files = ["./functions/hello/*.txt", "../docs/**/[a-c]?.md"]
[remotes.p]
project_id = "{REF}"
[remotes.p.functions.hello]
enabled = true
"""
DENO = {
    "imports": {"@/": "./lib/", "a": "./a.ts", "z": "npm:zod@3", "std": "jsr:@std/x@1"},
    "scopes": {"./lib/": {"b": "./a.ts"}},
    "importMap": "./map.json",
    "compilerOptions": {"jsx": "react-jsx", "jsxImportSource": "npm:preact"},
    "workspace": ["./lib"],
    "unstable": ["sloppy-imports"],
}
ODD = ["", "\0", "\ufeff", "\ud800", "[", "]", "{", "}", '"', "'''", "=", ".", "..", "../" * 9, "/", "//", "#", "\\",
       "\r",
       "env(", "env()", "nan", "-1", "9" * 5000, "1e999", "2026-99-99", "true", "null", "[" * 2000, "{" * 2000, "**",
       "[!a",
       "[z-a]", "file:///", "http:", "npm:", "C:\\x", "%00", "a" * 5000, "\x1b[2J", "::error::", "💥",
       "functions.hello",
       "[[functions]]", "functions = 3", "\n[remotes.q]\nproject_id = 1\n"]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ODD), inner, max_size=3),
    max_leaves=5,
)
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SLOW = settings(QUICK, max_examples=25)


@st.composite
def mutated(draw: Callable[[Any], Any]) -> str:
    """config.toml with pieces cut out, doubled, or replaced."""
    text = TOML
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + draw(st.sampled_from([*ODD, text[start:end] * 2])) + text[end:]
    return text


@st.composite
def documents(draw: Callable[[Any], Any]) -> str:
    """deno.json with values of any kind in any place."""
    found: dict[str, Any] = json.loads(json.dumps(DENO))
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from([*DENO, *ODD]))
        inner = found.get(key)
        if isinstance(inner, dict) and draw(st.booleans()):
            inner[draw(st.sampled_from([*inner, *ODD, "c"]))] = draw(VALUES)
        else:
            found[key] = draw(VALUES)
    if draw(st.booleans()):
        found.pop(draw(st.sampled_from([*found])), None)
    return json.dumps(found)


def _app(folder: Path) -> Path:
    home = folder / "supabase/functions/hello"
    (home / "lib").mkdir(parents=True)
    (folder / "docs").mkdir()
    files = {"index.ts": 'import "a"; import "@/l.ts";', "a.ts": "", "lib/l.ts": "", "deno.json": json.dumps(DENO),
             "map.json": "{}", "x.txt": ""}  # fmt: skip
    for name, text in files.items():
        (home / name).write_text(text)
    return folder


def _read(app: Path, state: Path) -> Source | Refused:
    try:
        return sources.read(app, "hello", state, Project(REF, app))
    except Refused as error:
        assert error.message.strip() and "Traceback" not in error.message
        return error


@pytest.fixture
def no_deno(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph of the entrypoint alone: what is under test is read before Deno is."""

    def alone(entry: Entrypoint, state: Path) -> Graph:
        graph.map_options(entry.imports, state)
        return Graph((entry.path,))

    monkeypatch.setattr(graph, "resolve", alone)


@pytest.mark.usefixtures("no_deno")
@QUICK
@given(text=mutated())
@example(text="a = " + "[" * 5000)
@example(text='[functions.hello]\nstatic_files = ["./functions/hello/[z-a]"]')
@example(text='[functions.hello]\nstatic_files = ["../../../../../../**/*"]')
@example(text='[functions.hello]\nentrypoint = ".."')
@example(text='[functions.hello]\nimport_map = "."')
@example(text="functions = [{hello = 1}]")
def test_any_config_is_read_or_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a function is never open to everyone unless the text says so."""
    monkeypatch.setenv("OPEN", "true")
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        app = _app(Path(name).resolve())
        (app / functions_config.CONFIG).write_bytes(text.encode("utf-8", "surrogatepass"))
        found = _read(app, tmp_path / "state")
        if isinstance(found, Source):
            assert found.verify_jwt is not False or "false" in text
            assert found.digest


@pytest.mark.usefixtures("no_deno")
@QUICK
@given(text=documents())
@example(text='{"imports":{"a":"\\ud800"}}')
@example(text='{"imports":{"a":"./\\u0000"}}')
@example(text='{"imports":' + '{"a":' * 5000)
@example(text='{"importMap":"./deno.json"}')
@example(text='{"importMap":"."}')
@example(text='{"imports":{"a":"/"}}')
@example(text='{"imports":{"":""}}')
@example(text='{"imports":{"a":"./../../../../../../"}}')
@example(text="[1e999999]")
def test_any_import_map_is_read_or_refused(text: str, tmp_path: Path) -> None:
    """The same for a deno.json."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        app = _app(Path(name).resolve())
        (app / "supabase/functions/hello/deno.json").write_text(text, "utf-8", "surrogatepass")
        found = _read(app, tmp_path / "state")
        assert isinstance(found, Refused) or found.digest


@SLOW
@given(text=documents())
@example(text='{"compilerOptions": 3}')
@example(text='{"compilerOptions": {"jsx": "nonsense"}}')
@example(text='{"unstable": {"a": 1}}')
@example(text='{"imports":{"a":"./a.ts"},"scopes":{"\\u0000":{"a":"b"}}}')
def test_deno_takes_any_import_map_or_is_quoted(text: str, tmp_path: Path, deno_state: Path) -> None:
    """Through Deno itself: its own refusal is ours, in one line."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        app = _app(Path(name).resolve())
        (app / "supabase/functions/hello/deno.json").write_text(text, "utf-8", "surrogatepass")
        _read(app, deno_state)
