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
_VARIABLE = re.compile(
    r"""(?:Deno\.env\.get\(\s*["'`](?P<call>\w+)["'`]\s*\)|process\.env\.(?P<dot>\w+)|process\.env\[["'`](?P<item>\w+)["'`]\])"""
    r"(?P<other>\s*(?:\?\?|\|\|)(?!\s*(?:\"\"|''|``)))?"
)
_NUMBERED = re.compile(r"`([A-Z][A-Z0-9_]*KEY_)\$\{[^}]*\}`")
_SEVERAL = 10  # keys of one provider that an app is taken to have
# `Buffer.from("text")` and its kind are no tables.
_BACKEND = re.compile(
    r"""(?P<storage>\bstorage\s*)?(?<!Array)(?<!Buffer)\.(?:from\(\s*["'`](?P<from>[A-Za-z_]\w*(?:-\w+)*)["'`]\s*\)"""
    r"""|rpc\(\s*["'`](?P<rpc>[A-Za-z_]\w*)["'`])"""
)
_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(?P<path>[^\s\"'`<>)]*)")
_IMPORT = re.compile(
    r"""(?:^|[;\s])(?:import|export)\s+(?P<what>type\s+[^"';]*?from\s*|[^"';()]*?from\s*)?["'](?P<from>[^"']+)["']""",
    re.MULTILINE,
)
_DYNAMIC = re.compile(r"""\bimport\s*\(\s*["'](?P<from>[^"']+)["']""")
_REMOTE = re.compile(r"(?:npm|jsr|https?):")
_LOG = re.compile(r"\bconsole\s*\.\s*(?P<level>log|info|warn|error|debug)\s*\(")
_MODEL = re.compile(
    r"""(?i)\bmodel(?:_?(?:id|name))?["']?\s*[:=]\s*["'`](?P<name>[\w.-]+(?:/[\w.-]+)?(?::[\w.-]+)?)["'`]"""
)
_MODEL_PATH = re.compile(r"/models/(?P<name>[\w.-]+):\w+")
_NAMED = re.compile(
    r"""(?i)\b(?:const|let|var)\s+\w*model\w*\s*(?::\s*string\s*)?=\s*["'`](?P<name>[\w.-]+(?:/[\w.-]+)?(?::[\w.-]+)?)["'`]"""
)
_JSON = r"\(?\s*(?:await\s+)?(?:\w+\.)?_?[rR]eq\w*\.json\(\)"  # not `response.json()`
_BODY = re.compile(rf"\b(?:const|let|var)\s*\{{(?P<names>[^{{}}]*)\}}\s*(?::[^=]*)?=\s*{_JSON}")
_WHOLE = re.compile(rf"\b(?:const|let|var)\s+(?P<name>\w+)\s*(?::[^=]*)?=\s*{_JSON}")
_QUERY = re.compile(r"\bsearchParams\s*\.\s*get\(\s*[\"'`](\w+)[\"'`]\s*\)")
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
            yield EnvVariable(name, file, _line(text, match.start()), bool(match["other"]))


def numbered(text: str) -> Iterator[tuple[str, int]]:
    """Names that the text computes, such as KEY_${n}, as KEY_1 to KEY_10, with their line."""
    for match in _NUMBERED.finditer(text):
        yield from ((f"{match[1]}{number}", _line(text, match.start())) for number in range(1, _SEVERAL + 1))


def hosts(file: str, text: str) -> Iterator[tuple[str, str, int]]:
    """Host, file and line of each address that is not an import's."""
    imported = {match["from"] for pattern in (_IMPORT, _DYNAMIC) for match in pattern.finditer(text)}
    for match in _URL.finditer(text):
        host = match["host"].lower()
        known = any(match[0].startswith(each) or each.startswith(match[0]) for each in imported)
        if not known and not host.endswith(_NAMESPACES) and not re.fullmatch(r"[\d.]+", host):
            yield host, file, _line(text, match.start())


def backend(text: str) -> Iterator[tuple[str, str, int]]:
    """What supabase-js is asked for: tables, functions of the database (rpc) and buckets, with name and line."""
    for match in _BACKEND.finditer(text):
        kind = "rpc" if match["rpc"] else "bucket" if match["storage"] else "table"
        yield kind, match["rpc"] or match["from"], _line(text, match.start())


def imports(file: str, text: str) -> Iterator[RemoteImport]:
    for match in _IMPORT.finditer(text):
        what = (match["what"] or "").strip()
        typed = what.startswith("type ")
        yield RemoteImport(match["from"], _names(what), file, _line(text, match.start("from")), typed)
    for match in _DYNAMIC.finditer(text):
        yield RemoteImport(match["from"], ("default",), file, _line(text, match.start()))


def remote(address: str) -> bool:
    return bool(_REMOTE.match(address))


def models(text: str) -> list[str]:
    """Names of models, as values of something that is called model, and in paths such as /models/NAME:generate."""
    found = [match["name"] for pattern in (_MODEL, _NAMED, _MODEL_PATH) for match in pattern.finditer(text)]
    return [name for name in dict.fromkeys(found) if re.search(r"[\d/]|-", name)]


def body_names(text: str) -> list[str]:
    """The names that a function takes out of the request's JSON, at once or by way of a variable.

    Those without a value of their own in the text, where there are such: a request needs them.
    """
    match, whole = _BODY.search(text), _WHOLE.search(text)
    if match is None and whole:
        name = re.escape(whole["name"])
        match = re.search(rf"\{{(?P<names>[^{{}}]*)\}}\s*(?::[^=]*)?=\s*{name}\b(?!\s*[.(\[])", text[whole.end() :])
        if match is None:
            members = re.findall(rf"(?<![\w.]){name}\??\.(\w+)\b(?!\s*\()", text[whole.end() :])
            return list(dict.fromkeys(members))
    parts = [part.strip() for part in split(match["names"] + ")", 0)] if match else []
    named = [(part.split("=")[0].split(":")[0].strip(), "=" in part) for part in parts]
    known = [(name, optional) for name, optional in named if re.fullmatch(r"\w+", name)]
    return [name for name, optional in known if not optional] or [name for name, _ in known]


def query_names(text: str) -> list[str]:
    """The names that a function looks up in the query of the request's address."""
    return list(dict.fromkeys(_QUERY.findall(text)))


def logs(file: str, text: str) -> Iterator[LogCall]:
    for match in _LOG.finditer(text):
        parts = tuple(_arguments(text, match.end()))
        yield LogCall(match["level"], parts, file, _line(text, match.start()))


def _names(what: str) -> tuple[str, ...]:
    what = re.sub(r"\bfrom\s*$", "", what.removeprefix("type ")).strip()
    found: list[str] = []
    braces = re.search(r"\{(.*?)\}", what, re.DOTALL)
    for part in braces[1].split(",") if braces else []:
        name = part.strip().split(" as ")[0].strip()
        if name and not name.startswith("type "):
            found.append(name)
    rest = re.sub(r"\{.*?\}", "", what, flags=re.DOTALL).strip(" ,\n")
    if rest.startswith("*"):
        found.append("*")
    elif rest:
        found.append("default")
    return tuple(found)


def _arguments(text: str, at: int) -> Iterator[Argument]:
    for part in split(text, at):
        stripped = part.strip()
        if literal := re.fullmatch(r"""(["'`])(.*)\1""", stripped, re.DOTALL):
            yield Argument("text", _computed(literal[2]) if literal[1] == "`" else literal[2])
        elif stripped.startswith("{"):
            yield Argument("object", keys=tuple(_keys(stripped[1:-1])))
        elif stripped:
            yield Argument("other", stripped)


def split(text: str, at: int) -> list[str]:
    """The arguments of a call whose bracket opens just before `at`: cut at its own commas."""
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
        elif text[place] == "," and depth == 0:
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


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
