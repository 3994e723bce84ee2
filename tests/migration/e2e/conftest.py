"""One Chromium for the session, and contexts for pages of the tests' own."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from migration import context as contexts
from migration.context import Context
from migration.e2e import browser as browsers
from migration.e2e.result import E2eResult
from tests.support.pages import PageServer, needs_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Make = Callable[..., Context]
PATIENCE = 600  # seconds for a test: rendering takes its time on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The ordinary limit would interrupt Playwright's loop where pytest cannot draw a traceback: its worker breaks."""
    for item in items:
        if "/migration/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(PATIENCE))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of a module's tests (Playwright's event loop ends with it); without one they skip and say why."""
    needs_browser()
    with browsers.launched() as found:
        yield found


@pytest.fixture
def pages() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


@pytest.fixture
def make(tmp_path: Path, pages: PageServer) -> Make:
    """A context of `local` whose page is the tests' server: `make(steps, **keys of e2e)`, both as YAML text.

    What should come true is given more time than any machine needs.
    """

    def build(steps: str, more: str = "  expect: {slow: {other: 30s}}", auth: str = "") -> Context:
        indented = "\n".join(f"    {line}" for line in steps.strip().splitlines())
        (tmp_path / "config.yaml").write_text(
            "migration: {name: m, functions: [greet]}\napp: {path: .}\n"
            f"environments: {{local: {{url: '{pages.url}'}}}}\n{auth}\n"
            f"e2e:\n  url: {pages.url}\n  timeout: 10s\n{more}\n  steps:\n{indented}\n",
            encoding="utf-8",
        )
        return contexts.make(tmp_path, "local")

    return build


def kinds(result: Any) -> list[str]:
    """What a run reports, by kind."""
    return [one.kind for one in result.problems]


def kept_files(result: E2eResult) -> Iterator[tuple[str, bytes]]:
    """Every file that a run kept, and every entry of every archive."""
    for path in Path(result.folder).rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path.name}/{name}", archive.read(name)
