from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from migration.base.errors import ApiError, ConfigError, Unreachable
from migration.clients.openrouter import Activity, KeyInfo
from migration.config.settings import Price
from migration.context import Context
from migration.costs import costs
from migration.costs.prices import Prices
from migration.costs.report import TokenCounts
from migration.rehearsal.logstore import LogStore
from tests.support import repos
from tests.support.built import built
from tests.support.clock import VirtualClock
from tests.support.drawn import drawn
from tests.support.logs import NOON, Direct, context, deployed, row

pytestmark = pytest.mark.usefixtures("emptied")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TODAY = date(2026, 11, 22)
P = "[req-000001] 💰 Token usage: "


class Provider:
    """What OpenRouter would say, in its own types."""

    def __init__(self, daily: float = 0.0, activity: Sequence[Activity] | None = None, **usage: float) -> None:
        self.manages = activity is not None
        self.daily, self.rows, self.usage = daily, activity or [], usage

    def key(self) -> KeyInfo:
        weekly, monthly = self.usage.get("weekly"), self.usage.get("monthly")
        return KeyInfo(label="k", usage=100.0, usage_daily=self.daily, usage_weekly=weekly, usage_monthly=monthly)

    def activity(self) -> Sequence[Activity]:
        return self.rows


class Records:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def records(self, fresh: bool = True) -> list[dict[str, Any]]:  # noqa: ARG002
        return self.written

    def announce(self) -> str | None:
        return None

    def append(self, record: dict[str, Any]) -> None:
        self.written.append(record)


def surroundings(store: LogStore, tmp_path: Path, provider: Any = None, ledger: Any = None, **config: Any) -> Context:
    source = Direct(store, VirtualClock(NOON + HOUR))
    source.deployed = [deployed("artifact", "id-a"), deployed("fix", "id-f"), deployed("chat", "id-c")]
    found = context(tmp_path, source, **config)
    found.__dict__["provider"] = provider or Provider()
    found.__dict__["ledger"] = ledger or Records()
    return found


def line(tokens: str, seconds: float = 0, function: str = "id-a", **more: str) -> Any:
    return row(P + tokens, seconds, function_id=function, **more)


def asked(seconds: float = 0, status: str = "200", function: str = "id-a", method: str = "POST") -> Any:
    return row("POST | x", seconds, source="function_edge_logs", function_id=function,
               request__method=method, response__status_code=status)  # fmt: skip


USAGE = '{ input: 1234, output: 567, total: 1801, estimatedCost: "$0.0022" }'
OLDER = row("the logs reach back further", -40 * 3600)
BY_TOKENS = (1234 * 0.6 + 567 * 2.5) / 1e6


@pytest.mark.parametrize(
    "absurd",
    [
        '{ input: 1, output: 1, total: 2, estimatedCost: "$99999999999999999999" }',
        '{ input: 1, output: 1, total: 2, estimatedCost: "$10001" }',
        '{ input: 99999999999999999999999, output: 1, total: 2, estimatedCost: "$0.1" }',
        '{ input: 900000000, output: 1, total: 2, estimatedCost: "$0.1" }',
        "{ total: 18446744073709551616 }",
        "{ input: 9_223_372_036_854_775_807, output: 9, total: 1 }",
    ],
)
def test_absurd_line_left_out(absurd: str, store: LogStore, tmp_path: Path) -> None:
    """A number that no request has is named and added to nothing: no sum overflows, no budget reads as fine."""
    store.append([asked(), line(USAGE), asked(1), line(absurd, 1)])
    report = costs.run(surroundings(store, tmp_path), NOON)
    assert (report.lines, report.tokens) == (1, TokenCounts(1234, 0, 567, 0))
    assert report.cost == pytest.approx(BY_TOKENS) and report.logged_cost == pytest.approx(0.0022)
    assert any("1 usage line left out" in note for note in report.notes)


def test_a_request_is_counted_with_its_tokens_and_both_costs(store: LogStore, tmp_path: Path) -> None:
    store.append([asked(), line(USAGE), line("[retry] Retry 1 of 2"), asked(method="OPTIONS"), asked(status="503")])
    store.append([asked(function="id-c"), line(USAGE, function="id-c")])
    report = costs.run(surroundings(store, tmp_path), NOON)
    assert (report.requests, report.succeeded, report.lines, report.retries) == (2, 1, 1, 1)
    assert report.tokens == TokenCounts(1234, 0, 567, 0) and report.tokens.total == 1801
    assert report.cost == pytest.approx(BY_TOKENS) and report.logged_cost == pytest.approx(0.0022)
    assert report.retry_share == 0.5
    assert report.per_request.mean == pytest.approx(BY_TOKENS)
    assert report.per_request.median == pytest.approx(BY_TOKENS, rel=0.005)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("{ input: 1234, output: 567, total: 1801 }", (1234, 0, 567, 0)),
        ("{ input: 1234, total: 1801 }", (1234, 0, 567, 0)),
        ("{ output: 567, total: 1801 }", (1234, 0, 567, 0)),
        ("{ input: 1,234, output: 5_67, total: 1,801 }", (1234, 0, 567, 0)),
        ("{\n  input: \x1b[33m1234\x1b[39m,\n  output: \x1b[33m567\x1b[39m,\n  total: 1801\n}", (1234, 0, 567, 0)),
        ("{ input: 9, output: 8, total: 17, cached: 5, reasoning: 4 }", (9, 5, 8, 4)),
        ("{ input: 9, output: 8, total: 17, cached: 50 }", (9, 9, 8, 0)),
        ('{ total: 1801, estimatedCost: "$0.0022" }', (0, 0, 0, 0)),
    ],
)
def test_tokens_are_read_from_every_form_of_the_line(
    store: LogStore, tmp_path: Path, tokens: str, expected: tuple[int, ...]
) -> None:
    store.append([line(tokens)])
    report = costs.run(surroundings(store, tmp_path), NOON)
    assert report.tokens == TokenCounts(*expected)


def test_cached_input_costs_what_cached_input_costs(store: LogStore, tmp_path: Path) -> None:
    store.append([line("{ input: 1000000, output: 0, total: 1000000, cached: 400000 }")])
    assert costs.run(surroundings(store, tmp_path), NOON).cost == pytest.approx(0.6 * 0.6 + 0.4 * 0.15)


def test_a_line_without_tokens_counts_as_what_it_claims(store: LogStore, tmp_path: Path) -> None:
    store.append([line('{ estimatedCost: "$0.0022" }')])
    report = costs.run(surroundings(store, tmp_path), NOON)
    assert report.cost == report.logged_cost == pytest.approx(0.0022)
    assert any("without token counts" in note for note in report.notes)


def test_a_prompt_that_looks_like_a_usage_line_costs_nothing(store: LogStore, tmp_path: Path) -> None:
    store.append([row(f"[req-000002] 📝 prompt: {P}{USAGE}", function_id="id-a"), row(P + USAGE, function_id="")])
    store.append([row(f"[req-000002] 📝 prompt:\n{P}{USAGE}", function_id="id-a")])
    assert costs.run(surroundings(store, tmp_path), NOON).lines == 0


def test_nothing_before_the_asked_moment_counts_in_the_report(store: LogStore, tmp_path: Path) -> None:
    store.append([line(USAGE, -1), line(USAGE, 0)])
    assert costs.run(surroundings(store, tmp_path), NOON).lines == 1


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("day", ["2026-11-21", "2026-11-22"]),
        ("function", ["artifact", "fix"]),
        ("hour", ["2026-11-21T22:00Z", "2026-11-22T12:00Z"]),
    ],
)
def test_rows_add_up_to_the_whole_by_day_function_and_hour(
    store: LogStore, tmp_path: Path, by: str, keys: list[str]
) -> None:
    store.append([line(USAGE), line(USAGE, function="id-f"), line(USAGE, -14 * 3600)])
    report = costs.run(surroundings(store, tmp_path), NOON - DAY, by)
    assert [found.key for found in report.rows] == keys
    assert sum(found.cost or 0 for found in report.rows) == pytest.approx(report.cost) == pytest.approx(3 * BY_TOKENS)


@pytest.mark.slow
def test_seven_days_are_added_up_over_their_windows(store: LogStore, tmp_path: Path) -> None:
    store.append([line(USAGE, -n * 3600) for n in range(24 * 7)])
    report = costs.run(surroundings(store, tmp_path), NOON - 7 * DAY)
    assert report.lines == 168 and report.logged_cost == pytest.approx(168 * 0.0022)


def test_more_hours_and_functions_than_one_answer_holds_are_asked_for_in_halves(
    store: LogStore, tmp_path: Path
) -> None:
    found = surroundings(store, tmp_path)
    found.supabase.deployed += [deployed("artifact", f"old-{n}") for n in range(60)]  # type: ignore[attr-defined]
    store.append([line(USAGE, -hour * 3600, f"old-{n}") for n in range(60) for hour in range(24)])
    assert costs.run(found, NOON - DAY).lines == 60 * 24


def test_a_day_that_is_too_much_for_the_engine_is_asked_for_in_halves(store: LogStore, tmp_path: Path) -> None:
    store.append([line(USAGE, n * 60) for n in range(60)])
    found = surroundings(store, tmp_path)
    body = "Code: 159. DB::Exception: Timeout exceeded"
    found.supabase.failures = [  # type: ignore[attr-defined]
        ApiError("reading the logs", status=500, body=body, operation="reading the logs") for _ in range(3)
    ]
    assert costs.run(found, NOON).lines == 60


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_many_lines_are_right_to_the_cent(store: LogStore, tmp_path: Path, count: int) -> None:
    """Against a sum that never saw the text: the same figures, computed in Python."""
    store.execute(
        "INSERT INTO logs SELECT toString(number), toDateTime64('2026-11-22 00:00:00', 6, 'UTC') + number * 0.04, "
        "concat('[', lower(hex(number + 65536)), '0000] 💰 Token usage: { input: ', toString(number % 9973), "
        "', output: ', toString(number * 7 % 4999), ', total: ', toString(number % 9973 + number * 7 % 4999), "
        "', cached: ', toString(intDiv(number % 9973, 3)), ', estimatedCost: \"$', toString(intDiv(number % 97, 10)), "
        "'.', leftPad(toString(number * 13 % 10000), 4, '0'), '\" }\\n'), '', 'function_logs', "
        f"map('function_id', 'id-a', 'event_type', 'Log') FROM numbers({count})"
    )
    report = costs.run(surroundings(store, tmp_path), NOON - 12 * HOUR)
    inputs, outputs = sum(n % 9973 for n in range(count)), sum(n * 7 % 4999 for n in range(count))
    cached = sum(n % 9973 // 3 for n in range(count))
    claimed = sum(n % 97 // 10 * 10_000 + n * 13 % 10_000 for n in range(count)) / 10_000
    assert report.tokens == TokenCounts(inputs, cached, outputs, 0)
    assert report.logged_cost == pytest.approx(claimed, abs=0.005)
    expected = ((inputs - cached) * 0.6 + cached * 0.15 + outputs * 2.5) / 1e6
    assert report.cost == pytest.approx(expected, abs=0.005)
    one = sorted(
        ((n % 9973 - n % 9973 // 3) * 0.6 + n % 9973 // 3 * 0.15 + n * 7 % 4999 * 2.5) / 1e6 for n in range(count)
    )
    assert report.per_request.p95 == pytest.approx(one[math.ceil(0.95 * count) - 1], rel=0.006)


def test_the_provider_is_asked_for_today(store: LogStore, tmp_path: Path) -> None:
    store.append([line(USAGE, -6 * 3600), line(USAGE)])
    report = costs.run(surroundings(store, tmp_path, Provider(2 * BY_TOKENS)), NOON)
    assert report.provider_cost == pytest.approx(2 * BY_TOKENS) and report.provider_since == TODAY
    billed = report.differences[1]
    assert billed.within and billed.cost == pytest.approx(2 * BY_TOKENS)


def activity(day: date, usage: float, model: str = "m", tokens: tuple[int, int] = (0, 0)) -> Activity:
    return Activity(day, model, "p", usage, 1, *tokens, 0)


def test_completed_days_come_from_the_providers_activity(store: LogStore, tmp_path: Path) -> None:
    store.append([line(USAGE, -14 * 3600), line(USAGE)])
    rows = [activity(TODAY - DAY, BY_TOKENS), activity(TODAY - DAY, 5.0, "other"), activity(TODAY - 9 * DAY, 9.0)]
    report = costs.run(surroundings(store, tmp_path, Provider(BY_TOKENS, rows)), NOON - DAY)
    assert report.provider_cost == pytest.approx(2 * BY_TOKENS)
    assert any("$5.00 on other models" in note for note in report.notes)


def test_free_requests_cost_nothing(store: LogStore, tmp_path: Path) -> None:
    """Requests of a route without usage lines are counted, and not in the mean cost of a request."""
    store.append([asked(0), line(USAGE), asked(1), asked(2)])
    report = costs.run(surroundings(store, tmp_path), NOON)
    assert report.requests == 3 and report.per_request.mean == pytest.approx(BY_TOKENS)


def test_requests_without_usage_lines_are_not_measured(store: LogStore, tmp_path: Path) -> None:
    """No line matches signals.usage: no cost, no projection and no difference to the bill, and a note says why."""
    store.append([asked(-14 * 3600), asked(0), asked(1)])
    provider, budget = Provider(0.5), {"volumes": {"light": 100}}
    report = costs.run(surroundings(store, tmp_path, provider, budget=budget), NOON - DAY)
    assert (report.cost, report.logged_cost, report.per_request.mean) == (None, None, None)
    assert [(row.cost, row.logged_cost) for row in report.rows] == [(None, None)] * 2
    assert (report.projection.trend, report.projection.volumes, report.differences) == (None, {}, ())
    assert any("No line of 3 requests matches signals.usage: " in note for note in report.notes)
    shown = drawn("costs", report)
    assert "not measured" in shown and "Not measured by tokens" in shown and "$0.0" not in shown


def test_days_that_were_not_measured_are_no_days_of_nothing(store: LogStore, tmp_path: Path) -> None:
    """Where lines match no longer since some days, the trend is that of the days before: not one that falls to $0."""
    for day in range(6, 0, -1):
        at = -day * 86_400.0
        store.append([asked(at), *([line(USAGE, at)] if day > 3 else [])])
    report = costs.run(surroundings(store, tmp_path), NOON - 7 * DAY)
    assert [row.cost for row in report.rows] == [pytest.approx(BY_TOKENS)] * 3 + [None] * 3
    assert report.projection.trend == pytest.approx(30 * BY_TOKENS)
    assert report.projection.basis == "3 completed days"
    assert any("3 requests of 3 days" in note for note in report.notes)


def test_bill_at_another_price(store: LogStore, tmp_path: Path) -> None:
    """Where the provider bills other prices, cost per request and projection follow the bill, and a note says so."""
    store.append([asked(-14 * 3600), line(USAGE, -14 * 3600)])
    rows = [activity(TODAY - DAY, 1.8 * BY_TOKENS, tokens=(1234, 567))]
    report = costs.run(
        surroundings(store, tmp_path, Provider(0.0, rows), budget={"volumes": {"light": 100}}), NOON - DAY
    )
    assert report.cost == pytest.approx(BY_TOKENS)
    assert report.per_request.mean == pytest.approx(1.8 * BY_TOKENS)
    assert report.projection.volumes["light"].cost == pytest.approx(30 * 100 * 1.8 * BY_TOKENS)
    assert any("1.80 times the price in config.yaml" in note for note in report.notes)


def test_no_cost_in_the_lines(store: LogStore, tmp_path: Path) -> None:
    """Lines without a cost are not a cost of $0."""
    store.append([asked(), line("{ input: 1234, output: 567, total: 1801 }")])
    report = costs.run(surroundings(store, tmp_path), NOON)
    assert report.logged_cost is None and report.cost == pytest.approx(BY_TOKENS)


def test_a_provider_that_cannot_be_asked_does_not_stop_the_costs(store: LogStore, tmp_path: Path) -> None:
    class Dead(Provider):
        def key(self) -> KeyInfo:
            raise Unreachable("OpenRouter cannot be reached")

    store.append([line(USAGE)])
    report = costs.run(surroundings(store, tmp_path, Dead()), NOON)
    assert report.provider_cost is None and report.lines == 1
    assert any("could not read" in note for note in report.notes)


def test_without_a_provider_there_is_no_price(store: LogStore, tmp_path: Path) -> None:
    found = surroundings(store, tmp_path)
    with pytest.raises(ConfigError):
        costs.run(replace(found, config=structs.replace(found.config, providers={})), NOON)


@pytest.mark.slow
def test_completed_days_go_to_the_ledger_once_and_today_does_not(store: LogStore, tmp_path: Path) -> None:
    store.append([OLDER, line(USAGE, -14 * 3600), line(USAGE)])
    ledger = Records()
    for _ in range(2):
        costs.run(surroundings(store, tmp_path, ledger=ledger), NOON - DAY)
    [record] = ledger.written
    assert (record["record"], record["day"]) == ("costs", "2026-11-21")
    assert record["functions"][0]["slug"] == "artifact" and record["functions"][0]["input"] == 1234


@pytest.mark.slow
def test_days_that_the_platform_forgot_come_from_the_ledger(store: LogStore, tmp_path: Path) -> None:
    store.append([OLDER, line(USAGE, -14 * 3600), asked(-14 * 3600), line(USAGE)])
    ledger = Records()
    before = costs.run(surroundings(store, tmp_path, ledger=ledger), NOON - 2 * DAY)
    store.execute("TRUNCATE TABLE logs")
    store.append([line(USAGE)])
    after = costs.run(surroundings(store, tmp_path, ledger=ledger), NOON - 2 * DAY)
    assert (after.cost, after.requests, after.per_request) == (before.cost, before.requests, before.per_request)
    yesterday = datetime(2026, 11, 21, tzinfo=UTC)
    assert ("ledger", yesterday) in [(part.source, part.since) for part in after.sources]
    assert [found.key for found in after.rows] == ["2026-11-21", "2026-11-22"]


@pytest.mark.slow
def test_days_that_the_ledger_knows_are_not_read_again(store: LogStore, tmp_path: Path) -> None:
    store.append([OLDER, line(USAGE, -14 * 3600)])
    ledger = Records()
    costs.run(surroundings(store, tmp_path, ledger=ledger), NOON - 2 * DAY)
    found = surroundings(store, tmp_path, ledger=ledger)
    report = costs.run(found, NOON - 2 * DAY)
    assert [(part.source, f"{part.since:%d}") for part in report.sources] == [
        ("logs", "20"), ("logs", "22"), ("ledger", "21"),
    ]  # fmt: skip
    assert report.lines == 1


@pytest.mark.slow
def test_a_ledger_in_git_carries_the_totals_to_the_next_machine(store: LogStore, tmp_path: Path) -> None:
    store.append([OLDER, line(USAGE, -14 * 3600)])
    remote = repos.bare(tmp_path / "remote")
    first, second = (repos.clone(remote, tmp_path / name) for name in ("first", "second"))
    repos.commit(first, {"a": "1"})
    repos.git(first, "push", "--quiet", "origin", "HEAD:main")
    costs.run(surroundings(store, tmp_path, ledger=repos.ledger(first)), NOON - DAY)
    store.execute("TRUNCATE TABLE logs")
    report = costs.run(surroundings(store, tmp_path / "other", ledger=repos.ledger(second)), NOON - DAY)
    assert report.cost == pytest.approx(BY_TOKENS)


def test_a_ledger_that_cannot_be_written_only_warns(store: LogStore, tmp_path: Path) -> None:
    class Full(Records):
        def append(self, record: dict[str, Any]) -> None:  # noqa: ARG002
            raise Unreachable("no remote")

    store.append([OLDER, line(USAGE, -14 * 3600)])
    found = surroundings(store, tmp_path, ledger=Full())
    assert costs.run(found, NOON - DAY).lines == 1
    assert any(kind == "warn" and "ledger" in text for kind, *_, text in found.observer.events)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("days", [1, 7])
def test_a_day_of_which_the_platform_may_have_forgotten_the_beginning_is_not_kept(
    store: LogStore, tmp_path: Path, days: int
) -> None:
    """Its plans keep 1, 7, 28 or 90 days: what is left of the oldest one would stand in the ledger as the whole."""
    store.append([line(USAGE, -days * 24 * 3600 + 5 * 3600), line(USAGE, -days * 24 * 3600 + 15 * 3600)])
    ledger = Records()
    report = costs.run(surroundings(store, tmp_path, ledger=ledger), NOON - days * DAY)
    assert report.lines == 2
    assert all(record["day"] != f"{NOON - days * DAY:%Y-%m-%d}" for record in ledger.written)


def test_the_budget_gauge_takes_the_worse_of_spent_and_expected(store: LogStore, tmp_path: Path) -> None:
    store.append([line(USAGE)])
    found = surroundings(store, tmp_path, Provider(0.1, monthly=12.0))
    report = costs.run(found, NOON)
    assert (report.budget.level, report.budget.spent) == ("warning", 12.0)


def test_an_empty_log_says_so(store: LogStore, tmp_path: Path) -> None:
    report = costs.run(surroundings(store, tmp_path), NOON - DAY)
    assert report.cost == 0 and report.per_request.mean is None and report.retry_share is None
    assert "No requests of the migrated functions in this time." in report.notes


BY_MODEL = r"^\[[^\]]+\] Usage (?P<model>[\w./:@-]+?): (?P<input>\d+) in, (?P<output>\d+) out"
OWN = {
    "openai": {"kind": "openai", "model": "gpt-4o-mini", "price": {"input": 1, "cached_input": 1, "output": 2}},
    "anthropic": {"kind": "anthropic", "model": "claude-sonnet-4-5",
                  "price": {"input": 3, "cached_input": 0.3, "output": 15}},
}  # fmt: skip


def own(store: LogStore, tmp_path: Path, usage: str, to: str = "anthropic") -> Context:
    """A migration to a provider that reports no spend, with log lines of its own."""
    return surroundings(
        store, tmp_path, providers=OWN, signals={"usage": {"pattern": usage}},
        migration={"name": "test", "functions": ["artifact", "fix"], "to": to},
    )  # fmt: skip


def test_costs_by_model(store: LogStore, tmp_path: Path) -> None:
    """Each model at the price of its provider, a build of it too; the rows add up; what has no source is named."""
    for text in (
        "claude-sonnet-4-5-20250929: 1000 in, 100 out",
        "gpt-4o-mini: 1000 in, 100 out",
        "grok-9: 1 in, 2 out",
    ):
        store.append([asked(), row(f"[req-000001] Usage {text}", function_id="id-a")])
    report = costs.run(own(store, tmp_path, BY_MODEL), NOON, "model")
    found = {line.key: (line.requests, line.tokens.total, line.cost) for line in report.rows}
    assert found == {
        "claude-sonnet-4-5-20250929": pytest.approx((1, 1100, 0.0045)),
        "gpt-4o-mini": pytest.approx((1, 1100, 0.0012)),
        "grok-9": pytest.approx((1, 3, 33e-6)),
    }
    assert sum(line.cost or 0 for line in report.rows) == pytest.approx(report.cost)
    assert {each.figure: each.why for each in report.unsourced} == {
        "billed": "anthropic is of kind anthropic, which reports no spend of a key",
        "as logged": "signals.usage has no group cost",
        "price of grok-9": "no provider of config.yaml with this model has a price: "
        "counted at that of claude-sonnet-4-5",
    }
    assert not any("could not read" in note for note in report.notes)


def test_model_that_no_line_names(store: LogStore, tmp_path: Path) -> None:
    """All lines then count as the model of migration.to, and that is said."""
    store.append([asked(), row("in=10 out=20", function_id="id-a")])
    usage = r"^in=(?P<input>\d+) out=(?P<output>\d+)"
    report = costs.run(own(store, tmp_path, usage, to="openai"), NOON, "model")
    assert [(line.key, line.requests, line.tokens.output) for line in report.rows] == [("gpt-4o-mini", 1, 20)]
    assert "every line counts as gpt-4o-mini" in {each.figure: each.why for each in report.unsourced}["model"]


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("gpt-4o-mini", 1.0), ("gpt-4o-mini-2024-07-18", 1.0), ("openai/gpt-4o-mini", 1.0), ("gpt-4o-mini-latest", 1.0),
        ("gpt-4o", None), ("gpt-4o-minimal", None), ("gpt-4o-mini-audio", None), ("", None),
    ],
)  # fmt: skip
def test_price_of_a_model(model: str, price: float | None, store: LogStore, tmp_path: Path) -> None:
    """A date or a version after the configured name is a build of it; another name is another model."""
    prices = Prices(own(store, tmp_path, BY_MODEL).config, built(Price, OWN["anthropic"]["price"]))
    assert (prices.priced(model), prices.of(model).input) == (price is not None, price or 3.0)
