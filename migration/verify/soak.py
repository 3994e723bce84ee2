"""`inv soak`: repeated requests until the success rate is settled, as few of them as the mathematics allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import structs

from checks import stats
from checks.criteria.answers import percent, share
from migration.base.command import Do, Step, inv
from migration.base.errors import Refused
from migration.base.numbers import at_most, count
from migration.config.builder import Problems, build
from migration.config.settings import Soak
from migration.verify import samples, sequential, soak_requests
from migration.verify.checks_run import failing
from migration.verify.samples import Sample
from migration.verify.sequential import Pursuit, Sprt, SprtDecision
from migration.verify.soak_requests import SpendMeter, StopReason

if TYPE_CHECKING:
    from migration.context import Context

_LIMITED = Do("if the function limits its callers, let fewer requests decide: a lower soak.reject in config.yaml")
_DRAIN = 15.0  # seconds given to requests that are under way when the verdict stands
_VERDICTS: dict[SprtDecision | None, str] = {"accept": "pass", "reject": "fail", None: "inconclusive"}
_CODES = {"pass": 0, "fail": 1, "inconclusive": 4}
_ENDS = {
    "requests": "the request limit was reached",
    "cost": "the dollar limit was reached",
    "time": "the time limit was reached",
    "abandoned": "stopped early",
}


@dataclass(frozen=True)
class SoakResult:
    """What was decided, and on what. Times in seconds, cost in USD, `interval` the exact 95% one of the share.

    `stopped`: boundary, requests, cost, time, or abandoned. `sent` also counts requests under way when it was settled.
    `failed`: the last answer of the most frequent kind of failure.
    """

    verdict: str
    decision: str
    stopped: str
    requests: int
    successes: int
    interval: tuple[float, float]
    p50: float | None
    p95: float | None
    p99: float | None
    cost: float
    cost_measured: bool
    seconds: float
    sent: int
    reasons: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    test: Sprt = field(default_factory=Sprt)
    next: tuple[Step, ...] = ()
    failed: Sample | None = field(default=None, repr=False, compare=False)

    @property
    def exit_code(self) -> int:
        return _CODES[self.verdict]


@dataclass(frozen=True)
class Quote:
    """The most that a soak may come to, and what it takes if the rate is as good as `accept`."""

    requests: int
    cost: float
    expected_requests: float
    test: Sprt

    def __str__(self) -> str:
        return (
            f"At most {count(self.requests, 'request')} and {at_most(self.cost)}; about {self.expected_requests:.0f} "
            f"requests if {percent(self.test.accept)} of them succeed"
        )


@dataclass
class _Run:
    """What a soak has seen so far."""

    test: Sprt
    successes: int = 0
    failures: int = 0
    stopped: str = ""
    seen: list[Sample] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.successes + self.failures

    @property
    def decision(self) -> SprtDecision | None:
        return self.test.decide(self.successes, self.failures)


Ask = Callable[[int], Sample]
Stop = Callable[[Sample], str]  # why more requests cannot help, "" when they can


def limited(settings: Soak, **limits: float | None) -> Soak:
    """The settings with other caps. Refused for a value that is not a cap."""
    given = {name: value for name, value in limits.items() if value is not None}
    problems: Problems = []
    soak: Soak = build(Soak, {**structs.asdict(settings), **given}, (), problems)
    if problems:
        (name, *_), why = problems[0]
        flag, words = str(name).replace("_", "-"), why.partition(", got ")[0]
        raise Refused(f"--{flag} {given[str(name)]}: {words}", inv("soak", help=True, env=""))
    return soak


def quote(settings: Soak) -> Quote:
    """The most that a soak may cost, before it starts."""
    test = sprt(settings)
    return Quote(test.most, settings.max_cost, sequential.odds(test, test.accept).requests, test)


def sprt(settings: Soak) -> Sprt:
    return Sprt(settings.accept, settings.reject, settings.alpha, settings.beta, settings.max_requests)


def run(
    context: Context,
    *,
    confirm: Callable[[str], bool] | None = None,
    max_requests: int | None = None,
    max_cost: float | None = None,
    concurrency: int | None = None,
) -> SoakResult:
    """Send smoke cases of the migrated functions until the test is settled or a cap is met. Refused without a case."""
    settings = limited(context.config.soak, max_requests=max_requests, max_cost=max_cost, concurrency=concurrency)
    ask = soak_requests.asker(context, settings)
    offer = quote(settings)
    context.observer.note(f"{offer}.")
    if confirm is not None and not confirm(f"Soak {context.environment.name}"):
        raise Refused("Not confirmed: nothing was sent.", inv("soak", yes=True))
    meter = soak_requests.meter(context)
    return pursue(context, settings, ask, meter, StopReason(context))


def pursue(context: Context, settings: Soak, ask: Ask, meter: SpendMeter, stop: Stop) -> SoakResult:
    """The test itself: `ask(n)` sends request n. Answers count in the order of their numbers."""
    so_far = _Run(sprt(settings))
    clock = context.clock
    began = clock.monotonic()

    def more(number: int) -> bool:
        pending = pursuit.sent - so_far.requests
        if number >= settings.max_requests or so_far.test.decide(so_far.successes + pending, so_far.failures):
            return False  # what is under way may settle it
        if not meter.covers(settings.max_cost, pursuit.sent - meter.requests):
            so_far.stopped = "cost"
        elif clock.monotonic() - began > settings.max_time:
            so_far.stopped = "time"
        return not so_far.stopped

    pursuit: Pursuit[Sample] = Pursuit(ask, settings.concurrency, more)
    late: list[Sample] = []
    try:
        reason = _follow(context, pursuit, so_far, meter, stop)
        late = pursuit.drain(_DRAIN)
    finally:  # an interrupted soak was paid for like any other
        samples.record(context, [*so_far.seen, *late])
    for _ in late:
        meter.count()
    meter.refresh(now=True)
    return _result(context, so_far, meter, clock.monotonic() - began, pursuit.sent, reason)


def _follow(context: Context, pursuit: Pursuit[Sample], so_far: _Run, meter: SpendMeter, stop: Stop) -> str:
    """Count answers until they settle it; returns why it was stopped early, if it was."""
    for sample in pursuit:
        meter.count()
        meter.refresh()
        _count(so_far, sample)
        context.observer.step("soak", detail=_progress(so_far, meter))
        reason = "" if sample.ok else stop(sample)
        if reason:
            so_far.stopped = "abandoned"
        if reason or so_far.decision:
            return reason
    return ""


def _count(so_far: _Run, sample: Sample) -> None:
    so_far.seen.append(sample)
    if sample.ok:
        so_far.successes += 1
    else:
        so_far.failures += 1


def _progress(so_far: _Run, meter: SpendMeter) -> str:
    interval = stats.exact(so_far.successes, so_far.requests)
    return f"{so_far.successes} of {so_far.requests} succeeded, {share(interval)}, ${meter.cost:.2f}"


def _result(context: Context, so_far: _Run, meter: SpendMeter, seconds: float, sent: int, reason: str) -> SoakResult:
    decision = None if so_far.stopped == "abandoned" else so_far.decision
    stopped = "boundary" if decision else so_far.stopped or "requests"
    interval = stats.exact(so_far.successes, so_far.requests) if so_far.requests else stats.Interval(0, 0, 1)
    result = SoakResult(
        verdict=_VERDICTS[decision],
        decision=_words(so_far, decision, stopped),
        stopped=stopped,
        requests=so_far.requests,
        successes=so_far.successes,
        interval=(interval.low, interval.high),
        **_latency(so_far.seen),
        cost=round(meter.cost, 6),
        cost_measured=meter.measured,
        seconds=seconds,
        sent=sent,
        reasons=(reason,) if reason else (),
        failures=_failures(so_far.seen),
        test=so_far.test,
        next=_next(context, decision, reason, _limited(so_far.seen)),
        failed=_example(so_far.seen),
    )
    context.observer.settled(result.verdict, "soak", count(sent, "request"), seconds)
    return result


def _next(context: Context, decision: SprtDecision | None, reason: str, limited: bool) -> tuple[Step, ...]:
    """What to look at where it stopped early or failed, and the way back of a project."""
    if reason:
        return (inv("doctor"),)
    if decision != "reject":
        return ()
    if limited:
        return (_LIMITED,)
    return failing(context) if context.environment.project_ref else ()


def _words(so_far: _Run, decision: SprtDecision | None, stopped: str) -> str:
    good, bad = percent(so_far.test.accept), percent(so_far.test.reject)
    counted = f"{so_far.successes} of {so_far.requests} succeeded"
    if decision == "accept":
        return f"{counted}; a rate below {bad} is ruled out"
    if decision:
        below = so_far.successes < so_far.test.reject * so_far.requests
        return f"{counted}, below the {bad} floor" if below else f"{counted}; a rate of {good} is ruled out"
    return f"{counted}, not settled between {good} and {bad}: {_ENDS[stopped]}"


def _latency(seen: Sequence[Sample]) -> dict[str, Any]:
    """p50, p95 and p99 of the successful requests, None without any."""
    counts = Counter(round(sample.seconds, 3) for sample in seen if sample.ok)
    return {f"p{n}": stats.quantile(counts, n / 100) if counts else None for n in (50, 95, 99)}


def _kind(sample: Sample) -> str:
    return f"{sample.case}: {sample.detail or sample.status}"


def _failures(seen: Sequence[Sample]) -> tuple[str, ...]:
    """What went wrong, by case and kind, the most frequent first, each with one request to look at."""
    counts = Counter(_kind(sample) for sample in seen if not sample.ok)
    example = {_kind(sample): sample.execution for sample in seen if not sample.ok}
    return tuple(f"{n} × {kind}" + (f" (for example {example[kind]})" if example[kind] else "")
                 for kind, n in counts.most_common(5))  # fmt: skip


def _example(seen: Sequence[Sample]) -> Sample | None:
    bad = [sample for sample in seen if not sample.ok]
    most = Counter(map(_kind, bad)).most_common(1)
    return next((sample for sample in reversed(bad) if most and _kind(sample) == most[0][0]), None)


def _limited(seen: Sequence[Sample]) -> bool:
    """Whether all that failed was refused for coming too often."""
    return {sample.status for sample in seen if not sample.ok} == {429}
