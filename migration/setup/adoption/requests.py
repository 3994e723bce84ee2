"""From a command to a request: curl, and PowerShell's Invoke-RestMethod."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from migration.base import strictjson
from migration.config.yamlfile import plainly

_FUNCTION = re.compile(r"/functions/v1/(?P<slug>[A-Za-z][\w-]*)(?P<path>/[^?#\s]*)?")
_OLD_HOST = re.compile(r"https?://[a-z]{20}\.functions\.supabase\.co/(?P<slug>[A-Za-z][\w-]*)(?P<path>/[^?#\s]*)?")
_LAST = re.compile(r"^\$\{?[\w:.]+\}?/(?P<slug>[A-Za-z][\w-]*)(?P<path>/[^?#\s]*)?")
_ENDS = {"|", ">", ">>", "&&", ";", "||", "2>&1", "&"}
_DATA = {"-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"}
_VALUED = {"-o", "--output", "-u", "--user", "-w", "--write-out", "-m", "--max-time", "-A", "-e",
           "-F", "--form", "-b", "-c",
           "--connect-timeout", "--retry", "-T", "--cacert", "--cert"}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One request to a function. `auth`: none, anon, user, or a variable's name behind `$`."""

    slug: str
    method: str = "POST"
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    body_file: str = ""
    auth: str = ""
    url: str = ""


def parse(command: str) -> Request | None:
    """None where the command sends nothing to a function. ValueError where it is one that cannot be read."""
    if re.search(r"(?i)(?:^|=\s*|\|\s*)(?:invoke-(?:rest\w+|web\w+)|irm|iwr)\b", command):
        return _powershell(command)
    if re.match(r"(?:sudo |\$\w+\s*=\s*\$?\(?)?curl(?:\.exe)?\s", command):
        return _curl(command)
    return _httpie(command) if re.match(r"https?\s", command) else None


_INVOKE = re.compile(
    r"""\bfunctions\s*\.\s*invoke\s*(?:<[^>(]*>)?\(\s*["'`](?P<slug>[A-Za-z][\w-]*)(?P<path>/[^"'`?]*)?["'`]"""
)
_FETCH = re.compile(r"""\bfetch\(\s*[`"'](?P<url>[^`"'\n]*/functions/v1/[^`"'\n]*)[`"']""")
_STRINGIFY = re.compile(r"JSON\s*\.\s*stringify\s*\(")
_HTTPIE = re.compile(r"^https?(?=\s)(?P<flags>(?:\s+-\S+)*)(?:\s+(?P<method>[A-Z]+))?\s+(?P<rest>\S.*)$", re.DOTALL)


def in_code(text: str) -> list[tuple[Request, int]]:
    """Requests of JavaScript that calls a function, `invoke` of supabase-js and `fetch`, each with its line from 0."""
    found = []
    for match in _INVOKE.finditer(text):
        options = _options(text, match.end())
        method = str(options.get("method") or "POST").upper()
        made = Request(match["slug"], method, (match["path"] or "").rstrip("/"), body=options.get("body"), auth="user")
        found.append((made, match.start()))
    for match in _FETCH.finditer(text):
        options = _options(text, match.end())
        named = options.get("headers")
        headers = {str(key).lower(): str(value) for key, value in named.items()} if isinstance(named, dict) else {}
        body = json.dumps(options["body"]) if options.get("body") is not None else None
        url = re.sub(r"\$\{[^}]*\}", "$URL", match["url"])
        if request := _request(url, str(options.get("method") or "GET"), headers, body):
            found.append((request, match.start()))
    return [(request, text.count("\n", 0, at)) for request, at in sorted(found, key=lambda pair: pair[1])]


def _options(text: str, at: int) -> dict[str, Any]:
    """The object that follows as the next argument, where it can be read as data; what is computed is left out."""
    match = re.compile(r"\s*,\s*(?=\{)").match(text, at)
    if not match:
        return {}
    plain = _STRINGIFY.sub("(", _balanced(text[match.end() :]))
    plain = re.sub(r"\(\s*(\{(?:[^{}]|\{[^{}]*\})*\}|\w+)\s*\)", r"\1", plain)
    plain = re.sub(r"`([^`\n]*)`", lambda each: json.dumps(re.sub(r"\$\{([^}]*)\}", r"$\1", each[1])), plain)
    plain = re.sub(r"(?m)//[^\n\"']*$", "", plain)
    found = answer(re.sub(r",(\s*[}\]])", r"\1", plain))
    return found if isinstance(found, dict) else {}


def _httpie(command: str) -> Request | None:
    """https://httpie.io/docs/cli/request-items: `http POST URL name=text count:=1 Header:value page==2`."""
    match = _HTTPIE.match(command)
    words = shlex.split(match["rest"].replace("\\\n", " ")) if match else []
    if not match or not words:
        return None
    headers, body, query = dict[str, str](), dict[str, Any](), dict[str, str]()
    for word in words[1:]:
        part = re.match(r"([\w.-]+)(:=|==|=|:)(.*)$", word, re.DOTALL)
        if word in _ENDS:
            break
        if part and part[2] == ":":
            headers[part[1].lower()] = part[3].strip()
        elif part and part[2] == "==":
            query[part[1]] = part[3]
        elif part:
            body[part[1]] = _value(part[3]) if part[2] == ":=" else part[3]
    made = _request(
        words[0], match["method"] or ("POST" if body else "GET"), headers, json.dumps(body) if body else None
    )
    return replace(made, query={**made.query, **query}) if made else None


def _curl(command: str) -> Request | None:
    words = shlex.split(command[command.index("curl") :].replace("\\\n", " "))[1:]
    url, method, headers, data = "", "", dict[str, str](), []
    place = 0
    while place < len(words) and words[place] not in _ENDS:
        word, following = words[place], words[place + 1] if place + 1 < len(words) else ""
        name, equals, inline = word.partition("=") if word.startswith("--") else (word, "", "")
        value = inline if equals else following
        step = 1 if equals else 2
        if name in ("-X", "--request"):
            method = value
        elif re.fullmatch(r"-X[A-Z]+", word):
            method, step = word[2:], 1
        elif name in ("-H", "--header"):
            key, _, text = value.partition(":")
            headers[key.strip().lower()] = text.strip()
        elif name in _DATA:
            data.append(value)
        elif name == "--url":
            url = value
        elif name not in _VALUED:
            url, step = (word if not word.startswith("-") and not url else url), 1
        place += step
    return _request(url, method or ("POST" if data else "GET"), headers, "&".join(data) if data else None)


def _powershell(command: str) -> Request | None:
    options = {match[1].lower(): match[2] for match in re.finditer(
        (r"-(\w+)\s+(@\{.*?\}|@[\"']\n.*?\n[\"']@|\"(?:`.|[^\"])*\"|"
            r"'[^']*'|\([^)]*\)|[^\s-]\S*)"), command, re.DOTALL)}  # fmt: skip
    method = options.get("method", "GET").strip("\"'").upper()
    positional = re.search(r"""["']?(https?://[^\s"']+)""", command)
    url = options.get("uri", positional[1] if positional else "").strip("\"'")
    headers = dict(_pairs(options.get("headers", "")))
    return _request(url, method, headers, _body_text(options.get("body", "")) or None)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Keys and values of @{ Key = "value"; … }."""
    pairs = re.findall(r"[\"']?([\w-]+)[\"']?\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^;\n}]+))", text)
    return [(key.lower(), (one or two or three).strip()) for key, one, two, three in pairs]


def _body_text(text: str) -> str:
    if text.startswith(("(", "@{")):  # (@{ a = "b" } | ConvertTo-Json)
        return json.dumps(dict(_cased(text)), ensure_ascii=False)
    if text.startswith("@"):
        return text[2:-2].strip()
    return text[1:-1].replace('`"', '"').replace('\\"', '"') if text[:1] in "\"'" else text


def _cased(text: str) -> list[tuple[str, Any]]:
    pairs = re.findall(r"[\"']?([\w-]+)[\"']?\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^;\n})]+))", text)
    return [(key, one or two or _value(three.strip().replace("$", ""))) for key, one, two, three in pairs]


def _value(text: str) -> Any:
    try:
        return plainly(text)
    except yaml.YAMLError:
        return text


def _request(url: str, method: str, headers: dict[str, str], text: str | None) -> Request | None:
    match = _FUNCTION.search(url) or _OLD_HOST.match(url) or _LAST.match(url)
    if not match:
        return None
    file = text[1:] if text and re.fullmatch(r"@[\w./-]+", text) else ""
    query = dict(parse_qsl(urlsplit(url.replace("$", "")).query))
    auth = _auth(headers)
    left = {key: value for key, value in headers.items()
            if key not in ("authorization", "apikey", "content-type", "accept", "content-length")}  # fmt: skip
    body = None if file or text is None else _body(text)
    return Request(match["slug"], method.upper(), (match["path"] or "").rstrip("/"), query, left, body, file, auth, url)


def _body(text: str) -> Any:
    try:
        return strictjson.loads(text)
    except ValueError:
        return text


def _auth(headers: dict[str, str]) -> str:
    """Who calls, by the words of the token: a placeholder for it, a variable, or nothing."""
    token = headers.get("authorization", "").removeprefix("Bearer").removeprefix("bearer").strip() or headers.get(
        "apikey", ""
    )
    if not token:
        return ""
    if re.search(r"(?i)anon|publishable", token) or token.startswith("sb_publishable"):
        return "anon"
    name = re.fullmatch(r"\$\{?(?:env:)?(\w+)\}?", token)
    if re.search(r"(?i)service|secret|cron|admin", token):
        return f"${name[1] if name else re.sub(r'[^A-Z0-9]+', '_', token.upper()).strip('_') or 'SERVICE_TOKEN'}"
    if re.search(r"(?i)user|auth|access|jwt|session|token|login", token):
        return "user"
    return f"${name[1]}" if name else "user"


def answer(text: str) -> Any:
    """What an answer looks like, out of text that holds JSON or something near it; None without one."""
    start = min((place for place in (text.find("{"), text.find("[")) if place >= 0), default=-1)
    if start < 0:
        return None
    piece = _balanced(text[start:])
    for read in (strictjson.loads, plainly):
        try:
            expected = read(piece)
        except (ValueError, RecursionError, yaml.YAMLError):
            continue
        if isinstance(expected, dict | list):
            return expected
    return None


def _balanced(text: str) -> str:
    """The text up to the bracket that closes its first one."""
    depth, quoted, place = 0, False, 0
    while place < len(text):
        each = text[place]
        if each == "\\":
            place += 1
        elif each == '"':
            quoted = not quoted
        elif not quoted and each in "{[":
            depth += 1
        elif not quoted and each in "}]":
            depth -= 1
            if not depth:
                return text[: place + 1]
        place += 1
    return text


def expectations(value: Any, path: str = "$", depth: int = 0) -> dict[str, Any]:
    """What of an example of an answer holds for every answer: its shape, true and false; not its words and numbers."""
    expect: dict[str, Any] = {}
    if isinstance(value, dict) and depth < 3:
        for key, inner in value.items():
            name = str(key)
            if re.fullmatch(r"[A-Za-z_]\w*", name):
                expect |= expectations(inner, f"{path}.{name}", depth + 1)
        return expect
    if path == "$":
        return {"$": {"type": "array"}} if isinstance(value, list) else {}
    if isinstance(value, bool):
        return {path: value}
    kind = (
        "array"
        if isinstance(value, list)
        else "object"
        if isinstance(value, dict)
        else "number"
        if isinstance(value, int | float)
        else "string"
    )
    if kind == "string" and "uuid" in str(value).lower():
        return {path: {"type": "string", "length": 36}}
    return {} if value is None else {path: {"type": kind}}


def parse_safely(command: str) -> Request | None:
    """None too where the request cannot be read."""
    try:
        return parse(command)
    except ValueError:
        return None
