"""The one catch: what this machine does to us is a sentence with its cause and what to do then."""

from __future__ import annotations

import errno
import os

import pytest

from migration.cli import dispatch


@pytest.mark.parametrize("name", [None, "/srv/app/.cutover/journal"])
def test_full_disk_names_its_place(name: str | None) -> None:
    """Python names no file where a write fails; the fullest of the places that are written to is meant then."""
    error = dispatch._local(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name))
    place = "/srv/app/.cutover" if name else str(dispatch._full())
    assert "No space left on device" in error.message
    assert error.hint.splitlines() == [f"free space on the disk of {place}", "then run the command again"]
