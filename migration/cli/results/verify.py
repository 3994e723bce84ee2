"""Smoke cases, soaks and criteria."""

from __future__ import annotations

from collections.abc import Sequence

from migration.base.command import CURRENT, Command, inv
from migration.base.durations import show
from migration.base.numbers import count
from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data, money
from migration.cli.results.logs import folded


def smoke(data: Data, canvas: Canvas) -> None:
    """What failed, and the verdict: each case has had its line when its answer came."""
    if cause := _one_cause(data["cases"]):
        canvas.say(f"None of {count(len(data['cases']), 'case')} was answered: {cause}", BAD)
        _elsewhere(canvas)
        canvas.then(data)
        return
    for row in data["cases"]:
        _case(row, canvas)
    for note in data.get("notes") or ():
        canvas.say(note, UNSURE)
    good, every = sum(bool(row["ok"]) for row in data["cases"]), len(data["cases"])
    slowest = max((row["seconds"] for row in data["cases"]), default=0.0)
    took = f", the slowest in {show(slowest)}" if slowest >= 0.05 else ""
    canvas.say(f"{good} of {every} cases passed{took}.", GOOD if good == every else BAD)
    if not any(row["status"] for row in data["cases"]):
        _elsewhere(canvas)
    canvas.then(data)


def _one_cause(cases: Sequence[Data]) -> str:
    """Why no case was answered, where that is the same for all that were sent; else nothing."""
    if len(cases) < 2 or any(row["ok"] or row["status"] for row in cases):
        return ""
    causes = {str(failure["got"]) for row in cases for failure in row["failures"]}
    return causes.pop() if len(causes) == 1 else ""


def _elsewhere(canvas: Canvas) -> None:
    """`smoke` means local without --env: that surprises whoever meant production."""
    if CURRENT.env in ("", "local"):
        canvas.say("Without --env, smoke calls `supabase functions serve` on this machine. For production:")
        canvas.hint(inv("smoke", env="prod"))


def _case(row: Data, canvas: Canvas) -> None:
    """A failed case: why, its request, what the function logged, and how to send it again."""
    if row["ok"]:
        return
    canvas.say(f"✗ {row['name']}", BAD)
    for failure in row["failures"]:
        canvas.say(f"  {failure['what']}: expected {failure['expected']}, got {failure['got']}", BAD)
    if row.get("skipped"):
        canvas.say(f"  not sent: {row['skipped']}", BAD)
    if row.get("request_id"):
        canvas.say(f"  request: {row['request_id']}")
    own = f"[{row.get('request_id')}] "
    for line in row.get("log_lines") or ():
        canvas.say(f"  log: {folded(line.removeprefix(own))}", "dim")
    if row.get("curl"):
        canvas.copy(f"  to repeat it: {row['curl']}", "dim")


def soak(data: Data, canvas: Canvas) -> None:
    low, high = data["interval"]
    style = {"pass": GOOD, "fail": BAD}.get(data["verdict"], UNSURE)
    verdict = {"pass": "passed", "fail": "failed"}.get(data["verdict"], data["verdict"])
    canvas.say(f"{verdict}: {data['decision']}", style)
    canvas.say(f"The success rate is between {low:.1%} and {high:.1%}.")
    for line in (*data["reasons"], *data["failures"]):
        canvas.say(f"  {line}", "dim")
    times = [f"{name} {data[name]:.1f}s" for name in ("p50", "p95", "p99") if data.get(name) is not None]
    spent = f"spent {money(data['cost'])}{'' if data['cost_measured'] else ' (estimate)'}"
    canvas.say(f"Successes took {', '.join(times)}; {spent}." if times else f"{spent.capitalize()}.")
    canvas.then(data)


def checks(data: Data, canvas: Canvas) -> None:
    rows = [
        [
            row["verdict"],
            (row.get("label") or row["name"]) + (" (advisory)" if row["advisory"] else ""),
            row["expected"],
            row["got"],
        ]
        for row in data["criteria"]
    ]
    if data.get("window"):
        canvas.say(f"Judged: {data['window']}.")
    canvas.table(rows, "verdict", "criterion", "expected", "got")
    lines = [
        (row.get("label") or row["name"], line)
        for row in data["criteria"]
        if row["verdict"] != "pass"
        for line in row["evidence"]
    ]
    for name, line in lines:
        if not isinstance(line, Command):
            canvas.say(f"  {name}: {line}", "dim")
    for command in dict.fromkeys(line for _, line in lines if isinstance(line, Command)):
        canvas.hint(command, "  ")
    if data.get("table"):
        compared = [[row["name"], row["before"], row["after"], row["improvement"]] for row in data["table"]]
        canvas.table(compared, "compared with the old code", "before", "after", "improvement")
    for row in data["provider"]:
        canvas.say(f"provider: {row['problem']} ({row['evidence']})", UNSURE)
        canvas.hint(row["fix"], "  ")
    canvas.say(f"Verdict: {data['verdict']}", {"pass": GOOD, "fail": BAD}.get(data["verdict"], UNSURE))
    canvas.then(data)
