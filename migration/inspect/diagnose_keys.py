"""Secrets and the provider: the key missing, another one, refused, spent; the model going; the price moving."""

from __future__ import annotations

from collections.abc import Iterator

from migration.base.durations import show
from migration.base.finding import Finding
from migration.config import envfile
from migration.inspect.look import Look
from migration.setup import secret, warm
from migration.setup.secret_set import changed_at


def find(look: Look) -> Iterator[Finding]:
    yield from _file(look)
    seen, names = set(), look.context.config.secrets
    for state in secret.verify(look.context).secrets:
        for each in state.findings:
            seen.add(each.kind)
            yield each
    for each in look.context.check_provider():
        # one missing value is one finding
        twice = each.kind == "key_absent" and "no_local" in seen and any(name in each.evidence for name in names)
        if each.kind not in seen and not twice:
            yield each


def stale(look: Look) -> Iterator[Finding]:
    """Functions whose workers began before a secret was set, and keep the value of then."""
    names = _changed(look)
    since = changed_at(look.context, names) if names and look.migrated else None
    if since is None:
        return
    for worker in warm.workers(look.context, look.migrated, since):
        if worker.state == "old":
            began = (
                f"the newest worker began {worker.booted:%Y-%m-%d %H:%M:%S} UTC"
                if worker.booted
                else "none began since"
            )
            age = show((look.now - since).total_seconds())
            evidence = f"secrets were set {since:%Y-%m-%d %H:%M:%S} UTC ({age} ago), {began}"
            problem = f"{worker.slug} still answers from a worker of before the secret was set"
            yield Finding("warm", problem, evidence, "inv deploy", "warning", worker.slug)


def _changed(look: Look) -> list[str]:
    """Secrets with another value than the live deployment saw; setting the same one again changes nothing."""
    live = look.plan.history.live
    known = live.secrets if live else {}
    return [name for name in look.context.config.secrets if known.get(name) != look.plan.digests.get(name)]


def _file(look: Look) -> Iterator[Finding]:
    root = look.context.root
    if look.context.environment.embedded:
        return
    if envfile.exposed(root):
        path = root / envfile.NAME
        why = f"its mode is {envfile.exposed(root)}"

        def close() -> str:
            path.chmod(0o600)
            return "mode 0600"

        yield Finding(
            "env_exposed", ".env can be read by others", why, "chmod 600 .env", "warning", safe=True, apply=close
        )
    if (root / envfile.NAME).exists() and envfile.ignored(root) is False:
        yield Finding("env_not_ignored", "git would take .env in", "no ignore rule names it", "inv init", "warning")
