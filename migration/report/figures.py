"""Log lines and money."""

from __future__ import annotations

from rich.text import Text

from .canvas import BAD, GOOD, UNSURE, Canvas, Data, money, short

_LEVELS = {"error": "red", "warn": "yellow", "warning": "yellow", "debug": "dim"}
_SIGNALS = {"failure": "red", "retry": "yellow", "usage": "green", "new_route": "cyan", "old_route": "magenta"}


def event(data: Data, canvas: Canvas) -> None:
    """One line: time, function, level, request, message with its line breaks folded."""
    text = Text()
    text.append(data["timestamp"][11:23].rstrip("Z"), "dim")
    text.append(f" {data['function']:<22}", "bold")
    text.append(f" {data['level']:<5} ", _LEVELS.get(data["level"], ""))
    if data["request_id"]:
        text.append(f"{short(data['request_id'], 8)} ", "dim")
    signal = next((name for name in data.get("signals") or () if name in _SIGNALS), "")
    busy = data.get("status") in (429, 503)
    message = data["message"].removeprefix(f"[{data['request_id']}] ")
    text.append(" ".join(message.split()), "bold red" if busy else _SIGNALS.get(signal, ""))
    canvas.print(text)


def explained(data: Data, canvas: Canvas) -> None:
    for row in data["lines"]:
        canvas.say(" ".join(row["message"].split()), "dim")
        taken = ", ".join(f"{name}={value}" for name, value in (row["taken"] or {}).items() if value)
        canvas.say(f"  takes {taken}" if taken else "  takes nothing", GOOD if taken else UNSURE)
    if not data["lines"]:
        canvas.say("No line was found to explain.", UNSURE)


def costs(data: Data, canvas: Canvas) -> None:
    canvas.say(str(data))
    canvas.say("", BAD)
    canvas.say(money(data.get("cost")))
