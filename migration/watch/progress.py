"""What a reading of the logs adds to a watch: which looks are ripe, what came late, whether rows are missing. Pure.

A look is taken once, when its rows must have come: after the 99th percentile of lateness as measured in this watch,
and after ten minutes at least. What comes later is counted and reported, not tested: slow failures arrive alone, and
taken together they would look like a burst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from checks import stats
from migration.base.durations import show
from migration.watch import judge
from migration.watch.model import EventMood, NoData, Point, Slice, WatchEvent, WatchState
from migration.watch.rows import Reading, RowQuery

LEAST_RIPE, MOST_RIPE = timedelta(minutes=10), timedelta(minutes=60)
REMEMBERED = timedelta(minutes=75)  # for how long late rows of a look are noticed
LOOKS_BACK = timedelta(hours=1)  # how often looks that were taken are read again, to count what came late
_ENOUGH = 20  # rows before their lateness counts
_FORGET = 12  # rounds after which what was measured counts half
_LATE = 10  # late answers in a round, and more than came in time, are worth an alert
_CLEAR = 3  # rounds without a sign of missing rows before they count as back
_POINTS, _SLICES, _EVENTS = 288, 72, 40


def ripe_after(state: WatchState, least: timedelta = LEAST_RIPE) -> timedelta:
    """How long after its end a look is taken."""
    counts = {float(minutes): many for minutes, many in state.lateness.items()}
    if sum(counts.values()) < _ENOUGH:
        return least
    return max(least, min(timedelta(minutes=stats.quantile(counts, 0.99)), MOST_RIPE))


def ripe_until(state: WatchState, wanted: RowQuery, now: datetime, least: timedelta = LEAST_RIPE) -> datetime:
    """The end of the newest look whose rows must have come by now; never before the cursor."""
    number = wanted.number(min(now - ripe_after(state, least), state.until)) - 1
    return max(wanted.end(number), state.cursor)


def next_look(
    state: WatchState, now: datetime, least: timedelta = LEAST_RIPE, every: timedelta | None = None
) -> datetime | None:
    """When the next look is taken: once its rows must have come, in the round that follows where rounds come `every` so
    often. None where none is left."""
    closes = state.cursor + timedelta(seconds=state.every)
    if state.ended or closes > state.until:
        return None
    ripe = max(closes + ripe_after(state, least), now)
    return ripe if every is None else state.started - every * ((state.started - ripe) // every)


def read_from(state: WatchState, wanted: RowQuery, now: datetime) -> datetime:
    """Where the next reading begins: with what is new; once an hour, and after empty looks, with what was taken."""
    back = max(state.cursor - REMEMBERED, wanted.began)
    if state.looked_back is None or now - state.looked_back >= LOOKS_BACK:
        return wanted.end(wanted.number(back) - 1)
    empty = [wanted.end(int(n) - 1) for n, answers in state.seen.items() if not answers]
    return min([state.cursor, *(at for at in empty if at >= now - REMEMBERED)])


def advance(
    state: WatchState, reading: Reading, wanted: RowQuery, span: tuple[datetime, datetime], until: datetime,
    now: datetime, migrated: Sequence[str],
) -> WatchState:  # fmt: skip
    """The state after a reading of `span`: every look that ends by `until` is taken, in order, each once."""
    first, last = wanted.number(state.cursor), wanted.number(until)
    came_late = _late(state, reading, first)
    state = _measure(state, reading, wanted, span, now, first)
    why = ""
    for number in range(first, last):
        look = reading.look(wanted, number, migrated)
        why = reading.lost(wanted, number, migrated)
        state = judge.take(state, look, migrated)
        state = _remember(state, look)
        if why:
            state = no_data(state, why, look.until)
    if came_late >= _LATE and came_late > sum(reading.answers(n) for n in range(first, last)):
        age = ripe_after(state)
        state = no_data(
            state, f"{came_late} answers came after their look was taken, up to {show(age.total_seconds())} late", now
        )
    return replace(
        state, late=state.late + came_late, bytes_read=state.bytes_read + reading.bytes_read,
        bytes_measured=state.bytes_measured and reading.measured,
        looked_back=now if span[0] < wanted.end(first - 1) or state.looked_back is None else state.looked_back,
    )  # fmt: skip


def no_data(state: WatchState, why: str, at: datetime) -> WatchState:
    """Rows are missing, as this round shows."""
    known = state.no_data
    return replace(state, no_data=NoData(why, known.since if known else at, state.rounds))


def settle(state: WatchState) -> WatchState:
    """Forget missing rows that several rounds have not shown any more."""
    if state.no_data and state.rounds - state.no_data.round >= _CLEAR:
        return replace(state, no_data=None)
    return state


def event(state: WatchState, at: datetime, text: str, mood: EventMood = "") -> WatchState:
    """One more line; the oldest are dropped."""
    return replace(state, events=(*state.events, WatchEvent(at, text, mood))[-_EVENTS:])


def _late(state: WatchState, reading: Reading, first: int) -> int:
    """Answers of looks that were taken already, and were not there then."""
    return sum(
        max(reading.answers(int(number)) - before, 0) for number, before in state.seen.items() if int(number) < first
    )


def _measure(
    state: WatchState, reading: Reading, wanted: RowQuery, span: tuple[datetime, datetime], now: datetime, first: int
) -> WatchState:
    """How late the rows were that this reading has and the last one had not; and what there is to compare with next.

    What was late is measured from the last round to this one: after a gap nothing is known of it.
    """
    seen, counts = dict(state.seen), dict(state.lateness)
    if state.rounds % _FORGET == 0:
        counts = {age: many // 2 for age, many in counts.items() if many > 1}
    measurable = state.round_at is not None and now - state.round_at <= 2.5 * wanted.every
    start, newest = max(wanted.number(span[0]), 0), max(map(int, seen), default=-1)
    for number in range(start, wanted.number(now) + 1):
        answers, before = reading.answers(number), seen.get(str(number), 0)
        if answers > before and measurable and (number > newest or str(number) in seen):
            age = str(max(round((now - wanted.end(number)).total_seconds() / 60), 0))
            counts[age] = counts.get(age, 0) + answers - before
        seen[str(number)] = max(answers, before)
    oldest = first - REMEMBERED // wanted.every - 1
    return replace(state, seen={n: many for n, many in seen.items() if int(n) >= oldest}, lateness=counts)


def _remember(state: WatchState, look: judge.Look) -> WatchState:
    """What sparklines and guards show of a look."""
    own = {slug: (one.failed, one.answers) for slug, one in look.functions.items() if one.answers}
    whole = judge.together(list(look.functions.values()))
    point = Point(look.until, whole.answers, whole.failed, look.p95, whole.probes)
    return replace(
        state, points=(*state.points, point)[-_POINTS:], slices=(*state.slices, Slice(look.until, own))[-_SLICES:]
    )


def since(state: WatchState, at: datetime) -> Mapping[str, tuple[int, int]]:
    """(failed, answers) by function in the looks that ended after a moment."""
    counts: dict[str, tuple[int, int]] = {}
    for one in state.slices:
        if one.until > at:
            for slug, (bad, answers) in one.functions.items():
                before = counts.get(slug, (0, 0))
                counts[slug] = (before[0] + bad, before[1] + answers)
    return counts
