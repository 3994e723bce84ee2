"""What callers get: `artifacts_work` and `code_quality`, from the smoke cases and soaks that asked for an artifact."""

from __future__ import annotations

from checks import stats

from .criterion import criterion, failed, named, need, passed, unclear
from .evidence import Evidence
from .rate import bounds, percent, settled, share
from .result import Finding, Options

_GOOD, _POOR = 0.95, 0.80


@criterion("artifacts_work", gate="decides")
def artifacts_work(evidence: Evidence, options: Options) -> Finding:
    """Requests for an artifact, sent by smoke cases and soaks, that did all that was expected of them.

    Reads `at_least` (1: every one of them; below 1, the measured share) and `requests` (1).
    """
    found = need(evidence.artifacts)
    wanted = 1.0 if options.at_least is None else options.at_least
    least = 1 if options.requests is None else options.requests
    expected = "every request for an artifact works" if wanted >= 1 else f"at least {percent(wanted)} work"
    got = f"{found.worked} of {found.tried} worked" if found.tried else "no artifact was asked for"
    if found.tried and found.worked < wanted * found.tried:
        return failed(expected, got, *named(found.offenders))
    if found.tried < max(least, 1):
        return unclear(expected, got, f"{max(least, 1)} requests are needed: inv smoke")
    return passed(expected, got, *named(found.offenders))


@criterion("code_quality")
def code_quality(evidence: Evidence, options: Options) -> Finding:
    """Share of valid artifacts among those delivered: well-formed, parsed by Deno, with a default export.

    Reads `at_least` (0.95) and `reject` (0.80, what the exact interval must exclude to pass).
    """
    found = need(evidence.artifacts)
    wanted, reject = bounds(options, _GOOD)
    reject = min(_POOR, wanted) if options.reject is None else reject
    expected = f"at least {percent(wanted)} valid, surely above {percent(reject)}"
    delivered = found.delivered
    if not delivered:
        return unclear(expected, "no artifact was delivered")
    got = f"{found.valid} of {delivered} valid, {share(stats.exact(found.valid, delivered))}"
    decided = settled(found.valid, delivered, wanted, reject)
    if decided is None:
        return unclear(expected, got, "more requests would settle it: inv soak", *named(found.offenders))
    return passed(expected, got) if decided else failed(expected, got, *named(found.offenders))
