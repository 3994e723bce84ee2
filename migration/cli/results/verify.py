"""Secrets, smoke cases, soaks, criteria and diagnoses."""

from __future__ import annotations

from collections.abc import Sequence

from migration.base.command import CURRENT, Command, inv
from migration.base.numbers import count
from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data, money, short, yes
from migration.cli.results.logs import folded


def secret(data: Data, canvas: Canvas) -> None:
    keys = ("present", "matches", "format_ok", "provider_ok")
    rows = [[row["name"], *(yes(row[key]) for key in keys), row["detail"]] for row in data["secrets"]]
    canvas.table(rows, "secret", "present", "equals yours", "format", "provider", "detail")
    for note in data.get("notes") or ():
        canvas.say(note, "dim")
    if data.get("message"):
        canvas.say(data["message"])
    canvas.then(data)


def smoke(data: Data, canvas: Canvas) -> None:
    if cause := _one_cause(data["cases"]):
        canvas.say(f"None of {count(len(data['cases']), 'case')} was answered: {cause}", BAD)
        _elsewhere(canvas)
        canvas.then(data)
        return
    rows = [
        ["✓" if row["ok"] else "✗", row["name"], row["function"], str(row["status"] or ""), f"{row['seconds']:.1f}",
         short(row.get("request_id"), 13)]
        for row in data["cases"]
    ]  # fmt: skip
    canvas.table(rows, "", "case", "function", "status", "seconds", "request")
    for row in data["cases"]:
        _case(row, canvas)
    for note in data.get("notes") or ():
        canvas.say(note, UNSURE)
    good, every = sum(bool(row["ok"]) for row in data["cases"]), len(data["cases"])
    canvas.say(f"{good} of {every} cases passed.", GOOD if good == every else BAD)
    if not any(row["status"] for row in data["cases"]):
        _elsewhere(canvas)
    canvas.then(data)


def e2e(data: Data, canvas: Canvas) -> None:
    """The steps, a failed one with what was there, then each problem once and what the logs show of each call."""
    marks = {True: "✓", False: "✗", None: ""}
    rows = [[marks[row["ok"]], row["name"], f"{row['seconds']:.1f}" if row["ok"] is not None else "not run"]
            for row in data["steps"]]  # fmt: skip
    canvas.table(rows, "", "step", "seconds")
    for row in data["problems"]:
        canvas.say(f"✗ step {row['step']}: {row['label']}: {row['message']}", BAD)
    for row in data["steps"]:
        if row["ok"] is False:
            canvas.say(f"Step {row['number']} failed: {row['problem']}" if row["cause"] else "There was:")
            for line in row["there"]:
                canvas.say(f"    {line}", "dim")
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
         short(row["request_id"], 13)]
        for row in data["calls"]
    ]  # fmt: skip
    canvas.table(rows, "call", "status", "seconds", "new route", "cost logged", "model", "request")
    for text in dict.fromkeys(row["unproven"] for row in data["calls"] if row["unproven"]):
        canvas.say(f"not proven: {text}", UNSURE)


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
    canvas.table(rows, "verdict", "criterion", "expected", "got")
    lines = [(row["name"], line) for row in data["criteria"] if row["verdict"] != "pass" for line in row["evidence"]]
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


def doctor(data: Data, canvas: Canvas) -> None:
    if not data["findings"]:
        canvas.say("No problems found.", GOOD)
    for row in data["findings"]:
        canvas.say(f"{row['severity']}: {row['problem']}", BAD if row["severity"] == "error" else UNSURE)
        canvas.say(f"  evidence: {row['evidence']}")
        canvas.hint(row["fix"], "  ")
    for row in data["fixed"]:
        style = GOOD if row["ok"] else BAD if row["did"].startswith("failed:") else UNSURE
        canvas.say(f"{row['problem']}: {row['did']}", style)
    if data.get("message"):
        canvas.say(data["message"])
    canvas.then(data)
