"""One cause has many traces: each fault is reported once, as what it is. No browser."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from migration.base.secrets_type import mask
from migration.config.browser import Accessibility, Allow, Limit, Locator, PageExpect, PageStep, Slow, Watched
from migration.e2e.actions import StepFailure
from migration.e2e.axe import Violation
from migration.e2e.judge import Judge
from migration.e2e.watching import ConsoleError, NetworkRequest, PageException, PageLog

BUTTON, HEADING = Locator(role="button", name="Go"), PageExpect(role="heading", name="Made")
STEPS = [PageStep(goto="/"), PageStep(click=BUTTON), PageStep(expect=HEADING)]
CALL = "https://p.supabase.co/functions/v1/greet"


class FakeTime:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def log(*events: Any) -> PageLog:
    found = PageLog(FakeTime())
    lists: dict[type, list[Any]] = {
        ConsoleError: found.console, PageException: found.exceptions, NetworkRequest: found.requests,
    }  # fmt: skip
    for event in events:
        lists[type(event)].append(event)
    return found


def judged(found: PageLog, **watched: Any) -> list[str]:
    return [one.kind for one in Judge(STEPS, Watched(**watched)).problems(found)]


def call(status: int | None, **more: Any) -> NetworkRequest:
    seconds = None if status is None else 0.2
    return NetworkRequest(2, "POST", CALL, 90.0, **{"status": status, "seconds": seconds, **more})


def test_tokens_of_a_redirect_are_masked() -> None:
    """A link of a mail leads back to the page with the session in its address."""
    found = PageLog(FakeTime())
    asked = Mock(url="https://x/auth/v1/verify?token=t", method="GET")
    found._request(asked)
    back = "https://app/#access_token=short-token-1&refresh_token=v1-Refresh_9&type=magiclink"
    found._response(Mock(request=asked, status=303, headers={"location": back}, ok=False, url=asked.url))
    assert mask(back) == "https://app/#access_token=[REDACTED]&refresh_token=[REDACTED]&type=magiclink"


def test_503_is_said_once() -> None:
    """The console repeats it, with the address or without."""
    line = "Failed to load resource: the server responded with a status of 503 ()"
    found = log(call(503), ConsoleError(2, line, CALL), ConsoleError(2, f"GET {CALL} net::ERR_FAILED", ""))
    assert judged(found) == ["unavailable"]


@pytest.mark.parametrize(("status", "kind"), [(401, "session"), (403, "failed_requests"), (500, "failed_requests")])
def test_status_has_its_kind(status: int, kind: str) -> None:
    assert judged(log(call(status))) == [kind]


def test_401_of_something_else_is_a_failed_request() -> None:
    assert judged(log(NetworkRequest(1, "GET", "https://x/logo", 0, 401, 0.1))) == ["failed_requests"]


def test_answer_without_cors_headers_says_so() -> None:
    """Chromium reports a blocked answer as a failed request and a line in the console."""
    line = f"Access to fetch at '{CALL}' from origin 'https://a' has been blocked by CORS policy: No header"
    found = log(call(None, failure="net::ERR_FAILED"), ConsoleError(2, line, "https://a/"))
    (problem,) = Judge(STEPS, Watched()).problems(found)
    assert problem.kind == "failed_requests" and "lacks CORS headers" in problem.message


def test_request_that_the_page_gave_up_is_nothing() -> None:
    assert judged(log(call(None, failure="net::ERR_ABORTED"))) == []


def test_exception_in_the_console_is_said_once() -> None:
    found = log(PageException(2, "boom", True), ConsoleError(2, "Uncaught Error: boom", "about:srcdoc"))
    assert judged(found) == ["exceptions"]


def test_request_that_failed_is_said_once() -> None:
    """The page's complaints repeat it: an uncaught one, and one that it writes. Without a request they count."""
    words = [PageException(3, "Failed to fetch", False), ConsoleError(3, "Error: TypeError: Failed to fetch", "")]
    assert judged(log(call(None, failure="net::ERR_FAILED"), *words)) == ["failed_requests"]
    assert judged(log(call(None, failure="net::ERR_ABORTED"), words[0])) == ["exceptions"]


def test_limits_and_patterns_of_what_does_not_count() -> None:
    found = log(ConsoleError(1, "legacy widget", ""), ConsoleError(1, "new", ""), PageException(1, "x", False))
    assert judged(found, console_errors=Limit(ignore=["legacy"]), exceptions=Limit(at_most=1)) == ["console_errors"]
    assert judged(found, console_errors=Limit(at_most=2), exceptions=Limit(at_most=1)) == []


def test_slow_has_two_limits() -> None:
    """One for functions, one for everything else, also for what has not ended."""
    slow = Slow(function=5, other=1)
    found = log(call(200, seconds=4.0), NetworkRequest(1, "GET", "https://x/font", 95.0, 200, 1.2))
    assert judged(found, slow=slow) == ["slow"]
    assert judged(log(NetworkRequest(1, "GET", "https://x/font", 95.0)), slow=slow) == ["slow"]
    assert judged(log(NetworkRequest(2, "POST", CALL, 96.0)), slow=slow) == []


def test_provoked_error_may_not_come_back() -> None:
    """Until the next step that acts it is allowed; the same one at another place is the same."""
    steps = [
        PageStep(click=BUTTON, allow=Allow(exceptions=["Unexpected"])),
        PageStep(expect=HEADING),
        PageStep(click=BUTTON),
    ]
    found = log(PageException(2, "Unexpected token (1:3)", True), PageException(3, "Unexpected token (7:1)", True))
    (problem,) = Judge(steps, Watched()).problems(found)
    assert (problem.kind, problem.step) == ("not_fixed", 3)


def test_failed_step_names_its_cause() -> None:
    """What went wrong since the last step that acted; what was before then is a problem of its own."""
    judge, failure = Judge(STEPS, Watched()), StepFailure("not_found", "the heading: not there")
    problem, cause = judge.step_problem(log(call(503)), 3, failure)
    assert problem is None and cause.startswith("503: greet answered 503")
    problem, cause = judge.step_problem(log(PageException(1, "old", False)), 3, failure)
    assert problem and problem.kind == "not_found" and cause == ""


def test_call_that_a_step_waited_for_is_slow() -> None:
    found = log(NetworkRequest(2, "POST", CALL, 97.0))
    problem, cause = Judge(STEPS, Watched()).step_problem(found, 3, StepFailure("not_found", "not there"))
    assert problem is None and "greet has not answered for 3.0s" in cause
    assert judged(found) == ["slow"]


def test_waiting_is_hopeless_once_a_call_failed() -> None:
    """Not at once, since a page may try again, and not while a call is under way."""
    judge = Judge(STEPS, Watched())
    assert not judge.hopeless(log(), 3, lambda _: 9.0)
    assert not judge.hopeless(log(call(503)), 3, lambda _: 0.5)
    assert judge.hopeless(log(call(503)), 3, lambda _: 2.0)
    assert not judge.hopeless(log(call(503), NetworkRequest(2, "POST", CALL, 99.0)), 3, lambda _: 2.0)


def test_accessibility_counts_rules() -> None:
    """From the impact on that is asked for; a rule that several pictures show counts once."""
    label = Violation("label", "critical", "Form elements must have labels", ("#a", "#b"))
    shade = Violation("region", "moderate", "All content should be in landmarks", ("body",))
    found = {2: [label, shade], 3: [label]}
    (problem,) = Judge(STEPS, Watched()).accessibility(found)
    assert problem.message == "Form elements must have labels (label, critical) at #a and 1 more"
    assert Judge(STEPS, Watched(accessibility=Accessibility(ignore=["label"]))).accessibility(found) == []
    assert len(Judge(STEPS, Watched(accessibility=Accessibility(impact="minor"))).accessibility(found)) == 2
