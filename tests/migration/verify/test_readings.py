"""What is counted in the logs: the SQL that goes to production, run by the same engine."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from checks.criteria.latency import average, spread
from checks.evidence import together
from migration.base.limiter import RateLimiter
from migration.base.secrets_type import Secret
from migration.config.settings import Price
from migration.config.signals import Pattern
from migration.logs.reader import LogReader
from migration.rehearsal.logstore import LogStore
from migration.rehearsal.types import SandboxLogRow
from migration.verify import proof, readings
from migration.verify.readings import LiveVersions
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, Direct, row

USAGE = (
    r"^(?:\[[^\]]*\] )?💰 Token usage: \{\s*input: (?P<input>[\d,_]+),\s*output: (?P<output>[\d,_]+),"
    r"\s*total: (?P<total>[\d,_]+),\s*estimatedCost: [\"']\$(?P<cost>[\d.,]+)[\"']"
)
PATTERN = Pattern("usage", USAGE, ("make",))
ROUTE = Pattern("chat_route", r"Chat, \d+ turns", ("chat",))
SCOPE = LiveVersions({"make": ("f-make", 7), "chat": ("f-chat", 3)}, NOON, NOON + timedelta(hours=1))
LATER = NOON + timedelta(hours=1)
Fill = Callable[..., LogReader]


@pytest.fixture
def fill(store: LogStore) -> Fill:
    """A reader of a store that holds these rows and no others."""

    def filled(*rows: SandboxLogRow) -> LogReader:
        store.execute("TRUNCATE TABLE logs")
        store.append(rows)
        clock = VirtualClock(LATER)
        return LogReader(Direct(store, clock), clock, RateLimiter(clock, None))

    return filled


def answer(seconds: float, status: int = 200, *, fid: str = "f-make", version: str = "7", **more: str) -> SandboxLogRow:
    known = {"request__method": "POST", "execution_time_ms": "2000", "execution_id": f"e{seconds}"} | more
    status_code = {"response__status_code": str(status)}
    return row("POST", seconds, source="function_edge_logs", function_id=fid, version=version, **status_code, **known)


def said(message: str, seconds: float, *, fid: str = "f-make", version: str = "7", **more: str) -> SandboxLogRow:
    return row(message, seconds, function_id=fid, version=version, **({"execution_id": f"e{seconds}"} | more))


def usage(seconds: float, cost: str = "0.0020", **more: str) -> SandboxLogRow:
    text = (
        f"[ab12] 💰 Token usage: {{\n  input: 1,234,\n  output: 567,\n  total: 1_801,\n  estimatedCost: '${cost}' }}\n"
    )
    return said(text, seconds, **more)


def test_answers_are_counted_by_function_and_status_and_preflights_are_not(fill: Fill) -> None:
    preflight = answer(4, request__method="OPTIONS")
    reader = fill(answer(1), answer(2), answer(3, 503), preflight, answer(5, fid="f-chat", version="3"))
    make, chat = readings.traffic(reader, SCOPE)
    assert (make.function, make.statuses, chat.statuses) == ("make", {200: 2, 503: 1}, {200: 1})
    assert [str(offender) for offender in make.offenders] == ["make e3: 503 after 2.0s"]


def test_only_the_versions_asked_for_count_and_each_row_once(fill: Fill) -> None:
    twice = answer(1, id="same")
    reader = fill(twice, twice, answer(2, 503, version="6"), answer(3, 503, fid="f-other"), answer(-1, 503))
    make, chat = readings.traffic(reader, SCOPE)
    assert (make.statuses, chat.requests) == ({200: 1}, 0)


def test_days_are_added_up(fill: Fill) -> None:
    days = LiveVersions(SCOPE.functions, NOON, NOON + timedelta(days=3))
    reader = fill(*(answer(hour * 3600) for hour in range(0, 72, 6)), *(usage(hour * 3600) for hour in range(0, 72, 6)))
    assert together(readings.traffic(reader, days)).statuses == {200: 12}
    spend = readings.spend(reader, days, PATTERN, NOON + timedelta(days=3))
    assert (spend.successes, spend.lines, spend.total) == pytest.approx((12, 12, 0.024))


def test_a_known_latency_distribution_is_recovered_within_a_percent(fill: Fill) -> None:
    chance = random.Random(6)
    took = [round(1000 * chance.lognormvariate(1.2, 0.5)) for _ in range(2000)]
    reader = fill(*(answer(n, execution_time_ms=str(ms)) for n, ms in enumerate(took)))
    seconds = readings.traffic(reader, SCOPE)[0].seconds
    ranked = sorted(took)
    for name, rank in (("p50", 999), ("p95", 1899), ("p99", 1979)):
        assert spread(seconds, name)[0] == pytest.approx(ranked[rank] / 1000, rel=0.01)
    assert average(seconds).estimate == pytest.approx(statistics.fmean(took) / 1000, rel=0.005)


def test_a_known_cost_distribution_is_recovered(fill: Fill) -> None:
    chance = random.Random(7)
    costs = [round(chance.uniform(0.001, 0.004), 4) for _ in range(500)]
    rows = [part for n, cost in enumerate(costs) for part in (answer(n), usage(n, f"{cost:.4f}"))]
    spend = readings.spend(fill(*rows), SCOPE, PATTERN, LATER)
    assert (spend.successes, spend.lines, spend.missing, spend.tokens) == (500, 500, 0, 500 * 1801)
    assert spend.total == pytest.approx(sum(costs))
    assert spend.mean == pytest.approx(statistics.fmean(costs))
    assert spend.deviation == pytest.approx(statistics.stdev(costs))


def test_cost_unknown_without_a_price(fill: Fill) -> None:
    """Tokens without a price and a line without a cost are no cost of zero; a price of zero is one."""
    bare = Pattern("usage", r"total: (?P<total>\d+)", PATTERN.functions)
    rows = [part for n in range(3) for part in (answer(n), usage(n))]
    assert not readings.spend(fill(*rows), SCOPE, bare, LATER).priced
    assert readings.spend(fill(*rows), SCOPE, bare, LATER, Price(input=0, cached_input=0, output=0)).priced
    assert readings.spend(fill(*rows), SCOPE, PATTERN, LATER).priced


def test_a_served_request_without_a_usage_line_is_missing_and_a_young_one_only_late(fill: Fill) -> None:
    reader = fill(answer(1), usage(1), answer(2), answer(3500), answer(4, 503), answer(5, 400))
    found = readings.spend(reader, SCOPE, PATTERN, NOON + timedelta(seconds=3400))
    assert (found.successes, found.lines, found.missing, found.late, found.ripe) == (3, 1, 1, 1, 2)
    assert [str(offender) for offender in found.offenders] == ["make e2: served without a usage line"]


def test_what_retries_cost_is_in_the_total_and_counts_as_one_request(fill: Fill) -> None:
    retried = usage(1, "0.0010", id="again")
    wasted = (usage(9, "0.0030"), answer(9, 503))
    found = readings.spend(fill(answer(1), usage(1, "0.0020"), retried, *wasted), SCOPE, PATTERN, LATER)
    assert (found.successes, found.lines) == (1, 1)
    assert (found.total, found.mean) == pytest.approx((0.006, 0.006))


def test_a_usage_line_from_before_the_window_counts_for_the_answer_in_it(fill: Fill) -> None:
    started = usage(-30, execution_id="long")
    found = readings.spend(fill(started, answer(2, execution_id="long"), usage(-60)), SCOPE, PATTERN, LATER)
    assert (found.successes, found.lines, found.total) == pytest.approx((1, 1, 0.002))


def test_requests_of_one_isolate_that_share_an_execution_id_need_a_line_each(fill: Fill) -> None:
    one: dict[str, Any] = {"execution_id": "isolate"}
    reader = fill(answer(1, **one), answer(2, **one), answer(3, **one), usage(1, **one), usage(2, **one))
    found = readings.spend(reader, SCOPE, PATTERN, LATER)
    assert (found.successes, found.lines, found.missing) == (3, 2, 1)


def test_errors_are_counted_by_kind_and_named_by_their_execution(fill: Fill) -> None:
    reader = fill(
        said("fine", 1),
        said("❌ broken\nin two lines", 2, level="error"),
        said("boom", 3, event_type="UncaughtException", level="error"),
        said("no boot", 4, event_type="BootFailure", level="error"),
        said("gone", 5, event_type="Shutdown", level="info"),
        said("❌ of another version", 6, level="error", version="6"),
    )
    found, _ = readings.faults(reader, SCOPE, {})
    assert (found.rows, found.kinds) == (3, {"error": 1, "UncaughtException": 1, "BootFailure": 1})
    assert "make e2: ❌ broken in two lines" in [str(offender) for offender in found.offenders]


def test_half_a_secret_is_no_evidence(fill: Fill) -> None:
    """A line is masked before it is cut; and cut, since a line may be as long as a book."""
    key = Secret("a-key-of-the-projects-own-4711")
    long = [said(f"{'x' * at} {key.reveal()} {'y' * 2_000}", 1 + at, level="error") for at in (125, 140, 155, 975)]
    reader = fill(*long, said(f"{'x' * 280} {key.reveal()}", 2, level="error"))
    faults, _ = readings.faults(reader, SCOPE, {})
    shown = [one.detail for one in faults.offenders]
    shown += proof.look_up(reader, [], {"make": ("f-make", 7)}, NOON, LATER).errors.values()
    assert len(shown) == 6 and all(len(one) <= 300 for one in shown)
    assert not [one for one in shown if "a-key" in one], shown


def test_lines_of_a_function_s_own_route_are_counted_for_it_alone(fill: Fill) -> None:
    reader = fill(
        said("[ab] 💬 Chat, 3 turns", 1, fid="f-chat", version="3"),
        said("[ab] 💬 Chat, 1 turns", 2, fid="f-chat", version="3"),
        said("Chat, 9 turns", 3),
    )
    assert readings.faults(reader, SCOPE, {"chat": ROUTE})[1] == {"chat": 2}


def test_errors_of_a_function_that_the_migration_leaves_alone_are_not_its_own(fill: Fill) -> None:
    reader = fill(said("boom", 1, level="error", fid="f-chat", version="3"), said("bang", 2, level="error"))
    found, lines = readings.faults(reader, SCOPE, {"chat": None})
    assert (found.rows, [offender.function for offender in found.offenders], lines) == (1, ["make"], {})


def test_a_route_is_the_signal_that_names_the_function_as_its_own() -> None:
    known = {"chat_route": ROUTE, "retry": Pattern("retry", "again", ("chat", "image")), "usage": PATTERN}
    assert readings.routes(known, ["chat", "image"]) == {"chat": ROUTE, "image": None}


def test_without_functions_nothing_is_asked(fill: Fill) -> None:
    nobody = LiveVersions({}, NOON, LATER)
    reader = fill(answer(1))
    assert readings.traffic(reader, nobody) == ()
    assert readings.spend(reader, nobody, PATTERN, LATER).successes == 0
    assert reader.budget.spent == 0


def test_a_function_name_or_id_cannot_leave_its_quotes(fill: Fill) -> None:
    hostile = LiveVersions({"x": ("f' or 1=1 --", 1)}, NOON, LATER)
    assert readings.traffic(fill(answer(1)), hostile)[0].requests == 0
