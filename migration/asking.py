"""Asking a person before something is changed, and the command to type where that ended without an answer."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from migration.errors import Refused

if TYPE_CHECKING:
    from migration.context import Context
    from migration.report.output import Output


def again(*words: str, **flags: str | bool | None) -> str:
    """A verb's command line with the flags that were given; the environment is added where errors are shown."""
    given = {name.replace("_", "-"): value for name, value in flags.items() if value}
    told = [[f"--{name}"] if value is True else [f"--{name}", str(value)] for name, value in given.items()]
    return shlex.join(["inv", *words, *(word for flag in told for word in flag)])


def agree(out: Output, context: Context, what: str, yes: bool, command: str, alone: str = "") -> bool:
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
        raise Refused(text, alone or f"{command} --yes") from None
    if typed != ref:
        raise Refused(f"{repr(typed) if typed else 'nothing'} was typed, not {ref}: nothing was changed", command)
    return True


def interactive() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and not os.environ.get("CI")
