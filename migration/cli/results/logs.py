"""Log lines, one each."""

from __future__ import annotations

import re

from rich.text import Text

from migration.base.ids import shortened
from migration.base.secrets_type import mask
from migration.cli.results.canvas import GOOD, UNSURE, Canvas, Data
from migration.cli.sink import gate

_LEVELS = {"error": "red", "warn": "yellow", "warning": "yellow", "debug": "dim"}
_SIGNALS = {"failure": "red", "retry": "yellow", "usage": "green", "new_route": "cyan", "old_route": "magenta"}

_ESCAPES = re.compile(
    r"\x9b[0-9;?]*[ -/]*[@-~]|\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)"
    r"|[\x00-\x08\x0e-\x1f\x7f-\x9f]"
)


def folded(message: str) -> str:
    """A message on one line, masked, without its colours or anything else that controls a terminal."""
    return gate(" ".join(_ESCAPES.sub("", mask(message)).split()))


def event(data: Data, canvas: Canvas) -> None:
    """One line: day and time (UTC), function, level, request, message with its line breaks folded."""
    text = Text()
    text.append(data["timestamp"][5:23].replace("T", " ").rstrip("Z"), "dim")
    text.append(f" {folded(data['function']):<22}", "bold")
    text.append(f" {data['level']:<5} ", _LEVELS.get(data["level"], ""))
    if data["request_id"]:
        text.append(f"{folded(shortened(data['request_id']))} ", "dim")
    signal = next((name for name in data.get("signals") or () if name in _SIGNALS), "")
    busy = data.get("status") in (429, 503)
    message = data["message"].removeprefix(f"[{data['request_id']}] ")
    text.append(folded(message), "bold red" if busy else _SIGNALS.get(signal, ""))
    canvas.print(text)


def request(data: Data, canvas: Canvas) -> None:
    """One request that the sandbox answered: time (UTC), method, status, milliseconds, where it went."""
    status = data["status"]
    text = Text()
    text.append(f"{data['at'][11:19]}Z", "dim")
    text.append(f" {folded(data['method']):<7}")
    text.append(f" {status or 'none':<4}", "red" if not status or status >= 500 else "yellow" if status >= 400 else "")
    text.append(f" {data['ms']:>6}ms ", "dim")
    text.append(f" {folded(data['where'])}")
    text.append(f"  {folded(data['function'])}" if data["function"] else "")
    text.append(f"  v{data['version']}" if data["version"] else "", "dim")
    text.append(f"  fault: {folded(str(data['fault']))}" if data["fault"] else "", "magenta")
    text.append(f"  {folded(str(data['why']))}" if data["why"] else "", "yellow")
    canvas.print(text)


def explained(data: Data, canvas: Canvas) -> None:
    for row in data["lines"]:
        canvas.say(folded(row["message"]), "dim")
        values = ", ".join(f"{name}={value}" for name, value in (row["taken"] or {}).items() if value)
        canvas.say(f"  matches {values}" if values else "  no match", GOOD if values else UNSURE)
    if not data["lines"]:
        canvas.say("No lines to explain.", UNSURE)
