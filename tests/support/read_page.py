"""A page as a strict parser reads it: its elements, its texts, and each figure with the place that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

import html5lib

from migration.report.markup import FORMS, NONE


def parsed(text: str) -> Any:
    """The tree; html5lib raises for the first thing that HTML does not allow."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def words(element: Element) -> str:
    return "".join(element.itertext())


def at(data: Any, path: str) -> Any:
    """The value at `a.b.0` of figures.json; KeyError or IndexError where there is none."""
    for part in path.split("."):
        data = data[int(part)] if isinstance(data, list) else data[part]
    return data


def figures(tree: Any) -> Iterator[tuple[str, str, str]]:
    """(path, form, text) of each figure on the page, the cells of whole tables among them."""
    for element in tree.iter():
        path, form = element.get("data-f"), element.get("data-as") or "text"
        if path is None:
            continue
        if name(element) != "table":
            yield path, form, words(element)
            continue
        for row, line in enumerate(element.find("tbody")):
            for column, (cell, own) in enumerate(zip(line, form.split(","), strict=True)):
                yield f"{path}.{row}.{column}", own, words(cell)


def written(value: Any, form: str) -> str:
    return NONE if value is None else FORMS[form](value)
