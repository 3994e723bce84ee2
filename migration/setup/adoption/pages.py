"""The page of an app: where its front end answers, the heading of it, and the first steps of `e2e`."""

from __future__ import annotations

import html
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.setup.adoption import code, frontends
from migration.setup.adoption.draft import Draft, Value
from migration.setup.adoption.frontends import DEPTH, FrontEnd, parsed_file, text_of
from migration.source import functions_config

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


def fill(draft: Draft, app: Path) -> None:
    """Where the page answers, and the first three steps. Without a page a question: not every app has one."""
    page = find(app)
    if page is None:
        text = f"is there a page? Looked for {frontends.LOOKED_FOR}, and found none; without one, e2e stays away"
        draft.ask(("e2e", "url"), text)
        return
    draft.set(("e2e", "url", "local"), page.url, page.origin)
    draft.sketch(("e2e", "url"), ['prod: "https://…" # where your users open it'])
    first = {"role": "heading", "name": page.heading} if page.heading else {"rendered": True}
    steps = [
        Value({"goto": "/"}),
        Value({"expect": first}, page.seen or "anything at all: the page is not blank"),
        Value({"screenshot": "start"}, "what it shows is looked at for accessibility too"),
    ]
    draft.set(("e2e", "steps"), steps, "inv e2e, while the page is served")
    draft.ask(
        ("e2e", "steps"), "what do your users do then? docs/e2e.md has each kind of step: click, fill, press, expect"
    )


def find(app: Path) -> Page | None:
    """The page of the app: in its folder, else the nearest in the repository; one that calls a project comes first."""
    repository = next((folder for folder in (app, *app.parents) if (folder / ".git").exists()), app)
    ends = sorted(frontends.dynamic(repository, DEPTH), key=lambda one: _rank(one, app))
    if not ends:
        url = _site_url(app)
        if url:
            return Page(url, "auth.site_url of supabase/config.toml")
        ends = sorted(frontends.static(repository, DEPTH), key=lambda one: _rank(one, app))
    return _page(ends[0], ends[1:], repository) if ends else None


def _rank(one: FrontEnd, app: Path) -> tuple[Any, ...]:
    near = os.path.relpath(one.folder, app)
    return not one.calls, near.count(".."), len(Path(near).parts), str(one.folder)


def _page(one: FrontEnd, others: Sequence[FrontEnd], repository: Path) -> Page:
    port, where = _port(one)
    shown = one.folder.relative_to(repository)
    rest = ", ".join(str(each.folder.relative_to(repository)) or "." for each in others[:3])
    heading, seen = _heading(one.folder)
    how = one.how or ("" if one.server else f"python3 -m http.server {port} --directory {shlex.quote(str(shown))}")
    origin = f"{shown / where}{f': {how}' if how else ''}{f'; other front ends: {rest}' if rest else ''}"
    return Page(f"http://localhost:{port}", origin, heading, str(shown / seen) if seen else "")


def _port(one: FrontEnd) -> tuple[int, str]:
    """The port, and the file that says so: a script, the tool's configuration, else the tool's default."""
    for name, script in one.scripts.items():
        if match := frontends.PORT.search(script):
            return int(match[1]), one.file if ", " in one.file else f"package.json, script {name}"
    for file in sorted(path for name in _CONFIGS for path in one.folder.glob(f"{name}.*")):
        if port := _configured(text_of(file)):
            return port, file.name
    if port := _angular(one.folder / "angular.json"):
        return port, "angular.json"
    if one.server == "react-scripts" and (match := re.search(r"(?m)^PORT=(\d{2,5})\s*$", text_of(one.folder / ".env"))):
        return int(match[1]), ".env"
    usual = f": {one.server}, at its default port" if one.server and not one.how and ", " not in one.file else ""
    return one.port, f"{one.file}{usual}"


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
        if port := _OWN_PORT.search("".join(own)):
            return int(port[1])
    return None


def _angular(file: Path) -> int | None:
    """`projects.*.architect.serve.options.port`."""
    for project in (parsed_file(file).get("projects") or {}).values():
        try:
            return int(project["architect"]["serve"]["options"]["port"])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _heading(folder: Path) -> tuple[str, str]:
    """The words of the first heading that is written out where pages usually begin, and its place."""
    for start in _STARTS:
        for ending in _ENDINGS:
            text = text_of(folder / f"{start}{ending}")
            if match := _HEADING.search(text):
                return " ".join(
                    html.unescape(match[1]).split()
                ), f"{start}{ending}:{text.count(chr(10), 0, match.start()) + 1}"
    return "", ""


def _site_url(app: Path) -> str:
    table = functions_config.parse(app).get("auth", {})
    url = str(table.get("site_url", "")) if isinstance(table, dict) else ""
    return (
        url if re.match(r"https?://(?:localhost|127\.0\.0\.1)[:/]", url) and url.rstrip("/") not in _SITE_URLS else ""
    )
