"""Smoke cases as they are sent: which ones, their bodies, the values that one hands to another, the line for curl."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from migration.base import strictjson
from migration.base.command import AGAIN, Do, inv
from migration.base.errors import ConfigError, Refused
from migration.base.files import contents
from migration.base.secrets_type import Secret, mask
from migration.clients.edge import CallerAuth, header_forms, route
from migration.config.cases import Capture, SmokeCase
from migration.config.load import missing, need
from migration.config.pattern import search
from migration.context import Context
from migration.verify.expect import Failure, find

_USED = re.compile(r"\{\{\s*capture\.([A-Za-z][A-Za-z0-9_-]*)\s*\}\}")
ANON, USER, TOKEN = "$SUPABASE_ANON_KEY", "$USER_TOKEN", "$TOKEN"


def choose(cases: Sequence[SmokeCase], names: Sequence[str] | None, folder: Path) -> list[SmokeCase]:
    """The cases named, with those that they wait for, each after the ones it needs."""
    if not cases:
        raise Refused("config.yaml has no smoke cases.", Do("add the section smoke to config.yaml"), AGAIN)
    known = {case.name: case for case in cases}
    for name in names or ():
        if name not in known:
            raise Refused(f"There is no smoke case {name}.", Do(f"use one of: {', '.join(known)}"))
    needs = {case.name: uses(case, folder) for case in cases}
    order = ordered(cases, needs)
    wanted: set[str] = set(names or known)
    for case in reversed(order):
        if case.name in wanted:
            wanted |= {maker(cases, name) for name in needs[case.name]}
    return [case for case in order if case.name in wanted]


def body_of(case: SmokeCase, folder: Path) -> Any:
    """The body as config.yaml or its file has it: a text is sent as it stands, anything else as JSON."""
    if case.body_file is None:
        return case.body
    file = folder / case.body_file
    try:
        text = contents(file).decode()
        return strictjson.loads(text) if file.suffix == ".json" else text
    except OSError as error:
        text = f"smoke case {case.name}: cannot read {file}: {error.strerror}"
        raise ConfigError(text, Do("correct body_file in config.yaml"), AGAIN) from None
    except ValueError as error:
        text = f"smoke case {case.name}: {file} is not valid: {error}"
        raise ConfigError(text, Do("correct that file"), AGAIN) from None


def check(context: Context, cases: Sequence[SmokeCase]) -> None:
    """Whether everything is there that these cases send. ConfigError names the first thing that is not."""
    for case in cases:
        where = f"smoke case {case.name}"
        for text in _texts([case.headers, case.query, body_of(case, context.config.folder)]):
            if missing(text):
                need(text, "smoke", where)
        if isinstance(case.auth, Secret):
            need(case.auth, "auth", where)
        if case.auth != "none":
            context.edge.credentials("anon")
        if case.auth == "user" and not (context.environment.user_email and context.environment.user_password):
            raise ConfigError(
                f"Smoke case {case.name} needs a signed-in user, and {context.environment.name} has no auth.user.",
                Do("set auth.user in config.yaml, and its variables in .env:"),
                inv("init"),
            )


# Values that one case keeps and later ones use: `{{capture.NAME}}` in a path, a query, a body, a body file or a header.


def uses(case: SmokeCase, folder: Path) -> set[str]:
    """Names of the captures that a case waits for."""
    return used(case.path, case.query, case.headers, body_of(case, folder))


def used(*values: Any) -> set[str]:
    """Names of the captures that texts anywhere in the values ask for."""
    return {name for value in values for text in _texts(value) for name in _USED.findall(text)}


def fill(value: Any, captured: Mapping[str, Any]) -> Any:
    """The value with its captures; a text that is one capture and nothing else becomes that value itself."""
    if isinstance(value, Mapping):
        return {key: fill(inner, captured) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, captured) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _USED.fullmatch(value.strip())
    return captured[whole[1]] if whole else _USED.sub(lambda match: _text(captured[match[1]]), value)


def fill_path(path: str | None, captured: Mapping[str, Any]) -> str:
    """The path with its captures, each as one part of it."""
    return _USED.sub(lambda match: quote(_text(captured[match[1]]), safe=""), path or "")


def take(wanted: Mapping[str, Capture], body: bytes) -> tuple[dict[str, Any], list[Failure]]:
    """The values that a case keeps of its answer, and what could not be found."""
    kept: dict[str, Any] = {}
    missing: list[Failure] = []
    for name, capture in wanted.items():
        value = _take(capture, body)
        if value is None:
            missing.append(Failure(f"capture {name}", f"a value at {capture.at}{_like(capture)}", "nothing there"))
        else:
            kept[name] = value
    return kept, missing


def ordered(cases: Sequence[SmokeCase], needs: Mapping[str, set[str]]) -> list[SmokeCase]:
    """Every case after those whose captures it uses. ConfigError for an unknown name, one kept twice, or a circle."""
    makers = _makers(cases)
    for case in cases:
        for name in sorted(needs[case.name] - makers.keys()):
            known = ", ".join(sorted(makers))
            step = f"use one of these captures: {known}" if known else f"add capture: {{{name}: JSONPath}} to a case"
            raise ConfigError(f"Smoke case {case.name}: no case captures {name}.", Do(step))
    placed: dict[str, SmokeCase] = {}
    waiting = list(cases)
    while waiting:
        ready = [case for case in waiting if all(makers[name] in placed for name in needs[case.name])]
        if not ready:
            circle = ", ".join(case.name for case in waiting)
            text = f"smoke cases {circle} wait for each other's captures"
            raise ConfigError(text, Do("break the circle in config.yaml"))
        placed.update({case.name: case for case in ready})
        waiting = [case for case in waiting if case.name not in placed]
    return list(placed.values())


def _makers(cases: Sequence[SmokeCase]) -> dict[str, str]:
    """Capture to the case that keeps it."""
    makers: dict[str, str] = {}
    for case in cases:
        for name in case.capture:
            if name in makers:
                text = f"smoke cases {makers[name]} and {case.name} both capture {name}"
                raise ConfigError(text, Do("rename one of them in config.yaml"))
            makers[name] = case.name
    return makers


def maker(cases: Sequence[SmokeCase], name: str) -> str:
    """The case that keeps a capture."""
    return _makers(cases)[name]


def _take(capture: Capture, body: bytes) -> Any:
    value = next(iter(find(body, capture.at)), None)
    if capture.matches is None or value is None:
        return value
    match = search(capture.matches, value, "s") if isinstance(value, str) else None
    return None if match is None else match[1] if match.re.groups else match[0]


def _like(capture: Capture) -> str:
    return "" if capture.matches is None else f" that matches {capture.matches}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# The same request by hand.


def address(base: str, function: str, path: str = "", query: Mapping[str, Any] | None = None) -> str:
    """Where a case is sent, with its query."""
    words = urlencode(query or {}, doseq=True)
    return f"{base.rstrip('/')}{route(function, path)}{f'?{words}' if words else ''}"


def curl(url: str, method: str, auth: CallerAuth | Secret, headers: Mapping[str, str], body: Any,
         anon: Secret | None = None) -> str:  # fmt: skip
    """A curl command with the headers of `Edge.call`; `$NAME` stands for a key or token, filled in by the shell.

    For a signed-in user the line signs in first, as the smoke case did.
    """
    words = ["curl", "-i", "-X", method, shlex.quote(url)]
    words += [f'-H "{name}: {value}"' for name, value in _credentials(auth, anon, headers).items()]
    content = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    sent = {**({} if body is None else {"Content-Type": content}), **headers}
    words += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in sent.items()]
    if body is not None:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        words.append(f"--data-raw {shlex.quote(text)}")
    first = [_sign_in(url)] if auth == "user" else []
    return mask(" ".join([*first, *words]))


def _sign_in(url: str) -> str:
    """Sets USER_TOKEN to the access token in the answer."""
    address = shlex.quote(f"{url.partition('/functions/v1/')[0]}/auth/v1/token?grant_type=password")
    user = r'"{\"email\": \"$SMOKE_USER_EMAIL\", \"password\": \"$SMOKE_USER_PASSWORD\"}"'
    sign_in = f'curl -s {address} -H "apikey: {ANON}" -H "Content-Type: application/json" -d {user}'
    return f"""USER_TOKEN=$({sign_in} | sed -n 's/.*"access_token" *: *"\\([^"]*\\)".*/\\1/p');"""


def _credentials(auth: CallerAuth | Secret, anon: Secret | None, headers: Mapping[str, str]) -> dict[str, str]:
    shell, own = {"anon": ANON, "user": USER, "own": TOKEN}, {name.lower() for name in headers}
    forms = {name: shell[key] for name, key in header_forms(auth, anon).items() if name.lower() not in own}
    return {name: f"Bearer {value}" if name == "Authorization" else value for name, value in forms.items()}
