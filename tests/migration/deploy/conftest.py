"""A change that is about to be deployed; a file of tests that begins elsewhere has a `stage` of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.rehearsal.server import Running
from tests.support import scene
from tests.support.scene import Scene


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running) -> Scene:
    """Version 1 is deployed, version 2 is committed and pushed."""
    made = scene.deployed(tmp_path, sandbox)
    made.change(2)
    return made
