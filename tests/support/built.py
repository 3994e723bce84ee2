"""A section from plain data, as config.yaml would give it."""

from __future__ import annotations

from typing import Any, TypeVar

from migration.config.builder import Problems, Section, build

S = TypeVar("S", bound=Section)


def built(kind: type[S], data: Any) -> S:
    """The section; AssertionError with every mistake."""
    problems: Problems = []
    found = build(kind, data, (), problems)
    assert problems == []
    assert isinstance(found, kind)
    return found
