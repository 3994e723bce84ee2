"""How a phase says what it is doing; the console, plain lines and tests each listen in their own way."""

from __future__ import annotations


class Observer:
    """Hears of every step. This one is silent; `report.console` shows them, tests collect them."""

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        """A step begins, or has something new to say. `subject` is a function's slug, where it is about one."""

    def done(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:
        """A step ended well."""

    def failed(self, name: str, subject: str = "", detail: str = "") -> None:
        """A step ended badly; the error itself follows by the usual road."""

    def note(self, text: str) -> None:
        """One sentence worth reading."""

    def warn(self, text: str) -> None:
        """One sentence that must be read."""


class Collected(Observer):
    """Keeps what it hears as (kind, name, subject, detail)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, str]] = []

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        self.events.append(("step", name, subject, detail))

    def done(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:  # noqa: ARG002
        self.events.append(("done", name, subject, detail))

    def failed(self, name: str, subject: str = "", detail: str = "") -> None:
        self.events.append(("failed", name, subject, detail))

    def note(self, text: str) -> None:
        self.events.append(("note", "", "", text))

    def warn(self, text: str) -> None:
        self.events.append(("warn", "", "", text))
