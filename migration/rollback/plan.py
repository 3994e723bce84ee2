"""What a rollback would do: the functions it restores or deletes, the files that git takes back, and what stays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migration.base.command import Command, Step, inv
from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.numbers import few
from migration.clients.supabase_types import Function
from migration.deploy import drift, forward, snapshot
from migration.deploy.recovery import Recovery
from migration.deploy.result import FunctionResult, FunctionVersion
from migration.deploy.staging import FunctionSpec, Pace
from migration.git import revert
from migration.git.revert import RevertRange
from migration.ledger.deployments import Deployment, History
from migration.rollback.target import BASE, Target, choose
from migration.source import scope

if TYPE_CHECKING:
    from migration.context import Context
    from migration.source.source import Source


_NAMED = 5  # files that a note names


@dataclass(frozen=True)
class RollbackOptions:
    """What `inv rollback` was given.

    `to`: the deployment whose code is to be live again, or `base`; None takes back the newest. `scope`: `functions`
    (only their files go back in git) or `commit` (whole commits); None as the config says. `wait`: seconds for the
    lock. `without_lock`: the reason to go on without it. `overwrites`: the project ref was typed, so that code which
    was deployed outside Cutover may be replaced. `confirm` shows the plan and returns whether the person agrees; the
    lock is free meanwhile.
    """

    to: str | None = None
    scope: str | None = None
    restore_only: bool = False
    push: bool = True
    wait: float = 0.0
    without_lock: str | None = None
    overwrites: bool = False
    confirm: Callable[[RollbackPlan], bool] = lambda _: True
    pace: Pace = field(default_factory=Pace)

    @property
    def command(self) -> Command:
        """The same rollback to type again."""
        return inv("rollback", to=self.to, scope=self.scope, restore_only=self.restore_only, no_push=not self.push,
                   without_lock=self.without_lock)  # fmt: skip

    def whole(self, default: str) -> bool:
        """Whether whole commits go back, not only the functions' files; `default` is the scope of the config."""
        chosen = self.scope or default
        if chosen not in ("functions", "commit"):
            choices = (inv("rollback", scope="functions"), inv("rollback", scope="commit"))
            raise Refused(f"--scope {chosen} is not known; it is functions or commit.", *choices)
        return chosen == "commit"


@dataclass(frozen=True)
class FunctionRestore:
    """One function. `action`: restore, delete (it did not exist before) or same; `of`: the deployment whose
    `before` it is. `version` is the one whose code is live again, None for a deletion. `foreign`: what is live now was
    deployed outside Cutover since."""

    slug: str
    action: str
    live: Function | None = field(repr=False)
    before: Mapping[str, Any] | None = field(repr=False)
    source: Source | None = field(repr=False)
    of: str
    foreign: bool = False

    @property
    def version(self) -> int | None:
        return int(self.before["version"]) if self.before else None

    @property
    def live_version(self) -> int | None:
        return self.live.version if self.live else None

    def wanted(self) -> FunctionSpec:
        """What is sent to restore it."""
        jwt = self.before.get("verify_jwt") if self.before else None
        return FunctionSpec(self.slug, self.source, self.live, jwt)

    def as_json(self) -> dict[str, Any]:
        live = {"version": self.live.version} if self.live else None
        restored = {"version": self.version} if self.version is not None else None
        head = {"slug": self.slug, "action": self.action, "live": live, "restored": restored}
        return {**head, "of": self.of, "foreign": self.foreign}

    def record(self) -> dict[str, Any]:
        """Its entry in the intent."""
        wanted = {
            "source_digest": self.source.digest if self.source else None,
            "verify_jwt": self.before.get("verify_jwt") if self.before else None,
            "of": self.of,
        }
        return {"slug": self.slug, "action": self.action, "before": _as_before(self.live), "wanted": wanted}

    def result(self, versions: Mapping[str, int | None], untouched: bool) -> FunctionResult:
        """Before and after, by the live `versions` seen since; `untouched`: what is not among them is as before.

        Only what has moved has the digest of the source that was restored.
        """
        before = FunctionVersion(self.live_version, None)
        if self.slug not in versions:
            return FunctionResult(self.slug, self.action, before, before if untouched else None)
        version = versions[self.slug]
        restored = version is not None and self.source and (version != self.live_version or self.action == "same")
        digest = self.source.digest if restored and self.source else None
        code_of = self.version if restored and self.action == "restore" and version != self.version else None
        return FunctionResult(self.slug, self.action, before, FunctionVersion(version, digest), code_of)


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback made now would do. `message` says so in a sentence, `notes` what it will not undo, and `next`
    what to type where there is nothing to do."""

    work: str
    to: str | None
    undone: tuple[str, ...]
    base: str
    revision: str
    functions: tuple[FunctionRestore, ...]
    files: tuple[str, ...]
    message: str
    notes: tuple[str, ...]
    next: tuple[Step, ...]
    target: Target = field(repr=False)
    history: History = field(repr=False)
    live: dict[str, Function] = field(repr=False)

    @property
    def key(self) -> tuple[object, ...]:
        """What must not have moved between the question and the lock."""
        versions = [(one.slug, one.action, one.live_version) for one in self.functions]
        return self.work, self.to, self.undone, tuple(versions)

    @property
    def strangers(self) -> dict[str, int]:
        """What it makes live again that was deployed outside Cutover: no commit holds it, and none will."""
        return _restored_foreign(self.history, self.functions)

    @property
    def foreign(self) -> dict[str, int]:
        """The functions whose live version was deployed outside Cutover and would be overwritten."""
        return {one.slug: one.live.version for one in self.functions if one.foreign and one.live}

    def refuse_foreign(self) -> None:
        """Refused where such code would be overwritten without anyone having agreed to that."""
        if self.foreign:
            to = self.to or BASE
            raise Refused(
                f"Not rolled back: {drift.outside(self.foreign)} since. To overwrite it, "
                f"type the project ref when asked, or pass --to {to}.",
                inv("plan", diff=True),
                inv("rollback", to=to),
            )


def make(context: Context, options: RollbackOptions | None = None) -> RollbackPlan:
    """What a rollback would do. Reads, and changes nothing."""
    options = options or RollbackOptions()
    history = context.ledger.history()
    live = {function.slug: function for function in context.supabase.functions()}
    target = choose(context, history, live, options.to)
    _deepen(context, target)
    functions = tuple(_functions(context, history, live, target)) if target.work == "service" else ()
    files, notes = _git(context, target, options, history, live)
    if target.work == "service":
        notes = [*_overwritten(functions), *notes, *_secrets(context, target)]
    notes += _around(context, history, live, target)
    return RollbackPlan(
        target.work, target.to.id if target.to else None, tuple(one.id for one in target.undone), target.base,
        target.revision, functions, tuple(files), _sentence(history, target, functions), tuple(notes), target.steps,
        target, history, live,
    )  # fmt: skip


def _deepen(context: Context, target: Target) -> None:
    """A clone of CI is shallow, and what was live before lies beyond its boundary. It may also be in a snapshot, so
    that a commit which cannot be fetched stops nothing here."""
    wanted = {one.base_revision for one in target.origins.values()} | {target.base, target.revision}
    with contextlib.suppress(CutoverError):
        revert.bring(context.repository, _remote(context), sorted(wanted - {""}))


def _remote(context: Context) -> str | None:
    """The git remote, unless it did not answer just now: it is not waited for twice."""
    return None if context.ledger.offline else scope.remote(context)


def _sentence(history: History, target: Target, functions: Sequence[FunctionRestore]) -> str:
    if target.message:
        return target.message
    taken = ", ".join(one.id for one in target.undone) or "nothing"
    if target.work == "git":
        return f"The service is already restored; git still has to revert {taken}."
    code = f"the code of {target.to.id}" if target.to else "the code from before the first deployment"
    foreign = _restored_foreign(history, functions)
    if foreign:
        others = any(one.action == "restore" and one.slug not in foreign for one in functions)
        code = f"{f'{code} and ' if others else ''}{drift.named(foreign)}, deployed outside Cutover"
    deleted = [one.slug for one in functions if one.action == "delete"]
    deletes = f" It deletes {', '.join(deleted)}, which did not exist before." if deleted else ""
    return f"This takes back {taken} and restores {code}.{deletes}"


def _restored_foreign(history: History, functions: Iterable[FunctionRestore]) -> dict[str, int]:
    """What a rollback would restore that was deployed outside Cutover, with its version."""
    versions: dict[str, int] = {}
    for one in functions:
        origin = history.find(one.of)
        version = drift.stranger(history, origin, one.slug, one.source.digest) if origin and one.source else None
        versions |= {one.slug: version} if version is not None else {}
    return versions


# The functions


def _functions(
    context: Context, history: History, live: Mapping[str, Function], target: Target
) -> Iterator[FunctionRestore]:
    """Each function with the source that will be live. Refused for what cannot be restored or must not be deleted."""
    sources: dict[str, Source] = {}
    for deployment in {one.id: one for one in target.origins.values()}.values():
        slugs = [slug for slug, origin in target.origins.items() if origin.id == deployment.id]
        sources.update(snapshot.restorer(context, deployment, slugs))
    for slug, origin in target.origins.items():
        yield _function(history, live.get(slug), origin, (slug, sources.get(slug)), target)


def _function(
    history: History, live: Function | None, origin: Deployment, wanted: tuple[str, Source | None], target: Target
) -> FunctionRestore:
    slug, source = wanted
    change = origin.change(slug)
    before = change.before if change else None
    if before is None:
        _refuse_foreign_deletion(history, slug, live, target)
        exists = live is not None or (target.pending is not None and slug in target.pending.answers)
        return FunctionRestore(slug, "delete" if exists else "same", live, None, None, origin.id)
    left = history.left(slug)
    same = bool(live and left and left.version == live.version and source and left.source_digest == source.digest)
    if target.pending and (state := _state(target.pending, slug)):
        done = state in ("before", "restored") if target.resumes is None else state == "live"
        return FunctionRestore(slug, "same" if done else "restore", live, before, source, origin.id)
    foreign = live is not None and drift.foreign(history, live)
    return FunctionRestore(slug, "same" if same else "restore", live, before, source, origin.id, foreign)


def _state(pending: Recovery, slug: str) -> str:
    """How far an interrupted deployment came with this function."""
    return next((one.state for one in pending.functions if one.slug == slug), "")


def _refuse_foreign_deletion(history: History, slug: str, live: Function | None, target: Target) -> None:
    left = history.left(slug)
    ours = {left.version} if left else set()
    ours |= {one.version for one in target.pending.functions if one.slug == slug} if target.pending else set()
    if live is not None and live.version not in ours:
        raise Refused(
            f"Not rolled back: {slug} did not exist before, but v{live.version} of it was deployed outside Cutover "
            "since. It is not deleted.",
            inv("status"),
        )


def _as_before(live: Function | None) -> dict[str, Any] | None:
    if live is None:
        return None
    names = ("version", "verify_jwt", "entrypoint_path", "import_map_path")
    return {**{name: getattr(live, name) for name in names}, "function_id": live.id}


def keep_foreign(context: Context, functions: Sequence[FunctionRestore]) -> tuple[dict[str, Any], list[str]]:
    """Download code that was deployed outside Cutover and will be overwritten, and keep it where every machine finds
    it: what the intent says of it, and notes for a person. A service that must be restored does not wait for a git
    remote: this machine's copy exists at least."""
    overwritten = [one.live for one in functions if one.foreign and one.live]
    records: dict[str, Any] = {}
    notes: list[str] = []
    for slug, one in snapshot.take(context, overwritten, dict).items():
        head = f"Overwritten: v{one.function.version} of {slug}, deployed outside Cutover"
        if one.restorable == "no":
            notes.append(f"{head}; its code could not be kept: {one.why}.")
            continue
        records[slug] = {"digest": one.digest, "restorable": one.restorable}
        notes.append(f"{head}; {_keep(context, one)}.")
    return records, notes


def _keep(context: Context, one: snapshot.Snapshot) -> str:
    try:
        snapshot.keep(context, [one])
    except CutoverError:
        return f"its code is kept on this machine only, in {context.state / 'bodies'}: the git remote did not take it"
    return f"its code is kept as {context.ledger.prefix}/snapshots/{context.environment.name}/{one.digest}"


# Git


def _git(
    context: Context, target: Target, options: RollbackOptions, history: History, live: Mapping[str, Function]
) -> tuple[list[str], list[str]]:
    """The files that git will take back, and notes on what of the range stays."""
    whole = options.whole(context.config.rollback.scope)
    if target.work == "none":
        return [], []
    if options.restore_only:
        return [], ["Git is not changed now (--restore-only); the next rollback makes it agree."]
    if not target.base or not target.revision:
        return [], ["Git is not changed: the revision that was live before is unknown (app.base is not set)."]
    repository = context.repository
    try:
        revert.bring(repository, _remote(context), [target.base, target.revision])
        slugs = scope.with_renamed(context, target.base, target.revision, target.slugs, history, live)
        wanted = scope.of(context, target.base, target.revision, slugs, {}, "", whole).range
        everything = repository.changed(target.base, target.revision)
        taken = _taken(context, wanted, everything)
    except CutoverError as error:
        return [], [error.message]
    if taken and _there_already(context, target.base, taken):
        text = f"Git needs no revert: {context.config.app.branch} already holds the previous files."
        return [], [text, *_left(everything, taken, whole)]
    return taken, list(_left(everything, taken, whole))


def _there_already(context: Context, base: str, files: Sequence[str]) -> bool:
    """Whether the branch, as the remote had it when the ledger was last read, has these files as they were at base."""
    tip = forward.checkout(context).tip
    blobs = context.repository.blobs
    return bool(tip) and context.repository.revision(tip) is not None and blobs(tip, files) == blobs(base, files)


def _taken(context: Context, wanted: RevertRange, everything: Sequence[str]) -> list[str]:
    """The functions' files of the range, or all files of the commits that touched one of those."""
    repository, files = context.repository, set(wanted.files)
    if wanted.whole:
        for commit in wanted.commits:
            parents = repository.parents(commit)
            files |= set(repository.changed(parents[0], commit)) if parents else set()
    return [path for path in everything if path in files]


def _left(everything: Sequence[str], taken: Sequence[str], whole: bool) -> Iterator[str]:
    """What of the range a rollback leaves alone."""
    rest = [path for path in everything if path not in taken]
    databases = [path for path in rest if path.startswith("supabase/migrations/")]
    if databases:
        yield f"Not undone: database migrations, {', '.join(databases)}."
    others = [path for path in rest if path not in databases]
    if others:
        also = "" if whole else " (--scope commit takes back whole commits)"
        yield f"Not undone in git: {few(others, _NAMED)}, changed in the same range{also}."


# What else a person should know


def _overwritten(functions: Sequence[FunctionRestore]) -> list[str]:
    versions = {one.slug: one.live.version for one in functions if one.foreign and one.live}
    text = f"{drift.outside(versions)} since: overwritten by this rollback, its code is kept in git."
    return [text] if versions else []


def _around(context: Context, history: History, live: Mapping[str, Function], target: Target) -> list[str]:
    """An unread ledger, who holds the lock, and what is live that was deployed outside Cutover."""
    notes, ledger = [], context.ledger
    if ledger.offline:
        notes.append(ledger.offline)
    elif (holder := context.lock.holder(fresh=False)) is not None and not holder.stale:
        notes.append(f"The lock is held by {holder}.")
    others = drift.versions(history, live, target.slugs) if target.work == "git" and target.pending is None else {}
    if others:
        notes.append(f"{drift.outside(others)} since and stays live: only git goes back.")
    return notes


def _secrets(context: Context, target: Target) -> list[str]:
    """Secrets that changed since the oldest deployment that is taken back; those that the platform sets are its own."""
    if not target.undone or not target.undone[-1].secrets:
        return []
    try:
        now = {secret.name: secret.digest for secret in context.supabase.secrets()}
    except ServiceFailed as error:
        return [f"Whether secrets have changed since is unknown: {error.message}"]
    then = {name: known for name, known in target.undone[-1].secrets.items() if not name.startswith("SUPABASE_")}
    gone = sorted(name for name in then if name not in now)
    changed = sorted(name for name in then if name in now and now[name] != then[name])
    words = {"are gone": gone, "have changed": changed}
    return [f"Not undone: secrets that {what} since: {', '.join(names)}." for what, names in words.items() if names]
