"""What setup verbs show a person."""

from __future__ import annotations

import io

from rich.console import Console

from migration.cli.results import setup
from migration.cli.results.canvas import Canvas


def test_no_secrets_is_said() -> None:
    """A config without secrets is right; a verb that prints nothing looks broken."""
    stream = io.StringIO()
    setup.secret({"secrets": []}, Canvas(Console(file=stream, width=100)))
    assert stream.getvalue() == "config.yaml names no secrets.\n"
