"""Keeps secrets out of what a run leaves: pictures are masked, frames of the video dropped, the trace rewritten."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import secrets_type
from migration.base.secrets_type import mask_typed

if TYPE_CHECKING:
    from playwright.sync_api import Page

_SOON = 1000  # milliseconds
_BLACK = "#1f2937"
# What can be seen: the text, and the fields that show what was typed. A password field shows dots.
_SEEN = """() => ({ text: [document.body?.innerText ?? "", ...[...document.querySelectorAll("input, textarea")]
  .filter((field) => field.type !== "password").map((field) => field.value)].join("\\n") })"""


def visible(page: Page) -> list[str]:
    """The secrets that anyone at the screen could read now, in any frame."""
    return secrets_type.found("\n".join(_texts(page)))


def screenshot(page: Page, **options: Any) -> bytes:
    """A picture of the page, or of `of`, in which what shows a secret is a dark box. Errors are Playwright's."""
    target = options.pop("of", None) or page
    hidden = visible(page)
    return bytes(
        target.screenshot(mask=list(_masks(page, hidden)), mask_color=_BLACK, animations="disabled", **options)
    )


def clean(source: Path, target: Path) -> None:
    """Rewrite a trace with secrets masked in every entry, known ones and typed ones.

    An entry that is not text and holds one is left out.
    """
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = _cleaned(old.read(entry))
            if data is not None:
                new.writestr(mask_typed(entry.filename), data)


def _cleaned(data: bytes) -> bytes | None:
    try:
        return mask_typed(data.decode()).encode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        return None if mask_typed(text) != text else data


def _texts(page: Page) -> Iterator[str]:
    """What each frame shows. A frame that does not answer in time is not read: its script runs without a pause."""
    from playwright.sync_api import Error

    for frame in page.frames:
        with contextlib.suppress(Error):
            yield str(frame.wait_for_function(_SEEN, timeout=_SOON).json_value()["text"])


def _masks(page: Page, hidden: Sequence[str]) -> Iterator[Any]:
    for frame in page.frames if hidden else ():
        for secret in hidden:
            yield frame.get_by_text(secret)
            yield from _fields(frame, secret)


def _fields(frame: Any, secret: str) -> Iterator[Any]:
    from playwright.sync_api import Error

    fields = frame.locator("input:not([type=password]), textarea")
    with contextlib.suppress(Error):
        for field in fields.all():
            if secret in field.input_value(timeout=_SOON):
                yield field
