"""What Invoke would misread is refused before anything runs."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.program import Program

import tasks
from migration.base.version import VERSION
from migration.cli import dispatch
from migration.cli.commandline import near

Typed = Callable[..., int]
RAN: list[str] = []


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types a command line; its exit code. No verb does anything: it is only noted, with its code of `ends`."""
    RAN.clear()

    def run(*words: str, **ends: int) -> int:
        def dispatched(verb: Callable[..., Any], *_: Any, **__: Any) -> None:
            RAN.append(verb.__name__)
            if code := ends.get(verb.__name__, 0):
                raise SystemExit(code)

        monkeypatch.setattr(dispatch, "run", dispatched)
        try:
            Program(namespace=Collection.from_module(tasks), name="inv").run(["inv", *words])
        except SystemExit as left:
            return int(left.code or 0)
        return 0

    return run


CHANGING = [
    ("rehearse",), ("sandbox",), ("init",), ("secret", "--set"), ("deploy", "--yes"), ("smoke",), ("soak", "--yes"),
    ("rollback", "--yes"), ("history", "--note", "x"), ("unlock", "ab12", "--yes"), ("doctor", "--fix"),
]  # fmt: skip


@pytest.mark.parametrize("words", CHANGING)
def test_dry_refuses_changes(typed: Typed, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoke's help promises that --dry runs nothing; so a verb that changes something does not begin."""
    assert typed("--dry", *words) == typed(*words, "--dry") == 2
    monkeypatch.setenv("INVOKE_RUN_DRY", "1")
    assert typed(*words) == 2 and RAN == []


def test_dry_lets_reading_verbs_run(typed: Typed) -> None:
    reading = ["secret", "plan", "logs", "costs", "checks", "status", "history", "doctor"]
    for verb in reading:
        assert typed("--dry", verb) == 0
    assert reading == RAN


def test_version_is_named(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    """Invoke answers --version before it reads tasks.py."""
    assert typed("version") == 0
    assert capsys.readouterr().out.startswith(f"Cutover {VERSION} (Invoke ")
    assert typed("version", "status") == 2 and not RAN, "no verb behind it is passed over in silence"


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
@pytest.mark.parametrize(
    ("words", "code"),
    [([], 141), (["--list"], 141), (["--help", "deploy"], 141), (["version"], 141), (["nothing", "--json"], 2)],
)
def test_list_that_cannot_be_written(
    typed: Typed,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    number: int,
) -> None:
    """`inv | head -1` and a full disk end as they do for every verb, without a traceback; a refusal stays one."""

    def gone(_: str) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys.stdout, "write", gone)
    assert typed(*words) == code
    named = "Cannot write the output: No space left on device" in capsys.readouterr().err
    assert named is (number == errno.ENOSPC and code == 141)


def test_verbs_run_in_order_until_one_fails(typed: Typed) -> None:
    assert typed("deploy", "--yes", "checks", "costs", checks=4) == 4
    assert RAN == ["deploy", "checks"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["deploy", "prod"], ["is an environment", "→ inv deploy"]),
        (["deploy", "local"], ["→ inv deploy --env local"]),
        (["deploy", "sandbox"], ["→ inv deploy --env sandbox"]),
        (["smoke", "-e", "sandbox"], ["→ inv smoke --env sandbox"]),
        (["smoke", "-e", "staging"], ["no verb staging"]),
        (["checks", "-e"], ["Did you mean --env?"]),
        (["deploy", "--yes", "everything"], ["no verb everything"]),
        (["deplyo"], ["Did you mean", "→ inv deploy"]),
        (["deploy", "--yess"], ["Did you mean --yes?"]),
        (["--help", "chekcs"], ["→ inv checks"]),
        (["status", "--env"], ["--env needs a value"]),
        (["rollback", "--without-lock"], ["--without-lock needs a value."]),
        (["plan", "--", "--env", "sandbox"], ["No verb reads what follows --: --env sandbox."]),
        (["deploy", "--yes", "--", "checks"], ["No verb reads what follows --: checks."]),
        (["-f", "my own.yaml", "deploy", "--yes"], ["CUTOVER_CONFIG='my own.yaml' ", "inv deploy --yes"]),
        (["--config=/dev/null", "plan"], ["CUTOVER_CONFIG=/dev/null"]),
        (["--dry", "-f", "x.yaml", "deploy", "--yes"], ["inv --dry deploy --yes"]),
        (["deploy", "--dry", "--env", "sandbox"], ["→ inv deploy --env sandbox --dry-run"]),
        (["unlock"], ["unlock needs a value: id.", "→ inv --help unlock"]),
    ],
)
def test_mistakes_are_refused_with_what_was_meant(
    typed: Typed, words: list[str], shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing runs, the exit code is 2, and stdout stays empty."""
    assert typed(*words) == 2 and RAN == []
    out, err = capsys.readouterr()
    assert out == "" and all(text in err for text in shown), err


def test_mistakes_are_json_where_asked(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("deplyo", "--json") == 2
    assert '"exit_code": 2' in capsys.readouterr().out


def test_bare_inv_lists_the_verbs(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed() == 0
    assert "rollback" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("deplyo", "deploy"), ("depoly", "deploy"), ("roll", "rollback"), ("rolback", "rollback"), ("stat", "status"),
        ("log", "logs"), ("check", "checks"), ("e2", "e2e"), ("--evn", "--env"), ("--jsno", "--json"),
        ("--yess", "--yes"), ("--lift", "--lift-hold"),
        ("bogus", ""), ("--since", ""), ("undo", ""), ("x", ""), ("--verbose", ""), ("sc", ""),
    ],
)  # fmt: skip
def test_near_names_only(word: str, meant: str) -> None:
    """A slip finds its name; a word that shares letters by chance finds none."""
    verbs = ["config", "deploy", "rollback", "status", "logs", "checks", "secret", "e2e", "soak", "watch", "doctor"]
    flags = ["--env", "--json", "--yes", "--lift-hold", "--wait", "-h", "--help", "--debug"]
    assert near(word, flags if word.startswith("-") else verbs) == meant
