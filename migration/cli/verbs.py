"""From flags to phases: one function a verb. Each returns the phase's result, whose `exit_code` is the verb's.

Phases are imported when their verb runs: listing the verbs loads nothing heavy.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from migration.base import interrupts
from migration.base.command import Do, inv
from migration.base.durations import moment, parse, show
from migration.base.errors import Refused
from migration.cli.confirm import NotConfirmed, agree, interactive
from migration.cli.flags import names, number, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migration.cli.output import Output
    from migration.config.settings import Config
    from migration.config.yamlfile import KeyPath
    from migration.context import Context
    from migration.costs.report import CostReport
    from migration.deploy.plan import Plan
    from migration.deploy.result import DeployResult
    from migration.e2e.result import E2eResult
    from migration.inspect.doctor import DoctorResult
    from migration.inspect.history import HistoryResult, UnlockResult
    from migration.inspect.source import FunctionCode
    from migration.inspect.status import StatusResult
    from migration.rehearsal.rehearse import RehearsalResult
    from migration.report.report import ReportResult
    from migration.rollback.result import RollbackResult
    from migration.setup.adoption.adopt import AdoptionResult
    from migration.setup.config import ConfigResult
    from migration.setup.init import InitResult
    from migration.setup.secret import SecretResult
    from migration.setup.workflow import WorkflowResult
    from migration.verify.checks_run import ChecksResult
    from migration.verify.gate import ExtraChecks
    from migration.verify.smoke import SmokeResult
    from migration.verify.soak import SoakResult


_OFTEN = 30.0  # seconds between two rounds of a watch, at least


class InitFlags(NamedTuple):
    """The flags of `inv init`."""

    app: str = ""
    plan: str = ""
    range: str = ""
    ci: str = ""


class DeployFlags(NamedTuple):
    """The flags of `inv deploy`."""

    yes: bool
    plan: str
    only: str
    no_gate: bool
    wait: str
    lift_hold: str
    dry_run: bool


class SoakFlags(NamedTuple):
    """The flags of `inv soak`."""

    yes: bool
    max_requests: str
    max_cost: str
    concurrency: str


class LogFlags(NamedTuple):
    """The flags of `inv logs`."""

    function: str
    since: str
    until: str
    follow: bool
    grep: str
    signal: str
    level: str
    request: str
    limit: str
    explain: bool


class WatchFlags(NamedTuple):
    """The flags of `inv watch`."""

    span: str
    every: str
    once: bool
    resume: bool
    automatic: bool
    yes: bool


class HistoryFlags(NamedTuple):
    """The flags of `inv history`; an empty `note` is not the same as None."""

    limit: str
    show: str
    source: str
    note: str | None
    rating: str = ""


class RollbackFlags(NamedTuple):
    """The flags of `inv rollback`; an empty `without_lock` is not the same as None."""

    yes: bool
    to: str
    scope: str
    restore_only: bool
    no_push: bool
    wait: str
    without_lock: str | None


def _context(out: Output, env: str) -> Context:
    from migration import context

    return context.make(out.root, env, out.observer)


def _seconds(text: str) -> float:
    return parse(text) if text else 0.0


def rehearse(out: Output, keep: bool, report: str) -> RehearsalResult:
    from migration.rehearsal import rehearse as phase

    return phase.run(out.root, out.observer, keep=keep, report=Path(report) if report else None)


def sandbox(out: Output, port: str, fresh: bool) -> None:
    from migration.rehearsal import sandbox as phase

    def ready(sandbox: Any) -> None:
        with out.unmasked():
            out.result(sandbox)

    def seen(request: Any) -> None:
        out.show("request", request)

    number = whole("port", port, "54999", most=65_535) or 0
    phase.run(out.root, out.observer, port=number, fresh=fresh, ready=ready, seen=None if out.json else seen)


def init(out: Output, flags: InitFlags, env: str) -> InitResult | AdoptionResult | WorkflowResult:
    from migration.setup import init as phase

    adopts = bool(flags.app or flags.plan or flags.range)
    if adopts and flags.ci:
        raise Refused(
            "--ci cannot be combined with --app and --plan.", Do("write config.yaml first, then the workflow")
        )
    if flags.ci:
        if flags.ci != "github":
            raise Refused(f"--ci {flags.ci} is not known.", Do("use --ci github; docs/ci.md has the lines for others"))
        from migration.setup import workflow

        return workflow.write(out.root, env)
    if adopts:
        from migration.setup.adoption import adopt

        options = adopt.Options(flags.app, flags.plan, flags.range)
        return adopt.run(out.root, options, ask=out.ask if interactive() else None)
    return phase.run(out.root, ask=lambda question: out.ask(question, hidden=True))


def config(out: Output) -> ConfigResult:
    from migration.setup import config as phase

    return phase.run(out.root, _sandbox_mistakes, _strays)


def _strays(config: Config) -> list[tuple[KeyPath, str]]:
    """What only the app can tell."""
    from migration.source import strays

    return strays.mistakes(config, (config.folder / config.app.path).resolve())


def _sandbox_mistakes(data: Mapping[str, Any], folder: Path) -> list[tuple[KeyPath, str]]:
    """Of the section `rehearsal`; none in a production install, which has no sandbox."""
    if not data.get("rehearsal"):
        return []  # spares the import
    try:
        from migration.rehearsal import review
    except ImportError:
        return []
    return review.mistakes(data, folder)


def secret(out: Output, env: str, upload: bool, yes: bool) -> SecretResult:
    from migration.setup import secret as phase

    context = _context(out, env)
    if not upload:
        return phase.verify(context)
    ask = (lambda question: out.ask(question, hidden=True)) if interactive() else None
    command = inv("secret", set=True)
    return phase.set_all(context, confirm=lambda what: agree(out, context, what, yes, command), ask=ask)


def plan(out: Output, env: str, only: str, diff: bool) -> Plan:
    from migration.deploy import plan as phase

    context = _context(out, env)
    context.project()  # refused before git is asked anything
    context.ledger.glance()
    return phase.make(context, only=names("only", only), diff=diff)


def deploy(out: Output, flags: DeployFlags, env: str) -> DeployResult:
    from migration.cli import summary
    from migration.deploy import deploy as phase

    context = _context(out, env)

    def confirm(plan: Plan) -> bool:
        out.show("deploy_plan", plan)
        if flags.dry_run:
            return False
        again = inv("deploy", only=flags.only, no_gate=flags.no_gate, wait=flags.wait, lift_hold=flags.lift_hold)
        what = f"Deploy to {env.upper()}, plan {plan.hash[:12]}"
        return agree(out, context, what, flags.yes, again, again.plus(plan=plan.hash[:12]))

    options = phase.DeployOptions(
        yes=flags.yes,
        plan_hash=flags.plan or None,
        only=names("only", flags.only),
        gate=not flags.no_gate,
        wait=_seconds(flags.wait),
        lift_hold=flags.lift_hold or None,
        confirm=confirm,
        extra={} if flags.no_gate else _extra(context),
        dry_run=flags.dry_run,
    )
    result = phase.run(context, options)
    summary.write("deploy", result)
    return result


def _extra(context: Context) -> ExtraChecks:
    """What config.yaml adds to the gate. Refused here, before the deploy, where it could not be carried out."""
    if not context.config.gate.e2e:
        return {}
    from migration.e2e import e2e, gate

    e2e.ready(context)
    return {"e2e": lambda: gate.check(context)}


def smoke(out: Output, env: str, case: str, junit: str) -> SmokeResult:
    from migration.cli import junit as files
    from migration.cli import summary
    from migration.verify import smoke as phase

    result = phase.run(_context(out, env), cases=names("case", case) or None)
    if junit:
        files.write_smoke(Path(junit), result)
    summary.write("smoke", result)
    return result


def e2e(out: Output, env: str, yes: bool, headed: bool, junit: str) -> E2eResult:
    from migration.cli import junit as files
    from migration.cli import summary
    from migration.e2e import e2e as phase

    context = _context(out, env)
    again = inv("e2e", headed=headed, junit=junit)
    options = phase.E2eOptions(headed, confirm=lambda what: agree(out, context, what, yes, again))
    result = phase.run(context, options)
    for path in filter(None, (junit, f"{result.folder}/junit.xml")):
        files.write_e2e(Path(path), result)
    phase.record(context, result)
    summary.write("e2e", result)
    return result


def soak(out: Output, flags: SoakFlags, env: str) -> SoakResult:
    from migration.cli import summary
    from migration.verify import soak as phase

    context = _context(out, env)
    again = inv("soak", **{name: value for name, value in flags._asdict().items() if name != "yes"})
    result = phase.run(
        context,
        confirm=lambda what: agree(out, context, what, flags.yes, again),
        max_requests=whole("max-requests", flags.max_requests),
        max_cost=number("max-cost", flags.max_cost),
        concurrency=whole("concurrency", flags.concurrency),
    )
    summary.write("soak", result)
    return result


def logs(out: Output, flags: LogFlags, env: str) -> None:
    from migration.logs import logs as phase

    context = _context(out, env)
    now = context.clock.now()
    query = phase.LogQuery(
        functions=tuple(names("function", flags.function)),
        since=moment(flags.since, now),
        until=moment(flags.until, now) if flags.until else None,
        grep=flags.grep or None,
        signal=flags.signal or None,
        level=flags.level or None,
        request=flags.request or None,
        limit=whole("limit", flags.limit) or None,
    )
    if query.until and query.until <= query.since:
        text = f"--until {flags.until} is not after --since {flags.since}"
        raise Refused(text, Do("--since is the earlier one, for example 5m"))
    if flags.follow and (query.until or query.limit or flags.explain):
        raise Refused("--follow has no end: --until, --limit and --explain need one.", Do("leave out --follow"))
    if flags.explain:
        out.each("explain", phase.explain(context, query))
        return
    if flags.follow:
        interrupts.between("", exit_code=0)  # a signal is how it ends
    none = "No lines found."
    if query.request:
        none = (
            f"No line of a request {query.request} since {query.since:%H:%M:%SZ}: give at least the first 8 characters "
            "of its id, or look further back with --since. Lines can arrive minutes late."
        )
    out.stream("logs", phase.follow(context, query) if flags.follow else phase.history(context, query), none)


def costs(out: Output, env: str, since: str, by: str) -> CostReport:
    from migration.costs import costs as phase

    context = _context(out, env)
    if by not in ("day", "function", "hour", "model"):
        raise Refused(f"--by {by} is not known.", Do("use --by day, --by function, --by hour or --by model"))
    return phase.run(context, since=moment(since, context.clock.now()), by=by)


def checks(out: Output, env: str, since: str, junit: str) -> ChecksResult:
    from migration.cli import junit as files
    from migration.cli import summary
    from migration.verify import checks_run as phase

    context = _context(out, env)
    result = phase.run(context, since=moment(since, context.clock.now()) if since else None)
    if junit:
        files.write_checks(Path(junit), result)
    summary.write("checks", result)
    return result


def watch(out: Output, flags: WatchFlags, env: str) -> int:
    from migration.cli.watching import WatchView
    from migration.watch import watch as phase

    context = _context(out, env)
    if flags.once and flags.resume:
        raise Refused("--once already resumes a running watch.", inv("watch", once=True))
    again = inv("watch", for_=flags.span, every=flags.every, once=flags.once, auto_rollback=True)
    options = phase.WatchOptions(
        span=_seconds(flags.span) or None,
        every=_every(flags.every),
        once=flags.once,
        resume=flags.resume,
        automatic=flags.automatic,
        confirm=lambda what: agree(out, context, what, flags.yes, again),
    )
    code = 0
    with WatchView(out, flags.once) as view:
        for watched in phase.run(context, options):
            view.show(watched)
            code = watched.exit_code
    return code


def _every(text: str) -> float | None:
    """Seconds between two rounds: as often as config.yaml may say."""
    if not text:
        return None
    seconds = parse(text)
    if seconds < _OFTEN:
        raise Refused(f"--every {text} is too often.", Do(f"use at least {show(_OFTEN)}"))
    return seconds


def rollback(out: Output, flags: RollbackFlags, env: str) -> RollbackResult:
    from migration.cli import summary
    from migration.rollback import rollback as phase

    context = _context(out, env)
    again = inv("rollback", **{name: value for name, value in flags._asdict().items() if name != "yes"})

    def confirm(plan: phase.RollbackPlan) -> bool:
        out.show("rollback_plan", plan)
        return agree(out, context, f"Roll back in {env.upper()}", flags.yes, again)

    options = phase.RollbackOptions(
        to=flags.to or None,
        scope=flags.scope or None,
        restore_only=flags.restore_only,
        push=not flags.no_push,
        wait=_seconds(flags.wait),
        without_lock=flags.without_lock,
        overwrites=context.environment.confirm and not flags.yes,
        confirm=confirm,
    )
    result = phase.run(context, options)
    if not flags.without_lock:
        _end_watch(context)
    summary.write("rollback", result)
    return result


def _end_watch(context: Context) -> None:
    """The service is restored: what was watched is not live any more. Best effort, over at the first signal, and never
    in place of the rollback's own result."""
    from migration.base.errors import Interrupted
    from migration.watch import watch as phase

    with contextlib.suppress(Interrupted, OSError):
        if ended := phase.close(context):
            context.observer.note(f"Watch {ended.state.id} ended: {ended.state.ended}.")


def status(out: Output, env: str, limit: str) -> StatusResult:
    from migration.inspect import status as phase

    return phase.run(_context(out, env), limit=whole("limit", limit) or 0)


def history(out: Output, flags: HistoryFlags, env: str) -> HistoryResult | FunctionCode:
    from migration.inspect import history as phase

    context = _context(out, env)
    if (flags.note is not None or flags.rating) and (flags.show or flags.source):
        raise Refused("--note adds a note; --show and --source only read.", Do("leave one of them out"))
    if flags.source:
        return phase.code(context, flags.source, flags.show)
    if flags.show:
        return phase.show(context, flags.show)
    rating = whole("rating", flags.rating) if flags.rating else None
    return phase.run(context, limit=whole("limit", flags.limit) or 0, note=flags.note, rating=rating)


def unlock(out: Output, env: str, lock: str, yes: bool) -> UnlockResult:
    from migration.inspect import history as phase

    context = _context(out, env)
    return phase.unlock(context, lock, confirm=lambda what: agree(out, context, what, yes, inv("unlock", lock)))


def doctor(out: Output, env: str, fix: bool, yes: bool) -> DoctorResult:
    from migration.inspect import doctor as phase
    from migration.providers import live

    context = _context(out, env)

    def confirm(what: str) -> bool:
        """One by one: what is not confirmed is left, and the next one is asked about."""
        try:
            return agree(out, context, what, yes, inv("doctor", fix=True))
        except NotConfirmed:
            return False

    ask = confirm if fix else None
    offers = list(live.offers(context.config, context.environment)) if fix else []
    if not context.config.watch.notify:
        return phase.run(context, ask, offers=offers)
    from migration.watch.diagnose import NotifierCheck

    check = NotifierCheck(context)
    offers += check.offers() if fix else ()
    return phase.run(context, ask, {"the notifiers": lambda _: check.find()}, offers)


def report(out: Output, env: str, since: str, to: str, markdown: bool) -> ReportResult:
    from migration.cli import junit as files
    from migration.report import report as phase
    from migration.verify.checks_run import ChecksResult

    context = _context(out, env)
    result = phase.run(context, moment(since, context.clock.now()), to, markdown)
    judged, bundle = result.facts.checks, str(Path(result.path).with_name("figures.json")) in result.files
    if bundle and isinstance(judged, ChecksResult):
        junit = Path(result.path).with_name("junit.xml")
        files.write_checks(junit, judged)
        return replace(result, files=(*result.files, str(junit)))
    return result
