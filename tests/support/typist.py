"""A person at the clinic who types what a finding prints, word for word, into the project's real tasks."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.collection import Collection
from invoke.program import Program

from migration import context as contexts
from migration.base.clock import Clock
from migration.base.command import CURRENT, Do, Step, Steps
from migration.base.finding import Finding
from migration.base.progress import Observer
from migration.cli import dispatch, verbs
from migration.cli.output import Output
from migration.context import Context
from tests.support import repos
from tests.support.clinic import Clinic

Elsewhere = Callable[[], object]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Later(Clock):
    """Real time, some seconds further on: what `sleep` would have made of it."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)


@dataclass
class Typist:
    """Sits before the folder of tasks.py, whose config.yaml takes its values from `.env`; `answers` by their name."""

    clinic: Clinic
    patch: pytest.MonkeyPatch
    answers: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    ahead: float = 0.0
    said: str = ""
    mended: set[str] = field(default_factory=set)

    @property
    def root(self) -> Path:
        return self.clinic.folder / "root"

    def sit_down(self) -> None:
        """The files as a person has them, and this process as their shell."""
        CURRENT.env = "prod"  # as the verbs that are typed set it
        self.root.mkdir(exist_ok=True)
        self.config = self.clinic.settings()
        self.save()
        self.env(**self.clinic.values())
        for name in [*self.clinic.values(), "CI"]:
            self.patch.delenv(name, raising=False)
        for name, value in {**repos.QUIET, "CUTOVER_CONFIG": "typed.yaml", "CUTOVER_ACTOR": "typist"}.items():
            self.patch.setenv(name, value)
        self.patch.setattr(dispatch, "ROOT", self.root)
        self.patch.setattr(Output, "ask", self.answer)
        self.patch.setattr(verbs, "interactive", lambda: True)
        self.patch.setattr(verbs, "_context", lambda out, env: self.context(env, out.observer))

    def save(self) -> None:
        (self.root / "typed.yaml").write_text(yaml.safe_dump(self.config))

    def env(self, **values: str) -> None:
        path = self.root / ".env"
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        path.chmod(0o600)

    def context(self, env: str = "prod", observer: Observer | None = None) -> Context:
        """As the next verb will have it."""
        return contexts.make(self.root, env, observer, clock=Later(self.ahead))

    def answer(self, question: str, *, hidden: bool = False) -> str:
        name = re.split(r"[ ,]", question)[0]
        return self.answers.get(name, "") if hidden else self.clinic.running.project_ref

    def mend(self, finding: Finding, elsewhere: Elsewhere | None = None, code: int = 0) -> None:
        """Do what `fix` says: the step elsewhere where it names one, then each command; `code` is the last one's."""
        typed = commands(finding.fix)
        assert (elsewhere is not None) == isinstance(_steps(finding.fix)[0], Do), finding.fix
        if elsewhere:
            elsewhere()
        for number, words in enumerate(typed):
            ended = self.type(words)
            self.mended.add(finding.kind)
            assert ended == (code if number == len(typed) - 1 else 0), f"{shlex.join(words)}: {ended}\n{self.said}"

    def type(self, words: list[str]) -> int:
        """One command line; its exit code. What it sets first, this shell has."""
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            assert os.environ[name] == value
        program, *rest = words
        if program == "inv":
            return self.inv(*rest)
        if program == "sleep":
            self.ahead += float(rest[0])
            return 0
        if program == "supabase":
            return self.supabase(*rest)
        assert program in ("git", "chmod"), words
        return subprocess.run(words, cwd=self.root, env={**os.environ, **repos.QUIET}, capture_output=True).returncode

    def inv(self, *words: str) -> int:
        import tasks

        out = io.StringIO()
        held = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                program = Program(namespace=Collection.from_module(tasks), name="inv")
                program.run(["inv", *words], exit=False)
            return 0
        except SystemExit as left:
            return int(left.code or 0)
        finally:
            self.said = out.getvalue()
            for number, handler in held.items():
                signal.signal(number, handler)

    def supabase(self, *words: str) -> int:
        """What the platform's own CLI does with exactly these words; a long test gives them to the real one."""
        match = re.fullmatch(r"functions deploy (\S+) --use-api --remote=(\S+) --workdir (\S+)", " ".join(words))
        assert match and match[2] == self.clinic.running.project_ref and match[3] == str(self.clinic.scene.app), words
        self.clinic.there(match[1])
        return 0


def _steps(fix: Steps) -> list[Step]:
    return list(fix.steps)


def commands(fix: Steps) -> list[list[str]]:
    """The commands of a fix, the first way of several."""
    found: list[list[str]] = []
    for step in _steps(fix):
        if isinstance(step, Do):
            if step.text.startswith("or ") and found:
                break
            continue
        found.append([])
        for word in shlex.split(str(step)):
            if word == "&&":
                found.append([])
            else:
                found[-1].append(word)
    return found


@contextlib.contextmanager
def typing(clinic: Clinic) -> Iterator[Typist]:
    with pytest.MonkeyPatch.context() as patch:
        made = Typist(clinic, patch)
        made.sit_down()
        yield made
