"""Artifacts as the app delivers them: the wrapper, and whether what it holds is code that can run."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

from migration.config.cases import CodeKind
from migration.verify.parser import Module, Parser

TYPES: dict[CodeKind, str] = {"react": "application/vnd.ant.react", "html": "text/html", "svg": "image/svg+xml"}
_WRAPPER = re.compile(r"<artifact\b(?P<attributes>[^<>]*)>(?P<code>.*)</artifact>", re.DOTALL)
_ATTRIBUTE = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_SVG = "{http://www.w3.org/2000/svg}"
_CLOSED = {"html", "head", "body", "script", "style", "svg"}  # left open, these say that the answer was cut off
_SCRIPTS = {"", "text/javascript", "application/javascript", "module"}
_TYPED = {"text/babel", "text/jsx", "text/typescript", "text/tsx"}


def wrapped(text: str, kind: CodeKind, parser: Parser, forbidden: Sequence[str] = ()) -> list[str]:
    """What is wrong with a whole `<artifact type="…" title="…">…</artifact>`; empty when nothing is."""
    match = _WRAPPER.fullmatch(text.strip())
    if match is None:
        return [_why_no_wrapper(text)]
    given = {name: double or single for name, double, single in _ATTRIBUTE.findall(match["attributes"])}
    if given.get("type") != TYPES[kind]:
        return [f"its type is {given.get('type', 'missing')}, not {TYPES[kind]}"]
    untitled = [] if given.get("title", "").strip() else ["it has no title"]
    return untitled + code(match["code"], kind, parser, forbidden)


def code(text: str, kind: CodeKind, parser: Parser, forbidden: Sequence[str] = ()) -> list[str]:
    """What is wrong with bare code of a kind; empty when nothing is. `forbidden` are import names or globs."""
    if "<artifact" in text or "</artifact>" in text:
        return ["it holds an <artifact> tag inside the code"]
    if not text.strip():
        return ["it holds no code"]
    if text.strip().startswith("```"):  # as a program, a fence is a template literal: it would even parse
        return ["its code is in a Markdown fence"]
    checked = _CHECKS[kind](text, parser)
    refused = [name for name in checked.imports if any(_same(name, pattern) for pattern in forbidden)]
    return [*checked.problems, *(f"it imports {name}, which is forbidden" for name in dict.fromkeys(refused))]


@dataclass(frozen=True)
class _Reading:
    problems: list[str]
    imports: Sequence[str] = ()


def _why_no_wrapper(text: str) -> str:
    if "<artifact" not in text:
        return "there is no <artifact> in it"
    return "its <artifact> is never closed" if "</artifact>" not in text else "there is text around its <artifact>"


def _react(text: str, parser: Parser) -> _Reading:
    module = parser.parse(text)
    if module.error:
        return _Reading([f"Deno cannot parse it: {module.error}"], module.imports)
    return _Reading([] if module.default_export else ["it has no default export"], module.imports)


def _html(text: str, parser: Parser) -> _Reading:
    page = _Page()
    page.feed(text)
    page.close()
    problems = [f"its <{name}> is never closed" for name in page.open]
    if not page.elements:
        problems.append("it holds no HTML element")
    return _with_scripts(problems, page, parser)


def _svg(text: str, parser: Parser) -> _Reading:
    if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        return _Reading(["it declares a document type, which an SVG artifact may not"])
    try:
        root = ElementTree.fromstring(text.strip())
    except ElementTree.ParseError as error:
        return _Reading([f"it is not well-formed XML: {error}"])
    if root.tag.removeprefix(_SVG) != "svg":
        return _Reading([f"its root is <{root.tag}>, not <svg>"])
    page = _Page()
    page.feed(text)
    return _with_scripts([] if len(root) else ["it draws nothing"], page, parser)


def _with_scripts(problems: list[str], page: _Page, parser: Parser) -> _Reading:
    modules: list[Module] = [
        parser.parse(script, "tsx" if kind in _TYPED else "javascript") for kind, script in page.scripts
    ]
    problems += [f"Deno cannot parse its script: {module.error}" for module in modules if module.error]
    return _Reading(problems, [*page.sources, *(name for module in modules for name in module.imports)])


@dataclass
class _Elements:
    elements: int = 0
    open: list[str] = field(default_factory=list)
    scripts: list[tuple[str, str]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


class _Page(_Elements, HTMLParser):
    """Counts elements, notes those left open, takes the scripts out."""

    def __init__(self) -> None:
        _Elements.__init__(self)
        HTMLParser.__init__(self)
        self._script: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += 1
        if tag in _CLOSED:
            self.open.append(tag)
        if tag == "script":
            given = dict(attrs)
            self._script = (given.get("type") or "").lower()
            if given.get("src"):
                self.sources.append(str(given["src"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.elements += 1

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            self.open.remove(tag)
        if tag == "script" and self._script is not None:
            if self._script in _SCRIPTS | _TYPED and self._text.strip():
                self.scripts.append((self._script, self._text))
            self._script, self._text = None, ""


_CHECKS = {"react": _react, "html": _html, "svg": _svg}


def _same(name: str, pattern: str) -> bool:
    """`lodash` forbids `lodash` and `lodash/fp`; a glob forbids what it matches."""
    return name == pattern or name.startswith(f"{pattern}/") or fnmatch.fnmatchcase(name, pattern)
