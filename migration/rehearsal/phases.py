"""The phases of a rehearsal, in the plan's order. Each returns one line of evidence.

EvidenceMissing: it does not show what it must. PhaseSkipped: the config has nothing for it to show.
"""

from __future__ import annotations

from typing import Any

from migration.base.command import Do
from migration.base.durations import show
from migration.base.numbers import count, dollars
from migration.context import Context
from migration.costs import costs as spending
from migration.deploy import deploy as deploying
from migration.deploy import plan as planning
from migration.e2e.result import E2eResult
from migration.inspect import status as telling
from migration.logs import logs as logging
from migration.rehearsal.stage import EvidenceMissing, PhaseSkipped, RehearsalStage, failed_cases, first_line, shown
from migration.rollback import rollback as undoing
from migration.setup import secret as secrets
from migration.source import reader
from migration.verify import checks_run
from migration.verify import smoke as smoking
from migration.verify import soak as soaking
from migration.watch import watch as watching
from migration.watch.report import WatchRound
from migration.watch.store import WatchRef

BROKEN = 'throw new Error("a drill: this revision does not start");\n'
_NAMED = 8  # functions named in a line of evidence
_AFTER_ROLLBACK = 6  # requests
_LOOK = 2.0  # seconds of a look of the watch: the deployment is that young
_PLAY = 1e6  # USD: a stand-in takes none, so that soak.max_cost stops no rehearsal
_RIPE = 20.0  # seconds for the first look with an answer in it


def start_sandbox(stage: RehearsalStage) -> str:
    """Everything hosted, on loopback: the app's clone, the stand-ins, and the unchanged functions live."""
    stage.open()
    live = sorted(function.slug for function in stage.context.supabase.functions())
    assert stage.running
    names = ", ".join(live) if len(live) <= _NAMED else count(len(live), "function")
    words = f"{stage.revision} of the app, {stage.running.url} with {names or 'no function'} live"
    missing = sorted(set(stage.config.migration.unchanged) - set(live))
    return shown(not missing, words, f"{', '.join(missing)}: not at {stage.clone.base[:9]}, the revision before")


def baseline(stage: RehearsalStage) -> str:
    """The code before the migration goes live and is measured; `rehearsal.baseline` says what must be seen."""
    stage.clone.checkout(stage.clone.base)
    wanted = stage.config.migration.functions
    existing = tuple(reader.reader(stage.fresh()).at(stage.clone.base, wanted))
    if not existing:
        raise PhaseSkipped(f"none of {', '.join(wanted)} exists at {stage.clone.base[:9]}, the revision before")
    deployment = _deploy(stage, "baseline", gate=False, only=() if len(existing) == len(wanted) else existing)
    settings = stage.config.rehearsal.baseline
    try:
        statuses = stage.ask(settings.calls)
    except PhaseSkipped as none:
        return f"deployment {deployment.id}, not measured: {none}"
    counted = ", ".join(f"{status or 'no answer'}: {seen}" for status, seen in sorted(statuses.items()))
    words = f"{count(settings.calls, 'call')} ({counted}), deployment {deployment.id}"
    if not settings.statuses and not any(200 <= status < 300 for status in statuses):
        words += f"; none succeeded: {failed_cases(stage.context, stage.asked[:1])}"
    outside = [
        f"{status}: {statuses[int(status)] / settings.calls:.0%} of {count(settings.calls, 'call')}, "
        f"{low:.0%} to {high:.0%} expected by rehearsal.baseline.statuses"
        for status, (low, high) in settings.statuses.items()
        if not low <= statuses[int(status)] / settings.calls <= high
    ]
    odd = next((one for one in stage.asked if outside and not one.ok), None)
    return shown(not outside, words, "; ".join([*outside, *([failed_cases(stage.context, [odd])] if odd else [])]))


def before(stage: RehearsalStage) -> str:
    """The steps of `e2e` on the old code; `rehearsal.baseline.e2e` says how they must end."""
    result = stage.drive()
    stage.results["before"] = result
    wanted = stage.config.rehearsal.baseline.e2e
    seen = result.told(result.problems[0]) if result.problems else _done(result)
    words = f"in the browser: {result.verdict}, {seen}"
    return shown(wanted in (None, result.verdict), words, f"{words}; rehearsal.baseline.e2e expects {wanted}")


def e2e(stage: RehearsalStage) -> str:
    """The steps of `e2e` on the new code: users see it work, and the logs show the new route and the cost."""
    result = stage.drive()
    stage.results["e2e"] = result
    seen = f"in the browser: {_done(result)}, {count(len(result.calls), 'function call')} found in the logs"
    return shown(result.verdict == "pass", seen, result.why)


def _done(result: E2eResult) -> str:
    passed = sum(step.ok is True for step in result.steps)
    return f"{passed} of {count(len(result.steps), 'step')} passed"


def secret(stage: RehearsalStage) -> str:
    """Missing, then set, then proven: by digest and, where one is named, by the provider."""
    if not stage.config.secrets:
        raise PhaseSkipped("no secrets in the config")
    missing = [row.name for row in secrets.verify(stage.fresh()).secrets if not row.present]
    if missing:
        secrets.set_all(stage.fresh(), lambda _: True)
    after = secrets.verify(stage.fresh())
    stage.results["secret"] = after
    bad = [f"{row.name}: {row.detail or 'not proven'}" for row in after.secrets
           if not (row.ok and row.matches)]  # fmt: skip
    parts = [f"{row.name}: {'missing, set, ' if row.name in missing else ''}digest equal"
             + (", provider accepts it" if row.provider_ok else "") for row in after.secrets]  # fmt: skip
    return shown(not bad, "; ".join(parts), "; ".join(bad))


def plan(stage: RehearsalStage) -> str:
    """Something is to be created or updated, and each update can be restored."""
    stage.clone.checkout(stage.clone.branch)
    planned = planning.make(stage.fresh())
    stage.results["plan"] = planned
    words = ", ".join(f"{row.action} {row.slug}" for row in planned.functions) + f"; plan {planned.hash[:12]}"
    changed = [row.slug for row in planned.unchanged if row.changed]
    words += f"; listed as unchanged, but changed: {', '.join(changed)}" if changed else ""
    fixed = [row.slug for row in planned.functions if row.action == "update" and row.restorable == "no"]
    shown(not fixed, words, f"cannot be restored: {', '.join(fixed)}")
    work = any(row.action != "same" for row in planned.functions)
    base = stage.clone.base[:9]
    lacks = f"nothing to deploy: at {stage.clone.branch} the functions are as at app.base, {base}"
    return shown(work, words, f"{lacks}; app.base is the revision before the migration, which is committed after it")


def deploy(stage: RehearsalStage) -> str:
    """The change goes live and the gate proves it, as far as the smoke cases reach."""
    deployment = _deploy(stage, "deploy", gate=True)
    versions = ", ".join(
        f"{row.slug} {row.before.version or 'new'}→{row.after.version}" for row in deployment.functions
    )
    cases = {case.function for case in stage.config.smoke}
    unseen = [slug for slug in stage.config.migration.functions if slug not in cases]
    if deployment.outcome == "unproven" and unseen:
        return f"live, not proven ({', '.join(unseen)} without a smoke case): {versions}"
    return shown(deployment.outcome == "live", f"live: {versions}", f"{deployment.outcome}: {_gate(stage, 'deploy')}")


def smoke(stage: RehearsalStage) -> str:
    """Every smoke case passes."""
    if not stage.config.smoke:
        raise PhaseSkipped("no smoke cases in the config")
    context = stage.fresh()
    result = smoking.run(context)
    stage.results["smoke"] = result
    if not result.ok:
        raise EvidenceMissing(failed_cases(context, result.cases))
    slowest = max(case.seconds for case in result.cases)
    return f"{count(len(result.cases), 'case')} passed, the slowest in {slowest:.1f}s"


def logs(stage: RehearsalStage) -> str:
    """The new route is in the logs of the new versions, and the old one is not."""
    routes = [name for name in ("new_route", "old_route") if name in stage.config.signals]
    if not routes or not stage.config.smoke:
        raise PhaseSkipped("no signals new_route and old_route in the config" if not routes else "no smoke cases")
    lines = {name: len(_signal(stage, name)) for name in routes}
    words = ", ".join(f"{count(lines[name], 'line')} of {name}" for name in routes) + " since the deployment"
    return shown(lines.get("new_route", 1) and not lines.get("old_route"), words)


def costs(stage: RehearsalStage) -> str:
    """Every request has its cost; the provider's bill stands beside it where the provider has one."""
    if "usage" not in stage.config.signals:
        raise PhaseSkipped("no signal usage in the config")
    if stage.config.target is None:
        raise PhaseSkipped("migration.to names no provider")
    if stage.config.target.price is None:
        raise PhaseSkipped(f"providers.{stage.config.migration.to} has no price")
    result = spending.run(stage.fresh(), since=_deployed_at(stage), by="function")
    stage.results["costs"] = result
    many = count(result.requests, "request")
    if result.cost is None or not result.requests:
        shown(False, "", f"no log line of {many} since the deployment matches signals.usage")
    words = f"{dollars(result.cost or 0)} for {many} by tokens"
    words += ", no cost logged" if result.logged_cost is None else f", {dollars(result.logged_cost)} logged"
    if result.provider_cost is not None:
        words += f", {dollars(result.provider_cost)} billed"
    return words


def checks(stage: RehearsalStage) -> str:
    """A soak settles the success rate; then every success criterion, after against before."""
    soaked = None
    if any(map(stage.cases, stage.config.migration.functions)):
        soaked = soaking.run(stage.fresh(), concurrency=8, max_cost=_PLAY)
        stage.results["soak"] = soaked
        shown(soaked.verdict == "pass", "", _unsettled(stage, soaked))
    after = f" after a soak of {count(soaked.requests, 'request')}" if soaked else ""
    if not stage.config.smoke:
        raise PhaseSkipped("no smoke cases in the config, so there is nothing to judge")
    if not stage.config.criteria.named:
        return shown(soaked, f"no criteria in the config{after}") if soaked else _skip("no criteria in the config")
    result = checks_run.run(stage.fresh(), since=_deployed_at(stage))
    stage.results["checks"] = result
    bad = [f"{row.name} {row.verdict}: {row.got}" for row in result.criteria
           if str(row.verdict) != "pass" and not row.advisory]  # fmt: skip
    words = f"{len(result.criteria)} criteria pass{after}"
    return shown(str(result.verdict) == "pass", words, "; ".join(bad))


def _unsettled(stage: RehearsalStage, soaked: soaking.SoakResult) -> str:
    """What a soak decided and why, with the first log line of one request that failed, and what to change."""
    parts = [f"soak: {soaked.decision}", *soaked.reasons, *soaked.failures[:1]]
    if soaked.failed is not None:
        parts += [first_line(stage.context, soaked.failed)]
    advice = soaked.next if all(isinstance(step, Do) for step in soaked.next) else ()  # else labels of commands
    return "; ".join([*parts, *map(str, advice)])


def watch(stage: RehearsalStage) -> str:
    """A round of `inv watch` over all since the deployment: no alarm, and any run finds its state."""
    watched = _round(stage)
    sent = "soak" in stage.results or "smoke" in stage.results
    until = stage.context.clock.monotonic() + _RIPE
    while sent and not watched.alarms and not _answers(watched) and stage.context.clock.monotonic() < until:
        stage.context.clock.sleep(_LOOK / 2)  # the rows of a look are waited for
        watched = _round(stage)
    many, failed = _answers(watched), sum(one.failed for one in watched.state.functions.values())
    stage.results["watch"] = {"watch": watched.state.id, "verdict": watched.verdict, "answers": many, "failed": failed}
    alarms = "; ".join(one.summary for one in watched.alarms)
    kept = WatchRef(stage.fresh().ledger).read().state
    shown(kept is not None and kept.id == watched.state.id, "", "the state of the watch is not in the app's remote")
    seen = f"a round over {count(many, 'answer')}, {failed} failed" if many else "a round without an answer to judge"
    words = f"{seen}, no alarm; any run may do the next one"
    return shown(not watched.alarms, words, f"alarms: {alarms}")


def _answers(watched: WatchRound) -> int:
    return sum(one.answers for one in watched.state.functions.values())


def _round(stage: RehearsalStage) -> WatchRound:
    return next(iter(watching.run(stage.fresh(), watching.WatchOptions(every=_LOOK, once=True))))


def drill(stage: RehearsalStage) -> str:
    """A broken revision fails its gate, what was live is live again, and the rollback does the git half."""
    function = next(filter(stage.cases, stage.config.migration.functions), None)
    if function is None:
        raise PhaseSkipped("no smoke case would notice a broken revision of a migrated function")
    path = reader.reader(stage.fresh()).at(stage.clone.branch, [function])[function].entrypoint
    before = _live(stage)
    text = (stage.clone.app / path).read_text(encoding="utf-8")
    stage.clone.commit({path: BROKEN + text}, f"Break {function}, as a drill")
    deployment = _deploy(stage, "drill", gate=True)
    shown(deployment.outcome == "restored", "", f"the broken revision ended as {deployment.outcome}")
    shown(before == _live(stage), "", "what is live after the restore differs from before the drill")
    result = undoing.run(stage.fresh())
    stage.clone.sync()
    stage.results["drill"] = {"deployment": deployment, "rollback": result}
    commit = _reverted(result)
    words = f"gate failed it, restored in {show(deployment.restored_seconds)}, reverted by {commit[:9]}"
    return shown(commit, words, "the revert of the broken revision was not pushed")


def rollback(stage: RehearsalStage) -> str:
    """Back to the code before: it answers, git holds the revert, the remote has it."""
    before = stage.results.get("baseline")
    result = undoing.run(stage.fresh(), undoing.RollbackOptions(to=before.id if before else "base"))
    stage.results["rollback"] = result
    tip = stage.clone.sync()
    commit = _reverted(result)
    nothing = result.revert is not None and result.revert.state == "nothing"
    lost = result.revert.message if result.revert else "git was left alone"
    shown(nothing or (commit and tip == commit), "", f"the revert was not pushed: {lost}")
    pushed = (
        "nothing to revert, the range changes no file of the functions" if nothing else f"revert {commit[:9]} pushed"
    )
    words = f"restored in {show(result.restored_seconds or 0)}, {pushed}"
    if "watch" in stage.results:
        stage.fresh().clock.sleep(_LOOK / 2)  # a round is due half a look after the last one
        shown(_round(stage).state.ended, "", "the watch of the deployment goes on after its rollback")
    if before is None:
        return f"{words}; the functions are gone again"
    try:
        stage.ask(_AFTER_ROLLBACK)
    except PhaseSkipped:
        return words
    if "old_route" not in stage.config.signals:
        return words
    old = _signal(stage, "old_route")
    return shown(old, f"{words}, {count(len(old), 'line')} of old_route", "no log line of old_route since the rollback")


def _skip(reason: str) -> str:
    raise PhaseSkipped(reason)


def _gate(stage: RehearsalStage, name: str) -> str:
    """Why a gate did not pass: the failed smoke cases, else its own words."""
    gate = stage.results[f"{name}_gate"]
    cases = gate.get("smoke")
    if isinstance(cases, smoking.SmokeResult) and not cases.ok:
        return failed_cases(stage.fresh(), cases.cases)
    return str(gate.get("why") or "the gate did not say why")


def _deploy(stage: RehearsalStage, name: str, *, gate: bool, only: tuple[str, ...] = ()) -> Any:
    context: Context = stage.before() if name == "baseline" else stage.fresh()
    result = deploying.run(context, deploying.DeployOptions(yes=True, only=only, gate=gate))
    stage.results[name] = result.deployment
    stage.results[f"{name}_gate"] = result.gate
    return result.deployment


def _signal(stage: RehearsalStage, name: str) -> list[Any]:
    """Log lines of a signal since the newest deployment went live; polled, as rows come with a delay."""
    context = stage.fresh()
    query = logging.LogQuery(functions=tuple(stage.config.migration.functions), since=_since(stage), signal=name)
    return list(logging.history(context, query))


def _since(stage: RehearsalStage) -> Any:
    return telling.run(stage.fresh()).deployments[0].ended


def _deployed_at(stage: RehearsalStage) -> Any:
    return stage.results["deploy"].began


def _live(stage: RehearsalStage) -> dict[str, Any]:
    return {row.slug: row.live_source for row in telling.run(stage.fresh()).functions}


def _reverted(result: Any) -> str:
    """The revert that the remote has; empty when there is none."""
    return str(result.revert.commit) if result.revert and result.revert.pushed else ""
