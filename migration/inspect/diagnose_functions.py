"""The functions: missing, not active, drifted, open or closed by mistake, and those that must not change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from migration.base.command import Command, Do, Shell, Step, Steps, chain, inv, sh, steps
from migration.base.errors import CutoverError
from migration.base.finding import Finding
from migration.clients.supabase_types import Function
from migration.deploy import drift
from migration.deploy import plan as plans
from migration.deploy.plan import PlannedFunction
from migration.inspect.examination import Examination
from migration.source import differences, reader, scope, snapshots
from migration.source.differences import BaseComparison
from migration.source.source import Source

LINES = 40  # of a diff that are shown


def checkout(exam: Examination) -> Iterator[Finding]:
    """Nothing but the refusal of a checkout that cannot be deployed, which is a finding; the other probes go on."""
    _ = exam.plan
    yield from ()


def find(exam: Examination) -> Iterator[Finding]:
    migration = exam.context.config.migration
    for slug in [*migration.functions, *migration.unchanged]:
        yield from _presence(exam, slug)
    if exam.planned is None:
        yield from _foreign(exam)
    else:
        for item in exam.planned.functions:
            yield from _item(exam, item)
        yield from _doors(exam)
    yield from _changed(exam)


def _deploy(exam: Examination, slug: str) -> Command:
    """A function that the migration leaves alone is deployed by itself; over a version that was deployed outside
    Cutover that takes the plan's hash, which `plan` prints."""
    if slug in exam.context.config.migration.functions:
        return inv("deploy")
    live = exam.functions.get(slug)
    drifted = live is not None and drift.foreign(exam.context.ledger.history(fresh=False), live)
    return inv("plan", only=slug, diff=True) if drifted else inv("deploy", only=slug)


def _git(exam: Examination, *words: str) -> Shell:
    return sh("git", "-C", str(exam.context.app), *words)


def _presence(exam: Examination, slug: str) -> Iterator[Finding]:
    ours = slug in exam.context.config.migration.functions
    live = exam.functions.get(slug)
    if live is None and ours and _taken_back(exam, slug):
        if (item := _planned(exam, slug)) and item.changes:
            problem, why = f"{slug} is in this checkout and was deleted by a rollback", "it is not on the platform"
            yield Finding("undeployed", problem, why, Steps(exam.plan.next), "warning", slug)
    elif live is None:
        listed = ", ".join(sorted(exam.functions)) or "no function"
        problem = f"{slug} is not on the platform"
        yield Finding("missing", problem, f"the project lists {listed}", steps(_deploy(exam, slug)), subject=slug)
    elif live is not None and live.status != "ACTIVE":
        fix = steps(_deploy(exam, slug))
        if live.status == "THROTTLED":
            fix = steps(Do("see the project's usage and billing pages"), inv("doctor"))
        yield Finding("inactive", f"{slug} is {live.status}, not ACTIVE", f"v{live.version}", fix, subject=slug)


def _taken_back(exam: Examination, slug: str) -> bool:
    """Whether Cutover deleted it, by a rollback or a restore: then it is not missing."""
    left = exam.context.ledger.history(fresh=False).left(slug)
    return left is not None and left.version is None


def _planned(exam: Examination, slug: str) -> PlannedFunction | None:
    """How the plan sees it; None where no plan can be made, which is a finding of its own."""
    with contextlib.suppress(CutoverError):
        return exam.item(slug)
    return None


def _item(exam: Examination, item: PlannedFunction) -> Iterator[Finding]:
    if item.action == "drifted":
        fix = Steps(exam.plan.next)
        problem = f"{item.slug} was deployed outside Cutover"
        yield Finding("drifted", problem, _with_diff(item.why, item.diff), fix, subject=item.slug)
    elif item.action == "update" and (exam.plan.history.live is not None or item.slug in exam.plan.replaced):
        problem, fix = f"{item.slug} differs from what git holds", Steps(exam.plan.next)
        yield Finding("undeployed", problem, item.why, fix, "warning", item.slug)


def _foreign(exam: Examination) -> Iterator[Finding]:
    """What was deployed outside Cutover, by the versions alone: the checkout cannot be compared with it."""
    for live in exam.migrated:
        if drift.foreign(exam.history, live):
            left = exam.history.left(live.slug)
            why = f"v{live.version} is live; Cutover left v{left.version}" if left else f"v{live.version} is live"
            fix = steps(Do("fix the checkout (see below), then look at the difference:"), inv("plan", diff=True))
            yield Finding("drifted", f"{live.slug} was deployed outside Cutover", why, fix, subject=live.slug)


def _doors(exam: Examination) -> Iterator[Finding]:
    """verify_jwt as config.toml writes it, against what is deployed."""
    migration = exam.context.config.migration
    settings = reader.reader(exam.context).settings([*migration.functions, *migration.unchanged])
    for slug, written in settings.items():
        live, wanted = exam.functions.get(slug), written.verify_jwt
        if live is None or wanted is None or live.verify_jwt is None or wanted == live.verify_jwt:
            continue
        effect = "callers without a token get 401" if live.verify_jwt else "anyone can call it"
        why = f"deployed: {str(live.verify_jwt).lower()}, supabase/config.toml: {str(wanted).lower()}"
        problem = f"verify_jwt of {slug} is not what config.toml says: {effect}"
        yield Finding("verify_jwt", problem, why, steps(_deploy(exam, slug)), subject=slug)


def _changed(exam: Examination) -> Iterator[Finding]:
    """Functions that the migration must leave alone: in git, and as deployed, against the base revision."""
    plan, slugs, newest = exam.planned, exam.context.config.migration.unchanged, exam.history.live
    base = plan.origin if plan else plans.origin_of(exam.context, exam.history, newest.revision if newest else "")
    repository = exam.context.repository
    if not base or repository.revision(base) is None:
        return
    past = reader.reader(exam.context).at(base, slugs)
    for unchanged in plan.unchanged if plan else ():
        if unchanged.changed and unchanged.slug in past:
            yield _in_git(exam, unchanged, base, past[unchanged.slug])
    for slug in slugs:
        live, before = exam.functions.get(slug), past.get(slug)
        if live is not None and before is not None:
            yield from _deployed(exam, live, before, base)


def _in_git(exam: Examination, unchanged: BaseComparison, base: str, past: Source) -> Finding:
    slug = unchanged.slug
    now = reader.reader(exam.context).working([slug])[slug]
    changed, added = _moved(unchanged, now, past)
    where = f"against {base[:12]}: {', '.join(unchanged.files) or 'its settings'}"
    problem = f"{slug} must not change, and differs from the base revision in git"
    fix = steps(*_restore(exam, slug, base, changed, added))
    return Finding("unchanged", problem, _with_diff(where, differences.text(now, past)), fix, "warning", slug)


def _restore(exam: Examination, slug: str, base: str, changed: Sequence[str], added: Sequence[str]) -> tuple[Step, ...]:
    """The commands for exactly these files, whatever else is changed or staged; another way where only settings are."""
    parts = [_git(exam, "checkout", base[:12], "--", *changed)] if changed else []
    parts += [_git(exam, "rm", "--quiet", "--", *added)] if added else []
    if not parts:
        shows = _git(exam, "show", f"{base[:12]}:./supabase/config.toml")
        edit = Do("write its settings in supabase/config.toml as they were, commit and push:")
        return shows, edit, _deploy(exam, slug)
    commit = _git(exam, "commit", "-m", f"Restore {slug}", "--", *changed, *added)
    return (chain(*parts, commit, *_push(exam), _deploy(exam, slug)),)


def _push(exam: Examination) -> list[Shell]:
    context = exam.context
    remote = scope.remote(context)
    return [context.repository.typed("push", remote, f"HEAD:{context.config.app.branch}")] if remote else []


def _deployed(exam: Examination, live: Function, past: Source, base: str) -> Iterator[Finding]:
    body = snapshots.from_body(snapshots.download(exam.context, live), live)
    if snapshots.same_files(past, body):
        return
    compared = exam.planned.unchanged if exam.planned else ()
    measured = next((one for one in compared if one.slug == live.slug), None)
    fix: tuple[Step, ...] = ()
    with contextlib.suppress(CutoverError):  # a checkout that cannot be deployed
        fix = plans.make(exam.context, only=[live.slug]).next
    fix = fix or (_deploy(exam, live.slug),)
    if measured is not None and measured.changed:
        now = reader.reader(exam.context).working([live.slug])[live.slug]
        fix = _restore(exam, live.slug, base, *_moved(measured, now, past))
    evidence = _with_diff(f"v{live.version} against {base[:12]}", differences.text(past, body))
    problem = f"{live.slug} must not change, and other code of it is deployed"
    yield Finding("unchanged_live", problem, evidence, steps(*fix), subject=live.slug)


def _moved(measured: BaseComparison, now: Source, past: Source) -> tuple[list[str], list[str]]:
    """The files that git has otherwise, and those that were not there."""
    return sorted(set(measured.files) & set(past.tracked)), sorted(set(now.tracked) - set(past.tracked))


def _with_diff(why: str, diff: str) -> str:
    lines = diff.splitlines()
    more = [f"… {len(lines) - LINES} more lines ({inv('plan', diff=True)})"] if len(lines) > LINES else []
    return "\n".join([why, *lines[:LINES], *more])
