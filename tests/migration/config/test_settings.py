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
from migration.config.settings import Config, WatchSettings

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


@pytest.mark.parametrize("name", sorted(keys(Config)))
def test_every_key_is_documented(name: str) -> None:
    block = blocks()[name]
    kind = keys(Config)[name][1]
    known = {key for section in inner(kind) for key in keys(section)}
    assert {key for key in known if not re.search(rf"(?<![\w.-]){re.escape(key)}(?![\w-])", block)} == set()


@pytest.mark.parametrize("key", ["provider: {}"])
def test_keys_that_nothing_reads_are_refused(tmp_path: Path, key: str) -> None:
    """Silence would look like obedience."""
    file = tmp_path / "config.yaml"
    file.write_text(f"migration: {{name: m, functions: [a]}}\napp: {{path: app}}\n{key}\n")
    name = key.partition(":")[0]
    with pytest.raises(ConfigError, match=rf"config\.yaml:3:\d+: {name}: is (not read|now providers)"):
        load.load(tmp_path)


def watching(tmp_path: Path, text: str) -> WatchSettings:
    file = tmp_path / "config.yaml"
    head = "migration: {name: m, functions: [a]}\napp: {path: app}\nenvironments: {local: {url: http://localhost}}\n"
    file.write_text(f"{head}watch:\n  {text}\n")
    return load.load(tmp_path).watch


@pytest.mark.parametrize(
    "url", ["s3cr3t-nonsense", "slack:/T0ken123/B0x45678/s3cr3t", "://s3cr3t1234", "json://a b/s3cr3t12"]
)
def test_malformed_notifier_is_not_shown(tmp_path: Path, url: str) -> None:
    """A URL of `watch.notify` holds a token: the mistake names its place, never its text."""
    with pytest.raises(ConfigError) as caught:
        watching(tmp_path, f'notify: ["json://localhost/x", "{url}"]')
    assert "config.yaml:5:34: watch.notify.1: is not the URL of a notifier" in caught.value.message
    assert url not in caught.value.message and "s3cr3t" not in caught.value.message


@pytest.mark.parametrize("scheme", ["http", "json", "xml", "form", "JSON"])
def test_notifier_needs_tls(tmp_path: Path, scheme: str) -> None:
    """Alerts do not leave this machine in clear."""
    with pytest.raises(ConfigError, match=r"watch\.notify\.0: should begin with \w+s://"):
        watching(tmp_path, f'notify: ["{scheme}://user:s3cr3tpass@example.com/hook"]')
    for host in ("localhost", "127.0.0.1:8080", "[::1]:8080", "user:pass@localhost"):
        assert watching(tmp_path, f'notify: ["{scheme}://{host}/hook"]').notify


def test_notifier_without_value(tmp_path: Path) -> None:
    """A ${NAME} without a value is a mistake only for the verb that uses it."""
    assert load.missing(watching(tmp_path, 'notify: ["${NO_SUCH_URL}"]').notify[0]) == ["NO_SUCH_URL"]


def test_limits_of_a_watch(tmp_path: Path) -> None:
    """What is not named keeps its default; an unknown name is a mistake."""
    found = watching(tmp_path, "tolerate: {success_rate: 0.02}")
    assert (found.limit("success_rate"), found.limit("no_503"), found.for_, found.every) == (0.02, 0.01, 86400, 300)
    with pytest.raises(ConfigError, match=r"watch\.tolerate\.sucess_rate: a watch tests no .* success_rate\?"):
        watching(tmp_path, "tolerate: {sucess_rate: 0.02}")


def test_items_name_what_answers_them(tmp_path: Path) -> None:
    """An item of the plan document that names a verb or criterion that is not there is a mistake with a guess."""
    file = tmp_path / "config.yaml"
    items = "items: [{line: 3, text: x, by: [smoke, criteria.no_504]}, {line: 4, text: y, by: person}]"
    file.write_text(
        f"migration: {{name: m, functions: [a], plan: PLAN.md, {items}}}\napp: {{path: app}}\n"
        "environments: {prod: {url: 'https://x.example'}}\ncriteria: {no_503: {}}\n"
    )
    with pytest.raises(ConfigError, match=r"migration\.items\.0\.by: nothing is named criteria\.no_504; did you mean"):
        load.load(tmp_path, file)
    file.write_text(file.read_text().replace("no_504", "no_503"))
    assert load.load(tmp_path, file).migration.items[0].answers == ["smoke", "criteria.no_503"]
