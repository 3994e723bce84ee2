"""Numbers and lists as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def count(many: int, thing: str) -> str:
    """1 request, 2 requests."""
    return f"{many} {thing}{'' if many == 1 else 's'}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def few(names: Sequence[str], most: int = 3) -> str:
    """a, b, c and 2 more."""
    return listed([*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])])


def size(many: int) -> str:
    """120 B, 17 kB."""
    return f"{many} B" if many < 1000 else f"{many / 1000:.0f} kB"


def at_most(amount: float) -> str:
    """The most that something costs, in whole cents and never less than it: `$0.01` for $0.004."""
    return dollars(math.ceil(round(amount * 100, 6)) / 100, 2)


def dollars(amount: float, places: int = 4) -> str:
    """`$0.0018`; an amount that would be shown as nothing keeps two digits, as in `$0.000026`."""
    if amount and abs(amount) < 0.5 * 10**-places:
        return f"${amount:.{1 - math.floor(math.log10(abs(amount)))}f}"
    return f"${amount:,.{places}f}"
