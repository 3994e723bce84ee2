"""The page as Chromium shows it: nothing is requested, nothing overflows, axe finds nothing; pictures are kept.

REPORT_PICTURES names the folder for the pictures; CI keeps them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from migration.base.errors import Refused
from migration.e2e import axe
from migration.e2e import browser as browsers
from migration.report.figures import figures
from migration.report.page import page
from tests.support import reported

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.long
WIDTHS = (390, 820, 1440)
_AXE = """async () => {
  const found = await axe.run(document, { resultTypes: ["violations", "passes"] });
  return { passes: found.passes.length, violations: found.violations.map((one) =>
    `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`) };
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    try:
        browsers.ready()
    except Refused as error:
        (pytest.fail if os.environ.get("TEST_EVERYTHING") else pytest.skip)(error.message)
    with browsers.launched() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(figures(reported.facts("<b>x</b>"))), encoding="utf-8")
    return path


@contextmanager
def opened(chromium: Browser, file: Path, width: int, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """The page, and what it complained of or asked for."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, timezone_id="America/New_York", **options)
    shown, heard = context.new_page(), list[str]()
    shown.on("console", lambda message: heard.append(message.text))
    shown.on("request", lambda request: heard.append(request.url) if not request.url.startswith("file:") else None)
    shown.goto(file.as_uri())
    yield shown, heard
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_at_every_width(chromium: Browser, file: Path, width: int, scheme: str) -> None:
    """Under its own policy: no request, no complaint, no sideways scrolling; one drawing of each chart."""
    with opened(chromium, file, width, color_scheme=scheme) as (shown, complaints):
        assert shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        drawn = "svg => svg.map(one => one.getBoundingClientRect().width > 0)"
        visible = shown.eval_on_selector_all(".chart svg", drawn)
        assert sum(visible) * 2 == len(visible) > 0
        assert "EST" in shown.inner_text("header")  # the reader's own time beside UTC
        keep(shown, f"{width}-{scheme}")
        assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing(chromium: Browser, file: Path, width: int, scheme: str) -> None:
    with opened(chromium, file, width, color_scheme=scheme, bypass_csp=True) as (shown, _):
        shown.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        shown.evaluate(axe._script())
        found = shown.evaluate(_AXE)
        assert found["violations"] == [] and found["passes"] > 20


def test_without_script_times_are_utc(chromium: Browser, file: Path) -> None:
    with opened(chromium, file, 820, java_script_enabled=False) as (shown, complaints):
        text = shown.inner_text("header")
        assert "2026-11-27 09:00:00Z" in text and "EST" not in text and complaints == []


def test_print(chromium: Browser, file: Path) -> None:
    """On paper everything is open, and closes again."""
    with opened(chromium, file, 820) as (shown, _):
        shown.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert shown.locator("details:not([open])").count() == 0
        shown.emulate_media(media="print")
        keep(shown, "print")
        assert not shown.locator("nav").is_visible()
        shown.evaluate("dispatchEvent(new Event('afterprint'))")
        assert shown.locator("details[open]").count() == 0


def test_keyboard_reaches_tables_and_details(chromium: Browser, file: Path) -> None:
    with opened(chromium, file, 820) as (shown, _):
        shown.keyboard.press("Tab")
        assert shown.evaluate("document.activeElement.textContent") == "Skip to the evidence"
        shown.locator("summary").first.focus()
        shown.keyboard.press("Enter")
        assert shown.locator("details[open]").count() == 1


def keep(shown: Page, name: str) -> None:
    if folder := os.environ.get("REPORT_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
