"""Names for function ids: of what is deployed now, of what the ledger saw, of what this machine saw before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import durable
from migration.base.command import Do
from migration.base.errors import CutoverError, Refused, ServiceFailed

if TYPE_CHECKING:
    from migration.context import Context


class Names:
    """Slugs by function id. A function that was deleted and made anew has several ids and one slug."""

    def __init__(self, slugs: Mapping[str, str]) -> None:
        self.slugs = dict(slugs)

    def slug(self, id_: str) -> str:
        """The id itself where no name is known; "" for no id."""
        return self.slugs.get(id_, id_)

    def ids(self, slugs: Iterable[str]) -> list[str]:
        """Every id that these functions ever had. Refused for an unknown name."""
        wanted = set(slugs)
        unknown = sorted(wanted - set(self.slugs.values()))
        if unknown:
            known = ", ".join(sorted(set(self.slugs.values()))) or "none yet"
            raise Refused(f"No function named {unknown[0]} has been seen here.", Do(f"use one of: {known}"))
        return sorted(id_ for id_, slug in self.slugs.items() if slug in wanted)

    def known(self, slugs: Iterable[str]) -> tuple[str, ...]:
        """Those of the slugs that were ever seen."""
        seen = set(self.slugs.values())
        return tuple(slug for slug in slugs if slug in seen)

    @classmethod
    def of(cls, context: Context) -> Names:
        """Asks the platform and the ledger, and remembers the answer for when a function is gone."""
        file = context.state / "names" / f"{context.environment.project_ref}.json"
        known = _remembered(file) | _recorded(context)
        try:
            known |= {function.id: function.slug for function in context.supabase.functions()}
        except ServiceFailed as error:
            context.observer.warn(f"could not list the functions ({error.message}): unknown ones are shown by id")
        _remember(file, known)
        return cls(known)


def _recorded(context: Context) -> dict[str, str]:
    """Names that deployments recorded; nothing where there is no ledger to read."""
    with suppress(CutoverError, OSError):
        return {id_: slug for record in context.ledger.records(fresh=False) for id_, slug in _pairs(record)}
    return {}


def _pairs(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for function in record.get("functions") or []:
        before = function.get("before") or {}
        if before.get("function_id"):
            yield str(before["function_id"]), str(function["slug"])
    for answer in record.get("answers") or []:
        if answer.get("id") and answer.get("slug"):
            yield str(answer["id"]), str(answer["slug"])


def _remembered(file: Path) -> dict[str, str]:
    try:
        names = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return {str(id_): str(slug) for id_, slug in names.items()} if isinstance(names, dict) else {}


def _remember(file: Path, slugs: Mapping[str, str]) -> None:
    """A cache: where it cannot be written, the next run asks again."""
    with suppress(OSError):
        durable.write(file, json.dumps(dict(slugs), indent=1, sort_keys=True).encode(), sync=False)
