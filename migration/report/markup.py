"""HTML as values: whatever comes in as text goes out as text, and every figure says where in figures.json it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from checks.table import fine
from migration.base.durations import show

Child = Any  # text, Html, None, or a sequence of these
_VOID = frozenset({"meta", "br", "hr", "link"})
NONE = "not measured"


class Html(str):
    """Markup that is already safe."""

    __slots__ = ()


def tag(name: str, /, *children: Child, **attributes: Any) -> Html:
    """An element. An attribute that is None or False is left out; in names `_` is `-`, at the end nothing."""
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    return Html("".join(map(_child, children)))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child, quote=False)
    if isinstance(child, Iterable):
        return join(child)
    return escape(str(child), quote=False)


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


# How a figure is written.


def _usd(value: float) -> str:
    """Dollars with the digits that matter: $0.000117, $0.00496, $0.60, $1.49, $1,234."""
    size = abs(value)
    places = 0 if size >= 1000 else 2 if size >= 1 or size == 0 else 4 if size >= 0.01 else fine(size)
    text = f"{size:,.{places}f}"
    whole, _, cents = text.partition(".")
    cents = cents[:2] + cents[2:].rstrip("0")
    return f"{'-' if value < 0 else ''}${whole}{f'.{cents}' if cents else ''}"


def _percent(value: float) -> str:
    """A share of 1; never rounded up to 100% or down to 0%."""
    text = f"{value * 100:.1f}%"
    if (text == "100.0%" and value < 1) or (text == "0.0%" and value > 0):
        return f"{value * 100:.3f}%"
    return text.replace(".0%", "%") if value in (0, 1) else text


def clock(text: str) -> str:
    """A time as people read it, to the second, in UTC: 2026-11-27 14:53:15Z."""
    return f"{text[:10]} {text[11:19]}Z" if text else ""


FORMS: Mapping[str, Callable[[Any], str]] = {
    "usd": _usd,
    "percent": _percent,
    "points": lambda value: f"{value:+.1f} points",
    "int": lambda value: f"{round(value):,}",
    "seconds": lambda value: f"{value:.2f}s",
    "span": lambda value: show(float(value)),
    "score": lambda value: f"{value:.1f}",
    "time": clock,
    "text": str,
}


class View:
    """Reads figures by path, and writes each so that a reader of the page finds it again."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    def get(self, path: str) -> Any:
        """The value at `a.b.0.c`; None where there is none."""
        value: Any = self.data
        for part in path.split("."):
            if isinstance(value, list):
                value = value[int(part)] if int(part) < len(value) else None
            elif isinstance(value, Mapping):
                value = value.get(part)
            else:
                return None
        return value

    def show(self, path: str, form: str = "text") -> Html:
        """One figure, or that it was not measured."""
        value = self.get(path)
        if value is None:
            return tag("span", NONE, class_="none")
        if form == "time":
            return self.time(path)
        kind = "data" if form != "text" else "span"
        attributes = {"value": value} if kind == "data" else {}
        return tag(kind, FORMS[form](value), **attributes, data_f=path, data_as=None if form == "text" else form)

    def rows(self, path: str, columns: Mapping[str, str]) -> list[list[Child]]:
        """The list at a path as rows of a table: of each entry the figures in `columns` (name: form)."""
        many = len(self.get(path) or ())
        return [[self.show(f"{path}.{n}.{name}", form) for name, form in columns.items()] for n in range(many)]

    def time(self, path: str) -> Html:
        """A moment in UTC; a script adds the reader's own time."""
        value = self.get(path)
        if not value:
            return tag("span", NONE, class_="none")
        return tag("time", clock(value), datetime=value, data_f=path, data_as="time")


def table(
    head: Sequence[str], rows: Iterable[Sequence[Child]], caption: str, numbers: Iterable[int] = (), **attributes: Any
) -> Html:
    """A table with a caption; the columns in `numbers` are set to the right. The first column heads its row."""
    right = set(numbers)
    titles = [tag("th", name, scope="col", class_="n" if n in right else None) for n, name in enumerate(head)]
    body = [
        tag(
            "tr",
            [
                tag("td" if n else "th", cell, class_="n" if n in right else None, scope=None if n else "row")
                for n, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    inner = tag("table", tag("caption", caption), tag("thead", tag("tr", titles)), tag("tbody", body), **attributes)
    return tag("div", inner, class_="scroll", tabindex="0", role="group", aria_label=caption)


def details(summary: str, *children: Child) -> Html:
    return tag("details", tag("summary", summary), *children)


def listed(children: Iterable[Child], **attributes: Any) -> Html:
    return tag("ul", [tag("li", child) for child in children], **attributes)
