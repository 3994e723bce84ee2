"""Answers of an API as typed values: unknown fields are ignored, and fields that we can do without may be wrong.

Services add and change fields without notice; only what we cannot work without is worth an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

import msgspec

from migration.base import strictjson
from migration.base.secrets_type import mask
from migration.clients.http import Answer

T = TypeVar("T")


def decoded(answer: Answer) -> Any:
    """The parsed JSON; ValueError for anything else: NaN, half a surrogate pair, more depth than Python can hold."""
    try:
        return strictjson.loads(answer.body)
    except ValueError:
        raise ValueError(f"not JSON: {short(answer)}") from None


def row(kind: type[T], data: Any) -> T:
    """One object. A field with a default takes it where the value has another form; ValueError for any other."""
    if not isinstance(data, Mapping):
        raise ValueError(f"expected an object, got {cut(repr(data))}")
    try:
        return msgspec.convert(data, kind, strict=False)
    except msgspec.ValidationError:
        kinds = _optional(kind)
        fitting = {name: value for name, value in data.items() if name not in kinds or _fits(value, kinds[name])}
        return msgspec.convert(fitting, kind, strict=False)


def rows(kind: type[T], data: Any) -> list[T]:
    """A list of objects; ValueError for anything else."""
    if not isinstance(data, list):
        raise ValueError(f"expected a list, got {cut(repr(data))}")
    return [row(kind, each) for each in data]


def short(answer: Answer) -> str:
    """The beginning of an answer, for a message."""
    return cut(repr(mask(" ".join(answer.text[:5000].split()))))


def cut(text: str, most: int = 120) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _optional(kind: type) -> dict[str, Any]:
    """The kinds of the fields that have a default, by the name in JSON."""
    if issubclass(kind, msgspec.Struct):
        return {field.encode_name: field.type for field in msgspec.structs.fields(kind) if not field.required}
    hints = get_type_hints(kind)
    every = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    missing = dataclasses.MISSING
    return {
        name: hints[name]
        for name, field in every.items()
        if field.default is not missing or field.default_factory is not missing
    }


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True
