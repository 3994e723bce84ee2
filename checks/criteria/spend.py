"""What it costs: `cost_logged`, `provider_sees_requests`, `cost_per_request` and `budget`."""

from __future__ import annotations

from checks import stats
from checks.criteria.answers import percent
from checks.criterion import criterion, failed, named, need, passed, unclear
from checks.evidence import Evidence, Missing
from checks.result import CriterionOptions, Judgement

_MEAN = 0.005
_OVER = 1.1  # a bill above the logged cost by more than this is no rounding
_MOST_UNSEEN = 0.5  # the provider's figure may lag or hold other calls, but not by half


@criterion("cost_logged", gate="decides")
def cost_logged(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Share of successful requests to the migrated functions whose cost is in the logs.

    Reads `at_least` (1: all of them). A usage line that may still be on its way is not yet missing.
    """
    spend = need(evidence.spend)
    wanted = 1.0 if options.at_least is None else options.at_least
    all_of_them = "a usage line for every successful request"
    expected = all_of_them if wanted >= 1 else f"a usage line for {percent(wanted)} of the successful requests"
    got = f"{spend.lines} of {spend.successes} requests have one"
    if not spend.successes:
        return unclear(expected, "no successful request")
    if spend.successes - spend.missing < wanted * spend.successes:
        return failed(expected, got, *named(spend.offenders))
    if spend.lines < wanted * spend.successes:
        return unclear(
            expected, got, f"{spend.late} may still come: the platform delivers log lines late", settle=("checks",)
        )
    return passed(expected, got, *named(spend.offenders))


@criterion("provider_sees_requests")
def provider_sees_requests(evidence: Evidence, options: CriterionOptions) -> Judgement:  # noqa: ARG001
    """What the provider booked on our key while the functions answered: nothing booked means another route.

    Passes when at least half of what the logs claim is booked; less than that may be late and is inconclusive, and so
    is nothing at all while every request is so young that the provider may not have booked it yet.
    """
    provider = need(evidence.provider)
    expected = "usage on the provider's key"
    booked = f"${provider.spent:.4f} booked ({provider.source})"
    logged = f"${provider.logged:.4f} logged" if provider.logged > 0 else "no cost logged"
    got = f"{booked}, {logged} by {provider.successes} requests"
    if not provider.successes:
        return unclear(expected, f"no successful request; {got}")
    if provider.spent <= 0 and not provider.ripe:
        return unclear(expected, got, "nothing is booked yet: the provider may be late", settle=("checks",))
    if provider.spent <= 0:
        return failed(expected, got, "the functions use another key or another provider", settle=("doctor",))
    if provider.spent < _MOST_UNSEEN * provider.logged:
        return unclear(
            expected, got, "less than half of it is booked yet: the provider may be late", settle=("checks",)
        )
    return passed(expected, got)


@criterion("cost_per_request")
def cost_per_request(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Mean cost in USD of a request with a usage line, by its 95% interval.

    Reads `mean` or `at_most` (0.005): passes when the whole interval is at or below it, fails when it lies above. The
    functions' own figure does not pass where the provider booked so much more that the limit is exceeded.
    """
    spend = need(evidence.spend)
    limit = options.mean if options.mean is not None else _MEAN if options.at_most is None else options.at_most
    expected = f"mean at most ${limit:g}"
    if not spend.lines:
        return unclear(expected, "no usage line")
    if not spend.priced:
        return unclear(expected, f"{spend.lines} requests without a cost", "no line names one, and there is no price")
    mean = stats.mean(spend.mean, spend.deviation, spend.lines)
    got = f"mean ${mean.estimate:.5f} over {spend.lines} requests"
    if spend.lines < 2:
        return unclear(expected, got, "one request has no interval")
    words = f"95% interval ${max(mean.low, 0):.5f} to ${mean.high:.5f}, ${spend.total:.4f} in all"
    if mean.low > limit:
        return failed(expected, got, words)
    bill = _bill(evidence)
    if bill is not None and bill * mean.estimate > limit:
        billed = f"the provider booked {bill:.1f} times what the logs claim: ${bill * mean.estimate:.5f} a request"
        return unclear(expected, got, billed, words, settle=("costs",))
    return passed(expected, got, words) if mean.high <= limit else unclear(expected, got, words)


def _bill(evidence: Evidence) -> float | None:
    """What the provider booked over what the logs claim, where that is more than a tenth above."""
    provider = evidence.provider
    if (
        isinstance(provider, Missing)
        or not provider.tight
        or provider.logged <= 0
        or provider.spent <= _OVER * provider.logged
    ):
        return None
    return provider.spent / provider.logged


@criterion("budget")
def budget(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Spend of the calendar month and what it comes to at its end, against the budget's warning and critical line.

    Reads the section `budget`. Passes below the warning, fails at the critical line; between them a person decides.
    """
    month = need(evidence.month)
    warning, critical = options.monthly_warning, options.monthly_critical
    expected = f"below ${warning:g} a month, never ${critical:g}"
    worst = max(month.spent, month.projected or 0.0)
    ahead = "too early in the month to project" if month.projected is None else f"${month.projected:.2f} by its end"
    got = f"${month.spent:.2f} this month, {ahead} ({month.source})"
    volumes = tuple(f"{name}: ${cost:.2f} a month" for name, cost in month.volumes.items())
    if worst >= critical:
        return failed(expected, got, *volumes)
    if worst >= warning:
        return unclear(expected, got, f"over the warning of ${warning:g}", *volumes, settle=("costs",))
    return passed(expected, got, *volumes)
