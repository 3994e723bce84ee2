"""Results for a person: what happened, what is live now, what to type next. Plain data in, text out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console

from migration.base.durations import show
from migration.cli import changes, figures, proofs
from migration.cli.canvas import BAD, GOOD, Canvas, Data


def draw(kind: str, data: Any, console: Console) -> None:
    """Print one result; `kind` is the verb, or what a verb shows before it asks."""
    _DRAWERS[kind](data, Canvas(console))


def _rehearse(data: Data, canvas: Canvas) -> None:
    good = all(row["ok"] for row in data["phases"])
    words = "The migration was carried through and back" if good else "The rehearsal did not show what it must"
    canvas.say(f"{words}, in {show(data['seconds'])}. Report: {data['report']}", GOOD if good else BAD)


def _sandbox(data: Data, canvas: Canvas) -> None:
    canvas.say("The sandbox is running; Ctrl-C stops it, its state stays for the next time.", GOOD)
    canvas.table([[name, str(data[name])] for name in ("url", "project_ref", "app")], "what", "where")
    canvas.say("In another terminal: inv plan --env sandbox, inv deploy --env sandbox, inv smoke --env sandbox")
    canvas.say("To point the real Supabase CLI at it:")
    for line in data["exports"]:
        canvas.say(f"  {line}")


def _said(data: Data, canvas: Canvas) -> None:
    if data.get("message"):
        canvas.say(str(data["message"]))
    canvas.then(data)


_DRAWERS: dict[str, Callable[[Data, Canvas], None]] = {
    "rehearse": _rehearse,
    "sandbox": _sandbox,
    "init": _said,
    "unlock": _said,
    "plan": changes.plan,
    "deploy_plan": changes.asked,
    "deploy": changes.deployment,
    "rollback": changes.deployment,
    "rollback_plan": changes.rollback_plan,
    "status": changes.status,
    "history": changes.history,
    "secret": proofs.secret,
    "smoke": proofs.smoke,
    "soak": proofs.soak,
    "checks": proofs.checks,
    "doctor": proofs.doctor,
    "logs": figures.event,
    "explain": figures.explained,
    "costs": figures.costs,
}
