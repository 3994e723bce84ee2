"""`rehearsal.site`: the app's front end, served as static files beside the stand-ins, from the sandbox's clone.

site: web                     # a folder of the app, or
site:
  folder: web
  answers:                    # JSON in place of files, for what a build bakes in: {url}, {anon_key} and {project_ref}
    /config.json: {supabaseUrl: "{url}", supabaseAnonKey: "{anon_key}"}

The page's address is http://localhost:PORT, the project's is http://127.0.0.1:PORT: two origins, as in production, so
that a missing CORS header is seen here.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from migration.rehearsal.mistake import SettingError
from migration.rehearsal.types import Sandbox

_KEYS = frozenset({"folder", "answers"})
# The platform's own services answer any origin; functions send the headers that they choose.
_OPEN = ("/auth/v1/", "/rest/v1/", "/storage/v1/")
_HEADERS = {"access-control-allow-origin": "*", "cache-control": "no-cache"}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Nothing without the section. Stands last: it takes what no other route does. SettingError for a mistake in it."""
    settings = read(sandbox.settings.get("site"))
    return [Route("/{path:path}", Site(sandbox, settings).answer, methods=["GET"])] if settings else []


def read(value: Any) -> dict[str, Any]:
    """The section as a mapping; empty without one."""
    settings = {"folder": value} if isinstance(value, str) else value
    if settings is None:
        return {}
    if not isinstance(settings, Mapping) or set(settings) - _KEYS or not isinstance(settings.get("folder"), str):
        raise SettingError(("site",), f"should be a folder of the app, or a mapping of {', '.join(sorted(_KEYS))}")
    return dict(settings)


class Site:
    """Files of the folder as the clone has it checked out; its index.html for the routes that a page makes up."""

    def __init__(self, sandbox: Sandbox, settings: Mapping[str, Any]) -> None:
        self.sandbox = sandbox
        self._folder = str(settings["folder"])
        self._answers: Mapping[str, Any] = settings.get("answers") or {}

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        if path in self._answers:
            return JSONResponse(self._filled(self._answers[path]), headers=_HEADERS)
        folder = self._place()
        file = _inside(folder, path)
        if file is None and "text/html" in request.headers.get("accept", "") and "." not in path.rpartition("/")[2]:
            file = _inside(folder, "/")
        if file is None:
            raise HTTPException(404)
        return Response(file.read_bytes(), media_type=_kind(file), headers=_HEADERS)

    def _place(self) -> Path:
        try:
            app = json.loads((self.sandbox.folder / "clone.json").read_text())["app"]
        except (OSError, ValueError, KeyError):
            raise HTTPException(404) from None
        return (Path(app) / self._folder).resolve()

    def _filled(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._filled(inner) for key, inner in value.items()}
        if not isinstance(value, str):
            return value
        own = self.sandbox.identity
        known = {"{url}": self.sandbox.url, "{anon_key}": own.anon_key, "{project_ref}": own.project_ref}
        for name, text in known.items():
            value = value.replace(name, text)
        return value


class OpenServices:
    """Lets pages of any origin call auth, rest and storage, as the hosted gateway does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open = CORSMiddleware(app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and scope["path"].startswith(_OPEN)
        await (self._open if is_open else self._app)(scope, receive, send)


def _inside(folder: Path, path: str) -> Path | None:
    """The file of the folder at a request's path, never one outside of it."""
    try:
        file = (folder / path.lstrip("/")).resolve()
        file = file / "index.html" if file.is_dir() else file
        return file if file.is_file() and file.is_relative_to(folder) else None
    except (OSError, ValueError):
        return None


def _kind(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
