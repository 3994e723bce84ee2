"""Calls of the page beside the lines of `supabase functions serve`. No browser."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from migration import context as contexts
from migration.config.browser import Calls
from migration.e2e import calls
from migration.e2e.result import CallResult
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.project import ROOT

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
SERVED, OTHER = (f"0a1b2c3d-0000-4000-8000-00000000000{n}" for n in (1, 3))


def tied(folder: Path, *request_ids: str, logs: str = "serve.log") -> list[CallResult]:
    """Calls of generate-artifact with these request ids, as `local` of the shipped config knows them."""
    (folder / "serve.log").write_text((ROOT / "tests/data/local/serve.log").read_text())
    data: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    if logs:
        data["environments"]["local"]["logs"] = logs
    (folder / "config.yaml").write_text(yaml.safe_dump(data, allow_unicode=True))
    context = contexts.make(folder, "local", Collector(), VirtualClock(NOON))
    made = [CallResult(1, "generate-artifact", 200, 0.5, one, "") for one in request_ids]
    return calls.tied(context, made, Calls(), NOON)


def test_lines_of_a_request_are_found(tmp_path: Path) -> None:
    """By its id alone, though other requests were served between its lines."""
    (found,) = tied(tmp_path, SERVED)
    assert (found.routed, found.cost_logged, found.unproven) == (True, True, "")


def test_call_without_lines_is_unproven(tmp_path: Path) -> None:
    """Neither passed nor failed, and what would tie it is named; one whose answer has no id is left as it is."""
    first, second = tied(tmp_path, OTHER, "")
    assert first.unproven == "generate-artifact: no line of serve.log begins with its request id in square brackets"
    assert (first.routed, second.routed, second.unproven) == (None, None, "")
    (absent,) = tied(tmp_path, SERVED, logs="other.log")
    assert absent.unproven.startswith("cannot read the logs: There is no file")


def test_environment_without_logs_judges_nothing(tmp_path: Path) -> None:
    (found,) = tied(tmp_path, SERVED, logs="")
    assert (found.routed, found.cost_logged, found.unproven) == (None, None, "")
