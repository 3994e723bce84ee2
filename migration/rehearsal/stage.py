"""What the phases of a rehearsal share: the sandbox, its clone, requests, and what each phase found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import structs

from migration import context as contexts
from migration.base.command import AGAIN, Do, Step
from migration.base.errors import Refused
from migration.base.progress import Observer
from migration.base.secrets_type import cropped
from migration.config.cases import Expect, SmokeCase
from migration.config.settings import Config
from migration.context import Context
from migration.e2e import e2e as driving
from migration.e2e.result import E2eResult
from migration.rehearsal import clone as clones
from migration.rehearsal import sandbox
from migration.rehearsal.clone import Clone
from migration.rehearsal.mistake import located
from migration.rehearsal.running import Running, start
from migration.rehearsal.sandbox import settings
from migration.verify import smoke, smoke_cases
from migration.verify.samples import Sample

_AT_ONCE = 4
_BODY = 200  # characters of a request's body in a line of evidence


class EvidenceMissing(Exception):
    """A phase ran and did not show what it must; the text says what is missing."""


class PhaseSkipped(Exception):
    """The config has nothing for this phase to show; the text is the reason."""


@dataclass
class RehearsalStage:
    root: Path
    folder: Path
    config: Config
    observer: Observer
    results: dict[str, Any] = field(default_factory=dict)
    asked: list[smoke.CaseResult] = field(default_factory=list)
    running: Running | None = None
    revision: str = ""  # what is rehearsed, in words
    _clone: Clone | None = None
    _context: Context | None = None

    @property
    def context(self) -> Context:
        assert self._context is not None
        return self._context

    @property
    def clone(self) -> Clone:
        assert self._clone is not None
        return self._clone

    def open(self) -> None:
        """Clone the app, start the sandbox, and put what the migration does not touch on it."""
        app = (self.config.folder / self.config.app.path).resolve()
        self._clone = clones.make(self.folder, app, branch=self.config.app.branch, base=self.config.app.base)
        sandbox.note(self.folder, self._clone, app)
        self.revision = clones.taken(self._clone, app)
        for text in clones.left_out(app, self._clone.branch):
            self.observer.warn(text)
        with located(self.config):
            self.running = start(self.folder, settings=settings(self.config, self.root, QuietObserver(self.observer)))
        self.fresh()
        sandbox.secrets(self.context, sandbox.read_before(self.context, self.clone, self.config))
        sandbox.functions(self.context, self.clone, self.config.migration.unchanged)

    def fresh(self) -> Context:
        """A context that remembers nothing, as the next command would have."""
        self._context = contexts.attach(self.root, self.config, self.folder, QuietObserver(self.observer))
        return self._context

    def before(self) -> Context:
        """The same, with the configuration as it was before the migration: no new secret, no new provider."""
        context = self.fresh()
        before = structs.replace(context.config.migration, to=None)
        context.config = structs.replace(context.config, secrets={}, migration=before)
        context.observer = Observer()  # that its deploy proves nothing is the point of a baseline
        return context

    def cases(self, function: str) -> list[SmokeCase]:
        """What the old code of a function can be sent again and again: cases that expect success and stand alone."""
        own = [case for case in self.config.smoke if case.function == function and case.when != "after"]
        return [case for case in own if _repeatable(case)]

    def ask(self, count: int) -> Counter[int]:
        """Statuses (0: no answer) of so many requests of the first migrated function that has cases, a few at a time.

        PhaseSkipped when none has one. The answers stay in `asked`.
        """
        cases = next(filter(None, map(self.cases, self.config.migration.functions)), [])
        if not cases:
            raise PhaseSkipped("no smoke case of a migrated function expects success and stands alone")
        sender = smoke.Sender(self.context)
        plain = [structs.replace(case, expect=Expect()) for case in cases]

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            self.asked = list(pool.map(lambda number: sender.send(plain[number % len(plain)]), range(count)))
        return Counter(result.status or 0 for result in self.asked)

    def drive(self) -> E2eResult:
        """The steps of `e2e` in a browser. PhaseSkipped where there are none, no page, or no browser."""
        if self.config.e2e is None:
            raise PhaseSkipped("no section e2e in the config")
        context = self.fresh()
        try:
            driving.ready(context)
        except Refused as error:
            raise PhaseSkipped(f"{error.message.rstrip('.')}. To add it: {_how(error.steps)}") from None
        return driving.run(context, driving.E2eOptions(folder=self.folder / "e2e", record=False))

    def close(self) -> None:
        if self.running is not None:
            self.running.stop()


class QuietObserver(Observer):
    """Passes warnings on and nothing else: the lines of a verb inside a phase would bury the rehearsal's own."""

    def __init__(self, outer: Observer) -> None:
        self._outer = outer

    def warn(self, text: str) -> None:
        self._outer.warn(text)


def _how(some: Sequence[Step]) -> str:
    """Steps in one line: a label, then commands of which each needs the one before."""
    labels = ", ".join(str(step) for step in some if isinstance(step, Do) and step != AGAIN)
    commands = " && ".join(str(step) for step in some if not isinstance(step, Do))
    return ": ".join(filter(None, (labels, commands)))


def shown(condition: object, evidence: str, missing: str = "") -> str:
    """The evidence, or EvidenceMissing with what is missing (the evidence itself where that says it)."""
    if not condition:
        raise EvidenceMissing(missing or evidence)
    return evidence


def failed_cases(context: Context, cases: Iterable[smoke.CaseResult]) -> str:
    """Each failed case with its reason, the first log line of its request, and the request as a shell line."""
    failed = [case for case in cases if not case.ok]
    if not any(case.log_lines for case in failed):
        failed = smoke.lines_of(context, failed)
    sent = {case.name: _request(case) for case in context.config.smoke}
    return "; ".join(_failed(case, sent.get(case.name, "")) for case in failed)


def _failed(case: smoke.CaseResult, request: str) -> str:
    why = str(case.failures[0]) if case.failures else case.skipped or "no answer"
    return f"case {case.name}: {why}; {_line(case)}" + (f"; request: {request}" if request and case.at else "")


def _request(case: SmokeCase) -> str:
    """Method, path and body; without the address, which ends with the rehearsal."""
    body = case.body if isinstance(case.body, str) else json.dumps(case.body, ensure_ascii=False)
    file = f"@{case.body_file}" if case.body_file else ""
    short = file or ("" if case.body is None else cropped(body, _BODY))
    where = smoke_cases.address("", case.function, case.path or "", case.query)
    return " ".join(filter(None, (case.method, where, short)))


def _line(case: smoke.CaseResult) -> str:
    first = next(iter(case.log_lines[0].strip().splitlines()), "") if case.log_lines else ""
    return f"first log line: {first}" if first else "no log line"


def first_line(context: Context, sample: Sample) -> str:
    """The first log line of the request that a soak sent."""
    sent = smoke.CaseResult(sample.case, sample.function, ok=False, execution_id=sample.execution)
    return _line(smoke.lines_of(context, [sent])[0])


def _repeatable(case: SmokeCase) -> bool:
    wanted = case.expect.status if isinstance(case.expect.status, list | tuple) else [case.expect.status or 200]
    captured = "{{capture." in str((case.path, case.query, case.body, case.headers))
    return all(200 <= status < 300 for status in wanted) and not captured
