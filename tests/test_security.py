"""SECURITY.md names the tests of each boundary: they exist, and so do the files that it points to."""

from __future__ import annotations

import re

from tests.support.project import ROOT

PAGE = (ROOT / "SECURITY.md").read_text()


def test_named_files_exist() -> None:
    """A test that was moved or removed takes its line along."""
    named = set(re.findall(r"`((?:tests|docs)/[\w./-]+)`", PAGE))
    assert len(named) > 15
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]


def test_each_boundary_names_a_test() -> None:
    """No line of the table goes without a test, and each named file holds tests."""
    rows = [row for row in PAGE.splitlines() if row.startswith("| ") and not row.startswith("| boundary")]
    assert len(rows) >= 8
    for row in rows:
        files = re.findall(r"`(tests/[\w./-]+)`", row.split(" | ")[-1])
        assert files and all("def test_" in (ROOT / name).read_text() for name in files), row


def test_code_from_configuration_is_said() -> None:
    """Where a key makes a file run, this page, the guide to it and the comment at the key say so."""
    assert "`criteria.files` of `config.yaml` is code" in PAGE
    assert "It is code and runs with your rights" in (ROOT / "docs/gate.md").read_text().partition("criteria.files")[2]
    line = next(line for line in (ROOT / "config.yaml").read_text().splitlines() if "# files:" in line)
    assert "executed" in line
