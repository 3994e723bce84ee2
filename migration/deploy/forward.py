"""How a change that was rolled back goes live again one day, in one line to type."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from migration.git.reverted import at
from migration.source import scope

if TYPE_CHECKING:
    from migration.context import Context


def line(context: Context, revert: str) -> str:
    """Revert the revert, push, lift the hold. The revert may have been made elsewhere, so it is fetched first."""
    git, remote = at(context.repository), scope.remote(context)
    steps = [f"{git} revert --no-edit {revert[:12]}"]
    if remote:
        name, branch = shlex.quote(remote), shlex.quote(context.config.app.branch)
        steps = [f"{git} pull --ff-only {name} {branch}", *steps, f"{git} push {name} HEAD:{branch}"]
    return " && ".join([*steps, lift(context)])


def lift(context: Context) -> str:
    """Deploys what is held."""
    return f"inv deploy{context.environment.flag} --lift-hold 'why it is good now'"
