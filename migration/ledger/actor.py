"""Who acts, on which machine and in which process: the parts of every record and every lock that name them."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import socket
from functools import cache
from pathlib import Path
from typing import Any

from migration.base.secrets_type import mask
from migration.git.repository import Repository

_ACTORS = ("CUTOVER_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "CIRCLE_USERNAME",
           "BITBUCKET_STEP_TRIGGERER_UUID", "BUILD_REQUESTEDFOR")  # fmt: skip
_RUNS = ("CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL")


def who(repository: Repository, clone: bool = False) -> str:
    """CUTOVER_ACTOR, else CI's actor, else git's user.name, else the login name.

    `clone`: the repository was made for the sandbox, whose author is its own user.name.
    """
    named = next((os.environ[name] for name in _ACTORS if os.environ.get(name)), "")
    name = repository.setting_outside("user.name") if clone else repository.settings.get("user.name")
    return mask(named or name or _login())


def where() -> dict[str, Any]:
    """`class` is `ci` or `laptop`; `host` and, in CI, the address of the run."""
    ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return {"class": "ci" if ci else "laptop", "host": socket.gethostname(), "run_url": _run() if ci else None}


def _run() -> str | None:
    env = os.environ
    if env.get("GITHUB_RUN_ID"):
        server = env.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server}/{env.get('GITHUB_REPOSITORY', '')}/actions/runs/{env['GITHUB_RUN_ID']}"
    return next((env[name] for name in _RUNS if env.get(name)), None)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@cache
def machine() -> str:
    """An id of this machine since it booted: another boot, container or host has another."""
    parts = [socket.gethostname(), _text("/proc/sys/kernel/random/boot_id")]
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def started(pid: int) -> str:
    """When a process began, in kernel ticks, which tells it from a later one with the same pid; empty if unknown."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def alive(pid: int, since: str) -> bool:
    """Whether that very process still runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return not (fields and fields[0] == "Z") and (not since or started(pid) in ("", since))


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
