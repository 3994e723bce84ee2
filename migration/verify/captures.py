"""Values that one smoke case keeps and later ones use: `{{capture.NAME}}` in a body, a body file or a header."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migration.base.errors import ConfigError
from migration.config.cases import Capture, SmokeCase
from migration.verify.expect import Failure, find

_USED = re.compile(r"\{\{\s*capture\.([A-Za-z][A-Za-z0-9_-]*)\s*\}\}")


def used(*values: Any) -> set[str]:
    """Names of the captures that texts anywhere in the values ask for."""
    return {name for value in values for text in _texts(value) for name in _USED.findall(text)}


def fill(value: Any, captured: Mapping[str, Any]) -> Any:
    """The value with its captures; a text that is one capture and nothing else becomes that value itself."""
    if isinstance(value, Mapping):
        return {key: fill(inner, captured) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, captured) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _USED.fullmatch(value.strip())
    return captured[whole[1]] if whole else _USED.sub(lambda match: _text(captured[match[1]]), value)


def take(wanted: Mapping[str, Capture], body: bytes) -> tuple[dict[str, Any], list[Failure]]:
    """The values that a case keeps of its answer, and what could not be found."""
    kept: dict[str, Any] = {}
    missing: list[Failure] = []
    for name, capture in wanted.items():
        value = _take(capture, body)
        if value is None:
            missing.append(Failure(f"capture {name}", f"a value at {capture.at}{_like(capture)}", "nothing there"))
        else:
            kept[name] = value
    return kept, missing


def ordered(cases: Sequence[SmokeCase], needs: Mapping[str, set[str]]) -> list[SmokeCase]:
    """Every case after those whose captures it uses. ConfigError for an unknown name, one kept twice, or a circle."""
    makers = _makers(cases)
    for case in cases:
        for name in sorted(needs[case.name] - makers.keys()):
            known = ", ".join(sorted(makers)) or "none"
            raise ConfigError(f"smoke case {case.name}: no case captures {name}", f"captured are: {known}")
    placed: dict[str, SmokeCase] = {}
    waiting = list(cases)
    while waiting:
        ready = [case for case in waiting if all(makers[name] in placed for name in needs[case.name])]
        if not ready:
            circle = ", ".join(case.name for case in waiting)
            raise ConfigError(f"smoke cases {circle} wait for each other's captures", "break the circle in config.yaml")
        placed.update({case.name: case for case in ready})
        waiting = [case for case in waiting if case.name not in placed]
    return list(placed.values())


def _makers(cases: Sequence[SmokeCase]) -> dict[str, str]:
    """Capture to the case that keeps it."""
    makers: dict[str, str] = {}
    for case in cases:
        for name in case.capture:
            if name in makers:
                raise ConfigError(f"smoke cases {makers[name]} and {case.name} both capture {name}", "rename one")
            makers[name] = case.name
    return makers


def maker(cases: Sequence[SmokeCase], name: str) -> str:
    """The case that keeps a capture."""
    return _makers(cases)[name]


def _take(capture: Capture, body: bytes) -> Any:
    value = next(iter(find(body, capture.at)), None)
    if capture.matches is None or value is None:
        return value
    match = re.search(capture.matches, value, re.DOTALL) if isinstance(value, str) else None
    return None if match is None else match[1] if match.re.groups else match[0]


def _like(capture: Capture) -> str:
    return "" if capture.matches is None else f" that matches {capture.matches}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
