"""The front ends of a repository: the folders that something serves as pages, and what tells so.

A package with a dev server, a script or task that serves, a Flutter app for the web; where none is, static pages.

Default ports are those of each tool's own reference: nextjs.org/docs/app/api-reference/cli/next,
nuxt.com/docs/api/commands/dev, docs.astro.build/en/reference/configuration-reference, vite.dev/config/server-options,
angular.dev/cli/serve, cli.vuejs.org/config, create-react-app.dev/docs/advanced-configuration,
www.gatsbyjs.com/docs/reference/gatsby-cli, parceljs.org/features/cli, docs.expo.dev/more/expo-cli,
webpack.js.org/configuration/dev-server, github.com/vercel/serve, github.com/http-party/http-server,
docs.python.org/3/library/http.server.html, docs.netlify.com/cli/get-started, vercel.com/docs/cli/dev,
gohugo.io/commands/hugo_server, jekyllrb.com/docs/configuration/options, www.11ty.dev/docs/watch-serve,
docusaurus.io/docs/cli, fresh.deno.dev/docs, quasar.dev/quasar-cli-vite/quasar-config-file, ionicframework.com/docs/cli,
docs.solidjs.com/solid-start, tanstack.com/start, remix.run/docs/en/main/other-api/dev, vitepress.dev/reference/cli.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from migration.base import strictjson
from migration.setup.adoption import code
from migration.setup.adoption.app import inside

# The first that a package.json names is the one that serves: what stands further down may be a part of it.
_SERVERS = {
    "next": 3000, "nuxt": 3000, "astro": 4321, "gatsby": 8000, "@angular/cli": 4200, "react-scripts": 3000,
    "@vue/cli-service": 8080, "@docusaurus/core": 3000, "vitepress": 5173, "@remix-run/dev": 5173,
    "@react-router/dev": 5173, "@solidjs/start": 3000, "@tanstack/react-start": 3000, "@quasar/app-vite": 9000,
    "expo": 8081, "vite": 5173, "@sveltejs/kit": 5173, "parcel": 1234, "@11ty/eleventy": 8080, "ember-cli": 4200,
    "webpack-dev-server": 8080,
}  # fmt: skip
# What a script starts where no dependency names it: `npx serve site`, a tool of another package, another language's.
_RUN = r"(?:^|&&|\||;|\"|'|\b(?:npx|bunx|pnpx|dlx|exec|x|run)\b(?: -\S+)*)\s*"
_COMMANDS = tuple(
    (name, re.compile(pattern), port)
    for name, pattern, port in (
        ("serve", rf"{_RUN}serve(?:@\S+)?(?=\s|$|\"|')", 3000),
        ("http-server", r"\bhttp-server\b", 8080),
        ("live-server", r"\blive-server\b", 8080),
        ("http.server", r"\bpython[\d.]*\s+-m\s+http\.server\b(?:\s+(?P<port>\d{2,5}))?", 8000),
        ("php", r"\bphp\s+-S\s+[\w.]+:(?P<port>\d{2,5})", 8000),
        ("browser-sync", r"\bbrowser-sync\b|\blite-server\b", 3000),
        ("netlify", r"\b(?:netlify|ntl)\s+dev\b", 8888),
        ("vercel", r"\bvercel\s+dev\b", 3000),
        ("hugo", r"\bhugo\s+serve", 1313),
        ("jekyll", r"\bjekyll\s+serve", 4000),
        ("ionic", r"\bionic\s+(?:cap\s+)?serve", 8100),
        ("esbuild", r"\besbuild\b.*--serve(?:=(?:[\w.]+:)?(?P<port>\d{2,5}))?", 8000),
        ("Fresh", r"\bdeno\s+run\b.*\bdev\.ts\b", 8000),
        ("deno's file server", r"\bfile[-_]server\b", 8000),
        ("next", r"\bnext\s+dev\b", 3000),
        ("nuxt", r"\bnuxi?t?\s+dev\b", 3000),
        ("astro", r"\bastro\s+dev\b", 4321),
        ("expo", r"\bexpo\s+start\b.*--web\b", 8081),
        ("vite", rf"{_RUN}(?:npm:)?vite(?:@\S+)?(?:\s+(?:dev|serve|--\S.*)|\s*(?:$|\"|'|&))", 5173),
    )
)
SCRIPTS = ("dev", "start", "serve", "develop", "web")
DEPTH = 3  # folders below the repository's own
PORT = re.compile(
    r"(?:--(?:web-)?port(?:=|\s+)|(?<!\S)-p(?:=|\s*)|(?<!\S)PORT=|(?<!\S)(?:-l|--listen)(?:=|\s+)(?:\S+:)?)(\d{2,5})\b"
)
_FLUTTER = 8080
_STATIC = 8000  # where python3 -m http.server answers
_NO_PAGES = frozenset({"supabase", "test", "tests", "__tests__", "coverage", "e2e", "fixtures", "examples"})
LOOKED_FOR = (
    "a package.json with a dev server or a script that serves (Expo with react-native-web), tasks of a deno.json, "
    "a Flutter app for the web, an index.html"
)


@dataclass(frozen=True)
class FrontEnd:
    """A folder that something serves: a tool by its name, with its usual port, or by a script of `scripts`.

    `file` is where that was seen; `how` is what to type where the folder itself does not say it.
    """

    folder: Path
    server: str
    port: int
    file: str
    dependencies: frozenset[str] = frozenset()
    scripts: Mapping[str, str] = field(default_factory=dict)
    how: str = ""

    @property
    def calls(self) -> bool:
        """Whether it talks to a project."""
        return bool(self.dependencies & {"@supabase/supabase-js", "supabase_flutter", "@supabase/ssr"})


def dynamic(folder: Path, depth: int) -> Iterator[FrontEnd]:
    """What has a server of its own."""
    servers = _packaged(folder) or _tasked(folder) or _flutter(folder)
    if servers:
        yield servers
    for each in inside(folder) if depth else ():
        if each.name != "supabase":
            yield from dynamic(each, depth - 1)


def _packaged(folder: Path) -> FrontEnd | None:
    """A package.json with a dev server among its dependencies, or a script that serves."""
    package = parsed_file(folder / "package.json")
    dependencies, scripts = _dependencies(package), _texts(package.get("scripts"))
    own = {name: scripts[name] for name in SCRIPTS if name in scripts}
    if "expo" in dependencies and "react-native-web" not in dependencies:
        return None  # for phones alone: https://docs.expo.dev/workflow/web
    for name, port in _SERVERS.items():
        if name in dependencies:
            return FrontEnd(folder, name, port, "package.json", frozenset(dependencies), own)
    served = _served(folder, "package.json", scripts)
    return replace(served, dependencies=frozenset(dependencies)) if served else None


def _tasked(folder: Path) -> FrontEnd | None:
    for name in ("deno.json", "deno.jsonc"):
        text = text_of(folder / name)
        bare = re.sub(r",(?=\s*[}\]])", "", code.bare(text))
        tasks = _texts(_parsed(bare).get("tasks"))
        if served := _served(folder, name, tasks):
            return served
    return None


def _served(folder: Path, file: str, scripts: Mapping[str, str]) -> FrontEnd | None:
    """By a script that starts a server; its own port where it gives one."""
    ranked = [name for name in SCRIPTS if name in scripts]
    ranked += [name for name in scripts if name not in ranked and name.startswith(SCRIPTS)]
    for name in ranked:
        for tool, pattern, port in _COMMANDS:
            if match := pattern.search(scripts[name]):
                given = match.groupdict().get("port")
                how = f"script {name}" if file == "package.json" else f"task {name}"
                return FrontEnd(folder, tool, int(given or port), f"{file}, {how}", scripts={name: scripts[name]})
    return None


def _flutter(folder: Path) -> FrontEnd | None:
    """https://docs.flutter.dev/platform-integration/web/building: its port is free unless it is named."""
    text = text_of(folder / "pubspec.yaml")
    if "sdk: flutter" not in text or not (folder / "web" / "index.html").is_file():
        return None
    uses = frozenset({"supabase_flutter"} if "supabase_flutter" in text else ())
    how = f"flutter run -d web-server --web-port {_FLUTTER}"
    return FrontEnd(folder, "flutter", _FLUTTER, "pubspec.yaml", uses, how=how)


def static(folder: Path, depth: int) -> Iterator[FrontEnd]:
    """Folders with an index.html of their own, which any file server serves."""
    if (folder / "index.html").is_file():
        uses = frozenset({"@supabase/supabase-js"} if "supabase" in text_of(folder / "index.html") else ())
        yield FrontEnd(folder, "", _STATIC, "index.html", uses)
        return
    for each in inside(folder) if depth else ():
        if each.name not in _NO_PAGES:
            yield from static(each, depth - 1)


def parsed_file(file: Path) -> Mapping[str, Any]:
    return _parsed(text_of(file).removeprefix("\ufeff"))


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        data = strictjson.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _texts(data: Any) -> dict[str, str]:
    """Scripts and tasks by name; a task may be an object with its `command`."""
    commands = {
        name: each.get("command") if isinstance(each, dict) else each
        for name, each in (data.items() if isinstance(data, dict) else ())
    }
    return {name: text for name, text in commands.items() if isinstance(text, str)}


def _dependencies(package: Mapping[str, Any]) -> set[str]:
    named = (package.get(key) for key in ("dependencies", "devDependencies"))
    return {name for table in named if isinstance(table, dict) for name in table}


def text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError:
        return ""
