"""What a message to people says: what happened, the evidence, what is live, and what to type. Plain and as Markdown.

Text from logs stays text: it cannot control a terminal, mention a channel, or become a link or markup. The services do
not agree on how Markdown is escaped (Slack shows backslashes), so evidence and commands stand in code, and prose loses
the signs that mean something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from migration.base.command import Step, inv
from migration.base.gate import gate
from migration.watch.model import Alarm, Notified, Surroundings

_TITLE = 140  # characters
_LINE = 240
_BODY = 1700  # Discord takes 2,000, the title and the end of the message among them
_EVIDENCE = 4  # lines of an alarm
_DETAILED = 3  # alarms with their evidence; the others in one line
_COMMANDS = 5
_JOINER = "\u2060"  # takes no room, and breaks what it stands in
# What a chat obeys: @everyone, <!channel>, <@U123>, <#C123>, [words](address).
_OBEYED = re.compile(r"@(?=\w)|<(?=[!@#])|\](?=\()")
_PROSE = str.maketrans({"*": "∗", "`": "'", "<": "‹", ">": "›", "[": "(", "]": ")", "~": "∼", "|": "¦", "\\": "∖"})


@dataclass(frozen=True)
class MessageBlock:
    """One line of a message. `item`: evidence under the line above; `command`: to be pasted as it stands."""

    text: str
    kind: Literal["line", "strong", "item", "command"] = "line"


def line(text: str, limit: int = _LINE) -> str:
    """A text from anywhere as one line that nothing obeys, cut to `limit` characters after it was masked."""
    safe = " ".join(gate(text).split())
    cut = safe if len(safe) <= limit else f"{safe[: limit - 1]}…"
    return _OBEYED.sub(lambda match: match[0] + _JOINER, cut)


def clock(at: datetime, now: datetime) -> str:
    """A time for people, in UTC: with its day where that is not today."""
    return f"{at:%H:%M:%SZ}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%MZ}"


def title(around: Surroundings, what: str, others: int = 0) -> str:
    """The message in one line: where, what, and how many other alarms it holds."""
    more = f" (and {others} more)" if others else ""
    head = f"{around.environment.upper()}: "
    return line(head + line(what, _TITLE - len(head) - len(more)), _TITLE).translate(_PROSE) + more


def body(
    firing: Sequence[Alarm], muted: Sequence[Alarm], over: Sequence[Notified], around: Surroundings, now: datetime
) -> list[MessageBlock]:
    """The lines of a message about alarms: those that stand, the worst first, and those that are over."""
    blocks = [block for place, alarm in enumerate(firing) for block in _alarm(alarm, now, place < _DETAILED)]
    blocks += [MessageBlock(f"Same cause: {', '.join(sorted(_name(one) for one in muted))}")] if muted else []
    blocks += [MessageBlock(f"Resolved: {one.summary} (since {clock(one.since, now)})", "strong") for one in over]
    typed = [step for alarm in firing for step in (*alarm.commands, *steps(alarm, around.environment))]
    return [*blocks, *ending(around, typed)]


def ending(around: Surroundings, first: Iterable[Step | str] = ()) -> list[MessageBlock]:
    """What is live, and what to type."""
    commands = list(dict.fromkeys([*map(str, first), *around.commands]))[:_COMMANDS]
    live = [MessageBlock(f"Live: {around.live}")] if around.live else []
    by = f" by {around.who}" if around.who else ""
    return [
        *live,
        MessageBlock(f"Deployment {around.deployment}{by}"),
        *(MessageBlock(one, "command") for one in commands),
    ]


def _alarm(alarm: Alarm, now: datetime, detailed: bool) -> list[MessageBlock]:
    head = f"{alarm.severity.capitalize()}: {alarm.summary} (since {clock(alarm.since, now)})"
    lines = [MessageBlock(f"{_name(alarm)}: {each}", "item") for each in alarm.evidence[:_EVIDENCE]] if detailed else []
    if detailed and alarm.answers and alarm.limit is not None:
        counted = f"{alarm.bad} of {alarm.answers} since then; {alarm.limit * 100:g}% may fail"
        lines.insert(0, MessageBlock(f"{_name(alarm)}: {counted}", "item"))
    return [MessageBlock(head, "strong"), *lines]


def _name(alarm: Alarm) -> str:
    return f"{alarm.criterion} of {alarm.function}" if alarm.function else alarm.criterion


# What helps with which alarm. `inv rollback` is named where the deployment's own code may be the cause.

_MONEY = frozenset({"spend", "budget", "cost_per_request", "cost_logged", "projection"})
_ACCESS = frozenset({"model", "price", "credit", "key", "old_provider"})


def steps(alarm: Alarm, environment: str) -> list[Step]:
    """The commands for an alarm, the first one the most useful."""
    if alarm.kind == "action":
        return []
    since = f"{alarm.since:%Y-%m-%dT%H:%MZ}"
    look = inv("logs", env=environment, function=alarm.function, since=since, level="error")
    if alarm.kind == "no_data":
        return [inv("doctor", env=environment), inv("logs", env=environment, since="1h")]
    if alarm.criterion in _MONEY:
        return [inv("costs", env=environment, since=since, by="hour"), inv("checks", env=environment)]
    if alarm.criterion in _ACCESS:
        return [inv("secret", env=environment), inv("doctor", env=environment)]
    if alarm.kind == "fact":
        return [inv("status", env=environment), inv("doctor", env=environment)]
    if alarm.criterion == "unchanged":
        return [look, inv("status", env=environment), inv("doctor", env=environment)]
    return [look, inv("checks", env=environment), inv("rollback", env=environment)]


# Drawn twice.


def plain(blocks: Sequence[MessageBlock]) -> str:
    """The message as plain text."""
    marks = {"line": "", "strong": "", "item": "  - ", "command": "  "}
    return _fitting([marks[one.kind] + line(one.text) for one in blocks])


def markdown(blocks: Sequence[MessageBlock]) -> str:
    """The message as Markdown."""
    return _fitting([_drawn(one) for one in blocks])


def _drawn(block: MessageBlock) -> str:
    text = line(block.text)
    if block.kind in ("item", "command"):
        code = text.replace("`", "'")
        return f"- `{code}`" if block.kind == "item" else f"`{code}`"
    prose = text.translate(_PROSE)
    return f"**{prose}**" if block.kind == "strong" else prose


def _fitting(lines: list[str]) -> str:
    """As many lines as fit, evidence left out first and commands kept."""
    kept = list(lines)
    for place in range(len(lines) - 1, -1, -1):
        if sum(len(one) + 1 for one in kept) <= _BODY:
            break
        if lines[place].lstrip().startswith("- "):
            kept.remove(lines[place])
    text = "\n".join(kept)
    return text if len(text) <= _BODY else f"{text[: _BODY - 1]}…"
