"""The video of a run: frames of the page as they come, and none while a secret is typed or can be read."""

from __future__ import annotations

import contextlib
import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.e2e import privacy

if TYPE_CHECKING:
    from playwright.sync_api import Page

_WIDTH, _HEIGHT = 960, 600
_APART = 0.2  # seconds between two kept frames
_MOST = 500  # frames; beyond that every second one is dropped
_LONGEST = 2.0  # seconds that one frame is shown


class Film:
    """Frames in memory, as (seconds, JPEG); written by `save`, for a run that failed."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[tuple[float, bytes]] = []
        self._running = False
        self._shows_secret = False
        self._began = 0

    def begin(self, secret: bool = False) -> None:
        """A step begins: recorded, unless it types a secret, or one could be read when the step before it ended."""
        from playwright.sync_api import Error

        self._began = len(self._frames)
        if secret or self._shows_secret:
            self.stop()
        elif not self._running:
            with contextlib.suppress(Error):  # its tab is closed
                self._page.screencast.start(on_frame=self._keep, quality=60, size={"width": _WIDTH, "height": _HEIGHT})
                self._running = True

    def check(self, readable: bool = True) -> None:
        """A step ended: where a secret came into view, or the page cannot be read, none of its frames stays."""
        self._shows_secret = not readable or bool(privacy.visible(self._page))
        if self._running and self._shows_secret:
            self.stop()
            del self._frames[self._began :]

    def stop(self) -> None:
        """Record nothing from here on."""
        from playwright.sync_api import Error

        if self._running:
            self._running = False
            with contextlib.suppress(Error):
                self._page.screencast.stop()

    def save(self, path: Path) -> bool:
        """Write an animated WebP, which every browser plays; False without frames."""
        from PIL import Image

        if not self._frames:
            return False
        pictures = [Image.open(io.BytesIO(data)).convert("RGB") for _, data in self._frames]
        first, *others = [picture.resize(pictures[0].size) for picture in pictures]
        first.save(path, save_all=True, append_images=others, duration=self._durations(), quality=50, method=0)
        return True

    def _durations(self) -> list[int]:
        times = [at for at, _ in self._frames]
        gaps = [min(later - earlier, _LONGEST) for earlier, later in itertools.pairwise(times)]
        return [max(int(gap * 1000), 40) for gap in [*gaps, 1.0]]

    def _keep(self, frame: Any) -> None:
        at = float(frame["timestamp"]) / 1000
        if self._running and (not self._frames or at - self._frames[-1][0] >= _APART):
            self._frames.append((at, bytes(frame["data"])))
        if len(self._frames) > _MOST:
            self._frames, self._began = self._frames[::2], (self._began + 1) // 2
