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
