"""config.schema.json and docs/reference/ are generated, current, and right about config.yaml."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from migration.base.errors import ConfigError
from migration.config import load

ROOT = Path(__file__).parent.parent
MINIMAL = {
    "migration": {"name": "m", "functions": ["a"]},
    "app": {"path": "app"},
    "environments": {"local": {"url": "http://localhost:54321"}},
}


def fits(data: Any) -> bool:
    """Whether an editor that knows config.schema.json shows no mistake."""
    return Draft7Validator(json.loads((ROOT / "config.schema.json").read_text(encoding="utf-8"))).is_valid(data)


def loads(folder: Path, data: Any) -> bool:
    """Whether Cutover itself takes it."""
    (folder / "config.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    try:
        load.load(folder)
    except ConfigError:
        return False
    return True


def test_reference_is_current() -> None:
    """After a change of the schema, of config.yaml's comments or of a flag: uv run python scripts/reference.py"""
    done = subprocess.run([sys.executable, ROOT / "scripts/reference.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_editor_and_loader_agree_on_the_shipped_config() -> None:
    """The first line names the schema, which the file fits."""
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=config.schema.json\n")
    assert fits(yaml.safe_load(text))


@pytest.mark.parametrize(("path", "value", "right"), [
    ((), None, True),
    (("gate", "delay"), "20s", True),
    (("gate", "delay"), 20, True),
    (("gate", "delays"), 20, False),
    (("gate", "probe"), "sometimes", False),
    (("migration", "functions"), "a", False),
    (("migration", "functions"), None, False),
    (("environments", "local", "confirm"), "yes", False),
    (("signals",), {"usage": "x", "mine": {"pattern": "y", "functions": ["a"]}}, None),
    (("signals",), {"mine": {"pattern": "y", "function": ["a"]}}, False),
    (("criteria",), {"no_503": {}, "window": "2h"}, True),
    (("criteria",), {"no_503": {"at_mots": 1}}, False),
    (("smoke",), [{"name": "n", "function": "a", "expect": {"json": {"$.x": 1, "$.y": {"type": "string"}}}}], True),
    (("smoke",), [{"name": "n", "function": "a", "expect": {"stats": 200}}], False),
    (("smoke",), [{"function": "a"}], False),
    (("soak", "concurrency"), 0, None),
    (("watch", "probes"), {"every": "30m", "max_cost": 1}, True),
])  # fmt: skip
def test_editor_and_loader_agree_on_mistakes(
    tmp_path: Path, path: tuple[str, ...], value: Any, right: bool | None
) -> None:
    """What the schema lets pass or marks, the loader takes or refuses; `None`: only the loader knows better."""
    data: dict[str, Any] = copy.deepcopy(MINIMAL)
    inner: Any = data
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    if path:
        inner[path[-1]] = value
    assert fits(data) is (right is not False)
    if right is not None:
        assert loads(tmp_path, data) is right
