"""What happens on the page while the steps run: console lines, uncaught exceptions, requests. Judges nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from migration.base.secrets_type import Secret, mask_typed
from migration.clients.edge import called

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

_TOKENS = ("access_token", "refresh_token", "provider_token", "provider_refresh_token")
_ABORTED = "net::ERR_ABORTED"  # the page itself gave the request up


@dataclass(frozen=True)
class ConsoleError:
    """A line that the page wrote to its console as an error; `url` is where it came from."""

    step: int
    text: str
    url: str


@dataclass(frozen=True)
class PageException:
    """An uncaught exception, in the page or in one of its frames."""

    step: int
    text: str
    framed: bool


@dataclass
class NetworkRequest:
    """One request of the page. Times in seconds; `status` and `seconds` are None until it is answered to the end.

    `overdue`: a step waited for it in vain.
    """

    step: int
    method: str
    url: str
    began: float
    status: int | None = None
    seconds: float | None = None
    failure: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    overdue: bool = False

    @property
    def function(self) -> str:
        """The slug of the function that it calls; empty for anything else, and for the question before it (CORS)."""
        return "" if self.method == "OPTIONS" else called(self.url)

    @property
    def pending(self) -> bool:
        return self.seconds is None and not self.failure

    @property
    def given_up(self) -> bool:
        return self.failure == _ABORTED

    @property
    def what(self) -> str:
        """The function, or the address without its query."""
        parts = urlsplit(self.url)
        return self.function or (f"{parts.netloc}{parts.path}" if parts.netloc else self.url[:80])

    def waiting(self, now: float) -> float:
        """Seconds since it began, for one that is not answered."""
        return now - self.began


class PageLog:
    """Collects while `step` says which step is under way. `end` closes it: what comes later is the browser's end."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.step = 0
        self.console: list[ConsoleError] = []
        self.exceptions: list[PageException] = []
        self.requests: list[NetworkRequest] = []
        self.ended: float | None = None
        self._open: dict[Any, NetworkRequest] = {}
        self._sessions: list[Any] = []

    def attach(self, context: BrowserContext) -> None:
        """Listen to every page and frame of a browser context."""
        context.on("console", self._console)
        context.on("weberror", self._exception)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("requestfinished", self._finished)
        context.on("requestfailed", self._failed)

    def end(self) -> None:
        self.ended = self.now()

    def pending(self) -> Iterator[NetworkRequest]:
        return (one for one in self.requests if one.pending)

    def learn(self) -> None:
        """Remember the tokens of sessions that began, so that they are masked wherever they are kept."""
        from playwright.sync_api import Error

        while self._sessions:
            try:
                session = self._sessions.pop().json()
            except (Error, ValueError):
                continue
            _remember(session if isinstance(session, dict) else {})

    def _console(self, message: Any) -> None:
        if self.ended is None and message.type == "error":
            self.console.append(ConsoleError(self.step, mask_typed(message.text), str(message.location.get("url", ""))))

    def _exception(self, raised: Any) -> None:
        if self.ended is None:
            error = raised.error
            framed = "about:srcdoc" in str(getattr(error, "stack", "") or "")
            self.exceptions.append(PageException(self.step, mask_typed(str(getattr(error, "message", error))), framed))

    def _request(self, request: Any) -> None:
        if self.ended is None and not request.url.startswith(("data:", "blob:", "about:")):
            opened = NetworkRequest(self.step, request.method, request.url, self.now())
            self.requests.append(opened)
            self._open[request] = opened

    def _response(self, response: Any) -> None:
        if opened := self._open.get(response.request):
            opened.status, opened.headers = response.status, dict(response.headers)
            if response.ok and "/auth/v1/" in response.url:
                self._sessions.append(response)
            _remember(dict(parse_qsl(opened.headers.get("location", "").partition("#")[2])))  # it need not be a URL

    def _finished(self, request: Any) -> None:
        if (opened := self._open.pop(request, None)) and self.ended is None:
            measured = float(request.timing.get("responseEnd", -1)) / 1000
            opened.seconds = measured if measured >= 0 else self.now() - opened.began

    def _failed(self, request: Any) -> None:
        if (opened := self._open.pop(request, None)) and self.ended is None:
            opened.failure = str(request.failure or "failed")


def _remember(session: Mapping[str, Any]) -> None:
    """The tokens of a session, from the answer that brings it or from the address that a link leads back to."""
    for name in _TOKENS:
        if isinstance(session.get(name), str):
            Secret(session[name])
