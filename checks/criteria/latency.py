"""How long callers wait: `response_time`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from checks import stats
from checks.criterion import criterion, failed, need, passed, unclear
from checks.evidence import Evidence, together
from checks.result import CriterionOptions, Judgement, Verdict

_P95 = 8.0
_LEAST = 20  # with fewer, the 95th percentile is the slowest request


@criterion("response_time", gate="vetoes")
def response_time(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Seconds that served requests to the migrated functions took, as the gateway logged them.

    Reads `p50`, `p95`, `p99` and `mean` (each a limit in seconds; p95 8 when none is given) and `requests` (20).
    A percentile passes as measured; it fails when the exact interval of the share within the limit excludes it.
    """
    seconds = together(need(evidence.traffic)).seconds
    limits = {name: getattr(options, name) for name in ("p50", "p95", "p99", "mean")}
    limits = {name: limit for name, limit in limits.items() if limit is not None} or {"p95": _P95}
    expected = ", ".join(f"{name} at most {limit:g}s" for name, limit in limits.items())
    count, least = sum(seconds.values()), _LEAST if options.requests is None else options.requests
    if not count:
        return unclear(expected, "no traffic")
    judged = [
        _mean(seconds, limit) if name == "mean" else _tail(seconds, name, limit) for name, limit in limits.items()
    ]
    verdicts = [verdict for verdict, _ in judged]
    got = f"{', '.join(words for _, words in judged)} over {count} requests"
    if Verdict.FAIL in verdicts:
        return failed(expected, got, *_before(evidence))
    if count < least or Verdict.INCONCLUSIVE in verdicts:
        few = (f"{least} requests are needed, {least - count} more",) if count < least else ()
        return unclear(expected, got, *few, *_before(evidence), settle=("soak",) if few else ())
    return passed(expected, got, *_before(evidence))


def spread(seconds: Mapping[float, int], name: str) -> tuple[float, float, float]:
    """A percentile (`p50`, `p95`, `p99`) and the bounds of its 95% interval, by order statistics; inf for none."""
    wanted = float(name[1:]) / 100
    count = sum(seconds.values())
    below = stats.first(lambda k: stats.exact(k, count).high >= wanted, count)  # so many at or below may be enough
    above = stats.first(lambda k: stats.exact(k, count).low >= wanted, count)  # so many at or below surely are
    low = stats.quantile(seconds, (below or count) / count)
    high = math.inf if above is None else stats.quantile(seconds, above / count)
    return stats.quantile(seconds, wanted), low, high


def average(seconds: Mapping[float, int]) -> stats.Interval:
    """The mean of a weighted sample with its interval."""
    count = sum(seconds.values())
    middle = sum(value * n for value, n in seconds.items()) / count
    squares = sum(n * (value - middle) ** 2 for value, n in seconds.items())
    return stats.mean(middle, math.sqrt(squares / max(count - 1, 1)), count)


def _tail(seconds: Mapping[float, int], name: str, limit: float) -> tuple[Verdict, str]:
    wanted = float(name[1:]) / 100
    measured = stats.quantile(seconds, wanted)
    within = sum(n for value, n in seconds.items() if value <= limit)
    surely_worse = stats.exact(within, sum(seconds.values())).high < wanted
    verdict = Verdict.PASS if measured <= limit else Verdict.FAIL if surely_worse else Verdict.INCONCLUSIVE
    return verdict, f"{name} {measured:.2f}s"


def _mean(seconds: Mapping[float, int], limit: float) -> tuple[Verdict, str]:
    mean = average(seconds)
    verdict = Verdict.FAIL if mean.low > limit else Verdict.PASS if mean.high <= limit else Verdict.INCONCLUSIVE
    return verdict, f"mean {mean.estimate:.2f}s"


def _before(evidence: Evidence) -> tuple[str, ...]:
    if not isinstance(evidence.before, tuple):
        return ()
    seconds = together(evidence.before).seconds
    return (f"before: p95 {stats.quantile(seconds, 0.95):.2f}s over {sum(seconds.values())}",) if seconds else ()
