"""config.yaml is the manual of its own keys: every key that is read stands in it, where it belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from migration.base.errors import ConfigError
from migration.config import load
from migration.config.builder import Section, keys
from migration.config.settings import Config

MANUAL = (Path(__file__).parents[3] / "config.yaml").read_text()


def blocks() -> dict[str, str]:
    """The text about each top-level key: its comment above it and all below it."""
    found: dict[str, str] = {}
    for block in re.split(r"\n\n(?=#)", MANUAL):
        for name in re.findall(r"^([a-z]\w*):", block, re.MULTILINE):
            found[name] = block
    return found


def inner(kind: Any) -> Iterator[type[Section]]:
    """The sections that a kind is made of."""
    if isinstance(kind, type) and issubclass(kind, Section):
        yield kind
        for _, part, _ in keys(kind).values():
            yield from inner(part)
        yield from inner(kind.further)
    for part in get_args(kind):
        yield from inner(part)


COMING = {"hosts", "deno"}  # of `rehearsal`: declared, and documented with what reads them


@pytest.mark.parametrize("name", sorted(keys(Config)))
def test_every_key_is_documented(name: str) -> None:
    block = blocks()[name]
    kind = keys(Config)[name][1]
    known = {key for section in inner(kind) for key in keys(section)} - COMING
    assert {key for key in known if not re.search(rf"(?<![\w.-]){re.escape(key)}(?![\w-])", block)} == set()


@pytest.mark.parametrize("key", ["watch: {}", "e2e: {}", "provider: {}"])
def test_keys_that_nothing_reads_are_refused(tmp_path: Path, key: str) -> None:
    """Silence would look like obedience."""
    file = tmp_path / "config.yaml"
    file.write_text(f"migration: {{name: m, functions: [a]}}\napp: {{path: app}}\n{key}\n")
    name = key.partition(":")[0]
    with pytest.raises(ConfigError, match=rf"config\.yaml:3:\d+: {name}: is (not read|now providers)"):
        load.load(tmp_path)
