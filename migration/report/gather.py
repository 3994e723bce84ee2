"""Everything a report shows, from the same objects that the verbs show. What could not be read says why, and how to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from migration.base.command import Command, Do, Step, inv
from migration.base.errors import CutoverError
from migration.config import logsql, signals
from migration.config.signals import Pattern
from migration.costs import costs
from migration.costs.report import CostReport
from migration.inspect import history, status
from migration.inspect.history import HistoryResult
from migration.inspect.status import StatusResult
from migration.logs.names import Names
from migration.logs.reader import LogReader
from migration.report import prompts, series
from migration.report.prompts import PromptCounts
from migration.report.series import Series
from migration.verify import checks_run, samples
from migration.verify.checks_run import ChecksResult
from migration.verify.samples import Sample
from migration.watch import report as watching
from migration.watch.store import WatchRef

if TYPE_CHECKING:
    from migration.config.settings import Config
    from migration.context import Context
    from migration.ledger.deployments import Record

T = TypeVar("T")
HOURLY = timedelta(days=3)  # a longer span has its spend by day
MOST = 500  # deployments
_A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class UnmeasuredPart:
    """A part that is not in the report: why, and what to do to have it there."""

    why: str
    how: tuple[Step, ...] = ()


@dataclass(frozen=True)
class ReportFacts:
    """What the verbs would show at `until` of the time since `since`; `watch` is None where there was never one.

    `cases`: the newest answer to each smoke case; `signals`: lines of those that items of the plan document name.
    """

    config: Config
    environment: str
    since: datetime
    until: datetime
    status: StatusResult | UnmeasuredPart
    history: HistoryResult | UnmeasuredPart
    checks: ChecksResult | UnmeasuredPart
    costs: CostReport | UnmeasuredPart
    traffic: Series | UnmeasuredPart
    prompts: PromptCounts | UnmeasuredPart
    watch: Mapping[str, Any] | UnmeasuredPart | None = None
    cases: Mapping[str, Sample] = field(default_factory=dict)
    signals: Mapping[str, int] = field(default_factory=dict)
    records: Sequence[Record] = field(default=(), repr=False)


def gather(context: Context, since: datetime) -> ReportFacts:
    """Reads the platform, the logs, the ledger, the provider and git. Sends functions nothing.

    Refused without a project; whatever else fails is a part that was not measured.
    """
    context.project()
    until = context.clock.now()
    found_history = _tried(lambda: history.run(context, MOST), inv("history"))
    by = "hour" if until - since <= HOURLY else "day"
    parts: dict[str, Any] = {
        "status": _tried(lambda: status.run(context), inv("status")),
        "history": found_history,
        "checks": _tried(lambda: checks_run.run(context, since), inv("checks")),
        "costs": _tried(lambda: costs.run(context, since, by), inv("costs", by=by)),
        "traffic": _tried(lambda: series.read(context, since, until), inv("logs", since="1h")),
        "prompts": _prompts(context, since, until),
        "watch": _tried(lambda: _watch(context), inv("watch", resume=True)),
        "cases": {one.case: one for one in samples.recent(context, until - samples.LONGEST, until + _A_MOMENT)},
        "signals": _signals(context, since, until),
    }
    records: Sequence[Record] = ()
    if not isinstance(found_history, UnmeasuredPart):
        records = list(context.ledger.history(fresh=False).records)
    return ReportFacts(context.config, context.environment.name, since, until, **parts, records=records)


def _tried(read: Callable[[], T], command: Command) -> T | UnmeasuredPart:
    """A part, or why it is not there: the error's own steps, else the verb that shows the same."""
    try:
        return read()
    except CutoverError as error:
        return UnmeasuredPart(error.message, tuple(error.steps) or (command,))


def _prompts(context: Context, since: datetime, until: datetime) -> PromptCounts | UnmeasuredPart:
    if prompts.pattern(context.config) is None:
        why = "the app logs no hash of its prompts, and their text cannot be known from the logs"
        how = "log one line a request with a hash, and name it in signals: prompt: 'Prompt (?P<hash>[0-9a-f]{16,64})'"
        return UnmeasuredPart(why, (Do(how),))
    return _tried(lambda: prompts.read(context, since, until), inv("logs", signal="prompt"))


def _signals(context: Context, since: datetime, until: datetime) -> dict[str, int]:
    """Lines of each signal that an item of the plan document names; those that cannot be read are left out."""
    answers = (name.split(".", 1) for item in context.config.migration.items for name in item.answers if "." in name)
    known, counts = signals.named(context.config), dict[str, int]()
    for name in sorted({name for section, name in answers if section == "signals"}):
        with suppress(CutoverError):
            counts[name] = _lines(context, known[name], since, until)
    return counts


def _lines(context: Context, signal: Pattern, since: datetime, until: datetime) -> int:
    names = Names.of(context)
    ids = names.ids(names.known(signal.functions))
    where = logsql.both(logsql.source(logsql.FUNCTION), logsql.equal("function_id", *ids), signal.sql)
    return round(LogReader.of(context).scalar("uniqExact(id)", where, since, until)) if ids else 0


def _watch(context: Context) -> Mapping[str, Any] | None:
    """The newest watch as `inv watch --json` shows it, with every message that was sent or waits."""
    state = WatchRef(context.ledger).read(fresh=False).state
    if state is None:
        return None
    book = state.alerts
    messages = [
        {"id": one.id, "at": one.at, "kind": one.kind, "severity": one.severity, "title": one.title,
         "sent_at": one.sent_at}
        for one in (*book.sent, *book.outbox)
    ]  # fmt: skip
    budget = context.config.budget
    watched = watching.shown(state, warning=budget.monthly_warning, critical=budget.monthly_critical)
    return {**watched.as_json(), "sent": messages, "ended_at": state.ended_at, "lines": watching.lines(state)}
