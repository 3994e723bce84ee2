"""The one catch: what this machine does to us is a sentence with its cause and what to do then."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from migration.base import interrupts
from migration.base.errors import Interrupted, Unfinished
from migration.cli import dispatch
from migration.cli.output import Output
from migration.cli.sink import OUTPUT, Masked
from migration.cli.terminal import console


@pytest.mark.parametrize("name", [None, "/srv/app/.cutover/journal"])
def test_full_disk_names_its_place(name: str | None) -> None:
    """Python names no file where a write fails; the fullest of the places that are written to is meant then."""
    error = dispatch._local(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name))
    place = "/srv/app/.cutover" if name else str(dispatch._full())
    assert "No space left on device" in error.message
    assert error.hint.splitlines() == [f"free space on the disk of {place}", "then run the command again"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE])
def test_closed_terminal_changes_no_exit_code(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that was closed in the middle of a deploy: what ends with 5 still does."""

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(sys, "stderr", Closed())
    out = Output("deploy", tmp_path)
    assert dispatch._error(out, Unfinished("Half done.")) == 5
    out.aside("Log: x")
    out.close()


def test_what_ends_by_a_signal_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`inv logs --follow`: exit code 0, and not a word about an interruption; anything else is one."""
    signals = {one: signal.getsignal(one) for one in interrupts.SIGNALS}
    try:
        interrupts.install()
        assert dispatch._interrupted(Output("logs", tmp_path), Interrupted("SIGINT")) == 130
        assert "Interrupted by SIGINT" in capfd.readouterr().err
        interrupts.between("", exit_code=0)
        assert dispatch._interrupted(Output("logs", tmp_path), Interrupted("SIGINT")) == 0
        assert capfd.readouterr() == ("", "")
    finally:
        interrupts.install()
        for one, handler in signals.items():
            signal.signal(one, handler)


@dataclass(frozen=True)
class Ended:
    """A result."""

    exit_code: int


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("code", "left"), [(0, 141), (1, 1), (5, 5)])
def test_full_disk_under_the_output(
    code: int, left: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A result that cannot be written changes no exit code but 0, and nothing is said of the disk of .cutover."""
    monkeypatch.setattr(sys, "stdout", Full())
    found = dispatch._result(Output("status", json=True), Ended(code))
    shown = capsys.readouterr().err
    assert found == left and "Cannot write the output: No space left" in shown and ".cutover" not in shown


@pytest.mark.parametrize(("half_done", "code"), [(False, 141), (True, 5)])
def test_full_disk_under_a_stream(
    half_done: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line of `logs` or `watch` that cannot be written ends the verb as a closed pipe does, with the cause."""

    def lines(out: Output) -> None:
        interrupts.between("As it was.", exit_code=5 if half_done else 130)
        out.line({"round": 1})

    monkeypatch.setattr(interrupts, "install", lambda: None)
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(SystemExit) as left:
        dispatch.run(lines, True)
    interrupts.between("Nothing was changed.", exit_code=130)
    assert left.value.code == code
    assert "Cannot write the output: No space left on device. As it was." in capsys.readouterr().err


def test_reader_who_leaves_a_table_changes_no_failure() -> None:
    """rich reports a closed pipe by a call of its own; the error is named as the output's."""

    class Left(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    with pytest.raises(BrokenPipeError) as caught:
        console(Masked(Left())).print("a table")
    assert (caught.value.errno, caught.value.filename) == (errno.EPIPE, OUTPUT)


def test_closed_streams_are_the_null_device() -> None:
    """`>&- 2>&- <&-`, as a daemon begins: no traceback, and no file of ours becomes stdout."""
    script = """
import os, sys
for number in (0, 1, 2): os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
from migration.cli.commandline import open_streams
open_streams()
print("nowhere", file=sys.stderr); print("nowhere"); sys.stdout.flush()
assert [os.path.realpath(f"/proc/self/fd/{n}") for n in range(3)] == ["/dev/null"] * 3 or sys.platform != "linux"
assert os.open(os.devnull, os.O_RDONLY) > 2
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=dispatch.ROOT, check=False)
    assert done.returncode == 0
