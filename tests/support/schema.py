"""The part of JSON Schema that docs/schema/ uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent.parent / "docs" / "schema"
_TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float),
    "integer": int,
}  # fmt: skip


def problems(value: Any, schema: dict[str, Any], where: str = "$") -> Iterator[str]:
    """What does not fit."""
    kinds = schema.get("type")
    if kinds is not None and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{where} is {type(value).__name__}, not {kinds}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where} is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is not one of {schema['enum']}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{where} is {value!r}"
    if isinstance(value, dict):
        yield from (f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from problems(value[name], inner, f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from problems(item, schema["items"], f"{where}[{number}]")
    if "anyOf" in schema:
        ways = [list(problems(value, way, where)) for way in schema["anyOf"]]
        if all(ways):
            yield from min(ways, key=len)


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and not (isinstance(value, bool) and kind in ("number", "integer"))


def check(line: str) -> Any:
    """The object of one line of `--json` output, which must fit the schema that it names."""
    value = json.loads(line)
    verb = re.fullmatch(r"cutover/([a-z]+)/1", value["schema"])
    assert verb, value
    schema = json.loads((FOLDER / f"{verb[1]}.json").read_text(encoding="utf-8"))
    assert list(problems(value, schema)) == [], line[:2000]
    return value
