"""The functions that the migration must leave alone, measured: their source, their answers, their own route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from checks.evidence import Missing, Traffic, UnchangedEvidence
from migration.base.errors import CutoverError
from migration.source import reader, snapshots
from migration.source.source import Source
from migration.verify.samples import Sample

if TYPE_CHECKING:
    from migration.clients.supabase_types import Function
    from migration.context import Context
    from migration.verify.subject import Subject


def all_of(
    context: Context,
    about: Subject,
    answers: Sequence[Sample],
    lines: Mapping[str, int] | Missing,
    traffic: Mapping[str, Traffic],
) -> dict[str, UnchangedEvidence | Missing]:
    """Evidence for each of migration.unchanged, by slug. Nothing is sent to them: `traffic` is what callers got."""
    slugs = context.config.migration.unchanged
    try:
        base = {} if about.gate else _base(context, about.base, slugs)
    except CutoverError as error:
        return dict.fromkeys(slugs, Missing(error.message))
    evidence: dict[str, UnchangedEvidence | Missing] = {}
    for slug in slugs:
        own = [answer for answer in answers if answer.function == slug]
        count = None if isinstance(lines, Missing) else lines.get(slug)
        routed = isinstance(lines, Missing) or slug in lines
        try:
            known = (slug, *_answers(own, traffic.get(slug)), count)
            evidence[slug] = replace(_one(context, about, base.get(slug), known), routed=routed)
        except CutoverError as error:
            evidence[slug] = Missing(error.message)
    return evidence


def _one(
    context: Context, about: Subject, base: Source | None, known: tuple[str, bool | None, int, int | None]
) -> UnchangedEvidence:
    slug, answers, status, lines = known
    live = about.live.get(slug)
    if live is None:
        return UnchangedEvidence(slug, False, ("it is not deployed",), False, False, 404, lines)
    same, differs = (None, ()) if about.gate else _compare(context, live, base)
    return UnchangedEvidence(slug, same, differs, _as_before(about, live), answers, status, lines)


def _base(context: Context, revision: str, slugs: Sequence[str]) -> dict[str, Source]:
    if not revision or context.repository.revision(revision) is None:
        return {}
    return reader.reader(context).at(revision, slugs)


def _compare(context: Context, live: Function, base: Source | None) -> tuple[bool | None, tuple[str, ...]]:
    """Whether what is deployed is file for file what git held before the migration; None without a base."""
    if base is None:
        return None, ()
    source = snapshots.from_body(context.supabase.body(live.slug), live)
    if snapshots.same_files(source, base):
        return True, ()
    live_files, base_files = source.from_entrypoint, base.from_entrypoint
    paths = sorted({*live_files, *base_files} - base.loose_from_entrypoint)
    return False, tuple(path for path in paths if live_files.get(path) != base_files.get(path))


def _as_before(about: Subject, live: Function) -> bool | None:
    """Whether version and bundle are those of the list taken before the change; None without such a list."""
    if about.listed is None:
        return None
    before = about.listed.get(live.slug)
    return before is not None and (before.version, before.ezbr_sha256) == (live.version, live.ezbr_sha256)


def _answers(own: Sequence[Sample], traffic: Traffic | None) -> tuple[bool | None, int]:
    """Whether it answers, and the status: by its smoke cases, else by what its callers got; nothing is sent."""
    if own:
        good = [answer for answer in own if answer.ok]
        return bool(good), (good or own)[-1].status
    if traffic is None or not traffic.trials:
        return None, 0
    best = min(traffic.statuses)
    return traffic.successes > 0, best
