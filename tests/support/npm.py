"""Tests that need a package of npm: skipped with a reason where it cannot be had, except in CI."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest


def needed(what: str) -> None:
    """Skip without `npm` or its registry; CI has both."""
    reason = _absent(what)
    if reason and os.environ.get("CI"):
        pytest.fail(f"CI must run this: {reason}")
    if reason:
        pytest.skip(reason)


@functools.cache
def _absent(what: str) -> str:
    if shutil.which(what) is None:
        return f"{what} is not installed"
    asked = subprocess.run([what, "view", "stripe", "version"], capture_output=True, text=True, timeout=60, check=False)
    return "" if asked.returncode == 0 else f"the registry of {what} does not answer"
