"""What is live and was, as a person sees it."""

from __future__ import annotations

import io

from rich.console import Console

from migration.cli.results import inspect
from migration.cli.results.canvas import Canvas


def test_a_deployment_in_full_tells_of_its_watches() -> None:
    """The verdict, what was seen, and each alarm."""
    watch = {"watch": "w1", "verdict": "fail", "ended": "rolled back", "rounds": 3,
             "acted": "rolled back automatically", "started": "2026-11-27T09:00:00+00:00",
             "until": "2026-11-28T09:00:00+00:00", "alarms": ["503s: 6 of 20"],
             "figures": {"failed": 6, "answers": 20}}  # fmt: skip
    row = {"id": "d1", "kind": "deploy", "outcome": "live", "at": "2026-11-27T08:59:00Z", "message": "",
           "functions": [], "watches": [watch]}  # fmt: skip
    stream = io.StringIO()
    inspect.history({"deployments": [row], "whole": True}, Canvas(Console(file=stream, width=200)))
    lines = stream.getvalue().splitlines()
    assert lines[-3:] == [
        "Watch w1: fail (rolled back), 3 rounds, 2026-11-27 09:00:00Z to 2026-11-28 09:00:00Z; 6 of 20 answers failed.",
        "  503s: 6 of 20",
        "  rolled back automatically",
    ]


def test_a_failed_gate_is_told_once() -> None:
    """What the message says of the gate and of the seconds is not said again; what it leaves out is."""
    why = "smoke case alpha: status: expected 200, got 500"
    row = {"id": "d1", "kind": "deploy", "outcome": "restored", "at": "2026-11-27T08:59:00Z", "functions": [],
           "gate": {"verdict": "fail", "why": why}, "new_code_seconds": 4.9}  # fmt: skip
    for message, more in (
        (f"The gate failed: {why}. The new code was live for 4.9s.", []),
        ("Restored.", [f"Gate: fail: {why}.", "The new code was live for 4.9s."]),
    ):
        stream = io.StringIO()
        whole = {"deployments": [{**row, "message": message}], "whole": True}
        inspect.history(whole, Canvas(Console(file=stream, width=200)))
        assert stream.getvalue().splitlines()[-1 - len(more) :] == [message, *more]
