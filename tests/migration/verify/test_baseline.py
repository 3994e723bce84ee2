"""Before means the code at app.base, however many deployments followed it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from checks.evidence import Missing, Spend
from migration.config.settings import Signal
from migration.context import Context
from migration.ledger.deployments import History
from migration.rehearsal.logstore import LogStore
from migration.verify import baseline, measure, readings
from migration.verify.readings import LiveVersions
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, Direct, context, row
from tests.support.repos import fold

BASE, FIRST, HOTFIX = "a" * 40, "b" * 40, "c" * 40


SLUGS = ["make"]


def deployed(n: int, revision: str, before: int, **more: Any) -> list[dict[str, Any]]:
    at = (NOON + timedelta(hours=n)).isoformat()
    change = {"slug": "make", "action": "update", "before": {"version": before}, "wanted": {}}
    intent = {"record": "intent", "kind": "deploy", "deployment": f"d{n}", "at": at, "functions": [change]}
    after = [{"slug": "make", "after": {"version": before + 1}}]
    ended = {"record": "outcome", "deployment": f"d{n}", "at": at, "outcome": "live", "functions": after}
    return [{**intent, "to": None, "revision": revision, **more}, ended]


def history(*records: list[dict[str, Any]]) -> History:
    return fold([one for pair in records for one in pair])


def test_a_hotfix_changes_no_before() -> None:
    """v7 is the base: the first deployment replaced it, and the hotfix that followed replaced new code."""
    records = history(deployed(1, FIRST, 7), deployed(2, HOTFIX, 8))
    code = baseline.base_code(records, BASE, SLUGS)
    assert code is not None and code.replaced is not None
    assert (dict(code.versions), code.replaced.id) == ({"make": 7}, "d1")


@pytest.mark.parametrize("named", [BASE, BASE[:7]])
def test_a_deployed_base_is_found_by_revision(named: str) -> None:
    records = history(deployed(1, BASE, 6), deployed(2, FIRST, 7), deployed(3, HOTFIX, 8))
    code = baseline.base_code(records, named, SLUGS)
    assert code is not None and code.replaced is not None
    assert (dict(code.versions), code.replaced.id) == ({"make": 7}, "d2")
    assert baseline.base_code(history(deployed(1, BASE, 6)), named, SLUGS).replaced is None  # type: ignore[union-attr]


def test_an_empty_ledger_knows_no_base() -> None:
    assert baseline.base_code(history(), BASE, SLUGS) is None
    assert baseline.known(history(), BASE) is None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    store = LogStore(tmp_path_factory.mktemp("logs"))
    edge = {"request__method": "POST", "execution_time_ms": "1000", "version": "7"}
    for n, status in enumerate(("200", "200", "503")):
        answer = {**edge, "response__status_code": status, "execution_id": f"e{n}"}
        store.append([row(f"x{n}", 1, source="function_edge_logs", function_id="f-make", **answer)])
    yield store
    store.close()


@pytest.fixture
def own(store: LogStore, tmp_path: Path) -> Context:
    return context(tmp_path, Direct(store, VirtualClock(NOON + timedelta(hours=1))))


class Kept:
    """A ledger that keeps what is appended."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, record: dict[str, Any]) -> None:
        self.records.append({"id": "x", "at": NOON.isoformat(), **record})


def test_the_first_deploy_keeps_the_figures(own: Context) -> None:
    """Measured once, while the base is live, and read back as numbers; never again after that."""
    from migration.clients.supabase_types import Function

    own.config = structs.replace(
        own.config,
        migration=structs.replace(own.config.migration, functions=["make"], unchanged=[]),
        app=structs.replace(own.config.app, base=BASE),
    )
    ledger = own.__dict__["ledger"] = Kept()
    live = {"make": Function("f-make", "make", "make", "ACTIVE", 7)}
    measure.keep_baseline(own, history(), live, BASE)
    figures = baseline.known(fold(ledger.records), BASE)
    assert figures is not None
    assert (figures.traffic[0].successes, figures.traffic[0].count(503)) == (2, 1)
    assert list(figures.traffic[0].seconds.values()) == [2]
    measure.keep_baseline(own, fold(ledger.records), live, BASE)
    measure.keep_baseline(own, history(deployed(1, FIRST, 7)), live, BASE)
    assert len(ledger.records) == 1


def test_costs_are_counted_where_they_are_logged(own: Context) -> None:
    """`signals.usage.functions` names the functions that write a usage line: others have none to miss."""
    usage = Signal(pattern=own.config.signals["usage"].pattern, functions=["other"])
    own.config = structs.replace(own.config, signals={**own.config.signals, "usage": usage})
    scope = LiveVersions({"make": ("f-make", 7)}, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    from migration.logs.reader import LogReader

    found = measure.spend(own, LogReader.of(own), scope)
    assert not isinstance(found, Missing)
    assert (found.successes, found.missing) == (0, 0)


def test_costs_before_are_those_of_the_old_provider(own: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens of the code before have the price of the provider that it calls, not of the one the migration moves to."""
    from migration.config.settings import Price, ProviderSettings
    from migration.logs.reader import LogReader

    old, new = (
        ProviderSettings(kind="openai", price=Price(input=price, cached_input=price, output=price))
        for price in (1.0, 3.0)
    )
    named = structs.replace(own.config.migration, from_="old", to="new")
    own.config = structs.replace(own.config, migration=named, providers={"old": old, "new": new})
    seen: list[Price | None] = []

    def spend(*given: Any) -> Spend:
        seen.append(given[-1])
        return Spend(0, 0)

    monkeypatch.setattr(readings, "spend", spend)
    scope = LiveVersions({"make": ("f-make", 7)}, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    for before in (True, False):
        measure.spend(own, LogReader.of(own), scope, before=before)
    own.config = structs.replace(own.config, migration=structs.replace(named, from_=None))
    measure.spend(own, LogReader.of(own), scope, before=True)
    assert seen == [old.price, new.price, new.price]
