"""A file that a person names may be a pipe, a device or a folder: read or refused, in bounded time and memory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from migration.base.files import contents


def test_pipe_is_read(tmp_path: Path) -> None:
    """Password managers serve `.env` as one."""
    pipe = tmp_path / ".env"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"A=1\n" * 50_000,))
    writer.start()
    assert contents(pipe, patience=60) == b"A=1\n" * 50_000
    writer.join()


def test_silent_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nothing was written into it"):
        contents(tmp_path / "pipe", patience=0.05)


def test_endless_file_is_refused() -> None:
    with pytest.raises(OSError, match="larger than 20 MB"):
        contents(Path("/dev/zero"))


def test_folder_and_loop_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "loop", tmp_path / "absent"):
        with pytest.raises(OSError):
            contents(path)
