"""What is live that Cutover did not deploy, and what a rollback made live again that was not Cutover's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migration.base.numbers import listed
from migration.clients.supabase_types import Function
from migration.ledger.deployments import UNDONE, Deployment, History, KnownVersion

_BACK = 50  # versions: how far one may be staged ahead of the one that was live


def versions(history: History, live: Mapping[str, Function], slugs: Iterable[str]) -> dict[str, int]:
    """The functions of which a version is live that no record of ours accounts for, with that version."""
    return {slug: live[slug].version for slug in slugs if slug in live and foreign(history, live[slug])}


def foreign(history: History, live: Function) -> bool:
    """Whether what is live is neither what we left, nor what a deployment of ours staged, nor what an interrupted
    rollback had seen when it began."""
    left, newest = history.left(live.slug), history.newest
    if left is None or live.version == left.version:
        return False
    begun = newest.change(live.slug) if newest and newest.kind == "rollback" else None
    seen = (begun.before or {}).get("version") if begun else None
    return live.version != seen and not _staged(history, live)


def _staged(history: History, live: Function) -> bool:
    """Whether a deployment had staged this version. Versions only grow: far older ones are not looked at."""
    for one in history.touching(live.slug):
        if any(answer.get("slug") == live.slug and answer.get("version") == live.version for answer in one.answers):
            return True
        before = getattr(one.change(live.slug), "before", None) or {}
        if int(before.get("version") or live.version) < live.version - _BACK:
            return False
    return False


def left_behind(history: History, live: Mapping[str, Function], known: Iterable[str]) -> dict[str, int]:
    """The functions that Cutover deployed, that are still live, and that are not among the `known` ones of config.yaml:
    renamed, or dropped."""
    others = [slug for slug in history.slugs if slug in live and slug not in set(known)]
    return {slug: live[slug].version for slug in others if (left := history.left(slug)) and left.version is not None}


def left_behind_note(functions: Mapping[str, int], project_ref: str) -> str:
    """What that means and how it ends, in a sentence; empty without any."""
    if not functions:
        return ""
    verb, them = ("is", "it") if len(functions) == 1 else ("are", "them")
    delete = " && ".join(f"supabase functions delete {slug} --project-ref {project_ref}" for slug in functions)
    text = f"{named(functions)} {verb} still live, and config.yaml does not list {them}. Once nothing calls {them}:"
    return f"{text} {delete}"


def named(functions: Mapping[str, int]) -> str:
    """`alpha v3 and beta v4`, and so on."""
    return listed([f"{slug} v{version}" for slug, version in functions.items()])


def outside(functions: Mapping[str, int]) -> str:
    """`alpha v3 was deployed outside Cutover`, and so on."""
    return f"{named(functions)} {'was' if len(functions) == 1 else 'were'} deployed outside Cutover"


def stranger(history: History, origin: Deployment, slug: str, digest: str | None) -> int | None:
    """The version of a function that `origin` replaced, if it was deployed outside Cutover: neither what Cutover had
    left before, nor the same code. What Cutover had left may be such code that was restored already. `digest` is that
    of the version's source. Before the first deployment it is what git does not hold at its base."""
    before: Deployment | None = origin
    while before is not None:
        change, left = before.change(slug), history.left(slug, before=before.id)
        if change is None or change.before is None:
            return None
        if left is None:
            return _before_first(origin, before, slug)
        if int(change.before["version"]) != left.version:
            replaced = origin.change(slug)
            own = digest == left.source_digest or replaced is None or replaced.before is None
            return None if own or replaced is None or replaced.before is None else int(replaced.before["version"])
        before = _restored_from(history, left, before)
    return None


def _before_first(origin: Deployment, first: Deployment, slug: str) -> int | None:
    """The version that `origin` replaced, where it is the code that was live before the first deployment and git did
    not hold that at the base. Without a base git was not asked."""
    kept = first.snapshots.get(slug, {}).get("restorable") == "snapshot" and first.base_revision
    replaced = origin.change(slug)
    return int(replaced.before["version"]) if kept and replaced and replaced.before else None


def restored(history: History, sources: Mapping[str, str]) -> dict[str, int]:
    """The functions whose code had been deployed outside Cutover and was restored, with the version it had, where the
    digest of these sources differs from it."""
    strangers: dict[str, int] = {}
    for slug, digest in sources.items():
        left = history.left(slug)
        origin = _origin(history, left) if left and left.source_digest not in (None, digest) else None
        version = stranger(history, origin, slug, left.source_digest) if origin and left else None
        strangers |= {slug: version} if version is not None else {}
    return strangers


def _restored_from(history: History, left: KnownVersion, later: Deployment) -> Deployment | None:
    """The earlier deployment whose `before` was made live again as this version; None where it was deployed."""
    origin = _origin(history, left)
    return origin if origin and history.place(origin.id) < history.place(later.id) else None


def _origin(history: History, left: KnownVersion) -> Deployment | None:
    """The deployment whose `before` was made live again as this version; None where it was deployed."""
    maker = history.find(left.deployment)
    if maker is None or maker.outcome not in (*UNDONE, "restored"):
        return None
    change = maker.change(left.slug)
    return history.find(change.wanted.get("of")) if change and maker.kind == "rollback" else maker


def put_back(history: History) -> tuple[Deployment | None, Mapping[str, int]]:
    """The rollback that made live what is live, if one did, and what of it was not Cutover's."""
    last = next((one for one in reversed(history.deployments) if one.stayed or one.outcome in UNDONE), None)
    if last is None or last.kind != "rollback":
        return None, {}
    restored: dict[str, int] = {}
    for change in last.functions:
        origin = history.find(change.wanted.get("of"))
        digest = (change.after or {}).get("source_digest")
        version = stranger(history, origin, change.slug, digest) if origin and digest else None
        restored |= {change.slug: version} if version is not None else {}
    return last, restored
