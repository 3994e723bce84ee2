"""`inv e2e`: the steps of config.yaml in a real browser, and what must hold meanwhile."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base.command import AGAIN, Do, inv
from migration.base.errors import ConfigError, CutoverError, Refused
from migration.base.numbers import at_most, count
from migration.config import load as configuration
from migration.context import writable
from migration.e2e import axe, calls, privacy
from migration.e2e import browser as browsers
from migration.e2e.actions import Stage, StepFailure, perform
from migration.e2e.film import Film
from migration.e2e.judge import Judge
from migration.e2e.result import CallResult, E2eResult, Problem, StepResult
from migration.e2e.watching import PageLog
from migration.verify import forecast

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from migration.config.browser import E2e, PageStep
    from migration.context import Context

_OURS = f"{'[0-9]' * 8}-{'[0-9]' * 6}-*"
KEPT = 10  # runs whose folder stays under .cutover/e2e


@dataclass(frozen=True)
class E2eOptions:
    """`confirm` is asked once, with the most that the run may cost. `browser`: one that is running already.

    `folder`: where runs are kept, each in a folder of its own; `.cutover/e2e` where none is named. `record`: trace and
    video, which a run that fails leaves.
    """

    headed: bool = False
    folder: Path | None = None
    record: bool = True
    confirm: Callable[[str], bool] = lambda _: True
    browser: Browser | None = None


def settings(context: Context) -> E2e:
    """The section `e2e`. Refused without one."""
    own = context.config.e2e
    if own is None:
        raise Refused("config.yaml has no section e2e: there is nothing to drive.", Do("see docs/e2e.md"))
    return own


def address(context: Context) -> str:
    """Where the page is in this environment. ConfigError where nothing says so."""
    own, name = settings(context), context.environment.name
    if context.environment.site:
        return context.environment.site
    url = own.url.get(name) if isinstance(own.url, dict) else own.url
    if url is None:
        raise ConfigError(f"e2e.url names no page for {name}.", Do(f"add e2e.url.{name} to config.yaml"), AGAIN)
    return str(configuration.need(url, "e2e.url", "the browser"))


def ready(context: Context) -> None:
    """Refused or ConfigError where a run could not begin: no steps, page, user, file to upload or browser."""
    address(context)
    own = context.environment
    if any(step.sign_in and not step.sign_in.user for step in settings(context).steps):
        user = context.config.auth.user
        for value, given, name in (
            (own.user_email, user and user.email, "email"),
            (own.user_password, user and user.password, "password"),
        ):
            if value is None:
                configuration.need(given or None, f"auth.user.{name}", "a step of e2e that signs in")
                raise ConfigError("A step of e2e signs in, and auth.user is not set.", Do("set auth.user"), inv("init"))
    _files(context)
    browsers.ready()


def _files(context: Context) -> None:
    """ConfigError for a file to upload that is not there: named with its step, before anything begins."""
    for number, step in enumerate(settings(context).steps, 1):
        for name in step.upload.files if step.upload else ():
            file = context.config.folder / str(configuration.need(name, f"e2e.steps.{number - 1}.upload.file", "e2e"))
            if not file.is_file() or not os.access(file, os.R_OK):
                why = "cannot be read" if file.exists() else "is not there"
                raise ConfigError(f"Step {number} of e2e ({step}) uploads {file}, which {why}.",
                                  Do("correct the step in config.yaml"), AGAIN)  # fmt: skip


def run(context: Context, options: E2eOptions | None = None) -> E2eResult:
    """Drive the page. Refused before anything begins: see `ready`, and where the person does not agree to the cost."""
    options = options or E2eOptions()
    ready(context)
    own, cost = settings(context), forecast.steps_cost(context.config)
    offer = _offer(len(own.steps), sum(bool(step.costs) for step in own.steps), cost)
    context.observer.note(f"{offer}.")
    if not options.confirm(f"{offer}. Drive {address(context)} on {context.environment.name}"):
        raise Refused("Not confirmed: nothing was sent.", inv("e2e", yes=True))
    folder = _folder(context, options.folder or _kept(context))
    with _browser(options) as browser:
        return _Run(context, own, browser, folder, cost, options.record).carry_out()


def record(context: Context, result: E2eResult) -> None:
    """Evidence on the deployment: a note in the ledger of a project, beside the deployment that it is about.

    A ledger that cannot be written is a warning: what the browser showed stands.
    """
    if not context.environment.project_ref:
        return
    done = sum(step.ok is True for step in result.steps)
    text = f"e2e {result.verdict}: {done} of {count(len(result.steps), 'step')} at {result.url}"
    try:
        live = context.ledger.history().live
        about = {"deployment": live.id} if live else {}
        context.ledger.append({"record": "note", "text": f"{text}; {result.why}" if result.why else text, **about})
    except CutoverError as error:
        context.observer.warn(f"The result is not in the ledger: {error.message}")


def _offer(steps: int, paid: int, cost: float) -> str:
    """What a run does and may cost."""
    if not paid:
        return f"{count(steps, 'step')}; none costs money"
    return f"{count(steps, 'step')}, of which {paid} {'costs' if paid == 1 else 'cost'} money: at most {at_most(cost)}"


@contextmanager
def _browser(options: E2eOptions) -> Iterator[Browser]:
    if options.browser is not None:
        yield options.browser
        return
    with browsers.launched(options.headed) as browser:
        yield browser


def _kept(context: Context) -> Path:
    own = context.root / ".cutover" / "e2e"
    return own if writable(own) else context.state / "e2e"


def _folder(context: Context, top: Path) -> Path:
    """A folder of this run; the oldest ones go."""
    folder = top / f"{context.clock.now():%Y%m%d-%H%M%S}-{context.environment.name}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    for old in sorted(path for path in top.glob(_OURS) if path.is_dir())[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


@dataclass
class _Run:
    """One run in one browser context: nothing of an earlier run is stored there."""

    context: Context
    own: E2e
    browser: Browser
    folder: Path
    cost: float
    record: bool
    results: list[StepResult] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    violations: dict[int, list[axe.Violation]] = field(default_factory=dict)
    screenshots: list[str] = field(default_factory=list)
    stuck: bool = False

    def __post_init__(self) -> None:
        self.log = PageLog(self.context.clock.monotonic)
        self.judge = Judge(self.own.steps, self.own.watched)
        self._known: dict[Problem, float] = {}

    def carry_out(self) -> E2eResult:
        began, at = self.context.clock.monotonic(), self.context.clock.now()
        size: Any = {"width": self.own.viewport.width, "height": self.own.viewport.height}
        inside = self.browser.new_context(viewport=size)
        try:
            self.log.attach(inside)
            if self.record:
                inside.tracing.start(snapshots=True, screenshots=False, sources=False)
            page = inside.new_page()
            film = Film(page) if self.record else None
            stage = Stage(
                page, address(self.context), secrets.token_hex(4), self.context.config.folder, *self._user(),
                hopeless=self._hopeless,
            )  # fmt: skip
            _follow(stage, page)
            inside.on("page", lambda opened: _follow(stage, opened))
            inside.on("dialog", lambda dialog: dialog.accept())
            self._steps(stage, film)
            self.log.end()
            self.log.learn()
            self.problems += [*self.judge.problems(self.log), *self.judge.accessibility(self.violations)]
            results = self._tied(at)
            kept = self._keep(inside, film) if film else ("", "")
        finally:
            self.log.end()
            inside.close()
        return self._result(results, kept, self.context.clock.monotonic() - began)

    def _user(self) -> tuple[Any, Any]:
        return self.context.environment.user_email, self.context.environment.user_password

    def _steps(self, stage: Stage, film: Film | None) -> None:
        for number, step in enumerate(self.own.steps, 1):
            if any(result.ok is False for result in self.results):
                self.results.append(StepResult(number, str(step), None))
                continue
            self.log.step = number
            if film:
                film.begin(step.types_secret)
            self.results.append(self._one(stage, number, step))
            self.log.learn()
            if film:
                film.check(readable=not self.stuck)

    def _one(self, stage: Stage, number: int, step: PageStep) -> StepResult:
        observer, began = self.context.observer, self.context.clock.monotonic()
        observer.step("e2e", self._place(number), str(step))
        try:
            perform(stage, step, step.timeout or self.own.timeout)
        except StepFailure as failure:
            return self._failed(stage, number, step, failure, self.context.clock.monotonic() - began)
        shot = self._pictured(stage, number, step)
        seconds = self.context.clock.monotonic() - began
        observer.done("e2e", self._place(number), str(step), seconds)
        return StepResult(number, str(step), True, round(seconds, 3), screenshot=shot)

    def _place(self, number: int) -> str:
        return f"{number:>{len(str(len(self.own.steps)))}}"

    def _pictured(self, stage: Stage, number: int, step: PageStep) -> str:
        """Keep the picture that a step took, and let axe look at what it shows."""
        shot = step.screenshot
        if shot is None:
            return ""
        if shot.accessible:
            frame = shot.of.frame if shot.of else shot.frame
            self.violations[number] = axe.violations(stage.page, frame)
        return self._write(f"{number:02}-{shot.called}.png", stage.pictures[shot.called])

    def _failed(self, stage: Stage, number: int, step: PageStep, failure: StepFailure, seconds: float) -> StepResult:
        from playwright.sync_api import Error

        problem, cause = self.judge.step_problem(self.log, number, failure)
        if problem:
            self.problems.append(problem)
        self.context.observer.failed("e2e", self._place(number), str(step))  # the result says why, once
        self.stuck, picture = failure.stuck, ""
        with suppress(Error):
            if not self.stuck:
                picture = self._write(f"{number:02}-failed.png", privacy.screenshot(stage.page, timeout=5000))
        return StepResult(
            number,
            str(step),
            False,
            round(seconds, 3),
            failure.message,
            cause,
            failure.looked_for,
            failure.there,
            picture,
        )

    def _hopeless(self) -> bool:
        """A cause is known for a while and nothing is under way: the step's own time need not pass."""
        now = self.context.clock.monotonic()
        return self.judge.hopeless(self.log, self.log.step, lambda one: now - self._known.setdefault(one, now))

    def _tied(self, since: datetime) -> list[CallResult]:
        """The calls beside their rows, and what these lack."""
        tied = calls.tied(self.context, calls.calls_of(self.log.requests), self.own.watched.calls, since)
        self.problems += calls.problems(self.context, tied)
        return tied

    def _keep(self, inside: Any, film: Film) -> tuple[str, str]:
        """Trace and video of a run that failed, without secrets; nothing of one that passed."""
        film.stop()
        if not self.problems:
            inside.tracing.stop()
            return "", ""
        self.context.observer.step("trace", detail="masking secrets")
        with tempfile.TemporaryDirectory() as scratch:
            raw = Path(scratch) / "trace.zip"
            inside.tracing.stop(path=raw)
            privacy.clean(raw, self.folder / "trace.zip")
        video = self.folder / "video.webp"
        kept = str(self.folder / "trace.zip"), str(video) if film.save(video) else ""
        self.context.observer.done("trace", detail="without secrets")
        return kept

    def _write(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        self.screenshots.append(str(path))
        return str(path)

    def _result(self, results: Sequence[CallResult], kept: tuple[str, str], seconds: float) -> E2eResult:
        trace, video = kept
        problems = tuple(sorted(self.problems, key=lambda one: one.step))
        return E2eResult(
            address(self.context),
            tuple(self.results),
            problems,
            tuple(results),
            tuple(line.text for line in self.log.console),
            tuple(self.screenshots),
            round(self.cost, 4),
            round(seconds, 3),
            str(self.folder),
            trace,
            video,
            tuple(_next(problems, trace)),
        )


def _follow(stage: Stage, opened: Any) -> None:
    """A tab that opens is where a user looks from now on; once it is closed, at the last one that is still open."""

    def back(_: Any) -> None:
        if stage.page is opened:
            stage.page = next((page for page in reversed(opened.context.pages) if not page.is_closed()), opened)

    stage.page = opened
    opened.on("close", back)


def _next(problems: Sequence[Problem], trace: str) -> Iterator[Any]:
    ids = [one.request_id for one in problems if one.request_id]
    if ids:
        yield inv("logs", request=ids[0])
    if trace:
        from migration.base.command import sh

        yield sh("uv", "run", "--group", "e2e", "playwright", "show-trace", trace)
