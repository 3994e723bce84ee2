"""Deno as a child process: where it is, what it is given, and its report of a module graph."""

from __future__ import annotations

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

_SECONDS = 60
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
    try:
        result = subprocess.run(
            command, env=environment(state / "deno"), cwd=app, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        text = f"{shown(str(entrypoint), app)}: Deno did not resolve its imports within {_SECONDS}s."
        raise Refused(text, AGAIN) from None
    if result.returncode:
        reason = " ".join(result.stderr.split("Stack backtrace")[0].split())
        text = f"{shown(str(entrypoint), app)}: Deno cannot read its imports: {reason}"
        raise Refused(text, Do("fix it, then"), inv("plan"))
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def shown(place: str, app: Path) -> str:
    """A path or file URL as people read it: relative to the app where it lies there."""
    path = unquote(urlsplit(place).path) if place.startswith("file:") else place
    return str(Path(path).relative_to(app)) if Path(path).is_relative_to(app) else path
