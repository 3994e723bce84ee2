"""Run git: one child at a time, in a session of its own, ended in an orderly way at a timeout or an interruption."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from migration.base import runlog
from migration.base.command import AGAIN, Do
from migration.base.errors import Refused
from migration.base.secrets_type import spare
from migration.git.giterrors import TimedOut

# Left behind by a hook or an outer git, these would send us to another repository; traces show passwords in URLs.
_DROPPED = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_QUARANTINE_PATH",
    "GIT_IMPLICIT_WORK_TREE", "GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE2", "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF", "GIT_CURL_VERBOSE", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS",
    "GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_INTERNAL_SUPER_PREFIX", "GIT_ATTR_SOURCE",
    "GIT_PUSH_OPTION_COUNT", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE", "SSH_ASKPASS",
}  # fmt: skip
_FIXED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_EDITOR": "true",
}
_SETTINGS = {
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "20",
    "push.recurseSubmodules": "no",
    "push.pushOption": "",  # not every host takes options, and the user's are for pushes of their own
    "push.gpgSign": "false",  # few hosts take signed pushes; records and the revert are commits
    "fetch.recurseSubmodules": "no",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,  # of this clone; those of a remote are its own
    "diff.relative": "false",  # names come from the top, also in a folder of a monorepo
    "diff.orderFile": os.devnull,
    "i18n.commitEncoding": "UTF-8",
    "advice.detachedHead": "false",
}
PREFIX = ["git", *(word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}"))]

_live: dict[int, subprocess.Popen[bytes]] = {}  # thread -> its child, so that another thread can end it


@dataclass(frozen=True)
class Done:
    """How a git command ended: exit code, raw stdout, stderr as text."""

    code: int
    out: bytes
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape").strip("\n")

    @property
    def names(self) -> list[str]:
        """The NUL-separated names of a `-z` answer."""
        return [name for name in self.out.decode("utf-8", "surrogateescape").split("\0") if name]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of git: ours, without our secrets and what would mislead it; no prompt, plain English."""
    kept = {key: value for key, value in spare(os.environ).items() if key not in _DROPPED}
    return {**kept, **_FIXED, **extra}


def run(
    arguments: Sequence[str], cwd: Path, *, stdin: bytes = b"", timeout: float = 30.0, env: Mapping[str, str]
) -> Done:
    """Run `git arguments` in `cwd`. Raises TimedOut after `timeout` seconds, Refused when git or `cwd` is missing."""
    began = time.monotonic()
    ended = "did not end"
    try:
        with _buffer() as out, _buffer() as err:
            code = _carry_out(arguments, cwd, stdin, timeout, (out, err), environment(env))
            ended = f"exit {code}"
            return Done(code, _written(out), _written(err).decode("utf-8", "replace"))
    finally:
        runlog.record(f"git {shlex.join(arguments)} {ended} {(time.monotonic() - began) * 1000:.0f} ms")


def _buffer() -> IO[bytes]:
    """Where git writes. Not a pipe: an ssh that stays in the background (ControlPersist) keeps its stderr open, and a
    pipe would end only with it. In memory where the system can, so that a full disk does not matter."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("cutover-git"), "w+b", buffering=0)  # noqa: PTH123 - a descriptor
    return tempfile.TemporaryFile(buffering=0)


def _written(buffer: IO[bytes]) -> bytes:
    buffer.seek(0)
    return buffer.read()


def _carry_out(
    arguments: Sequence[str], cwd: Path, stdin: bytes, timeout: float, streams: tuple[IO[bytes], IO[bytes]],
    env: Mapping[str, str],
) -> int:  # fmt: skip
    """Run it to its end and return its exit code."""
    try:
        child = subprocess.Popen(
            [*PREFIX, *arguments], cwd=cwd, env=env, start_new_session=True,
            stdin=subprocess.PIPE, stdout=streams[0], stderr=streams[1],
        )  # fmt: skip
    except FileNotFoundError as error:
        if not cwd.exists():
            raise Refused(f"There is no folder {cwd}.", Do("set app.path in config.yaml")) from error
        raise Refused("git is not installed.", Do("install git"), AGAIN) from error
    _live[threading.get_ident()] = child
    try:
        child.communicate(stdin, timeout)
    except subprocess.TimeoutExpired as error:
        end(child)
        raise TimedOut(f"git {verb(arguments)} did not end within {timeout:.0f}s and was stopped.", AGAIN) from error
    except BaseException:
        end(child)
        raise
    finally:
        _live.pop(threading.get_ident(), None)
    return child.returncode


def verb(arguments: Sequence[str]) -> str:
    """The git command among the arguments, without `-c` settings."""
    words = iter(arguments)
    for word in words:
        if word == "-c":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def end(child: subprocess.Popen[bytes], patience: float = 1.0) -> None:
    """SIGTERM first: then git removes its lock files, also those of a receiver on a file remote."""
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            child.communicate(timeout=wait)
            return


def abort(thread: int | None) -> None:
    """End the git command that another thread is waiting for."""
    child = _live.get(thread or 0)
    if child is not None and child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGTERM)
