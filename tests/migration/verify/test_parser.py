"""Deno's parser for code of unknown origin: real parse, real type stripping, nothing executed."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from migration.base.errors import ServiceFailed
from migration.source import deno
from migration.verify.parser import SCRIPT, Parser


@pytest.fixture(scope="module")
def parser(deno_state: Path) -> Iterator[Parser]:
    found = Parser(deno_state / "deno")
    yield found
    found.close()


@pytest.mark.parametrize(
    "code",
    [
        "const n: number = 1 as any;\nexport default n;",
        "enum E { A }\nnamespace N { export const q = 1; }\nexport default class { constructor(private x: E) {} }",
        "import React, { useState } from 'react';\nexport default function App() { return <div>{useState}</div>; }",
        "import { A, type B } from 'x';\nexport { A };\nexport default A as unknown as B;",
        "/** @jsxImportSource react */\n/// <reference types='https://x.invalid/y.d.ts' />\nexport default () => <p/>;",
        "// deno-lint-ignore-file\nexport default 'héllo 🤖 \u2028';",
    ],
)
def test_typescript_and_jsx_are_read(parser: Parser, code: str) -> None:
    """Types, enums, JSX and comments of Deno's own go through."""
    assert (parser.parse(code).error, parser.parse(code).default_export) == (None, True)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("export default function App() { return <div>Missing closing tag; }", "Expected '</'"),
        ("const a = 1;\nconst a = 2;", "already been declared"),
        ("import { a } from 'x';\nconst a = 2;", "already been declared"),
        ("const = 3", "Expected"),
        ("export { nothing };", "not defined in module"),
    ],
)
def test_what_cannot_run_is_told_with_the_line(parser: Parser, code: str, said: str) -> None:
    """Errors of the parser and those that only compiling finds."""
    error = parser.parse(code).error
    assert error is not None and said in error
    assert "data:" not in error


def test_a_line_is_where_the_author_wrote_it(parser: Parser) -> None:
    """Imports that are taken out leave their lines behind."""
    assert str(parser.parse("import {\n a,\n b\n} from 'x';\nlet c = 1;\nlet c = 2;").error).endswith("(line 6)")


def test_every_kind_of_import_is_found(parser: Parser) -> None:
    """Static, type-only, re-exported, dynamic and CommonJS."""
    code = (
        "import a from 'one'; import type { B } from 'two'; export * from 'three'; export { c } from 'four';"
        "const d = () => import('five'); const e = require('six'); import f = require('seven'); import 'eight';"
    )
    assert parser.parse(code).imports == ("one", "two", "three", "four", "five", "six", "seven", "eight")


@pytest.mark.parametrize(
    ("code", "has"),
    [
        ("export default 1;", True),
        ("const a = 1; export { a as default };", True),
        ("export { default } from 'x';", True),
        ("export const a = 1;", False),
        ("export default interface A {}", True),
        ("// export default 1;", False),
    ],
)
def test_a_default_export_is_seen_as_the_parser_sees_it(parser: Parser, code: str, has: bool) -> None:
    """Comments are none, renamed ones are."""
    assert parser.parse(code).default_export is has


@pytest.mark.parametrize(
    "code", ["while (true) {}", "Deno.exit(3);", "await new Promise(() => {});", "throw new Error();"]
)
def test_nothing_is_executed(parser: Parser, code: str) -> None:
    """A loop, an exit, a wait and an error at the top of a module do not happen."""
    assert parser.parse(code).error is None
    assert parser.parse("export default 1;").default_export


def test_javascript_has_no_types_and_no_jsx(parser: Parser) -> None:
    """What a browser could not run in a plain script is an error."""
    assert parser.parse("const a = 1;", "javascript").error is None
    assert parser.parse("const a: number = 1;", "javascript").error
    assert parser.parse("const a = <p/>;", "javascript").error


def test_threads_get_their_own_answers(parser: Parser) -> None:
    """Many at once, each its own import back."""
    found: dict[int, tuple[str, ...]] = {}

    def one(number: int) -> None:
        found[number] = parser.parse(f"import 'm{number}';").imports

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: (f"m{number}",) for number in range(20)}


def test_a_child_that_died_is_told_and_the_next_request_has_a_new_one(deno_state: Path) -> None:
    """Killed from outside: one error in our words at most, then service as before."""
    parser = Parser(deno_state / "deno")
    parser.warm()
    child = parser._child
    assert child is not None
    child.kill()
    try:
        parser.parse("export default 1;")
    except ServiceFailed as error:
        assert "Deno" in error.message
    assert parser.parse("export default 1;").default_export
    parser.close()
    assert child.poll() is not None


@pytest.mark.parametrize("verb", ["check", "lint"])
def test_the_script_itself_passes_check_and_lint(deno_state: Path, verb: str) -> None:
    """What reads others' TypeScript is held to the same."""
    command = [deno.executable(), verb, "--no-config" if verb == "lint" else "--no-remote", str(SCRIPT)]
    done = subprocess.run(command, env=deno.environment(deno_state / "deno"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
