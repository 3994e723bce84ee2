"""What the phases gather and the criteria judge: counts, figures and the ids of offending requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

# 4xx answers are the caller's own doing, except these, which say that the service could not serve the caller.
_SERVED_BADLY = frozenset({402, 408, 429})


@dataclass(frozen=True)
class Missing:
    """A measurement that could not be taken: an error of measuring, never a failure of the service."""

    why: str


@dataclass(frozen=True)
class Window:
    """Where the evidence comes from: a span of time, kept to the versions that are judged."""

    since: datetime
    until: datetime
    versions: Mapping[str, int] = field(default_factory=dict)
    words: str = ""

    def __str__(self) -> str:
        end = "%H:%M:%S" if self.since.date() == self.until.date() else "%Y-%m-%d %H:%M:%S"
        return self.words or f"{self.since:%Y-%m-%d %H:%M:%S} to {self.until:{end}} UTC"


@dataclass(frozen=True)
class Offender:
    """One request to look at: its id in the logs (`inv logs --request ID`), and what was wrong with it."""

    request: str
    function: str
    detail: str

    def __str__(self) -> str:
        return f"{self.function} {self.request or '(no id)'}: {self.detail}"


@dataclass(frozen=True)
class Traffic:
    """Answers that callers of one function got, preflights left out; `seconds` of the successful ones by length."""

    function: str
    statuses: Mapping[int, int]
    seconds: Mapping[float, int] = field(default_factory=dict)
    offenders: tuple[Offender, ...] = ()

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def refused(self) -> int:
        """Answers that were the caller's fault (400, 401, 404, …): they say nothing about the service."""
        return sum(n for status, n in self.statuses.items() if 400 <= status < 500 and status not in _SERVED_BADLY)

    @property
    def trials(self) -> int:
        return self.requests - self.refused

    @property
    def successes(self) -> int:
        return sum(n for status, n in self.statuses.items() if 200 <= status < 400)

    def count(self, *statuses: int) -> int:
        return sum(self.statuses.get(status, 0) for status in statuses)


def together(parts: tuple[Traffic, ...] | Missing) -> Traffic:
    """The traffic of several functions as one; without a request where it was not measured."""
    if isinstance(parts, Missing):
        return Traffic("", {})
    statuses: Counter[int] = Counter()
    seconds: Counter[float] = Counter()
    for part in parts:
        statuses.update(part.statuses)
        seconds.update(part.seconds)
    offenders = tuple(offender for part in parts for offender in part.offenders)
    return Traffic(", ".join(part.function for part in parts), statuses, seconds, offenders)


@dataclass(frozen=True)
class Spend:
    """Usage lines of the successful requests; costs in USD. `late` are missing lines that may still be on their way.

    `ripe` counts the successful requests that are old enough for nothing of them to be late. `priced`: false where the
    lines name no cost and the provider has no price, so that their costs of zero are none.
    """

    successes: int
    lines: int
    missing: int = 0
    late: int = 0
    tokens: int = 0
    total: float = 0.0
    mean: float = 0.0
    deviation: float = 0.0
    offenders: tuple[Offender, ...] = ()
    ripe: int = 0
    priced: bool = True


@dataclass(frozen=True)
class Faults:
    """Log rows that report an error: level error, UncaughtException, BootFailure, each counted by its kind."""

    rows: int
    kinds: Mapping[str, int] = field(default_factory=dict)
    offenders: tuple[Offender, ...] = ()


@dataclass(frozen=True)
class SentAnswers:
    """Answers that smoke cases and soaks got from the migrated functions: how many, and how many as expected."""

    tried: int
    worked: int
    offenders: tuple[Offender, ...] = ()


@dataclass(frozen=True)
class Artifacts:
    """Smoke cases and soaks that asked for an artifact: how many worked, delivered one, and a valid one."""

    tried: int
    worked: int
    delivered: int
    valid: int
    offenders: tuple[Offender, ...] = ()


@dataclass(frozen=True)
class ProviderEvidence:
    """What the provider booked on the key (USD) in a span, beside what our functions did in the same span.

    `ripe` of the successes are old enough to be booked by now. `tight`: the two spans are nearly the same, so that the
    two sums can be compared.
    """

    spent: float
    source: str
    successes: int
    logged: float
    ripe: int
    tight: bool = False


@dataclass(frozen=True)
class Month:
    """Spend of the calendar month so far (USD, UTC), and an estimate for all of it where one can be made."""

    spent: float
    projected: float | None
    source: str
    volumes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class UnchangedEvidence:
    """A function that the migration must leave alone; None stands for not measured. `routed`: a signal names its own
    route."""

    function: str
    same_source: bool | None = None
    differs: tuple[str, ...] = ()
    same_version: bool | None = None
    answers: bool | None = None
    status: int = 0
    route_lines: int | None = None
    routed: bool = True


@dataclass(frozen=True)
class Evidence:
    """All that the criteria are given. Each part is there or says why it could not be measured."""

    window: Window
    traffic: tuple[Traffic, ...] | Missing
    before: tuple[Traffic, ...] | Missing = Missing("no earlier version is recorded")
    spend: Spend | Missing = Missing("the usage lines were not read")
    spend_before: Spend | Missing = Missing("no earlier version is recorded")
    faults: Faults | Missing = Missing("the logs were not read")
    answers: SentAnswers | Missing = Missing("no smoke case was run")
    artifacts: Artifacts | Missing = Missing("no smoke case was run")
    artifacts_before: Artifacts | Missing = Missing("no smoke case was run before")
    provider: ProviderEvidence | Missing = Missing("the provider was not asked")
    month: Month | Missing = Missing("the provider was not asked")
    unchanged: Mapping[str, UnchangedEvidence | Missing] = field(default_factory=dict)
    gate: bool = False
