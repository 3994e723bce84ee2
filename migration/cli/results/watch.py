"""A round of a watch: one line for a pipe, the whole of it for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from migration.base.durations import show
from migration.base.numbers import count, size
from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60  # characters of a sparkline
_STYLES = {"pass": GOOD, "fail": BAD}
_MOODS = {"": "", "bad": BAD, "good": GOOD}


def line(data: Data, canvas: Canvas) -> None:
    """One round in one line; what happened in it on lines of their own."""
    parts = [f"round {data['round']}: {data['verdict']}", answers(data)]
    if data["figures"]["p95"] is not None:
        parts.append(f"p95 {data['figures']['p95']:.1f}s")
    parts += [spend(data), left(data), next_look(data)]
    canvas.say(f"{clock(data['at'])} {', '.join(filter(None, parts))}", _STYLES.get(data["verdict"], UNSURE))
    for one in data.get("new") or ():
        canvas.say(f"  {one['text']}", _MOODS[one["mood"]])
    _asides(data, canvas)


def whole(data: Data, canvas: Canvas) -> None:
    """Verdicts, figures, what stands, what happened, and what to type."""
    style = _STYLES.get(data["verdict"], UNSURE)
    canvas.say(f"Watch {data['watch']} of {data['deployment']}: {data['verdict']}, {left(data)}", style)
    if words := next_look(data):
        away = (_time(data["next_look"]) - datetime.now(UTC)).total_seconds()
        canvas.say(f"{words}, in {show(away)}" if away >= 1 else f"{words}, due", "dim")
    canvas.table(criteria(data), "verdict", "criterion", "to alarm", "failed", "of", "settled by")
    if left_out := len(data["criteria"]) - len(nearest(data)):
        words = "1 criterion" if left_out == 1 else f"{left_out} criteria"
        canvas.say(f"{words} further from an alarm: no room on this screen", "dim")
    success, seconds = sparks(data)
    if success:
        canvas.say(f"success {success}  {answers(data)}")
        canvas.say(f"p95     {seconds}  {_p95(data)}")
    if money := spend(data):
        canvas.say(money)
    for one in data["alarms"]:
        canvas.say(
            f"✗ {one['summary']} (since {clock(one['since'])})", BAD if one["severity"] == "critical" else UNSURE
        )
    for one in data["events"][-5:]:
        canvas.say(f"  {clock(one['at'])} {one['text']}", "dim")
    _asides(data, canvas)
    canvas.say(read(data), "dim")
    canvas.then(data)


def criteria(data: Data) -> list[list[str]]:
    """A row a criterion; `score` as 0 to 100 towards an alarm."""
    return [
        [one["verdict"], f"{one['name']} {one['function']}".strip(), f"{one['score']}/100", str(one["bad"]),
         str(one["answers"]), one["settles"]]
        for one in nearest(data)
    ]  # fmt: skip


def nearest(data: Data) -> Sequence[Data]:
    """The criteria; on a screen that has room for `most` of them, those nearest to an alarm."""
    rows: Sequence[Data] = data["criteria"]
    most = data.get("most", len(rows))
    chosen = sorted(rows, key=lambda one: (one["verdict"] != "fail", -one["score"]))[:most]
    return [one for one in rows if one in chosen]


def sparks(data: Data) -> tuple[str, str]:
    """The success rate and p95 of the last looks; a look without an answer is a space."""
    points = data["points"][-_WIDTH:]
    shares = [1 - one["failed"] / one["answers"] if one["answers"] else None for one in points]
    lowest = min([share for share in shares if share is not None], default=1.0)
    seconds = [one["p95"] for one in points]
    return _spark(shares, min(lowest, 0.9), 1.0), _spark(seconds, 0.0, None)


def answers(data: Data) -> str:
    """How many answers there were, and how many of them failed; our own probes are named as such."""
    figures = data["figures"]
    if not figures["answers"]:
        return "no answers yet"
    share = figures["failed"] / figures["answers"]
    probes = f", {count(figures['probes'], 'probe')} among them" if figures["probes"] else ""
    return f"{figures['failed']} of {figures['answers']} answers failed ({share:.2%}){probes}"


def spend(data: Data) -> str:
    """This month's spend against the budget."""
    money = data["figures"]["spend"]
    if money["month"] is None:
        return ""
    ahead = f", ${money['projected']:.2f} projected" if money["projected"] is not None else ""
    limits = f"warning at ${money['warning']:g}, critical at ${money['critical']:g}"
    return f"spend ${money['month']:.2f} this month{ahead} ({limits})"


def left(data: Data) -> str:
    """How much time is left, or why it is over."""
    if data["ended"]:
        return f"ended: {data['ended']}"
    seconds = (_time(data["until"]) - datetime.now(UTC)).total_seconds()
    return f"{show(seconds)} left" if seconds > 0 else "waiting for the last log rows"


def next_look(data: Data) -> str:
    """When the next answers are judged, so that a person knows when to come back."""
    return f"next look at {clock(data['next_look'])}" if data.get("next_look") else ""


def read(data: Data) -> str:
    """How much of the logs was read, and until when they count."""
    many = int(data["bytes_read"])
    amount = size(many) if many < 1_000_000 else f"{many / 1e6:.1f} MB"
    known = "" if data["bytes_measured"] else " (estimated from the rows)"
    ripe = show(float(data["ripe_seconds"]))
    late = f"; {count(data['figures']['late'], 'answer')} came too late to count" if data["figures"]["late"] else ""
    return f"Logs: {amount} read{known}, judged up to {clock(data['cursor'])} ({ripe} after a look ends){late}."


def clock(at: Any) -> str:
    """14:53:15Z."""
    return f"{_time(at):%H:%M:%SZ}" if at else "--:--:--Z"


def _asides(data: Data, canvas: Canvas) -> None:
    known = {one["text"] for one in data["events"][-5:]} | {f"the watch has {left(data)}"}  # the first line says that
    for text in data["notes"]:
        if text not in known:
            canvas.say(f"  {text}", "dim")
    if data["outage"]:
        canvas.say(f"  cannot read on: {data['outage']} Trying again at the next round.", UNSURE)
    if data["notifier"]:
        canvas.say(f"  alerts: {data['notifier']}", UNSURE)
    if data["needs_person"]:
        canvas.say(f"  a person must act: {data['needs_person']}", BAD)


def _p95(data: Data) -> str:
    known = [one["p95"] for one in data["points"] if one["p95"] is not None]
    return f"{known[-1]:.1f}s in the last look" if known else "no successful answer yet"


def _spark(values: Sequence[float | None], low: float, high: float | None) -> str:
    known = [value for value in values if value is not None]
    top = high if high is not None else max(known, default=0.0)
    if not known:
        return ""
    spread = max(top - low, 1e-9)
    steps = len(_BARS) - 1
    return "".join(
        " " if value is None else _BARS[min(max(round((value - low) / spread * steps), 0), steps)] for value in values
    )


def _time(at: Any) -> datetime:
    return at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
