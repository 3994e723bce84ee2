"""Which smoke cases are to be sent, what each sends, and whether all that they need is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from migration.base.errors import ConfigError, Refused
from migration.base.secrets_type import Secret
from migration.config.cases import SmokeCase
from migration.config.load import missing, need
from migration.context import Context
from migration.verify import captures


def choose(cases: Sequence[SmokeCase], names: Sequence[str] | None, folder: Path) -> list[SmokeCase]:
    """The cases named, with those that they wait for, each after the ones it needs."""
    if not cases:
        raise Refused("config.yaml has no smoke cases", "add the section smoke to config.yaml")
    known = {case.name: case for case in cases}
    for name in names or ():
        if name not in known:
            raise Refused(f"there is no smoke case {name}", f"use one of: {', '.join(known)}")
    needs = {case.name: captures.used(case.headers, body_of(case, folder)) for case in cases}
    order = captures.ordered(cases, needs)
    wanted: set[str] = set(names or known)
    for case in reversed(order):
        if case.name in wanted:
            wanted |= {captures.maker(cases, name) for name in needs[case.name]}
    return [case for case in order if case.name in wanted]


def body_of(case: SmokeCase, folder: Path) -> Any:
    """The body as config.yaml or its file has it: a text is sent as it stands, anything else as JSON."""
    if case.body_file is None:
        return case.body
    file = folder / case.body_file
    try:
        text = file.read_text(encoding="utf-8")
        return json.loads(text) if file.suffix == ".json" else text
    except OSError as error:
        raise ConfigError(
            f"smoke case {case.name}: {file} cannot be read: {error.strerror}", "mend body_file"
        ) from None
    except ValueError as error:
        raise ConfigError(f"smoke case {case.name}: {file} is not what it says: {error}", "mend that file") from None


def check(context: Context, cases: Sequence[SmokeCase]) -> None:
    """Whether everything is there that these cases send. ConfigError names the first thing that is not."""
    for case in cases:
        where = f"smoke case {case.name}"
        for text in _texts([case.headers, body_of(case, context.config.folder)]):
            if missing(text):
                need(text, "smoke", where)
        if isinstance(case.auth, Secret):
            need(case.auth, "auth", where)
        if case.auth != "none":
            context.edge.credentials("anon")
        if case.auth == "user" and not (context.environment.user_email and context.environment.user_password):
            raise ConfigError(
                f"{where} needs a signed-in user, and {context.environment.name} has no auth.user",
                "set SMOKE_USER_EMAIL and SMOKE_USER_PASSWORD in .env (inv init)",
            )


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
