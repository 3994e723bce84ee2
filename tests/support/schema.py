"""The JSON Schemas of docs/schema/, held against what verbs print."""

from __future__ import annotations

import json
import re
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
    return value
