"""The JSON Schemas of docs/schema/, held against what verbs print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

FOLDER = Path(__file__).parent.parent.parent / "docs" / "schema"


@cache
def _validator(verb: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / f"{verb}.json").read_text(encoding="utf-8")))


def check(line: str) -> Any:
    """The object of one line of `--json` output, which must fit the schema that it names."""
    value = json.loads(line)
    verb = re.fullmatch(r"cutover/([a-z0-9]+)/1", value["schema"])
    assert verb, value
    wrong = best_match(_validator(verb[1]).iter_errors(value))
    assert wrong is None, f"{wrong.json_path}: {wrong.message[:600]}\n{line[:2000]}"
    missing = sorted(set(undescribed(value, _validator(verb[1]).schema, verb[1])))
    assert not missing, f"docs/schema/{verb[1]}.json says nothing of {', '.join(missing)}"
    return value


def undescribed(value: Any, schema: Any, path: str) -> Iterator[str]:
    """Paths to keys of which the schema says nothing, where it does not leave the object open."""
    forms = list(_forms(schema))
    if isinstance(value, dict) and not any("additionalProperties" in form for form in forms):
        known = {key: inner for form in reversed(forms) for key, inner in form.get("properties", {}).items()}
        yield from (f"{path}.{key}" for key in value if key not in known)
        for key in value.keys() & known.keys():
            yield from undescribed(value[key], known[key], f"{path}.{key}")
    if isinstance(value, list):
        items: Any = next((form["items"] for form in forms if "items" in form), {})
        for one in value:
            yield from undescribed(one, items, f"{path}[]")


def _forms(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and the forms that it allows."""
    if isinstance(schema, dict):
        yield schema
        for name in ("anyOf", "oneOf", "allOf"):
            for form in schema.get(name, ()):
                yield from _forms(form)
