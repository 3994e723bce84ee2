"""Carries out one step. A step that does not come true within its time raises StepFailure, in a plain sentence."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from msgspec import UNSET

from migration.base.command import AGAIN, Do, inv
from migration.base.errors import ConfigError, Failed, Unreachable
from migration.base.secrets_type import Secret, mask_typed, typed
from migration.config.browser import (
    Evaluate,
    FileUpload,
    Fill,
    Locator,
    PageExpect,
    PageStep,
    Press,
    Screenshot,
    SignIn,
    Wait,
    Whole,
)
from migration.config.pattern import search
from migration.e2e import locate, pictures, privacy
from migration.e2e.result import ProblemKind

if TYPE_CHECKING:
    from playwright.sync_api import Page

_NO_PAUSE = "does not respond: a script in it runs without a pause"
_NO_TAB = "no tab is open any more"
POLL = 100  # milliseconds between two looks
_HOPELESS = re.compile(r"net::ERR_(CONNECTION_REFUSED|NAME_NOT_RESOLVED|ADDRESS_UNREACHABLE|INTERNET_DISCONNECTED)")

_OPTIONS = "(it) => [...it.options].map((one) => [one.label, one.value])"
# The field of a file, also behind its label.
_FILE_FIELD = "(it) => [it, it.control, it.querySelector('input[type=file]')].find((each) => each?.type === 'file')"
_CLOSED = "Target page, context or browser has been closed"
# Playwright's log of an action, from the point where the page has received it.
_ACTED = re.compile(r"^\s*- (performing click action|elementHandle\.press\()", re.MULTILINE)


class StepFailure(Failed):
    """What was looked for, what was there instead, and of what kind the failure is. The run makes a result of it.

    `stuck`: the page answers no question, so that none is put to it any more.
    """

    def __init__(
        self, kind: ProblemKind, message: str, looked_for: str = "", there: tuple[str, ...] = (), stuck: bool = False
    ) -> None:
        super().__init__(message)
        self.stuck = stuck
        self.kind: ProblemKind = kind
        self.looked_for = looked_for
        self.there = there


@dataclass
class Stage:
    """The page and what the steps need: where it is, the folder of the files that they hand over, who signs in, and the
    pictures taken so far.

    `hopeless` says whether waiting longer makes no sense: a call failed, and nothing is under way any more.
    """

    page: Page
    url: str
    unique: str
    folder: Path = Path()
    email: Secret | None = None
    password: Secret | None = None
    hopeless: Callable[[], bool] = lambda: False
    pictures: dict[str, bytes] = field(default_factory=dict)


def perform(stage: Stage, step: PageStep, timeout: float) -> None:
    """StepFailure when it does not come true in `timeout` seconds; Unreachable where nothing answers at the page."""
    from playwright.sync_api import Error

    if stage.page.is_closed():
        raise StepFailure("expectation", f"{step}: {_NO_TAB}", str(step), stuck=True)
    try:
        _DO[step.action](stage, getattr(step, step.action), timeout)
    except Error as error:
        raise StepFailure("expectation", f"{step}: {_first(error)}", str(step)) from None


def _goto(stage: Stage, path: str, timeout: float) -> None:
    from playwright.sync_api import Error
    from playwright.sync_api import TimeoutError as Late

    address = urljoin(stage.url if stage.url.endswith("/") else f"{stage.url}/", path.lstrip("/") or ".")
    try:
        answer = stage.page.goto(address, wait_until="domcontentloaded", timeout=timeout * 1000)
    except Late:
        raise StepFailure("slow", f"{address} did not load within {timeout:g}s", address) from None
    except Error as error:
        if _HOPELESS.search(str(error)):
            raise Unreachable(f"Nothing answers at {address}.", Do("start the front end"), AGAIN) from None
        raise StepFailure("failed_requests", f"{address}: {_first(error)}", address) from None
    if answer is not None and answer.status >= 400:
        kind: ProblemKind = "unavailable" if answer.status == 503 else "failed_requests"
        raise StepFailure(kind, f"{address} answered {answer.status}", address)


def _sign_in(stage: Stage, form: SignIn, timeout: float) -> None:
    email = form.user.email if form.user else stage.email
    password = form.user.password if form.user else stage.password
    if email is None or password is None:
        raise ConfigError("A step of e2e signs in, and auth.user is not set.", Do("set auth.user"), inv("init"))
    if form.open:
        _click(stage, form.open, timeout)
    _typed(stage, form.email, email.reveal(), timeout)
    typed(password.reveal())
    _typed(stage, form.password, password.reveal(), timeout)
    _click(stage, form.submit, timeout)
    if form.until:
        _shown(stage, form.until, timeout)


def _fill(stage: Stage, field: Fill, timeout: float) -> None:
    if field.secret:
        typed(field.secret.reveal())
    text = field.secret.reveal() if field.secret else (field.value or "").replace("{{unique}}", stage.unique)
    _typed(stage, field, text, timeout)


def _typed(stage: Stage, locator: Locator, text: str, timeout: float) -> None:
    _shown(stage, locator, timeout)
    found = locate.element(stage.page, locator)
    with _translated(stage, locator, "filled", timeout):
        if found.evaluate("(it) => it.tagName", timeout=timeout * 1000) == "SELECT":
            _choose(stage, locator, found, text, timeout)
        else:
            found.fill(text, timeout=timeout * 1000)


def _choose(stage: Stage, locator: Locator, found: Any, text: str, timeout: float) -> None:
    """An option of a list, by what it shows or by its value; it may come later than its list."""
    from playwright.sync_api import TimeoutError as Late

    try:
        found.select_option(text, timeout=timeout * 1000)
    except Late:
        options: list[list[str]] = found.evaluate(_OPTIONS, timeout=timeout * 1000)
        if any(text in each for each in options):  # it cannot be chosen
            raise
        shown = ", ".join(f'"{label}"' for label, _ in options[:8])
        words = mask_typed(f'has no option "{text}"; there is {shown or "none"}')
        raise _failure(stage, locator, "expectation", words) from None


def _upload(stage: Stage, upload: FileUpload, timeout: float) -> None:
    """The field is often hidden behind a button, so it need not be visible; else a click on the element must ask for
    files."""
    reason = _until(stage, lambda: _absent(stage.page, upload), timeout)
    if reason is not None:
        raise _failure(stage, upload, *reason)
    files = [stage.folder / one for one in upload.files]
    found = locate.element(stage.page, upload)
    with _translated(stage, upload, "given a file", timeout):
        field = found.evaluate_handle(_FILE_FIELD, timeout=timeout * 1000).as_element()
        if field is not None:
            field.set_input_files(files, timeout=timeout * 1000)
            return
        with stage.page.expect_file_chooser(timeout=timeout * 1000) as chooser:
            found.click(timeout=timeout * 1000)
        chooser.value.set_files(files, timeout=timeout * 1000)


def _absent(page: Page, locator: Locator) -> tuple[ProblemKind, str] | None:
    """Why the one element is not there; it may be hidden."""
    if not locate.responds(page, locator.frame):
        return _stuck(locator.frame)
    count = locate.all_of(page, locator).count()
    if locator.nth is None and count > 1:
        return "expectation", f"{count} elements fit: nth says which one is meant"
    return None if locate.element(page, locator).count() else ("not_found", "not there")


def _click(stage: Stage, locator: Locator, timeout: float) -> None:
    _shown(stage, locator, timeout)
    with _translated(stage, locator, "clicked", timeout):
        locate.element(stage.page, locator).click(timeout=timeout * 1000)


def _press(stage: Stage, press: Press, timeout: float) -> None:
    if press.at is None:
        page = stage.page
        with _may_close(page):
            page.keyboard.press(press.key)
        return
    _shown(stage, press.at, timeout)
    with _translated(stage, press.at, "typed at", timeout):
        locate.element(stage.page, press.at).press(press.key, timeout=timeout * 1000)


def _wait(stage: Stage, wait: Wait, timeout: float) -> None:
    if wait.seconds is not None:
        stage.page.wait_for_timeout(wait.seconds * 1000)
    elif wait.gone:
        _expect(stage, PageExpect(**_finder(wait), absent=True), timeout)
    else:
        _shown(stage, wait, timeout)


def _expect(stage: Stage, expect: PageExpect, timeout: float) -> None:
    """Looks again and again: pages change while they are looked at."""
    reason = _until(stage, lambda: _lacks(stage.page, expect), timeout)
    if reason is None:
        return
    kind, why = reason
    raise _failure(stage, expect, kind, why)


def _evaluate(stage: Stage, evaluate: Evaluate, timeout: float) -> None:
    from playwright.sync_api import Error

    script = f"""async () => {{ try {{ const it = ({evaluate.script});
      return {{ value: (typeof it === "function" ? await it() : await it) ?? null }}; }}
      catch (error) {{ return {{ thrown: `${{error}}` }}; }} }}"""
    try:
        frame: Any = stage.page
        if evaluate.frame is not None:
            frame = (
                locate.frame_element(stage.page, evaluate.frame).element_handle(timeout=timeout * 1000).content_frame()
            )
        answer = frame.wait_for_function(script, timeout=timeout * 1000).json_value()
    except Error as error:
        if evaluate.frame is not None and not locate.frame_element(stage.page, evaluate.frame).count():
            raise _failure(stage, Whole(frame=evaluate.frame), "not_found", "not there") from None
        raise StepFailure("expectation", f"the script did not run: {_first(error)}", evaluate.script) from None
    if "thrown" in answer:
        thrown = _short(answer["thrown"])
        raise StepFailure("expectation", f"the script threw an error: {thrown}", evaluate.script)
    value, wanted = answer["value"], True if evaluate.equals is UNSET else evaluate.equals
    if (not value) if evaluate.equals is UNSET else (value != wanted):
        got, words = (mask_typed(json.dumps(each, ensure_ascii=False))[:200] for each in (value, wanted))
        raise StepFailure("expectation", f"the script gave {got}, expected {words}", evaluate.script)


def _screenshot(stage: Stage, shot: Screenshot, timeout: float) -> None:
    """Taken again until it shows something, and something else than the picture it must differ from."""
    locator = shot.of or Whole(frame=shot.frame)

    def lacks() -> tuple[ProblemKind, str] | None:
        for place in {None, shot.frame}:
            if not locate.responds(stage.page, place):
                return _stuck(place)
        target = _target(stage.page, shot)
        if target is not None and not target.is_visible():
            return "not_found", "not there"
        data = privacy.screenshot(stage.page, of=target, timeout=timeout * 1000)
        data = locate.inside(stage.page, shot.frame, data) if shot.frame else data
        stage.pictures[shot.called] = data
        return _flaw(stage, shot, data)

    reason = _until(stage, lacks, timeout)
    if reason is not None:
        raise _failure(stage, locator, *reason)


def _flaw(stage: Stage, shot: Screenshot, data: bytes) -> tuple[ProblemKind, str] | None:
    if pictures.blank(data):
        return "blank", "blank"
    if shot.differs_from and pictures.difference(data, stage.pictures[shot.differs_from]) < pictures.LEAST_CHANGE:
        return "unchanged", f"the same picture as {shot.differs_from}"
    if shot.like:
        share = pictures.difference(data, stage.pictures[shot.like])
        if share >= pictures.LEAST_CHANGE:
            return "expectation", f"{share:.1%} of its pixels differ from {shot.like}"
    return None


def _target(page: Page, shot: Screenshot) -> Any:
    if shot.of:
        return locate.element(page, shot.of)
    return locate.frame_element(page, shot.frame) if shot.frame else None


_DO: dict[str, Callable[[Stage, Any, float], None]] = {
    "goto": _goto,
    "sign_in": _sign_in,
    "fill": _fill,
    "upload": _upload,
    "click": _click,
    "press": _press,
    "wait": _wait,
    "expect": _expect,
    "evaluate": _evaluate,
    "screenshot": _screenshot,
}


# Looking, and what was there instead


def _until(
    stage: Stage, lacks: Callable[[], tuple[ProblemKind, str] | None], timeout: float
) -> tuple[ProblemKind, str] | None:
    """None as soon as nothing lacks, else the last reason when the time is over or waiting is hopeless."""
    from playwright.sync_api import Error

    waited = 0.0
    reason: tuple[ProblemKind, str] | None
    while True:
        began = _now()
        try:
            reason = lacks()
        except Error as error:
            reason = "expectation", _first(error)
        if reason is not None and stage.page.is_closed():
            return "expectation", _NO_TAB
        if reason is None or waited >= timeout or stage.hopeless():
            return reason
        with _may_close(stage.page) as page:
            page.wait_for_timeout(POLL)
        waited += _now() - began


def _shown(stage: Stage, locator: Locator, timeout: float) -> None:
    """Wait until the element can be seen."""
    _expect(stage, PageExpect(**_finder(locator)), timeout)


def _lacks(page: Page, expect: PageExpect) -> tuple[ProblemKind, str] | None:
    """What is not yet as expected; None when everything is."""
    if not locate.responds(page, expect.frame):
        return _stuck(expect.frame)
    if expect.frame and not locate.frame_element(page, expect.frame).count():
        return None if expect.absent or expect.count == 0 else ("not_found", "not there")
    elements = locate.all_of(page, expect)
    count = elements.count()
    if expect.absent:
        return ("expectation", "still there") if any(one.is_visible() for one in elements.all()) else None
    if expect.count is not None and count != expect.count:
        return "expectation", f"found {count} of them, expected {expect.count}"
    if count == 0:
        return None if expect.count == 0 else ("not_found", "not there")
    one = elements.first if expect.count is not None else locate.element(page, expect)
    if expect.text is not None and expect.nth is None:  # a text may also stand in a hidden place
        one = next((each for each in elements.all() if each.is_visible()), one)
    elif count > 1 and expect.nth is None and expect.count is None:
        return "expectation", f"{count} elements fit: nth says which one is meant"
    if not one.is_visible():
        return "not_found", "it is there, but hidden"
    return _content(page, expect, one)


def _stuck(frame: str | None) -> tuple[ProblemKind, str]:
    where = f'the frame "{frame}"' if frame else "the page"
    return "slow", f"{where} {_NO_PAUSE}"


def _content(page: Page, expect: PageExpect, one: Any) -> tuple[ProblemKind, str] | None:
    text = str(one.inner_text()) if expect.texts or expect.matches else ""
    missing = [wanted for wanted in expect.texts if wanted not in text]
    if missing:
        return "expectation", f'does not contain "{missing[0]}": "{_short(text)}"'
    if expect.matches and not search(expect.matches, text):
        return "expectation", f'does not match {expect.matches}: "{_short(text)}"'
    if expect.value is not None and one.input_value() != expect.value:
        return "expectation", f'holds "{_short(one.input_value())}", not "{expect.value}"'
    if expect.rendered:
        whole = _frame_blank(page, expect.frame) if expect.frame and not expect.finders else None
        if pictures.blank(bytes(one.screenshot(animations="disabled"))) if whole is None else whole:
            return "blank", "blank"
    return None


def _failure(stage: Stage, locator: Locator, kind: ProblemKind, why: str) -> StepFailure:
    """The sentence. What is missing in a frame that shows nothing at all is blank, not missing."""
    page, name = stage.page, str(locator)
    if why.endswith((_NO_PAUSE, _NO_TAB)):
        return StepFailure(kind, why, name, stuck=True)
    if kind == "not_found" and locator.frame and _frame_blank(page, locator.frame):
        kind, why = "blank", f'the frame "{locator.frame}" is blank'
        return StepFailure(kind, f"{name} is not there: {why}", name, locate.around(page, locator))
    others = locate.alike(page, locator) if kind == "not_found" else ""
    instead = f"; there is {others}" if others else ""
    return StepFailure(kind, f"{name}: {why}{instead}", name, locate.around(page, locator))


def _frame_blank(page: Page, name: str) -> bool:
    from playwright.sync_api import Error

    with contextlib.suppress(Error):
        frame = locate.frame_element(page, name)
        return bool(frame.is_visible()) and pictures.blank(
            locate.inside(page, name, bytes(frame.screenshot(timeout=2000)))
        )
    return False


@contextlib.contextmanager
def _translated(stage: Stage, locator: Locator, done: str, timeout: float) -> Iterator[None]:
    """Playwright's refusal of an element that is there, in our words: disabled, or covered by another one.

    A tab that closes at the click or the key has done what it was asked: no failure.
    """
    from playwright.sync_api import Error

    page = stage.page
    try:
        yield
    except Error as error:
        text = str(error)
        if page.is_closed() and _ACTED.search(text):
            return
        covered = re.search(r"<[^\n]{1,80}> (?:from [^\n]*? )?intercepts pointer events", text)
        kind = re.search(r'Input of type "(\w+)" cannot be filled', text)
        why = (
            "it is disabled" if "not enabled" in text
            else "another element covers it" if covered
            else f"nothing can be typed into a {kind[1]}; click it" if kind and kind[1] != "file"
            else "a file is not typed: use the step upload, with its file" if kind
            else "a click on it asks for no file" if '"filechooser"' in text
            else _first(error)
        )  # fmt: skip
        message = f"could not be {done} within {timeout:g}s: {why}"
        raise _failure(stage, locator, "expectation", message) from None


@contextlib.contextmanager
def _may_close(page: Page) -> Iterator[Page]:
    """What is done at a tab that may close meanwhile, by its own script or by this very key."""
    from playwright.sync_api import Error

    try:
        yield page
    except Error:
        if not page.is_closed():
            raise


def _finder(locator: Locator) -> dict[str, Any]:
    names = ("role", "name", "text", "label", "placeholder", "test_id", "selector", "exact", "nth", "frame")
    return {name: getattr(locator, name) for name in names}


def _first(error: Exception) -> str:
    """The first line of Playwright's words, without the name of its method."""
    line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if _CLOSED in line:
        return "the tab was closed"
    return mask_typed(re.sub(r"^[A-Za-z]+\.[a-z_]+: ", "", line))[:200]


def _short(text: str) -> str:
    """On one line, masked, then cut."""
    flat = mask_typed(" ".join(text.split()))
    return flat if len(flat) <= 120 else f"{flat[:120]}…"


def _now() -> float:
    import time

    return time.monotonic()
