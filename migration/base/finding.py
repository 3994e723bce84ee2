"""A problem: what it is, the evidence, and the steps that fix it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from migration.base import command
from migration.base.command import Chain, Command, Do, Shell, Step, Steps
from migration.base.errors import CutoverError

# Our verbs that take --env, where they do not name one yet; `init` and the sandbox's own serve every environment.
_VERB = re.compile(r"\binv (?!init\b|sandbox\b|rehearse\b)([a-z]+)\b(?! --env)")
_COMMAND = re.compile(r"^inv |type: inv ")
_TYPED = re.compile(r"(inv|git|supabase|sleep|uv) ")
_JOINT = re.compile(r",? ?(then )?\btype: ")
_OTHER = re.compile(r"(?:, |^)((?:or|to) [^:,]*:) (?=inv |git )", re.MULTILINE)
AGAIN = "then run the command again"
AGAIN_STEP = command.AGAIN
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """`fix` is what to do and to type, in order; another way follows a label that begins with "or". A `safe` one can
    be carried out by `apply`, which returns what it did.

    kind: one word for the cause, the same for the same cause. subject: the function or secret concerned.
    """

    kind: str
    problem: str
    evidence: str
    fix: str | Steps
    severity: Severity = "error"
    subject: str = ""
    safe: bool = False
    apply: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        names = ("kind", "severity", "subject", "problem", "evidence", "fix", "safe")
        return {name: getattr(self, name) for name in names}


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors before warnings, each in the order in which they were found; the same one only once."""
    once = list(dict.fromkeys(findings))
    return sorted(once, key=lambda each: each.severity != "error")


def addressed(findings: Iterable[Finding], environment: str) -> list[Finding]:
    """Their commands with the environment that they are about."""
    return [replace(each, fix=named(each.fix, environment)) if isinstance(each.fix, str) else each for each in findings]


def lines(hint: str | Step | Steps) -> list[str]:
    """A hint as it is shown: what can be typed as it stands after an arrow, what is to be done elsewhere without."""
    if isinstance(hint, Steps):
        return command.lines(hint.steps)
    if isinstance(hint, Command | Shell | Chain | Do):
        return command.lines([hint])
    parts = _JOINT.sub("\n", _OTHER.sub(r"\n\1\n", hint)).splitlines()
    return [f"→ {part}" if _TYPED.match(part) else part for part in map(str.strip, parts) if part]


def named(text: str, environment: str) -> str:
    """The commands in a text with their environment, where it is not what the verb means without a name."""

    def name(found: re.Match[str]) -> str:
        meant = "local" if found[1] == "smoke" else "prod"
        return found[0] if environment in ("", meant) else f"{found[0]} --env {environment}"

    return _VERB.sub(name, text)


def flag(environment: str) -> str:
    """What a command that acts needs to mean this environment: ` --env NAME`, nothing for prod."""
    return "" if environment == "prod" else f" --env {environment}"


def unmeasured(what: str, error: CutoverError) -> Finding:
    """A probe that could not look: its silence proves nothing."""
    fix = Steps(command.then(values(error.steps), command.inv("doctor")))
    return Finding("unmeasured", f"{what} could not be checked", error.message, fix, "warning")


def values(steps: Iterable[Step | str]) -> tuple[Step, ...]:
    """Steps that are still text, as values."""
    found: list[Step] = []
    for step in steps:
        if not isinstance(step, str):
            found.append(step)
            continue
        for line in lines(step):
            found.append(Shell(line[2:]) if line.startswith("→ ") else Do(line))
    return tuple(AGAIN_STEP if step == Do(AGAIN) else step for step in found)


def then(step: str, command: str) -> str:
    """What a person does elsewhere, and the command to type after it; a step that ends with one keeps its own."""
    step = step.removesuffix(AGAIN).rstrip(", ")
    if not step:
        return command
    return step if _COMMAND.search(step) else f"{step}, then type: {command}"
