"""The plan: what a deploy would change, why, and whether it could be undone. Reading only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migration.base.errors import Refused
from migration.base.parallel import begin
from migration.clients.supabase_types import Function, SecretDigest, same
from migration.deploy import absent, hold, recovery, snapshot
from migration.deploy.planned import CHANGES, Item, Plan
from migration.source import differences, functions_config, source
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context
    from migration.deploy.recovery import Recovery
    from migration.ledger.deployments import History, KnownVersion
    from migration.ledger.lock import LockHolder

__all__ = ["CHANGES", "Item", "Plan", "make"]


def make(context: Context, only: Sequence[str] = (), diff: bool = False, locked: bool = False) -> Plan:
    """Reads git, the platform and the ledger, and changes none of them. Refused for a source that cannot run.

    `locked`: the lock is ours, so nobody asks who has it.
    """
    slugs, notes = choose(context, only)
    context.observer.step("plan")
    watched = context.config.migration.unchanged
    found, functions, history, digests, head, holder = _read(context, slugs, locked)
    live = {function.slug: function for function in functions}
    sources = source.whole(absent.judge(context, found, live, history))
    base = history.base(_first_base(context), _fresh(sources, history))
    reading = begin([lambda: _past(context, base, [*slugs, *watched])])
    pending = recovery.look(context, history, live)
    judged = _items(context, list(sources.values()), live, history, reading, diff, digests, pending)
    items = [{one.slug: one for one in judged}.get(slug) or absent.item(slug) for slug in slugs]
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
    document = functions_config.parse(context.app)
    wanted = [slug for slug in known if not only or slug in only]
    enabled = [slug for slug in wanted if functions_config.settings(document, context.app, slug).enabled]
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
            lambda: source.tried(context.repository, slugs, context.state),
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
        return source.at_revision(context.repository, base, slugs, context.state) if base else None
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
) -> list[Item]:
    judged = [(found, live.get(found.slug), history.left(found.slug)) for found in sources]
    actions = {
        found.slug: _ours(pending, found.slug, now)
        or _action(found, now, left, _rotated(context, history, left, digests))
        for found, now, left in judged
    }
    replaced = [now for found, now, _ in judged if now is not None and actions[found.slug][0] in CHANGES]
    kept = snapshot.take(context, replaced, lambda: past()[0] or {})
    return [
        Item(
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


def _hold(context: Context, history: History, head: str, changing: Sequence[Item]) -> dict[str, Any] | None:
    """What stands in the way of this deploy, if it was rolled back before."""
    digests = {item.slug: item.source.digest for item in changing}
    found = hold.check(context.repository, history, head, digests, context.remote, context.state) if digests else None
    return found.as_json() if found else None


def _notes(items: Sequence[Item], base: str, known: bool) -> list[str]:
    notes = [f"The base revision {base[:12]} is not in this clone: git fetch --unshallow"] if base and not known else []
    if not base and any(item.live is not None for item in items):
        notes.append("The ledger is empty and app.base is not set: only downloads can be restored.")
    for item in items:
        if item.kept is not None and item.kept.restorable == "no":
            notes.append(f"{item.slug} could not be put back: {item.kept.why}.")
    return notes
