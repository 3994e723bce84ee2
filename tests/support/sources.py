"""Sources of the files below a folder, as they stand there, without a repository."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from migration.source.functions_config import NO_PROJECT, Project
from migration.source.reader import Attempt, Tree, _attempts, _read
from migration.source.source import Source


def attempts(app: Path, slugs: Iterable[str], state: Path) -> dict[str, Attempt]:
    """Several, each with its own source or refusal; `state` is the folder for caches."""
    return _attempts(Tree(app, state, NO_PROJECT), slugs)


def read(app: Path, slug: str, state: Path, project: Project = NO_PROJECT) -> Source:
    """One function; Refused for what must not be deployed."""
    return _read(Tree(app.resolve(), state, project), slug, {})
