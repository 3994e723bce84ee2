"""The sandbox's own copy of the app and a bare remote beside it: the user's repository is never written to."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from migration.base.command import Do, inv, sh
from migration.base.errors import CutoverError, Refused, ServiceFailed
from migration.base.numbers import count, few
from migration.context import SAMPLE
from migration.git.repository import Repository

NAME, EMAIL = "Cutover Rehearsal", "rehearsal@localhost"
# The user's own git settings (signing, hooks, rewritten addresses) stay out of a rehearsal.
ISOLATED = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": NAME,
    "GIT_AUTHOR_EMAIL": EMAIL,
    "GIT_COMMITTER_NAME": NAME,
    "GIT_COMMITTER_EMAIL": EMAIL,
}
# Kept in the clone itself, for the verbs that work in it with the user's settings around them.
_SETTINGS = {
    "user.name": NAME,
    "user.email": EMAIL,
    "commit.gpgsign": "false",
    "core.hooksPath": os.devnull,
    "core.autocrlf": "false",
}
# The sample's commits: its tree, then the overlay of what the migration changes and adds. The same content gives the
# same commit ids, on every machine and at every time.
_STEPS = (
    ("before", "Generate artifacts with Gemini Pro", "2026-11-02T09:00:00+00:00"),
    ("after", "Generate artifacts with Kimi K2-Thinking through OpenRouter", "2026-11-16T09:00:00+00:00"),
)
_LOST = re.compile(r"(?:unable to read|could not fetch|missing (?:blob|tree|commit)|bad object) ([0-9a-f]{40})")


@dataclass(frozen=True)
class Clone:
    """A clone and its bare remote. `app` holds supabase/; `base` is the revision before the migration, `head` after."""

    app: Path
    remote: Path
    base: str
    head: str
    branch: str = "main"

    @property
    def repository(self) -> Repository:
        return Repository(self.app, ISOLATED)

    def checkout(self, revision: str) -> None:
        """Show a revision in the clone; the branch's tip with the branch, any other detached. Local edits are lost."""
        tip = self.repository.revision(f"refs/heads/{self.branch}")
        wanted = self.branch if self.repository.revision(revision) == tip else revision
        detach = [] if wanted == self.branch else ["--detach"]
        self.repository.git("checkout", "--quiet", "--force", *detach, wanted)

    def sync(self) -> str:
        """Check out what was pushed to the remote's branch (a rollback's revert, say). Returns the new tip."""
        repository = self.repository
        tip = repository.tracked("origin", self.branch)
        if tip is None:
            raise Refused(
                f"{self.remote} has no branch {self.branch}: the sandbox's clone is damaged.",
                inv("sandbox", fresh=True),
            )
        repository.git("checkout", "--quiet", "--force", "-B", self.branch, tip)
        return tip

    def commit(self, changes: Mapping[str, str | None], message: str) -> str:
        """Commit and push texts by path on top of the remote's branch (None deletes the file). The new revision."""
        self.sync()
        for path, text in changes.items():
            _put(self.app / path, text)
        repository = self.repository
        repository.git("add", "--all", "--", *changes)
        repository.git("commit", "--quiet", "--message", message)
        repository.git("push", "--quiet", "origin", self.branch)
        return repository.head()


def make(folder: Path, app_path: Path, *, fresh: bool = False, branch: str = "main", base: str | None = None) -> Clone:
    """The clone in `folder`, made when there is none yet (or `fresh`). Refused when `app_path` is not a repository.

    The shipped sample app becomes two commits on `branch`; any other app is cloned with the history of that branch,
    and `base` (its first parent where none is named) is the revision before the migration.
    """
    sample = app_path.resolve() == SAMPLE.resolve()
    known = None if fresh else _found(folder, app_path)
    if known is not None:
        return known
    source = None if sample else _source(app_path)
    for old in (folder / "app", folder / "app.git"):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _bare(folder, branch)
    if source is None:
        _write_sample(folder, branch)
    else:
        _copy(folder, source, branch)
    return _finish(folder, app_path, "" if source is None else source.prefix, branch, base)


def update(clone: Clone, app_path: Path, *, branch: str, base: str | None = None) -> tuple[Clone, list[str]]:
    """Take over what the app gained since the clone was made; what was done in the sandbox stays. A line a change.

    New commits are put on the remote's branch, merged where the sandbox has commits of its own (a rollback's revert).
    Refused when they conflict.
    """
    known = _settings(clone.repository)
    if app_path.resolve() == SAMPLE.resolve():
        changed = known.get("cutover.sample", _sample_digest()) != _sample_digest()
        return clone, [f"the sample app has changed: {inv('sandbox', fresh=True)} takes it over"] if changed else []
    source = _source(app_path)
    tip, lines = _tip(source, branch), []
    if tip != known.get("cutover.tip", clone.head) or branch != clone.branch:
        lines += _advance(clone, source, branch, tip, known.get("cutover.tip", clone.head))
    before = clone.base if base is None else _base(clone.repository, tip, base)
    if before != clone.base:
        lines.append(f"app.base: {clone.base[:9]} → {before[:9]}")
    head = Repository(clone.remote, ISOLATED).revision(f"refs/heads/{branch}") or tip
    for name, value in {"branch": branch, "base": before, "tip": tip, "head": head}.items():
        clone.repository.git("config", "--local", f"cutover.{name}", value)
    return Clone(clone.app, clone.remote, before, head, branch), lines


def taken(clone: Clone, app_path: Path) -> str:
    """The commit of the app that the clone holds, in words: its branch's tip, whatever is checked out there."""
    tip = clone.head if app_path.resolve() == SAMPLE.resolve() else _tip(_source(app_path), clone.branch)
    return f"{clone.branch} at {tip[:9]}"


def _tip(source: Repository, branch: str) -> str:
    return source.revision(_branch_of(source, branch)) or ""


def left_out(app_path: Path, branch: str) -> list[str]:
    """What lies in the app's folder and is not in a clone: uncommitted changes, and another commit checked out."""
    if app_path.resolve() == SAMPLE.resolve():
        return []
    source, found = _source(app_path), []
    tip = _tip(source, branch)
    if (head := source.head()) != tip:
        found.append(f"The app is checked out at {head[:9]}; what runs here is {branch} (app.branch), {tip[:9]}.")
    if files := [path for path in source.dirty() if ".cutover" not in Path(path).parts]:
        files.sort(key=lambda path: not path.startswith("supabase/"))
        found.append(f"Not committed, so left out: {few(files)}.")
    return found


def _advance(clone: Clone, source: Repository, branch: str, tip: str, seen: str) -> list[str]:
    """Put the app's new tip on the remote's branch, and show it in the clone where nothing would be lost."""
    remote = Repository(clone.remote, ISOLATED)
    ours = remote.revision(f"refs/heads/{branch}")
    _bring(remote, source, tip)
    if ours is None or ours == seen or remote.is_ancestor(ours, tip):
        target = tip
    elif remote.is_ancestor(tip, ours):
        return []
    else:
        target = _merged(remote, branch, ours, tip)
    remote.git("update-ref", f"refs/heads/{branch}", target)
    line = f"{branch}: {seen[:9]} → {tip[:9]}" + (f", merged as {target[:9]}" if target != tip else "")
    return [line, *_show(clone, branch, ours, target)]


def _merged(remote: Repository, branch: str, ours: str, tip: str) -> str:
    done = remote.run("merge-tree", "--write-tree", "--name-only", ours, tip)
    if not done.ok:
        files = ", ".join(done.text.split("\n\n")[0].splitlines()[1:])
        raise Refused(
            f"The app's new commits conflict with the sandbox's own commits on {branch}: {files}.",
            inv("sandbox", fresh=True),
        )
    message = f"Merge the app's {branch} into the sandbox's"
    tree = done.text.splitlines()[0]
    return remote.git("commit-tree", tree, "-p", ours, "-p", tip, "-m", message).text


def _show(clone: Clone, branch: str, old: str | None, target: str) -> list[str]:
    """Check the target out, unless the clone holds edits or commits that the remote does not have."""
    repository = clone.repository
    repository.tracked("origin", branch)
    mine = repository.revision(f"refs/heads/{branch}")
    if repository.dirty() or (mine and mine != old and not repository.is_ancestor(mine, target)):
        return [f"the clone has changes of its own and stays as it is: {sh('git', '-C', str(clone.app), 'pull')}"]
    repository.git("checkout", "--quiet", "--force", "-B", branch, target)
    return []


def _found(folder: Path, app_path: Path) -> Clone | None:
    """The clone that is there, when it was finished. Refused when it is another app's."""
    top = folder / "app"
    if not (top / ".git").is_dir() or not (folder / "app.git").is_dir():
        return None
    settings = _settings(Repository(top, ISOLATED))
    if "cutover.head" not in settings:
        return None
    if settings["cutover.source"] != str(app_path.resolve()):
        raise Refused(
            f"The sandbox in {folder} holds a clone of {settings['cutover.source']}, not of {app_path}.",
            inv("sandbox", fresh=True),
        )
    Repository(top, ISOLATED).git("remote", "set-url", "origin", str(folder / "app.git"))  # the folder may have moved
    app = top / settings["cutover.prefix"]
    names = ("cutover.base", "cutover.head", "cutover.branch")
    return Clone(app, folder / "app.git", *(settings[name] for name in names))


def _settings(repository: Repository) -> dict[str, str]:
    lines = repository.git("config", "--local", "--list").text.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _source(app_path: Path) -> Repository:
    if not app_path.is_dir():
        raise Refused(
            f"app.path names a folder that does not exist: {app_path}.",
            Do("set app.path in config.yaml to the app's git repository"),
        )
    source = Repository(app_path, ISOLATED)
    if source.git("rev-parse", "--is-inside-work-tree").text != "true":
        raise Refused(
            f"app.path is a bare git repository: {app_path}.",
            Do("set app.path in config.yaml to a clone with its files checked out"),
        )
    source.head()
    return source


def _bare(folder: Path, branch: str) -> None:
    Repository(folder, ISOLATED).git("init", "--quiet", "--bare", f"--initial-branch={branch}", "app.git")


def _write_sample(folder: Path, branch: str) -> None:
    top = folder / "app"
    Repository(folder, ISOLATED).git("clone", "--quiet", str(folder / "app.git"), str(top))
    repository = Repository(top, ISOLATED)
    repository.git("checkout", "--quiet", "-B", branch)
    for name, message, date in _STEPS:
        shutil.copytree(SAMPLE / name, top, dirs_exist_ok=True)
        repository.git("add", "--all")
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        repository.git("commit", "--quiet", "--message", message, env=dates)
    repository.git("push", "--quiet", "--set-upstream", "origin", branch)


def _copy(folder: Path, source: Repository, branch: str) -> None:
    """Fetch one branch out of the source, by path: no remote in the copy leads back to it."""
    _bring(Repository(folder / "app.git", ISOLATED), source, f"{_branch_of(source, branch)}:refs/heads/{branch}")
    Repository(folder, ISOLATED).git("clone", "--quiet", str(folder / "app.git"), str(folder / "app"), timeout=600)


def _bring(remote: Repository, source: Repository, refspec: str) -> None:
    """Fetch from the source by its path. Refused where it lacks objects of its own history."""
    top = source.git("rev-parse", "--show-toplevel").text
    _complete(Repository(source.path), refspec.partition(":")[0])
    command = ["fetch", "--quiet", "--no-tags", "--update-shallow", "--no-write-fetch-head", top, refspec]
    try:
        remote.git(*command, timeout=600)
    except CutoverError as error:
        lost = _LOST.search(str(error.data.get("stderr")))
        if lost is None:
            raise
        text = f"The app's repository lacks objects of its own history ({lost[1][:9]}), so it cannot be copied: {top}."
        raise Refused(text, sh("git", "-C", top, "fsck", "--connectivity-only")) from error


def _complete(source: Repository, revision: str) -> None:
    """A partial clone brings what it lacks itself: git does not while it is copied, and else one object at a time
    (https://git-scm.com/docs/partial-clone). With the user's settings, since the remote may ask who it is."""
    if not source.promisor:
        return
    walk = ("rev-list", "--objects", "--missing=print", "--no-object-names", revision)
    missing = sorted(line[1:] for line in source.git(*walk, timeout=600).text.splitlines() if line.startswith("?"))
    if not missing:
        return
    try:
        source.fetch_objects(missing)
    except CutoverError as error:
        lacks = f"{source.path} is a partial clone that lacks {count(len(missing), 'object')}"
        text = f"{lacks}, and the git remote {source.promisor} did not give them: {error.message}"
        raise ServiceFailed(text, *error.steps) from error


def _branch_of(source: Repository, branch: str) -> str:
    """The ref of the source that holds the branch: its own, else what it knows of its remote's."""
    names = (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}")
    named = next((name for name in names if source.revision(name)), None)
    if named is None:
        raise Refused(
            f"{source.path} has no branch {branch}.", Do("set app.branch in config.yaml to the deployed branch")
        )
    return named


def _sample_digest() -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in SAMPLE.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(SAMPLE)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def _finish(folder: Path, app_path: Path, prefix: str, branch: str, base: str | None) -> Clone:
    repository = Repository(folder / "app", ISOLATED)
    head = repository.head()
    before = _base(repository, head, base)
    ours = {"source": str(app_path.resolve()), "prefix": prefix, "branch": branch, "base": before, "tip": head}
    ours |= {"sample": _sample_digest()} if app_path.resolve() == SAMPLE.resolve() else {}
    ours |= {"head": head}
    # `head` comes last and says that the clone is whole.
    for key, value in {**_SETTINGS, **{f"cutover.{name}": value for name, value in ours.items()}}.items():
        repository.git("config", "--local", key, value)
    return Clone(folder / "app" / prefix, folder / "app.git", before, head, branch)


def _base(repository: Repository, head: str, base: str | None) -> str:
    if base is None:
        return next(iter(repository.parents(head)), head)
    revision = repository.revision(base)
    if revision is None:
        raise Refused(
            f"app.base names {base}, which the app's history does not hold.", sh("git", "fetch", "--unshallow")
        )
    return revision


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
