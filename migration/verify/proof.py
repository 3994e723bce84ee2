"""Proof of life: an answer from the new version, in every region, seen in the logs by its execution id.

`ACTIVE` is not live, and a 200 says nothing of which code gave it. The probe is OPTIONS: it runs the function's code,
needs no key and costs nothing. Where `gate.marker` names a header in which the code answers its DENO_DEPLOYMENT_ID
(`<ref>_<function id>_<version>`, or the version alone), that is read from the answer itself, and no log is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from migration.base.errors import ServiceFailed
from migration.base.parallel import each
from migration.clients.http import Answer
from migration.config import logsql
from migration.logs.reader import LogReader

if TYPE_CHECKING:
    from migration.context import Context
    from migration.verify.smoke import CaseResult

BOOT_FAILURES = 3
_FIRST, _LONGEST, _GROWTH = 0.25, 10.0, 1.6
_MARGIN = timedelta(minutes=3)
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
    def proven(self) -> bool:
        return self.version == self.wanted

    @property
    def refuted(self) -> bool:
        """It cannot start: waiting will not help."""
        return self.boot_failures >= BOOT_FAILURES

    @property
    def silent(self) -> bool:
        """Its answers carry no execution id: the smoke cases' own requests must prove it."""
        seen = self.execution or self.executions or self.version is not None
        return 0 < self.status < 400 and not seen

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
    """Sends until every function answers with its new version everywhere, or `gate.within` is over.

    `activated`: slug to (function id, version). Never raises for an outage: what was not seen is inconclusive.
    """
    gate, clock = context.config.gate, context.clock
    began, since = clock.monotonic(), clock.now()
    regions = gate.regions or [""]
    probes = [Probe(slug, region, *found) for slug, found in activated.items() for region in regions]
    wait, outage = _FIRST, ""
    while True:
        open_ = [probe for probe in probes if not probe.proven and not probe.refuted]
        _ask(context, open_)
        outage = _look_up(reader, [probe for probe in open_ if probe.executions], since, clock.now())
        for probe in open_:
            if probe.proven:
                probe.seconds = clock.monotonic() - began
                context.observer.done("proof", _name(probe), f"v{probe.version}", probe.seconds)
        over = clock.monotonic() - began + wait > gate.within
        if over or all(probe.proven or probe.refuted or probe.silent for probe in probes):
            return judge(probes, outage)
        clock.sleep(wait)
        wait = min(wait * _GROWTH, _LONGEST)


def judge(probes: Sequence[Probe], outage: str = "") -> Proof:
    """Fail: another version answers, or the code cannot start. Inconclusive: the version was not seen."""
    failed = [f"{_name(probe)}: {_seen(probe)}" for probe in probes if _bad(probe)]
    if failed:
        return Proof("fail", tuple(probes), "; ".join(failed))
    unseen = [_name(probe) for probe in probes if not probe.proven]
    if unseen:
        reason = f"the logs failed ({outage})" if outage else "no log row of an answer came in time"
        return Proof("inconclusive", tuple(probes), f"{', '.join(unseen)}: {reason}")
    return Proof("pass", tuple(probes))


def adopt(probes: Iterable[Probe], executions: Mapping[str, Sequence[str]]) -> list[Probe]:
    """The smoke cases' requests as evidence, for functions whose OPTIONS answers carry no execution id."""
    silent = [probe for probe in probes if not probe.proven]
    for probe in silent:
        probe.executions += executions.get(probe.slug, [])
    return [probe for probe in silent if probe.executions]


def look_up(reader: LogReader, probes: Sequence[Probe], since: datetime, until: datetime) -> str:
    """One query for all executions that were not seen yet; returns why it failed, "" when it did not."""
    return _look_up(reader, probes, since, until)


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


def _name(probe: Probe) -> str:
    return f"{probe.slug} in {probe.region}" if probe.region else probe.slug


def _ask(context: Context, probes: Sequence[Probe]) -> None:
    edge, marker = context.edge, context.config.gate.marker
    for probe, answer in each(list(probes), lambda one: edge.options(one.slug, region=one.region or None)):
        if isinstance(answer, Answer):
            _note(probe, answer, marker.header if marker else "")
        elif not isinstance(answer, ServiceFailed):
            raise answer


def _note(probe: Probe, answer: Answer, marker: str) -> None:
    probe.status = answer.status
    execution = answer.headers.get("x-deno-execution-id", "")
    marked = _MARK.fullmatch(answer.headers.get(marker, "").strip()) if marker else None
    if marked:
        probe.version, probe.execution = int(marked[1]), execution
    elif execution and execution not in (probe.execution, *probe.executions):
        probe.executions.append(execution)
    boot = answer.status == 503 and "BOOT_ERROR" in (answer.headers.get("sb-error-code", "") + answer.text[:200])
    probe.boot_failures = probe.boot_failures + 1 if boot else 0


def _look_up(reader: LogReader, probes: Sequence[Probe], since: datetime, until: datetime) -> str:
    """The newest answer of each probe that the logs know decides; older ones are forgotten with it."""
    wanted = [execution for probe in probes for execution in probe.executions][-_PER_QUERY:]
    if not wanted:
        return ""
    columns = f"{logsql.attribute('execution_id')} as execution, {logsql.attribute('version')} as version"
    where = logsql.both(logsql.span(since - _MARGIN, until + _MARGIN), logsql.equal("execution_id", *wanted))
    sql = f"select distinct {columns} from logs where {where} limit 1000"
    try:
        rows = reader.query(sql, since - _MARGIN, until + _MARGIN)
    except ServiceFailed as error:
        return error.message
    versions = {str(row["execution"]): int(row["version"]) for row in rows if str(row["version"]).isdigit()}
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


def executions(answers: Iterable[CaseResult]) -> dict[str, list[str]]:
    """Execution ids by function, of the smoke cases' answers that carry one."""
    found: dict[str, list[str]] = {}
    for case in answers:
        if case.execution_id:
            found.setdefault(case.function, []).append(case.execution_id)
    return found
