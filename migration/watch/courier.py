"""The program that talks to Apprise: a process of its own, one for each notifier, which `notify` ends at a deadline.

Apprise takes 350 ms to import and 30 MB of memory, its timeouts are per read, and no thread can be ended that waits for
a service which trickles its answer. A process can. It runs alone (`python -I courier.py`), reads one JSON object from
stdin, and writes one JSON object a line: what it found of each URL, or how each message went.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

READ_TIMEOUT = 10.0  # seconds for one read; `notify` has the deadline of all of it
_KINDS = {"critical": "failure", "warning": "warning", "good": "success"}


def main() -> None:
    order = json.load(sys.stdin)
    lines = check(order["check"]) if "check" in order else send(order["url"], order["messages"])
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def check(urls: list[str]) -> Iterator[dict[str, Any]]:
    """Of each URL: whether Apprise can use it, the service, and whether it leaves this machine in clear."""
    for url in urls:
        with _Complaints() as complaints:
            notifier = _notifier(url)
        if notifier is None:
            yield {"ok": False, "why": complaints.last}
            continue
        scheme = str(notifier.url(privacy=True)).partition("://")[0]
        secure = scheme in _names(notifier.secure_protocol)
        shown = str(notifier.url(privacy=True)).partition("?")[0]
        yield {
            "ok": True,
            "service": str(notifier.service_name),
            "scheme": scheme,
            "host": str(notifier.host or ""),
            "shown": shown,  # Apprise masks what it takes for a token; paths of JSON and XML it does not
            "clear": not secure,
            "tls": [one for one in _names(notifier.secure_protocol) if one not in _names(notifier.protocol)],
            "verified": bool(notifier.verify_certificate),
        }


def send(url: str, messages: list[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    """Each message in turn, until one fails: the next ones would too."""
    notifier = _notifier(url)
    if notifier is None:
        yield {"id": messages[0]["id"], "ok": False, "why": "Apprise does not accept its URL"}
        return
    notifier.socket_connect_timeout = min(float(notifier.socket_connect_timeout), READ_TIMEOUT)
    notifier.socket_read_timeout = min(float(notifier.socket_read_timeout), READ_TIMEOUT)
    for one in messages:
        yield {"id": one["id"], "begun": True}
        with _Complaints() as complaints:
            done = _sent(notifier, one)
        yield {"id": one["id"], "ok": done, "why": "" if done else complaints.last or "it was not accepted"}
        if not done:
            return


def _sent(notifier: Any, one: Mapping[str, str]) -> bool:
    """Markdown where the service draws it and has no HTML: of plain text Apprise makes HTML with everything escaped."""
    from apprise import Apprise

    formats = notifier.notify_format if isinstance(notifier.notify_format, tuple) else (notifier.notify_format,)
    names = {str(getattr(each, "value", each)) for each in formats}
    form = "markdown" if "markdown" in names and "html" not in names else "text"
    group = Apprise(asset=_asset())
    group.add(notifier)
    kind = _KINDS[one["severity"]]
    return bool(group.notify(title=one["title"], body=one[form], body_format=form, notify_type=kind))


def _notifier(url: str) -> Any:
    from apprise import Apprise

    return Apprise.instantiate(url, asset=_asset(), suppress_exceptions=True)


def _asset() -> Any:
    """No redirect is followed: a token in the address or the body would go where its owner never sent it."""
    from apprise import AppriseAsset

    return AppriseAsset(app_id="Cutover", app_desc="Cutover", async_mode=False, http_redirects=False)


def _names(protocol: Any) -> list[str]:
    if not protocol:
        return []
    return [protocol] if isinstance(protocol, str) else sorted(map(str, protocol))


class _Complaints(logging.Handler):
    """The last warning of Apprise, which is all that it says about a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()

    def __enter__(self) -> _Complaints:
        logger = logging.getLogger("apprise")
        logger.addHandler(self)
        logger.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


if __name__ == "__main__":
    main()
