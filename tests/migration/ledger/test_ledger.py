"""The ledger: shared, append-only, losing nothing, readable offline."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migration.base.errors import CutoverError, Refused, ServiceFailed, Unreachable
from migration.base.secrets_type import Secret
from migration.git.giterrors import Denied, HostRefuses
from migration.ledger.ledger import Ledger
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.repos import QUIET, alone, clone, commit, git, ledger, lock, pair


def note(own: Ledger, text: str) -> None:
    own.append({"record": "note", "text": text})


def texts(own: Ledger, **more: bool) -> list[str]:
    return [record["text"] for record in own.records(**more) if record["record"] == "note"]


def test_a_record_written_in_one_clone_is_read_in_another(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    second = clone(remote, tmp_path / "two")
    note(ledger(first), "from the first")
    note(ledger(second), "from the second")
    assert texts(ledger(first)) == ["from the first", "from the second"]


def test_every_record_says_who_when_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_ACTOR", "release-bot")
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("CI_JOB_URL", "https://ci.example.com/7")
    record = ledger(pair(tmp_path)[1]).append({"record": "note", "text": "hello"})
    assert record["who"] == "release-bot" and record["environment"] == "prod" and record["project_ref"] == "ref1"
    assert record["where"]["class"] == "ci" and record["where"]["run_url"] == "https://ci.example.com/7"
    assert record["at"].endswith("Z") and len(record["id"]) == 16


@pytest.mark.parametrize(("set_up", "name"), [("user.name", "Ada"), (None, None)])
def test_who_is_git_s_user_name_or_else_the_login_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_up: str | None, name: str | None
) -> None:
    for variable in ("CUTOVER_ACTOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "CI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LOGNAME", "login-name")
    folder = alone(tmp_path / "app")
    if set_up:
        git(folder, "config", set_up, str(name))
    record = ledger(folder).append({"record": "note", "text": "x"})
    assert record["who"] == (name or "login-name") and record["where"]["class"] == "laptop"


def test_plain_git_reads_the_ledger(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    note(ledger(first), "grüße")
    lines = git(remote, "log", "--format=%an|%s", "refs/cutover/ledger/prod").splitlines()
    author, _, line = lines[0].partition("|")
    assert author == "Cutover" and json.loads(line)["text"] == "grüße"


def test_environments_do_not_see_each_other(tmp_path: Path) -> None:
    first = pair(tmp_path)[1]
    note(ledger(first, "prod"), "p")
    note(ledger(first, "staging"), "s")
    assert texts(ledger(first, "prod")) == ["p"] and texts(ledger(first, "staging")) == ["s"]


def test_a_secret_never_reaches_the_ledger(tmp_path: Path) -> None:
    Secret("very-secret-value-1")
    own = ledger(pair(tmp_path)[1])
    note(own, "the key is very-secret-value-1, and https://ada:hunter2@example.com/x")
    assert texts(own) == ["the key is [REDACTED], and https://[REDACTED]@example.com/x"]


def test_reading_offline_gives_the_last_known_records_and_says_so(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    note(ledger(first), "known")
    remote.rename(tmp_path / "gone.git")
    own = ledger(first)
    assert texts(own) == ["known"]
    assert own.offline is not None and "origin" in own.offline


def test_writing_offline_is_refused_with_the_cause(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    remote.rename(tmp_path / "gone.git")
    own = ledger(first)
    own.clock.sleep = lambda _: None  # type: ignore[method-assign,assignment]
    with pytest.raises(Unreachable, match="origin"):
        note(own, "never")


def test_what_happened_is_kept_in_a_file_and_pushed_by_the_next_command(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    note(ledger(first), "before")
    remote.rename(tmp_path / "gone.git")
    path = ledger(first).keep({"record": "note", "text": "while away"}, failures=1)
    assert path is not None and path.exists()
    assert texts(ledger(first)) == ["before", "while away"]
    (tmp_path / "gone.git").rename(remote)
    note(ledger(first), "after")
    assert texts(ledger(clone(remote, tmp_path / "two"))) == ["before", "while away", "after"]
    assert not path.exists()


def test_an_emergency_file_already_in_the_ledger_is_not_written_twice(tmp_path: Path) -> None:
    own = ledger(pair(tmp_path)[1])
    record = own.append({"record": "note", "text": "once"})
    own.emergency.save(record)
    note(own, "next")
    assert texts(own) == ["once", "next"] and not own.emergency.waiting()


def test_without_any_remote_the_ledger_is_local(tmp_path: Path) -> None:
    own = ledger(alone(tmp_path / "app"))
    note(own, "here")
    assert not own.shared and "no remote" in own.refs.place and texts(own) == ["here"]


def test_a_ledger_that_was_local_moves_to_a_remote_added_later(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    note(ledger(folder), "alone")
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(folder, "remote", "add", "origin", str(tmp_path / "remote.git"))
    note(ledger(folder), "together")
    assert texts(ledger(clone(tmp_path / "remote.git", tmp_path / "two"))) == ["alone", "together"]


def test_a_remote_name_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    git(folder, "remote", "add", "upstream", "nowhere")
    with pytest.raises(Refused, match=r"no git remote origin; its remotes are upstream"):
        ledger(folder)


def test_records_that_the_remote_lost_come_back_with_the_next_write(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    for text in ("one", "two"):
        note(ledger(first), text)
    git(remote, "update-ref", "refs/cutover/ledger/prod", "refs/cutover/ledger/prod~1")
    note(ledger(first), "three")
    git(remote, "update-ref", "-d", "refs/cutover/ledger/prod")
    note(ledger(first), "four")
    assert texts(ledger(clone(remote, tmp_path / "two"))) == ["one", "two", "three", "four"]


def test_rewritten_history_is_told_and_the_former_records_are_kept(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    note(ledger(first), "old")
    second = clone(remote, tmp_path / "two")
    git(remote, "update-ref", "-d", "refs/cutover/ledger/prod")
    note(ledger(second), "new")
    own = ledger(first)
    assert texts(own) == ["new"]
    assert isinstance(own.observer, Collector)
    assert any("rewritten" in event[3] for event in own.observer.events)
    assert git(first, "for-each-ref", "refs/cutover/lost")


def test_something_written_there_by_hand_is_kept_and_stops_nobody(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    note(ledger(first), "before")
    tree = git(remote, "hash-object", "-t", "tree", "-w", "--stdin")
    stray = git(remote, "commit-tree", tree, "-p", "refs/cutover/ledger/prod", "-m", "hello there")
    git(remote, "update-ref", "refs/cutover/ledger/prod", stray)
    note(ledger(first), "after")
    kinds = [record["record"] for record in ledger(first).records()]
    assert kinds == ["note", "unreadable", "note"]


def test_no_ref_branch_tag_or_fetch_head_of_the_user_moves(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    git(first, "tag", "mine")
    git(first, "config", "push.followTags", "true")
    before = git(first, "for-each-ref", "refs/heads", "refs/tags", "refs/remotes")
    note(ledger(first), "x")
    assert git(first, "for-each-ref", "refs/heads", "refs/tags", "refs/remotes") == before
    assert not (first / ".git" / "FETCH_HEAD").exists() and git(remote, "tag") == ""


@pytest.mark.parametrize("options", [("--depth=1",), ("--bare",), ("--filter=blob:none", "--no-checkout")])
def test_it_works_in_shallow_bare_and_partial_clones(tmp_path: Path, options: tuple[str, ...]) -> None:
    remote, first = pair(tmp_path)
    git(remote, "config", "uploadpack.allowFilter", "true")
    for number in range(3):
        commit(first, {"README": str(number)})
    git(first, "push", "--quiet", "origin", "main")
    note(ledger(first), "one")
    second = clone(f"file://{remote}", tmp_path / "two", *options)
    note(ledger(second), "two")
    assert texts(ledger(second)) == ["one", "two"] == texts(ledger(first))


def test_it_works_without_identity_with_signing_on_and_with_failing_hooks(tmp_path: Path) -> None:
    first = pair(tmp_path)[1]
    for hook in ("pre-push", "pre-commit", "commit-msg", "reference-transaction-not-a-hook"):
        path = first / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\nexit 1\n")
        path.chmod(0o755)
    git(first, "config", "commit.gpgsign", "true")
    git(first, "config", "user.signingkey", "nobody")
    git(first, "config", "user.useConfigOnly", "true")
    own = ledger(first)
    own.repository.env = {key: value for key, value in QUIET.items() if "CONFIG" in key}
    note(own, "unsigned")
    assert texts(own) == ["unsigned"]


def test_branches_carry_ledger_and_lock_where_the_host_refuses_custom_refs(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nwhile read old new ref; do case $ref in refs/heads/*) ;; *) exit 1 ;; esac; done\n")
    hook.chmod(0o755)
    with pytest.raises(HostRefuses, match=r"refs/cutover/ledger/prod.*app.ledger: refs/heads/cutover"):
        note(ledger(first), "x")
    git(remote, "config", "receive.advertiseAtomic", "false")
    git(remote, "config", "receive.denyDeletes", "true")
    git(remote, "config", "receive.denyNonFastForwards", "true")
    own = ledger(first, prefix="refs/heads/cutover")
    for _ in range(2):
        with lock(own).held("test"):
            note(own, "on a branch")
            note(own, "again")
    assert texts(ledger(clone(remote, tmp_path / "two"), prefix="refs/heads/cutover")) == ["on a branch", "again"] * 2
    assert lock(own).holder() is None
    assert "[skip ci]" in git(remote, "log", "-1", "--format=%B", "refs/heads/cutover/ledger/prod")


def test_a_host_without_atomic_pushes_is_named_with_the_key_to_set(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    git(remote, "config", "receive.advertiseAtomic", "false")
    own = ledger(first)
    with pytest.raises(HostRefuses, match=r"app\.ledger: refs/heads/cutover"), lock(own).held("test"):
        note(own, "x")


def test_a_branch_in_the_way_of_the_refs_is_named(tmp_path: Path) -> None:
    remote, first = pair(tmp_path)
    git(remote, "update-ref", "refs/cutover/ledger", "refs/heads/main")
    with pytest.raises(HostRefuses, match="refs/cutover/ledger is in the way"):
        note(ledger(first), "x")


def test_the_first_write_is_announced_and_later_ones_are_not(tmp_path: Path) -> None:
    own = ledger(pair(tmp_path)[1])
    sentence = own.announce()
    assert sentence == "This creates refs/cutover/ledger/prod and refs/cutover/lock/prod in the git remote origin."
    note(own, "x")
    assert own.announce() is None


def test_every_failure_is_one_of_our_errors(tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    folder.mkdir()
    with pytest.raises(CutoverError, match="not inside a git repository"):
        ledger(folder)
    assert issubclass(Denied, Refused) and issubclass(Unreachable, ServiceFailed)


def test_a_lock_file_that_a_dying_git_left_behind_hides_no_record(tmp_path: Path) -> None:
    """The copy of the ledger in this clone cannot be written then; what the remote says counts all the same."""
    _, folder = pair(tmp_path)
    ledger(folder).append({"record": "note", "text": "before"})
    (folder / ".git/refs/cutover/ledger/prod.lock").touch()
    own = ledger(folder)
    own.append({"record": "note", "text": "after"})
    assert [record["text"] for record in own.records()] == ["before", "after"]
    assert [record["text"] for record in ledger(folder).records()] == ["before", "after"]


def test_suspended_pusher_blocks_no_other(tmp_path: Path) -> None:
    """A command that was suspended while it pushes queued records: others wait a moment, name it, and go on."""
    _, folder = pair(tmp_path)
    own = ledger(folder, clock=VirtualClock())
    own.emergency.save(own.stamp({"record": "note", "text": "queued"}))
    code = (
        "import fcntl, os, sys, time; handle = open(sys.argv[1], 'a+'); fcntl.flock(handle, fcntl.LOCK_EX);"
        "handle.write(str(os.getpid())); handle.flush(); print('locked', flush=True); time.sleep(600)"
    )
    suspended = subprocess.Popen(
        [sys.executable, "-c", code, str(own.emergency.folder / "lock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert suspended.stdout is not None and suspended.stdout.readline() == "locked\n"
        suspended.send_signal(signal.SIGSTOP)
        assert texts(own) == ["queued"] and own.clock.monotonic() < 3
        with lock(own).held("deploy"):
            note(own, "after")
        assert sorted(texts(own)) == ["after", "queued"] and own.clock.monotonic() < 15
        assert isinstance(own.observer, Collector)
        [warning] = [event[3] for event in own.observer.events if "queued" in event[3]]
        assert f"Process {suspended.pid} is still pushing the queued records" in warning
    finally:
        suspended.kill()
        suspended.wait()
    assert sorted(texts(ledger(folder))) == ["after", "queued"] and not own.emergency.waiting()
