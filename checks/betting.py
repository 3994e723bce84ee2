"""A test of a share that stays valid however often one looks: an e-process by betting on the mean of each look.

For a limit p0 and the share f of each look, six bets λ = c / p0 each keep S = (S + w) · (1 + λ (f - p0)), where the
weights w are spent over the planned duration: half with the first look, the other half evenly. While the expected
share of each look, given the past, is at most p0, the mean of S with the weight not yet spent is a nonnegative
supermartingale that begins at 1; so by Ville's inequality it reaches 1/α in at most α of all watches, whenever one
looks. Failures in clumps within a look keep the bound; failures that last several looks are what it is for.

Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (2024); Lindon et al., Rapid
regression detection by anytime-valid testing (KDD 2022, arXiv 2205.14762).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BETS = (0.01, 0.03, 0.1, 0.3, 0.6, 0.95)
MOST = 1e12  # a sum above this has alarmed long ago
FIRST = 0.5  # of the weight, with the first look
START = (0.0,) * len(BETS)


def weight(spent: float, seconds: float | None, planned: float) -> float:
    """The weight of the next look; `seconds` since the previous one (None for the first), over `planned` in all.

    Zero once the weights sum to 1: going on after the planned duration adds none.
    """
    wanted = FIRST if seconds is None else (1 - FIRST) * max(seconds, 0.0) / planned
    return min(wanted, max(1.0 - spent, 0.0))


def after(sums: Sequence[float], share: float, limit: float, stake: float) -> tuple[float, ...]:
    """The sums after one look with this share of failures."""
    return tuple(
        min((s + stake) * (1 + bet / limit * (share - limit)), MOST) for s, bet in zip(sums, BETS, strict=True)
    )


def evidence(sums: Sequence[float]) -> float:
    """What the sums come to: at 1/α the limit is ruled out."""
    return sum(sums) / len(sums)


def score(sums: Sequence[float], alpha: float) -> int:
    """0 to 100 towards an alarm, on a log scale from 1 to 1/α; 100 only where it alarms."""
    reached = evidence(sums)
    if reached >= 1 / alpha:
        return 100
    return min(int(100 * math.log(max(reached, 1.0)) / math.log(1 / alpha)), 99)


def looks_to_alarm(
    sums: Sequence[float], share: float, limit: float, alpha: float, stake: float, most: int = 300
) -> int | None:
    """How many further looks with this share would alarm, each with this stake; None above `most`."""
    for n in range(1, most + 1):
        sums = after(sums, share, limit, stake)
        if evidence(sums) >= 1 / alpha:
            return n
    return None
