"""Charts as SVG of our own: each has a name and a description, and never stands without the table of its numbers.

Each is drawn twice, for a wide and for a narrow page, so that its letters keep their size; a style shows one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from migration.report.markup import Html, View, join, tag

WIDTHS = {"wide": 880, "narrow": 350}
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 22, 26
_STEPS = 4  # of an axis, about
GLYPHS = {"deploy": "▲", "rollback": "▼", "alert": "●"}


@dataclass(frozen=True)
class Frame:
    """Where a chart is drawn: x from `since` to `until` (seconds), y from 0 (or `low`) to `high`."""

    width: int
    height: int
    since: float
    until: float
    low: float
    high: float

    def x(self, at: float) -> float:
        share = (at - self.since) / ((self.until - self.since) or 1)
        return round(LEFT + share * (self.width - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return round(self.height - BOTTOM - share * (self.height - TOP - BOTTOM), 1)


def chart(name: str, title: str, description: str, draw: Callable[[int], Iterable[Html]], height: int = 220) -> Html:
    """A figure with both drawings of it."""
    return tag(
        "div",
        [
            _svg(f"{name}-{kind}", title, description, width, height, draw(width), kind)
            for kind, width in WIDTHS.items()
        ],
        class_="chart",
    )


def _svg(name: str, title: str, description: str, width: int, height: int, inner: Iterable[Html], kind: str) -> Html:
    return tag(
        "svg",
        tag("title", title, id=f"{name}-t"),
        tag("desc", description, id=f"{name}-d"),
        list(inner),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{name}-t",
        aria_describedby=f"{name}-d",
        class_=kind,
    )


def over_time(
    points: Sequence[tuple[float, float]],
    frame: Frame,
    step: float,
    kind: str,
    form: Callable[[float], str],
    marks: Sequence[Mapping[str, Any]],
) -> list[Html]:
    """A line over time, broken where nothing was measured, with what happened along it."""
    return [
        *_bands(marks, frame),
        *grid(frame, form),
        *_times(frame),
        *_lines(points, frame, step, kind),
        *_marks(marks, frame),
    ]


def _lines(points: Sequence[tuple[float, float]], frame: Frame, step: float, kind: str) -> list[Html]:
    runs: list[list[tuple[float, float]]] = []
    for at, value in points:
        if not runs or at - runs[-1][-1][0] > 3 * step:
            runs.append([])
        runs[-1].append((at, value))
    parts = []
    for run in runs:
        if len(run) == 1:
            parts.append(tag("circle", cx=frame.x(run[0][0]), cy=frame.y(run[0][1]), r="2.5", class_=f"dot {kind}"))
            continue
        path = " ".join(f"{frame.x(at):g},{frame.y(value):g}" for at, value in run)
        parts.append(tag("polyline", points=path, class_=f"line {kind}"))
    return parts


def _bands(marks: Sequence[Mapping[str, Any]], frame: Frame) -> list[Html]:
    parts = []
    for one in marks:
        if one["kind"] == "watch":
            start, end = frame.x(seconds(one["at"])), frame.x(seconds(one["to"]))
            parts.append(
                tag(
                    "rect",
                    x=start,
                    y=TOP,
                    width=max(round(end - start, 1), 1),
                    height=frame.height - TOP - BOTTOM,
                    class_="band",
                )
            )
    return parts


def _marks(marks: Sequence[Mapping[str, Any]], frame: Frame) -> list[Html]:
    parts = []
    for one in marks:
        if glyph := GLYPHS.get(one["kind"]):
            x = frame.x(seconds(one["at"]))
            line = tag("line", x1=x, x2=x, y1=TOP, y2=frame.height - BOTTOM)
            label = tag("text", glyph, x=x, y=TOP - 6, text_anchor="middle")
            parts.append(tag("g", tag("title", one["text"]), line, label, class_=f"mark {one['kind']}"))
    return parts


def bars(
    values: Sequence[float], labels: Sequence[str], width: int, height: int, form: Callable[[float], str]
) -> list[Html]:
    """Upright bars from zero, with every few labels below."""
    frame = Frame(width, height, 0, max(len(values), 1), 0, top(max(values, default=0)))
    slot = (width - LEFT - RIGHT) / max(len(values), 1)
    parts = grid(frame, form)
    every = max(1, math.ceil(len(values) * 58 / (width - LEFT - RIGHT)))
    for n, value in enumerate(values):
        head = frame.y(value)
        parts.append(
            tag(
                "rect",
                x=round(frame.x(n) + slot * 0.1, 1),
                y=head,
                width=round(slot * 0.8, 1),
                height=round(frame.y(0) - head, 1),
                class_="bar",
            )
        )
        if n % every == 0:
            parts.append(
                tag("text", labels[n], x=round(frame.x(n + 0.5), 1), y=height - 8, text_anchor="middle", class_="tick")
            )
    return parts


def cumulative(values: Sequence[float], frame: Frame) -> list[Html]:
    """The running sum over bars of the same frame."""
    path = " ".join(f"{frame.x(n + 0.5):g},{frame.y(value):g}" for n, value in enumerate(values))
    return [tag("polyline", points=path, class_="line sum")] if len(values) > 1 else []


def gauges(
    rows: Sequence[tuple[str, float, str]],
    limits: Sequence[tuple[str, float]],
    width: int,
    form: Callable[[float], str],
) -> list[Html]:
    """Lying bars against upright limits: (label, value, words beside the bar)."""
    left = 8
    most = ceiling(max([*(value for _, value, _ in rows), *(limit for _, limit in limits)], default=1))
    scale = (width - left - 70) / most
    parts: list[Html] = []
    bottom = 30 + len(rows) * 40 - 8
    for n, (label, limit) in enumerate(limits):
        x = round(left + limit * scale, 1)
        parts += [
            tag("line", x1=x, x2=x, y1=14, y2=bottom, class_=f"limit l{n}"),
            tag(
                "text",
                f"{label} {form(limit)}",
                x=min(x, width - 4),
                y=11 if n % 2 == 0 else bottom + 12,
                text_anchor="end" if x > width / 2 else "start",
                class_=f"tick l{n}",
            ),
        ]
    for n, (label, value, words) in enumerate(rows):
        y = 30 + n * 40
        parts += [
            tag("text", label, x=left, y=y, class_="label"),
            tag("rect", x=left, y=y + 6, width=max(round(value * scale, 1), 1), height=14, class_="bar"),
            tag("text", words, x=round(left + value * scale + 6, 1), y=y + 18, class_="value"),
        ]
    return parts


def intervals(
    rows: Sequence[tuple[str, float, float, float]], width: int, high: float, form: Callable[[float], str]
) -> list[Html]:
    """A point with its interval a row: (label, value, low, high)."""
    frame = Frame(width, 0, 0, high, 0, 1)
    bottom = 18 + len(rows) * 40
    parts = []
    for tick in steps(0, high, 4 if width > 500 else 2):
        parts += [
            tag("line", x1=frame.x(tick), x2=frame.x(tick), y1=8, y2=bottom, class_="grid"),
            tag("text", form(tick), x=frame.x(tick), y=bottom + 14, text_anchor="middle", class_="tick"),
        ]
    for n, (label, value, low, up) in enumerate(rows):
        y = 28 + n * 40
        parts += [
            tag("text", label, x=4, y=y + 4, class_="label"),
            tag("line", x1=frame.x(low), x2=frame.x(up), y1=y, y2=y, class_=f"whisker w{n}"),
            tag("circle", cx=frame.x(value), cy=y, r=6, class_=f"dot w{n}"),
        ]
    return parts


def timeline(parts: Sequence[tuple[str, float, float]], width: int) -> list[Html]:
    """Steps one after the other: (name, seconds of work, seconds of waiting)."""
    whole = sum(work + wait for _, work, wait in parts) or 1
    scale, x, drawn = (width - 8) / whole, 4.0, list[Html]()
    for n, (name, work, wait) in enumerate(parts):
        for seconds_, kind in ((work, f"work s{n % 2}"), (wait, "wait")):
            if seconds_ > 0:
                long = max(round(seconds_ * scale, 1), 0.6)
                drawn.append(
                    tag(
                        "rect",
                        tag("title", f"{name}{', waiting' * (kind == 'wait')}"),
                        x=round(x, 1),
                        y=20,
                        width=long,
                        height=22,
                        class_=kind,
                    )
                )
                x += seconds_ * scale
        start = x - (work + wait) * scale
        if (work + wait) * scale > 7 * len(name):
            drawn.append(tag("text", name, x=round(start + 2, 1), y=14, class_="tick"))
    return drawn


def grid(frame: Frame, form: Callable[[float], str]) -> list[Html]:
    """Lines and labels of the upright axis."""
    parts = []
    for value in steps(frame.low, frame.high, 4):
        y = frame.y(value)
        parts += [
            tag("line", x1=LEFT, x2=frame.width - RIGHT, y1=y, y2=y, class_="grid"),
            tag("text", form(value), x=LEFT - 6, y=y + 4, text_anchor="end", class_="tick"),
        ]
    return parts


def _times(frame: Frame) -> list[Html]:
    """Whole hours or days in UTC, as many as fit."""
    span, room = frame.until - frame.since, (frame.width - LEFT - RIGHT) // 62
    widths = [300, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, *(86400 * n for n in (1, 2, 5, 10, 30, 90, 365))]
    step = next((one for one in widths if span / one <= room), widths[-1])
    parts, at = [], math.ceil(frame.since / step) * step
    while at <= frame.until:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
        text = f"{moment:%d %b}" if step >= 86400 or (moment.hour == 0 and moment.minute == 0) else f"{moment:%H:%M}"
        parts.append(tag("text", text, x=frame.x(at), y=frame.height - 8, text_anchor="middle", class_="tick"))
        at += step
    return parts


def steps(low: float, high: float, many: int) -> list[float]:
    """Round values from `low` to `high`, about so many."""
    size = ceiling((high - low) / many) if high > low else 1
    first = math.ceil(low / size - 1e-9) * size
    return [round(first + n * size, 10) for n in range(int((high - first) / size + 1e-6) + 1)]


def ceiling(value: float) -> float:
    """The next of 1, 2, 2.5, 5 or 10 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(round(power * one, 12) for one in (1, 2, 2.5, 5, 10) if power * one >= value * (1 - 1e-9))


def top(value: float) -> float:
    """Where an axis from zero ends, so that a value of this size fills most of it."""
    size = ceiling(value / _STEPS)
    return math.ceil(value / size - 1e-9) * size or size


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def key(view: View, path: str) -> Html:
    """What the marks of a chart mean, each with its time."""
    words = {"deploy": "deployment", "rollback": "rollback", "alert": "alert", "watch": "watched"}
    rows = [
        tag(
            "li",
            tag("span", GLYPHS.get(one["kind"], "▒"), class_=f"glyph {one['kind']}", aria_hidden="true"),
            " ",
            words.get(one["kind"], one["kind"]),
            ", ",
            view.time(f"{path}.{n}.at"),
            ": ",
            view.show(f"{path}.{n}.text"),
        )
        for n, one in enumerate(view.get(path) or ())
    ]
    return tag("ul", rows, class_="key") if rows else join(())
