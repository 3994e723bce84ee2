"""Each fault of a page is reported as what it is, and nothing else is."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from migration.base.errors import Unreachable
from migration.e2e import e2e
from tests.migration.e2e.conftest import Make, kinds
from tests.support.pages import HEAD, PageServer, framed
from tests.support.raw_server import closed_port

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BUTTON = (
    HEAD
    + """<body><main><h1>Page</h1><button id="go">Go</button><p id="said"></p></main><script>
document.getElementById("go").onclick = async () => {
  const answer = await fetch("/functions/v1/greet", { method: "POST", body: "{}" });
  document.getElementById("said").textContent = answer.ok ? (await answer.json()).text : "It failed";
};</script></body></html>"""
)
GO = "- goto: /\n- click: {role: button, name: Go}\n- expect: Hello"
INSIDE = "- goto: /\n- expect: {role: heading, name: Made, frame: Artifact}"
VAIN = "- goto: /\n- {expect: {role: heading, name: Made, frame: Artifact}, timeout: 3s}"
# What a frame tells its page once it has come so far, and a promise of the page that waits for it.
THEN = "setTimeout(() => parent.postMessage('now', '*'))"
HEARD = "<script>self.heard = new Promise((done) => onmessage = () => done(true))</script>"
FAULTS = {
    "a 503": (BUTTON, GO, "unavailable", r"greet answered 503 \(request r-1\)"),
    "a call that hangs": (BUTTON, GO.replace("expect: Hello", "{expect: Hello, timeout: 3s}"), "slow",
                          "greet has not answered for"),
    "another status": (BUTTON, GO, "failed_requests", "POST greet answered 500"),
    "a session that ended": (BUTTON, GO, "session", "greet answered 401: not signed in, or the session has expired"),
    "a button renamed": (BUTTON.replace(">Go<", ">Start<"),
                         "- goto: /\n- {click: {role: button, name: Go}, timeout: 3s}", "not_found",
                         'the button "Go": not there; there is "Start"'),
    "an exception in a frame": (framed(f"<h1>Made</h1><script>{THEN}; throw new Error('boom')</script>", HEARD),
                                f"{INSIDE}\n- evaluate: heard\n- wait: 0.2s", "exceptions", "boom in a frame"),
    "a blank frame": (framed("<p></p>"), VAIN, "blank", 'the frame "Artifact" is blank'),
    "a console error": (f"{HEAD}<body><main><h1>Made</h1></main><script>console.error('odd')</script>",
                        "- goto: /\n- expect: Made", "console_errors", "odd"),
    "an image that is not there": (f"{HEAD}<body><main><h1>Made</h1><img src='/gone.png' alt='x'></main>",
                                   "- goto: /\n- evaluate: 'document.images[0].decode().catch(() => 1)'\n- wait: 0.2s",
                                   "failed_requests", "GET .*/gone.png answered 404"),
    "a label that is missing": (f"{HEAD}<body><main><h1>Made</h1><input></main>",
                                "- goto: /\n- screenshot: page", "accessibility", "label"),
    "a picture that stays": (f"{HEAD}<body><main><h1>Made</h1></main>", "- goto: /\n- screenshot: one\n"
                             "- screenshot: {called: two, differs_from: one}", "unchanged", "the same picture as one"),
    "a value that is another": (f"{HEAD}<body><main><h1>Made</h1></main>",
                                "- goto: /\n- evaluate: {script: 1 + 1, equals: 3}",
                                "expectation", "the script gave 2, expected 3"),
    "a field renamed": (f"{HEAD}<body><main><label>Message <input></label></main>",
                        "- goto: /\n- fill: {label: Mesage, value: hi}", "not_found",
                        'the field "Mesage": not there; there is "Message"'),
    "a script that throws": (f"{HEAD}<body><main><h1>Made</h1></main>",
                             "- goto: /\n- evaluate: \"() => { throw new Error('boom') }\"",
                             "expectation", "the script threw an error: Error: boom"),
    "a list without the option": (f"{HEAD}<body><main><label>Size <select><option value=s>Small</select></label>",
                                  "- goto: /\n- fill: {label: Size, value: Huge}", "expectation",
                                  'has no option "Huge"; there is "Small"'),
    "a box that is typed into": (f"{HEAD}<body><main><label>Agree <input type=checkbox></label>",
                                 "- goto: /\n- fill: {label: Agree, value: 'yes'}", "expectation",
                                 "nothing can be typed into a checkbox; click it"),
    "a script for a frame that is missing": (f"{HEAD}<body><main><h1>Made</h1></main>",
                                             "- goto: /\n- {evaluate: {script: '1', frame: Nope}, timeout: 0.3s}",
                                             "not_found", 'the frame "Nope": not there'),
    "a key that is no key": (f"{HEAD}<body><main><h1>Made</h1></main>", "- goto: /\n- press: Entre",
                             "expectation", 'press Entre: Unknown key: "Entre"'),
    "a page that is not there": (None, "- goto: /", "failed_requests", "answered 404"),
}  # fmt: skip


OFTEN = ("a 503", "a button renamed", "an exception in a frame", "a blank frame")  # in each run of the tests


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OFTEN else pytest.mark.long) for name in FAULTS]
)
def test_fault_is_named(name: str, chromium: Browser, make: Make, pages: PageServer) -> None:
    page, steps, kind, words = FAULTS[name]
    if page is not None:
        pages.pages["/"] = page
    status = {"a 503": 503, "another status": 500, "a session that ended": 401}.get(name, 200)
    pages.json("/functions/v1/greet", status, {"text": "Hello"}, 8 if "hangs" in name else 0, "r-1")
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium))
    assert kinds(result) == [kind], result.problems
    assert re.search(words, result.problems[0].message)
    assert result.exit_code == 1 and result.trace


def test_missing_frame_shows_the_others(chromium: Browser, make: Make, pages: PageServer) -> None:
    """In the step's own time: which frames there are, and the page around them."""
    pages.pages["/"] = framed("<h1>Made</h1>")
    failed = e2e.run(
        make(VAIN.replace("frame: Artifact", "frame: Artefact")), e2e.E2eOptions(browser=chromium, record=False)
    ).steps[1]
    assert failed.there[0] == 'there is no frame "Artefact"; there is "Artifact"'
    assert any("iframe" in line for line in failed.there)


@pytest.mark.long
def test_slow_font_disturbs_nothing_else(chromium: Browser, make: Make, pages: PageServer) -> None:
    """Every step passes, the screenshot too; the font is named."""
    style = "<style>@font-face { font-family: F; src: url(/f.woff2) } body { font-family: F }</style>"
    pages.pages["/"] = f"{HEAD}{style}<body><main><h1>Made</h1></main>"
    pages.answers["/f.woff2"] = lambda _: (time.sleep(2.5), (200, "font/woff2", b""))[1]  # type: ignore[func-returns-value]
    came = "- evaluate: 'document.fonts.ready.then(() => true)'\n- wait: 0.5s"
    steps = f"- goto: /\n- expect: Made\n- screenshot: page\n{came}"
    more = "  expect: {slow: {other: 1.5s}, console_errors: {ignore: [decode downloaded font, OTS]}}"
    result = e2e.run(make(steps, more), e2e.E2eOptions(browser=chromium))
    assert all(step.ok for step in result.steps) and kinds(result) == ["slow"], result.problems
    assert re.search(r"/f.woff2 took \d", result.problems[0].message)


@pytest.mark.long
def test_provoked_error_does_not_count_until_it_comes_back(chromium: Browser, make: Make, pages: PageServer) -> None:
    """`allow` covers what a step breaks on purpose; the same error after the mending is `not_fixed`."""
    script = "<script>function break_() { throw new Error('broken at ' + performance.now()) }</script>"
    buttons = "".join(f"<button onclick='break_()'>{name}</button>" for name in ("Break", "Fix"))
    pages.pages["/"] = f"{HEAD}<body><main>{buttons}</main>{script}"
    steps = """
- goto: /
- {name: break it, click: {role: button, name: Break}, allow: {exceptions: [broken at]}}
- wait: 0.2s
"""
    assert e2e.run(make(steps), e2e.E2eOptions(browser=chromium)).exit_code == 0
    result = e2e.run(
        make(f"{steps}- click: {{role: button, name: Fix}}\n- wait: 0.2s"), e2e.E2eOptions(browser=chromium)
    )
    assert kinds(result) == ["not_fixed"] and "the error of step 2 (break it) is back" in result.problems[0].message


def test_nothing_at_the_address_is_a_service_that_failed(chromium: Browser, make: Make) -> None:
    """Exit 3, before anything is judged."""
    with closed_port() as port, pytest.raises(Unreachable, match=rf"Nothing answers at http://127.0.0.1:{port}/"):
        e2e.run(make(f"- goto: http://127.0.0.1:{port}/"), e2e.E2eOptions(browser=chromium))


@pytest.mark.long
def test_script_without_a_pause_ends_the_run(chromium: Browser, make: Make, pages: PageServer) -> None:
    """A frame that answers nothing is named; no question to it lasts for ever."""
    loop = f"setTimeout(() => {{ {THEN}; setTimeout(() => {{ while (true) {{}} }}, 50) }}, 100)"
    pages.pages["/"] = framed(f"<h1>Made</h1><script>{loop}</script>", HEARD)
    steps = "- goto: /\n- evaluate: heard\n- wait: 0.5s\n- expect: {role: heading, name: Made, frame: Artifact}"
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium, record=False))
    assert kinds(result) == ["slow"] and 'the frame "Artifact" does not respond' in result.problems[0].message
