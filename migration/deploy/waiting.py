"""Versions that were staged and never activated: what may still wait on the platform, and what that means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from migration.base.durations import show
from migration.clients.supabase_types import Function
from migration.deploy.recorder import left_waiting
from migration.ledger.deployments import Change, Deployment, History


@dataclass(frozen=True)
class Answered:
    """What a deployment had left waiting was activated on the way, and answered callers until the wanted code did."""

    deployment: str
    functions: tuple[str, ...]
    seconds: float

    @property
    def note(self) -> str:
        names = ", ".join(self.functions)
        return f"The version of {names} left waiting by {self.deployment} answered for {show(self.seconds)}."

    def record(self) -> dict[str, Any]:
        return {**vars(self), "functions": list(self.functions), "seconds": round(self.seconds, 3)}


def answered(seconds: Mapping[str, float], left_by: Callable[[str], str]) -> list[Answered]:
    """By deployment. What a release settled of its own is the very code that it wants."""
    names = {slug: left_by(slug) for slug in seconds}
    found = {name: tuple(slug for slug in sorted(seconds) if names[slug] == name) for name in names.values() if name}
    return [Answered(name, group, max(seconds[slug] for slug in group)) for name, group in found.items()]


def slugs(history: History, live: Mapping[str, Function]) -> list[str]:
    """The functions of which an ended deployment may have left one, and of which nothing newer went live since."""
    ended = [one for one in history.deployments if one is not history.interrupted]
    found = [change for one in ended for change in one.functions if left_waiting(one, change.slug) and not alone(one)]
    return list(dict.fromkeys(one.slug for one in found if _unmoved(one, live.get(one.slug))))


def alone(deployment: Deployment) -> bool:
    """A single function goes live with its upload: no version of it ever waits."""
    return deployment.kind == "deploy" and len(deployment.functions) == 1


def said(names: Iterable[str], verb: str = "deploy") -> str:
    """What that means, in words; nothing where nothing waits."""
    listed = ", ".join(names)
    text = f"may wait on the platform: the next inv {verb} activates it first; the Supabase CLI is refused until then."
    return f"A version of {listed} {text}" if listed else ""


def _unmoved(change: Change, live: Function | None) -> bool:
    """Whether what is live was so before: a version that went live since had to activate what waited."""
    if change.before is None or live is None:
        return change.before is None and live is None
    same = change.before.get("function_id") in (None, live.id)
    return same and live.version <= int(change.before["version"])
