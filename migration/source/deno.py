"""Deno as a child process: where it is, what it is given, and its report of a module graph."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from migration.base.command import AGAIN, Do, inv, sh
from migration.base.errors import Refused
from migration.base.secrets_type import spare

_SECONDS = 60.0
_SOON = 5.0  # seconds, where a pipe or a device among the sources may be what Deno reads without end
_MEMORY = 2 * 1024**3  # bytes for a graph, of which Deno reads every file whole; `import "/dev/zero"` has no end
_MOST = 3  # of them are named
_LOOKUP = threading.Lock()  # Python's sysconfig, which the deno package asks, is not safe at its first use


@lru_cache(maxsize=1)
def executable() -> str:
    """The path of the deno program; Refused when it is not installed."""
    try:
        with _LOOKUP:
            import deno as package  # type: ignore[import-untyped]

            return str(package.find_deno_bin())
    except (ImportError, FileNotFoundError):
        raise Refused("Deno is not installed.", sh("uv", "sync")) from None


def environment(cache: Path) -> dict[str, str]:
    """The variables of a deno child: its own cache folder, no look-up of newer versions, no package.json.

    Nor what this machine switches on by DENO_UNSTABLE_…: the platform has only what a deno.json says.
    """
    fixed = {"DENO_DIR": str(cache), "DENO_NO_PACKAGE_JSON": "1", "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    own = {name: value for name, value in spare(os.environ).items() if not name.startswith("DENO_UNSTABLE_")}
    return {**own, **authorities(), **fixed}


def authorities() -> dict[str, str]:
    """The certificate authorities of this network for a Deno that fetches: older ones do not read SSL_CERT_FILE.

    https://docs.deno.com/runtime/reference/env_variables/
    """
    file = os.environ.get("SSL_CERT_FILE", "")
    return {"DENO_CERT": file} if file and "DENO_CERT" not in os.environ and Path(file).is_file() else {}


def info(entrypoint: Path, options: list[str], app: Path, state: Path) -> dict[str, Any]:
    """The report of `deno info --json`; Refused when Deno ends with an error or takes too long.

    `state` is the folder for Deno's cache. Paths in messages are relative to the app.
    """
    fixed = ["info", "--json", "--no-remote", "--no-npm", "--no-lock", "--unstable-raw-imports"]
    command = [executable(), *fixed, *options, str(entrypoint)]
    odd = _odd_files(app)
    limit = _SOON if odd else _SECONDS
    child = subprocess.Popen(
        command, env=environment(state / "deno"), cwd=app, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _bound_memory(child.pid)
        answer, words = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        text = f"{shown(str(entrypoint), app)}: Deno did not resolve its imports within {limit:.0f}s."
        if odd:
            raise Refused(f"{text} No file: {', '.join(odd)}.", Do("remove it, or import a file"), AGAIN) from None
        raise Refused(text, AGAIN) from None
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    if child.returncode:
        reason = " ".join(words.split("Stack backtrace")[0].split())
        text = f"{shown(str(entrypoint), app)}: Deno cannot read its imports: {reason}"
        raise Refused(text, Do("fix it, then"), inv("plan"))
    report: dict[str, Any] = json.loads(answer)
    return report


def _odd_files(app: Path) -> list[str]:
    """Pipes, sockets and devices below the functions, and links to such."""
    paths = (Path(folder) / name for folder, _, names in os.walk(app / "supabase/functions") for name in names)
    return [shown(str(path), app) for path in paths if path.exists() and not path.is_file()][:_MOST]


def _bound_memory(pid: int) -> None:
    """Where the system can: elsewhere the time alone bounds it."""
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        resource.prlimit(pid, resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


def shown(place: str, app: Path) -> str:
    """A path or file URL as people read it: relative to the app where it lies there."""
    path = unquote(urlsplit(place).path) if place.startswith("file:") else place
    return str(Path(path).relative_to(app)) if Path(path).is_relative_to(app) else path
