"""What the made-up project has before Cutover meets it: functions that someone deployed, and their secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from migration.base.secrets_type import Secret
from migration.config.settings import Config
from migration.source import source

from ..context import Context
from .clone import Clone
from .files import write_json

NOTE = "clone.json"


def note(folder: Path, clone: Clone) -> None:
    """Tell the other verbs where the sandbox's clone is and which revision stands before the migration."""
    write_json(folder / NOTE, {"app": str(clone.app), "base": clone.base, "head": clone.head, "branch": clone.branch})


def noted(folder: Path) -> dict[str, str]:
    return dict(json.loads((folder / NOTE).read_text()))


def slugs(config: Config) -> list[str]:
    return [*config.migration.functions, *config.migration.unchanged]


def functions(context: Context, clone: Clone, wanted: Iterable[str]) -> list[str]:
    """Deploy these functions as they are before the migration; one that it creates is not there yet."""
    found = source.at_revision(context.repository, clone.base, wanted, context.state)
    for each in found.values():
        context.supabase.deploy(each.upload())
    return list(found)


def secrets(context: Context) -> None:
    """The secrets that the migration needs, and the variables that make a rehearsal quick."""
    context.supabase.set_secrets({**context.environment.secrets, **variables(context.config)})


def variables(config: Config) -> dict[str, Secret]:
    return {name: Secret(str(value)) for name, value in config.rehearsal.variables.items()}
