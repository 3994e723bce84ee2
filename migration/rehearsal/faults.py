"""Faults on demand: which call of which operation goes wrong, and how.

A fault is a mapping with `operation` and `do`, and any of
  slug, region   only calls for this function, from this region
  nth            the first matching call that is hit, counted from 1 at arming
  times          how many matching calls are hit from there on; 0 for all of them; 1 unless `seconds` is given
  seconds        ends so long after arming, whatever `times` says
  applied        the request takes effect before its answer goes wrong
and what its kind needs; `KINDS` lists the kinds, `OPERATIONS` the operations.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migration.rehearsal.operations import OPERATIONS

KINDS = {
    "status": "answer `status` with `body` (text or JSON) and `headers`",
    "html": "answer 200 (or `status`) with a page of HTML, as a proxy on the way does",
    "empty": "answer the right status without a body",
    "json": "answer `body` as JSON with the right status: a wrong shape",
    "patch": "merge `patch` into the JSON answer (a list: into the rows of `slug`) and leave out the keys of `remove`",
    "delay": "answer rightly, `ms` later",
    "reset": "drop the connection by RST, before reading the body unless `after_body` or `applied`",
    "close": "end the connection in order, without an answer",
    "hang": "never answer, for `hold` seconds at most",
    "trickle": "answer rightly, `bytes` at a time every `ms`",
    "cut": "send `share` (0 to 1) of the answer's body, then drop the connection; `chunked` for a cut chunk",
    "garbage": "answer bytes that are no HTTP",
    "error": "logs: `error` inside HTTP 200, as the log backend fails",
    "down": "drop every connection and refuse new ones for `down_seconds`",
    "partial": "activate: leave out the functions in `skip`, and answer as if all were done",
    "layout": "body: answer in this `layout`",
    "stale": "route: an older version answers (`version`, else the one before)",
    "missing": "route: answer 404 although the function is live",
}

_SEMANTIC = {"error": "logs", "partial": "activate", "layout": "body", "stale": "route", "missing": "route"}
_HANDED = {"route"}
_NUMBERS = ("nth", "times", "seconds", "ms", "bytes", "share", "hold", "down_seconds", "status")


class BadFault(ValueError):
    """A fault that would never do anything; the text says what is wrong with it."""


@dataclass
class ArmedFault:
    """A fault and how often it was met; `seen` counts the calls it looked at, `hits` those it spoiled."""

    number: int
    fault: Mapping[str, Any]
    ends: float | None = None
    seen: int = 0
    hits: int = 0

    def looks(self, operation: str, slug: str | None, region: str | None) -> bool:
        """Whether it is about such calls; counts them. A call for all functions is met by a fault of any one."""
        about = slug is None or self.fault.get("slug", slug) == slug
        if operation != self.fault["operation"] or not about or self.fault.get("region", region) != region:
            return False
        self.seen += 1
        return True

    def due(self) -> bool:
        if self.ends is not None and time.monotonic() > self.ends:
            return False
        times = int(self.fault.get("times", 0 if self.ends is not None else 1))
        first = int(self.fault.get("nth", 1))
        return self.seen >= first and (times == 0 or self.hits < times)

    def shown(self) -> dict[str, Any]:
        return {"number": self.number, "seen": self.seen, "hits": self.hits, **self.fault}


@dataclass
class FaultBox:
    """The armed faults, in the order of arming; the first that meets a call is the one. Safe to use from threads."""

    armed: list[ArmedFault] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, faults: Sequence[Mapping[str, Any]]) -> list[ArmedFault]:
        """All or none: BadFault when one names no known operation or kind, or a number is none."""
        for fault in faults:
            check(fault)
        now = time.monotonic()
        ends = [now + fault["seconds"] if "seconds" in fault else None for fault in faults]
        with self._lock:
            fresh = [ArmedFault(next(self._numbers), dict(fault), end) for fault, end in zip(faults, ends, strict=True)]
            self.armed += fresh
        return fresh

    def take(self, operation: str, slug: str | None = None, region: str | None = None) -> Mapping[str, Any] | None:
        """The fault for this call, used up by one; every fault that looks for such calls counts it."""
        with self._lock:
            looking = [each for each in self.armed if each.looks(operation, slug, region)]
            hit = next((each for each in looking if each.due()), None)
            if hit is None:
                return None
            hit.hits += 1
            return {**hit.fault, "number": hit.number}

    def clear(self) -> None:
        with self._lock:
            self.armed.clear()

    def shown(self) -> list[dict[str, Any]]:
        with self._lock:
            return [each.shown() for each in self.armed]


class PartFaults:
    """The faults that the parts act on themselves; the rest is acted on at the connection, and counted once."""

    def __init__(self, box: FaultBox) -> None:
        self._box = box

    def take(self, operation: str, slug: str | None = None, region: str | None = None) -> Mapping[str, Any] | None:
        acted_on = operation in OPERATIONS and operation not in _HANDED
        return None if acted_on else self._box.take(operation, slug, region)


def check(fault: Mapping[str, Any]) -> None:
    if not isinstance(fault, Mapping):
        raise BadFault("a fault is an object")
    operation, kind = fault.get("operation"), fault.get("do")
    if operation not in OPERATIONS:
        raise BadFault(f"operation {operation!r} is none of {', '.join(OPERATIONS)}")
    if kind not in KINDS:
        raise BadFault(f"do {kind!r} is none of {', '.join(KINDS)}")
    if _SEMANTIC.get(str(kind), operation) != operation or (operation == "route" and kind not in ("stale", "missing")):
        raise BadFault(f"{kind} does not go with operation {operation}")
    for name in _NUMBERS:
        if name in fault and (isinstance(fault[name], bool) or not isinstance(fault[name], int | float)):
            raise BadFault(f"{name} must be a number")
    if kind == "status" and "status" not in fault:
        raise BadFault("a status fault needs `status`")
