"""What the stand-in remembers, and which version answers whom."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.rehearsal.faults import FaultBox, PartFaults
from migration.rehearsal.state import KEPT_VERSIONS, ProjectState, Version

CODE = {"supabase/functions/chat/index.ts": b"1"}


def version(name: str = "chat") -> Version:
    return Version(0, f"supabase/functions/{name}/index.ts", "", False, "d", name, 0)


def deployed(state: ProjectState, times: int = 1) -> None:
    for number in range(times):
        state.deploy("chat", version(), {**CODE, "n.txt": str(number + 1).encode()})


def test_a_stale_region_answers_with_the_version_before_and_others_do_not(tmp_path: Path) -> None:
    faults = FaultBox()
    state = ProjectState(tmp_path, PartFaults(faults))
    deployed(state, 3)
    faults.arm([{"operation": "route", "do": "stale", "region": "eu-west-1", "times": 2}])
    served = [state.live("chat", region) for region in ("eu-west-1", "us-east-1", "eu-west-1", "eu-west-1")]
    assert [each.version for each in served if each] == [2, 3, 2, 3]
    assert served[0] is not None and (served[0].tree / "n.txt").read_text() == "2"


def test_any_kept_version_can_come_back_and_an_unknown_one_cannot(tmp_path: Path) -> None:
    faults = FaultBox()
    state = ProjectState(tmp_path, PartFaults(faults))
    deployed(state, 3)
    faults.arm([{"operation": "route", "do": "stale", "version": wanted} for wanted in (1, 99)])
    assert [live.version for _ in range(2) if (live := state.live("chat"))] == [1, 3]


def test_a_live_function_can_be_missing_for_a_while(tmp_path: Path) -> None:
    faults = FaultBox()
    state = ProjectState(tmp_path, PartFaults(faults))
    deployed(state)
    faults.arm([{"operation": "route", "do": "missing", "slug": "chat"}])
    assert [state.live("chat") is None for _ in range(2)] == [True, False]


def test_the_last_versions_are_kept_and_older_trees_are_gone(tmp_path: Path) -> None:
    state = ProjectState(tmp_path)
    deployed(state, KEPT_VERSIONS + 3)
    kept = sorted(int(path.name) for path in (tmp_path / "bundles" / "chat").iterdir())
    assert kept == list(range(3, KEPT_VERSIONS + 4))


def test_a_failed_write_leaves_the_old_state_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = ProjectState(tmp_path)
    deployed(state)
    before = (tmp_path / "state.json").read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        state.set_secrets({"A": "1"})
    assert (tmp_path / "state.json").read_text() == before
    assert [path.name for path in tmp_path.glob(".state*")] == []


def test_a_reset_brings_the_variables_back(tmp_path: Path) -> None:
    state = ProjectState(tmp_path, variables={"FIRST": "1"})
    state.unset_secrets(["FIRST"])
    assert ProjectState(tmp_path, variables={"FIRST": "1"}).secrets() == {}
    deployed(state)
    state.reset()
    assert (state.secrets(), state.functions) == ({"FIRST": "1"}, {})
    assert not (tmp_path / "bundles").exists()
    assert json.loads((tmp_path / "state.json").read_text())["functions"] == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"functions": {"a": {}}, "secrets": {}}'])
def test_a_damaged_file_is_named_and_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(Refused, match=r"state.json is damaged"):
        ProjectState(tmp_path)
    assert (tmp_path / "state.json").read_text() == text


def test_variables_follow_the_settings(tmp_path: Path) -> None:
    """A restart takes changed variables over and unsets removed ones; a value set by hand since then stays."""
    first = ProjectState(tmp_path, variables={"A": "1", "B": "1", "C": "1"})
    first.set_secrets({"B": "by hand", "C": "by hand"})
    again = ProjectState(tmp_path, variables={"A": "2", "B": "1"})
    assert again.secrets() == {"A": "2", "B": "by hand", "C": "by hand"}
    assert ProjectState(tmp_path, variables={}).secrets() == {"B": "by hand", "C": "by hand"}
