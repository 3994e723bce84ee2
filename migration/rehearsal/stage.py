"""What the phases of a rehearsal share: the sandbox, its clone, and what each phase found."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import structs

from migration.base.progress import Observer
from migration.config.settings import Config

from .. import context as contexts
from ..context import Context
from . import clone as clones
from . import seed
from .clone import Clone
from .running import Running, start
from .sandbox import settings

PROMPTS = (
    "Create a simple counter component with increment and decrement buttons",
    "Create a todo list app",
    "Create a stopwatch",
    "Create a temperature converter",
)


class NotShown(Exception):
    """A phase ran and did not show what it must; the text is the evidence."""


def shown(condition: object, evidence: str) -> str:
    """The evidence, or NotShown with it."""
    if not condition:
        raise NotShown(evidence)
    return evidence


@dataclass
class Stage:
    root: Path
    folder: Path
    config: Config
    observer: Observer
    results: dict[str, Any] = field(default_factory=dict)
    running: Running | None = None
    _clone: Clone | None = None
    _context: Context | None = None

    @property
    def context(self) -> Context:
        assert self._context is not None
        return self._context

    @property
    def clone(self) -> Clone:
        assert self._clone is not None
        return self._clone

    def open(self) -> None:
        """Clone the app, start the sandbox, and put what the migration does not touch on it."""
        app = (self.config.folder / self.config.app.path).resolve()
        self._clone = clones.make(self.folder, app, branch=self.config.app.branch, base=self.config.app.base)
        seed.note(self.folder, self._clone)
        self.running = start(self.folder, settings=settings(self.config, self.root))
        self.fresh()
        seed.functions(self.context, self.clone, self.config.migration.unchanged)
        if variables := seed.variables(self.config):
            self.context.supabase.set_secrets(variables)

    def fresh(self) -> Context:
        """A context that remembers nothing, as the next command would have."""
        self._context = contexts.attach(self.root, self.config, self.folder, Quiet(self.observer))
        return self._context

    def before(self) -> Context:
        """The same, with the configuration as it was before the migration: no new secret, no new provider."""
        context = self.fresh()
        context.config = structs.replace(context.config, secrets={}, provider=None)
        context.observer = Observer()  # that its deploy proves nothing is the point of a baseline
        return context

    def ask(self, count: int) -> Counter[int]:
        """Statuses of so many artifact requests, a few at a time."""
        function = self.config.migration.functions[0]
        bodies = [{"prompt": PROMPTS[n % len(PROMPTS)], "artifactType": "react"} for n in range(count)]
        edge = self.context.edge
        with ThreadPoolExecutor(4) as pool:
            return Counter(pool.map(lambda body: edge.call(function, json=body, timeout=60).status, bodies))

    def close(self) -> None:
        if self.running is not None:
            self.running.stop()


class Quiet(Observer):
    """Inside a phase only its steps are told, as details of the phase; its own lines would bury the story."""

    def __init__(self, outer: Observer) -> None:
        self._outer = outer

    def warn(self, text: str) -> None:
        self._outer.warn(text)
