"""The sandbox's values of secrets: given by `rehearsal`, a key of the stand-in, or made up in the form asked for.

Nothing is kept: the same name, format and sandbox give the same value in every process.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

from migration.config.pattern import search
from migration.config.settings import Config

_PLAIN = string.ascii_letters + string.digits
_TRIES = 20
_LONG = 24  # characters: a shorter value would be found, and masked, in text that is no secret


def formats(config: Config) -> dict[str, dict[str, Any]]:
    """Per secret, what decides on its value in the sandbox: the kind of its provider, and its format."""
    given = {name: kind for kind, names in config.rehearsal.keys.items() for name in names}
    found = {}
    for name, secret in config.secrets.items():
        provider = config.providers.get(secret.provider or "")
        kind = given.get(name) or (provider.kind if provider else "")
        found[name] = {"kind": kind.partition(".")[0], "format": secret.format}
    return found


def value(config: Config, name: str, running: Mapping[str, Any]) -> str:
    """The value of a secret of `secrets` in the running sandbox, whose `sandbox.json` this is."""
    if name in config.rehearsal.variables:
        return str(config.rehearsal.variables[name])
    about = formats(config)[name]
    keys = {"gemini": running["google_keys"][0], **running.get("keys", {})}
    key = running.get("given", {}).get(name) or keys.get(about["kind"], running["openrouter_key"])
    return formed(name, about["format"], key, str(running.get("jwt_secret", "")))


@lru_cache(maxsize=256)
def formed(name: str, pattern: str | None, key: str, seed: str) -> str:
    """The key where it has the form, else a value that does; the key all the same where none can be made up."""
    if pattern is None or search(pattern, key):
        return key
    for number in range(_TRIES):
        mark = hmac.new(seed.encode(), f"{name} {pattern} {number}".encode(), hashlib.sha256).hexdigest()
        text = _generated(pattern, Random(mark))
        for each in (text, f"{text}{mark[:32]}") if len(text) >= _LONG else (f"{text}{mark[:32]}", text):
            if search(pattern, each) and each == each.strip() and each.isprintable() and each:
                return each
    return key


def _generated(pattern: str, random: Random) -> str:
    """A text for a pattern; empty where the generator cannot read it (look-behind, conditions)."""
    from rstr.xeger import Xeger

    class Generator(Xeger):
        """Takes visible characters, and those in their order, not in that of a set, which differs between processes."""

        def _handle_state(self, state: Any) -> Any:
            code, value = state
            return self._other(chr(value)) if str(code) == "NOT_LITERAL" else super()._handle_state(state)

        def _handle_in(self, value: Any) -> Any:
            parts = [self._handle_state(each) for each in value]
            characters = [one for part in parts for one in part]
            return self._other(*characters[1:]) if characters[0] is False else self._random.choice(characters)

        def _other(self, *ruled_out: str) -> str:
            left = [one for one in _PLAIN if one not in ruled_out] or set(string.punctuation) - set(ruled_out)
            return self._random.choice(sorted(left))

    alphabets = {"printable": _PLAIN, "nonword": "-.", "nonwhitespace": _PLAIN, "whitespace": " "}
    try:
        return Generator(random, **alphabets).xeger(pattern)
    except (KeyError, IndexError, TypeError, ValueError, re.error):
        return ""
