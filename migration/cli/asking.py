"""Asking a person before something is changed, and the command to type where that ended without an answer."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from migration.base.command import Command
from migration.base.errors import Refused

if TYPE_CHECKING:
    from migration.cli.output import Output
    from migration.context import Context


def agree(out: Output, context: Context, what: str, yes: bool, command: Command, alone: Command | None = None) -> bool:
    """Whether the person agrees: `--yes`, or the project ref typed where the environment asks for that.

    `command` asks again; `alone` is for where nobody can be asked.
    """
    if yes or not context.environment.confirm:
        return True
    ref = context.environment.project_ref or context.environment.name
    try:
        typed = out.ask(f"{what}? Type {ref} to go on:")
    except Refused as error:
        text = f"{what}? {error.message[:1].upper()}{error.message[1:]}: nothing was changed"
        raise Refused(text, alone or command.plus(yes=True)) from None
    if typed != ref:
        raise Refused(f"{repr(typed) if typed else 'nothing'} was typed, not {ref}: nothing was changed", command)
    return True


def interactive() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and not os.environ.get("CI")
