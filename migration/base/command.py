"""What to type next, as values: a verb with its flags, a line for the shell, or something to do elsewhere.

Nothing here is parsed again: phases make steps, and one renderer, which knows the environment of this run and how the
user started Invoke, writes them where they are shown.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

# Verbs without --env: they serve every environment, or the sandbox alone.
EVERYWHERE = frozenset({"init", "sandbox", "rehearse", "config"})
_PROGRAMS = ("inv", "invoke")
_ROOT = Path(__file__).resolve().parents[2]  # the folder of tasks.py
LOCAL = frozenset({"smoke", "e2e"})  # without --env these mean local, all others prod


@dataclass
class Renderer:
    """How commands are written in this run: `prefix` starts Invoke, `env` is what the verb acts on ("" for none)."""

    prefix: str = "inv"
    env: str = ""


CURRENT = Renderer()


@dataclass(frozen=True)
class Command:
    """One of our verbs. `env` None means the environment of the run that prints it."""

    verb: str
    words: tuple[str, ...] = ()
    flags: tuple[tuple[str, str | bool], ...] = ()
    env: str | None = None

    def at(self, env: str) -> Command:
        """The same for an environment by name, where none was given."""
        return self if self.env is not None else replace(self, env=env)

    def plus(self, **flags: object) -> Command:
        """The same with more flags."""
        return replace(self, flags=self.flags + _flags(flags))

    def __str__(self) -> str:
        env = CURRENT.env if self.env is None else self.env
        meant = "local" if self.verb in LOCAL else "prod"
        named = [] if self.verb in EVERYWHERE or env in ("", meant) else ["--env", env]
        given = [[f"--{name}"] if value is True else [f"--{name}", str(value)] for name, value in self.flags]
        words = [self.verb, *self.words, *named, *(word for flag in given for word in flag)]
        return f"{CURRENT.prefix} {shlex.join(words)}"


@dataclass(frozen=True)
class Shell:
    """A line for the shell that is not a verb of ours; whoever makes it quotes what comes from outside."""

    line: str

    def at(self, env: str) -> Shell:  # noqa: ARG002 - the shell knows no environment of ours
        return self

    def __str__(self) -> str:
        return self.line


@dataclass(frozen=True)
class Chain:
    """Commands of which each needs the one before."""

    parts: tuple[Command | Shell, ...]

    def at(self, env: str) -> Chain:
        return Chain(tuple(part.at(env) for part in self.parts))

    def __str__(self) -> str:
        return " && ".join(map(str, self.parts))


@dataclass(frozen=True)
class Do:
    """What a person does elsewhere: in an editor, on a web page; or a label for the command below it."""

    text: str

    def at(self, env: str) -> Do:  # noqa: ARG002
        return self

    def __str__(self) -> str:
        return self.text


Step = Command | Shell | Chain | Do


@dataclass(frozen=True)
class Steps:
    """Steps that belong together, one line each where they are text."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))


AGAIN = Do("then run the command again")


def steps(*parts: Step | Steps) -> Steps:
    """These steps, those of groups among them."""
    return Steps(tuple(one for part in parts for one in (part.steps if isinstance(part, Steps) else (part,))))


def inv(verb: str, *words: str, env: str | None = None, **flags: object) -> Command:
    """A verb of ours; flags that are None, False or empty are left out, and `_` in their names is `-`."""
    return Command(verb, words, _flags(flags), env)


def _flags(given: Mapping[str, object]) -> tuple[tuple[str, str | bool], ...]:
    names = {name.rstrip("_").replace("_", "-"): value for name, value in given.items() if value}
    return tuple((name, value is True or str(value)) for name, value in names.items())


def sh(*words: str) -> Shell:
    """A shell line of these words, quoted."""
    return Shell(shlex.join(words))


def chain(*parts: Command | Shell) -> Chain:
    return Chain(parts)


def either(finish: Step, undo: Step) -> tuple[Step, ...]:
    """The two ways out of a state between two, each under its label."""
    return Do("to finish it:"), finish, Do("to undo it:"), undo


def typed(some: Iterable[Step]) -> bool:
    """Whether there is a command among the steps."""
    return any(not isinstance(step, Do) for step in some)


def then(first: Sequence[Step], *commands: Step) -> tuple[Step, ...]:
    """The first steps, and what to type after them; steps that already hold a command keep their own."""
    before = tuple(step for step in first if step != AGAIN)
    return before if typed(before) else (*before, *commands)


def lines(some: Iterable[Step]) -> list[str]:
    """The steps as they are shown: what can be typed as it stands follows an arrow."""
    return [str(step) if isinstance(step, Do) else f"→ {step}" for step in some]


def started() -> str:
    """How the user started Invoke, as it works in another terminal: with CUTOVER_CONFIG where it names a file, `uv run
    inv` under uv, else the program by its name, or its path where the shell would not find it by the name; `-r` where
    Invoke would not find tasks.py from here."""
    config = os.environ.get("CUTOVER_CONFIG")
    named = f"CUTOVER_CONFIG={shlex.quote(config)} " if config else ""
    program = Path(sys.argv[0])
    outside = program.name in _PROGRAMS and not Path.cwd().is_relative_to(_ROOT)
    if outside:
        return f"{named}{shlex.quote(os.path.abspath(program))} -r {shlex.quote(str(_ROOT))}"  # noqa: PTH100
    return named + _program(program)


def _program(program: Path) -> str:
    if os.environ.get("UV_RUN_RECURSION_DEPTH"):
        return "uv run inv"
    if program.name not in _PROGRAMS:
        return "inv"
    path = shutil.which(program.name)
    here = len(program.parts) > 1 and not (path and os.path.realpath(path) == os.path.realpath(program))
    return shlex.quote(str(program)) if here else program.name
