"""A soak decides as the sequential test does, however its answers come, and stops where it was told to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Interrupted, Refused
from migration.config.environment import Environment
from migration.config.settings import Config, Soak
from migration.context import Context
from migration.verify import samples, soak
from migration.verify.checks_run import failing
from migration.verify.samples import Sample
from migration.verify.sequential import Sprt
from migration.verify.soak_requests import SpendMeter
from tests.migration.verify.test_sequential import run
from tests.support import repos
from tests.support.built import built
from tests.support.clock import VirtualClock
from tests.support.collector import Collector

CONFIG = built(
    Config,
    {
        "migration": {"name": "test", "functions": ["make"]},
        "app": {"path": "app"},
        "environments": {"prod": {"url": "http://127.0.0.1:9"}},
    },
)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    environment = Environment("prod", "http://127.0.0.1:9")
    return Context(CONFIG, environment, tmp_path, tmp_path / "app", Collector(), VirtualClock())


def answers(context: Context, rate: float, seed: int = 1) -> list[bool]:
    chance = random.Random(f"{seed}:{rate}")
    return [chance.random() < rate for _ in range(context.config.soak.max_requests)]


def asker(context: Context, fate: list[bool], pause: Callable[[bool], float] = lambda _: 0.0) -> soak.Ask:
    def ask(number: int) -> Sample:
        ok = fate[number]
        time.sleep(pause(ok))
        detail = "" if ok else "503 PROVIDER_OVERLOADED"
        return Sample(
            context.clock.now(),
            "make",
            "counter",
            ok,
            200 if ok else 503,
            2.0 + number,
            ok,
            f"e{number}",
            detail,
        )

    return ask


def meter(context: Context, unit: float = 0.001) -> SpendMeter:
    return SpendMeter(lambda: None, unit, context.clock)


def settings(**more: Any) -> Soak:
    return built(Soak, more)


def no_hope(_: Sample) -> str:
    return ""


def pursue(context: Context, fate: list[bool], stop: soak.Stop = no_hope, **more: Any) -> soak.SoakResult:
    return soak.pursue(context, settings(**more), asker(context, fate), meter(context), stop)


@pytest.mark.parametrize("rate,verdict", [(1.0, "pass"), (0.5, "fail"), (0.7, "fail")])
def test_the_verdict_says_what_was_decided(context: Context, rate: float, verdict: str) -> None:
    found = pursue(context, answers(context, rate))
    words = {"pass": "; a rate below 95% is ruled out", "fail": " succeeded, below the 95% floor"}
    assert (found.verdict, found.stopped) == (verdict, "boundary")
    assert found.decision.endswith(words[verdict]) and found.decision.startswith(f"{found.successes} of ")
    assert found.exit_code == {"pass": 0, "fail": 1}[verdict]


@pytest.mark.parametrize("width", [1, 4, 64])
def test_a_perfect_provider_is_settled_by_73_requests_and_not_one_more_is_paid_for(
    context: Context, width: int
) -> None:
    found = pursue(context, answers(context, 1.0), concurrency=width)
    assert (found.requests, found.successes, found.sent) == (73, 73, 73)
    assert found.interval == pytest.approx((0.025 ** (1 / 73), 1.0))
    assert (found.p50, found.p95, found.p99) == (38.0, 71.0, 74.0)
    assert found.cost == pytest.approx(0.073)


@pytest.mark.parametrize("width", [1, 4, 16])
@pytest.mark.parametrize("rate", [0.5, 0.9, 0.97])
def test_concurrency_changes_neither_the_verdict_nor_what_it_rests_on(
    context: Context, rate: float, width: int
) -> None:
    """Failures come back at once and successes late: counted as they come, the failures would decide."""
    for seed in range(4):
        fate = answers(context, rate, seed)
        expected = run(Sprt(), fate)
        quick = asker(context, fate, lambda ok: 0.002 if ok else 0.0)
        found = soak.pursue(context, settings(concurrency=width), quick, meter(context), no_hope)
        assert (found.successes, found.requests - found.successes) == expected[1:]
        assert found.verdict == {"accept": "pass", "reject": "fail", None: "inconclusive"}[expected[0]]
        assert found.requests <= found.sent < found.requests + 2 * width


def test_the_request_limit_leaves_it_unsettled(context: Context) -> None:
    found = pursue(context, answers(context, 1.0), max_requests=20)
    assert (found.verdict, found.stopped, found.requests, found.exit_code) == ("inconclusive", "requests", 20, 4)
    assert found.decision.endswith("not settled between 99% and 95%: the request limit was reached")


def test_the_dollar_limit_is_never_passed(context: Context) -> None:
    found = pursue(context, answers(context, 1.0), max_cost=0.02)
    assert (found.verdict, found.stopped) == ("inconclusive", "cost")
    assert found.sent == 20


def test_the_time_limit_ends_it(context: Context) -> None:
    def ask(_: int) -> Sample:
        context.clock.sleep(60)
        return Sample(context.clock.now(), "make", "counter", True, 200, 60.0)

    found = soak.pursue(context, settings(max_time="10m", concurrency=1), ask, meter(context), no_hope)
    assert (found.verdict, found.stopped, found.requests) == ("inconclusive", "time", 11)


def test_an_answer_that_makes_going_on_pointless_ends_it_at_once(context: Context) -> None:
    fate = [True] * 5 + [False] + [True] * 300
    found = pursue(context, fate, lambda _: "the key is disabled", concurrency=1)
    assert (found.verdict, found.stopped, found.requests) == ("inconclusive", "abandoned", 6)
    assert found.reasons == ("the key is disabled",)
    assert found.exit_code == 4


def test_even_when_it_would_settle_the_question_a_dead_key_decides_nothing(context: Context) -> None:
    found = pursue(context, [False] * 300, lambda _: "the key is dead", max_requests=1, accept=0.99, reject=0.01)
    assert (found.verdict, found.decision) == (
        "inconclusive",
        "0 of 1 succeeded, not settled between 99% and 1%: stopped early",
    )


def test_callers_who_are_limited(context: Context) -> None:
    """Where all that failed was a 429, fewer requests are what helps; the answer to look at is kept."""

    def ask(number: int) -> Sample:
        return Sample(context.clock.now(), "make", "counter", number < 30, 200 if number < 30 else 429, 1.0,
                      execution=f"e{number}", detail="" if number < 30 else "429 slow down")  # fmt: skip

    found = soak.pursue(context, settings(concurrency=1), ask, meter(context), no_hope)
    assert (found.verdict, found.failures) == ("fail", ("3 × counter: 429 slow down (for example e32)",))
    assert "a lower soak.reject" in str(found.next[0]) and found.failed and found.failed.execution == "e32"
    assert pursue(context, [False] * 300).next == ()


def test_failures_are_named_by_kind_with_a_request_to_look_at(context: Context) -> None:
    found = pursue(context, [False] * 300)
    assert found.failures == ("2 × counter: 503 PROVIDER_OVERLOADED (for example e1)",)


def test_every_answer_is_kept_for_the_criteria(context: Context) -> None:
    found = pursue(context, answers(context, 1.0), concurrency=1)
    kept = samples.recent(context, context.clock.now().replace(year=2000), context.clock.now().replace(year=2100))
    counted = samples.artifacts(kept)
    assert (counted.tried, counted.worked, counted.valid) == (found.sent,) * 3


def test_the_answers_of_an_interrupted_soak_are_kept_too(context: Context) -> None:
    class Signalled(Collector):
        def step(self, name: str, subject: str = "", detail: str = "") -> None:
            super().step(name, subject, detail)
            if detail.startswith("3 of 3"):
                raise Interrupted

    context.observer = Signalled()
    with pytest.raises(Interrupted):
        pursue(context, answers(context, 1.0), concurrency=1)
    now = context.clock.now()
    assert len(samples.recent(context, now.replace(year=2000), now.replace(year=2100))) == 3


def test_the_quote_says_the_most_it_may_cost_and_what_is_likely() -> None:
    offer = soak.quote(settings())
    assert str(offer) == "At most 300 requests and $2.00; about 113 requests if 99% of them succeed"


@pytest.mark.parametrize(
    "limits,words",
    [
        ({"max_requests": -1}, "--max-requests -1"),
        ({"concurrency": 65}, "--concurrency 65"),
        ({"max_cost": -0.5}, "--max-cost -0.5"),
    ],
)
def test_a_cap_that_is_none_is_refused(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        soak.limited(settings(), **limits)


def test_a_way_back_is_named_where_there_is_one(context: Context, tmp_path: Path) -> None:
    """After a failure: not where nothing was deployed, and no more once it was rolled back."""
    repos.alone(tmp_path / "app")
    own = context.__dict__["ledger"] = repos.ledger(tmp_path / "app")

    def back() -> list[str]:
        return [str(step) for step in failing(context)][1:]

    def deployed(name: str, outcome: str, version: int, **more: Any) -> None:
        change = {"slug": "make", "action": "update", "wanted": {}, "before": {"version": version - 1}}
        head = {"record": "intent", "kind": "deploy", "revision": f"r-{name}", "base_revision": "r-0", **more}
        own.append({**head, "deployment": name, "functions": [change]})
        after = [{"slug": "make", "after": {"version": version}}]
        own.append({"record": "outcome", "deployment": name, "outcome": outcome, "functions": after})

    assert back() == []
    deployed("d1", "live", 2)
    assert back() == ["or to take the deployment back:", "inv rollback"]
    deployed("r1", "rolled_back", 3, kind="rollback", to=None)
    assert back() == []
