"""A user's regular expressions, in RE2: its time grows with the text and no faster, so that no text hangs a run.

One rule for every pattern of config.yaml: both Python and RE2 accept it, which `load` checks. Those of `signals` run in
the log engine too (`signals.py`); all others (what an answer, a page, a value must match) run here.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import cast

_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_BEYOND = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|\\[1-9]|[*+?}]\+|\{,\d+\}")
_ESCAPE = r"\\[dDsSwWntr !-/:-@\[-^`{-~]"
# Literals, escapes, classes, groups and simple repetition: RE2 runs them all, and most verbs are spared its import.
_PLAIN = re.compile(
    r"(?:\(\?[ims]+\))?"
    rf"(?:[^\\()\[\]{{}}*+?]|{_ESCAPE}|\\[bB]|\[\^?(?!\^)(?:[^\\\[\]]|{_ESCAPE})+\]|\((?!\?)|\(\?(?::|P<[A-Za-z]\w*>)|\)|[*+?]\??(?![*+?]))*",
    re.ASCII,
)


def problem(pattern: str) -> str:
    """Why the pattern cannot be used; empty when it can. https://github.com/google/re2/wiki/Syntax"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is not a regular expression: {error}"
    except FutureWarning as warning:
        return f"can be read in two ways: {_words(warning)}; write a backslash before it"
    return _beyond(pattern)


def _beyond(pattern: str) -> str:
    """Why RE2 cannot run a pattern that Python accepts."""
    beyond = _BEYOND.search(_CLASS.sub("x", pattern.replace("\\\\", "x")))
    if beyond:
        return f"uses {beyond[0]}, which RE2 does not know (no lookaround, no backreference)"
    if _PLAIN.fullmatch(pattern):
        return ""
    import re2

    try:
        compiled(pattern)
    except re2.error as error:
        return f"is not a pattern that RE2 runs: {_words(error)}"
    return ""


@cache
def compiled(pattern: str, flags: str = "") -> re.Pattern[str]:
    """The pattern for RE2, where `$` and `\\Z` at the end mean what they mean to Python. re2.error where it is refused.

    It offers what `re` does as far as it is used here (`search`, groups); `\\d`, `\\s`, `\\w`, `\\b` know ASCII alone.
    """
    import re2  # late: most verbs match nothing on this machine

    options = re2.Options()
    options.log_errors = False
    closed = pattern
    if not re.compile(pattern).flags & re.MULTILINE:
        closed = re.sub(r"(?<!\\)((?:\\\\)*)\$$", r"\1\\n?\\z", pattern)
    closed = re.sub(r"(?<!\\)((?:\\\\)*)\\Z$", r"\1\\z", closed)
    return cast("re.Pattern[str]", re2.compile(f"(?{flags}){closed}" if flags else closed, options))


def search(pattern: str, text: str, flags: str = "") -> re.Match[str] | None:
    """The first match in text from outside, which may hold half a surrogate pair: RE2 reads UTF-8."""
    return compiled(pattern, flags).search(text.encode("utf-8", "replace").decode())


def _words(error: Exception) -> str:
    """`possible nested set at position 1`, without the capital; RE2's words come as bytes."""
    reason = error.args[0] if error.args else ""
    words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return words[:1].lower() + words[1:]
