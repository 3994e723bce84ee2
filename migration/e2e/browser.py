"""Finding Chromium and starting it. Playwright is an optional group (`uv sync --group e2e`), imported late.

Chromium is the one that CHROME_PATH names, or one on PATH, or the one that `playwright install chromium` fetched.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from migration.base.command import AGAIN, Shell, Steps, sh, steps
from migration.base.errors import Refused
from migration.base.numbers import listed

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PARTS = ("playwright", "PIL", "axe_playwright_python")
# Their absence from a picture, or a request of their own, would only disturb what is measured.
_FLAGS = (
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--mute-audio",
)


def ready() -> None:
    """Refused, with what to install, where no browser could be started. Starts nothing."""
    if lacking := [name for name in _PARTS if not importlib.util.find_spec(name)]:
        found = executable() or _own()
        browser = "a browser is there" if found else "there is no Chromium on PATH either"
        words = f"Driving a browser needs {listed(lacking)}, which this Python does not have; {browser}."
        raise Refused(words, sh("uv", "sync", "--group", "e2e"), *([] if found else [_chromium()]))
    named = os.environ.get("CHROME_PATH")
    if named and not os.access(named, os.X_OK):
        raise Refused(f"CHROME_PATH names {named}, which is not a program.", _chromium(), AGAIN)
    if executable() is None and not _own():
        raise Refused("There is no Chromium on PATH, and CHROME_PATH names none.", _chromium(), AGAIN)


def executable() -> str | None:
    """The Chromium of this machine; None where only Playwright's own may be there."""
    return os.environ.get("CHROME_PATH") or next(filter(None, map(shutil.which, _NAMES)), None)


@contextlib.contextmanager
def launched(headed: bool = False) -> Iterator[Browser]:
    """A running Chromium, and its end whatever happens. Refused where none can be started."""
    ready()
    # A slow font is measured; it need not hold up every picture.
    os.environ["PW_TEST_SCREENSHOT_NO_FONTS_READY"] = "1"
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=executable(),
                headless=not headed,
                chromium_sandbox=os.geteuid() != 0,  # Chromium's own sandbox refuses to run as root
                args=list(_FLAGS),
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
            raise Refused(
                f"Chromium cannot be started ({executable() or 'Playwright'}): {reason}", _chromium()
            ) from None
        try:
            yield browser
        finally:
            with contextlib.suppress(Error):
                browser.close()


def _own() -> bool:
    """Whether Playwright fetched a Chromium on this machine."""
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ms-playwright"
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or usual)
    return any(folder.glob("chromium*-*"))


def _chromium() -> Steps:
    """How Chromium comes onto this machine."""
    if shutil.which("apt-get"):
        return steps(Shell("sudo apt-get install chromium" if os.geteuid() else "apt-get install chromium"))
    return steps(sh("uv", "run", "--group", "e2e", "playwright", "install", "chromium"))
