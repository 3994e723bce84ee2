from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import ConfigError, Refused
from migration.config import envfile
from migration.setup import init
from tests.support import repos

CONFIG = """\
migration: {name: m, functions: [a]}
app: {path: app}
environments:
  # prod: {access_token: "${NOT_ASKED_FOR}"}
  prod: {project_ref: abcdefghijklmnopqrst, url: "https://x.supabase.co", access_token: "${TOKEN_FOR_TEST}"}
secrets: {KEY_FOR_TEST: {format: "^sk-"}}
auth: {anon_key: "${ANON_FOR_TEST}"}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


class Person:
    """Answers by name and remembers the questions."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, question: str) -> str:
        name = question.split()[0].rstrip(",")
        self.asked.append(name)
        return self.answers.get(name, "")


def test_only_what_is_missing_is_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in the environment, in `.env` and in comments are not; what was typed is in `.env`, mode 0600."""
    (root / ".env").write_text("ANON_FOR_TEST=known\n")
    (root / ".env").chmod(0o644)
    monkeypatch.setenv("TOKEN_FOR_TEST", "from the environment")
    person = Person(KEY_FOR_TEST="sk-1")
    done = init.run(root, person)
    assert person.asked == ["KEY_FOR_TEST"]
    assert envfile.read(root) == {"ANON_FOR_TEST": "known", "KEY_FOR_TEST": "sk-1"}
    assert (envfile.exposed(root), done.exit_code, done.written) == ("", 0, ("KEY_FOR_TEST",))
    assert "sk-1" not in repr(done)


def test_what_is_left_out_is_named_and_asked_for_again(root: Path) -> None:
    done = init.run(root, Person(TOKEN_FOR_TEST="t", KEY_FOR_TEST="sk-1"))
    assert (done.missing, done.exit_code, [str(step) for step in done.next]) == (("ANON_FOR_TEST",), 5, ["inv init"])
    person = Person(ANON_FOR_TEST="a")
    assert init.run(root, person).exit_code == 0
    assert person.asked == ["ANON_FOR_TEST"]


def test_a_value_of_the_wrong_form_is_refused(root: Path) -> None:
    with pytest.raises(Refused, match="does not match"):
        init.run(root, Person(TOKEN_FOR_TEST="t", KEY_FOR_TEST="a password"))
    written = (root / ".env").read_text()
    assert "TOKEN_FOR_TEST" in written and "a password" not in written, "what was typed before it is kept"


def test_git_is_told_to_leave_the_file_out(root: Path) -> None:
    """A missing ignore rule is added, an existing one is left alone; a tracked `.env` is refused."""
    repos.git(root, "init", "--quiet")
    (root / ".gitignore").write_text("node_modules")
    assert init.run(root, Person()).ignored is True
    assert (root / ".gitignore").read_text() == "node_modules\n.env\n"
    init.run(root, Person())
    assert (root / ".gitignore").read_text() == "node_modules\n.env\n"
    (root / ".env").write_text("A=1\n")
    repos.git(root, "add", "--force", ".env")
    with pytest.raises(ConfigError, match="tracked"):
        init.run(root, Person())


def test_optional_values_do_not_block(root: Path) -> None:
    """A management key, and the key of a provider that is not the target, may be skipped."""
    own = (
        CONFIG.replace("functions: [a]}", "functions: [a], from: old, to: new}")
        + """\
providers:
  new: {kind: openrouter, key: "${KEY_FOR_TEST}", management_key: "${MANAGER_FOR_TEST}"}
  old: {kind: gemini, key: "${OLD_FOR_TEST}"}
"""
    )
    (root / "config.yaml").write_text(own)
    person = Person(TOKEN_FOR_TEST="t", ANON_FOR_TEST="a", KEY_FOR_TEST="sk-1")
    done = init.run(root, person)
    assert (set(done.missing), done.exit_code) == ({"MANAGER_FOR_TEST", "OLD_FOR_TEST"}, 0)
    assert init.run(root, Person()).exit_code == 0
