"""Where a watch is seen: redrawn in place on a terminal, a line a round in a pipe, an object a round for a script."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from migration.base.plain import plain

if TYPE_CHECKING:
    from rich.text import Text

    from migration.cli.output import Output
    from migration.watch.report import WatchRound


class WatchView:
    """The rounds of one run. `once`: a single round, shown whole wherever it is read."""

    def __init__(self, out: Output, once: bool) -> None:
        self.out = out
        self.once = once
        self._live: Any = None
        self._shown: dict[str, Any] = {}
        self._last = ""  # the time of the newest event that was shown

    def __enter__(self) -> WatchView:
        if not self.once and not self.out.json and self.out.console.is_terminal:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._render, console=self.out.console, refresh_per_second=1, transient=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            if self._shown:
                self.out.show("watch", self._shown)

    def show(self, watched: WatchRound) -> None:
        """One round."""
        if self.out.json:
            self.out.line(watched, watched.exit_code)
            return
        data = plain(watched)
        if self.once:
            self.out.show("watch", data)
        elif self._live is None:
            self.out.show("watch_line", {**data, "new": self._new(data)})
        else:
            self.out.quiet()
            self._shown = data
            self._live.start()
            self._live.refresh()

    def _new(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        """What happened since the round before."""
        events = [one for one in data["events"] if str(one["at"]) > self._last]
        self._last = max([self._last, *(str(one["at"]) for one in events)])
        return events

    def _render(self) -> Any:
        """The newest round, drawn again each second: the time that is left passes. Where it is higher than the screen,
        what would settle the criteria gives way, then those that are furthest from an alarm."""
        from rich.text import Text

        if not self._shown:
            return Text("")
        screen = self.out.console
        drawn = Text("")
        for data in self._shorter():
            drawn = self._drawn(data)
            if len(drawn.wrap(screen, screen.width)) <= screen.height:
                break
        return drawn

    def _shorter(self) -> Iterator[dict[str, Any]]:
        """The newest round, and then with less and less of what can be read with `--once` too."""
        yield self._shown
        brief = [{**one, "settles": ""} for one in self._shown["criteria"]]
        for most in range(len(brief), -1, -1):
            yield {**self._shown, "criteria": brief, "most": most}

    def _drawn(self, data: dict[str, Any]) -> Text:
        """On a console of its own: what is printed on the one that is live goes through the live view again."""
        from rich.console import Console
        from rich.text import Text

        from migration.cli.results.draw import draw

        screen = self.out.console
        colors: Any = screen.color_system
        paper = Console(
            file=io.StringIO(), width=screen.width, force_terminal=True, color_system=colors, no_color=screen.no_color,
            highlight=False, markup=False, emoji=False,
        )  # fmt: skip
        with paper.capture() as captured:
            draw("watch", data, paper)
        return Text.from_ansi(captured.get().rstrip("\n"))
