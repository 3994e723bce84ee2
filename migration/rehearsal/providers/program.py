"""Fault programs: how a stand-in misbehaves, drawn from a seed and the request's number, never from the clock."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

OK = "ok"
# What a provider does wrong while it answers 200, or with a body that no status describes.
NAMED = frozenset({OK, "inside-a", "inside-b", "inside-c", "length", "malformed", "null-cost", "429-own", "torn"})
BLOCK = 20  # an even program spreads its errors over blocks of so many requests
Latency = tuple[float, float] | Mapping[str, float]


class BadProgram(ValueError):
    """A fault program that is wrong; the message names the key and what would be right."""


@dataclass(frozen=True)
class Program:
    """What goes wrong, how often, how slowly.

    error_rate: outcome (an HTTP status or one of NAMED) -> share of requests, 0 to 1, together at most 1.
    latency: seconds; (low, high) is uniform, {"p50": s, "p95": s} log-normal.
    retry_after: seconds, sent with 429 and 503; None sends no header.
    even: errors are spread over blocks of 20 requests, so that a short rehearsal sees the rate that was asked for.
    burst: an overload lasts: a request that was refused is refused again until it has met so many errors in a row.
    sequence: outcomes of the first requests, before the dice decide.
    """

    error_rate: Mapping[str, float] = field(default_factory=dict)
    latency: Latency = (0.0, 0.0)
    seed: int = 0
    retry_after: float | None = None
    even: bool = False
    burst: int = 1
    sequence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for outcome in (*self.error_rate, *self.sequence):
            if outcome not in NAMED and not outcome.isdigit():
                raise BadProgram(f"unknown outcome {outcome!r}: an HTTP status or one of {', '.join(sorted(NAMED))}")
        if any(rate < 0 for rate in self.error_rate.values()) or sum(self.error_rate.values()) > 1 + 1e-9:
            raise BadProgram("error_rate: shares lie between 0 and 1 and add up to at most 1")


KEYS = frozenset(each.name for each in fields(Program))


def parse(values: Mapping[str, Any]) -> Program:
    """Read a program as config.yaml or a JSON body gives it; BadProgram names what is wrong."""
    if not isinstance(values, Mapping):
        raise BadProgram(f"should be a mapping of {', '.join(sorted(KEYS))}")
    unknown = sorted(map(str, set(values) - KEYS))
    if unknown:
        raise BadProgram(f"unknown key {unknown[0]!r}: one of {', '.join(sorted(KEYS))}")
    given = dict(values)
    try:
        if "error_rate" in given:
            given["error_rate"] = {str(name): float(rate) for name, rate in given["error_rate"].items()}
        if "latency" in given:
            given["latency"] = _latency(given["latency"])
        if "sequence" in given:
            given["sequence"] = tuple(str(each) for each in given["sequence"])
        if "burst" in given:
            given["burst"] = int(given["burst"])
    except (TypeError, AttributeError, KeyError, ValueError, OverflowError) as error:
        raise BadProgram(f"a value of the wrong form: {error}") from error
    return Program(**given)


def _latency(value: Any) -> Latency:
    if isinstance(value, Mapping):
        return {"p50": float(value["p50"]), "p95": float(value["p95"])}
    if isinstance(value, Sequence):
        low, high = value
        return float(low), float(high)
    return float(value), float(value)


@dataclass(frozen=True)
class Turn:
    """What becomes of one request."""

    number: int
    outcome: str
    seconds: float

    @property
    def status(self) -> int | None:
        """The HTTP status to refuse with, None when the outcome is not a status."""
        return int(self.outcome) if self.outcome.isdigit() else None


class Dice:
    """Draws the turns of one program; the n-th request meets the same fate in every rehearsal."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.requests = 0
        self.drawn = 0
        self.outcomes: dict[str, int] = {}
        self._lasting: dict[str, tuple[str, int]] = {}

    def turn(self, request: str = "") -> Turn:
        """Decide about the next request; `request` tells apart whose retries a burst meets."""
        number = self.requests
        self.requests += 1
        outcome = self._lasts(request) or self._draw(request)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        return Turn(number, outcome, self._seconds(number))

    def _lasts(self, request: str) -> str | None:
        outcome, left = self._lasting.pop(request, (OK, 0))
        if left == 0:
            return None
        if left > 1:
            self._lasting[request] = outcome, left - 1
        return outcome

    def _draw(self, request: str) -> str:
        number = self.drawn
        self.drawn += 1
        sequence = self.program.sequence
        if number < len(sequence):
            return sequence[number]
        outcome = self._outcome(self._chance(number - len(sequence)))
        if outcome != OK and self.program.burst > 1:
            self._lasting[request] = outcome, self.program.burst - 1
        return outcome

    def _chance(self, number: int) -> float:
        if not self.program.even:
            return random.Random(f"{self.program.seed}:{number}").random()
        block, place = divmod(number, BLOCK)
        order = list(range(BLOCK))
        random.Random(f"{self.program.seed}:block:{block}").shuffle(order)
        return (order[place] + 0.5) / BLOCK

    def _outcome(self, chance: float) -> str:
        for outcome, rate in self.program.error_rate.items():
            if chance < rate:
                return outcome
            chance -= rate
        return OK

    def _seconds(self, number: int) -> float:
        dice = random.Random(f"{self.program.seed}:latency:{number}")
        latency = self.program.latency
        if isinstance(latency, tuple):
            return dice.uniform(*latency)
        spread = math.log(latency["p95"] / latency["p50"]) / 1.6449 if latency["p50"] > 0 else 0.0
        return latency["p50"] * math.exp(dice.gauss(0, spread))
