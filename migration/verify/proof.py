"""Proof of life: an answer from the new version, in every region, seen in the logs by its execution id.

`ACTIVE` is not live, and a 200 does not say which code gave it (supabase/supabase issues 35426 and 47739). Where
`gate.marker` names a header in which the code answers its DENO_DEPLOYMENT_ID (`<ref>_<function id>_<version>`, or the
version alone), that is read from the answer itself, and no log is needed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from migration.base.errors import ServiceFailed
from migration.base.parallel import each
from migration.base.secrets_type import cropped
from migration.clients.edge import Purpose
from migration.clients.http import Answer
from migration.config import logsql
from migration.logs.reader import LogReader
from migration.verify.readings import ERROR_ROW

if TYPE_CHECKING:
    from migration.context import Context

BOOT_FAILURES = 3
FIRST, LONGEST, GROWTH = 0.25, 10.0, 1.6  # seconds between two looks into the logs
_MARGIN = timedelta(minutes=3)
_LINE = 300  # characters of a log line
_PER_QUERY = 400
_MARK = re.compile(r"(?:.*_)?(\d{1,9})")


@dataclass
class Probe:
    """One function in one region ("" for wherever a request lands), and what was seen of it.

    `executions` are ids not yet found in the logs; `version` is that of the newest answer that was found.
    """

    slug: str
    region: str
    function_id: str
    wanted: int
    executions: list[str] = field(default_factory=list)
    version: int | None = None
    execution: str = ""
    status: int = 0
    boot_failures: int = 0
    seconds: float = 0.0

    @property
    def place(self) -> str:
        return f"{self.slug} in {self.region}" if self.region else self.slug

    @property
    def proven(self) -> bool:
        return self.version == self.wanted

    @property
    def refuted(self) -> bool:
        """It cannot start: waiting will not help."""
        return self.boot_failures >= BOOT_FAILURES

    def as_json(self) -> dict[str, Any]:
        names = ("slug", "region", "wanted", "version", "execution", "status")
        return {
            **{name: getattr(self, name) for name in names},
            "proven": self.proven,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Proof:
    """`verdict` is pass, fail or inconclusive; `why` names what was seen instead."""

    verdict: str
    probes: tuple[Probe, ...]
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "why": self.why, "probes": [probe.as_json() for probe in self.probes]}


def prove(context: Context, activated: Mapping[str, tuple[str, int]], reader: LogReader) -> Proof:
    """`gate.probe: options`: OPTIONS until every function answers with its new version, or `gate.within` is over.

    `activated`: slug to (function id, version). Never raises for an outage: what was not seen is inconclusive.
    """
    gate, clock = context.config.gate, context.clock
    began, since = clock.monotonic(), clock.now()
    probes = [Probe(slug, region, *one) for slug, one in activated.items() for region in gate.regions or [""]]
    wait, outage = FIRST, ""
    while True:
        open_ = [probe for probe in probes if not probe.proven and not probe.refuted]
        _send(context, open_)
        outage = _find(reader, activated, [probe for probe in open_ if probe.executions], since, clock.now())
        for probe in open_:
            if probe.proven:
                probe.seconds = clock.monotonic() - began
                context.observer.done("proof", probe.place, f"v{probe.version}", probe.seconds)
        over = clock.monotonic() - began + wait > gate.within
        if over or all(probe.proven or probe.refuted for probe in probes):
            return judge(probes, outage)
        clock.sleep(wait)
        wait = min(wait * GROWTH, LONGEST)


def judge(probes: Sequence[Probe], outage: str = "") -> Proof:
    """Fail: another version answers, or the code cannot start. Inconclusive: the version was not seen."""
    failed = [f"{probe.place}: {_seen(probe)}" for probe in probes if _bad(probe)]
    if failed:
        return Proof("fail", tuple(probes), "; ".join(failed))
    unseen = [probe.place for probe in probes if not probe.proven]
    if unseen:
        reason = f"cannot read the logs ({outage})" if outage else "no log row of an answer yet"
        return Proof("inconclusive", tuple(probes), f"{', '.join(unseen)}: {reason}")
    return Proof("pass", tuple(probes))


@dataclass(frozen=True)
class AnswerRows:
    """What the logs hold of some answers: versions by execution id, and the first error line of a function by slug."""

    versions: Mapping[str, int]
    errors: Mapping[str, str]


def look_up(
    reader: LogReader,
    executions: Collection[str],
    live: Mapping[str, tuple[str, int]],
    since: datetime,
    until: datetime,
) -> AnswerRows:
    """One query for all executions and for the first error lines of the `live` versions. ServiceFailed as the logs."""
    wanted = logsql.equal("execution_id", *list(executions)[-_PER_QUERY:])
    versions = (
        logsql.both(logsql.equal("function_id", id_), logsql.equal("version", str(version)))
        for id_, version in live.values()
    )
    error = logsql.both(logsql.source(logsql.FUNCTION), logsql.either(*versions), ERROR_ROW)
    columns = (
        f"{logsql.attribute('execution_id')} as execution, {logsql.attribute('version')} as version, "
        f"{logsql.attribute('function_id')} as fid, if({error}, substring(event_message, 1, 1000), '') as line"
    )
    where = logsql.both(logsql.span(since - _MARGIN, until + _MARGIN), logsql.either(wanted, error))
    sql = f"select {columns}, min(timestamp) as at from logs where {where} group by execution, version, fid, line "
    rows = reader.query(f"{sql}order by line != '', at limit 1000", since - _MARGIN, until + _MARGIN)
    slugs = {id_: slug for slug, (id_, _) in live.items()}
    errors: dict[str, str] = {}
    for row in rows:
        if row["line"] and row["fid"] in slugs:
            errors.setdefault(slugs[row["fid"]], cropped(" ".join(str(row["line"]).split()), _LINE))
    return AnswerRows(
        {str(row["execution"]): int(row["version"]) for row in rows if str(row["version"]).isdigit()}, errors
    )


def marked(answer: Answer, header: str) -> int | None:
    """The version that an answer names in the marker's header; None where it names none."""
    match = _MARK.fullmatch(answer.headers.get(header, "").strip()) if header else None
    return int(match[1]) if match else None


def boot_error(answer: Answer) -> bool:
    """Whether the platform says that the function's worker does not start."""
    return answer.status == 503 and "BOOT_ERROR" in (answer.headers.get("sb-error-code", "") + answer.text[:200])


def _bad(probe: Probe) -> bool:
    return (
        probe.refuted or (probe.version is not None and not probe.proven) or (not probe.proven and probe.status >= 400)
    )


def _seen(probe: Probe) -> str:
    if probe.refuted:
        return "the new code does not start (BOOT_ERROR)"
    if probe.version is not None:
        return f"v{probe.version} answers; v{probe.wanted} was expected"
    return f"it answers {probe.status}"


def _send(context: Context, probes: Sequence[Probe]) -> None:
    edge, marker = context.edge, context.config.gate.marker

    def options(probe: Probe) -> Answer:
        region = probe.region or None
        return edge.call(probe.slug, purpose=Purpose.PROBE, method="OPTIONS", auth="none", region=region, timeout=15.0)

    for probe, answer in each(list(probes), options):
        if isinstance(answer, Answer):
            _note(probe, answer, marker.header if marker else "")
        elif not isinstance(answer, ServiceFailed):
            raise answer


def _note(probe: Probe, answer: Answer, marker: str) -> None:
    probe.status = answer.status
    execution = answer.headers.get("x-deno-execution-id", "")
    version = marked(answer, marker)
    if version is not None:
        probe.version, probe.execution = version, execution
    elif execution and execution not in (probe.execution, *probe.executions):
        probe.executions.append(execution)
    probe.boot_failures = probe.boot_failures + 1 if boot_error(answer) else 0


def _find(
    reader: LogReader,
    live: Mapping[str, tuple[str, int]],
    probes: Sequence[Probe],
    since: datetime,
    until: datetime,
) -> str:
    """Look the answers up; returns why that failed. The newest answer of each probe in the logs decides."""
    executions = [execution for probe in probes for execution in probe.executions]
    if not executions:
        return ""
    try:
        versions = look_up(reader, executions, live, since, until).versions
    except ServiceFailed as error:
        return error.message
    for probe in probes:
        _settle(probe, versions)
    return ""


def _settle(probe: Probe, versions: Mapping[str, int]) -> None:
    for position in reversed(range(len(probe.executions))):
        execution = probe.executions[position]
        if execution in versions:
            probe.version, probe.execution = versions[execution], execution
            del probe.executions[: position + 1]
            return
