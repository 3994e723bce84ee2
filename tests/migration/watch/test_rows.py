"""The query of a round over a real engine: requests counted in the look in which they started."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from migration.config import signals
from migration.logs.reader import LogReader
from migration.rehearsal.logstore import LogStore
from migration.watch import rows
from migration.watch.model import LookCounts
from migration.watch.rows import Reading, RowQuery
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, Direct, config, row
from tests.support.traffic import request

EVERY = timedelta(minutes=5)
FUNCTIONS = {"artifact": ("f-a", 8), "chat": ("f-c", 3)}


def read(store: LogStore, since: float, minutes: float, dearest: float | None = None) -> Reading:
    """The requests that started in so many minutes from `since` (minutes after noon)."""
    clock = VirtualClock(NOON + timedelta(days=1, hours=1))
    begin = NOON + timedelta(minutes=since)
    price = config().providers["openrouter"].price
    wanted = RowQuery(FUNCTIONS, begin, EVERY, signals.usage(config()), price=price, dearest=dearest)
    return rows.read(LogReader(Direct(store, clock), clock), wanted, begin, begin + timedelta(minutes=minutes))


def test_counts_of_a_look(store: LogStore) -> None:
    """Each answer counts once: served, failed, refused by the caller's fault, slow, with an error row, without cost."""
    store.append(request(10, seconds=2))
    store.append(request(20, seconds=9))
    store.append(request(30, status=503, usage=False))
    store.append(request(40, status=400, usage=False))
    store.append(request(50, usage=False, error=True))
    found = read(store, 0, 5).cells[0, "artifact"]
    assert found.counts == LookCounts(
        answers=4,
        failed=1,
        unavailable=1,
        slow=1,
        with_errors=1,
        successes=3,
        without_cost=1,
        refused=1,
        billed=3,
    )
    assert found.silent == 0


def test_start_decides(store: LogStore) -> None:
    """A request belongs to the look in which it started, though its row is written when it ends."""
    store.append(request(3600 + 295, seconds=20))
    found = read(store, 60, 10)
    assert found.answers(0) == 1 and found.answers(1) == 0


def test_rows_twice_count_once(store: LogStore) -> None:
    """The platform may deliver a row twice."""
    delivered = request(7200)
    store.append([*delivered, *delivered])
    assert read(store, 120, 5).answers(0) == 1


def test_other_versions_apart(store: LogStore) -> None:
    """Answers of another version are no evidence about this one; which version answers in a region is kept."""
    store.append(request(10_800, region="eu-west-1"))
    store.append(request(10_810, version=7, region="us-east-1"))
    store.append(request(10_820, version=7, region="eu-west-1"))
    found = read(store, 180, 5)
    assert found.cells[0, "artifact"].counts.answers == 1
    assert found.versions == {(0, "artifact", "eu-west-1"): 7, (0, "artifact", "us-east-1"): 7}


def test_cost_above_limit(store: LogStore) -> None:
    """A request whose usage line costs more than the dearest tolerable one is counted."""
    store.append([*request(14_400, cost=0.02), *request(14_410, cost=0.001)])
    found = read(store, 240, 5, dearest=0.01).cells[0, "artifact"].counts
    assert (found.too_expensive, found.successes) == (1, 2)


def test_bursts_of_lines(store: LogStore) -> None:
    """A hundred events in 10 s: the platform dropped what was above, so counts from lines say nothing."""
    many = [row("x", 18_005 + n / 1000, execution_id="e", function_id="f-a", version="8") for n in range(98)]
    store.append([*request(18_000), *many])
    assert "100 log events in 10 s" in read(store, 300, 5).look(_wanted(300), 0, ["artifact"]).incomplete


def test_missing_lines(store: LogStore) -> None:
    """Served requests without one line of the function are lost rows where each must log its usage; else a function
    may be silent."""
    store.append([one for n in range(12) for one in request(21_600 + n, usage=False, lines=False)])
    found, wanted = read(store, 360, 5), _wanted(360)
    assert found.lost(wanted, 0, ["artifact"]).startswith("12 of 12 served requests have no line")
    assert found.look(wanted, 0, ["artifact"]).incomplete
    free = replace(wanted, promised=False)
    assert not found.lost(free, 0, ["artifact"]) and not found.look(free, 0, ["artifact"]).incomplete
    assert not found.lost(replace(wanted, usage=None), 0, ["artifact"])


def test_own_requests_marked(store: LogStore) -> None:
    """Probes are known by the user agent that they are sent with."""
    store.append([*request(25_200, agent="cutover-probe"), *request(25_210)])
    assert read(store, 420, 5).cells[0, "artifact"].counts.probes == 1


def _wanted(minutes: float) -> RowQuery:
    return RowQuery(FUNCTIONS, NOON + timedelta(minutes=minutes), EVERY, signals.usage(config()))
