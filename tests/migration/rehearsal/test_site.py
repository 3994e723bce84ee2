"""The sandbox serves the app's front end, at an origin of its own, and nothing outside its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from migration.base.errors import Refused
from migration.rehearsal import site
from migration.rehearsal.running import Running, start

SETTINGS = {"site": {"folder": "web", "answers": {"/config.json": {"url": "{url}", "key": "{anon_key}", "n": 1}}}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("site")
    web = folder / "app" / "web"
    web.mkdir(parents=True)
    (web / "index.html").write_text("<h1>home</h1>")
    (web / "app.js").write_text("let a = 1;")
    (folder / "app" / "secret.txt").write_text("outside")
    (folder / "clone.json").write_text(json.dumps({"app": str(folder / "app")}))
    with start(folder, settings=SETTINGS) as running:
        yield running


def ask(served: Running, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{served.info['site'].rstrip('/')}{path}", headers=headers)


def test_files_and_routes_of_the_page(served: Running) -> None:
    """Another origin than the project's; a path that the page makes up is its index."""
    assert served.info["site"] == f"http://localhost:{served.info['port']}/" and "127.0.0.1" in served.url
    assert ask(served, "/").text == "<h1>home</h1>"
    script = ask(served, "/app.js")
    assert script.text == "let a = 1;" and script.headers["content-type"].startswith("text/javascript")
    assert ask(served, "/chat/7", accept="text/html").text == "<h1>home</h1>"
    assert ask(served, "/chat/7", accept="application/json").status_code == 404
    assert ask(served, "/gone.png", accept="text/html").status_code == 404


def test_answers_stand_in_for_a_build(served: Running) -> None:
    found = ask(served, "/config.json").json()
    assert found == {"url": served.url, "key": served.anon_key, "n": 1}


@pytest.mark.parametrize("path", ["/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd", "/%00"])
def test_nothing_outside_the_folder(served: Running, path: str) -> None:
    answer = ask(served, path)
    assert answer.status_code == 404 and "outside" not in answer.text


def test_platform_paths_stay_the_platforms(served: Running) -> None:
    """Functions, auth and the Management API answer as ever; auth answers any origin."""
    assert ask(served, "/functions/v1/none").json()["code"] == "NOT_FOUND"
    assert ask(served, "/v1/projects").status_code in (401, 404)
    asked = {"origin": "http://localhost:1", "access-control-request-method": "POST"}
    allowed = httpx.options(f"{served.url}/auth/v1/token", headers=asked)
    assert allowed.status_code == 200 and allowed.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("value", [3, {"answers": {}}, {"folder": "web", "port": 1}])
def test_mistake_in_the_section_is_refused(value: object) -> None:
    with pytest.raises(Refused, match=r"rehearsal\.site: should be a folder"):
        site.read(value)
