"""The phases of a rehearsal, in the plan's order. Each returns one line of evidence, or raises EvidenceMissing."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import structs

from migration.base.progress import Observer
from migration.config.settings import Config
from migration.costs import costs as spending
from migration.deploy import deploy as deploying
from migration.deploy import plan as planning
from migration.inspect import status as telling
from migration.logs import logs as logging
from migration.rollback import rollback as undoing
from migration.setup import secret as secrets
from migration.verify import checks_run
from migration.verify import smoke as smoking
from migration.verify import soak as soaking

from .. import context as contexts
from ..context import Context
from . import clone as clones
from . import sandbox
from .clone import Clone
from .running import Running, start
from .sandbox import settings

BASELINE_CALLS = 20


def start_sandbox(stage: RehearsalStage) -> str:
    """Everything hosted, on loopback: the app's clone with two commits, the stand-ins, chat and images live."""
    stage.open()
    live = sorted(function.slug for function in stage.context.supabase.functions())
    return shown(live == sorted(stage.config.migration.unchanged), f"{stage.running.url} with {', '.join(live)} live")  # type: ignore[union-attr]


def baseline(stage: RehearsalStage) -> str:
    """The code before the migration goes live and is measured: about half of its calls fail."""
    stage.clone.checkout(stage.clone.base)
    found = _deploy(stage, "baseline", gate=False, context=stage.before())
    statuses = stage.ask(BASELINE_CALLS)
    share = statuses[503] / BASELINE_CALLS
    words = f"{statuses[503]} of {BASELINE_CALLS} calls answered 503 ({share:.0%}), deployment {found.id}"
    return shown(0.25 <= share <= 0.75, words)


def secret(stage: RehearsalStage) -> str:
    """Missing, then set, then proven: by digest and by the provider."""
    before = secrets.verify(stage.context)
    shown(not any(row.present for row in before.secrets), "the new key was there before it was set")
    secrets.set_all(stage.fresh(), lambda _: True)
    after = secrets.verify(stage.fresh())
    stage.results["secret"] = after
    good = all(row.present and row.matches and row.provider_ok for row in after.secrets)
    return shown(
        good, f"{', '.join(row.name for row in after.secrets)}: missing, set, digest equal, provider accepts it"
    )


def plan(stage: RehearsalStage) -> str:
    """Both functions are to be updated, each can be restored, and the untouched ones are untouched."""
    stage.clone.checkout(stage.clone.branch)
    made = planning.make(stage.fresh())
    stage.results["plan"] = made
    actions = {row.slug: row.action for row in made.functions}
    good = set(actions.values()) == {"update"} and all(row.restorable != "no" for row in made.functions)
    good = good and not any(row.changed for row in made.unchanged)
    return shown(good, ", ".join(f"{action} {slug}" for slug, action in actions.items()) + f"; plan {made.hash[:12]}")


def deploy(stage: RehearsalStage) -> str:
    """The change goes live and the gate proves it."""
    found = _deploy(stage, "deploy", gate=True)
    versions = ", ".join(f"{row.slug} {row.before.version}→{row.after.version}" for row in found.functions)
    return shown(found.outcome == "live", f"{found.outcome}: {versions}")


def smoke(stage: RehearsalStage) -> str:
    result = smoking.run(stage.fresh())
    stage.results["smoke"] = result
    failed = [case.name for case in result.cases if not case.ok]
    slowest = max(case.seconds for case in result.cases)
    words = (
        f"{len(result.cases)} cases passed, the slowest in {slowest:.1f} s"
        if not failed
        else f"failed: {', '.join(failed)}"
    )
    return shown(not failed, words)


def logs(stage: RehearsalStage) -> str:
    """The new route is in the logs of the new versions, and the old one is not."""
    new, old = _signal(stage, "new_route"), _signal(stage, "old_route")
    return shown(new and not old, f"{len(new)} lines of the new route since the deployment, {len(old)} of the old")


def costs(stage: RehearsalStage) -> str:
    """Every request has its cost, and the provider's bill agrees."""
    result = spending.run(stage.fresh(), since=_deployed_at(stage), by="function")
    stage.results["costs"] = result
    words = f"${result.cost:.4f} for {result.requests} requests by tokens"
    words += ", no cost logged" if result.logged_cost is None else f", ${result.logged_cost:.4f} logged"
    if result.provider_cost is not None:
        words += f", ${result.provider_cost:.4f} billed"
    agree = result.provider_cost is not None and abs(result.provider_cost - result.cost) <= 0.01 * result.cost
    return shown(result.cost > 0 and agree, words)


def checks(stage: RehearsalStage) -> str:
    """A soak settles the success rate; then every success criterion, after against before."""
    soaked = soaking.run(stage.fresh(), concurrency=8)
    stage.results["soak"] = soaked
    shown(soaked.verdict == "pass", f"soak: {soaked.decision}")
    result = checks_run.run(stage.fresh(), since=_deployed_at(stage))
    stage.results["checks"] = result
    bad = [f"{row.name} {row.verdict}: {row.got}" for row in result.criteria if str(row.verdict) != "pass"]
    return shown(
        str(result.verdict) == "pass",
        f"{len(result.criteria)} criteria pass after a soak of {soaked.requests}" if not bad else "; ".join(bad),
    )


def drill(stage: RehearsalStage) -> str:
    """A broken revision fails its gate, what was live is live again, and the rollback does the git half."""
    function = stage.config.migration.functions[0]
    path = f"supabase/functions/{function}/index.ts"
    before = _live(stage)
    text = (stage.clone.app / path).read_text(encoding="utf-8")
    stage.clone.commit({path: BROKEN + text}, "Break artifact generation, as a drill")
    found = _deploy(stage, "drill", gate=True)
    shown(found.outcome == "restored", f"the broken revision ended as {found.outcome}")
    after = {row.slug: row.live_source for row in telling.run(stage.fresh()).functions}
    result = undoing.run(stage.fresh())
    stage.clone.sync()
    stage.results["drill"] = {"deployment": found, "rollback": result}
    commit = _reverted(result)
    words = f"gate failed it, restored in {found.restored_seconds:.1f} s, reverted by {commit[:9]}"
    return shown(commit and before == after, words)


def rollback(stage: RehearsalStage) -> str:
    """Back to the baseline: the old code answers, git holds the revert, the remote has it."""
    target = stage.results["baseline"].id
    result = undoing.run(stage.fresh(), undoing.RollbackOptions(to=target))
    stage.results["rollback"] = result
    tip = stage.clone.sync()
    statuses = stage.ask(6)
    old = _signal(stage, "old_route")
    commit = _reverted(result)
    words = f"restored in {result.restored_seconds:.1f} s, revert {commit[:9]} pushed"
    words += f", {len(old)} lines of the old route"
    return shown(commit and tip == commit and old and statuses, words)


BROKEN = 'throw new Error("a drill: this revision does not start");\n'


def _deploy(stage: RehearsalStage, name: str, *, gate: bool, context: Context | None = None) -> Any:
    result = deploying.run(context or stage.fresh(), deploying.DeployOptions(yes=True, gate=gate))
    stage.results[name] = result.deployment
    return result.deployment


def _signal(stage: RehearsalStage, name: str) -> list[Any]:
    """Log lines of a signal since the newest deployment went live; polled, as rows come with a delay."""
    context = stage.fresh()
    query = logging.Query(functions=tuple(stage.config.migration.functions), since=_since(stage), signal=name)
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


PROMPTS = (
    "Create a simple counter component with increment and decrement buttons",
    "Create a todo list app",
    "Create a stopwatch",
    "Create a temperature converter",
)


class EvidenceMissing(Exception):
    """A phase ran and did not show what it must; the text is the evidence."""


def shown(condition: object, evidence: str) -> str:
    """The evidence, or NotShown with it."""
    if not condition:
        raise EvidenceMissing(evidence)
    return evidence


@dataclass
class RehearsalStage:
    root: Path
    folder: Path
    config: Config
    observer: Observer
    results: dict[str, Any] = field(default_factory=dict)
    running: Running | None = None
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
        sandbox.note(self.folder, self._clone)
        self.running = start(self.folder, settings=settings(self.config, self.root))
        self.fresh()
        sandbox.functions(self.context, self.clone, self.config.migration.unchanged)

    def fresh(self) -> Context:
        """A context that remembers nothing, as the next command would have."""
        self._context = contexts.attach(self.root, self.config, self.folder, QuietObserver(self.observer))
        return self._context

    def before(self) -> Context:
        """The same, with the configuration as it was before the migration: no new secret, no new provider."""
        context = self.fresh()
        context.config = structs.replace(context.config, secrets={}, provider=None)
        context.observer = Observer()  # that its deploy proves nothing is the point of a baseline
        return context

    def ask(self, count: int) -> Counter[int]:
        """Statuses of so many artifact requests, a few at a time."""
        function = self.config.migration.functions[0]
        bodies = [{"prompt": PROMPTS[n % len(PROMPTS)], "artifactType": "react"} for n in range(count)]
        edge = self.context.edge
        with ThreadPoolExecutor(4) as pool:
            return Counter(pool.map(lambda body: edge.call(function, json=body, timeout=60).status, bodies))

    def close(self) -> None:
        if self.running is not None:
            self.running.stop()


class QuietObserver(Observer):
    """Passes warnings on and nothing else: the lines of a verb inside a phase would bury the rehearsal's own."""

    def __init__(self, outer: Observer) -> None:
        self._outer = outer

    def warn(self, text: str) -> None:
        self._outer.warn(text)
