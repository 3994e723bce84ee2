"""The plan: what a deploy would change, why, and whether it can be undone. Reads only."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from migration.base.command import Command, Do, Step, inv, sh
from migration.base.errors import CutoverError, Refused
from migration.base.numbers import few
from migration.base.parallel import begin
from migration.clients.supabase_types import Function, SecretDigest, same
from migration.config import load as configuration
from migration.deploy import drift, forward, hold, recovery, snapshot, sql
from migration.deploy.forward import Situation
from migration.deploy.snapshot import Snapshot
from migration.deploy.sql import SqlFile
from migration.deploy.staging import FunctionSpec
from migration.git import revert
from migration.providers import proofs
from migration.source import differences, reader, snapshots, strays
from migration.source.differences import BaseComparison
from migration.source.functions_config import CONFIG
from migration.source.reader import Absent
from migration.source.source import Source, canonical
from migration.verify.forecast import forecast

if TYPE_CHECKING:
    from migration.context import Context
    from migration.deploy.recovery import Recovery
    from migration.ledger.deployments import History, KnownVersion
    from migration.ledger.lock import LockHolder


CHANGES = ("create", "update", "drifted")
_NAMED = 5  # files that a note names
SHORTEST_HASH = 8  # hex digits of a plan's hash that confirm it


@dataclass(frozen=True)
class PlannedFunction:
    """One function: `action` is create, update, same or drifted, `why` in words; sizes in bytes.

    `restorable` is git, snapshot, no, or delete (a function that does not exist yet is undone by deleting it); empty
    for one that is nowhere.
    """

    slug: str
    action: str
    why: str
    source: Source = field(repr=False)
    live: Function | None = field(repr=False)
    snapshot: Snapshot | None = field(repr=False)
    settings: tuple[str, ...] = ()
    diff: str = ""
    left_version: int | None = None

    @property
    def changes(self) -> bool:
        return self.action in CHANGES

    @property
    def holds(self) -> bool:
        """Whether it has the files that are live, whatever else differs."""
        live = self.snapshot.source if self.snapshot else None
        return live is not None and snapshots.same_files(self.source, live)

    @property
    def verify_jwt(self) -> bool | None:
        """What will be sent: the written value, else what is deployed."""
        if self.source.verify_jwt is not None:
            return self.source.verify_jwt
        return self.live.verify_jwt if self.live else None

    @property
    def restorable(self) -> str:
        if self.live is None:
            return "delete" if self.changes else ""
        return self.snapshot.restorable if self.snapshot else "git"

    @property
    def lost(self) -> str:
        """Why what is live cannot be restored; empty where it can."""
        return self.snapshot.why if self.snapshot and self.snapshot.restorable == "no" else ""

    def spec(self) -> FunctionSpec:
        return FunctionSpec(self.slug, self.source, self.live, self.verify_jwt)

    def as_json(self) -> dict[str, Any]:
        live, taken = self.live, self.snapshot
        return {
            "slug": self.slug,
            "action": self.action,
            "why": self.why,
            "files": list(self.source.files),
            "bytes": self.source.size,
            "source_digest": self.source.digest,
            "live_version": live.version if live else None,
            "left_version": self.left_version,
            "restorable": self.restorable,
            "restorable_why": taken.why if taken else "",
            "settings": list(self.settings),
            "warnings": list(self.source.warnings),
            "diff": self.diff,
        }

    def hashed(self) -> dict[str, Any]:
        """Its part in the plan's hash."""
        live = {"version": self.live.version, "digest": self.live.ezbr_sha256} if self.live else None
        metadata = self.source.upload(self.verify_jwt).metadata
        head = {"slug": self.slug, "action": self.action, "digest": self.source.digest}
        lost = {"restorable": "no"} if self.lost else {}  # whoever agreed to a plan that can be undone, agreed to that
        return {**head, "metadata": dict(metadata), "live": live, **lost}


@dataclass(frozen=True)
class Plan:
    """What a deploy made now would do. `hash` is SHA-256 in hex, the same as long as nothing of it has moved.

    `pending`: the deployment without an outcome, if there is one; `busy`: someone holds the lock. `origin`: the
    revision before the migration, with which the functions that it must leave alone are compared. `left_out` and
    `unread` are those of the notes that tell which functions are not looked at, and how old the ledger is; `unsaved`
    the files of the functions to change that differ from the commit, which a deploy refuses.
    """

    environment: str
    project_ref: str
    revision: str
    base_revision: str
    partial: bool
    functions: tuple[PlannedFunction, ...]
    unchanged: tuple[BaseComparison, ...]
    secrets: tuple[dict[str, Any], ...]
    hold: dict[str, Any] | None
    lock: dict[str, Any] | None
    notes: tuple[str, ...]
    history: History = field(repr=False)
    live: Mapping[str, Function] = field(repr=False)
    digests: Mapping[str, str] = field(repr=False)
    pending: Recovery | None = field(default=None, repr=False)
    busy: bool = False
    sql: tuple[SqlFile, ...] = ()
    origin: str = ""
    left_out: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    unsaved: tuple[str, ...] = ()
    ways: Callable[[], tuple[Step, ...]] = field(default=tuple, repr=False, compare=False)

    @property
    def hash(self) -> str:
        head = {"project_ref": self.project_ref, "revision": self.revision, "base": self.base_revision}
        return hashlib.sha256(canonical({**head, "functions": [item.hashed() for item in self.functions]})).hexdigest()

    @property
    def changes(self) -> tuple[PlannedFunction, ...]:
        return tuple(item for item in self.functions if item.changes)

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(item.slug for item in self.functions if item.action == "drifted")

    @property
    def replaced(self) -> dict[str, int]:
        """Code that was deployed outside Cutover, was restored, and would go: git does not hold its files."""
        changes = [one for one in self.changes if one.action == "update" and not one.holds]
        return drift.restored(self.history, {one.slug: one.source.digest for one in changes})

    @property
    def irreversible(self) -> tuple[PlannedFunction, ...]:
        """What would change and cannot be restored."""
        return tuple(item for item in self.changes if item.lost)

    @property
    def command(self) -> Command:
        """What carries out this very plan."""
        lift = hold.REASON if self.hold else None
        return inv("deploy", env=self.environment, plan=self.hash[:12], only=self.only, lift_hold=lift)

    def as_json(self) -> dict[str, Any]:
        names = ("environment", "project_ref", "revision", "base_revision", "partial", "unchanged", "secrets", "sql")
        head = {name: getattr(self, name) for name in names}
        rest = {"hold": self.hold, "lock": self.lock, "notes": list(self.notes), "next": list(self.next)}
        rest["interrupted"] = self.pending.as_json() if self.pending and not self.busy else None
        return {"hash": self.hash, "functions": [item.as_json() for item in self.functions], **head, **rest}

    @property
    def only(self) -> str:
        """What limits `inv plan` and `inv deploy` to the same functions again; empty for all."""
        return ",".join(item.slug for item in self.functions) if self.partial else ""

    @property
    def next(self) -> tuple[Step, ...]:
        """What to type; `ways` decides, and secrets that would stop a deploy come first."""
        ways, open_ = self.ways(), self.pending and self.pending.verdict != "abandoned"
        if ways and self.unsaved and not open_:
            return Do("commit the changes, or set them aside; then look again:"), inv("plan", only=self.only)
        if ways and self.changes and not open_ and (names := self._stopping_secrets):
            verbs = (
                "is missing on the platform or differs" if len(names) == 1 else "are missing on the platform or differ"
            )
            return (Do(f"first, since {few(names, 3)} {verbs}:"), inv("secret", env=self.environment, set=True), *ways)
        return ways

    @property
    def situation(self) -> Situation:
        """What the way forward depends on."""
        sources = {item.slug: item.source.digest for item in self.functions if item.source.files}
        changes = [item.slug for item in self.changes]
        deploy = self.command if self.changes else None
        return Situation(self.history, self.live, self.pending, self.busy, sources, changes, deploy, self.only)

    @property
    def _stopping_secrets(self) -> list[str]:
        return [one["name"] for one in self.secrets if not one["present"] or one["matches"] is False]


def make(
    context: Context, only: Sequence[str] = (), diff: bool = False, locked: bool = False, gated: bool = True
) -> Plan:
    """Reads git, the platform and the ledger, and changes none of them. Refused for a source that cannot run.

    `locked`: the lock is ours, so its holder is not looked up.
    `gated`: a gate follows, so its requests and their cost are listed.
    """
    context.observer.step("plan", detail="reading git, the platform and the ledger")
    slugs, left_out = choose(context, only)
    watched = context.config.migration.unchanged
    now = _read(context, slugs, locked)
    if wrong := strays.mistakes(context.config, context.app, now.live):
        raise configuration.mistaken(context.config.file, wrong)
    sources = reader.whole(_present(context, now))
    base = _base(context, now.history, _fresh(sources, now.history))
    origin = origin_of(context, now.history, base)
    past = begin([lambda: _past(context, base, [*slugs, *watched])])
    before = past if origin == base else begin([lambda: _past(context, origin, watched)])
    database = begin([lambda: _sql(context, base, now.head, locked)])
    dirty = begin([lambda: [] if locked else _dirty(context, sources.values())])
    pending = recovery.look(context, now.history, now.live)
    judged = {item.slug: item for item in _items(context, list(sources.values()), now, past, diff, pending)}
    items = [judged.get(slug) or _nowhere(slug) for slug in slugs]
    known = past()[0]
    unsaved = _unsaved(dirty()[0], items)
    (files, unknown) = database()[0]
    holder = now.holder
    context.observer.done("plan", detail="again, under the lock" if locked else "")
    plan = Plan(
        environment=context.environment.name,
        project_ref=context.supabase.ref,
        revision=now.head,
        base_revision=base,
        partial=bool(set(context.config.migration.functions) - set(slugs)) and bool(only),
        functions=tuple(items),
        unchanged=tuple(differences.unchanged(context, watched, before()[0], origin)),
        origin=origin,
        secrets=tuple(_secrets(context, now.secrets)),
        hold=_hold(context, now.history, now.head, [item for item in items if item.changes]),
        lock=holder.facts() if holder else None,
        notes=(
            *left_out,
            *([f"Not committed: {few(unsaved, _NAMED)}."] if unsaved else []),
            *(unread := _ledger_notes(context)),
            *_ageing(context),
            *_pending(pending, holder),
            *sql.notes(files, unknown),
            *_renamed(context, now),
            *_alone(context, items),
            *_notes(context, items, base, known is not None),
            *(_gate(context, items) if gated else ()),
        ),
        history=now.history,
        live=now.live,
        digests={secret.name: secret.digest for secret in now.secrets},
        pending=pending,
        busy=holder is not None,
        sql=tuple(files),
        left_out=tuple(left_out),
        unread=tuple(unread),
        unsaved=tuple(unsaved),
    )
    return replace(plan, ways=lambda: forward.steps(context, plan.situation))


def _gate(context: Context, items: Sequence[PlannedFunction]) -> Iterator[str]:
    """The most that the gate of this deploy sends and costs, and what it cannot decide."""
    changing = {item.slug for item in items if item.changes}
    if changing:
        yield from forecast(context.config, changing).lines()


def _sql(context: Context, base: str, head: str, locked: bool) -> tuple[list[SqlFile], str]:
    """The SQL files that come with the change; not read again under the lock, since a deploy applies none."""
    if locked or not base or context.repository.revision(base) is None:
        return [], ""
    return sql.read(context, base, head)


def choose(context: Context, only: Sequence[str]) -> tuple[list[str], list[str]]:
    """The functions to look at, and what was left out. One that the migration leaves alone is deployed by its name and
    by itself, which restores it. Refused for a name that the config does not know."""
    carried, alone = context.config.migration.functions, context.config.migration.unchanged
    known = [*carried, *alone]
    strangers = [slug for slug in only if slug not in known]
    if strangers:
        names = "migration.functions or migration.unchanged"
        raise Refused(f"{strangers[0]} is not one of {names} ({', '.join(known)}).", inv("plan"))
    untouched = [slug for slug in alone if slug in only]
    if untouched and len(set(only)) > 1:
        text = f"{untouched[0]} is in migration.unchanged: it can only be deployed on its own, which restores it."
        raise Refused(text, inv("plan", only=untouched[0]))
    wanted = untouched or [slug for slug in carried if not only or slug in only]
    enabled = [slug for slug, settings in reader.reader(context).settings(wanted).items() if settings.enabled]
    skipped = [
        f"{slug} is not deployed: supabase/config.toml says enabled = false." for slug in wanted if slug not in enabled
    ]
    return enabled, skipped


@dataclass(frozen=True)
class _Reading:
    """What a plan is made of: the checkout, the platform and the ledger as they are now. `holder`: who works under
    the lock, None where that is us or a stale lock."""

    sources: Mapping[str, Source | Refused]
    live: Mapping[str, Function]
    secrets: Sequence[SecretDigest]
    history: History
    head: str
    holder: LockHolder | None


def _read(context: Context, slugs: list[str], locked: bool) -> _Reading:
    """All at once: the disk, the platform twice, the git remote (once, for ledger and lock alike), the clone."""
    context.project()  # refused before anything is begun
    ours = begin(
        [
            lambda: reader.reader(context).tried(slugs),
            context.ledger.history,
            context.repository.head,
            lambda: (context.repository.prefix, context.ledger.who),  # kept by them: the first record needs both
        ]
    )
    platform = context.supabase  # HTTP is imported here, while git and Deno are at work
    theirs = begin([platform.functions, platform.secrets])
    sources, history, head, _ = ours()
    functions, secrets = theirs()
    holder = None if locked or context.ledger.outage else context.lock.holder(fresh=False)
    live = {function.slug: function for function in functions}
    return _Reading(sources, live, secrets, history, head, None if holder is None or holder.stale else holder)


def _fresh(sources: Mapping[str, Source], history: History) -> list[str]:
    """The functions whose source is not what was last left live."""
    left = {slug: history.left(slug) for slug in sources}
    return [slug for slug, source in sources.items() if not (one := left[slug]) or one.source_digest != source.digest]


def origin_of(context: Context, history: History, base: str) -> str:
    """The revision before the migration, however many deployments followed: app.base, else what the first deployment
    was based on."""
    named = context.config.app.base
    if named:
        with contextlib.suppress(CutoverError):
            reader.reader(context).bring(named)
        return context.repository.revision(named) or base
    first = next((one for one in history.deployments if one.kind == "deploy"), None)
    return (first.base_revision if first else "") or base


def _past(context: Context, base: str, slugs: list[str]) -> dict[str, Source] | None:
    """Git's sources at the base revision; None when there is none, or it is not in this clone."""
    try:
        return reader.reader(context).at(base, slugs) if base else None
    except Refused:
        return None


def _base(context: Context, history: History, slugs: Sequence[str]) -> str:
    """The base revision; app.base counts where the ledger has none. Refused where neither can be had."""
    named = context.config.app.base
    revision = (named and context.repository.revision(named)) or ""
    base = history.base(revision, slugs)
    if base or not named:
        return base
    reader.reader(context).bring(named)
    revision = context.repository.revision(named) or ""
    if not revision:
        text = f"app.base {named} is not a commit of {context.app}."
        raise Refused(
            text, Do("correct app.base in config.yaml, or fetch it:"), *revert.how_to_fetch(context.repository)
        )
    return history.base(revision, slugs)


def _items(
    context: Context,
    sources: list[Source],
    reading: _Reading,
    past: Callable[[], list[Any]],
    diff: bool,
    pending: Recovery | None,
) -> list[PlannedFunction]:
    live, history = reading.live, reading.history
    judged = [(source, live.get(source.slug), history.left(source.slug)) for source in sources]
    actions = {
        source.slug: _ours(pending, source.slug, now)
        or _action(source, now, left, _rotated(context, history, left, reading.secrets), context.ledger.unread)
        for source, now, left in judged
    }
    replaced = [now for source, now, _ in judged if now is not None and actions[source.slug][0] in CHANGES]
    snapshots = snapshot.take(context, replaced, lambda: past()[0] or {})
    return [
        PlannedFunction(
            source.slug,
            *actions[source.slug],
            source,
            now,
            snapshots.get(source.slug),
            tuple(differences.settings(source, now, _jwt(history, left))),
            differences.text(source, snapshots[source.slug].body) if diff and source.slug in snapshots else "",
            left.version if left else None,
        )
        for source, now, left in judged
    ]


def _ageing(context: Context) -> Iterator[str]:
    """Models that end; the sandbox's stand-ins do not."""
    if not context.environment.embedded:
        for finding in proofs.ageing(context.config, context.clock.now()):
            yield f"{finding.problem[:1].upper()}{finding.problem[1:]}: {finding.evidence}"


def _ledger_notes(context: Context) -> list[str]:
    offline = context.ledger.offline
    return [offline] if offline else []


def _ours(pending: Recovery | None, slug: str, live: Function | None) -> tuple[str, str] | None:
    """A version that no finished deployment left, because the unfinished one did."""
    own = next((one for one in pending.functions if one.slug == slug), None) if pending else None
    if pending is None or own is None or live is None or own.state not in ("live", "restored"):
        return None
    kind = "deployment" if pending.deployment.kind == "deploy" else "rollback"
    did = "made" if own.state == "live" else "restored, as"
    return "update", f"v{live.version} is what the unfinished {kind} {pending.deployment.id} {did}"


def _pending(pending: Recovery | None, holder: LockHolder | None) -> list[str]:
    """What stands between two states, or is simply going on."""
    if pending is None:
        return []
    if holder is not None:
        return [f"The {pending.deployment.kind} {pending.deployment.id} is under way."]
    closed = " The next deploy closes it." if pending.verdict == "abandoned" else ""
    return [f"{pending.message}{closed}"]


def _jwt(history: History, left: KnownVersion | None) -> bool | None:
    """What `verify_jwt` was when a function was last left live from here."""
    change = deployed.change(left.slug) if left and (deployed := history.find(left.deployment)) else None
    recorded = change.wanted.get("verify_jwt") if change else None
    return recorded if isinstance(recorded, bool) else None


def _rotated(
    context: Context, history: History, left: KnownVersion | None, digests: Sequence[SecretDigest]
) -> list[str]:
    """Configured secrets that were set after this function was deployed: warm workers may keep the old value."""
    deployed = history.find(left.deployment) if left else None
    if deployed is None or not deployed.secrets:
        return []
    now = {secret.name: secret.digest for secret in digests if secret.name in context.config.secrets}
    return [name for name, digest in now.items() if deployed.secrets.get(name) != digest]


def _action(
    source: Source, live: Function | None, left: KnownVersion | None, rotated: Sequence[str] = (), unread: bool = False
) -> tuple[str, str]:
    if live is None:
        gone = left is not None and left.version is not None
        return "create", "it was deleted outside Cutover" if gone else "it is not on the platform yet"
    if left is None:
        return (
            "update",
            f"who deployed v{live.version} is unknown" if unread else f"v{live.version} was not deployed with Cutover",
        )
    if left.version != live.version:
        was = f"left v{left.version} live" if left.version else "deleted it"
        return "drifted", f"v{live.version} was deployed outside Cutover; {left.deployment} {was}"
    if live.status not in ("ACTIVE", "THROTTLED"):
        return "update", f"v{live.version} is {live.status}, not ACTIVE"
    if left.source_digest != source.digest:
        return "update", f"its source differs from v{live.version}"
    if source.verify_jwt is not None and source.verify_jwt != live.verify_jwt:
        return "update", "its settings differ from what is deployed"
    if rotated:
        return "update", f"{', '.join(rotated)} was set after v{live.version} was deployed"
    return "same", f"v{live.version} has this source"


def _secrets(context: Context, digests: Sequence[SecretDigest]) -> list[dict[str, Any]]:
    """Presence and equality, by digest alone; `matches` is None where there is nothing to compare."""
    there = {secret.name: secret for secret in digests}
    rows = []
    for name, settings in context.config.secrets.items():
        matches = same(there.get(name), context.environment.secrets.get(name), settings.sha256)
        rows.append({"name": name, "present": name in there, "matches": matches})
    return rows


def _hold(context: Context, history: History, head: str, changing: Sequence[PlannedFunction]) -> dict[str, Any] | None:
    """What stands in the way of this deploy, if it was rolled back before."""
    digests = {item.slug: item.source.digest for item in changing}
    if not digests:
        return None
    if not set(digests) & set(context.config.migration.functions):
        head = ""  # its own source may be on hold, the revision is the migration's
    standing = hold.check(context.repository, history, head, digests, context.remote, reader.reader(context))
    return standing.as_json() if standing else None


def _notes(context: Context, items: Sequence[PlannedFunction], base: str, known: bool) -> list[str]:
    absent = base and not known and context.repository.revision(base) is None
    notes = [f"The base revision {base[:12]} {_lacking(context)}"] if absent else []
    if not base and any(item.live is not None for item in items):
        notes.append("The ledger is empty and app.base is not set: only downloads can be restored.")
    for item in items:
        if item.lost:
            notes.append(f"{item.slug} cannot be restored: {item.lost}.")
    return notes


def _renamed(context: Context, reading: _Reading) -> Iterator[str]:
    """Functions that a rename or a shorter list has left live."""
    migration = context.config.migration
    found = drift.left_behind(reading.history, reading.live, [*migration.functions, *migration.unchanged])
    if found:
        yield drift.left_behind_note(found, context.supabase.ref)


def _alone(context: Context, items: Sequence[PlannedFunction]) -> Iterator[str]:
    """A deploy of a function that the migration must not touch, which is meant to restore it."""
    for item in items:
        if item.changes and item.slug in context.config.migration.unchanged:
            yield (f"{item.slug} is in migration.unchanged: the migration must not touch it. "
                   "Deploy it to restore it, not to change it.")  # fmt: skip


def _dirty(context: Context, sources: Iterable[Source]) -> list[str]:
    """Files of these functions that differ from the commit."""
    paths = sorted({path for source in sources for path in source.tracked})
    with contextlib.suppress(CutoverError):  # a deploy says why git does not answer
        return context.repository.dirty([*paths, CONFIG])
    return []


def _unsaved(dirty: Sequence[str], items: Sequence[PlannedFunction]) -> list[str]:
    """Those of the functions to change: a deploy refuses them."""
    carried = {path for item in items if item.changes for path in (*item.source.tracked, CONFIG)}
    return [path for path in dirty if path in carried]


def _lacking(context: Context) -> str:
    """Why a revision is not here, after the remote was asked for it, and what that means."""
    if context.repository.shallow():
        return f"is not in this clone; {sh('git', 'fetch', '--unshallow')} brings it."
    if context.ledger.outage:
        return "is not in this clone, and its git remote does not answer."
    return "is no longer in git: what is live is restored from its snapshot, and a rollback cannot revert in git."


def _present(context: Context, reading: _Reading) -> dict[str, Source | Refused]:
    """What was read, without functions that are neither in the app nor live; where one is still live, a refusal."""
    present: dict[str, Source | Refused] = {}
    for slug, result in reading.sources.items():
        if isinstance(result, Absent) and slug in reading.live:
            present[slug] = _left_behind(context, result, reading.live[slug])
        elif not (isinstance(result, Absent) and _deleted(reading.history, slug)):
            present[slug] = result
    return present


def _nowhere(slug: str) -> PlannedFunction:
    """A function whose creation was rolled back: there is nothing to do."""
    return PlannedFunction(
        slug, "same", "it is neither in the app nor on the platform", Source(slug, "", {}), None, None
    )


def _deleted(history: History, slug: str) -> bool:
    """Whether we deleted it last; else its name may be mistyped."""
    left = history.left(slug)
    return left is not None and left.version is None


def _left_behind(context: Context, error: Absent, live: Function) -> Absent:
    path = error.data["path"]
    text = f"{live.slug}: {path} does not exist, and v{live.version} is still live."
    way = Do(f"put the file back, or take {live.slug} out of migration.functions in config.yaml; its commits:")
    return Absent(text, way, sh("git", "-C", str(context.app), "log", "--oneline", "--", path))


# Confirming a plan by its hash


def check_hash(given: str) -> None:
    """Refused for what cannot be a plan's hash: fewer digits than `SHORTEST_HASH` could mean many plans."""
    if not re.fullmatch(rf"[0-9a-fA-F]{{{SHORTEST_HASH},64}}", given):
        text = f"--plan takes the hash that plan shows, at least {SHORTEST_HASH} hex digits of it, not {given!r}."
        raise Refused(f"Not deployed: {text}", inv("plan"))


def matches(full: str, given: str) -> bool:
    """Whether a checked hash of a command line names this plan."""
    return full.startswith(given.lower())


def expect(plan: Plan, given: str) -> None:
    """Refused where the plan is another one than the person has seen."""
    if not matches(plan.hash, given):
        text = f"the plan is {plan.hash[:12]} now, not {given}: something changed since."
        raise Refused(f"Not deployed: {text}", inv("plan", only=plan.only), plan.command)
