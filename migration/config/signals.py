"""The log patterns of config.yaml, for RE2: the engine of the hosted ClickHouse, here as well.

A pattern that RE2 does not accept is refused at load, so that `--explain` shows exactly what the query counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from migration.base.command import Do
from migration.base.errors import ConfigError, Refused
from migration.config import logsql

if TYPE_CHECKING:
    from migration.config.settings import Config

GROUPS = ("input", "output", "total", "cost")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REPEATED = re.compile(rf"\n{logsql.REQUEST_ID}")
_REQUEST_ID = re.compile(logsql.REQUEST_ID)
_OPENING = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\((?!\?)|\(\?P?<(?P<name>\w+)>)")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")


@dataclass(frozen=True)
class Pattern:
    """One signal: its pattern in both engines, and the functions whose logs it is about."""

    name: str
    pattern: str
    functions: tuple[str, ...]

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """For `plain` text: the engine of the hosted ClickHouse, whose time grows with the text and no faster."""
        return compiled(self.pattern)

    def matches(self, message: str) -> bool:
        return bool(self.regex.search(plain(message)))

    def groups(self, message: str) -> dict[str, str] | None:
        """The named groups of the first match, "" for one that is absent; None without a match."""
        match = self.regex.search(plain(message))
        index = self.regex.groupindex  # google-re2's own `groupdict` pairs names with the wrong groups
        return {name: (match[at] or "").rstrip(",") for name, at in index.items()} if match else None

    @property
    def sql(self) -> str:
        """A condition on a row of `function_logs`; the caller adds which functions it is about."""
        return logsql.matches(portable(self.pattern))


def compiled(pattern: str) -> re.Pattern[str]:
    """A user's pattern in RE2: the same matches as in the hosted logs, and no pattern that hangs on a line.

    RE2 offers what `re` does as far as it is used here (`search`, `groupindex`, groups).
    """
    import re2  # late: most verbs match nothing on this machine

    options = re2.Options()
    options.log_errors = False
    return cast("re.Pattern[str]", re2.compile(portable(pattern), options))


def plain(message: str) -> str:
    """The message as patterns see it: no colour codes, a request id on the first line only."""
    bare = _COLOUR.sub("", message) if "\x1b" in message else message
    return _REPEATED.sub("\n", bare) if "\n[" in bare else bare


def request_id(message: str) -> str:
    """The id with which a function's own line begins: `[3f6c…] text`; empty without one. `[invoice] text` has none."""
    match = _REQUEST_ID.match(message)
    return match[1] if match and any(map(str.isdigit, match[1])) else ""


def portable(pattern: str) -> str:
    """The pattern for RE2 as ClickHouse runs it, where the dot would also match a line end."""
    return f"(?-s){_closing(pattern)}"


def capturing(pattern: str, *names: str) -> str:
    """The same pattern with these named groups as its only groups, without their names, in the order of the pattern.

    RE2 has a fast engine for up to four groups (where no character leaves a choice), several times faster than others.
    """
    return _OPENING.sub(lambda found: _opened(found, names) if found["open"] else found[0], pattern)


def _opened(group: re.Match[str], names: tuple[str, ...]) -> str:
    return "(" if group["name"] in names else "(?:"


def order(pattern: str, *names: str) -> list[str]:
    """Those of the names that the pattern has, in the order in which it has them."""
    index = re.compile(pattern).groupindex
    return sorted((name for name in names if name in index), key=index.__getitem__)


def _closing(pattern: str) -> str:
    """A final $, and a final \\Z, also match before the line end that every message has."""
    return re.sub(r"(?<!\\)((?:\\\\)*)(?:\$|\\Z)$", r"\1\\s*$", pattern)


def anchor(pattern: str) -> str:
    """The longest text that every match contains, "" where none is certain; used to find candidates."""
    rest = pattern.replace("\\\\", "\0")
    while rest != (rest := re.sub(r"\((?:\\.|[^()\\])*\)(?:[?*+]|\{[\d,]*\})*", "\0", rest)):
        pass
    rest = _CLASS.sub("\0", rest)
    if "|" in rest or "(?i" in pattern:
        return ""
    rest = re.sub(r"\\.|.(?:[?*]|\{\d*,?\d*\})", "\0", rest)
    return max(re.split(r"[\0^$.?*+{}\[\]()]+", rest), key=len).strip()


MOST = 1e9  # of tokens or dollars in one line: a larger number is a mistake in the line and counts as this


def number(usage: Pattern, name: str) -> str:
    """SQL for the number that a group captures, without separators; 0 where the pattern has no such group."""
    index = usage.regex.groupindex.get(name)
    if not index:
        return "0"
    text = f"{logsql.groups(portable(usage.pattern))}[{index}]"
    return f"least(toFloat64OrZero(replaceRegexpAll({text}, '[,_]', '')), {MOST:.0f})"


def named(config: Config) -> dict[str, Pattern]:
    """Every signal by its name; one without functions of its own is about the migration's."""
    migrated = config.migration.functions
    return {
        name: Pattern(name, signal.pattern, tuple(signal.functions if signal.functions is not None else migrated))
        for name, signal in config.signals.items()
    }


def one(config: Config, name: str) -> Pattern:
    """The signal of that name. Refused for an unknown one, with the names that exist."""
    known = named(config)
    if name not in known:
        raise Refused(
            f"config.yaml has no signal {name}.",
            Do(f"use one of: {', '.join(known)}" if known else "add it to signals in config.yaml"),
        )
    return known[name]


def usage(config: Config) -> Pattern:
    """The signal `usage`. ConfigError when it is missing or lacks a group that costs are computed from."""
    if "usage" not in config.signals:
        raise ConfigError("config.yaml has no signal usage, so the logs give no costs.", Do("add signals.usage"))
    pattern = named(config)["usage"]
    problem = usage_problem(pattern.pattern)
    if problem:
        raise ConfigError(f"signals.usage {problem}.", Do("see the comment at signals.usage in config.yaml"))
    return pattern


def usage_problem(pattern: str) -> str:
    """Why costs cannot be read with the pattern, every reason; empty when they can."""
    groups = re.compile(pattern).groupindex
    lacks = not {"input", "output", "cost"} & set(groups)
    reasons = (
        f"has none of the named groups {', '.join(GROUPS)}: write (?P<input>…)" if lacks else "",
        ""
        if pattern.startswith(("^", r"\A"))
        else "does not begin with ^, so that text inside a prompt could be counted",
    )
    return "; it ".join(filter(None, reasons))
