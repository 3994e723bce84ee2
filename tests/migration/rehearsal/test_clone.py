"""The sandbox's clone: complete, its own, and without a way back to the user's repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from migration.base.errors import CutoverError, Refused
from migration.context import SAMPLE
from migration.git.repository import Repository
from migration.rehearsal import clone
from migration.rehearsal.clone import ISOLATED, Clone

FUNCTION = "supabase/functions/hello/index.ts"


def git(where: Path, *arguments: str) -> str:
    return Repository(where, ISOLATED).git(*arguments).text


def content(*folders: Path) -> dict[str, bytes]:
    """Every byte below the folders, git's own files included."""
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A user's app, below the top of its repository, with two commits, a tag, a branch, an origin and a dirty file."""
    origin, top = tmp_path / "theirs.git", tmp_path / "theirs"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git(tmp_path, "clone", "--quiet", str(origin), str(top))
    git(top, "checkout", "--quiet", "-B", "main")
    for text in ("one", "two"):
        file = top / "app" / FUNCTION
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"Deno.serve(() => new Response('{text}'));\n")
        git(top, "add", "--all")
        git(top, "commit", "--quiet", "--message", text)
    git(top, "tag", "v1")
    git(top, "branch", "other")
    git(top, "push", "--quiet", "origin", "main", "other", "v1")
    (top / "app" / "notes.txt").write_text("not committed")
    return top / "app"


@pytest.fixture
def copy(theirs: Path, tmp_path: Path) -> Clone:
    return clone.make(tmp_path / "sandbox", theirs)


def test_the_sample_app_becomes_two_commits_that_the_remote_has(tmp_path: Path) -> None:
    """`main` holds before and after, and both are on the bare remote."""
    found = clone.make(tmp_path, SAMPLE)
    assert git(found.remote, "rev-list", "main").split() == [found.head, found.base]
    assert (found.app / "supabase/functions/_shared/openrouter-client.ts").exists()
    assert git(found.app, "status", "--porcelain", "--branch") == "## main...origin/main"
    found.checkout(found.base)
    for name in ("before", "after"):
        found.checkout(found.base if name == "before" else found.head)
        tree = {path: text for path, text in content(found.app).items() if "/.git/" not in path}
        layers = [SAMPLE / "before"] if name == "before" else [SAMPLE / "before", SAMPLE / "after"]
        wanted = {str(found.app / Path(path).relative_to(layer)): text
                  for layer in layers for path, text in content(layer).items()}  # fmt: skip
        assert tree == wanted


def test_the_sample_has_the_same_commit_ids_everywhere(tmp_path: Path) -> None:
    """Nothing of the machine, the user or the time goes into the two commits."""
    first, second = (clone.make(tmp_path / name, SAMPLE) for name in ("a", "b"))
    assert (first.base, first.head) == (second.base, second.head)
    assert first.head == "85f1f67614afeb15dbe750d948b4368ef58f77cf"


def test_it_works_without_any_git_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No user.name, no HOME: the rehearsal brings its own author."""
    for name in ("HOME", "EMAIL", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    found = clone.make(tmp_path, SAMPLE)
    assert git(found.app, "log", "--format=%an", "-1") == "Cutover Rehearsal"
    subprocess.run(["git", "commit", "--quiet", "--allow-empty", "-m", "x"], cwd=found.app, check=True)


def test_a_users_settings_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A global hook or signing that would refuse every commit changes nothing here."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[core]\nhooksPath = {hooks}\n[commit]\ngpgsign = true\n[gpg]\nprogram = false\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    found = clone.make(tmp_path / "sandbox", SAMPLE)
    subprocess.run(["git", "commit", "--quiet", "--allow-empty", "-m", "x"], cwd=found.app, check=True)


def test_no_byte_of_the_users_repository_or_its_origin_changes(theirs: Path, tmp_path: Path) -> None:
    """Cloning, committing, pushing and starting afresh leave refs, index and files of the source as they were."""
    before = content(theirs.parent, tmp_path / "theirs.git")
    found = clone.make(tmp_path / "sandbox", theirs)
    found.checkout(found.base)
    found.commit({FUNCTION: "broken("}, "Break it")
    clone.make(tmp_path / "sandbox", theirs, fresh=True)
    assert content(theirs.parent, tmp_path / "theirs.git") == before


def test_nothing_in_the_copy_leads_back(copy: Clone, theirs: Path) -> None:
    """The clone's only remote is the bare one, and that one has none."""
    assert git(copy.app, "remote", "get-url", "--all", "origin") == str(copy.remote)
    assert git(copy.app, "remote") == "origin"
    assert git(copy.remote, "remote") == ""
    assert str(theirs.parent) not in (copy.remote / "config").read_text()


def test_only_the_branch_is_copied(copy: Clone, theirs: Path) -> None:
    """The app's branch comes with its history; other branches, tags and uncommitted files stay where they are."""
    assert git(copy.remote, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert copy.head == git(theirs, "rev-parse", "main")
    assert copy.base == git(theirs, "rev-parse", "main~1")
    assert (copy.app / FUNCTION).exists() and not (copy.app / "notes.txt").exists()


def test_what_a_clone_lacks_is_named(copy: Clone, theirs: Path) -> None:
    """Uncommitted files, supabase/ first, and another commit that is checked out; else nothing."""
    assert clone.taken(copy, theirs) == f"main at {copy.head[:9]}"
    assert clone.left_out(theirs, "main") == ["Not committed, so left out: notes.txt."]
    (theirs / FUNCTION).write_text("changed")
    for name in ("a", "b"):
        (theirs / name).write_text("new")
    git(theirs, "checkout", "--quiet", "--detach", "main~1", "--merge")
    left = clone.left_out(theirs, "main")
    assert left == [
        f"The app is checked out at {copy.base[:9]}; what runs here is main (app.branch), {copy.head[:9]}.",
        f"Not committed, so left out: {FUNCTION}, a, b and 1 more.",
    ]
    git(theirs, "checkout", "--quiet", "--force", "main")
    git(theirs, "clean", "--quiet", "--force", ".")
    assert clone.left_out(theirs, "main") == []


def test_the_sample_lacks_nothing(tmp_path: Path) -> None:
    """Its two commits hold all of it, and its folder lies in a repository of another kind."""
    assert clone.left_out(SAMPLE, "main") == []
    assert clone.taken(clone.make(tmp_path, SAMPLE), SAMPLE) == "main at 85f1f6761"


def test_a_named_base_is_taken_and_an_unknown_one_refused(theirs: Path, tmp_path: Path) -> None:
    """`app.base` may be any name of a commit in the branch."""
    assert clone.make(tmp_path / "a", theirs, base="main").base == git(theirs, "rev-parse", "main")
    with pytest.raises(Refused, match=r"app\.base names feed1234"):
        clone.make(tmp_path / "b", theirs, base="feed1234")


def test_a_branch_that_only_the_origin_has_is_found(theirs: Path, tmp_path: Path) -> None:
    """A CI checkout has a detached HEAD and remote-tracking branches only."""
    git(theirs, "checkout", "--quiet", "--detach")
    git(theirs, "branch", "--quiet", "-D", "main")
    found = clone.make(tmp_path / "sandbox", theirs)
    assert found.head == git(theirs, "rev-parse", "origin/main")
    with pytest.raises(Refused, match="has no branch release"):
        clone.make(tmp_path / "other", theirs, branch="release")


def test_a_shallow_checkout_can_be_rehearsed(theirs: Path, tmp_path: Path) -> None:
    """Depth 1, as CI checks out: the copy has that one commit, takes another and pushes it."""
    shallow = tmp_path / "shallow"
    origin = git(theirs, "remote", "get-url", "origin")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", str(shallow))
    found = clone.make(tmp_path / "sandbox", shallow / "app")
    new = found.commit({FUNCTION: "three"}, "Three")
    assert git(found.remote, "rev-parse", "main") == new


def test_a_second_start_finds_the_clone_as_it_was_left(copy: Clone, theirs: Path, tmp_path: Path) -> None:
    """State survives a restart; `fresh` starts from the source again."""
    new = copy.commit({FUNCTION: "three"}, "Three")
    assert clone.make(tmp_path / "sandbox", theirs) == copy
    assert git(copy.app, "rev-parse", "main") == new
    clone.make(tmp_path / "sandbox", theirs, fresh=True)
    assert git(copy.app, "rev-parse", "main") == copy.head


def test_a_clone_that_was_not_finished_is_made_again(copy: Clone, theirs: Path, tmp_path: Path) -> None:
    """Killed in the middle, the next start does not trust what is there."""
    git(copy.app, "config", "--local", "--unset", "cutover.head")
    assert clone.make(tmp_path / "sandbox", theirs) == copy


def test_a_clone_of_another_app_is_not_taken_for_this_one(copy: Clone, tmp_path: Path) -> None:
    """With another app.path, the sandbox says whose clone it holds."""
    with pytest.raises(Refused, match="holds a clone of") as caught:
        clone.make(tmp_path / "sandbox", SAMPLE)
    assert caught.value.hint == "inv sandbox --fresh"
    assert copy.app.exists()


def test_a_folder_that_moved_still_works(copy: Clone, theirs: Path, tmp_path: Path) -> None:
    """The clone finds its remote beside it, wherever the project was moved to."""
    (tmp_path / "sandbox").rename(tmp_path / "elsewhere")
    moved = clone.make(tmp_path / "elsewhere", theirs)
    assert moved.sync() == copy.head


def test_sync_takes_over_what_others_pushed(copy: Clone, tmp_path: Path) -> None:
    """A commit pushed from elsewhere is checked out, even over local edits and from a detached head."""
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(copy.remote), str(other))
    git(other, "commit", "--quiet", "--allow-empty", "--message", "Revert")
    git(other, "push", "--quiet", "origin", "main")
    copy.checkout(copy.base)
    (copy.app / FUNCTION).write_text("edited")
    assert copy.sync() == git(other, "rev-parse", "main")
    assert git(copy.app, "branch", "--show-current") == "main" and not copy.repository.dirty()


def test_files_can_be_deleted_by_a_commit(copy: Clone) -> None:
    """None as a text deletes the file."""
    copy.commit({FUNCTION: None, "supabase/config.toml": "project_id = 'x'\n"}, "Move things")
    assert list(copy.repository.blobs(copy.repository.head())) == ["supabase/config.toml"]


@pytest.mark.parametrize("kind", ["missing", "no repository", "no commit", "bare"])
def test_what_is_no_repository_is_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    """Each of them names the path, and nothing is made."""
    path = tmp_path / "app"
    if kind != "missing":
        path.mkdir()
    if kind in ("no commit", "bare"):
        git(path, "init", "--quiet", *(["--bare"] * (kind == "bare")))
    with pytest.raises(CutoverError) as caught:
        clone.make(tmp_path / "sandbox", path)
    assert isinstance(caught.value, Refused) and str(path) in caught.value.message
    assert not (tmp_path / "sandbox").exists()


def commit(where: Path, path: str, text: str) -> str:
    (where / path).parent.mkdir(parents=True, exist_ok=True)
    (where / path).write_text(text)
    git(where, "add", "--", path)
    git(where, "commit", "--quiet", "--message", text[:20], "--", path)
    return git(where, "rev-parse", "HEAD")


def test_new_commits_are_taken_over(copy: Clone, theirs: Path, tmp_path: Path) -> None:
    """A restart shows the app's new tip in the clone and its remote, and says so once."""
    new = commit(theirs, FUNCTION, "three")
    found = clone.make(tmp_path / "sandbox", theirs)
    updated, news = clone.update(found, theirs, branch="main")
    assert news == [f"main: {copy.head[:9]} → {new[:9]}"]
    assert git(copy.app, "rev-parse", "HEAD") == git(copy.remote, "rev-parse", "main") == new == updated.head
    assert clone.update(updated, theirs, branch="main") == (clone.make(tmp_path / "sandbox", theirs), [])


def test_new_commits_join_the_sandboxs_own(copy: Clone, theirs: Path) -> None:
    """A revert that the sandbox pushed stays; the app's commit is merged with it."""
    mine = copy.commit({"other.txt": "of the sandbox"}, "Mine")
    new = commit(theirs, FUNCTION, "three")
    _, news = clone.update(copy, theirs, branch="main")
    tip = git(copy.app, "rev-parse", "HEAD")
    assert set(git(copy.app, "rev-list", "--parents", "-n1", tip).split()[1:]) == {mine, new}
    assert news == [f"main: {copy.head[:9]} → {new[:9]}, merged as {tip[:9]}"]
    assert git(copy.remote, "rev-parse", "main") == tip and not copy.repository.dirty()


def test_conflicting_commits_change_nothing(copy: Clone, theirs: Path) -> None:
    """The files are named, and the sandbox stays as it was."""
    mine = copy.commit({FUNCTION: "of the sandbox"}, "Mine")
    commit(theirs, FUNCTION, "three")
    with pytest.raises(Refused, match=f"conflict with the sandbox's own commits on main: app/{FUNCTION}") as caught:
        clone.update(copy, theirs, branch="main")
    assert caught.value.hint == "inv sandbox --fresh"
    assert git(copy.app, "rev-parse", "HEAD") == git(copy.remote, "rev-parse", "main") == mine


def test_a_rewritten_branch_replaces_the_old_one(copy: Clone, theirs: Path) -> None:
    """An amended commit takes the place of the one that the clone was made with."""
    git(theirs, "commit", "--quiet", "--amend", "--message", "two, amended")
    new = git(theirs, "rev-parse", "HEAD")
    clone.update(copy, theirs, branch="main")
    assert git(copy.app, "rev-parse", "main") == git(copy.remote, "rev-parse", "main") == new


def test_edits_in_the_clone_stay(copy: Clone, theirs: Path) -> None:
    """The remote gets the new commit; the clone, which has an edit, is left alone and says how to follow."""
    (copy.app / FUNCTION).write_text("being edited")
    new = commit(theirs, "readme.txt", "three")
    _, news = clone.update(copy, theirs, branch="main")
    assert (copy.app / FUNCTION).read_text() == "being edited"
    assert git(copy.remote, "rev-parse", "main") == new and git(copy.app, "rev-parse", "HEAD") == copy.head
    assert news[1].endswith(f"git -C {copy.app} pull")


def test_another_branch_and_base_are_taken_over(copy: Clone, theirs: Path) -> None:
    """`app.branch` and `app.base` of config.yaml may change between two starts."""
    git(theirs, "checkout", "--quiet", "-b", "release")
    new = commit(theirs, FUNCTION, "three")
    updated, news = clone.update(copy, theirs, branch="release", base=copy.head)
    assert (updated.branch, updated.head, updated.base) == ("release", new, copy.head)
    assert git(copy.app, "branch", "--show-current") == "release"
    assert news == [f"release: {copy.head[:9]} → {new[:9]}", f"app.base: {copy.base[:9]} → {copy.head[:9]}"]


@pytest.mark.usefixtures("theirs")
def test_a_blobless_clone_brings_what_it_lacks(tmp_path: Path) -> None:
    """CI checks out without old blobs, and git does not fetch them while such a clone is copied."""
    origin, partial = tmp_path / "theirs.git", tmp_path / "partial"
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{origin}", str(partial))
    found = clone.make(tmp_path / "sandbox", partial / "app")
    assert git(found.app, "show", f"{found.base}:app/{FUNCTION}").endswith("('one'));")


def test_missing_objects_are_named(theirs: Path, tmp_path: Path) -> None:
    """It read "cannot reach the git remote"."""
    lost = git(theirs, "rev-parse", f"HEAD~1:app/{FUNCTION}")
    (theirs.parent / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(Refused, match=rf"lacks objects of its own history \({lost[:9]}\)") as refused:
        clone.make(tmp_path / "sandbox", theirs)
    assert "fsck" in refused.value.hint
