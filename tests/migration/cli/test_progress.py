"""Progress in a pipe: one line when a step ends, and nothing is loaded to draw it."""

from __future__ import annotations

import io
import json
import subprocess
import sys

from migration.cli.progress import Lines
from tests.support.project import ROOT


def test_each_step_that_ends_is_one_plain_line() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.step("stage", "alpha")
    assert stream.getvalue() == ""
    lines.done("stage", "alpha", "v2", 1.25)
    lines.done("plan")
    lines.failed("gate", detail="no answer")
    lines.unsure("checks", detail="2 inconclusive")
    lines.settled("fail", "soak", "5 requests")
    lines.note("This creates a ref.")
    lines.warn("NOTHING WAS PROVEN")
    assert stream.getvalue().splitlines() == [
        "✓ stage alpha  v2  1.2s",
        "✓ plan",
        "✗ gate  no answer",
        "? checks  2 inconclusive",
        "✗ soak  5 requests",
        "This creates a ref.",
        "! NOTHING WAS PROVEN",
    ]


def test_a_pipe_needs_no_library_for_drawing() -> None:
    script = """
import sys
from migration.cli.output import Output
out = Output("deploy", json=True)
out.observer.done("stage", "alpha", "v2")
out.result({"exit_code": 0})
out.close()
sys.exit("rich" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "✓ stage alpha  v2\n"
    assert json.loads(done.stdout) == {"schema": "cutover/deploy/1", "env": None, "exit_code": 0}
