"""What the text of a function says: variables it reads, hosts it calls, remote imports, lines it logs, models it names.

Deno resolves imports (`source/`); here the text is read, and what cannot be read so is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Comments, and strings so that what looks like a comment inside one is none. A template's `${…}` stays in it.
_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)""",
    re.DOTALL,
)
# A fallback that ends the function: `?? throwError("…")`, `|| (() => { throw … })()`.
_ENDS = (
    r"[\w.]*(?:throw|fail(?!over|back)|panic|raise|abort|invariant|missing|required?|assert|unreachable|\bexit|\bdie)\w*\s*\("
    r"|\(\s*(?:\(\s*\)\s*=>|function\s*\(\s*\))\s*\{\s*throw\b"
)
_VARIABLE = re.compile(
    r"""(?:Deno\.env\.get\(\s*["'`](?P<call>\w+)["'`]\s*\)|process\.env\.(?P<dot>\w+)|process\.env\[["'`](?P<item>\w+)["'`]\])"""
    # another value, also behind the bracket of a helper; or a comparison with a text, which nothing fails
    rf"(?P<other>\)*(?:\?\.[^\n;]*?)?\s*(?:(?:\?\?|\|\|)(?!\s*(?:\"\"|''|``|(?i:{_ENDS})))|[=!]==?\s*[\"'`]))?"
)
_NUMBERED = re.compile(r"`([A-Z][A-Z0-9_]*KEY_)\$\{[^}]*\}`")
_SEVERAL = 10  # keys of one provider that an app is taken to have
# `Buffer.from("text")` and its kind are no tables.
_BACKEND = re.compile(
    r"""(?P<storage>\bstorage\s*)?(?<!Array)(?<!Buffer)\.(?:from\(\s*["'`](?P<from>[A-Za-z_]\w*(?:-\w+)*)["'`]\s*\)"""
    r"""|rpc\(\s*["'`](?P<rpc>[A-Za-z_]\w*)["'`])"""
)
_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(?P<path>[^\s\"'`<>)]*)")
_LINK = re.compile(
    r"""(?i)(?:\b(?:href|src)\s*=\s*|\b(?:referer|origin)["']?\s*[:,]\s*)\\?["'`]?$"""
)  # sent along, shown
_IMPORT = re.compile(
    r"""(?:^|[;\s])(?:import|export)\s+(?P<what>type\s+[^"';]*?from\s*|[^"';()]*?from\s*)?["'](?P<from>[^"']+)["']""",
    re.MULTILINE,
)
_DYNAMIC = re.compile(r"""\bimport\s*\(\s*["'](?P<from>[^"']+)["']""")
_REMOTE = re.compile(r"(?:npm|jsr|https?):")
_LOG = re.compile(r"\bconsole\s*\.\s*(?P<level>log|info|warn|error|debug)\s*\(")
_UNSET = r"(?:Deno\.env\.get\([^()]*\)\s*(?:\?\?|\|\|)\s*)?"  # `Deno.env.get("MODEL") ?? ` before what else is taken
_MODEL = re.compile(
    rf"""(?i)\bmodel(?:_?(?:id|name))?["']?\s*[:=]\s*{_UNSET}["'`](?P<name>[\w.-]+(?:/[\w.-]+)?(?::[\w.-]+)?)["'`]"""
)
_MODEL_CALL = re.compile(  # https://ai-sdk.dev/providers: openai("gpt-4o"), openrouter.chat("vendor/model")
    r"""\b(?:openai|anthropic|google|gemini|openrouter|groq|mistral|deepseek|xai|gateway)(?:\.\w+)?"""
    r"""\(\s*["'`](?P<name>[\w.-]+(?:/[\w.-]+)?(?::[\w.-]+)?)["'`]"""
)
_MODEL_PATH = re.compile(r"/models/(?P<name>[\w.-]+):\w+")
_NAMED = re.compile(
    r"""(?i)\b(?:const|let|var)\s+\w*model\w*\s*(?::\s*string\s*)?=\s*"""
    rf"""{_UNSET}["'`](?P<name>[\w.-]+(?:/[\w.-]+)?(?::[\w.-]+)?)["'`]"""
)
# The platform's own names: https://supabase.com/docs/guides/functions/secrets
_PLATFORM = re.compile(r"SUPABASE_\w+|SB_\w+|DENO_\w+|HOME|PATH|PORT|NODE_ENV")
# Hosts that stand in texts and are not called.
_NAMESPACES = ("w3.org", "schema.org", "example.com", "example.org", "json-schema.org", "localhost")


@dataclass(frozen=True)
class EnvVariable:
    """A variable that a function reads; `optional` where the text gives another value for it."""

    name: str
    file: str
    line: int
    optional: bool = False


@dataclass(frozen=True)
class RemoteImport:
    """An import from elsewhere: its address, and the names that are taken from it (`default`, `*` among them)."""

    address: str
    names: tuple[str, ...]
    file: str
    line: int
    types_only: bool = False


@dataclass(frozen=True)
class Argument:
    """One argument of a log call: literal text, or the keys of an object, or something computed."""

    kind: str  # text, object, other
    text: str = ""
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class LogCall:
    """A call of console; in `text` what is computed stands as `${…}`."""

    level: str
    arguments: tuple[Argument, ...]
    file: str
    line: int

    @property
    def text(self) -> str:
        return " ".join(part.text for part in self.arguments if part.kind == "text")


def bare(text: str) -> str:
    """The text without comments; lines keep their numbers."""

    def one(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0]) if match["comment"] else match[0]

    return _TOKEN.sub(one, text)


def variables(file: str, text: str) -> Iterator[EnvVariable]:
    for match in _VARIABLE.finditer(text):
        name = match["call"] or match["dot"] or match["item"]
        if not _PLATFORM.fullmatch(name):
            yield EnvVariable(name, file, line_of(text, match.start()), bool(match["other"]))


def numbered(text: str) -> Iterator[tuple[str, int]]:
    """Names that the text computes, such as KEY_${n}, as KEY_1 to KEY_10, with their line."""
    for match in _NUMBERED.finditer(text):
        yield from ((f"{match[1]}{number}", line_of(text, match.start())) for number in range(1, _SEVERAL + 1))


def hosts(file: str, text: str) -> Iterator[tuple[str, str, int]]:
    """Host, file and line of each address that is not an import's."""
    imported = {match["from"] for pattern in (_IMPORT, _DYNAMIC) for match in pattern.finditer(text)}
    for match in _URL.finditer(text):
        host = match["host"].lower()
        known = any(match[0].startswith(each) or each.startswith(match[0]) for each in imported)
        named = known or _LINK.search(text, max(0, match.start() - 40), match.start())
        if not named and not host.endswith(_NAMESPACES) and not re.fullmatch(r"[\d.]+", host):
            yield host, file, line_of(text, match.start())


def backend(text: str) -> Iterator[tuple[str, str, int]]:
    """What supabase-js is asked for: tables, functions of the database (rpc) and buckets, with name and line."""
    for match in _BACKEND.finditer(text):
        kind = "rpc" if match["rpc"] else "bucket" if match["storage"] else "table"
        yield kind, match["rpc"] or match["from"], line_of(text, match.start())


def imports(file: str, text: str) -> Iterator[RemoteImport]:
    for match in _IMPORT.finditer(text):
        what = (match["what"] or "").strip()
        typed = what.startswith("type ")
        yield RemoteImport(match["from"], _names(what), file, line_of(text, match.start("from")), typed)
    for match in _DYNAMIC.finditer(text):
        yield RemoteImport(match["from"], ("default",), file, line_of(text, match.start()))


def remote(address: str) -> bool:
    return bool(_REMOTE.match(address))


def models(text: str) -> list[str]:
    """Names of models: values of something that is called model, in calls of an SDK, in paths (/models/NAME:do)."""
    names = [
        match["name"] for pattern in (_MODEL, _NAMED, _MODEL_CALL, _MODEL_PATH) for match in pattern.finditer(text)
    ]
    return [name for name in dict.fromkeys(names) if re.search(r"[\d/]|-", name)]


def logs(file: str, text: str) -> Iterator[LogCall]:
    for match in _LOG.finditer(text):
        parts = tuple(_arguments(text, match.end()))
        yield LogCall(match["level"], parts, file, line_of(text, match.start()))


def _names(what: str) -> tuple[str, ...]:
    what = re.sub(r"\bfrom\s*$", "", what.removeprefix("type ")).strip()
    names: list[str] = []
    braces = re.search(r"\{(.*?)\}", what, re.DOTALL)
    for part in braces[1].split(",") if braces else []:
        name = part.strip().split(" as ")[0].strip()
        if name and not name.startswith("type "):
            names.append(name)
    rest = re.sub(r"\{.*?\}", "", what, flags=re.DOTALL).strip(" ,\n")
    if rest.startswith("*"):
        names.append("*")
    elif rest:
        names.append("default")
    return tuple(names)


def _arguments(text: str, at: int) -> Iterator[Argument]:
    for part in split(text, at):
        stripped = part.strip()
        if (literal := _literal(stripped)) is not None:
            yield Argument("text", literal)
        elif stripped.startswith("{"):
            yield Argument("object", keys=tuple(_keys(stripped[1:-1])))
        elif stripped:
            yield Argument("other", stripped)


def _literal(text: str) -> str | None:
    """The text of a string, or of strings and values that `+` joins; None for anything else."""
    pieces = [piece.strip() for piece in split(f"{text})", 0, "+")]
    if not any(piece[:1] in ("'", '"', "`") for piece in pieces) or not all(pieces):
        return None
    return "".join(
        _computed(piece[1:-1]) if piece[0] == "`" else piece[1:-1] if piece[0] in "\"'" else _computed(f"${{{piece}}}")
        for piece in pieces
    )


def split(text: str, at: int, separator: str = ",") -> list[str]:
    """The arguments of a call whose bracket opens just before `at`: cut at its own commas, or at another separator."""
    parts: list[str] = []
    depth, begin, place = 0, at, at
    while place < len(text):
        string = _TOKEN.match(text, place)
        if string:
            place = _template_end(text, place) if text[place] == "`" else string.end()
            continue
        if text[place] in "([{":
            depth += 1
        elif text[place] in ")]}":
            if depth == 0:
                return [*parts, text[begin:place]]
            depth -= 1
        elif text[place] == separator and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
        place += 1
    return parts


def _template_end(text: str, at: int) -> int:
    """The place after a template; one inside its `${…}` is part of it."""
    place, depth = at + 1, 0
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text.startswith("${", place):
            depth += 1
            place += 1
        elif text[place] == "}" and depth:
            depth -= 1
        elif text[place] == "`" and not depth:
            return place + 1
        place += 1
    return place


def _computed(text: str) -> str:
    """A template with each `${…}` cut down to the last name in it: `${usage.total}` is `${total}`."""

    def one(match: re.Match[str]) -> str:
        names = re.findall(
            r"[A-Za-z_]\w*", re.sub(r"\.(?:toFixed|toString|toLocaleString|slice|join)\b.*", "", match[1])
        )
        return "${" + (names[-1] if names else "") + "}"

    return re.sub(r"\$\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", one, text)


def _keys(inner: str) -> Iterator[tuple[str, str]]:
    """Key and value of each entry of an object; a value that is text or a template stands as it is written."""
    for part in split(inner + ")", 0):
        name, _, value = part.strip().partition(":")
        if re.fullmatch(r"\w+", name.strip()):
            yield name.strip(), value.strip()


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
