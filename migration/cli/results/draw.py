"""A result for a person: what happened, what is live now, what to type next. Plain data in, text out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console

from migration.base.command import chain, inv, sh
from migration.base.durations import show
from migration.base.numbers import count
from migration.cli.results import costs, deploy, e2e, inspect, logs, setup, verify, watch
from migration.cli.results.canvas import BAD, GOOD, Canvas, Data


def draw(kind: str, data: Any, console: Console) -> None:
    """Print one result; `kind` is the verb, or what a verb shows before its question."""
    _DRAWERS[kind](data, Canvas(console))


def _rehearse(data: Data, canvas: Canvas) -> None:
    good = all(row["ok"] for row in data["phases"])
    words = "The migration was deployed and rolled back" if good else "The rehearsal failed"
    skipped = sum(row["skipped"] for row in data["phases"])
    rest = f"; {count(skipped, 'phase')} skipped" if skipped else ""
    canvas.say(f"{words}, in {show(data['seconds'])}{rest}.", GOOD if good else BAD)
    canvas.then(data)


def _report(data: Data, canvas: Canvas) -> None:
    style = {"pass": GOOD, "fail": BAD}.get(data["verdict"], "")
    canvas.say(data["sentence"], style)
    if data["missing"]:
        canvas.say(f"{count(data['missing'], 'part')} not measured: the report says how to measure them.")
    canvas.say(f"Report: {data['path']}")
    for path in data["files"]:
        if path != data["path"]:
            canvas.say(f"  {path}", "dim")


def _sandbox(data: Data, canvas: Canvas) -> None:
    canvas.say("The sandbox is running. Ctrl-C stops it; its state is kept.", GOOD)
    names = {"url": "project", "site": "page", "project_ref": "project_ref", "app": "app"}
    canvas.table([[label, str(data[name])] for name, label in names.items() if data.get(name)], "what", "where")
    canvas.say("In another terminal:")
    for verb in ("plan", "deploy", "smoke"):
        canvas.hint(inv(verb, env="sandbox"), "  ")
    git = ("git", "-C", str(data["app"]))
    canvas.say("To change code, edit the files of that app, which is a clone, then:")
    canvas.hint(chain(sh(*git, "add", "-A"), sh(*git, "commit", "-m", "Try a change"), sh(*git, "push")), "  ")
    canvas.hint(inv("plan", env="sandbox"), "  ")
    canvas.say("For the Supabase CLI, and for the curl lines of inv smoke, in your shell:")
    for line in data["exports"]:
        canvas.copy(f"  {line}")


def _message(data: Data, canvas: Canvas) -> None:
    if data.get("message"):
        canvas.say(str(data["message"]))
    canvas.then(data)


_DRAWERS: dict[str, Callable[[Data, Canvas], None]] = {
    "rehearse": _rehearse,
    "sandbox": _sandbox,
    "init": _message,
    "unlock": _message,
    "config": setup.config,
    "plan": deploy.plan,
    "deploy_plan": deploy.before_deploy,
    "deploy": deploy.deployment,
    "rollback": deploy.deployment,
    "rollback_plan": deploy.rollback_plan,
    "status": inspect.status,
    "history": inspect.history,
    "secret": setup.secret,
    "smoke": verify.smoke,
    "e2e": e2e.e2e,
    "soak": verify.soak,
    "checks": verify.checks,
    "doctor": inspect.doctor,
    "logs": logs.event,
    "explain": logs.explained,
    "request": logs.request,
    "costs": costs.costs,
    "report": _report,
    "watch": watch.whole,
    "watch_line": watch.line,
}
