"""A file that a person names may be a pipe, a device or a folder: read or refused, in bounded time and memory."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from migration.base.files import by_use, contents, keep_newest


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


def test_only_own_old_files_are_removed(tmp_path: Path) -> None:
    """By name, or by when they were written; a file of another name is not ours."""
    for number in (3, 1, 2):
        (tmp_path / f"a-{number}.json").touch()
    (tmp_path / "notes.json").touch()
    keep_newest(tmp_path, re.compile(r"a-\d\.json"), 2)
    assert {path.name for path in tmp_path.iterdir()} == {"a-2.json", "a-3.json", "notes.json"}
    os.utime(tmp_path / "a-3.json", (1, 1))
    keep_newest(tmp_path, re.compile(r"a-\d\.json"), 1, by_use)
    assert {path.name for path in tmp_path.iterdir()} == {"a-2.json", "notes.json"}
    keep_newest(tmp_path, re.compile(r"a-\d\.json"), 0)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.json"}
