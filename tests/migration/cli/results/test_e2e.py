"""What `inv e2e` shows."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from migration.cli.results import e2e
from migration.cli.results.canvas import Canvas


def step(number: int, ok: bool | None, **more: Any) -> dict[str, Any]:
    plain = {"cause": "", "problem": "", "there": [], "screenshot": ""}
    return {"number": number, "name": f"do {number}", "ok": ok, "seconds": 0.2, **plain, **more}


def drawn(*steps: dict[str, Any], problems: list[dict[str, Any]]) -> str:
    data = {"steps": steps, "problems": problems, "calls": [], "seconds": 1.0, "url": "http://x/", "trace": "",
            "video": "", "folder": "f", "next": []}  # fmt: skip
    stream = StringIO()
    e2e.e2e(data, Canvas(Console(file=stream, width=100)))
    return stream.getvalue()


def test_steps_are_not_listed_again() -> None:
    """Each had its line, with its number, when it ended: problems and what was not run are left, and the verdict."""
    problem = {"step": 2, "label": "not as expected", "message": "the script gave 1, expected 2"}
    text = drawn(step(1, True), step(2, False), *(step(n, None) for n in range(3, 9)), problems=[problem])
    assert text.splitlines()[:3] == [
        "✗ step 2: not as expected: the script gave 1, expected 2",
        "Not run: 3 do 3, 4 do 4, 5 do 5 and 3 more.",
        "1 of 8 steps passed in 1.0s at http://x/.",
    ]
    assert "There was" not in text and "do 1" not in text


def test_what_was_there_is_shown() -> None:
    """Of a step without a graver cause: the tree alone, because the problem is its sentence."""
    text = drawn(step(1, False, there=['- button "Start"'], problem="not there"), problems=[])
    assert 'There was:\n    - button "Start"\n' in text and "failed" not in text
