"""What the tests of the phases share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deno_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for caches, one for all tests: a warm Deno cache makes each look-up a matter of milliseconds."""
    return tmp_path_factory.mktemp("state")
