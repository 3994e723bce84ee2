"""The configuration, key by key, and the secrets."""

from __future__ import annotations

import json
from typing import Any

from migration.cli.results.canvas import BAD, Canvas, Data, yes

_DEFAULT = "default"  # where a value comes from that no file names


def config(data: Data, canvas: Canvas) -> None:
    canvas.say(f"Read from {data['file']}.")
    rows = [[path, _short(_at(data["config"], path)), source] for path, source in data["sources"].items()]
    canvas.table([row for row in rows if row[2] != _DEFAULT], "key", "value", "from")
    usual = [row[:2] for row in rows if row[2] == _DEFAULT]
    if usual:
        canvas.say(f"\nNot in the file, so as by default ({len(usual)}):")
    canvas.table(usual, "key", "value")
    for problem in data["problems"]:
        canvas.say(f"{problem['where']}: {problem['problem']}" if problem["where"] else problem["problem"], BAD)


def _at(value: Any, path: str) -> Any:
    """The value of a path; a name may hold dots itself, as a host does."""
    if path == "":
        return value
    keys = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in keys:
        if path == str(key) or path.startswith(f"{key}."):
            return _at(inner, path[len(str(key)) + 1 :])
    return ""


def _short(value: Any) -> str:
    """On one line, numbers and lists as JSON, cut where it is long."""
    text = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def secret(data: Data, canvas: Canvas) -> None:
    keys = ("present", "matches", "format_ok", "provider_ok")
    rows = [[row["name"], *(yes(row[key]) for key in keys), row["detail"]] for row in data["secrets"]]
    canvas.table(rows, "secret", "present", "equals yours", "format", "provider", "detail")
    if not rows:
        canvas.say("config.yaml names no secrets.")
    for note in data.get("notes") or ():
        canvas.say(note, "dim")
    if data.get("message"):
        canvas.say(data["message"])
    canvas.then(data)
