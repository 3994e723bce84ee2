"""Smoke cases as proof of life: each request is sent once, and again only after an answer from another version.

A function may do anything for any request, so nothing is sent but what config.yaml names: an OPTIONS request to a
function without a branch for it would run its whole body.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migration.base import parallel
from migration.base.errors import ServiceFailed
from migration.clients.edge import Purpose
from migration.logs.reader import LogReader
from migration.verify import proof, smoke, smoke_cases
from migration.verify.forecast import MOST
from migration.verify.proof import Probe, Proof
from migration.verify.smoke import CaseResult, SmokeResult

if TYPE_CHECKING:
    from migration.context import Context

_AGAIN = (0.05, 0.9)  # shares of gate.within after which a request is sent the second and the third time
_DOUBT = 30.0  # seconds for the log row of a failed answer, before it counts as the new code's


@dataclass(frozen=True)
class RoundsResult:
    """The proof, the newest answer to each request, and the failures that decide (empty: none)."""

    proof: Proof
    smoke: SmokeResult
    failed: tuple[CaseResult, ...] = ()


def run(
    context: Context,
    activated: Mapping[str, tuple[str, int]],
    names: Sequence[str],
    purpose: Purpose = Purpose.GATE,
    tolerated: Collection[str] = (),
) -> RoundsResult:
    """Send the named cases until the new versions have answered them, or `gate.within` is over.

    `activated`: slug to (function id, version). Failures of `tolerated` cases decide nothing. CutoverError before
    anything is sent (a missing key, no such case); an outage of the logs leaves the proof inconclusive.
    """
    rounds = _Rounds(context, activated, list(names), purpose, frozenset(tolerated))
    if context.config.gate.probe != "options":
        return rounds.run()
    alive = proof.prove(context, activated, rounds.reader)
    if alive.verdict == "fail":
        return RoundsResult(alive, SmokeResult(()))
    return replace(rounds.run(), proof=alive)


@dataclass
class _Rounds:
    context: Context
    activated: Mapping[str, tuple[str, int]]
    names: list[str]
    purpose: Purpose
    tolerated: frozenset[str]
    results: dict[tuple[str, str], CaseResult] = field(default_factory=dict)  # by region and case
    tries: dict[tuple[str, str], int] = field(default_factory=dict)
    outage: str = ""
    shown: set[str] = field(default_factory=set)  # functions whose first error line was shown

    def __post_init__(self) -> None:
        self.clock, self.gate = self.context.clock, self.context.config.gate
        self.began, self.since = self.clock.monotonic(), self.clock.now()
        self.reader = LogReader.of(self.context, _DOUBT)  # a failure is not kept waiting for logs that do not answer
        self.looks = self.gate.probe in ("auto", "smoke")  # into the logs, for the version that answered
        self.regions = self.gate.regions or [""]
        self.header = self.gate.marker.header if self.gate.marker and self.gate.probe in ("auto", "marker") else ""

    def run(self) -> RoundsResult:
        if self.names:
            self._send({self.regions[0]: self.names})
            self._send(self._further())
        failed = self._settle()
        while not failed and (again := self._from_other_versions()) and self._pause(again):
            due: dict[str, list[str]] = {}
            skipped = [key for key, result in self.results.items() if result.skipped]
            for region, name in [*again, *skipped]:
                due.setdefault(region, []).append(name)
            self._send(due)
            failed = self._settle()
        return RoundsResult(self._proof(), SmokeResult(tuple(self.results.values())), tuple(failed))

    def _send(self, due: Mapping[str, Sequence[str]]) -> None:
        def one(region: str) -> SmokeResult:
            return smoke.run(self.context, due[region], lines=False, purpose=self.purpose, region=region)

        for region, results in zip(due, parallel.every(list(due), one), strict=True):
            for result in results.cases:
                key = region, result.name
                version = proof.marked(result.answer, self.header) if result.answer else None
                self.results[key] = replace(result, version=version)
                self.tries[key] = self.tries.get(key, 0) + 1

    def _further(self) -> dict[str, list[str]]:
        """For each further region the quickest case of each function that the function itself answered."""
        first = [result for (region, _), result in self.results.items() if region == self.regions[0]]
        chosen = []
        for slug in self.activated:
            own = [result for result in first if result.function == slug and not self._needs(result.name)]
            answered = [result for result in own if result.execution_id] or own
            chosen += [min(answered, key=lambda result: result.seconds).name] if answered else []
        return dict.fromkeys(self.regions[1:], chosen) if chosen else {}

    def _needs(self, name: str) -> bool:
        """Whether a case uses what another one captures."""
        config = self.context.config
        case = next(case for case in config.smoke if case.name == name)
        return bool(smoke_cases.used(case.headers, smoke_cases.body_of(case, config.folder)))

    def _settle(self) -> list[CaseResult]:
        """Wait for the log rows of the answers; returns the failures of the new code as soon as there is one."""
        wait, sent = proof.FIRST, self.clock.monotonic()
        announced = False
        while True:
            self._look_up()
            failed = list(self._failures(self.clock.monotonic() - sent > _DOUBT))
            left = self.began + self.gate.within - self.clock.monotonic()
            if failed or not self._open() or left < wait:
                return failed or (list(self._failures(True)) if left < wait else [])
            if not announced and self.clock.monotonic() - sent > 1.0:
                announced = True
                until = self.clock.now() + timedelta(seconds=left)
                waiting = sorted({self.results[key].function for key in self._open()})
                self._say(f"waiting for the log rows of {', '.join(waiting)}", until)
            self.clock.sleep(wait)
            wait = min(wait * proof.GROWTH, proof.LONGEST)

    def _say(self, what: str, until: datetime) -> None:
        live = ", ".join(f"{slug} v{version}" for slug, (_, version) in self.activated.items())
        self.context.observer.note(f"gate: {what}, until {until:%H:%M:%SZ}; {live} is live meanwhile")

    def _open(self) -> list[tuple[str, str]]:
        """Answers of the activated functions whose version is not known yet, and can be looked up."""
        if not self.looks:
            return []
        return [
            key
            for key, result in self.results.items()
            if result.function in self.activated and result.execution_id and result.version is None
        ]

    def _look_up(self) -> None:
        open_ = {str(self.results[key].execution_id): key for key in self._open()}
        if not open_:
            return
        try:
            rows = proof.look_up(self.reader, list(open_), self.activated, self.since, self.clock.now())
        except ServiceFailed as error:
            self.outage = error.message
            return
        self.outage = ""
        for execution, key in open_.items():
            if execution in rows.versions:
                self.results[key] = replace(self.results[key], version=rows.versions[execution])
        failing = {one.function for one in self.results.values() if not one.ok and one.name not in self.tolerated}
        for slug, line in rows.errors.items():
            if slug not in self.shown and slug not in failing:  # a failed case names its own line
                self.shown.add(slug)
                cases = [one.name for one in self.results.values() if one.function == slug and not one.ok]
                text = f"{slug} v{self.activated[slug][1]} logged an error"
                if cases:  # all of them tolerated: the old code fails as it did, which is no warning
                    self.context.observer.note(f"{text}, which decides nothing here: {line}")
                else:
                    self.context.observer.warn(f"{text}: {line}")

    def _failures(self, doubt_over: bool) -> Iterator[CaseResult]:
        """Failed answers that the new code gave, or that no other code can have given."""
        for result in self.results.values():
            if result.ok or result.skipped or result.name in self.tolerated or self._from_another(result):
                continue
            known = result.version is not None or not result.execution_id or result.function not in self.activated
            if known or doubt_over or not self.looks:
                yield result

    def _from_another(self, result: CaseResult) -> bool:
        """Another version answered, or the platform does not know the function there yet."""
        if result.function not in self.activated:
            return False
        if result.version is not None:
            return result.version != self.activated[result.function][1]
        return result.status == 404 and not result.execution_id and not result.ok

    def _from_other_versions(self) -> list[tuple[str, str]]:
        keys = [key for key, result in self.results.items() if self._from_another(result)]
        return keys if all(self.tries[key] < MOST for key in keys) else []

    def _pause(self, again: Sequence[tuple[str, str]]) -> bool:
        """Wait before the same requests are sent again; False when `gate.within` ends before."""
        tries = max(self.tries[key] for key in again)
        due = max(self.began + self.gate.within * _AGAIN[tries - 1], self.clock.monotonic() + proof.FIRST)
        if due > self.began + self.gate.within:
            return False
        result = self.results[again[0]]
        seen = f"v{result.version} answers" if result.version is not None else f"{result.status} answers"
        seconds = due - self.clock.monotonic()
        place = f"{result.function} in {again[0][0]}" if again[0][0] else result.function
        self._say(f"{place}: {seen}; sending again", self.clock.now() + timedelta(seconds=seconds))
        self.clock.sleep(seconds)
        return True

    def _proof(self) -> Proof:
        probes = [self._probe(slug, region) for slug in self.activated for region in self.regions]
        for probe in probes:
            if probe.proven:
                self.context.observer.done("proof", probe.place, f"v{probe.version}", probe.seconds)
        alive = proof.judge(probes, self.outage)
        alone = [slug for slug in self.activated if not any(r.function == slug for r in self.results.values())]
        if alive.verdict != "inconclusive" or not alone:
            return alive
        return replace(alive, why=f"{', '.join(alone)}: no smoke case, so nothing was sent there")

    def _probe(self, slug: str, region: str) -> Probe:
        """What the answers of one function in one region show: an answer from another version outweighs the rest."""
        probe = Probe(slug, region, *self.activated[slug])
        own = [sent for (place, _), sent in self.results.items() if place == region and sent.function == slug]
        for result in sorted(own, key=self._from_another):
            missing = result.version is None and self._from_another(result)
            if result.version is None and not missing:
                continue
            probe.version, probe.execution = result.version, result.execution_id or ""
            probe.status = result.status or 0
            probe.seconds = self.clock.monotonic() - self.began
        return probe
