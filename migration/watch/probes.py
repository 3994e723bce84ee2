"""Requests of our own where no one calls: only where `watch.probes` asks for them, only cases with `probe: true`.

Their user agent sets them apart from callers' requests, and they are named as probes in every figure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from migration.base.errors import CutoverError
from migration.base.numbers import count
from migration.clients.edge import Purpose
from migration.config.cases import SmokeCase
from migration.providers.openrouter import usual_cost
from migration.verify import smoke
from migration.watch import progress
from migration.watch.model import WatchState

if TYPE_CHECKING:
    from migration.config.settings import Config
    from migration.context import Context

_DAY = 86_400.0


def cases(config: Config) -> list[SmokeCase]:
    """What a watch may send; nothing without `watch.probes`."""
    return [case for case in config.smoke if case.probe and case.when != "before"] if config.watch.probes else []


def announced(config: Config) -> str:
    """The most that the probes of a day may come to; empty where none are sent."""
    chosen, settings = cases(config), config.watch.probes
    if not chosen or settings is None:
        return ""
    many = int(_DAY / settings.every) * len(chosen)
    cost = min(many * usual_cost(config), settings.max_cost)
    return f"Probes: at most {count(many, 'request')} a day, about ${cost:.2f}; they stop at ${settings.max_cost:.2f}."


def send(context: Context, state: WatchState) -> WatchState:
    """The state after the probes that are due; those that would pass the cap are not sent, which is noted once."""
    config, now = context.config, context.clock.now()
    chosen, settings = cases(config), config.watch.probes
    if not chosen or settings is None:
        return state
    if state.probed_at is not None and (now - state.probed_at).total_seconds() < settings.every:
        return state
    cost = usual_cost(config) * len(chosen)
    if state.probe_cost + cost > settings.max_cost:
        words = f"probes stopped: they have cost about ${state.probe_cost:.2f} of ${settings.max_cost:.2f}"
        known = any(one.text == words for one in state.events)
        return state if known else progress.event(state, now, words)
    try:
        result = smoke.run(context, [case.name for case in chosen], lines=False, purpose=Purpose.WATCH)
    except CutoverError as error:
        return progress.event(replace(state, probed_at=now), now, f"could not send the probes: {error.message}")
    bad = [case.name for case in result.cases if not case.ok]
    if bad:
        state = progress.event(state, now, f"{count(len(bad), 'probe')} failed: {', '.join(bad)}", "bad")
    return replace(
        state, probed_at=now, probe_cost=state.probe_cost + cost,
        probe_requests=state.probe_requests + len(result.cases),
    )  # fmt: skip
