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


def test_steps_have_the_numbers_that_problems_name() -> None:
    """A problem says "step 2": the table says which one that is; nothing is announced where nothing was there."""
    problem = {"step": 2, "label": "not as expected", "message": "the script gave 1, expected 2"}
    text = drawn(step(1, True), step(2, False), step(3, None), problems=[problem])
    assert "✗  2 do 2" in text and "3 do 3" in text and "not run" in text
    assert "✗ step 2: not as expected: the script gave 1, expected 2" in text and "There was" not in text


def test_what_was_there_is_shown() -> None:
    """Of a step without a graver cause: the tree alone, because the problem is its sentence."""
    text = drawn(step(1, False, there=['- button "Start"'], problem="not there"), problems=[])
    assert 'There was:\n    - button "Start"\n' in text and "failed" not in text
