"""`inv checks`, and the criteria inside a deploy's gate: gathers evidence, judges it, and sums it up."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

import checks
from checks.criterion import Criterion
from checks.evidence import Evidence, Missing
from checks.result import CriterionOptions, CriterionResult, Verdict, overall
from checks.table import TableRow, table
from migration.base.command import AGAIN, Command, Do, Step, inv
from migration.base.errors import ConfigError, CutoverError, Refused
from migration.base.finding import Finding
from migration.config import signals
from migration.logs import local as local_lines
from migration.logs.reader import LogReader
from migration.verify import local, measure, subject
from migration.verify.forecast import unmeasurable

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.config.settings import Config
    from migration.context import Context
    from migration.ledger.deployments import Deployment
    from migration.verify.samples import Sample

_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 4}
_POLL, _POLL_QUICK = 30.0, 0.5  # seconds; a hosted project allows about ten log queries a minute

_ADD = (
    Do("add those that decide whether the migration is a success to config.yaml, for example"),
    Do("criteria: {no_503: {}, no_errors_in_logs: {}}"),
    Do("(docs/reference/config.md has all of them)"),
    AGAIN,
)


@dataclass(frozen=True)
class ChecksResult:
    """Every criterion's verdict, the plan's table with measured figures, and the verdict of all of them."""

    criteria: tuple[CriterionResult, ...]
    verdict: Verdict
    table: tuple[TableRow, ...] = ()
    window: str = ""
    evidence: Evidence | None = field(default=None, repr=False)
    provider: tuple[Finding, ...] = ()
    next: tuple[Step, ...] = ()

    @property
    def exit_code(self) -> int:
        return _CODES[self.verdict]

    def result(self, name: str) -> CriterionResult | None:
        return next((one for one in self.criteria if one.name == name), None)

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "window": self.window, "criteria": self.criteria, "table": self.table,
                "provider": self.provider, "next": self.next}  # fmt: skip


@dataclass(frozen=True)
class InGate:
    """What a gate hands over: the answers to its smoke cases, the functions as listed before, how long to wait for log
    rows, and how many of them each function that was deployed must have (without: one of each that is judged)."""

    smoke: Sequence[Sample] = ()
    before: Sequence[Function] = ()
    patience: float = 0.0
    rows: Mapping[str, int] = field(default_factory=dict)


def run(
    context: Context,
    since: datetime | None = None,
    deployment: Deployment | None = None,
    gate: InGate | None = None,
) -> ChecksResult:
    """Judge the criteria of config.yaml over a window, or over the rows of one deployment. Sends functions nothing.

    `since` defaults to criteria.window; `deployment` keeps the evidence to what that one made live. `gate`: only what
    a deploy can have broken decides. Refused for an unknown criterion, for one that cannot be measured, and outside of
    a gate without any: nothing measured is nothing passed.
    """
    chosen = criteria(context.config)
    if not chosen and gate is None:
        raise Refused(f"{context.config.file.name} names no criterion, so there is nothing to prove.", *_ADD)
    options = {name: option(context.config, name) for name in chosen}
    start = since or context.clock.now() - timedelta(seconds=context.config.criteria.window)
    if local_lines.configured(context):
        seen = local.gather(context, start)
        return _sum(context, [one.judge(seen, options[name]) for name, one in chosen.items()], seen, options)
    reader = LogReader.of(context)
    end = context.clock.monotonic() + (gate.patience if gate else 0.0)
    usage = "usage" in signals.named(context.config)
    while True:
        about = subject.subject(
            context, start, deployment, gate=gate is not None, given=gate.smoke if gate else None,
            listed=gate.before if gate else None,
        )  # fmt: skip
        context.observer.step("checks", detail="gathering evidence")
        evidence = measure.gather(context, about, reader)
        results = [one.judge(evidence, options[name]) for name, one in chosen.items()]
        if gate is None or context.clock.monotonic() >= end or _settled(results, evidence, gate.rows, usage):
            break
        context.clock.sleep(_POLL if context.environment.log_queries else _POLL_QUICK)
    if about.over:  # requests would reach other code now
        results = [replace(one, settle=()) for one in results]
    results = [replace(one, evidence=(*one.evidence, *_steps(one, context.environment.name))) for one in results]
    findings = () if gate else tuple(context.check_provider())
    summed = _sum(context, results, evidence, options)
    return replace(summed, provider=findings, next=() if gate else _next(context, summed, standing=not about.over))


def _next(context: Context, result: ChecksResult, standing: bool) -> tuple[Step, ...]:
    """What to look at after a failure, and the way back while the code is live; what an open verdict waits for."""
    if result.verdict is Verdict.FAIL:
        return failing(context, standing)
    open_ = [one for one in result.criteria if one.verdict is Verdict.INCONCLUSIVE and not one.advisory]
    if open_ and standing and not any(one.settle for one in open_):
        return (Do("once more requests were answered:"), inv("checks"))
    return ()


def failing(context: Context, standing: bool = True) -> tuple[Step, ...]:
    """The lines of what failed, then the way back where a deployment is live that a rollback would take back."""
    known = "failure" in signals.named(context.config)
    look = inv("logs", signal="failure", since="1h") if known else inv("logs", level="error", since="1h")
    back = (Do("or to take the deployment back:"), inv("rollback")) if standing and _undoable(context) else ()
    return (look, *back)


def _undoable(context: Context) -> bool:
    """Whether the newest deployment is what is live; so it is taken to be where the ledger cannot be read."""
    try:
        history = context.ledger.history(fresh=context.ledger.remote_refs is None)
    except CutoverError:
        return True
    live = history.live
    return bool(context.ledger.offline) or (live is not None and live == history.newest and live.kind == "deploy")


def _steps(result: CriterionResult, environment: str) -> Iterator[Command]:
    """The commands that would settle a result which does not pass."""
    if result.verdict is not Verdict.PASS:
        yield from (inv(verb, env=environment) for verb in result.settle)


def criteria(config: Config) -> dict[str, Criterion]:
    """The criteria that config.yaml names, and those of its files. ConfigError for one unknown or not measurable."""
    own = [name for file in config.criteria.files for name in _load(config.folder / file)]
    names = list(dict.fromkeys([*config.criteria.named, *own]))
    unknown = [name for name in names if name not in checks.REGISTRY]
    if unknown:
        known = ", ".join(sorted(checks.REGISTRY))
        raise ConfigError(f"criteria.{unknown[0]}: unknown criterion.", Do(f"use one of: {known}"))
    problems = list(unmeasurable(config))
    if problems:
        raise ConfigError("; ".join(problems), Do("complete config.yaml, or remove these criteria from it"), AGAIN)
    return {name: checks.REGISTRY[name] for name in names}


def option(config: Config, name: str) -> CriterionOptions:
    """What config.yaml sets for one criterion, the budget included."""
    settings = config.criteria.named.get(name)
    values = structs.asdict(settings) if settings is not None else {}
    known = {key: value for key, value in values.items() if key in CriterionOptions.__dataclass_fields__}
    limits = {"monthly_warning": config.budget.monthly_warning, "monthly_critical": config.budget.monthly_critical}
    return CriterionOptions(**{**known, **limits})


def _load(file: Path) -> list[str]:
    """The names of the criteria that a file of the user defines."""
    if not file.is_file():
        raise ConfigError(
            f"criteria.files: {file.name} does not exist.", Do("correct criteria.files in config.yaml"), AGAIN
        )
    spec = importlib.util.spec_from_file_location(f"criteria_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"criteria.files: {file.name} is not a Python file.", Do("correct criteria.files"), AGAIN)
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as error:
        text = f"cannot load {file.name}: {type(error).__name__}: {error}"
        raise ConfigError(text, Do(f"correct {file.name}"), AGAIN) from error
    return [name for name, one in checks.REGISTRY.items() if Path(one.function.__code__.co_filename) == file]


def _settled(results: Sequence[CriterionResult], evidence: Evidence, rows: Mapping[str, int], usage: bool) -> bool:
    """Whether more log rows would change nothing: a failure, or every expected row is there and none is late. `usage`:
    whether the app has lines that tell of its spend."""
    if overall(results) is Verdict.FAIL:
        return True
    if isinstance(evidence.traffic, Missing):
        return False
    seen = {part.function: part.requests for part in evidence.traffic}
    due = rows or dict.fromkeys(evidence.window.versions, 1)
    complete = all(seen.get(name, 0) >= many for name, many in due.items())
    late = usage if isinstance(evidence.spend, Missing) else evidence.spend.late > 0
    return complete and (overall(results) is Verdict.PASS or not late)


def _sum(
    context: Context, results: list[CriterionResult], evidence: Evidence, options: Mapping[str, CriterionOptions]
) -> ChecksResult:
    deciding = [one for one in results if not one.advisory]
    verdict = Verdict.INCONCLUSIVE if evidence.gate and not deciding else overall(results)
    counted = {one: sum(result.verdict is one for result in results) for one in Verdict}
    words = ", ".join(f"{n} {one.value}" for one, n in counted.items() if n)
    context.observer.settled(verdict.value, "checks", words)
    rows = tuple(table(evidence, options))
    return ChecksResult(tuple(results), verdict, rows, str(evidence.window), evidence)
