"""The plan: what a deploy would change, why, and whether it can be undone. Reads only."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migration.base.errors import Refused
from migration.base.finding import flag
from migration.base.parallel import begin
from migration.clients.supabase_types import Function, SecretDigest, same
from migration.deploy import hold, recovery, snapshot
from migration.deploy.snapshot import Snapshot
from migration.deploy.staging import FunctionSpec
from migration.source import differences, reader
from migration.source.differences import Unchanged
from migration.source.reader import Absent
from migration.source.source import Source, canonical

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.deploy.recovery import Recovery
    from migration.ledger.deployments import History, KnownVersion
    from migration.ledger.lock import LockHolder


CHANGES = ("create", "update", "drifted")


@dataclass(frozen=True)
class PlanItem:
    """One function: `action` is create, update, same or drifted, `why` in words; sizes in bytes.

    `restorable` is git, snapshot, no, or delete (a function that does not exist yet is undone by deleting it); empty
    for one that is nowhere.
    """

    slug: str
    action: str
    why: str
    source: Source = field(repr=False)
    live: Function | None = field(repr=False)
    kept: Snapshot | None = field(repr=False)
    settings: tuple[str, ...] = ()
    diff: str = ""
    left_version: int | None = None

    @property
    def changes(self) -> bool:
        return self.action in CHANGES

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
        return self.kept.restorable if self.kept else "git"

    @property
    def lost(self) -> str:
        """Why what is live could not be put back; empty where it could."""
        return self.kept.why if self.kept and self.kept.restorable == "no" else ""

    def wanted(self) -> FunctionSpec:
        return FunctionSpec(self.slug, self.source, self.live, self.verify_jwt)

    def as_json(self) -> dict[str, Any]:
        live, kept = self.live, self.kept
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
            "restorable_why": kept.why if kept else "",
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

    `pending`: the deployment without an end, if there is one; `busy`: somebody is at work on it, or on another.
    """

    environment: str
    project_ref: str
    revision: str
    base_revision: str
    partial: bool
    functions: tuple[PlanItem, ...]
    unchanged: tuple[Unchanged, ...]
    secrets: tuple[dict[str, Any], ...]
    hold: dict[str, Any] | None
    lock: dict[str, Any] | None
    notes: tuple[str, ...]
    history: History = field(repr=False)
    live: Mapping[str, Function] = field(repr=False)
    digests: Mapping[str, str] = field(repr=False)
    pending: Recovery | None = field(default=None, repr=False)
    busy: bool = False

    @property
    def hash(self) -> str:
        head = {"project_ref": self.project_ref, "revision": self.revision, "base": self.base_revision}
        return hashlib.sha256(canonical({**head, "functions": [item.hashed() for item in self.functions]})).hexdigest()

    @property
    def changes(self) -> tuple[PlanItem, ...]:
        return tuple(item for item in self.functions if item.changes)

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(item.slug for item in self.functions if item.action == "drifted")

    @property
    def irreversible(self) -> tuple[PlanItem, ...]:
        """What would change and could not be put back."""
        return tuple(item for item in self.changes if item.lost)

    @property
    def command(self) -> str:
        """What carries out this very plan."""
        lift = " --lift-hold 'why it is good now'" if self.hold else ""
        return f"inv deploy{flag(self.environment)} {self.flags}{lift}"

    def as_json(self) -> dict[str, Any]:
        names = ("environment", "project_ref", "revision", "base_revision", "partial", "unchanged", "secrets")
        told = {name: getattr(self, name) for name in names}
        rest = {"hold": self.hold, "lock": self.lock, "notes": list(self.notes), "next": self._next()}
        rest["interrupted"] = self.pending.as_json() if self.pending and not self.busy else None
        return {"hash": self.hash, "functions": [item.as_json() for item in self.functions], **told, **rest}

    @property
    def only(self) -> str:
        """What limits `inv plan` and `inv deploy` to the same functions again."""
        return f" --only {','.join(item.slug for item in self.functions)}" if self.partial else ""

    @property
    def flags(self) -> str:
        """What names this very plan to `inv deploy`."""
        return f"--plan {self.hash[:12]}{self.only}"

    def _next(self) -> list[str]:
        pending, env, mine = self.pending, flag(self.environment), [self.command] if self.changes else []
        if pending and (pending.verdict != "abandoned" or not self.changes):
            return [] if self.busy else [*pending.next, *(mine if pending.verdict == "foreign" else [])]
        if self.changes and any(not one["present"] or one["matches"] is False for one in self.secrets):
            return [f"inv secret{env} --set", f"inv deploy{env} {self.flags}"]
        return mine


def make(context: Context, only: Sequence[str] = (), diff: bool = False, locked: bool = False) -> Plan:
    """Reads git, the platform and the ledger, and changes none of them. Refused for a source that cannot run.

    `locked`: the lock is ours, so nobody asks who has it.
    """
    slugs, notes = choose(context, only)
    context.observer.step("plan")
    watched = context.config.migration.unchanged
    found, functions, history, digests, head, holder = _read(context, slugs, locked)
    live = {function.slug: function for function in functions}
    sources = reader.whole(_present(context, found, live, history))
    base = history.base(_first_base(context), _fresh(sources, history))
    reading = begin([lambda: _past(context, base, [*slugs, *watched])])
    pending = recovery.look(context, history, live)
    judged = _items(context, list(sources.values()), live, history, reading, diff, digests, pending)
    items = [{one.slug: one for one in judged}.get(slug) or _nowhere(slug) for slug in slugs]
    past = reading()[0]
    settings = context.config.migration.functions
    context.observer.done("plan")
    return Plan(
        environment=context.environment.name,
        project_ref=context.supabase.ref,
        revision=head,
        base_revision=base,
        partial=bool(set(settings) - set(slugs)) and bool(only),
        functions=tuple(items),
        unchanged=tuple(differences.unchanged(context, watched, past, base)),
        secrets=tuple(_secrets(context, digests)),
        hold=_hold(context, history, head, [item for item in items if item.changes]),
        lock=holder.facts() if holder and not holder.stale else None,
        notes=(*notes, *_unheard(context), *_pending(pending, holder), *_notes(items, base, past is not None)),
        history=history,
        live=live,
        digests={secret.name: secret.digest for secret in digests},
        pending=pending,
        busy=holder is not None and not holder.stale,
    )


def choose(context: Context, only: Sequence[str]) -> tuple[list[str], list[str]]:
    """The functions to look at, and what was left out. Refused for a name that the migration does not carry."""
    known = context.config.migration.functions
    strangers = [slug for slug in only if slug not in known]
    if strangers:
        raise Refused(f"{strangers[0]} is not one of migration.functions ({', '.join(known)}).", "inv plan")
    wanted = [slug for slug in known if not only or slug in only]
    enabled = [slug for slug, settings in reader.reader(context).settings(wanted).items() if settings.enabled]
    skipped = [
        f"{slug} is not deployed: supabase/config.toml says enabled = false." for slug in wanted if slug not in enabled
    ]
    return enabled, skipped


def _read(
    context: Context, slugs: list[str], locked: bool
) -> tuple[dict[str, Source | Refused], list[Function], History, list[SecretDigest], str, LockHolder | None]:
    """All at once: the disk, the platform twice, the git remote (once, for ledger and lock alike), the clone."""
    context.project()  # refused before anything is begun
    context.repository, context.ledger  # noqa: B018 - made once, before threads ask for them
    ours = begin(
        [
            lambda: reader.reader(context).tried(slugs),
            context.ledger.history,
            lambda: _here(context),
        ]
    )
    platform = context.supabase  # HTTP is imported here, while git and Deno are at work
    theirs = begin([platform.functions, platform.secrets])
    found, history, head = ours()
    functions, digests = theirs()
    holder = None if locked or context.ledger.offline else context.lock.holder(fresh=False)
    return found, functions, history, digests, head, holder


def _here(context: Context) -> str:
    """The revision; asked with it is what a deploy will need to know of the clone soon."""
    context.repository.prefix, context.ledger.who  # noqa: B018 - kept by them
    return context.repository.head()


def _fresh(sources: Mapping[str, Source], history: History) -> list[str]:
    """The functions whose source is not what was last left live."""
    left = {slug: history.left(slug) for slug in sources}
    return [slug for slug, found in sources.items() if not (one := left[slug]) or one.source_digest != found.digest]


def _past(context: Context, base: str, slugs: list[str]) -> dict[str, Source] | None:
    """Git's sources at the base revision; None when there is none, or it is not in this clone."""
    try:
        return reader.reader(context).at(base, slugs) if base else None
    except Refused:
        return None


def _first_base(context: Context) -> str:
    named = context.config.app.base
    if not named:
        return ""
    found = context.repository.revision(named)
    if found is None:
        raise Refused(f"app.base {named} is no commit of {context.app}.", "mend app.base in config.yaml, or git fetch")
    return found


def _items(
    context: Context,
    sources: list[Source],
    live: Mapping[str, Function],
    history: History,
    past: Callable[[], list[Any]],
    diff: bool,
    digests: Sequence[SecretDigest],
    pending: Recovery | None,
) -> list[PlanItem]:
    judged = [(found, live.get(found.slug), history.left(found.slug)) for found in sources]
    actions = {
        found.slug: _ours(pending, found.slug, now)
        or _action(found, now, left, _rotated(context, history, left, digests))
        for found, now, left in judged
    }
    replaced = [now for found, now, _ in judged if now is not None and actions[found.slug][0] in CHANGES]
    kept = snapshot.take(context, replaced, lambda: past()[0] or {})
    return [
        PlanItem(
            found.slug,
            *actions[found.slug],
            found,
            now,
            kept.get(found.slug),
            tuple(differences.settings(found, now, _jwt(history, left))),
            differences.text(found, kept[found.slug].body) if diff and found.slug in kept else "",
            left.version if left else None,
        )
        for found, now, left in judged
    ]


def _unheard(context: Context) -> list[str]:
    told = context.ledger.offline
    return [f"The ledger is as this clone last knew it: {told}"] if told else []


def _ours(pending: Recovery | None, slug: str, live: Function | None) -> tuple[str, str] | None:
    """A version that no finished deployment left, because the unfinished one did."""
    found = next((one for one in pending.functions if one.slug == slug), None) if pending else None
    if pending is None or found is None or live is None or found.state not in ("live", "restored"):
        return None
    kind = "deployment" if pending.deployment.kind == "deploy" else "rollback"
    did = "made" if found.state == "live" else "put back what was there before, and that made"
    return "update", f"the unfinished {kind} {pending.deployment.id} {did} version {live.version} live"


def _pending(pending: Recovery | None, holder: LockHolder | None) -> list[str]:
    """What stands between two states, or is simply going on."""
    if pending is None:
        return []
    if holder is not None and not holder.stale:
        return [f"The {pending.deployment.kind} {pending.deployment.id} is under way."]
    closed = " The next deploy closes it." if pending.verdict == "abandoned" else ""
    return [f"{pending.message}{closed}"]


def _jwt(history: History, left: KnownVersion | None) -> bool | None:
    """What `verify_jwt` was when a function was last left live from here."""
    change = deployed.change(left.slug) if left and (deployed := history.find(left.deployment)) else None
    found = change.wanted.get("verify_jwt") if change else None
    return found if isinstance(found, bool) else None


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
    found: Source, live: Function | None, left: KnownVersion | None, rotated: Sequence[str] = ()
) -> tuple[str, str]:
    if live is None:
        gone = left is not None and left.version is not None
        return "create", "it was deployed before, and someone deleted it" if gone else "it is not on the platform yet"
    if left is None:
        return "update", f"version {live.version} is live, and the ledger does not know it"
    if left.version != live.version:
        was = f"left version {left.version}" if left.version else "deleted it"
        return "drifted", f"{left.deployment} {was}, and someone else made version {live.version} live"
    if live.status not in ("ACTIVE", "THROTTLED"):
        return "update", f"version {live.version} is {live.status}, not ACTIVE"
    if left.source_digest != found.digest:
        return "update", f"its source differs from version {live.version}"
    if found.verify_jwt is not None and found.verify_jwt != live.verify_jwt:
        return "update", "its settings differ from what is deployed"
    if rotated:
        return "update", f"{', '.join(rotated)} was set after version {live.version} was deployed"
    return "same", f"version {live.version} has this very source"


def _secrets(context: Context, digests: Sequence[SecretDigest]) -> list[dict[str, Any]]:
    """Presence and equality, by digest alone; `matches` is None where there is nothing to compare."""
    there = {secret.name: secret for secret in digests}
    found = []
    for name, settings in context.config.secrets.items():
        matches = same(there.get(name), context.environment.secrets.get(name), settings.sha256)
        found.append({"name": name, "present": name in there, "matches": matches})
    return found


def _hold(context: Context, history: History, head: str, changing: Sequence[PlanItem]) -> dict[str, Any] | None:
    """What stands in the way of this deploy, if it was rolled back before."""
    digests = {item.slug: item.source.digest for item in changing}
    if not digests:
        return None
    found = hold.check(context.repository, history, head, digests, context.remote, reader.reader(context))
    return found.as_json() if found else None


def _notes(items: Sequence[PlanItem], base: str, known: bool) -> list[str]:
    notes = [f"The base revision {base[:12]} is not in this clone: git fetch --unshallow"] if base and not known else []
    if not base and any(item.live is not None for item in items):
        notes.append("The ledger is empty and app.base is not set: only downloads can be restored.")
    for item in items:
        if item.kept is not None and item.kept.restorable == "no":
            notes.append(f"{item.slug} could not be put back: {item.kept.why}.")
    return notes


Read = Mapping[str, Source | Refused]


def _present(
    context: Context, found: Read, live: Mapping[str, Function], history: History
) -> dict[str, Source | Refused]:
    """What was read, without the functions that are nowhere; a refusal says so where a function is still live."""
    judged: dict[str, Source | Refused] = {}
    for slug, result in found.items():
        if isinstance(result, Absent) and slug in live:
            judged[slug] = _left_behind(context, result, live[slug])
        elif not (isinstance(result, Absent) and _deleted(history, slug)):
            judged[slug] = result
    return judged


def _nowhere(slug: str) -> PlanItem:
    """A function that is nowhere, as the plan tells of it: there is nothing to do."""
    return PlanItem(slug, "same", "it is neither in the app nor on the platform", Source(slug, "", {}), None, None)


def _deleted(history: History, slug: str) -> bool:
    """Whether the last thing that happened to it was that we deleted it, and not that its name was mistyped."""
    left = history.left(slug)
    return left is not None and left.version is None


def _left_behind(context: Context, error: Absent, live: Function) -> Absent:
    path = error.data["path"]
    text = f"{live.slug}: {path} does not exist, and version {live.version} of {live.slug} is still on the platform."
    mend = f"Put the file back, or take {live.slug} out of migration.functions in config.yaml."
    return Absent(f"{text} {mend}", f"git -C {shlex.quote(str(context.app))} log --oneline -- {shlex.quote(path)}")
