from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migration.base.errors import ConfigError
from migration.base.secrets_type import Secret
from migration.config import envfile, load
from tests.support import repos

VALUES = ["plain", "it's \"q\" # $HOME ${OTHER} $$", "a\r\nb\tc", "héé ☃ 🔑", " lead and trail ", "back\\slash\\n", "",
          "a=b", "'", '"', "\\'", "`x`", "#", "export X=1"]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_written_value_is_read_back_unchanged(tmp_path: Path, value: str) -> None:
    envfile.write(tmp_path, {"NAME": Secret(value)})
    assert envfile.read(tmp_path) == {"NAME": value}


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc"), whitelist_characters="\r\n\t")))
@example("\\")
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    folder = tmp_path_factory.mktemp("env")
    envfile.write(folder, {"NAME": Secret(value)})
    assert envfile.read(folder) == {"NAME": value}


def test_values_reach_the_configuration_unexpanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dollar in a value is a dollar; the environment goes before the file."""
    envfile.write(tmp_path, {"A_FOR_TEST": Secret("${B_FOR_TEST} $$"), "B_FOR_TEST": Secret("file")})
    monkeypatch.setenv("B_FOR_TEST", "environment")
    values = load.variables(tmp_path)
    assert load.fill("${A_FOR_TEST}|${B_FOR_TEST}", values) == "${B_FOR_TEST} $$|environment"


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OLD=1\n")
    (tmp_path / ".env").chmod(0o644)
    assert envfile.exposed(tmp_path) == "0644"
    envfile.write(tmp_path, {"NEW": Secret("x")})
    assert envfile.exposed(tmp_path) == ""


def test_other_lines_stay(tmp_path: Path) -> None:
    """Comments, other names and values of several lines stay as they are; the name itself is replaced."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbf# mine\r\nexport A=old\r\nB='two\nlines'\nC=1")
    envfile.write(tmp_path, {"A": Secret("new")})
    assert envfile.read(tmp_path) == {"B": "two\nlines", "C": "1", "A": "new"}
    assert "# mine" in (tmp_path / ".env").read_text()


def test_a_tracked_file_is_refused(tmp_path: Path) -> None:
    """Its secrets are in every clone; the message says what to type."""
    repos.bare(tmp_path / "remote.git")
    repos.clone(tmp_path / "remote.git", tmp_path / "app")
    repos.commit(tmp_path / "app", {".gitignore": "other\n"})
    (tmp_path / "app" / ".env").write_text("A=1\n")
    envfile.guard(tmp_path / "app")
    assert envfile.ignored(tmp_path / "app") is False
    repos.git(tmp_path / "app", "add", "--force", ".env")
    with pytest.raises(ConfigError) as caught:
        envfile.guard(tmp_path / "app")
    assert "git rm --cached .env" in caught.value.hint


def test_a_file_that_is_no_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        envfile.read(tmp_path)


@pytest.mark.parametrize(
    "text,lines",
    [
        ("WORDS=`[\nfirst\n]`\n", [1, 2, 3]),
        ("A=1\nB='never closed\nC=3\n", [2]),
        ('A=1\nB="never closed\n', [2]),
        ("A='x' y\n", [1]),
        ('KEY={\n  "a": 1\n}\n', [2, 3]),
        ("KEY=-----BEGIN PRIVATE KEY-----\nMIIEvQ\nab==\n-----END PRIVATE KEY-----\n", [2, 4]),
        ("A B=1\n", [1]),
        ("=x\n", [1]),
        ("A: 1\n", [1]),
    ],
)
def test_unreadable_line_is_named(tmp_path: Path, text: str, lines: list[int]) -> None:
    """A line that python-dotenv skips would leave a torso of the value; the value itself is not shown."""
    (tmp_path / ".env").write_text(text)
    with pytest.raises(ConfigError) as caught:
        envfile.read(tmp_path)
    assert [int(row.split(":")[1]) for row in caught.value.message.splitlines()] == lines
    assert "MIIE" not in caught.value.message and "never" not in caught.value.message


def test_quoted_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('# a comment\n\nexport A="a\n`b`" # why\nB=x`y`\nC=\n')
    assert envfile.read(tmp_path) == {"A": "a\n`b`", "B": "x`y`", "C": ""}
