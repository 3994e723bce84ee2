"""How often callers are served: `success_rate` and `no_503`."""

from __future__ import annotations

from checks import stats

from .criterion import criterion, failed, named, need, passed, unclear
from .evidence import Evidence, Traffic, together
from .result import Finding, Options

_AT_LEAST = 0.99


@criterion("no_503", gate="decides")
def no_503(evidence: Evidence, options: Options) -> Finding:
    """Answers 503 to callers of the migrated functions, retries hidden from them not counted.

    Reads `at_most` (how many are allowed, 0).
    """
    traffic = together(need(evidence.traffic))
    allowed = int(options.at_most or 0)
    found = traffic.count(503)
    expected = f"at most {allowed} answers of 503" if allowed else "no answer of 503"
    got = f"{found} of {traffic.requests} requests answered 503"
    if found > allowed:
        return failed(expected, got, *named(o for o in traffic.offenders if o.detail.startswith("503")))
    return passed(expected, got) if traffic.trials else unclear(expected, _quiet(traffic))


@criterion("success_rate", gate="vetoes")
def success_rate(evidence: Evidence, options: Options) -> Finding:
    """Share of requests to the migrated functions that were served, by its exact 95 % interval.

    Reads `at_least` (0.99), `reject` (what the interval must exclude to pass; `at_least` itself) and `baseline`.
    Answers that are the caller's fault (400, 401, 404, …) are left out.
    """
    traffic = together(need(evidence.traffic))
    wanted, reject = bounds(options)
    expected = f"at least {percent(wanted)}" + (f", surely above {percent(reject)}" if reject < wanted else "")
    if not traffic.trials:
        return unclear(expected, _quiet(traffic), _ahead(0, 0, wanted, reject))
    served, asked = traffic.successes, traffic.trials
    found = stats.exact(served, asked)
    got = f"{served} of {asked} served, {share(found)}"
    facts = (*_before(evidence, options), *named(traffic.offenders))
    decided = settled(served, asked, wanted, reject)
    if decided is None:
        return unclear(expected, got, _ahead(served, asked, wanted, reject), *facts)
    return passed(expected, got, *facts) if decided else failed(expected, got, *facts)


def bounds(options: Options, at_least: float = _AT_LEAST) -> tuple[float, float]:
    """What a share must reach as measured, and what its interval must exclude."""
    wanted = at_least if options.at_least is None else options.at_least
    return wanted, wanted if options.reject is None else min(options.reject, wanted)


def settled(successes: int, trials: int, wanted: float, reject: float) -> bool | None:
    """True: reached, and the interval excludes `reject`. False: the interval excludes `wanted`. Else None."""
    found = stats.exact(successes, trials)
    if found.high < wanted:
        return False
    return True if found.estimate >= wanted and found.low >= reject else None


def percent(value: float) -> str:
    """A share in percent, with as many places as it takes to tell 99.9 from 100."""
    shown = f"{value * 100:.2f}".rstrip("0").rstrip(".")
    return f"{shown} %"


def share(found: stats.Interval) -> str:
    """A share with its interval."""
    return f"{percent(found.estimate)} ({percent(found.low)} to {percent(found.high)})"


def _ahead(successes: int, trials: int, wanted: float, reject: float) -> str:
    """How much more traffic would settle it."""
    if wanted >= 1 and reject >= 1:
        return "no number of requests proves 100 %: set at_least or reject below 1"
    more = stats.more(successes, trials, lambda good, n: settled(good, n, wanted, reject) is not None)
    if more is None:
        return "more of the same would not settle it: the measured share lies too close to the limit"
    return f"about {more} more requests like these would settle it (inv soak)"


def _before(evidence: Evidence, options: Options) -> tuple[str, ...]:
    if isinstance(evidence.before, tuple):
        before = together(evidence.before)
        if before.trials:
            found = stats.exact(before.successes, before.trials)
            return (f"before: {before.successes} of {before.trials}, {share(found)}",)
    return () if options.baseline is None else (f"before, as the plan says: {percent(options.baseline)}",)


def _quiet(traffic: Traffic) -> str:
    refused = f" ({traffic.refused} refused as the caller's fault)" if traffic.refused else ""
    return f"no traffic{refused}"
