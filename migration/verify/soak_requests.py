"""What a soak sends, what it has spent so far, and when an answer says that sending more cannot help."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from migration.base.clock import Clock
from migration.base.command import AGAIN, Do
from migration.base.errors import CutoverError, Refused
from migration.base.secrets_type import mask
from migration.clients.edge import Purpose
from migration.clients.openrouter_errors import ProviderError
from migration.config.cases import Expect, SmokeCase
from migration.config.settings import Soak
from migration.verify import described, smoke_cases
from migration.verify.forecast import unit
from migration.verify.samples import Sample
from migration.verify.smoke import CaseResult, Sender

if TYPE_CHECKING:
    from migration.context import Context

_PAUSE = 5.0  # seconds between two readings of the key
# Causes after which the next request fails as well: no connection, or a code with which a function says that its key
# or its provider's account is the reason. What the answer says in words decides nothing; the provider is asked.
_DEAD = frozenset({"unreachable", "not_configured", "provider_key", "provider_credit"})
_CLOSED = {401: "the caller is refused", 403: "the caller is refused", 404: "the function is not deployed",
           540: "the project is paused"}  # fmt: skip
_KEY = {"no_key", "unknown_key", "disabled_key", "expired_key", "wrong_kind", "key_limit", "no_credit"}


def cases(context: Context, settings: Soak) -> list[SmokeCase]:
    """The smoke cases of the migrated functions that should succeed, or the one that soak.case names.

    How long an answer took is not held against it: the criterion response_time judges that. Refused without any.
    """
    known = context.config.smoke
    if settings.case:
        chosen = smoke_cases.choose(known, [settings.case], context.config.folder)[-1:]
    else:
        live = set(described.choose(context)[0]) if known else set()
        chosen = [case for case in known if case.name in live and _suits(context, case)]
    if not chosen:
        raise Refused(
            "No smoke case of migration.functions can be soaked: it must expect success and use no capture.",
            Do("add one to the section smoke of config.yaml"),
            AGAIN,
        )
    smoke_cases.check(context, chosen)
    return [structs.replace(case, expect=_patient(case.expect)) for case in chosen]


def _patient(expect: Expect) -> Expect:
    """The same without limits of time."""
    stream = expect.stream
    rest = stream and (stream.events is not None or stream.last is not None)
    left = structs.replace(stream, first_byte=None) if stream and rest else None
    return structs.replace(expect, max_seconds=None, stream=left)


def asker(context: Context, settings: Soak) -> Callable[[int], Sample]:
    """A function that sends request n: the cases in turn."""
    chosen, sender = cases(context, settings), Sender(context, Purpose.SOAK)

    def ask(number: int) -> Sample:
        result = sender.send(chosen[number % len(chosen)])
        sample = result.sample or Sample(context.clock.now(), result.function, result.name, False, 0, 0.0)
        return sample if sample.ok else replace(sample, detail=_why(result), cause=_cause(result))

    return ask


def _cause(result: CaseResult) -> str:
    """The cause as a type: no connection, or the code in the answer."""
    if result.unreachable:
        return "unreachable"
    try:
        body = result.answer.json() if result.answer is not None else None
    except (ValueError, RecursionError):
        return ""
    code = body.get("code") if isinstance(body, dict) else None
    return code[:80].lower() if isinstance(code, str) else ""


def _why(result: CaseResult) -> str:
    """The answer's own error text, short, so that failures of one kind look alike."""
    if result.answer is None or result.answer.ok:
        return mask(str(result.failures[0])) if result.failures else ""
    try:
        text = result.answer.json()
    except (ValueError, RecursionError):
        text = result.answer.text
    return f"{result.status} {' '.join(mask(_error(text)).split())[:120]}".strip()


def _error(answer: object) -> str:
    """The error that an answer names, also one level down: `{"error": {"code": …}}`."""
    if not isinstance(answer, dict):
        return str(answer)
    named = [answer.get(key) for key in ("code", "error", "message", "msg", "detail")]
    inner = [_error(each) for each in named if isinstance(each, dict)]
    return next(filter(None, (*(each for each in named if isinstance(each, str)), *inner)), "")


class StopReason:
    """Why more requests cannot help after a failed answer; empty when they can."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked = float("-inf")

    def __call__(self, sample: Sample) -> str:
        if sample.status in _CLOSED:
            return f"{_CLOSED[sample.status]}: {sample.function} answered {sample.detail}"
        if sample.cause in _DEAD:
            return f"{sample.function}: {sample.detail}"
        return self._provider()

    def _provider(self) -> str:
        """Whether the provider still accepts the key, read every few seconds."""
        clock = self._context.clock
        if not self._context.reports_usage or clock.monotonic() - self._asked < _PAUSE:
            return ""
        self._asked = clock.monotonic()
        try:
            key = self._context.provider.key()
        except ProviderError as error:
            return f"{error.message}" if error.kind in _KEY else ""
        except CutoverError:
            return ""
        used_up = key.remaining is not None and key.remaining <= 0
        return "the provider's key has reached its limit" if used_up else ""


def _suits(context: Context, case: SmokeCase) -> bool:
    if case.function not in context.config.migration.functions:
        return False
    needs = smoke_cases.uses(case, context.config.folder)
    return not needs and all(200 <= status < 300 for status in case.expect.statuses)


# What it has spent: by the provider's own counter, and by a cautious estimate for what that may not hold yet.

LAG = 60.0  # seconds until the provider has booked a request
_EVERY = 3.0  # seconds between two readings


class SpendMeter:
    """`read` gives the key's lifetime spend in USD, None without a key; `unit` is the estimate for one request."""

    def __init__(self, read: Callable[[], float | None], unit: float, clock: Clock) -> None:
        self._read = read
        self._unit = unit
        self._clock = clock
        self._first = read()
        self._asked = clock.monotonic()
        self._young: deque[float] = deque()
        self._old = 0
        self.booked = 0.0

    @property
    def measured(self) -> bool:
        """Whether the provider has booked anything since the soak began."""
        return self.booked > 0

    @property
    def requests(self) -> int:
        return self._old + len(self._young)

    @property
    def cost(self) -> float:
        """USD spent: what is booked, else the estimate."""
        return self.booked if self.measured else self.requests * self._unit

    def count(self) -> None:
        """A request was answered."""
        self._young.append(self._clock.monotonic())

    def covers(self, limit: float, flying: int) -> bool:
        """Whether one more request stays within the limit, with `flying` ones not yet answered."""
        self._age()
        unbooked = len(self._young) if self.measured else self.requests
        return max(self.booked, 0.0) + (unbooked + flying + 1) * self._unit <= limit + 1e-9

    def refresh(self, now: bool = False) -> None:
        """Read the counter again, at most every three seconds unless `now`."""
        if self._first is None or (not now and self._clock.monotonic() - self._asked < _EVERY):
            return
        self._asked = self._clock.monotonic()
        lifetime = self._read()
        if lifetime is not None:
            self.booked = max(self.booked, lifetime - self._first)

    def _age(self) -> None:
        old = self._clock.monotonic() - LAG
        while self._young and self._young[0] <= old:
            self._young.popleft()
            self._old += 1


def meter(context: Context) -> SpendMeter:
    """The meter of a run: the provider's key if there is one, else an estimate for every request."""

    def read() -> float | None:
        if not context.reports_usage:
            return None
        try:
            return context.provider.key().usage
        except CutoverError:
            return None

    return SpendMeter(read, unit(context.config), context.clock)
