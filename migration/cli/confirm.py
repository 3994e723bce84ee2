"""Asking before something is changed, and the command to type where there was no answer."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from migration.base.command import Command
from migration.base.errors import Refused

if TYPE_CHECKING:
    from migration.cli.output import Output
    from migration.context import Context

_TRIES = 3


class NotConfirmed(Refused):
    """A person was asked, and typed something else."""


def agree(
    out: Output, context: Context, what: str, yes: bool, command: Command, unattended: Command | None = None
) -> bool:
    """Whether the person agrees: `--yes`, or the project ref typed where the environment demands that. A typo may be
    corrected twice; nothing typed is a no.

    `command` leads to the same question again; `unattended` needs no terminal.
    """
    if yes or not context.environment.confirm:
        return True
    ref = context.environment.project_ref or context.environment.name
    question = f"{what}. Type {ref} to go on:"
    for _ in range(_TRIES):
        try:
            typed = out.ask(question)
        except Refused:
            text = f"{what}: not confirmed, and this is not a terminal. Nothing was changed."
            raise Refused(text, unattended or command.plus(yes=True)) from None
        if typed == ref:
            return True
        if not typed:
            break
        question = f"{typed} is not {ref}. Type {ref} to go on:"
    raise NotConfirmed(f"Not confirmed: {typed or 'nothing'} was typed, not {ref}. Nothing was changed.", command)


def interactive() -> bool:
    """Whether someone sits at the terminal."""
    return sys.stdin.isatty() and not os.environ.get("CI")
