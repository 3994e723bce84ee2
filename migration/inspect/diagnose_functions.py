"""The functions: missing, not active, drifted, open or shut by mistake, and those that nobody should have touched."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator

from migration.base.errors import CutoverError
from migration.base.finding import Finding, then
from migration.clients.supabase_types import Function
from migration.deploy.plan import PlanItem
from migration.inspect.look import Look
from migration.source import differences, reader, snapshots
from migration.source.differences import Unchanged
from migration.source.source import Source

LINES = 40  # of a diff that are shown


def find(look: Look) -> Iterator[Finding]:
    migration = look.context.config.migration
    for slug in [*migration.functions, *migration.unchanged]:
        yield from _presence(look, slug)
    for item in look.plan.functions:
        yield from _item(look, item)
    yield from _doors(look)
    yield from _changed(look)


def cli(look: Look, slug: str) -> str:
    """The platform's own command for one function."""
    where = shlex.quote(str(look.context.app))
    return f"supabase functions deploy {slug} --use-api --remote={look.context.supabase.ref} --workdir {where}"


def _git(look: Look) -> str:
    return f"git -C {shlex.quote(str(look.context.app))}"


def _presence(look: Look, slug: str) -> Iterator[Finding]:
    ours = slug in look.context.config.migration.functions
    live = look.functions.get(slug)
    if live is None and not (ours and _nowhere(look, slug)):
        fix = "inv deploy" if ours else cli(look, slug)
        why = f"the project lists {', '.join(sorted(look.functions)) or 'no function'}"
        yield Finding("missing", f"{slug} is not on the platform", why, fix, subject=slug)
    elif live is not None and live.status != "ACTIVE":
        fix = "inv deploy" if ours else cli(look, slug)
        if live.status == "THROTTLED":
            fix = then("see the project's usage and billing pages", "inv doctor")
        yield Finding("inactive", f"{slug} is {live.status}, not ACTIVE", f"version {live.version}", fix, subject=slug)


def _nowhere(look: Look, slug: str) -> bool:
    """Whether a rollback deleted it, and the app has no files of it either: then nothing is wrong."""
    with contextlib.suppress(CutoverError):
        item = look.item(slug)
        return item is not None and item.action == "same"
    return False


def _item(look: Look, item: PlanItem) -> Iterator[Finding]:
    if item.action == "drifted":
        fix = f"inv plan --diff, then type: inv deploy --plan {look.plan.hash[:12]}"
        yield Finding(
            "drifted", f"{item.slug} was deployed by another road", _told(item.why, item.diff), fix, subject=item.slug
        )
    elif item.action == "update" and look.plan.history.live is not None:
        yield Finding("undeployed", f"{item.slug} is not what git holds", item.why, "inv deploy", "warning", item.slug)


def _doors(look: Look) -> Iterator[Finding]:
    """verify_jwt as config.toml writes it, against what is deployed."""
    migration = look.context.config.migration
    settings = reader.reader(look.context).settings([*migration.functions, *migration.unchanged])
    for slug, written in settings.items():
        live, wanted = look.functions.get(slug), written.verify_jwt
        if live is None or wanted is None or live.verify_jwt is None or wanted == live.verify_jwt:
            continue
        effect = "callers without a token get 401" if live.verify_jwt else "anyone may call it"
        why = f"deployed: {str(live.verify_jwt).lower()}, supabase/config.toml: {str(wanted).lower()}"
        fix = "inv deploy" if slug in migration.functions else cli(look, slug)
        yield Finding("verify_jwt", f"verify_jwt of {slug} is flipped: {effect}", why, fix, subject=slug)


def _changed(look: Look) -> Iterator[Finding]:
    """Functions that the migration must leave alone: in git, and as deployed, against the base revision."""
    base, slugs = look.plan.base_revision, look.context.config.migration.unchanged
    repository = look.context.repository
    if not base or repository.revision(base) is None:
        return
    past = reader.reader(look.context).at(base, slugs)
    for told in look.plan.unchanged:
        if told.changed and told.slug in past:
            yield _in_git(look, told, base, past[told.slug])
    for slug in slugs:
        live, was = look.functions.get(slug), past.get(slug)
        if live is not None and was is not None:
            yield from _deployed(look, live, was, base)


def _in_git(look: Look, told: Unchanged, base: str, past: Source) -> Finding:
    slug, files = told.slug, told.files
    now = reader.reader(look.context).working([slug])[slug]
    fix = _restore(look, slug, base, sorted(set(files) & set(past.files)), sorted(set(now.files) - set(past.files)))
    why = _told(f"against {base[:12]}: {', '.join(files) or 'its settings'}", differences.text(now, past))
    return Finding(
        "unchanged", f"{slug} must not change, and differs from the base revision in git", why, fix, "warning", slug
    )


def _restore(look: Look, slug: str, base: str, changed: list[str], added: list[str]) -> str:
    """The commands for exactly these files, whatever else is changed or staged; another way where only settings are."""
    git = _git(look)
    steps = [f"{git} checkout {base[:12]} -- {shlex.join(changed)}"] if changed else []
    steps += [f"{git} rm --quiet -- {shlex.join(added)}"] if added else []
    if not steps:
        shows = f"{git} show {base[:12]}:./supabase/config.toml"
        return f"write its settings as they were ({shows}), git commit, git push, then type: {cli(look, slug)}"
    commit = f"{git} commit -m {shlex.quote(f'Restore {slug}')} -- {shlex.join([*changed, *added])}"
    return " && ".join([*steps, commit, f"{git} push", cli(look, slug)])


def _deployed(look: Look, live: Function, past: Source, base: str) -> Iterator[Finding]:
    body = snapshots.from_body(snapshots.download(look.context, live), live)
    if snapshots.same_files(past, body):
        return
    now = reader.reader(look.context).working([live.slug])[live.slug]
    fix = cli(look, live.slug)
    if now.digest != past.digest:
        fix = f"{_git(look)} checkout {base[:12]} -- {shlex.join(sorted(past.files))} && {fix}"
    why = _told(f"version {live.version} against {base[:12]}", differences.text(past, body))
    yield Finding("unchanged_live", f"{live.slug} must not change, and another source of it is deployed", why, fix,
                  subject=live.slug)  # fmt: skip


def _told(why: str, diff: str) -> str:
    lines = diff.splitlines()
    more = [f"… {len(lines) - LINES} more lines: inv plan --diff"] if len(lines) > LINES else []
    return "\n".join([why, *lines[:LINES], *more])
