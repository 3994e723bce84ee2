"""Whether callers are served: `success_rate`, `no_503`, `no_errors_in_logs`, `answers_work` and `code_quality`."""

from __future__ import annotations

from checks import stats
from checks.criterion import criterion, failed, named, need, passed, unclear
from checks.evidence import Evidence, Traffic, together
from checks.result import CriterionOptions, Judgement

_AT_LEAST = 0.99
_GOOD, _POOR = 0.95, 0.80


@criterion("no_503", gate="decides")
def no_503(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """503 answers to callers of the migrated functions; a retried 503 that the caller never saw does not count.

    Reads `at_most` (how many are allowed, 0).
    """
    traffic = together(need(evidence.traffic))
    allowed = int(options.at_most or 0)
    count = traffic.count(503)
    expected = f"at most {allowed} 503 answers" if allowed else "no 503 answers"
    got = f"{count} of {traffic.requests} requests answered 503"
    if count > allowed:
        return failed(expected, got, *named(o for o in traffic.offenders if o.detail.startswith("503")))
    return passed(expected, got) if traffic.trials else unclear(expected, _quiet(traffic))


@criterion("no_errors_in_logs", gate="decides")
def no_errors_in_logs(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Log rows of the migrated functions at level error, uncaught exceptions and boot failures.

    Reads `at_most` (how many are allowed, 0). Inconclusive without a request.
    """
    faults = need(evidence.faults)
    allowed = int(options.at_most or 0)
    expected = f"at most {allowed} errors" if allowed else "no errors"
    kinds = ", ".join(f"{count} {kind}" for kind, count in faults.kinds.items() if count)
    got = f"{faults.rows} error{'' if faults.rows == 1 else 's'}" + (f" ({kinds})" if kinds else "")
    if faults.rows > allowed:
        return failed(expected, got, *named(faults.offenders))
    requests = together(need(evidence.traffic)).requests
    return passed(expected, f"{got} in {requests} requests") if requests else unclear(expected, f"{got}; no traffic")


@criterion("success_rate", gate="vetoes")
def success_rate(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Share of requests to the migrated functions that were served, by its exact 95% interval.

    Reads `at_least` (0.99), `reject` (what the interval must exclude to pass; `at_least` itself) and `baseline`.
    Answers that are the caller's fault (400, 401, 404, …) are left out.
    """
    traffic = together(need(evidence.traffic))
    wanted, reject = bounds(options)
    expected = f"at least {percent(wanted)}" + (f", interval above {percent(reject)}" if reject < wanted else "")
    if not traffic.trials:
        return _open_rate(expected, _quiet(traffic), traffic, (wanted, reject), ())
    served, trials = traffic.successes, traffic.trials
    got = f"{served} of {trials} served, {share(stats.exact(served, trials))}"
    facts = (*_before(evidence, options), *named(traffic.offenders))
    decided = settled(served, trials, wanted, reject)
    if decided is None:
        return _open_rate(expected, got, traffic, (wanted, reject), facts)
    return passed(expected, got, *facts) if decided else failed(expected, got, *facts)


@criterion("answers_work", gate="decides")
def answers_work(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Requests to the migrated functions, sent by smoke cases and soaks, whose answers met every expectation.

    Reads `at_least` (1: every one of them; below 1, the measured share) and `requests` (1).
    """
    answers = need(evidence.answers)
    wanted = 1.0 if options.at_least is None else options.at_least
    least = max(1 if options.requests is None else options.requests, 1)
    expected = "every answer as expected" if wanted >= 1 else f"at least {percent(wanted)} as expected"
    got = f"{answers.worked} of {answers.tried} as expected" if answers.tried else "no request was sent"
    if answers.tried and answers.worked < wanted * answers.tried:
        return failed(expected, got, *named(answers.offenders))
    if answers.tried < least:
        return unclear(expected, got, f"{least} or more requests are needed", settle=("smoke",))
    return passed(expected, got, *named(answers.offenders))


@criterion("code_quality")
def code_quality(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Share of valid artifacts among those delivered: well-formed, parsed by Deno, with a default export.

    Reads `at_least` (0.95) and `reject` (0.80, what the exact interval must exclude to pass).
    """
    artifacts = need(evidence.artifacts)
    wanted, reject = bounds(options, _GOOD)
    reject = min(_POOR, wanted) if options.reject is None else reject
    expected = f"at least {percent(wanted)} valid, interval above {percent(reject)}"
    delivered = artifacts.delivered
    if not delivered:
        return unclear(expected, "no artifact was delivered", settle=("smoke",))
    got = f"{artifacts.valid} of {delivered} valid, {share(stats.exact(artifacts.valid, delivered))}"
    decided = settled(artifacts.valid, delivered, wanted, reject)
    if decided is None:
        return unclear(expected, got, "more requests are needed", *named(artifacts.offenders), settle=("soak",))
    return passed(expected, got) if decided else failed(expected, got, *named(artifacts.offenders))


# Shares, their limits and how they are written.


def bounds(options: CriterionOptions, at_least: float = _AT_LEAST) -> tuple[float, float]:
    """What a share must reach as measured, and what its interval must exclude."""
    wanted = at_least if options.at_least is None else options.at_least
    return wanted, wanted if options.reject is None else min(options.reject, wanted)


def settled(successes: int, trials: int, wanted: float, reject: float) -> bool | None:
    """True: reached, and the interval excludes `reject`. False: the interval excludes `wanted`. Else None."""
    interval = stats.exact(successes, trials)
    if interval.high < wanted:
        return False
    return True if interval.estimate >= wanted and interval.low >= reject else None


def percent(value: float) -> str:
    """A share in percent, with as many places as it takes to tell 99.9 from 100."""
    shown = f"{value * 100:.2f}".rstrip("0").rstrip(".")
    return f"{shown}%"


def share(interval: stats.Interval) -> str:
    """A share with its interval."""
    return f"{percent(interval.estimate)} ({percent(interval.low)} to {percent(interval.high)})"


def _open_rate(
    expected: str, got: str, traffic: Traffic, limits: tuple[float, float], facts: tuple[str, ...]
) -> Judgement:
    """A rate that is not settled, and how much more traffic would settle it."""
    wanted, reject = limits
    if wanted >= 1 and reject >= 1:
        never = "no number of requests proves 100%: set at_least or reject below 1"
        return unclear(expected, got, never, *facts)
    more = stats.more(traffic.successes, traffic.trials, lambda good, n: settled(good, n, wanted, reject) is not None)
    if more is None:
        close = "more of the same would not settle it: the measured share is too close to the limit"
        return unclear(expected, got, close, *facts)
    return unclear(expected, got, f"about {more} more requests like these would settle it", *facts, settle=("soak",))


def _before(evidence: Evidence, options: CriterionOptions) -> tuple[str, ...]:
    if isinstance(evidence.before, tuple):
        before = together(evidence.before)
        if before.trials:
            interval = stats.exact(before.successes, before.trials)
            return (f"before: {before.successes} of {before.trials}, {share(interval)}",)
    return () if options.baseline is None else (f"before, by the plan: {percent(options.baseline)}",)


def _quiet(traffic: Traffic) -> str:
    refused = f" ({traffic.refused} refused as the caller's fault)" if traffic.refused else ""
    return f"no traffic{refused}"
