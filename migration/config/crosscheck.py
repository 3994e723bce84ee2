"""Mistakes in config.yaml that no section can see alone: names that nothing has, criteria that nothing can measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from migration.config import builder, pattern, signals
from migration.config.browser import E2e
from migration.config.builder import Problems, guess
from migration.config.cases import SmokeCase
from migration.config.settings import (
    ANSWERS,
    CRITERIA,
    NEEDS,
    PROOFS,
    TOLERATED,
    Criteria,
    Gate,
    Migration,
    ProviderSettings,
    SecretSettings,
    Signal,
    WatchSettings,
)
from migration.config.yamlfile import KeyPath

Mistakes = Iterator[tuple[KeyPath, str]]
Providers = Mapping[str, ProviderSettings]


def mistakes(sections: Mapping[str, Any], written: Mapping[str, Any]) -> Problems:
    """Those between the sections that are sound by themselves; `written` is the file as it stands."""
    problems = [*_unknown_criteria(written.get("criteria")), *_uncounted(written.get("signals"))]
    for check, *names in _CHECKS:
        if all(name in sections for name in names):
            problems += check(*(sections[name] for name in names))
    return problems


def _unknown_criteria(section: Any) -> Mistakes:
    """Seen by the names alone, since a mistake in the options of one criterion must not hide the name of another."""
    if isinstance(section, dict) and not section.get("files"):
        for name in section:
            if name not in (*builder.keys(Criteria), *Criteria.moved, *CRITERIA):
                yield ("criteria", name), f"there is no criterion of this name{guess(name, CRITERIA)}"


def _uncounted(section: Any) -> Mistakes:
    """A pattern that gives no costs; seen as it is written, since a mistake in another signal must not hide it."""
    usage = section.get("usage") if isinstance(section, dict) else None
    text = usage.get("pattern") if isinstance(usage, dict) else usage
    why = signals.usage_problem(text) if isinstance(text, str) and not pattern.problem(text) else ""
    if why:
        yield ("signals", "usage"), why


def _ends(migration: Migration, providers: Providers) -> Mistakes:
    used = {"from": migration.from_, "to": migration.to}
    return _unknown_providers({("migration", key): name for key, name in used.items()}, providers)


def _owners(secrets: Mapping[str, SecretSettings], providers: Providers) -> Mistakes:
    return _unknown_providers({("secrets", name, "provider"): one.provider for name, one in secrets.items()}, providers)


def _unknown_providers(used: Mapping[KeyPath, str | None], providers: Providers) -> Mistakes:
    for path, name in used.items():
        if name is not None and name not in providers:
            yield path, f"there is no provider {name}{guess(name, providers) or '; add it to providers'}"


def _unmeasurable(criteria: Criteria, migration: Migration, providers: Providers) -> Mistakes:
    """Criteria that need what the new provider cannot prove."""
    target = providers.get(migration.to or "")
    kind = target.kind if target else ""
    where = f"migration.to is of kind {kind}" if kind else "migration.to names no provider"
    for name, need in NEEDS.items():
        if name in criteria.named and need not in PROOFS.get(kind, ()):
            yield ("criteria", name), f"cannot be measured: it needs the provider's own {need}, and {where}"


def _untested(watch: WatchSettings) -> Mistakes:
    for name in watch.tolerate:
        if name not in TOLERATED:
            yield ("watch", "tolerate", name), f"a watch tests no criterion of this name{guess(name, TOLERATED)}"


def _unanswered(
    migration: Migration,
    criteria: Criteria,
    smoke: list[SmokeCase],
    patterns: Mapping[str, Signal],
    secrets: Mapping[str, SecretSettings],
) -> Mistakes:
    """Items of the plan document that name what answers them wrongly."""
    known = {"criteria": criteria.named, "smoke": [case.name for case in smoke], "signals": patterns,
             "secrets": secrets}  # fmt: skip
    names = [*ANSWERS, *(f"{section}.{name}" for section, some in known.items() for name in some)]
    for place, item in enumerate(migration.items):
        for answer in item.answers:
            if answer not in names and not (criteria.files and answer.startswith("criteria.")):
                yield ("migration", "items", place, "by"), f"nothing is named {answer}{guess(answer, names)}"


def _undriven(e2e: E2e | None, gate: Gate, environments: Mapping[str, Any]) -> Mistakes:
    """What a gate in the browser lacks, and pages of environments that there are not."""
    if e2e is None and gate.e2e:
        yield ("gate", "e2e"), "needs steps: add the section e2e"
    pages = e2e.url if e2e is not None and isinstance(e2e.url, dict) else {}
    for name in pages:
        if name not in environments:
            yield ("e2e", "url", name), f"there is no environment {name}{guess(name, environments)}"


# A check, and the sections that it reads.
_CHECKS: tuple[tuple[Callable[..., Mistakes], *tuple[str, ...]], ...] = (
    (_ends, "migration", "providers"),
    (_owners, "secrets", "providers"),
    (_unmeasurable, "criteria", "migration", "providers"),
    (_untested, "watch"),
    (_unanswered, "migration", "criteria", "smoke", "signals", "secrets"),
    (_undriven, "e2e", "gate", "environments"),
)
