"""A long ledger is read fast on the second time, and never otherwise than git holds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migration.ledger import chain
from migration.ledger.chain import ChainReader
from migration.ledger.ledger import Ledger
from migration.ledger.records import Record
from tests.support.repos import alone, git, ledger

REF = "refs/cutover/ledger/prod"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger of five notes, and a cache that is written from three on."""
    monkeypatch.setattr(chain, "MANY", 3)
    found = ledger(alone(tmp_path / "app"))
    for number in range(5):
        found.append({"record": "note", "text": str(number)})
    return found


def texts(own: Ledger, file: Path) -> list[str]:
    """What a new process reads."""
    return [record["text"] for record in ChainReader(own.repository, file).upto(own.repository.revision(REF)).records]


def test_what_was_read_before_is_not_asked_of_git_again(
    own: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "known.json"
    assert texts(own, file) == ["0", "1", "2", "3", "4"]
    own.append({"record": "note", "text": "5"})
    asked: list[str | None] = []
    read = chain.read

    def watched(repository: object, tip: str, since: str | None = None) -> Iterator[Record]:
        asked.append(since)
        return read(repository, tip, since)  # type: ignore[arg-type]

    monkeypatch.setattr(chain, "read", watched)
    assert texts(own, file) == ["0", "1", "2", "3", "4", "5"]
    assert len(asked) == 1 and asked[0] is not None, "only the new ones"


@pytest.mark.parametrize("harm", ["edit", "cut", "empty", "other commit"])
def test_a_cache_that_was_changed_is_not_believed(own: Ledger, tmp_path: Path, harm: str) -> None:
    file = tmp_path / "known.json"
    texts(own, file)
    data = file.read_bytes()
    changed = {
        "edit": data.replace(b'"text":"2"', b'"text":"x"'),
        "cut": data[:-20],
        "empty": b"",
        "other commit": b"0" * 40 + data[40:],
    }
    assert changed[harm] != data
    file.write_bytes(changed[harm])
    assert texts(own, file) == ["0", "1", "2", "3", "4"]


def test_a_chain_that_was_rewritten_is_read_anew(own: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    texts(own, file)
    git(own.repository.path, "update-ref", REF, f"{REF}~2")
    own.append({"record": "note", "text": "another"})
    assert texts(own, file) == ["0", "1", "2", "another"]


def test_a_cache_that_cannot_be_written_stops_nobody(own: Ledger, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    assert texts(own, tmp_path / "taken" / "known.json") == ["0", "1", "2", "3", "4"]


def test_cached_history_is_the_same(own: Ledger, tmp_path: Path) -> None:
    """What is folded from the cache and added to is what is folded from git at once."""
    file = tmp_path / "known.json"
    for number in range(4):
        name = f"d{number}"
        before = {"version": number + 1, "function_id": "id"}
        functions = [{"slug": "a", "action": "update", "before": before, "wanted": {}}]
        own.append({"record": "intent", "deployment": name, "kind": "deploy", "revision": f"r{number}",
                    "functions": functions, "hold": {"tip": f"r{number}"}})  # fmt: skip
        after = [{"slug": "a", "after": {"version": number + 2}}]
        own.append({"record": "outcome", "deployment": name, "outcome": "live", "functions": after})
        ChainReader(own.repository, file).upto(own.repository.revision(REF))
    own.append({"record": "unreadable", "id": "x1"})
    tip = own.repository.revision(REF)
    cached, whole = ChainReader(own.repository, file), ChainReader(own.repository, tmp_path / "none.json")
    assert file.exists()
    one, other = cached.upto(tip), whole.upto(tip)
    assert list(one.records) == list(other.records) and one.holds == other.holds and one.slugs == other.slugs
    assert one.deployments == other.deployments and len(one.deployments) == 4
    assert one.summary == other.summary and one.left("a") == other.left("a") and one.live == other.live
