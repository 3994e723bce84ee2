"""`inv init --app`: the page's dev server and the first three steps of `e2e`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migration.setup.adoption import pages
from tests.support import adopted
from tests.support.adopted import AFTER, BEFORE

VITE = {"dependencies": {"react": "18", "@supabase/supabase-js": "2"}, "devDependencies": {"vite": "5"}}


def site(folder: Path, package: object, **files: str) -> Path:
    """A folder with a package.json and other files, `__` in a name for `/`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(package if isinstance(package, str) else json.dumps(package))
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("package", "url", "origin"),
    [
        ({"devDependencies": {"vite": "5"}}, 5173, "vite, at its default port"),
        ({"dependencies": {"next": "15"}, "scripts": {"dev": "next dev -p 3100"}}, 3100, "script dev"),
        (
            {"dependencies": {"react-scripts": "5"}, "scripts": {"start": "PORT=4000 react-scripts start"}},
            4000,
            "start",
        ),
        ({"devDependencies": {"vite": "5", "astro": "5"}}, 4321, "astro"),
        ({"dependencies": {"vite": "5"}, "scripts": {"dev": "vite --host --port=8081"}}, 8081, "script dev"),
        ({"dependencies": {"vite": "5"}, "scripts": "none"}, 5173, "vite"),
    ],
    ids=["default", "script", "variable", "builds on another", "flag", "odd scripts"],
)
def test_address_of_the_dev_server(tmp_path: Path, package: object, url: int, origin: str) -> None:
    page = pages.find(site(tmp_path, package))
    assert page and page.url == f"http://localhost:{url}" and origin in page.origin


@pytest.mark.parametrize(
    ("name", "text", "port"),
    [
        (
            "vite.config.ts",
            "export default {\n  // server: { port: 1111 }\n  server: { host: '::', port: 8080 },\n}",
            8080,
        ),
        ("vite.config.js", "export default { server: { proxy: { '/api': { port: 9 } }, port: +p || 4100 } }", 4100),
        ("vite.config.mts", "export default { server: { hmr: { port: 24678 } } }", 5173),
        ("angular.json", '{"projects": {"a": {"architect": {"serve": {"options": {"port": 4300}}}}}}', 4300),
    ],
)
def test_port_in_the_configuration(tmp_path: Path, name: str, text: str, port: int) -> None:
    """Of the server itself, not of a proxy or of a comment."""
    page = pages.find(site(tmp_path, VITE, **{name: text}))
    assert page and page.url == f"http://localhost:{port}"


@pytest.mark.parametrize(
    ("scripts", "port"),
    [
        ({"dev": "npx serve site"}, 3000),
        ({"start": "serve -l 5050 public"}, 5050),
        ({"start": "npx -y http-server web -p 8090"}, 8090),
        ({"dev": "python3 -m http.server 9001"}, 9001),
        ({"dev": "python -m http.server --directory www"}, 8000),
        ({"dev:web": "npx vite --port 4000"}, 4000),
        ({"dev": 'concurrently "npm:dev:api" "vite"'}, 5173),
        ({"start": "netlify dev"}, 8888),
        ({"dev": "next dev"}, 3000),
        ({"dev": "supabase functions serve"}, None),
        ({"start": "node server.js", "build": "vite build"}, None),
    ],
)
def test_script_that_serves(tmp_path: Path, scripts: dict[str, str], port: int | None) -> None:
    """Without a dependency that says so: a file server, or a tool that another package installs."""
    page = pages.find(site(tmp_path, {"scripts": scripts}))
    assert (page.url if page else None) == (f"http://localhost:{port}" if port else None)
    assert page is None or page.origin == f"package.json, script {next(iter(scripts))}"


def test_pages_that_no_package_names(tmp_path: Path) -> None:
    """Tasks of Deno, Flutter for the web and a plain folder; an Expo app for phones alone has no page."""
    for name, files in {
        "deno": {"deno.jsonc": '{"tasks": {"dev": {"command": "deno run -A npm:vite"}, // x\n}}'},
        "flutter": {"pubspec.yaml": "dependencies:\n  flutter:\n    sdk: flutter\n", "web/index.html": "<h1>T</h1>"},
        "plain": {"site/index.html": "<h1>What shall we cook?</h1>", "supabase/templates/index.html": "x"},
        "phones": {"package.json": '{"dependencies": {"expo": "52"}, "scripts": {"web": "expo start --web"}}'},
    }.items():
        for file, text in files.items():
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(text)
    found = {name: pages.find(tmp_path / name) for name in ("deno", "flutter", "plain", "phones")}
    assert {name: page and (page.url[-4:], page.origin) for name, page in found.items()} == {
        "deno": ("5173", "deno.jsonc, task dev"),
        "flutter": ("8080", "pubspec.yaml: flutter run -d web-server --web-port 8080"),
        "plain": ("8000", "site/index.html: python3 -m http.server 8000 --directory site"),
        "phones": None,
    }
    assert found["plain"] and found["plain"].heading == "What shall we cook?"


def test_front_end_of_a_monorepo(tmp_path: Path) -> None:
    """The one that calls a project, though another stands nearer; folders of packages are not looked at."""
    (tmp_path / ".git").mkdir()
    api = tmp_path / "apps" / "api"
    site(api / "docs", {"devDependencies": {"astro": "5"}})
    site(tmp_path / "apps" / "web", VITE, src__App__tsx="")
    site(tmp_path / "node_modules" / "next", {"dependencies": {"next": "15", "@supabase/supabase-js": "2"}})
    page = pages.find(api)
    assert page and page.url == "http://localhost:5173"
    assert page.origin == "apps/web/package.json: vite, at its default port; other front ends: apps/api/docs"


def test_no_page_no_section(tmp_path: Path) -> None:
    """Broken files are no page; `site_url` is one where it is not what every project begins with."""
    assert pages.find(site(tmp_path / "a", "{")) is None and pages.find(site(tmp_path / "b", "[1]")) is None
    for url, known in (("http://127.0.0.1:3000", False), ("http://localhost:8123", True), ("https://x.example", False)):
        (tmp_path / "a" / "supabase").mkdir(exist_ok=True)
        (tmp_path / "a" / "supabase" / "config.toml").write_text(f'[auth]\nsite_url = "{url}"\n')
        page = pages.find(tmp_path / "a")
        assert (page is not None) == known and (not page or page.url == url)


def test_no_page_is_a_question(tmp_path: Path) -> None:
    """It says what was looked for, and proposes nothing."""
    done = adopted.run(tmp_path / "root", adopted.app(tmp_path / "app"))
    assert adopted.config(tmp_path / "root").e2e is None
    assert any(each.startswith("e2e.url: is there a page? Looked for a package.json") for each in done.unknown)


def test_first_steps_are_proposed(tmp_path: Path) -> None:
    """Open the page, see its heading, take a picture: a section that loads, and a question for the rest."""
    files = {
        "package.json": json.dumps(VITE),
        "src/App.tsx": "export default () => (\n  <h1 id='t'>Tom &amp; Co</h1>\n);\n",
    }
    done = adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", {**BEFORE, **files}, AFTER))
    own = adopted.config(tmp_path / "root").e2e
    assert own and own.url == {"local": "http://localhost:5173"}
    assert [str(step) for step in own.steps] == ["goto /", 'expect the heading "Tom & Co"', "screenshot start"]
    text = (tmp_path / "root" / "config.yaml").read_text()
    assert 'local: "http://localhost:5173" # package.json: vite, at its default port' in text
    assert 'Tom & Co"}} # src/App.tsx:2\n' in text and '    # prod: "https://…"' in text
    assert any(each.startswith("e2e.steps: ") for each in done.unknown)
