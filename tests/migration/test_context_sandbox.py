"""A running sandbox belongs to one app: a verb that was started with the config of another is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from migration import context
from migration.base.errors import Refused
from migration.config import load as configuration

CONFIG = "migration: {name: m, functions: [f]}\napp: {path: mine}\nenvironments: {sandbox: {embedded: true}}\n"


def test_sandbox_of_another_app(tmp_path: Path) -> None:
    """It names both, and the way to the other's config."""
    file, folder = tmp_path / "config.yaml", tmp_path / ".cutover" / "sandbox"
    file.write_text(CONFIG)
    (tmp_path / "mine").mkdir()
    folder.mkdir(parents=True)
    (folder / "sandbox.json").write_text(json.dumps({"pid": os.getpid()}))
    (folder / "clone.json").write_text(json.dumps({"app": "x", "base": "", "branch": "main", "source": "/their/app"}))
    with pytest.raises(
        Refused, match=f"The sandbox runs /their/app, and config.yaml is about {tmp_path}/mine"
    ) as refused:
        context.attach(tmp_path, configuration.load(tmp_path, file), folder)
    assert "CUTOVER_CONFIG" in str(refused.value.steps[0])
