"""The lines of `supabase functions serve` as logs of an environment without a project."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration import context as contexts
from migration.base.errors import Refused, ServiceFailed
from migration.base.secrets_type import Secret
from migration.config import load
from migration.context import Context
from migration.logs import local, logs
from migration.verify import checks_run, samples, smoke
from migration.verify.samples import Sample
from migration.verify.smoke import CaseResult
from tests.support.project import ROOT

LINES = ROOT / "tests/data/local/serve.log"
FIRST, SECOND = (f"0a1b2c3d-0000-4000-8000-00000000000{n}" for n in (1, 2))


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The shipped config, with the lines of a file for `local`."""
    (tmp_path / "serve.log").write_text(LINES.read_text())
    return _write(tmp_path, "serve.log")


def _write(folder: Path, source: str) -> Path:
    data: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    data["environments"]["local"]["logs"] = source
    (folder / "config.yaml").write_text(yaml.safe_dump(data, allow_unicode=True))
    return folder


def _context(folder: Path) -> Context:
    return contexts.make(folder, "local")


def _logged(folder: Path, **query: Any) -> list[logs.Event]:
    since = datetime.now(UTC) - timedelta(hours=1)
    return list(logs.history(_context(folder), logs.LogQuery(since, **query)))


def test_lines_become_events(here: Path) -> None:
    """Each message once, an object over several lines whole, by function, level and signal; the boot line left out."""
    found = [(one.function, one.level, one.signals) for one in _logged(here, grep="]")]
    assert found == [
        ("generate-artifact", "info", ("new_route",)),
        ("generate-artifact", "info", ("usage",)),
        ("generate-artifact", "error", ("failure",)),
    ]
    chat = _logged(here, functions=("chat",))
    assert [(one.message, one.signals) for one in chat] == [("Chat, 3 turns", ("chat_route",))]
    assert [one.request_id for one in _logged(here, signal="usage")] == [FIRST]
    assert len(_logged(here, level="error")) == 1 and len(_logged(here, limit=2)) == 2
    explained = logs.explain(_context(here), logs.LogQuery(datetime.now(UTC))).lines
    assert [line.taken and line.taken["cost"] for line in explained] == ["0.0022"]


def test_command_is_asked_each_time(tmp_path: Path) -> None:
    """As `docker logs -t` prints them, times included; what fails or does not end is named."""
    stamped = "".join(f"2026-11-27T10:00:0{n % 10}.123456789Z {line}\n" for n, line in enumerate(LINES.open()))
    (tmp_path / "lines").write_text(stamped.replace("\n\n", "\n"))
    context = _context(_write(tmp_path, "cat lines"))
    events = list(logs.history(context, logs.LogQuery(datetime(2026, 11, 27, tzinfo=UTC))))
    assert events[1].timestamp.microsecond == 123456 and not _logged(tmp_path)
    assert [one.message.count("\n") for one in events if "usage" in one.signals] == [5]
    with pytest.raises(ServiceFailed, match="ended with exit code 3: gone"):
        local.read(_context(_write(tmp_path, "echo gone; exit 3")))
    with pytest.raises(Refused, match="There is no file"):
        local.read(_context(_write(tmp_path, "absent.log")))


def test_failed_case_shows_its_lines(here: Path) -> None:
    """By the request's id, and none of another request."""
    failed = CaseResult("one", "generate-artifact", False, 503, request_id=SECOND)
    (shown,) = smoke.lines_of(_context(here), [failed])
    assert shown.log_lines == (f"[{SECOND}] ❌ Failed: OpenRouter 503: overloaded",)


def test_criteria_see_cost_lines_and_routes(here: Path) -> None:
    """What the lines and the smoke cases show is judged, the rest says that only the platform's logs show it."""
    context = _context(here)
    now = context.clock.now()
    samples.record(context, [
        Sample(now, "generate-artifact", "counter", True, 200, 1.0, True, "", ""),
        Sample(now, "chat", "chat", True, 200, 1.0, None, "", ""),
    ])  # fmt: skip
    found = checks_run.run(context)
    verdicts = {one.name: one.verdict.value for one in found.criteria}
    assert verdicts["no_503"] == "inconclusive" and found.exit_code == 1
    assert verdicts["cost_logged"] == "pass" and verdicts["answers_work"] != "fail"
    assert verdicts["no_errors_in_logs"] == "fail"
    unchanged = found.result("unchanged")
    assert unchanged is not None and "chat" in str(unchanged.functions)


def test_plain_value_is_the_source(tmp_path: Path) -> None:
    """`logs: FILE` and `logs: {source: FILE, patience: 5s}` both name it; without one nothing is read."""
    for written in ("serve.log", {"source": "serve.log", "patience": "5s"}):
        assert load.load(_write(tmp_path, written)).environments["local"].logs.source == "serve.log"  # type: ignore[arg-type]
    assert local.configured(contexts.make(ROOT, "local")) == ""


@pytest.mark.parametrize(
    "command", ["sleep 600 | cat", "while :; do echo line; done", "sleep 600 & echo $! > pid; wait"]
)
def test_endless_command_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """With all that it started, and in bounded memory."""
    monkeypatch.setattr(local, "PATIENCE", 0.3)
    monkeypatch.setattr(local, "LARGEST", 1000)
    with pytest.raises(ServiceFailed, match="did not end within"):
        local._text(command, tmp_path)


def test_command_prints_its_newest_without_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_TEST_TOKEN", "sbp_" + "a1" * 20)
    Secret("sbp_" + "a1" * 20)
    monkeypatch.setattr(local, "LARGEST", 6)
    assert local._text("echo first; echo ${CUTOVER_TEST_TOKEN:-gone}", tmp_path) == "\ngone\n"
