"""From a locator of config.yaml to elements of the page, and what was there where nothing was found."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from migration.base.secrets_type import mask_typed
from migration.e2e import pictures

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from migration.config.browser import Locator

_AROUND = 12  # lines of the accessible tree
_SOON = 1000  # milliseconds


def element(page: Page, locator: Locator) -> Any:
    """Playwright's locator for it: evaluated anew at each use, strict about there being one."""
    return _nth(all_of(page, locator), locator)


def all_of(page: Page, locator: Locator) -> Any:
    """The same for every element that it finds. Where a part of a name fits several, and the whole of one, that one."""
    scope = _scope(page, locator.frame)
    elements = _found(scope, locator, locator.exact)
    if not locator.exact and locator.nth is None and _partial(locator) and elements.count() > 1:
        whole = _found(scope, locator, True)
        return whole if whole.count() == 1 else elements
    return elements


def frame_element(page: Page, name: str) -> Any:
    """The element of the frame with this title or name."""
    return page.locator(_frame_selector(name)).first


def responds(page: Page, frame: str | None = None) -> bool:
    """Whether the page, or its frame, runs anything at all: a script without a pause stops every question to it.

    Playwright's quick questions (how many, is it visible) have no time limit, so this is asked before them. A
    frame that is not there stops nothing.
    """
    return _answers(page, None) and (frame is None or not _framed(page, frame) or _answers(page, frame))


def _answers(page: Page, frame: str | None) -> bool:
    from playwright.sync_api import Error

    try:
        _scope(page, frame).locator(":root").wait_for(state="attached", timeout=_SOON)
    except Error:
        return frame is not None and not _framed(page, frame)  # gone meanwhile
    return True


def inside(page: Page, frame: str, picture: bytes) -> bytes:
    """The picture of a frame's element without its border."""
    box = frame_element(page, frame).evaluate("(it) => [it.clientLeft, it.clientTop, it.clientWidth, it.clientHeight]")
    left, top, width, height = map(int, box)
    # One pixel more on each side: an element at half a pixel is drawn over the next one.
    return pictures.cropped(picture, (left + 1, top + 1, left + width - 1, top + height - 1))


def around(page: Page, locator: Locator) -> tuple[str, ...]:
    """The accessible tree around the place where the element was looked for: the lines most like it, and their
    surroundings. Where its frame is missing: the frames that are there, and the page. Masked; empty where the page
    cannot be read."""
    from playwright.sync_api import Error

    try:
        missing = locator.frame is not None and not _framed(page, locator.frame)
        tree = _tree(page, None if missing else locator.frame)
        frames = _quoted(page.locator("iframe").evaluate_all(_FRAMES)) if missing else ""
    except Error:
        return ()
    lines = [mask_typed(line) for line in tree.splitlines()]
    middle = _closest(lines, locator)
    start = max(0, min(middle - _AROUND // 2, len(lines) - _AROUND))
    cut = lines[start : start + _AROUND]
    which = f"; there is {frames}" if frames else ""
    return (*([f'there is no frame "{locator.frame}"{which}'] if missing else []), *(["…"] if start else []), *cut,
            *(["…"] if start + _AROUND < len(lines) else []))  # fmt: skip


def alike(page: Page, locator: Locator) -> str:
    """The names of the elements of the same kind, for one that was renamed: `"Repair", "Send"`."""
    from playwright.sync_api import Error

    kind = next(iter(locator.finders), "")
    try:
        if locator.frame is not None and not _framed(page, locator.frame):
            return ""
        if kind == "test_id":
            return _quoted(_scope(page, locator.frame).locator("[data-testid]").evaluate_all(_TEST_IDS))
        pattern = {
            "role": rf'^\s*- {locator.role} "((?:[^"\\]|\\.)*)"',
            "label": rf'^\s*- (?:{"|".join(_FIELDS)}) "((?:[^"\\]|\\.)*)"',
            "placeholder": r"^\s*- /placeholder: (.*)",
        }.get(kind)
        return _quoted(re.findall(pattern, _tree(page, locator.frame), re.MULTILINE)) if pattern else ""
    except Error:
        return ""


_FIELDS = ("textbox", "searchbox", "combobox", "checkbox", "radio", "switch", "slider", "spinbutton", "listbox")
_FRAMES = "(all) => all.map((each) => each.title || each.name).filter(Boolean)"
_TEST_IDS = '(all) => all.map((each) => each.getAttribute("data-testid"))'


def _tree(page: Page, frame: str | None) -> str:
    return str(_scope(page, frame).locator("body").aria_snapshot(timeout=_SOON))


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{mask_typed(name)}"' for name in list(dict.fromkeys(names))[:8])


def _scope(page: Page, frame: str | None) -> Any:
    if frame is None:
        return page
    return page.frame_locator(_frame_selector(frame)).first


def _frame_selector(frame: str) -> str:
    quoted = json.dumps(frame)
    return f"iframe[title={quoted}], iframe[name={quoted}]"


def _framed(page: Page, name: str) -> bool:
    return bool(frame_element(page, name).count())


def _partial(locator: Locator) -> bool:
    """Whether it looks for a text, of which a part is enough."""
    return locator.name is not None or bool({*locator.finders} & {"text", "label", "placeholder"})


def _found(scope: Any, locator: Locator, exact: bool) -> Any:
    match next(iter(locator.finders), ""):
        case "role":
            return scope.get_by_role(locator.role, name=locator.name, exact=exact) if locator.name is not None else (
                scope.get_by_role(locator.role)
            )  # fmt: skip
        case "text":
            return scope.get_by_text(locator.text, exact=exact)
        case "label":
            return scope.get_by_label(locator.label, exact=exact)
        case "placeholder":
            return scope.get_by_placeholder(locator.placeholder, exact=exact)
        case "test_id":
            return scope.get_by_test_id(locator.test_id)
        case "selector":
            return scope.locator(locator.selector)
    return scope.locator("body")


def _nth(elements: Any, locator: Locator) -> Any:
    if locator.nth is not None:
        return elements.nth(locator.nth)
    return elements.first if locator.text is not None else elements


def _closest(lines: list[str], locator: Locator) -> int:
    """The line most like what was looked for."""
    kind = next(iter(locator.finders), "role")
    wanted = f"{locator.role or ''} {locator.name or getattr(locator, kind) or ''}".strip().lower()

    def likeness(line: str) -> float:
        bare = re.sub(r'[-":\[\]]', "", line).strip().lower()
        same = bare.startswith(locator.role) if locator.role else False
        return difflib.SequenceMatcher(None, wanted, bare).ratio() + same

    return max(range(len(lines)), key=lambda n: likeness(lines[n]), default=0)
