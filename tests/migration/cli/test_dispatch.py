"""The one catch: what this machine does to us is a sentence with its cause and what to do then."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from migration.base.errors import Unfinished
from migration.cli import dispatch
from migration.cli.output import Output


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
