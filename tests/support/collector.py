"""An observer for tests: what a phase reported, in order."""

from __future__ import annotations

from migration.base.progress import Observer


class Collector(Observer):
    """Collects its calls as (kind, name, subject, detail)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, str]] = []

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        self.events.append(("step", name, subject, detail))

    def done(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:  # noqa: ARG002
        self.events.append(("done", name, subject, detail))

    def failed(self, name: str, subject: str = "", detail: str = "") -> None:
        self.events.append(("failed", name, subject, detail))

    def unsure(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:  # noqa: ARG002
        self.events.append(("unsure", name, subject, detail))

    def note(self, text: str) -> None:
        self.events.append(("note", "", "", text))

    def warn(self, text: str) -> None:
        self.events.append(("warn", "", "", text))
