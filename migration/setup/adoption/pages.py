"""The page of an app: the folder of its front end, where its dev server answers, and the first steps of `e2e`.

Default ports are those of each tool's own reference: nextjs.org/docs/app/api-reference/cli/next,
nuxt.com/docs/api/commands/dev, docs.astro.build/en/reference/configuration-reference, vite.dev/config/server-options,
angular.dev/cli/serve, cli.vuejs.org/config, create-react-app.dev/docs/advanced-configuration,
www.gatsbyjs.com/docs/reference/gatsby-cli, parceljs.org/features/cli, docs.expo.dev/more/expo-cli,
webpack.js.org/configuration/dev-server.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.setup.adoption import code
from migration.setup.adoption.app import inside
from migration.setup.adoption.draft import Draft, Value
from migration.source import functions_config

# The first that a package.json names is the one that serves: what stands further down may be a part of it.
_SERVERS = {
    "next": 3000, "nuxt": 3000, "astro": 4321, "gatsby": 8000, "@angular/cli": 4200, "react-scripts": 3000,
    "@vue/cli-service": 8080, "expo": 8081, "vite": 5173, "@sveltejs/kit": 5173, "parcel": 1234,
    "webpack-dev-server": 8080,
}  # fmt: skip
_SCRIPTS = ("dev", "start", "serve", "develop", "web")
_DEPTH = 3  # folders below the repository's own
_PORT = re.compile(r"(?:--port(?:=|\s+)|(?<!\S)-p(?:=|\s*)|(?<!\S)PORT=)(\d{2,5})\b")
_CONFIGS = ("vite.config", "nuxt.config", "astro.config", "vue.config", "webpack.config", "svelte.config")
_BLOCK = re.compile(r"\b(?:server|devServer)\s*:\s*\{")
_OWN_PORT = re.compile(r"\bport\s*:\s*(?:[^,}\n]*?(?:\|\||\?\?)\s*)?[\"']?(\d{2,5})\b")
_STARTS = (
    "index.html", "src/App", "src/pages/Index", "src/pages/index", "src/pages/Home", "src/app/page", "app/page",
    "pages/index", "src/pages/index", "app/routes/_index", "src/routes/+page", "app", "src/app/app.component",
)  # fmt: skip
_ENDINGS = ("", ".tsx", ".jsx", ".vue", ".svelte", ".astro", ".js", ".html")
_HEADING = re.compile(r"<h1\b[^<>]*>\s*([^<>{}]+?)\s*</h1>", re.IGNORECASE)
# What `supabase init` writes, whatever the app: https://supabase.com/docs/guides/local-development/cli/config
_SITE_URLS = ("http://127.0.0.1:3000", "http://localhost:3000")


@dataclass(frozen=True)
class Page:
    """Where the dev server answers, and where that was seen; the first heading of the page, or "" and its place."""

    url: str
    origin: str
    heading: str = ""
    seen: str = ""


@dataclass(frozen=True)
class _FrontEnd:
    """A folder whose package.json names a dev server."""

    folder: Path
    server: str
    package: Mapping[str, Any]

    @property
    def calls(self) -> bool:
        """Whether it talks to a project."""
        return "@supabase/supabase-js" in _dependencies(self.package)


def fill(draft: Draft, app: Path) -> None:
    """The address of the dev server and the first three steps. Without a page nothing: not every app has one."""
    page = find(app)
    if page is None:
        return
    draft.set(("e2e", "url", "local"), page.url, page.origin)
    draft.sketch(("e2e", "url"), ['prod: "https://…" # where your users open it'])
    first = {"role": "heading", "name": page.heading} if page.heading else {"rendered": True}
    steps = [
        Value({"goto": "/"}),
        Value({"expect": first}, page.seen or "anything at all: the page is not blank"),
        Value({"screenshot": "start"}, "what it shows is looked at for accessibility too"),
    ]
    draft.set(("e2e", "steps"), steps, "inv e2e, while the dev server runs")
    draft.ask(
        ("e2e", "steps"), "what do your users do then? docs/e2e.md has each kind of step: click, fill, press, expect"
    )


def find(app: Path) -> Page | None:
    """The page of the app: in its folder, else the nearest in the repository; one that calls a project comes first."""
    repository = next((folder for folder in (app, *app.parents) if (folder / ".git").exists()), app)
    ends = sorted(_front_ends(repository, _DEPTH), key=lambda one: _rank(one, app))
    if ends:
        return _page(ends[0], ends[1:], repository)
    url = _site_url(app)
    return Page(url, "auth.site_url of supabase/config.toml") if url else None


def _rank(one: _FrontEnd, app: Path) -> tuple[Any, ...]:
    near = os.path.relpath(one.folder, app)
    return not one.calls, near.count(".."), len(Path(near).parts), str(one.folder)


def _front_ends(folder: Path, depth: int) -> Iterator[_FrontEnd]:
    package = _package(folder / "package.json")
    server = next((name for name in _SERVERS if name in _dependencies(package)), "")
    if server:
        yield _FrontEnd(folder, server, package)
    for each in inside(folder) if depth else ():
        yield from _front_ends(each, depth - 1)


def _package(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _dependencies(package: Mapping[str, Any]) -> set[str]:
    named = (package.get(key) for key in ("dependencies", "devDependencies"))
    return {name for table in named if isinstance(table, dict) for name in table}


def _page(one: _FrontEnd, others: Sequence[_FrontEnd], repository: Path) -> Page:
    port, where = _port(one)
    shown = one.folder.relative_to(repository) / where
    rest = ", ".join(str(each.folder.relative_to(repository)) or "." for each in others[:3])
    heading, seen = _heading(one.folder)
    origin = f"{shown}{f'; other front ends: {rest}' if rest else ''}"
    return Page(
        f"http://localhost:{port}", origin, heading, str(one.folder.relative_to(repository) / seen) if seen else ""
    )


def _port(one: _FrontEnd) -> tuple[int, str]:
    """The port, and the file that says so: a script, the tool's configuration, else the tool's default."""
    scripts = one.package.get("scripts")
    texts = {name: text for name, text in scripts.items() if isinstance(text, str)} if isinstance(scripts, dict) else {}
    for name in _SCRIPTS:
        if match := _PORT.search(texts.get(name, "")):
            return int(match[1]), f"package.json, script {name}"
    for file in sorted(path for name in _CONFIGS for path in one.folder.glob(f"{name}.*")):
        if found := _configured(_text(file)):
            return found, file.name
    if found := _angular(one.folder / "angular.json"):
        return found, "angular.json"
    return _SERVERS[one.server], f"package.json: {one.server}, at its default port"


def _configured(text: str) -> int | None:
    """The port in a block `server: {…}`, not that of a proxy or a socket inside it."""
    text = code.bare(text)
    for match in _BLOCK.finditer(text):
        depth, own = 1, []
        for char in text[match.end() :]:
            depth += {"{": 1, "}": -1}.get(char, 0)
            if depth == 0:
                break
            own.append(char if depth == 1 else "")
        if found := _OWN_PORT.search("".join(own)):
            return int(found[1])
    return None


def _angular(file: Path) -> int | None:
    """`projects.*.architect.serve.options.port`."""
    for project in (_package(file).get("projects") or {}).values():
        try:
            return int(project["architect"]["serve"]["options"]["port"])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _heading(folder: Path) -> tuple[str, str]:
    """The words of the first heading that is written out where pages usually begin, and its place."""
    for start in _STARTS:
        for ending in _ENDINGS:
            text = _text(folder / f"{start}{ending}")
            if match := _HEADING.search(text):
                return " ".join(
                    html.unescape(match[1]).split()
                ), f"{start}{ending}:{text.count(chr(10), 0, match.start()) + 1}"
    return "", ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError:
        return ""


def _site_url(app: Path) -> str:
    table = functions_config.parse(app).get("auth", {})
    url = str(table.get("site_url", "")) if isinstance(table, dict) else ""
    return (
        url if re.match(r"https?://(?:localhost|127\.0\.0\.1)[:/]", url) and url.rstrip("/") not in _SITE_URLS else ""
    )
