"""Services that speak OpenAI's API at an address of their own: Groq, Mistral, DeepSeek, Lovable's gateway, your own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from migration.setup.adoption import code, imports, kinds

_CHAT = "/chat/completions"
_ADDRESS = re.compile(rf"(?P<base>https?://[\w.-]+(?:/[\w.-]+)*?){_CHAT}\b")
_JOINED = re.compile(rf"""(?:\$\{{(?P<hole>\w+)\}}|\b(?P<name>\w+)\s*\+\s*["'`]){_CHAT}\b""")
_OPTION = re.compile(
    r"""\b(?i:base_?url)\s*:\s*(?:["'`](?P<base>https?://[\w./-]+)["'`]|(?P<name>[A-Za-z_]\w*)\s*(?=[,}\n]))"""
)
_SDKS = ("openai", "@ai-sdk/openai", "@ai-sdk/openai-compatible")
_SHORT = 3  # letters of a host's name that do not name a service by themselves: x.ai


def addresses(file: str, text: str) -> Iterator[tuple[str, str, int]]:
    """Address, file and line of each service that is asked for chat completions and is none of the known kinds."""
    packages = {imports.package(each.address) for each in code.imports(file, text)}
    found = [(match["base"], match.start()) for match in _ADDRESS.finditer(text)]
    found += [(base, match.start()) for match in _JOINED.finditer(text)
              if (base := _value(text, match["hole"] or match["name"]))]  # fmt: skip
    if packages & {*_SDKS}:
        found += [(base, match.start()) for match in _OPTION.finditer(text)
                  if (base := match["base"] or _value(text, match["name"]))]  # fmt: skip
    for base, at in found:
        if not kinds.of_host(urlsplit(base).hostname or ""):
            yield base.rstrip("/"), file, code.line_of(text, at)


def name_of(address: str) -> str:
    """A name for the provider at an address: that of a known service, else out of the host's."""
    host = urlsplit(address).hostname or ""
    known = next((kind.name for kind in kinds.SERVICES if kind.host == host), "")
    if known:
        return known
    labels = host.split(".")
    name = labels[-2] if len(labels) > 1 else labels[0]
    return "-".join(labels[-2:]) if len(name) < _SHORT or name in kinds.BY_NAME else name


def holds_key(name: str, variable: str) -> bool:
    """Whether a variable is likely to hold the key of the provider of that name: LOVABLE_API_KEY, SHOP_LLM_KEY."""
    known = kinds.BY_NAME.get(name)
    pattern = known.keys if known else re.compile("_?".join(name.upper().replace("-", "")))
    return bool(pattern.search(variable))


def _value(text: str, name: str) -> str:
    """The address that a constant holds, also as the value where a variable is not set."""
    found = re.search(rf"""\b{re.escape(name)}\s*(?::\s*string\s*)?=[^;\n]*?["'`](https?://[\w./-]+)["'`]""", text)
    return found[1] if found else ""
