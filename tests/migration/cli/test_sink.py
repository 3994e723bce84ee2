"""Whatever a terminal can show, text reaches it."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from typing import Any

import pytest
from rich.console import Console

from migration.base.secrets_type import mask
from migration.cli.results.draw import draw
from migration.cli.sink import Masked, gate, one_line
from migration.cli.terminal import LiveLines


@pytest.mark.parametrize(
    ("encoding", "text"), [("ascii", "→ größe 🤖"), ("latin-1", "✓ größe"), ("utf-8", "bad \udcff")]
)
def test_what_the_encoding_lacks_goes_out_as_json_writes_it(encoding: str, text: str) -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)
    sink = Masked(stream)
    assert sink.write(f'"{text}"') == len(text) + 2
    stream.flush()
    assert json.loads(buffer.getvalue().decode("ascii")) == text


def test_what_it_can_show_goes_out_as_it_is() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="utf-8")
    Masked(stream).write("→ größe")
    stream.flush()
    assert buffer.getvalue().decode() == "→ größe"


HOSTILE = {
    "\x1b[2J": "\\x1b[2J", "\x1b]0;title\x07": "\\x1b]0;title\\x07", "\x9b31m": "\\x9b31m", "a\rb": "a\\rb",
    "\x00": "\\x00", "\u202egpj.exe": "\\u202egpj.exe", "::error::owned": ": :error::owned",
    "a\u2028::b": "a\\u2028::b",
    "fine\n  ::set-output name=x::y": "fine\n  : :set-output name=x::y", "##[warning]x": "# #[warning]x",
    "a\r\nb\tc": "a\nb\tc", "a::b c::d": "a::b c::d", "so ::error::x": "so : :error::x",
    "so ##vso[task.x]y": "so # #vso[task.x]y", "## a heading": "## a heading",
    "a" * 90 + "::error::": "a" * 90 + ": :error: :",
}  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_controls_are_shown_not_obeyed(text: str, shown: str) -> None:
    """Neither a terminal nor a CI server does what a text from outside says."""
    assert gate(text) == shown
    assert json.loads(one_line({"text": text}))["text"] == text
    assert not re.search(r"##\w*\[", one_line({"text": text}))
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in one_line({"text": text}))


@pytest.mark.parametrize(
    "verb", ["deploy", "status", "smoke", "checks", "doctor", "secret", "history", "rollback_plan"]
)
def test_every_drawer_passes_the_gate(verb: str) -> None:
    """Each text of a result is hostile here, whatever it means."""
    stream = io.StringIO()
    draw(verb, RESULTS[verb], Console(file=stream, width=100))
    assert "\x1b" not in stream.getvalue() and not re.search(r"^\s*::error", stream.getvalue(), re.MULTILINE)
    assert "\\x1b[2J" in stream.getvalue()


EVIL = "::error::\x1b[2J"
_ROW = {"slug": EVIL, "version": 1, "deployment": EVIL, "who": EVIL, "at": "", "git": "same", "action": "update"}
RESULTS: dict[str, dict[str, Any]] = {
    "deploy": {"deployment": {"id": EVIL, "outcome": "live", "functions": [{**_ROW, "before": None, "after": None}]},
               "notes": [EVIL], "next": [EVIL]},
    "status": {"functions": [_ROW], "lock": {"who": EVIL, "doing": EVIL}, "message": EVIL, "notes": [EVIL]},
    "smoke": {"cases": [{"name": EVIL, "function": EVIL, "ok": False, "status": 500, "seconds": 0.1, "skipped": EVIL,
                         "failures": [{"what": EVIL, "expected": EVIL, "got": EVIL}], "request_id": EVIL,
                         "log_lines": [EVIL], "curl": EVIL}]},
    "checks": {"criteria": [{"verdict": "fail", "name": EVIL, "advisory": False, "expected": EVIL, "got": EVIL,
                             "evidence": [EVIL]}], "provider": [], "verdict": "fail"},
    "doctor": {"findings": [{"severity": "error", "problem": EVIL, "evidence": EVIL, "fix": EVIL}],
               "fixed": [{"problem": EVIL, "did": EVIL, "ok": True}]},
    "secret": {"secrets": [{"name": EVIL, "present": True, "matches": None, "format_ok": None, "provider_ok": None,
                            "detail": EVIL}], "message": EVIL},
    "history": {"deployments": [{"id": EVIL, "who": EVIL, "kind": EVIL, "outcome": EVIL, "functions": [_ROW]}],
                "notes": [{"who": EVIL, "text": EVIL}]},
    "rollback_plan": {"functions": [_ROW], "message": EVIL, "files": [EVIL], "notes": [EVIL]},
}  # fmt: skip


@pytest.mark.parametrize("width", [20, 40, 80])
def test_masked_before_cropped(width: int) -> None:
    """A narrow terminal crops the live lines: no part of a secret may be left of that."""
    secret = "sk-or-v1-" + "c0ffee" * 12
    stream = io.StringIO()
    lines = LiveLines(Console(file=stream, width=width, force_terminal=True))
    lines.step("gate", "alpha", f"the answer: {secret} and more {EVIL}")
    Console(file=stream, width=width).print(lines._table())
    lines.close()
    assert "c0ffee" not in stream.getvalue() and "::error" not in stream.getvalue().replace("\n", "")[:8]


class _Witness(io.StringIO):
    """A stream that notes at each write whether another thread could redraw the live lines now."""

    lines: LiveLines
    free: list[bool]

    def write(self, text: str) -> int:
        def redraw() -> None:
            if self.lines._live._lock.acquire(blocking=False):
                self.free.append(True)
                self.lines._live._lock.release()

        if "staged" in text:
            self.free.append(False)
            other = threading.Thread(target=redraw)
            other.start()
            other.join()
        return super().write(text)


def test_line_is_written_before_the_next_redraw() -> None:
    """The live lines are counted when a line above them is made; a redraw before it is written draws over it."""
    stream = _Witness()
    stream.free = []
    stream.lines = LiveLines(Console(file=stream, width=80, force_terminal=True))
    stream.lines.step("gate")
    stream.lines.done("stage", detail="staged")
    stream.lines.close()
    assert stream.free == [False]


@pytest.mark.parametrize("text", ["eyJ" * 60_000, "eyJaaaaaaaa." * 20_000, "eyJ." * 50_000, "://a:" * 50_000])
def test_mask_is_linear(text: str) -> None:
    began = time.process_time()
    mask(text)
    assert time.process_time() - began < 2


def test_jwt_is_masked_in_any_company() -> None:
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
    for text in (jwt, f"x{jwt}", f"a.b.{jwt}", f"aaaaaaaaaaaa.{jwt}", f"token={jwt};", f"eyJhbGciOiJIUzI1NiJ9.{jwt}"):
        assert "c2lnbmF0" not in mask(text) and "zdWIi" not in mask(text)
