"""Which code the smoke cases describe: `when` in config.yaml, decided by what the ledger says is live."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from migration.base.command import inv
from migration.base.errors import CutoverError, Refused
from migration.base.numbers import count, listed
from migration.ledger.deployments import UNDONE
from migration.verify.baseline import same

if TYPE_CHECKING:
    from migration.config.cases import SmokeCase
    from migration.context import Context
    from migration.ledger.deployments import History

AFTER = frozenset({"always", "after"})
BEFORE = frozenset({"always", "before"})
_UNKNOWN = frozenset({"always"})
_SENT = {"before": BEFORE, "after": AFTER}


def named(cases: Iterable[SmokeCase], slugs: Collection[str], sent: Collection[str] = AFTER) -> list[str]:
    """The names of the cases of these functions that describe this code; a gate sends those of the code after."""
    return [case.name for case in cases if case.function in slugs and case.when in sent]


def choose(context: Context) -> tuple[list[str], list[str]]:
    """The names of the cases that describe what is live, and notices of what is left out. Refused when none is left.

    An environment without a project has no ledger: there the code is the new one.
    """
    cases = context.config.smoke
    if all(case.when == "always" for case in cases):
        return [case.name for case in cases], []
    codes, why = _codes(context, {case.function for case in cases})
    chosen = [case.name for case in cases if case.when in _SENT.get(codes[case.function], _UNKNOWN)]
    left = [case.name for case in cases if case.name not in chosen]
    notes = _notes(left, codes, why)
    if not chosen:
        raise Refused(f"No smoke case describes the code that is live. {' '.join(notes)}", inv("smoke", case=left[0]))
    return chosen, notes


def _notes(left: Sequence[str], codes: Mapping[str, str], why: str) -> list[str]:
    if not left:
        return []
    lives = {"before": "the code before the migration is live", "after": "the code after it is live"}
    known = " and ".join(lives[code] for code in dict.fromkeys(codes.values()) if code in lives)
    text = why or known
    return [f"Not sent, because {text}: {count(len(left), 'case')} ({listed(left)}). --case sends one anyway."]


def _codes(context: Context, slugs: Iterable[str]) -> tuple[dict[str, str], str]:
    """before, after or empty (unknown) for each function, and why it is unknown. A function that the migration leaves
    alone counts as the migration does as a whole."""
    if not context.environment.project_ref:
        return dict.fromkeys(slugs, "after"), ""
    carried = context.config.migration.functions
    try:
        history = context.ledger.history()
        if context.ledger.offline:
            return dict.fromkeys(slugs, ""), "which code is live is unknown (the ledger cannot be read)"
        live = {one.slug: one.version for one in context.supabase.functions()}
    except CutoverError as error:
        return dict.fromkeys(slugs, ""), f"which code is live is unknown ({error.message.rstrip('. ')})"
    own = {slug: code(history, slug, live.get(slug), context.config.app.base or "") for slug in carried}
    unknown = [slug for slug, live_code in own.items() if not live_code]
    whole = next(iter(own.values())) if len(set(own.values())) == 1 else ""
    why = f"which code of {listed(unknown)} is live is unknown" if unknown else ""
    return {slug: own.get(slug, whole) for slug in slugs}, why


def code(history: History, slug: str, version: int | None, base: str) -> str:
    """Which code of a function is live: before (the base's), after, or empty: deployed outside Cutover, or a
    deployment was interrupted."""
    newest = history.interrupted
    left = history.left(slug)
    if (newest is not None and newest.change(slug)) or (left is not None and left.version != version):
        return ""
    while left is not None:
        by = history.find(left.deployment)
        change = by.change(slug) if by else None
        if by is None or change is None:
            return ""
        if by.kind == "deploy" and by.stayed:
            return "before" if same(by.revision, base) else "after"
        if by.outcome not in (*UNDONE, "restored"):
            return ""
        origin = history.find(change.wanted.get("of")) if by.kind == "rollback" else by
        if origin is None or history.place(origin.id) > history.place(by.id):
            return ""
        left = history.left(slug, before=origin.id)
    return "before"
