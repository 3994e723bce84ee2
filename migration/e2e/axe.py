"""Accessibility of what was rendered, by axe: its rules run inside every frame that a picture shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.e2e import locate

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMPACTS = ("minor", "moderate", "serious", "critical")
_LONGEST = 20_000  # milliseconds
_RUN = """async () => {
  const { violations } = await axe.run(document, { iframes: false, resultTypes: ["violations"] });
  const where = (one) => one.nodes.map((node) => node.target.join(" "));
  return { value: violations.map((one) => ({ id: one.id, impact: one.impact, help: one.help, at: where(one) })) };
}"""


@dataclass(frozen=True)
class Violation:
    """One rule that is broken, and where."""

    rule: str
    impact: str
    help: str
    at: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.at) - 1} more" if len(self.at) > 1 else ""
        return f"{self.help} ({self.rule}, {self.impact}) at {self.at[0] if self.at else 'the page'}{more}"


def violations(page: Page, frame: str | None = None) -> list[Violation]:
    """Of the page, or of the frame with that title. A frame that cannot be read has none."""
    from playwright.sync_api import Error

    try:
        target: Any = page.main_frame
        if frame is not None:
            target = locate.frame_element(page, frame).element_handle(timeout=1000).content_frame()
        target.wait_for_function("() => true", timeout=1000)  # unlike the next line, it has a time limit
        target.evaluate(_script())
        rows = target.wait_for_function(_RUN, timeout=_LONGEST).json_value()["value"]
    except Error:
        return []
    return [
        Violation(str(one["id"]), str(one["impact"] or "minor"), str(one["help"]), tuple(map(str, one["at"])))
        for one in rows
    ]


@cache
def _script() -> str:
    """axe itself, as axe-playwright-python carries it."""
    import axe_playwright_python

    return (Path(next(iter(axe_playwright_python.__path__))) / "axe.min.js").read_text(encoding="utf-8")
