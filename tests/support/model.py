"""What the platform may do, in few lines: a sandbox's history is replayed against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHANGES = {"stage", "deploy", "activate", "delete", "secrets_set", "secrets_unset"}


@dataclass
class Known:
    """Versions of one function; 0 is none."""

    live: int = 0
    staged: int = 0


@dataclass
class Model:
    """Built up request by request; an AssertionError names the first entry that breaks a rule."""

    functions: dict[str, Known] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def live(self) -> dict[str, int]:
        return {slug: known.live for slug, known in self.functions.items() if known.live}

    def stranded(self) -> set[str]:
        return {slug for slug, known in self.functions.items() if known.staged}

    def take(self, entry: Mapping[str, Any]) -> None:
        effect = dict(entry["effect"] or {})
        effect.pop("digest", None)
        for name, what in effect.items():
            _EFFECTS[name](self, what)
        if not effect and entry["operation"] in CHANGES:
            _answered_no(self, entry)
        if entry["operation"] in _READS:
            _READS[entry["operation"]](self, entry)


def replay(entries: Sequence[Mapping[str, Any]], secrets: Sequence[str] = ()) -> Model:
    """The model after all of them, in the order in which they took effect; `secrets` were there before."""
    model = Model(secrets=set(secrets))
    for entry in sorted((each for each in entries if each["order"]), key=lambda each: int(each["order"])):
        try:
            model.take(entry)
        except AssertionError as error:
            raise AssertionError(f"entry {entry['number']} ({entry['operation']}): {error}\n{entry}") from None
    return model


def _staged(model: Model, what: Mapping[str, int]) -> None:
    for slug, version in what.items():
        known = model.functions.setdefault(slug, Known())
        assert not known.staged, f"{slug} had an unsettled version {known.staged}"
        assert version == known.live + 1, f"{slug}: {version} does not follow {known.live}"
        known.staged = version


def _deployed(model: Model, what: Mapping[str, int]) -> None:
    _staged(model, what)
    _activated(model, what)


def _activated(model: Model, what: Mapping[str, int]) -> None:
    for slug, version in what.items():
        known = model.functions[slug]
        assert version in (known.staged, known.live), f"{slug}: {version} was neither staged nor live"
        if version == known.staged:
            known.live, known.staged = version, 0


def _deleted(model: Model, slug: str) -> None:
    assert slug in model.functions, f"{slug} was not there"
    del model.functions[slug]


_EFFECTS: dict[str, Callable[[Model, Any], None]] = {
    "staged": _staged,
    "deployed": _deployed,
    "activated": _activated,
    "deleted": _deleted,
    "secrets_set": lambda model, names: model.secrets.update(names),
    "secrets_unset": lambda model, names: model.secrets.difference_update(names),
}


def _answered_no(model: Model, entry: Mapping[str, Any]) -> None:
    """A change without effect must have been refused for a reason that the model knows."""
    said = str((entry["answer"] or {}).get("message", ""))
    assert said, "no effect and no reason"
    if said == "deployment already exists":
        assert entry["slug"] in model.stranded(), f"{entry['slug']} was not stranded"
    if entry["operation"] == "delete":
        assert entry["slug"] not in model.functions, f"{entry['slug']} was there"


def _list(model: Model, entry: Mapping[str, Any]) -> None:
    if isinstance(entry["answer"], list):
        assert {row["slug"]: row["version"] for row in entry["answer"]} == model.live()


def _secrets(model: Model, entry: Mapping[str, Any]) -> None:
    if isinstance(entry["answer"], list):
        own = {row["name"] for row in entry["answer"] if not row["name"].startswith("SUPABASE_")}
        assert own == model.secrets


_READS: dict[str, Callable[[Model, Mapping[str, Any]], None]] = {"list": _list, "secrets_list": _secrets}
