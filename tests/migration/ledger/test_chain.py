"""A long ledger is read fast on the second time, and never otherwise than git holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.ledger import chain
from migration.ledger.chain import ChainReader
from migration.ledger.ledger import Ledger
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
    return [record["text"] for record in ChainReader(own.repository, file).upto(own.repository.revision(REF))]


def test_what_was_read_before_is_not_asked_of_git_again(
    own: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "known.json"
    assert texts(own, file) == ["0", "1", "2", "3", "4"]
    own.append({"record": "note", "text": "5"})
    asked: list[str | None] = []
    read = chain.read

    def watched(repository: object, tip: str, since: str | None = None) -> list[chain.Record]:
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
    head, _, body = data.partition(b"\n")
    changed = {
        "edit": data.replace(b'"text":"2"', b'"text":"x"'),
        "cut": data[:-20],
        "empty": b"",
        "other commit": b"0" * 40 + head[40:] + b"\n" + body,
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
