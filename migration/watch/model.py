"""What a watch knows and finds. All of it is data that JSON can hold, since any clone may carry the watch on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

AlarmSeverity = Literal["critical", "warning"]
# test: the betting test of a share. blackout: every answer failed. threshold: spend. fact: two equal readings.
# no_data: log rows are late or lost. no_traffic: said, never delivered. action: what a rollback by itself did, or why
# it did nothing.
AlarmKind = Literal["test", "blackout", "threshold", "fact", "no_data", "no_traffic", "action"]

EventMood = Literal["", "bad", "good"]


@dataclass(frozen=True)
class Alarm:
    """Something that is wrong as of this round. The same `key` in the next round is the same alarm, still standing.

    `cause` groups alarms of one cause, of which the worst is worth a message (`success_rate`, `no_503` and a blackout
    of one function have the same). `bad` of `answers` failed since `since`, against the tolerable share `limit`; all
    three are None or 0 where nothing was counted. `commands`: what to type, beside what its kind always suggests.
    """

    criterion: str
    severity: AlarmSeverity
    since: datetime
    summary: str
    function: str = ""
    kind: AlarmKind = "test"
    cause: str = ""
    evidence: tuple[str, ...] = ()
    bad: int = 0
    answers: int = 0
    limit: float | None = None
    commands: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.criterion}:{self.function}"


@dataclass(frozen=True)
class AlertMessage:
    """What people are sent: all alarms of one deployment, the worst first. `id` stays the same at every try.

    `waiting`: the notifiers that have not taken it yet; None: none was tried. `opened`: the run that may have begun to
    send it; `repeat`: a notifier may have taken it before. `tries` counts rounds in which it was tried, `error` says
    why the last one failed. `text` and `markdown` are empty once it was sent.
    """

    id: str
    at: datetime
    kind: Literal["firing", "resolved", "repeat", "end", "test"]
    severity: AlarmSeverity | Literal["good"]
    title: str
    text: str = ""
    markdown: str = ""
    waiting: tuple[str, ...] | None = None
    opened: str = ""
    repeat: bool = False
    tries: int = 0
    error: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Notified:
    """An alarm that the last message named as firing."""

    key: str
    severity: AlarmSeverity
    since: datetime
    summary: str


@dataclass(frozen=True)
class AlertBook:
    """What people were notified of, and what is still to be sent. `number` counts messages, `sent` are the last ones.

    `error` says which notifier failed in the last round; `ended`: the end of the watch was announced.
    """

    notified: tuple[Notified, ...] = ()
    notified_at: datetime | None = None
    number: int = 0
    outbox: tuple[AlertMessage, ...] = ()
    sent: tuple[AlertMessage, ...] = ()
    error: str = ""
    ended: bool = False


@dataclass(frozen=True)
class LookCounts:
    """Answers of one function in one look, counted by the start of their request; `probes` of them were our own.

    `refused` were the caller's fault and are not among `answers`; `billed` are the served ones that must log a cost.
    """

    answers: int = 0
    failed: int = 0
    unavailable: int = 0
    slow: int = 0
    with_errors: int = 0
    successes: int = 0
    without_cost: int = 0
    too_expensive: int = 0
    refused: int = 0
    probes: int = 0
    billed: int = 0


@dataclass(frozen=True)
class CriterionState:
    """One criterion, of one function where it is about one.

    `s`: the six sums of the betting test; `spent`: the weight used up; `until`: the end of the last closed look.
    `bad` and `answers` are those of the look that is still open, `total_bad` and `total_answers` of all closed ones.
    `since` is when it alarmed, in a look with `at_bad` of `at_answers`; `recent` the closed looks since then as (bad,
    answers). `alpha` is halved after each resolved alarm. `incomplete`: why the newest look was `skipped`, else empty.
    """

    criterion: str
    limit: float
    alpha: float
    function: str = ""
    s: tuple[float, ...] = (0.0,) * 6
    spent: float = 0.0
    until: datetime | None = None
    bad: int = 0
    answers: int = 0
    looks: int = 0
    total_bad: int = 0
    total_answers: int = 0
    since: datetime | None = None
    since_bad: int = 0
    since_answers: int = 0
    recent: tuple[tuple[int, int], ...] = ()
    at_bad: int = 0
    at_answers: int = 0
    alarms: int = 0
    incomplete: str = ""
    skipped: int = 0

    @property
    def name(self) -> str:
        return f"{self.criterion}/{self.function}" if self.function else self.criterion


@dataclass(frozen=True)
class FactState:
    """A fact: `value` as read in the last `times` rounds running, and whether that is `good`.

    `alarmed` is since when it stands as an alarm: it begins and ends with two equal readings. `first`: as it was read
    first.
    """

    name: str
    value: str
    good: bool
    times: int = 1
    function: str = ""
    summary: str = ""
    severity: AlarmSeverity = "warning"
    alarmed: datetime | None = None
    first: str = ""


@dataclass(frozen=True)
class Leader:
    """The run that carries the watch out; `at` is its last sign of life."""

    id: str
    who: str
    at: datetime
    host: str = ""
    pid: int = 0


@dataclass(frozen=True)
class WatchEvent:
    """One line for the live view and the record; `mood`: whether it is bad or good news, empty for neither."""

    at: datetime
    text: str
    mood: EventMood = ""


@dataclass(frozen=True)
class Point:
    """What the sparklines show of one look; `p95` in seconds, None without a success."""

    at: datetime
    answers: int = 0
    failed: int = 0
    p95: float | None = None
    probes: int = 0


@dataclass(frozen=True)
class Slice:
    """The answers of each function in one look, by slug as (failed, answers)."""

    until: datetime
    functions: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class NoData:
    """Why rows must be missing, since when, and the last round that showed it."""

    why: str
    since: datetime
    round: int


@dataclass(frozen=True)
class WatchState:
    """Everything that the next round needs, wherever it runs. `ended` says why the watch is over; empty while it runs.

    `planned` (of the weights) and `every` (of a look) are seconds and never change; `until` is when it ends.
    `cursor`: every look up to here was taken. `seen`: answers by the number of their look, as last read. `lateness`
    counts rows by how many minutes after the end of their look they were first seen, `late` those of a look that was
    taken already. `standing`: since when each alarm stands, by its key; `alarmed`: every critical one that ever stood,
    in words. `acted`: what a rollback of this watch did, `refused` why it did nothing, `needs_person` why one must act.
    `spend` is this month's in USD, `projected` all of it, `usage` the key's counter.
    """

    id: str
    environment: str
    deployment: str
    revision: str
    started: datetime
    until: datetime
    planned: float
    every: float
    alpha: float
    cursor: datetime
    criteria: tuple[CriterionState, ...] = ()
    blackouts: tuple[CriterionState, ...] = ()
    answered_at: datetime | None = None
    facts: tuple[FactState, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    rounds: int = 0
    round_at: datetime | None = None
    stored_at: datetime | None = None
    seen: Mapping[str, int] = field(default_factory=dict)
    lateness: Mapping[str, int] = field(default_factory=dict)
    late: int = 0
    looked_back: datetime | None = None
    no_data: NoData | None = None
    bytes_read: int = 0
    bytes_measured: bool = True
    spend: float | None = None
    projected: float | None = None
    usage: float | None = None
    unseen_spend: int = 0
    points: tuple[Point, ...] = ()
    slices: tuple[Slice, ...] = ()
    events: tuple[WatchEvent, ...] = ()
    standing: Mapping[str, datetime] = field(default_factory=dict)
    alarmed: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, LookCounts] = field(default_factory=dict)
    alerts: AlertBook = AlertBook()
    leader: Leader | None = None
    acted: str = ""
    refused: str = ""
    needs_person: str = ""
    probed_at: datetime | None = None
    probe_requests: int = 0
    probe_cost: float = 0.0
    ended: str = ""
    ended_at: datetime | None = None
    recorded: bool = False


@dataclass(frozen=True)
class RoundResult:
    """What one round found, before anybody is notified: the new state, and every alarm that stands now."""

    state: WatchState
    alarms: tuple[Alarm, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """What a message to people says beside the alarms: where, what is live, and what to type (as it is pasted)."""

    environment: str
    deployment: str
    live: str
    commands: tuple[str, ...] = ()
    who: str = ""


@dataclass(frozen=True)
class RollbackEvidence:
    """What decides whether a watch may roll back by itself. `past`: failed and all answers of the code that would be
    live again, from the ledger; None where it was never measured.

    `stood`: rounds for which the alarm has stood. `failed` of `answers` since the alarm, in the functions that the
    deployment changed; `elsewhere`: unchanged functions that are not healthy in the same rounds. `obstacles`: a held
    lock, a hold, drift, an interrupted deployment, each as a sentence. `old_provider`: what is wrong with it.
    """

    stood: int
    wanted: int
    failed: int
    answers: int
    past: tuple[int, int] | None
    elsewhere: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    old_provider: tuple[str, ...] = ()
    inconclusive: bool = False
    acted: bool = False
    changed: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
