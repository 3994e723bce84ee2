"""Results for a person: what happened, what is live now, what to type next. Plain data in, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..durations import show
from . import lines, tables

Data = Mapping[str, Any]
_COLOURS = {"pass": "green", "live": "green", "fail": "red", "inconclusive": "yellow", "unproven": "yellow"}


def draw(kind: str, data: Any, console: Console) -> None:
    """Print one result; `kind` is the verb, or what a verb shows before it asks."""
    drawer = _DRAWERS.get(kind)
    if drawer is None:
        console.print_json(data=data)
    else:
        drawer(data, console)


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)


def _table(console: Console, rows: list[list[str]], *heads: str) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*[Text(cell, style=_COLOURS.get(cell, "")) for cell in row])
    console.print(table)


def _next(console: Console, data: Data) -> None:
    for step in data.get("next") or ():
        _say(console, f"→ {step}")


def _rehearse(data: Data, console: Console) -> None:
    rows = [[_mark(row["ok"]), row["name"], show(row["seconds"]), row.get("evidence") or ""] for row in data["phases"]]
    _table(console, rows, "", "phase", "took", "evidence")
    good = all(row["ok"] for row in data["phases"])
    words = "The migration was carried through and back" if good else "The rehearsal did not show what it must"
    _say(console, f"{words}, in {show(data['seconds'])}.", "green" if good else "bold red")
    _say(console, f"Report: {data['report']}") if data.get("report") else None


def _sandbox(data: Data, console: Console) -> None:
    _say(console, "The sandbox is running; Ctrl-C stops it. Its state stays for the next time.", "green")
    _table(console, [[name, str(data[name])] for name in ("api_url", "url", "project_ref", "app")], "what", "where")
    _say(console, "Try it in another terminal: inv plan --env sandbox, inv deploy --env sandbox, inv smoke --env sandbox")
    _say(console, "The real Supabase CLI talks to it after:")
    for line in data.get("exports") or ():
        _say(console, f"  {line}")


def _secret(data: Data, console: Console) -> None:
    rows = [tables.secret_row(row) for row in data["secrets"]]
    _table(console, rows, "secret", "present", "matches", "format", "provider", "detail")
    _next(console, data)


def _plan(data: Data, console: Console) -> None:
    _table(console, [tables.plan_row(row) for row in data["functions"]], "function", "action", "files", "live", "restorable", "why")
    for text in tables.plan_notes(data):
        _say(console, text)
    for row in data["functions"]:
        if row.get("diff"):
            console.print(Text(row["diff"]), soft_wrap=True)
    _say(console, f"Plan {data['hash'][:12]}", "bold")
    _next(console, data)


def _deploy(data: Data, console: Console) -> None:
    found = data.get("deployment") or {}
    for text, style in tables.deployment_lines(data, found):
        _say(console, text, style)
    _next(console, data)


def _smoke(data: Data, console: Console) -> None:
    rows = [tables.case_row(row) for row in data["cases"]]
    _table(console, rows, "", "case", "function", "status", "seconds", "request")
    for row in data["cases"]:
        for text in tables.case_failures(row):
            _say(console, text)
    good = sum(bool(row["ok"]) for row in data["cases"])
    _say(console, f"{good} of {len(data['cases'])} cases passed.", "green" if good == len(data["cases"]) else "bold red")


def _checks(data: Data, console: Console) -> None:
    rows = [[row["verdict"], row["name"] + (" (advisory)" if row.get("advisory") else ""), row["expected"], row["got"]] for row in data["criteria"]]
    _table(console, rows, "verdict", "criterion", "expected", "got")
    for row in data["criteria"]:
        if row["verdict"] != "pass":
            for line in row.get("evidence") or ():
                _say(console, f"  {row['name']}: {line}", "dim")
    if data.get("table"):
        _table(console, [[str(cell) for cell in row] for row in tables.runbook_rows(data["table"])], "", "before", "after", "improvement")
    _say(console, f"Verdict: {data['verdict']}", "bold " + _COLOURS.get(data["verdict"], ""))
    _next(console, data)


def _logs(data: Data, console: Console) -> None:
    console.print(lines.event(data), soft_wrap=True)


def _costs(data: Data, console: Console) -> None:
    for row in tables.cost_tables(data):
        _table(console, row.rows, *row.heads)
    for text in tables.cost_notes(data):
        _say(console, text)


def _soak(data: Data, console: Console) -> None:
    for text in tables.soak_lines(data):
        _say(console, text)


def _status(data: Data, console: Console) -> None:
    rows = [tables.live_row(row) for row in data["functions"]]
    _table(console, rows, "function", "version", "deployed by", "when", "git says")
    for text in tables.status_lines(data):
        _say(console, text)
    _next(console, data)


def _history(data: Data, console: Console) -> None:
    rows = [tables.history_row(row) for row in data["deployments"]]
    _table(console, rows, "deployment", "when", "who", "kind", "outcome", "revision", "functions")
    for text in data.get("notes") or ():
        _say(console, text if isinstance(text, str) else f"{text.get('at', '')} {text.get('who', '')}: {text.get('text', '')}")


def _doctor(data: Data, console: Console) -> None:
    if not data["findings"]:
        _say(console, "Nothing is wrong that doctor knows how to find.", "green")
    for row in data["findings"]:
        _say(console, f"{row.get('severity', 'problem')}: {row['problem']}", "bold")
        _say(console, f"  evidence: {row['evidence']}")
        _say(console, f"  fix: {row['fix']}")


def _said(data: Data, console: Console) -> None:
    if data.get("message"):
        _say(console, str(data["message"]))
    _next(console, data)


def _mark(ok: bool | None) -> str:
    return "✓" if ok else "✗"


_DRAWERS: dict[str, Callable[[Data, Console], None]] = {
    "rehearse": _rehearse,
    "sandbox": _sandbox,
    "init": _said,
    "secret": _secret,
    "plan": _plan,
    "deploy": _deploy,
    "rollback": _deploy,
    "rollback_plan": _said,
    "smoke": _smoke,
    "soak": _soak,
    "logs": _logs,
    "costs": _costs,
    "checks": _checks,
    "status": _status,
    "history": _history,
    "unlock": _said,
    "doctor": _doctor,
}
