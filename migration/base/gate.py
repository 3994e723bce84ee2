"""Text from outside, made safe to show: to a terminal, to a CI server, to people who are notified."""

from __future__ import annotations

import re

from migration.base.secrets_type import mask

# Control characters of C0 and C1, and what changes the direction or the line of text; a tab and a line break may stay.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# Commands to a CI server. GitHub obeys `::name::` where a line begins so, after spaces, and our own tables and wrapped
# lines begin with whatever word comes next; `##[name]` (GitHub) and `##vso[…]` (Azure) are found anywhere in a line.
# https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs (TryParse, TryParseV2)
# https://github.com/microsoft/azure-pipelines-agent/blob/master/src/Agent.Sdk/CommandPlugin.cs
ANYWHERE = re.compile(r"##(?=\w*\[)")
_WORKFLOW = re.compile(rf"(?<!\S)::|{ANYWHERE.pattern}")
_LONG = 80  # characters of a word that a table may break in two, so that a line begins inside it


def gate(text: str) -> str:
    """Text as it may be shown: masked, escapes written out (`\\x1b[2J`), commands to a CI server broken (`: :error`).

    Whatever crops a text does so afterwards: half a secret would not be recognised.
    """
    shown = CONTROLS.sub(_written, mask(text).replace("\r\n", "\n"))
    return _long_words(_WORKFLOW.sub(lambda found: f"{found[0][0]} {found[0][1:]}", shown))


def _long_words(text: str) -> str:
    if len(text) < _LONG or "::" not in text:
        return text
    words = re.split(r"(\s+)", text)
    return "".join(word.replace("::", ": :") if len(word) >= _LONG else word for word in words)


def _written(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
