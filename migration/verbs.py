"""From flags to phases: one function a verb. Each returns the phase's result, whose `exit_code` is the verb's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from migration import context as contexts
from migration.asking import again, agree, interactive
from migration.common.durations import moment, parse
from migration.common.flags import names, number, whole
from migration.errors import Refused
from migration.report.output import Output


def _context(out: Output, root: Path, env: str) -> contexts.Context:
    return contexts.make(root, env, out.observer)


def _seconds(text: str) -> float:
    return parse(text) if text else 0.0


def rehearse(out: Output, root: Path, keep: bool, report: str) -> Any:
    from migration.rehearsal import rehearse as rehearsal

    return rehearsal.run(root, out.observer, keep=keep, report=Path(report) if report else None)


def sandbox(out: Output, root: Path, port: str, fresh: bool) -> Any:
    from migration.rehearsal import sandbox as stand_in

    def ready(found: Any) -> None:
        with out.unmasked():
            out.result(found)

    stand_in.run(root, out.observer, port=whole("port", port) or 0, fresh=fresh, ready=ready)


def init(out: Output, root: Path, env: str) -> Any:  # noqa: ARG001 - one .env serves every environment
    from migration import init as phase

    return phase.run(root, ask=lambda question: out.ask(question, hidden=True))


def secret(out: Output, root: Path, env: str, set_: bool, yes: bool) -> Any:
    from migration import secret as phase
    from migration import secret_set

    context = _context(out, root, env)
    if not set_:
        return phase.verify(context)
    ask = (lambda question: out.ask(question, hidden=True)) if interactive() else None
    command = again("secret", set=True)
    return secret_set.set_all(context, confirm=lambda what: agree(out, context, what, yes, command), ask=ask)


def plan(out: Output, root: Path, env: str, only: str, diff: bool) -> Any:
    from migration import plan as phase

    return phase.make(_context(out, root, env), only=names("only", only), diff=diff)


def deploy(
    out: Output,
    root: Path,
    env: str,
    yes: bool,
    plan: str,
    only: str,
    no_gate: bool,
    wait: str,
    lift_hold: str,
) -> Any:
    from migration import deploy as phase

    context = _context(out, root, env)

    def confirm(made: Any) -> bool:
        out.show("deploy_plan", made)
        given: dict[str, Any] = {"only": only, "no_gate": no_gate, "wait": wait, "lift_hold": lift_hold}
        seen = again("deploy", plan=made.hash[:12], **given)
        return agree(out, context, "Deploy this", yes, again("deploy", **given), seen)

    return phase.run(
        context,
        yes=yes,
        plan_hash=plan or None,
        only=names("only", only),
        gate=not no_gate,
        wait=_seconds(wait),
        lift_hold=lift_hold or None,
        confirm=confirm,
    )


def smoke(out: Output, root: Path, env: str, case: str, junit: str) -> Any:
    from migration import smoke as phase
    from migration.report import junit as files
    from migration.report import summary

    result = phase.run(_context(out, root, env), cases=names("case", case) or None)
    if junit:
        files.write_smoke(Path(junit), result)
    summary.write("smoke", result)
    return result


def soak(out: Output, root: Path, env: str, yes: bool, max_requests: str, max_cost: str, concurrency: str) -> Any:
    from migration import soak as phase
    from migration.report import summary

    context = _context(out, root, env)
    command = again("soak", max_requests=max_requests, max_cost=max_cost, concurrency=concurrency)
    result = phase.run(
        context,
        confirm=lambda what: agree(out, context, what, yes, command),
        max_requests=whole("max-requests", max_requests),
        max_cost=number("max-cost", max_cost),
        concurrency=whole("concurrency", concurrency),
    )
    summary.write("soak", result)
    return result


def logs(
    out: Output,
    root: Path,
    env: str,
    function: str,
    since: str,
    until: str,
    follow: bool,
    explain: bool,
    limit: str,
    **filters: Any,
) -> Any:
    from migration import logs as phase

    context = _context(out, root, env)
    now = context.clock.now()
    chosen: dict[str, Any] = {name: value or None for name, value in filters.items()}
    query = phase.Query(
        functions=tuple(names("function", function)),
        since=moment(since, now),
        until=moment(until, now) if until else None,
        limit=whole("limit", limit) or None,
        **chosen,
    )
    if query.until and query.until <= query.since:
        raise Refused(f"--until {until} is not after --since {since}", "--since is the earlier one, for example 5m")
    if follow and (query.until or query.limit or explain):
        raise Refused("--follow has no end: --until, --limit and --explain are for history", "leave out --follow")
    if explain:
        out.each("explain", phase.explain(context, query))
        return None
    out.stream("logs", phase.follow(context, query) if follow else phase.history(context, query))
    return None


def costs(out: Output, root: Path, env: str, since: str, by: str) -> Any:
    from migration import costs as phase

    context = _context(out, root, env)
    if by not in ("day", "function", "hour"):
        raise Refused(f"--by {by} is not known", "use --by day, --by function or --by hour")
    return phase.run(context, since=moment(since, context.clock.now()), by=by)


def checks(out: Output, root: Path, env: str, since: str, junit: str) -> Any:
    from migration import checks_run as phase
    from migration.report import junit as files
    from migration.report import summary

    context = _context(out, root, env)
    result = phase.run(context, since=moment(since, context.clock.now()) if since else None)
    if junit:
        files.write_checks(Path(junit), result)
    summary.write("checks", result)
    return result


def rollback(
    out: Output, root: Path, env: str, yes: bool, wait: str, no_push: bool, restore_only: bool, **named: str | None
) -> Any:
    from migration import rollback as phase

    context = _context(out, root, env)

    def confirm(made: Any) -> bool:
        out.show("rollback_plan", made)
        given: dict[str, Any] = {"wait": wait, "no_push": no_push, "restore_only": restore_only, **named}
        return agree(out, context, "Roll back", yes, again("rollback", **given))

    chosen: dict[str, Any] = {name: value or None for name, value in named.items()}
    chosen["without_lock"] = named["without_lock"]  # no reason is not the same as not asking for it
    return phase.run(
        context,
        restore_only=restore_only,
        push=not no_push,
        wait=_seconds(wait),
        asked=context.environment.confirm and not yes,
        confirm=confirm,
        **chosen,
    )


def status(out: Output, root: Path, env: str, limit: str) -> Any:
    from migration import status as phase

    return phase.run(_context(out, root, env), limit=whole("limit", limit) or 0)


def history(out: Output, root: Path, env: str, limit: str, note: str | None) -> Any:
    from migration import history as phase

    return phase.run(_context(out, root, env), limit=whole("limit", limit) or 0, note=note)


def unlock(out: Output, root: Path, env: str, id: str, yes: bool) -> Any:  # noqa: A002
    from migration import history as phase

    context = _context(out, root, env)
    return phase.unlock(context, id, confirm=lambda what: agree(out, context, what, yes, again("unlock", id)))


def doctor(out: Output, root: Path, env: str, fix: bool, yes: bool) -> Any:
    from migration import doctor as phase

    context = _context(out, root, env)
    confirm = (lambda what: agree(out, context, what, yes, again("doctor", fix=True))) if fix else None
    return phase.run(context, fix=confirm)
