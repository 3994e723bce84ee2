"""One road to git: no prompt, no hang, no misleading surroundings, and every failure in a sentence of ours."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import CutoverError, Refused, ServiceFailed, Unreachable
from migration.git import giterrors, process
from migration.git import repository as repositories
from migration.git.giterrors import Denied, TimedOut
from migration.git.refs import Move, choose
from migration.git.repository import Repository
from tests.support.edge import until
from tests.support.git_http import serve
from tests.support.repos import QUIET, alone, clone, commit, git, pair


def repository(folder: Path) -> Repository:
    return Repository(folder, QUIET)


def test_files_and_changes_are_told_relative_to_the_app(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    base = commit(folder, {"apps/one/a.ts": "1\n", "b.ts": "1\n"})
    tip = commit(folder, {"apps/one/a.ts": "2\n", "apps/one/größe [1].ts": "x\n", "b.ts": "2\n"})
    own = repository(folder / "apps/one")
    assert own.prefix == "apps/one/"
    assert list(own.blobs(tip)) == ["a.ts", "größe [1].ts"]
    assert sorted(own.changed(base, tip)) == ["a.ts", "größe [1].ts"]
    assert own.statuses(base, tip, []) == {"a.ts": "M", "größe [1].ts": "A"}
    assert set(own.blobs(tip, ["a.ts"])) == {"a.ts"}
    (folder / "apps/one/a.ts").write_text("3\n")
    (folder / "apps/one/new.ts").write_text("3\n")
    (folder / "b.ts").write_text("3\n")
    assert own.dirty() == ["a.ts", "new.ts"] and own.dirty(["a.ts"]) == ["a.ts"]


def test_many_paths_are_not_compared_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git compares every file with every path that it is given: with the 5,000 of 200 functions it takes seconds."""
    folder = alone(tmp_path / "app")
    names = [f"supabase/functions/f/{number}.ts" for number in range(repositories.FEW + 1)]
    commit(folder, {f"apps/one/{name}": "1\n" for name in [*names, "supabase/functions/g.ts", "ä/b.ts"]})
    for name in (names[7], "supabase/functions/g.ts", "supabase/functions/f/new.ts", "ä/b.ts"):
        (folder / "apps/one" / name).write_text("2\n")
    (folder / "apps/one" / names[8]).unlink()
    own, calls = repository(folder / "apps/one"), list[tuple[str, ...]]()
    run = own.run

    def noted(*words: str, **more: Any) -> process.Done:
        calls.append(words)
        return run(*words, **more)

    monkeypatch.setattr(own, "run", noted)
    assert own.dirty([*names, "ä/b.ts"]) == [names[7], names[8], "ä/b.ts"]
    asked = next(words for words in calls if words[0] == "status")
    assert asked[asked.index("--") + 1 :] == ("supabase/functions", "ä/b.ts")


SETTINGS = {
    "names relative to a folder": {"diff.relative": "true"},
    "an order that is not there": {"diff.orderFile": "/nonexistent"},
    "a remote that is a mirror": {"remote.origin.mirror": "true"},
    "push options": {"push.pushOption": "ci.skip"},
    "hooks that fail": {"core.hooksPath": "HOOKS"},
    "programs": {"core.fsmonitor": "/bin/false", "diff.external": "/bin/false", "core.pager": "/bin/false"},
    "colours": {"color.ui": "always", "status.relativePaths": "true", "log.showSignature": "true"},
    "nothing": {},
}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_settings_of_a_user_change_nothing(name: str, tmp_path: Path) -> None:
    """In a folder of a monorepo git answers the same whatever is configured, and runs none of the clone's hooks."""
    remote, folder = pair(tmp_path)
    base = commit(folder, {"apps/one/a.ts": "1\n", "apps/one/b.ts": "1\n"})
    tip = commit(folder, {"apps/one/a.ts": "2\n"})
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("reference-transaction", "post-checkout", "pre-push", "post-index-change", "post-commit"):
        (hooks / hook).write_text(f"#!/bin/sh\necho {hook} >> {tmp_path}/ran\nexit 1\n")
        (hooks / hook).chmod(0o755)
    for key, value in SETTINGS[name].items():
        git(folder, "config", key, str(hooks) if value == "HOOKS" else value)
    own = repository(folder / "apps/one")
    assert (own.changed(base, tip), own.statuses(base, tip, ["a.ts"])) == (["a.ts"], {"a.ts": "M"})
    (folder / "apps/one/b.ts").write_text("3\n")
    assert own.dirty() == ["b.ts"] and own.subject(tip) == "Change"
    refs = choose(own, "origin", "refs/cutover", "main")
    refs.check()
    record = own.commit("record")
    assert refs.move([Move("refs/cutover/ledger/prod", None, record)]) is None and own.move("refs/cutover/x", record)
    refs.bring("refs/cutover/ledger/prod", record)
    with own.worktree(tip) as tree:
        assert (tree / "apps/one/a.ts").read_text() == "2\n"
    assert git(remote, "rev-parse", "refs/cutover/ledger/prod") == record and not (tmp_path / "ran").exists()


def test_hidden_changes_are_seen_in_a_folder(tmp_path: Path) -> None:
    """What the index is set to ignore (skip-worktree) differs all the same, also where the app is not at the top."""
    folder = alone(tmp_path / "app")
    tip = commit(folder, {"apps/one/a.ts": "1\n", "apps/one/b.ts": "1\n", "a.ts": "0\n"})
    git(folder, "update-index", "--skip-worktree", "apps/one/a.ts")
    (folder / "apps/one/a.ts").write_text("2\n")
    own = repository(folder / "apps/one")
    here, known = own.hashed(["a.ts", "b.ts"]), own.blobs(tip)
    assert own.dirty() == [] and [path for path in here if here[path] != known[path]] == ["a.ts"]


@pytest.mark.parametrize("name", ["GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_ATTR_SOURCE"])
def test_variables_that_mislead_git_are_dropped(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = alone(tmp_path / "app")
    tip = commit(folder, {"a.ts": "1\n"})
    monkeypatch.setenv(name, "1")
    assert list(repository(folder).blobs(tip, ["a.ts"])) == ["a.ts"]


def test_revisions_branches_and_descent(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    first = git(folder, "rev-parse", "HEAD")
    second = commit(folder, {"a": "1\n"}, "Second")
    own = repository(folder)
    assert own.head() == second and own.revision("main~1") == first
    assert own.revision("nothing") is None and own.revision("--help") is None
    assert own.is_ancestor(first, second) and not own.is_ancestor(second, first)
    assert not own.is_ancestor("0" * 40, second)
    assert own.parents(second) == [first] and own.subject(second) == "Second"


def test_a_folder_without_a_repository_or_without_a_commit_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(Refused, match=r"not inside a git repository"):
        repository(tmp_path / "plain").head()
    with pytest.raises(Refused, match="There is no folder"):
        repository(tmp_path / "missing").head()
    (tmp_path / "unborn").mkdir()
    git(tmp_path / "unborn", "init", "--quiet")
    with pytest.raises(Refused, match="has no commit yet"):
        repository(tmp_path / "unborn").head()


def test_what_a_hook_or_an_outer_git_left_in_the_environment_does_not_mislead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = alone(tmp_path / "app"), alone(tmp_path / "other")
    commit(other, {"x": "1\n"})
    for name, value in {"GIT_DIR": other / ".git", "GIT_WORK_TREE": other, "GIT_INDEX_FILE": other / "i"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("GIT_TRACE", "1")
    done = repository(folder).run("log", "--format=%s")
    assert done.text == "Begin" and done.err == ""


def test_a_silent_remote_is_given_up_and_its_processes_are_gone(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/silent.git"
        git(folder, "remote", "add", "origin", address)
        own = repository(folder)
        own.patience = 0.6
        with pytest.raises(TimedOut, match=r"did not answer git ls-remote within 0\.6s"):
            own.ls_remote("origin")
    until(lambda: address not in subprocess.check_output(["ps", "-eo", "args"], text=True))


def test_another_thread_can_end_a_waiting_git(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    with socket.create_server(("127.0.0.1", 0)) as server:
        git(folder, "remote", "add", "origin", f"http://127.0.0.1:{server.getsockname()[1]}/x.git")
        ended: list[BaseException] = []

        def ask() -> None:
            try:
                repository(folder).ls_remote("origin")
            except CutoverError as error:
                ended.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while thread.ident not in process._live:
            time.sleep(0.005)
        server.accept()
        process.abort(thread.ident)
        thread.join(10)
    assert not thread.is_alive() and ended


def test_credentials_are_never_asked_for_and_a_refusal_is_named(tmp_path: Path) -> None:
    remote, folder = pair(tmp_path)
    git(remote, "config", "http.receivepack", "true")
    with serve(tmp_path) as (address, faults):
        git(folder, "remote", "set-url", "origin", f"{address}/remote.git")
        own = repository(folder)
        refs = choose(own, "origin", "refs/cutover")
        refs.check()
        faults.deny = "push"
        with pytest.raises(Denied, match="lets us read but not push") as caught:
            refs.check()
        assert caught.value.exit_code == 2
        faults.deny = "all"
        with pytest.raises(Denied, match="does not accept our credentials"):
            own.ls_remote("origin")


def test_a_dead_remote_is_unreachable(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    git(folder, "remote", "add", "origin", "http://127.0.0.1:1/x.git")
    with pytest.raises(Unreachable, match="Cannot reach the git remote origin"):
        repository(folder).ls_remote("origin")


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        ("fatal: detected dubious ownership in repository at '/x'", Refused, "does not trust /x,"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", Unreachable, "no repository"),
        ("remote: Permission to acme/app.git denied to bot.\nfatal: ... error: 403", Denied, "not push"),
        ("git@example.com: Permission denied (publickey).", Denied, "credentials"),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", Denied, "credentials"),
        ("fatal: Unable to create '/x/.git/index.lock': Permission denied", giterrors.ReadOnly, "cannot write to /app"),
        ("error: insufficient permission for adding an object to .git/objects", giterrors.ReadOnly, "cannot write"),
        ("remote: error: insufficient permission for adding an object", Denied, "not push"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", Unreachable, "Cannot reach"),
        (
            "error: RPC failed; HTTP 502 curl 22",
            Unreachable,
            "Cannot reach the git remote origin: RPC failed; HTTP 502",
        ),
        (
            "ssh: connect to host x port 22: Connection refused\nfatal: Could not read from remote repository.",
            Unreachable,
            "Cannot reach the git remote origin: connect to host x port 22: Connection refused.",
        ),
        ("fatal: the remote end hung up unexpectedly", Unreachable, "Cannot reach the git remote origin."),
        ("fatal: sha1 file write error: No space left on device", CutoverError, "The disk is full"),
        ("fatal: sha1 file '/s/i.lock' write error. Out of diskspace", ServiceFailed, "git cannot write to /s/i.lock."),
        ("fatal: 1a2b is not a valid 'commit' object", Refused, "does not hold a commit"),
        ("fatal: something new", giterrors.GitFailed, "git push failed: fatal: something new."),
        ("", giterrors.GitFailed, "it gave no reason"),
    ],
)
def test_git_s_words_become_one_sentence_with_its_cause(words: str, error: type[CutoverError], sentence: str) -> None:
    found = giterrors.translate("push", words, "/app", "origin")
    assert isinstance(found, error) and sentence in found.message and found.data["stderr"] == words


def test_the_repository_that_git_does_not_trust_is_named() -> None:
    """It may be the remote: to trust the clone changed nothing, and the same message came again."""
    words = "fatal: detected dubious ownership in repository at '/srv/my remote.git'\nTo add an exception"
    found = giterrors.translate("ls-remote", words, "/app", "origin")
    assert found.hint == "git -C /app config --global --add safe.directory '/srv/my remote.git'"


def test_a_hint_can_be_pasted_wherever_the_app_lies() -> None:
    found = giterrors.translate("push", "error: 403", "/srv/my app", "origin")
    assert found.hint == "git -C '/srv/my app' push --dry-run origin"


def test_signed_pushes_of_the_user_are_not_ours(tmp_path: Path) -> None:
    """`push.gpgSign` is for hosts that take certificates of pushes; most refuse them."""
    _, first = pair(tmp_path)
    git(first, "config", "push.gpgSign", "true")
    own = repository(first)
    assert own.push("origin", "HEAD:refs/heads/signed").ok


def test_a_password_in_a_url_never_reaches_a_message(tmp_path: Path) -> None:
    found = giterrors.translate("push", "fatal: https://ada:hunter22@example.com/ is odd", tmp_path)
    assert "hunter22" not in found.message + str(found.data)


def test_a_worktree_is_gone_afterwards_whatever_happens(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    own = repository(folder)
    with pytest.raises(ValueError, match="bug"), own.worktree("HEAD", tmp_path / "state") as tree:
        assert (tree / "README").read_text() == "app\n"
        raise ValueError("bug")
    assert not list((tmp_path / "state").iterdir()) and git(folder, "worktree", "list").count("\n") == 0


def test_a_ref_moves_only_from_where_it_was_expected(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    own, head = repository(folder), git(folder, "rev-parse", "HEAD")
    other = own.commit("empty")
    assert own.move("refs/cutover/x", head, "") and not own.move("refs/cutover/x", other, "")
    assert not own.move("refs/cutover/x", other, other) and own.move("refs/cutover/x", other, head)
    assert own.move("refs/cutover/x", head) and own.revision("refs/cutover/x") == head


def test_a_shallow_clone_is_known_and_can_be_deepened(tmp_path: Path) -> None:
    remote, folder = pair(tmp_path)
    tip = commit(folder, {"a": "1\n"})
    git(folder, "push", "--quiet", "origin", "main")
    own = repository(clone(f"file://{remote}", tmp_path / "shallow", "--depth=1"))
    assert own.shallow() and own.boundary() == {tip}
    own.deepen("origin")
    assert not own.shallow() and own.boundary() == set() and len(own.parents(tip)) == 1


def test_the_remote_s_branch_is_brought_here_without_moving_a_ref(tmp_path: Path) -> None:
    remote, folder = pair(tmp_path)
    other = clone(remote, tmp_path / "other")
    tip = commit(other, {"a": "1\n"})
    git(other, "push", "--quiet", "origin", "main")
    before = git(folder, "for-each-ref")
    own = repository(folder)
    assert own.tracked("origin", "main") == tip and own.revision(tip) == tip
    assert own.tracked("origin", "nothing") is None and git(folder, "for-each-ref") == before
