"""How a phase reports progress; the terminal, plain lines and tests each observe it."""

from __future__ import annotations


class Observer:
    """Is called at every step. This one does nothing; `cli` prints the steps, tests collect them."""

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        """A step begins, or its detail changes. `subject` is the slug of the function concerned, if any."""

    def done(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:
        """A step ended well."""

    def failed(self, name: str, subject: str = "", detail: str = "") -> None:
        """A step failed; the error itself is raised as usual."""

    def unsure(self, name: str, subject: str = "", detail: str = "", seconds: float | None = None) -> None:
        """A step ended without a decision."""

    def settled(self, verdict: str, name: str, detail: str = "", seconds: float | None = None) -> None:
        """A step that judges ended: pass, fail or inconclusive."""
        if verdict == "fail":
            self.failed(name, "", detail)
        else:
            (self.done if verdict == "pass" else self.unsure)(name, "", detail, seconds)

    def note(self, text: str) -> None:
        """One sentence worth reading."""

    def warn(self, text: str) -> None:
        """One sentence that must be read."""
