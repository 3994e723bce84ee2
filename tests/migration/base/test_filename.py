"""Names from outside become paths in one place, which refuses all but a narrow alphabet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.base.errors import Refused
from migration.base.filename import LONGEST, filename
from migration.deploy.records import Journal
from migration.rehearsal.server import Running
from migration.source import snapshots
from tests.support import scene


@pytest.mark.parametrize("name", ["20261127-172245-31ad", "generate-artifact", "a_b.c", "820e638b-8939", "0" * LONGEST])
def test_our_names_pass(name: str) -> None:
    assert filename(name, "It") == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "/x", "-rf", ".git", "a..b", "a b", "a\n", "a\0", "é", "0" * 121]
)
def test_others_are_refused(name: str) -> None:
    with pytest.raises(Refused, match=r"It .* cannot be a file name"):
        filename(name, "It")


@given(st.text(max_size=40))
def test_never_outside(name: str) -> None:
    """Whatever passes is one part of a path."""
    try:
        passed = filename(name, "It")
    except Refused:
        return
    assert (Path("/top") / passed).parent == Path("/top") and (Path("/top") / passed).resolve() == Path("/top") / passed


def test_journal_of_a_strange_deployment(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="deployment id"):
        Journal(tmp_path / "state", "prod", "../../victim/zzz")


def test_function_id_with_a_path(tmp_path: Path, sandbox: Running) -> None:
    """An id of the API that leads elsewhere is refused before anything is written."""
    context = scene.deployed(tmp_path, sandbox, ("alpha",)).context()
    [function] = context.supabase.functions()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refused, match="function id"):
        snapshots.download(context, replace(function, id="../../../../victim"))
    assert sorted(tmp_path.rglob("*")) == before
