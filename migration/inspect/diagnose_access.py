"""Access: the secrets, the provider's key, model and price, `.env`, and the Management API's rate limit."""

from __future__ import annotations

from collections.abc import Iterator

from migration.base.command import chain, inv, sh, steps
from migration.base.durations import show
from migration.base.finding import Finding
from migration.base.numbers import count
from migration.config import envfile
from migration.inspect.examination import Examination
from migration.setup import secret, warm
from migration.setup.secret import changed_at

SCARCE = 0.2  # a limit is near when less than this share was left before our own calls


def find(exam: Examination) -> Iterator[Finding]:
    yield from _file(exam)
    seen, names = set(), exam.context.config.secrets
    for state in secret.verify(exam.context).secrets:
        for each in state.findings:
            seen |= {each.kind, each.problem}
            yield each
    for each in exam.context.check_provider():
        # one missing value is one finding
        twice = each.kind == "key_absent" and "no_local" in seen and any(name in each.evidence for name in names)
        if each.problem not in seen and not twice:
            yield each


def stale(exam: Examination) -> Iterator[Finding]:
    """Functions whose workers started before a secret was set, and keep its former value."""
    names = _changed(exam)
    since = changed_at(exam.context, names) if names and exam.migrated else None
    if since is None:
        return
    for worker in warm.workers(exam.context, exam.migrated, since):
        if worker.state == "old":
            began = (
                f"the newest worker started {worker.booted:%Y-%m-%d %H:%M:%S} UTC"
                if worker.booted
                else "no worker started since"
            )
            age = show((exam.now - since).total_seconds())
            evidence = f"secrets were set {since:%Y-%m-%d %H:%M:%S} UTC ({age} ago), {began}"
            problem = f"{worker.slug} still runs on a worker that started before the secret was set"
            yield Finding("warm", problem, evidence, steps(inv("deploy")), "warning", worker.slug)


def _changed(exam: Examination) -> list[str]:
    """Secrets with another value than the live deployment saw; setting the same one again changes nothing."""
    live = exam.history.live
    known = live.secrets if live else {}
    digests = {secret.name: secret.digest for secret in exam.context.supabase.secrets()}
    return [name for name in exam.context.config.secrets if known.get(name) != digests.get(name)]


def _file(exam: Examination) -> Iterator[Finding]:
    root = exam.context.root
    if exam.context.environment.embedded:
        return
    if mode := envfile.exposed(root):
        path = root / envfile.NAME

        def close() -> str:
            path.chmod(0o600)
            return "set its mode to 0600"

        fix = steps(sh("chmod", "600", ".env"))
        yield Finding("env_exposed", "others can read .env", f"its mode is {mode}", fix, "warning", safe=True,
                      apply=close)  # fmt: skip
    if (root / envfile.NAME).exists() and envfile.ignored(root) is False:
        yield Finding("env_not_ignored", "git does not ignore .env", "no ignore rule names it", steps(inv("init")),
                      "warning")  # fmt: skip


def quotas(exam: Examination) -> Iterator[Finding]:
    """What is left of the Management API's rate limit, which all tokens of an account share."""
    for quota in exam.context.management.quotas.values():
        if quota.others <= SCARCE * quota.limit:
            problem = f"the Management API's rate limit is near: {quota.endpoint}"
            evidence = (
                f"{quota.left} of {quota.limit} calls are left after {count(quota.own, 'call')} of ours; "
                f"a new window begins in {quota.reset} s"
            )
            fix = steps(chain(sh("sleep", str(quota.reset)), inv("doctor")))
            yield Finding("api_limit", problem, evidence, fix, "warning", quota.endpoint)
