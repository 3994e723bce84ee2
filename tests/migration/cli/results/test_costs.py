from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from migration.cli.results.draw import draw

EVENT: dict[str, Any] = {
    "id": "1", "timestamp": "2026-11-22T12:00:01.500000Z", "function": "generate-artifact", "level": "info",
    "message": "[req-000001] hello\n  world\n", "request_id": "req-000001", "status": None, "signals": [],
}  # fmt: skip


def shown(terminal: bool = False, **changed: Any) -> str:
    stream = io.StringIO()
    draw("logs", EVENT | changed, Console(file=stream, force_terminal=terminal, width=40, highlight=False))
    return stream.getvalue()


def test_a_piped_event_is_one_plain_line_whatever_its_length() -> None:
    line = shown(message="[req-000001] 💰 Token usage: {\n  input: 1234,\n  output: 567\n}\n" + "x" * 500)
    assert line.count("\n") == 1 and "\x1b" not in line
    assert line.startswith("11-22 12:00:01.500 generate-artifact")
    assert "req-0000" in line and "💰 Token usage: { input: 1234, output: 567 } xxx" in line


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J", "\x1b]0;title\x07", "\x1b]52;c;eA==\x1b\\", "\x1bc", "\x9b2J", "\x00", "\x08", "\r", "\x7f"]
)
def test_nothing_in_a_message_steers_the_terminal(hostile: str) -> None:
    assert "before after" in shown(message=f"before {hostile}after").replace("  ", " ")
    assert not any(ord(sign) < 32 and sign != "\n" for sign in shown(message=f"a{hostile}b"))


def test_markup_in_a_message_is_text() -> None:
    assert "[bold]x[/bold] :smile:" in shown(message="[bold]x[/bold] :smile:")


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"level": "error"}, "31"), ({"level": "warn"}, "33"), ({"status": 503}, "1;31"), ({"signals": ["retry"]}, "33")],
)
def test_what_matters_stands_out_in_colour(changed: dict[str, Any], code: str) -> None:
    assert f"\x1b[{code}m" in shown(terminal=True, **changed)


def test_every_explained_line_says_what_is_taken() -> None:
    stream = io.StringIO()
    lines = [{"message": "a\nb", "taken": {"input": "1", "cost": ""}}, {"message": "c", "taken": None}]
    data = {"pattern": "^", "lines": lines}
    draw("explain", json.loads(json.dumps(data)), Console(file=stream, width=80, highlight=False))
    assert stream.getvalue().splitlines() == ["a b", "  matches input=1", "c", "  no match"]
