"""The steps in a browser, and what the logs show of each call."""

from __future__ import annotations

from migration.base.ids import shortened
from migration.base.numbers import count, few
from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data, yes


def e2e(data: Data, canvas: Canvas) -> None:
    """What is wrong, what was there instead, the calls and the verdict: each step has had its line when it ended."""
    for row in data["problems"]:
        canvas.say(f"✗ step {row['step']}: {row['label']}: {row['message']}", BAD)
    for row in data["steps"]:
        if row["ok"] is False:
            if row["cause"]:
                canvas.say(f"Step {row['number']} failed: {row['problem']}")
            elif row["there"]:
                canvas.say("There was:")
            for line in row["there"]:
                canvas.say(f"    {line}", "dim")
    left = [f"{row['number']} {row['name']}" for row in data["steps"] if row["ok"] is None]
    if left:
        canvas.say(f"Not run: {few(left)}.", "dim")
    _calls(data, canvas)
    good, every = sum(row["ok"] is True for row in data["steps"]), len(data["steps"])
    canvas.say(f"{good} of {count(every, 'step')} passed in {data['seconds']:.1f}s at {data['url']}.",
               GOOD if good == every and not data["problems"] else BAD)  # fmt: skip
    kept = [data[name] for name in ("trace", "video") if data[name]]
    shots = [row["screenshot"] for row in data["steps"] if row["ok"] is False and row["screenshot"]]
    canvas.say(f"Kept: {', '.join([*shots, *kept])}" if kept or shots else f"Screenshots: {data['folder']}", "dim")
    canvas.then(data)


def _calls(data: Data, canvas: Canvas) -> None:
    rows = [
        [row["function"], str(row["status"]), f"{row['seconds']:.1f}", yes(row["routed"]) if row["routed"] is not None
         else "", yes(row["cost_logged"]) if row["cost_logged"] is not None else "", row["model"],
         shortened(row["request_id"] or "")]
        for row in data["calls"]
    ]  # fmt: skip
    canvas.table(rows, "call", "status", "seconds", "new route", "cost logged", "model", "request")
    for text in dict.fromkeys(row["unproven"] for row in data["calls"] if row["unproven"]):
        canvas.say(f"not proven: {text}", UNSURE)
