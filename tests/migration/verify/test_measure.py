"""Evidence is gathered part by part: what cannot be measured says why, and the rest is there all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.evidence import Missing, Month, ProviderEvidence, Traffic
from migration.base.errors import ApiError
from migration.clients.openrouter import KeyInfo
from migration.clients.supabase_types import Function
from migration.context import Context
from migration.rehearsal.logstore import LogStore
from migration.verify import measure
from migration.verify.subject import Subject
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, Direct, context, row

LIVE = {"artifact": Function("f-artifact", "artifact", "artifact", "ACTIVE", 2)}


class Key:
    """The provider with a key whose month a test sets."""

    def __init__(self, **counters: float | None) -> None:
        self.counters: dict[str, float | None] = {
            "usage": 9.0, "usage_daily": 0.5, "usage_monthly": 3.0, **counters,
        }  # fmt: skip

    def key(self) -> KeyInfo:
        return KeyInfo(label="k", **self.counters)  # type: ignore[arg-type]


class Edge:
    """A project to which nothing may be sent."""

    def call(self, function: str, **_: Any) -> Any:
        raise AssertionError(f"a request was sent to {function}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    store = LogStore(tmp_path_factory.mktemp("logs"))
    edge = {"request__method": "POST", "response__status_code": "200", "execution_time_ms": "1000", "version": "2"}
    store.append([row("x", 1, source="function_edge_logs", function_id="f-artifact", execution_id="e1", **edge)])
    yield store
    store.close()


@pytest.fixture
def own(store: LogStore, tmp_path: Path) -> Context:
    found = context(tmp_path, Direct(store, VirtualClock(NOON + timedelta(hours=1))))
    found.__dict__.update(provider=Key(), edge=Edge())
    return found


def about(**more: Any) -> Subject:
    return Subject(
        **{"live": LIVE, "before": {}, "since": NOON, "until": NOON + timedelta(hours=1), "changed": NOON, **more}
    )


def source(own: Context) -> Direct:
    found = own.__dict__["supabase"]
    assert isinstance(found, Direct)
    return found


def test_every_part_is_there_or_says_why_it_is_not(own: Context) -> None:
    found = measure.gather(own, about())
    assert isinstance(found.traffic, tuple) and isinstance(found.traffic[0], Traffic)
    assert found.traffic[0].statuses == {200: 1}
    assert found.before == Missing("no earlier version is recorded")
    assert isinstance(found.provider, ProviderEvidence) and isinstance(found.month, Month)
    assert found.window.versions == {"artifact": 2}


def test_a_part_that_fails_leaves_the_others_alone(own: Context) -> None:
    refusal = ApiError("the logs were refused", status=403, body="", operation="reading the logs")
    source(own).failures = [refusal]
    found = measure.gather(own, about())
    assert found.traffic == Missing("the logs were refused")
    assert not isinstance(found.spend, Missing)


def test_in_a_gate_nothing_is_asked_about_before(own: Context) -> None:
    """The rate limit of the log endpoint is tight, and a gate decides on what this deployment did."""
    measure.gather(own, about(before={"artifact": 1}, gate=True))
    asked = len(source(own).queries)
    measure.gather(own, about(before={"artifact": 1}))
    assert (asked, len(source(own).queries) - asked) == (3, 5)


@pytest.mark.parametrize(
    ("day", "spent", "projected"),
    [(2, 3.0, None), (3, 3.0, None), (16, 3.0, pytest.approx(3.0 / 15.5 * 30)), (30, 29.5, pytest.approx(30.0))],
)
def test_a_month_is_projected_once_three_days_of_it_have_passed(
    own: Context, day: int, spent: float, projected: float | None
) -> None:
    own.clock = VirtualClock(datetime(2026, 11, day, 12, tzinfo=NOON.tzinfo))
    own.__dict__["provider"] = Key(usage_monthly=spent)
    month = measure.gather(own, about()).month
    assert isinstance(month, Month)
    assert (month.spent, month.projected) == (spent, projected)


def test_a_provider_that_does_not_tell_the_month_is_not_measured(own: Context) -> None:
    own.__dict__["provider"] = Key(usage_monthly=None)
    assert measure.gather(own, about()).month == Missing("the provider does not report what this month has cost")


def test_an_untouched_function_that_is_not_deployed_or_does_not_answer_is_told(own: Context) -> None:
    gone = measure.gather(own, about()).unchanged["chat"]
    assert not isinstance(gone, Missing) and (gone.answers, gone.differs) == (False, ("it is not deployed",))
    live = {**LIVE, "chat": Function("f-chat", "chat", "chat", "ACTIVE", 1)}
    silent = measure.gather(own, about(live=live, gate=True)).unchanged["chat"]
    assert not isinstance(silent, Missing) and (silent.answers, silent.status) == (None, 0)


@pytest.mark.parametrize(
    ("before", "same"),
    [(None, None), ({}, False), ({"version": 1, "ezbr_sha256": "a"}, True), ({"version": 1, "ezbr_sha256": "b"}, False),
     ({"version": 2, "ezbr_sha256": "a"}, False)],
)  # fmt: skip
def test_in_a_gate_version_and_bundle_must_be_those_from_before(
    own: Context, before: dict[str, Any] | None, same: bool | None
) -> None:
    chat = Function("f-chat", "chat", "chat", "ACTIVE", 1, ezbr_sha256="a")
    listed = (
        None if before is None else {"chat": Function("f-chat", "chat", "chat", "ACTIVE", **before)} if before else {}
    )
    found = measure.gather(own, about(live={**LIVE, "chat": chat}, listed=listed, gate=True)).unchanged["chat"]
    assert not isinstance(found, Missing) and found.same_version is same
