"""An artifact is accepted when a browser could run it, and refused for a reason in words when it could not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migration.config.cases import CodeKind
from migration.verify.artifact import code, wrapped
from migration.verify.parser import Parser

REACT = "import React from 'react';\nexport default function App(): JSX.Element { return <p>Hi</p>; }"
HTML = "<!doctype html><html><body><p>Hi<script>const a = 1;</script></body></html>"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><circle r="1"/></svg>'


@pytest.fixture(scope="module")
def parser(deno_state: Path) -> Iterator[Parser]:
    found = Parser(deno_state / "deno")
    yield found
    found.close()


def wrap(text: str, type_: str = "application/vnd.ant.react", title: str = ' title="Counter"') -> str:
    return f'<artifact type="{type_}"{title}>\n{text}\n</artifact>'


@pytest.mark.parametrize(
    ("kind", "text"), [("react", wrap(REACT)), ("html", wrap(HTML, "text/html")), ("svg", wrap(SVG, "image/svg+xml"))]
)
def test_a_good_artifact_has_no_problems(parser: Parser, kind: CodeKind, text: str) -> None:
    """Each kind in its own wrapper, with room around it."""
    assert wrapped(f"\n{text}\n", kind, parser, ["lodash"]) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Sorry, no.", "there is no <artifact> in it"),
        ('<artifact type="application/vnd.ant.react" title="x">const a', "its <artifact> is never closed"),
        (f"Here it is: {wrap(REACT)}", "there is text around its <artifact>"),
        (wrap(REACT, "text/html"), "its type is text/html, not application/vnd.ant.react"),
        (wrap(REACT).replace("type=", "kind="), "its type is missing, not application/vnd.ant.react"),
        (wrap(REACT, title=""), "it has no title"),
        (wrap(REACT, title=' title="  "'), "it has no title"),
        (wrap("  "), "it holds no code"),
        (wrap(REACT) + wrap(REACT), "it holds an <artifact> tag inside the code"),
        (wrap("export const a = 1;"), "it has no default export"),
        (wrap("```jsx\nexport default 1;\n```"), "its code is in a Markdown fence"),
        (wrap("export default function App() { return <div>Missing closing tag; }"), "Deno cannot parse it"),
    ],
)
def test_what_is_wrong_with_a_react_artifact_is_named(parser: Parser, text: str, problem: str) -> None:
    """One problem each, in words."""
    found = wrapped(text, "react", parser)
    assert len(found) == 1 and found[0].startswith(problem), found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("just words", "it holds no HTML element"),
        ("<html><body><p>cut off", "its <html> is never closed"),
        ("<p>Hi</p><script>const a = ;</script>", "Deno cannot parse its script"),
        ("<p>Hi</p><script type=module>import {</script>", "Deno cannot parse its script"),
        ("<p>Hi</p><script>let a = 1", "its <script> is never closed"),
    ],
)
def test_what_is_wrong_with_a_page_is_named(parser: Parser, text: str, problem: str) -> None:
    """Cut off, or with a script that no browser would run."""
    found = code(text, "html", parser)
    assert any(each.startswith(problem) for each in found), found


def test_pages_may_hold_data_and_babel_scripts(parser: Parser) -> None:
    """JSON is not parsed as a program, `text/babel` may use JSX, and a string may hold a closing tag."""
    text = (
        '<p>Hi</p><script type="application/json">{"a": [}</script><script type="text/babel">const a = <p/>;</script>'
        "<script>const b = '</div>' + '&amp;' + 1 < 2;</script>"
    )
    assert code(text, "html", parser) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<svg><circle></svg>", "it is not well-formed XML"),
        ("<p>Hi</p>", "its root is <p>, not <svg>"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "it draws nothing"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><svg><g/></svg>', "it declares a document type"),
        ("<svg><g/><script>const a = ;</script></svg>", "Deno cannot parse its script"),
    ],
)
def test_what_is_wrong_with_a_drawing_is_named(parser: Parser, text: str, problem: str) -> None:
    """Not XML, not a drawing, or empty."""
    found = code(text, "svg", parser)
    assert len(found) == 1 and found[0].startswith(problem), found


@pytest.mark.parametrize(
    ("name", "pattern", "refused"),
    [
        ("lodash", "lodash", True),
        ("lodash/fp", "lodash", True),
        ("lodash-es", "lodash", False),
        ("@/components/ui/button", "@/*", True),
        ("https://esm.sh/x", "https://*", True),
        ("react", "lodash", False),
    ],
)
def test_forbidden_imports_are_names_or_globs(parser: Parser, name: str, pattern: str, refused: bool) -> None:
    """A package forbids its parts, a glob what it matches, and neither forbids a longer name."""
    found = code(f"import x from '{name}';\nexport default x;", "react", parser, [pattern])
    assert found == ([f"it imports {name}, which is forbidden"] if refused else [])


def test_a_page_may_not_load_forbidden_scripts_either(parser: Parser) -> None:
    """`src` of a script and imports inside one count alike."""
    text = "<p>Hi</p><script src='https://cdn.invalid/x.js'></script><script type=module>import 'https://y.invalid/z'</script>"
    assert len(code(text, "html", parser, ["https://*"])) == 2
