"""From what happened to what is wrong: each fault once, as what it is. Pure functions over the page's log.

One cause has many traces: an answer of 503 is also a line in the console, a message on the page and a step that waits
in vain. The request is the problem, the rest its consequence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from migration.config.browser import Allow, PageStep, Watched
from migration.config.pattern import search
from migration.e2e.actions import StepFailure
from migration.e2e.axe import IMPACTS, Violation
from migration.e2e.result import Problem, ProblemKind
from migration.e2e.watching import ConsoleError, NetworkRequest, PageException, PageLog

_LOADING = re.compile(r"^Failed to load resource|blocked by CORS policy|net::ERR_")
# What a page says of a request that came to nothing: https://fetch.spec.whatwg.org/#fetch-method
_FETCH = re.compile(r"\bFailed to fetch\b")
# What makes a step wait in vain, the gravest first.
_GRAVE: tuple[ProblemKind, ...] = ("unavailable", "session", "failed_requests", "slow", "not_fixed", "exceptions")
_SETTLES = 1.5  # seconds that a page is given to recover by itself
_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Judge:
    """The steps, and what must hold while they run."""

    steps: Sequence[PageStep]
    watched: Watched

    def causes(self, log: PageLog, step: int) -> list[Problem]:
        """What went wrong since the last step that acted, up to this one: why it waits in vain. The gravest first."""
        since = self.acted(step)
        grave = [one for one in self.problems(log) if one.step >= since and one.kind in _GRAVE]
        return sorted(grave, key=lambda one: _GRAVE.index(one.kind))

    def problems(self, log: PageLog) -> list[Problem]:
        """Everything that the page's log shows, in the order of the steps."""
        counted: dict[ProblemKind, tuple[list[Problem], int]] = {
            "unavailable": (list(self._unavailable(log)), self.watched.unavailable.at_most),
            "session": (list(self._sessions(log)), 0),
            "failed_requests": (list(self._failed(log)), self.watched.failed_requests.at_most),
            "slow": (list(self._slow(log)), self.watched.slow.at_most),
            "exceptions": (list(self._exceptions(log)), self.watched.exceptions.at_most),
            "console_errors": (list(self._console(log)), self.watched.console_errors.at_most),
        }
        kept = [one for alike, tolerated in counted.values() if len(alike) > tolerated for one in alike]
        return sorted(kept, key=lambda one: one.step)

    def accessibility(self, by_step: Mapping[int, Sequence[Violation]]) -> list[Problem]:
        """Violations by the step whose picture showed them; a rule that is broken in several of them counts once."""
        settings = self.watched.accessibility
        grave = IMPACTS[IMPACTS.index(settings.impact) :]
        rules: dict[str, Problem] = {}
        for step, violations in by_step.items():
            for one in violations:
                if one.impact in grave and one.rule not in settings.ignore:
                    rules.setdefault(one.rule, Problem("accessibility", step, str(one)))
        return list(rules.values()) if len(rules) > settings.at_most else []

    def acted(self, step: int) -> int:
        """The number of the last step that acted, from this one backwards."""
        return next((n for n in range(step, 0, -1) if self.steps[n - 1].acts), 1)

    def allowed(self, step: int) -> Allow:
        """What is provoked on purpose at this point."""
        return self.steps[self.acted(step) - 1].allow if self.steps and step else Allow()

    def step_problem(self, log: PageLog, step: int, failure: StepFailure) -> tuple[Problem | None, str]:
        """The problem that a failed step is; or None and, in words, the one in the log whose consequence it is."""
        for one in log.pending():
            one.overdue = one.function != "" and one.step >= self.acted(step)
        causes = self.causes(log, step)
        return (None, str(causes[0])) if causes else (Problem(failure.kind, step, failure.message), "")

    def hopeless(self, log: PageLog, step: int, since: Callable[[Problem], float]) -> bool:
        """Whether waiting at this step makes no sense: a cause is known for a while, and no call is under way."""
        if any(one.function for one in log.pending()):
            return False
        return any(since(one) > _SETTLES for one in self.causes(log, step))

    def _unavailable(self, log: PageLog) -> Iterator[Problem]:
        for one in log.requests:
            if one.status == 503 and not self._excused(one, self.watched.unavailable.ignore):
                yield Problem("unavailable", one.step, f"{one.what} answered 503{_id(one)}", _request_id(one))

    def _sessions(self, log: PageLog) -> Iterator[Problem]:
        for one in log.requests:
            if one.status == 401 and one.function and not self._excused(one, self.watched.failed_requests.ignore):
                text = f"{one.what} answered 401: not signed in, or the session has expired{_id(one)}"
                yield Problem("session", one.step, text, _request_id(one))

    def _failed(self, log: PageLog) -> Iterator[Problem]:
        for one in log.requests:
            status = one.status or 0
            bad = (status >= 400 and status != 503 and not (status == 401 and one.function)) or (
                one.failure and not one.given_up
            )
            if bad and not self._excused(one, self.watched.failed_requests.ignore):
                why = f"answered {status}" if status >= 400 else self._reason(one, log)
                yield Problem("failed_requests", one.step, f"{one.method} {one.what} {why}{_id(one)}", _request_id(one))

    def _reason(self, request: NetworkRequest, log: PageLog) -> str:
        blocked = any("CORS policy" in line.text and request.url in line.text for line in log.console)
        return "was blocked by the browser: the answer lacks CORS headers" if blocked else f"failed: {request.failure}"

    def _slow(self, log: PageLog) -> Iterator[Problem]:
        now = log.ended if log.ended is not None else log.now()
        limits = self.watched.slow
        for one in log.requests:
            seconds = one.waiting(now) if one.pending else one.seconds
            most = limits.function if one.function else limits.other
            if seconds is None or _matches(limits.ignore, one.url) or not (seconds > most or one.overdue):
                continue
            took = f"has not answered for {seconds:.1f}s" if one.pending else f"took {seconds:.1f}s (at most {most:g}s)"
            yield Problem("slow", one.step, f"{one.what} {took}{_id(one)}", _request_id(one))

    def _exceptions(self, log: PageLog) -> Iterator[Problem]:
        provoked: dict[str, int] = {}
        for one in log.exceptions:
            if _matches(self.allowed(one.step).exceptions, one.text):
                provoked.setdefault(_alike(one.text), self.acted(one.step))
            elif not _matches(self.watched.exceptions.ignore, one.text) and not _unanswered(one, log.requests):
                yield self._thrown(one, provoked)

    def _thrown(self, one: PageException, provoked: Mapping[str, int]) -> Problem:
        where = " in a frame" if one.framed else ""
        first = provoked.get(_alike(one.text))
        if first is None:
            return Problem("exceptions", one.step, f"{one.text}{where}")
        return Problem(
            "not_fixed", one.step, f"the error of step {first} ({self.steps[first - 1]}) is back: {one.text}"
        )

    def _console(self, log: PageLog) -> Iterator[Problem]:
        thrown = {one.text for one in log.exceptions}
        for one in log.console:
            settings = self.watched.console_errors
            ignored = _matches(settings.ignore, one.text) or _matches(self.allowed(one.step).console_errors, one.text)
            if not ignored and not _follows(one, log.requests, thrown):
                yield Problem("console_errors", one.step, one.text)

    def _excused(self, request: NetworkRequest, ignore: Sequence[str]) -> bool:
        return _matches(ignore, request.url) or _matches(self.allowed(request.step).failed_requests, request.url)


def _follows(line: ConsoleError, requests: Sequence[NetworkRequest], thrown: set[str]) -> bool:
    """Whether a console line only repeats what a request or an exception says."""
    if any(text and text in line.text for text in thrown) or _unanswered(line, requests):
        return True
    if not _LOADING.search(line.text):
        return False
    if line.url.endswith("/favicon.ico"):  # the browser's own question; no page asked for it
        return True
    return any(one.url and (one.url == line.url or one.url in line.text) for one in requests if _bad(one))


def _unanswered(line: ConsoleError | PageException, requests: Iterable[NetworkRequest]) -> bool:
    """Whether it only repeats that a request came to nothing, which is reported itself."""
    return bool(_FETCH.search(line.text)) and any(
        one.failure and not one.given_up and one.step <= line.step for one in requests
    )


def _bad(request: NetworkRequest) -> bool:
    return bool(request.failure) or (request.status or 0) >= 400


def _matches(patterns: Iterable[str], text: str) -> bool:
    return any(search(pattern, text) for pattern in patterns)


def _alike(text: str) -> str:
    """An error's text without its numbers: a fix may move the same error to another line."""
    return _NUMBER.sub("#", text)


def _request_id(request: NetworkRequest) -> str:
    return request.headers.get("x-request-id") or request.headers.get("sb-request-id", "")


def _id(request: NetworkRequest) -> str:
    request_id = _request_id(request)
    return f" (request {request_id})" if request_id else ""
