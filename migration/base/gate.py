"""Text from outside, made safe to show: to a terminal, to a CI server, to people who are notified."""

from __future__ import annotations

import re

from migration.base.secrets_type import mask

# Control characters of C0 and C1, and those that change the direction of text; a tab and a line break may stay.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# https://docs.github.com/actions/reference/workflow-commands-for-github-actions: a line that begins so is obeyed.
_WORKFLOW = re.compile(r"^(\s*)(::|##\[)", re.MULTILINE)


def gate(text: str) -> str:
    """Text as it may be shown: masked, escapes written out (`\\x1b[2J`), commands to a CI server broken (`: :error`).

    Whatever crops a text does so afterwards: half a secret would not be recognised.
    """
    shown = CONTROLS.sub(_written, mask(text).replace("\r\n", "\n"))
    return _WORKFLOW.sub(lambda found: f"{found[1]}{found[2][0]} {found[2][1:]}", shown)


def _written(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
