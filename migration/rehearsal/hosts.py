"""`rehearsal.hosts`: stand-ins for hosts that functions call, other than the providers.

hosts:
  api.example.com:            # or a YAML file that holds the same
    latency: [0.02, 0.1]      # and the other keys of a fault program: error_rate, seed, even, burst, sequence
    answers:                  # the first that fits; method (any) and path (* stands for anything)
      - {method: POST, path: /v1/charges, status: 201, json: {id: ch_1}, headers: {x-version: "2"}}
      - {path: /logo.png, file: stubs/logo.png}
"""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.base.files import contents
from migration.config.yamlfile import plainly
from migration.rehearsal.mistake import SettingError, unknown
from migration.rehearsal.providers.program import KEYS, OK, BadProgram, Dice, parse
from migration.rehearsal.types import Sandbox

PREFIX = "/_hosts"
_ANSWER = frozenset({"method", "path", "status", "headers", "json", "text", "file"})
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


@dataclass(frozen=True)
class HostAnswer:
    """One answer and the requests it is for."""

    path: str = "*"
    method: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def fits(self, method: str, path: str) -> bool:
        return self.method in ("", method) and fnmatchcase(path, self.path)


@dataclass(frozen=True)
class Host:
    """A stand-in: its answers, and how it fails."""

    name: str
    answers: tuple[HostAnswer, ...]
    dice: Dice

    async def answer(self, request: Request) -> Response:
        path = "/" + request.path_params["path"]
        turn = self.dice.turn(f"{request.method} {path}")
        await asyncio.sleep(turn.seconds)
        if turn.status is not None and turn.status != 200:
            return JSONResponse({"message": f"{self.name} fails by its fault program"}, turn.status)
        fitting = next((each for each in self.answers if each.fits(request.method, path)), None)
        if fitting is None:
            text = (
                f"no answer for {request.method} {path}: add one to rehearsal.hosts.{self.name}.answers in config.yaml"
            )
            return JSONResponse({"message": text}, 404)
        body = fitting.body if turn.outcome == OK else fitting.body[: len(fitting.body) // 2]
        return Response(body, fitting.status, dict(fitting.headers))


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """SettingError when the section has a mistake."""
    hosts = read(sandbox.settings.get("hosts") or {})
    return [Route(f"{PREFIX}/{name}/{{path:path}}", host.answer, methods=_METHODS) for name, host in hosts.items()]


def addresses(url: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """Where the requests to each declared host lead."""
    return {name: f"{url}{PREFIX}/{name}" for name in settings.get("hosts") or {}}


def found(hosts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The hosts with the content of their files in place of the names; paths are relative to `folder`."""
    return {name: _resolved(name, value, folder) for name, value in hosts.items()}


def read(hosts: Mapping[str, Any]) -> dict[str, Host]:
    return {name: _host(name, value) for name, value in hosts.items()}


def _resolved(name: str, value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        path = folder / value
        try:
            value, folder = plainly(contents(path).decode(), aliases=True), path.parent
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
            raise _wrong(name, f"cannot read {path}: {why}") from None
    if not isinstance(value, Mapping):
        return value
    answers = value.get("answers") or []
    if not isinstance(answers, list):
        raise _wrong(name, f"answers takes mappings of {', '.join(sorted(_ANSWER))}, got {answers}")
    placed = [
        {**each, "file": str(folder / str(each["file"]))} if isinstance(each, Mapping) and "file" in each else each
        for each in answers
    ]
    return {**value, "answers": placed}


def _host(name: str, value: Any) -> Host:
    if not isinstance(value, Mapping):
        raise _wrong(name, "must be a mapping with answers, or the name of a YAML file that holds one")
    if other := sorted(set(value) - KEYS - {"answers"}):
        raise unknown(("hosts", name, other[0]), ("answers", *sorted(KEYS)))
    try:
        dice = Dice(parse({key: each for key, each in value.items() if key != "answers"}))
    except BadProgram as error:
        raise _wrong(name, str(error)) from None
    return Host(name, tuple(_answer(name, each) for each in value.get("answers") or ()), dice)


def _answer(name: str, value: Any) -> HostAnswer:
    if not isinstance(value, Mapping) or set(value) - _ANSWER:
        raise _wrong(name, f"answers takes mappings of {', '.join(sorted(_ANSWER))}, got {value}")
    if len({"json", "text", "file"} & set(value)) > 1:
        raise _wrong(name, "an answer has one of json, text and file")
    status = value.get("status", 200)
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise _wrong(name, f"status must be a number from 200 to 599, got {status}")
    if not isinstance(value.get("headers") or {}, Mapping):
        raise _wrong(name, f"headers must be a mapping, got {value['headers']}")
    kind, body = _body(name, value)
    headers = {str(key).lower(): str(each) for key, each in (value.get("headers") or {}).items()}
    usual = {"content-type": kind} if kind else {}
    return HostAnswer(str(value.get("path", "*")), str(value.get("method", "")).upper(), status, usual | headers, body)


def _body(name: str, value: Mapping[str, Any]) -> tuple[str, bytes]:
    if "json" in value:
        return "application/json", json.dumps(value["json"], ensure_ascii=False, default=str).encode()
    if "file" not in value:
        return ("text/plain; charset=utf-8" if "text" in value else ""), str(value.get("text", "")).encode()
    path = Path(value["file"])
    try:
        return mimetypes.guess_type(path.name)[0] or "application/octet-stream", path.read_bytes()
    except OSError as error:
        raise _wrong(name, f"cannot read {path}: {error.strerror}") from None


def _wrong(name: str, what: str) -> SettingError:
    return SettingError(("hosts", name), what)
