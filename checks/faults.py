"""What the functions complain about: `no_errors_in_logs`."""

from __future__ import annotations

from .criterion import criterion, failed, named, need, passed, unclear
from .evidence import Evidence, together
from .result import Finding, Options


@criterion("no_errors_in_logs", gate="decides")
def no_errors_in_logs(evidence: Evidence, options: Options) -> Finding:
    """Log rows of the migrated functions at level error, uncaught exceptions and boot failures.

    Reads `at_most` (how many are allowed, 0). Without a request there is nothing that could have gone wrong.
    """
    found = need(evidence.faults)
    allowed = int(options.at_most or 0)
    expected = f"at most {allowed} errors" if allowed else "no error"
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.kinds.items() if count)
    got = f"{found.rows} errors" + (f" ({kinds})" if kinds else "")
    if found.rows > allowed:
        return failed(expected, got, *named(found.offenders))
    asked = together(need(evidence.traffic)).requests
    return passed(expected, f"{got} in {asked} requests") if asked else unclear(expected, f"{got}, but no traffic")
