"""Hostile input to every door, in numbers: no traceback, no input over five seconds of work, memory under 500 MB.

Each door has a fuzzer of a few examples in the ordinary run, beside the module that reads it; `-m long` runs 100,000
through each, or EXAMPLES. Records and lock records have theirs in `test_records.py`.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration.base.errors import CutoverError
from migration.config import envfile
from migration.source import functions_config, graph
from migration.source.graph import Entrypoint, Graph
from tests.migration.cli import test_flags as flags
from tests.migration.clients import test_reading as answers
from tests.migration.source import test_reader_fuzz as sources
from tests.support.long import report

EXAMPLES = int(os.environ.get("EXAMPLES", "100000"))
MEGABYTES = 500
BATCH = 5000  # hypothesis remembers what it has tried until a run of its own ends
ODD = [
    "=",
    "export ",
    "'",
    '"',
    "\\",
    "\n",
    "\r",
    "\0",
    "${",
    "}",
    "$(id)",
    "#",
    "\ufeff",
    "NAME=",
    "A" * 5000,
    "\x1b[2J",
    " ",
]
ENV = st.lists(st.sampled_from(ODD) | st.text(max_size=10), max_size=12).map("".join)


def env(text: str, folder: Path) -> None:
    """A `.env` is read, or refused with its line."""
    (folder / ".env").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        found = envfile.read(folder)
    except CutoverError as error:
        assert error.message and "Traceback" not in error.message
    else:
        assert all(isinstance(value, str) for value in found.values())


def config(text: str, folder: Path) -> None:
    (folder / functions_config.CONFIG).write_bytes(text.encode("utf-8", "surrogatepass"))
    sources._read(folder, folder.parent / "state")


def import_map(text: str, folder: Path) -> None:
    (folder / "supabase/functions/hello/deno.json").write_text(text, "utf-8", "surrogatepass")
    sources._read(folder, folder.parent / "state")


def answer(given_: tuple[bytes, int, dict[str, str], int], _folder: Path) -> None:
    """One answer to one of the questions that the clients ask."""
    answers.survives(*given_)


def flag(text: str, _folder: Path) -> None:
    flags.survives(text)


DOORS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, Path], None]]] = {
    "API answers": (st.tuples(answers.BODIES, answers.STATUSES, answers.HEADERS, st.integers(0, 99)), answer),
    "config.toml": (sources.mutated(), config),
    "import maps": (sources.documents(), import_map),
    ".env": (ENV, env),
    "flags": (flags.HOSTILE, flag),
}


@settings(max_examples=100, deadline=5000, suppress_health_check=list(HealthCheck), derandomize=True)
@given(text=ENV)
def test_fuzzed_env(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    env(text, tmp_path_factory.getbasetemp())


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("door", DOORS)
def test_fuzzed_long(door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many examples for each door, with random seeds; the failing input is printed by hypothesis."""

    def alone(entry: Entrypoint, state: Path) -> Graph:
        graph.map_options(entry.imports, state)
        return Graph((entry.path,))

    monkeypatch.setattr(graph, "resolve", alone)  # what is under test is read before Deno is
    strategy, body = DOORS[door]
    folder = tmp_path / "app"
    folder.mkdir()
    sources._app(folder)
    began = time.monotonic()

    def bounded(found: Any) -> None:
        """By the processor's clock: a long run has the lowest priority, and waits for seconds where others work."""
        began = time.process_time()
        body(found, folder)
        assert time.process_time() - began < 5

    for size in [BATCH] * (EXAMPLES // BATCH) + [EXAMPLES % BATCH] * bool(EXAMPLES % BATCH):
        rules = settings(max_examples=size, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        rules(given(strategy)(bounded))()
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("Hostile input", door, EXAMPLES, time.monotonic() - began, {"errors": 0, "MB": f"{largest:.0f}"})
    assert largest < MEGABYTES
