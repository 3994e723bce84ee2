"""How much of the Management API's rate limit others leave: told by the answers that doctor got anyway."""

from __future__ import annotations

from collections.abc import Iterator

from migration.base.finding import Finding
from migration.inspect.look import Look

SCARCE = 0.2  # share of a limit that was left when we came, from which it is near


def find(look: Look) -> Iterator[Finding]:
    """The limit is one for all tokens of an account: what is used up here is missed by a deploy."""
    for quota in look.context.management.quotas.values():
        if quota.others <= SCARCE * quota.limit:
            problem = f"the Management API's rate limit is near: {quota.endpoint}"
            ours = f"{quota.own} {'call' if quota.own == 1 else 'calls'} of ours"
            evidence = f"{quota.left} of {quota.limit} calls are left after {ours}; a new window in {quota.reset} s"
            yield Finding("api_limit", problem, evidence, f"sleep {quota.reset} && inv doctor", "warning",
                          quota.endpoint)  # fmt: skip
