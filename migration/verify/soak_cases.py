"""What a soak sends, and when an answer says that sending more is pointless."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from migration.base.errors import CutoverError, Refused
from migration.base.secrets_type import mask
from migration.clients.openrouter_errors import ProviderError
from migration.config.cases import SmokeCase
from migration.config.settings import Soak
from migration.verify import captures, smoke_cases
from migration.verify.samples import Sample
from migration.verify.smoke import CaseResult, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from migration.context import Context

_PAUSE = 5.0  # seconds between two questions to the provider
_DEAD = re.compile(
    r"not.?configured|provider_key|provider_credit|insufficient credits|limit exceeded|user not found|"
    r"no auth credentials|cannot be reached",
    re.IGNORECASE,
)
_CLOSED = {401: "the caller is refused", 403: "the caller is refused", 404: "the function is not there",
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
        chosen = [case for case in known if _suits(context, case)]
    if not chosen:
        raise Refused(
            "no smoke case of migration.functions expects success without another case's capture: nothing to soak with",
            "add one to the section smoke of config.yaml",
        )
    smoke_cases.check(context, chosen)
    return [structs.replace(case, expect=structs.replace(case.expect, max_seconds=None)) for case in chosen]


def asker(context: Context, settings: Soak) -> Callable[[int], Sample]:
    """A function that sends request n: the cases in turn."""
    chosen, sender = cases(context, settings), Sender(context)

    def ask(number: int) -> Sample:
        result = sender.send(chosen[number % len(chosen)])
        found = result.sample or Sample(context.clock.now(), result.function, result.name, False, 0, 0.0)
        return found if found.ok else replace(found, detail=_why(result))

    return ask


def _why(result: CaseResult) -> str:
    """What the answer says of itself, in few words so that failures of one kind look alike."""
    if result.answer is None or result.answer.ok:
        return mask(str(result.failures[0])) if result.failures else ""
    try:
        said = result.answer.json()
    except ValueError:
        said = result.answer.text
    if isinstance(said, dict):
        said = next((said[key] for key in ("code", "error", "message", "msg") if isinstance(said.get(key), str)), "")
    return f"{result.status} {' '.join(mask(str(said)).split())[:120]}".strip()


class Hopeless:
    """Why going on is pointless after a failed answer; empty when it is not."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked = float("-inf")

    def __call__(self, sample: Sample) -> str:
        if sample.status in _CLOSED:
            return f"{_CLOSED[sample.status]}: {sample.function} answered {sample.detail} (inv doctor)"
        if _DEAD.search(sample.detail):
            return f"{sample.function}: {sample.detail} (inv doctor)"
        return self._provider()

    def _provider(self) -> str:
        """Whether the provider still takes our key, asked now and then."""
        clock, own = self._context.clock, self._context.environment
        if not own.provider_key or self._context.config.provider is None or clock.monotonic() - self._asked < _PAUSE:
            return ""
        self._asked = clock.monotonic()
        try:
            found = self._context.provider.key()
        except ProviderError as error:
            return f"{error.message} (inv doctor)" if error.kind in _KEY else ""
        except CutoverError:
            return ""
        used_up = found.remaining is not None and found.remaining <= 0
        return "the provider's key has no limit left (inv doctor)" if used_up else ""


def _suits(context: Context, case: SmokeCase) -> bool:
    if case.function not in context.config.migration.functions:
        return False
    needs = captures.used(case.headers, smoke_cases.body_of(case, context.config.folder))
    return not needs and all(200 <= status < 300 for status in case.expect.statuses)
