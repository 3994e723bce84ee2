"""The app's git repository: what the phases ask of it and the few things they do to it.

Paths given and returned are relative to the app's folder, which may lie below the top of its repository.
Nothing here touches the user's index, working copy or checked-out branch.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from migration.base.command import AGAIN, Do, Shell, sh
from migration.base.durations import show
from migration.base.errors import CutoverError, Refused
from migration.git import process
from migration.git.giterrors import TimedOut, translate
from migration.git.process import Done

NETWORK = 30.0  # seconds for a command that talks to a remote
SILENT = 8.0  # seconds for the next ones of its kind, once the remote has left one without an answer
FETCH = 4  # bringing objects may take this many times as long
WHOLE = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
FEW = 100  # paths that `git status` is given: it compares each file with each of them
HISTORY = 600.0  # seconds to bring the history of every branch
AUTHOR = {
    "GIT_AUTHOR_NAME": "Cutover",
    "GIT_AUTHOR_EMAIL": "cutover@localhost",
    "GIT_COMMITTER_NAME": "Cutover",
    "GIT_COMMITTER_EMAIL": "cutover@localhost",
}
QUIET = ["-c", "core.hooksPath=/dev/null", "-c", "filter.lfs.process=", "-c", "filter.lfs.smudge=",
         "-c", "filter.lfs.clean=", "-c", "filter.lfs.required=false"]  # fmt: skip


class Repository:
    """The repository that holds `path`. `env` is added to git's environment (the sandbox hides user settings so).

    `patience`: seconds that a command which talks to a remote may take; bringing objects, FETCH times that.
    """

    def __init__(self, path: Path, env: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self.env = dict(env or {})
        self.patience = NETWORK
        self._silent: set[str] = set()  # kinds of commands that the remote did not answer lately
        self._commits: set[str] = set()  # full ids of commits that were found here

    # Running git

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = 30.0, env: Mapping[str, str] | None = None,
            at: Path | None = None) -> Done:  # fmt: skip
        """Run git and return how it ended, well or not."""
        return process.run(arguments, at or self.path, stdin=stdin, timeout=timeout, env={**self.env, **(env or {})})

    def git(self, *arguments: str, stdin: bytes = b"", timeout: float = 30.0, env: Mapping[str, str] | None = None,
            remote: str = "", at: Path | None = None) -> Done:  # fmt: skip
        """Run git; an error becomes one of ours."""
        done = self.run(*arguments, stdin=stdin, timeout=timeout, env=env, at=at)
        if not done.ok:
            raise translate(process.verb(arguments), done.err, self.path, remote)
        return done

    def typed(self, *words: str) -> Shell:
        """A git command for a person to type, wherever they are."""
        return sh("git", "-C", str(self.path), *words)

    # What is where

    @cached_property
    def prefix(self) -> str:
        """The app's folder below the top of the repository: empty, or `some/folder/`."""
        return self.git("rev-parse", "--show-prefix").text

    @cached_property
    def common(self) -> Path:
        """The folder of git's own files, shared by all worktrees."""
        return (self.path / self.git("rev-parse", "--git-common-dir").text).resolve()

    def remotes(self) -> list[str]:
        return self.git("remote").text.split()

    @cached_property
    def settings(self) -> dict[str, str]:
        """git's configuration here, the user's and the machine's included; the last value of each key."""
        return dict(self._entries)

    def setting_outside(self, key: str) -> str:
        """The user's or the machine's value of a key that this repository sets for itself; empty where it has none."""
        values = [value for name, value in self._entries if name == key]
        return values[-2] if len(values) > 1 else ""

    @cached_property
    def _entries(self) -> list[tuple[str, str]]:
        """Every key with its value: of the machine, then of the user, then of this repository."""
        listed = self.run("config", "--list", "-z")
        parts = (entry.partition("\n") for entry in listed.names)
        return [(key, value) for key, _, value in parts] if listed.ok else []

    def revision(self, name: str = "HEAD") -> str | None:
        """The commit a name stands for, or None. A full id that was found once is not looked up again."""
        if name in self._commits:
            return name
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if not done.ok or not done.text:
            return None
        self._commits.add(done.text)
        return done.text

    def tree(self, revision: str) -> str:
        return self.git("rev-parse", f"{revision}^{{tree}}").text

    def head(self) -> str:
        """The commit that is checked out; refused on a branch without one."""
        found = self.revision("HEAD")
        if found is None:
            self.git("rev-parse", "--git-dir")
            raise Refused(f"{self.path} has no commit yet.", Do("commit the app"), AGAIN)
        return found

    def parents(self, revision: str) -> list[str]:
        return self.git("rev-list", "--parents", "-n1", revision).text.split()[1:]

    def subject(self, revision: str) -> str:
        return self.git("log", "-1", "--no-show-signature", "--format=%s", revision).text

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`; False when one of them is not here."""
        return self.run("merge-base", "--is-ancestor", older, newer).ok

    def commits(self, base: str, tip: str, paths: Sequence[str] = (), *options: str) -> list[str]:
        """The commits of base..tip, newest first, kept to those that touch `paths`."""
        return self.git("rev-list", *options, f"{base}..{tip}", "--", *paths).text.split()

    def merges(self, one: str, other: str) -> bool:
        """Whether the two merge without a conflict."""
        return self.run("merge-tree", "--write-tree", one, other).ok

    # Files

    def blobs(self, revision: str, paths: Sequence[str] = ()) -> dict[str, str]:
        """Path to the id of its content at a revision, of the files named (of all without any)."""
        wanted = [self.prefix + path for path in paths] or [self.prefix.rstrip("/")] * bool(self.prefix)
        done = self.git("ls-tree", "-r", "-z", "--full-tree", revision, "--", *wanted)
        pairs = [(entry.split("\t", 1)[1], entry.split("\t", 1)[0].split(" ")[2]) for entry in done.names]
        return {path.removeprefix(self.prefix): blob for path, blob in pairs if path.startswith(self.prefix)}

    def hashed(self, paths: Sequence[str]) -> dict[str, str]:
        """Path to the id that the file's content has here and now, whatever the index says of it (skip-worktree)."""
        here = [path for path in paths if "\n" not in path and not (self.path / path).is_symlink()]
        found = [path for path in here if (self.path / path).is_file()]
        names = "\n".join(self.prefix + path for path in found)  # git reads them from the top of the repository
        done = self.run("hash-object", "--stdin-paths", stdin=names.encode("utf-8", "surrogateescape"))
        return dict(zip(found, done.text.split(), strict=False)) if done.ok else {}

    def submodules(self, revision: str) -> list[str]:
        """The folders that are another repository's at a revision."""
        entries = self.git("ls-tree", "-r", "-z", "--full-tree", revision).names
        return self._below([entry.split("\t", 1)[1] for entry in entries if entry.startswith("160000 ")])

    def changed(self, base: str, tip: str, paths: Sequence[str] = ()) -> list[str]:
        """Files that differ between two revisions."""
        command = ["diff", "--no-renames", "--no-ext-diff", "--name-only", "-z", base, tip, "--", *paths]
        return self._below(self.git(*command).names)

    def statuses(self, base: str, tip: str, paths: Sequence[str]) -> dict[str, str]:
        """File to `A`, `M`, `D` or `T`: how it came from one revision to the other, among `paths`."""
        command = ["diff", "--no-renames", "--no-ext-diff", "--name-status", "-z", base, tip, "--", *paths]
        names = self.git(*command).names
        pairs = zip(names[1::2], names[::2], strict=True)
        return {name.removeprefix(self.prefix): status for name, status in pairs if name.startswith(self.prefix)}

    def dirty(self, paths: Sequence[str] = ()) -> list[str]:
        """Files that differ from HEAD, staged, unstaged or untracked, among the files `paths` (all without any)."""
        command = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=all"]
        many = len(paths) > FEW
        folders = sorted({"/".join(path.split("/")[:2]) for path in paths}) if many else list(paths)
        where = folders if len(folders) <= FEW else ["."]
        names = self._below([entry[3:] for entry in self.git(*command, "--", *where).names])
        wanted = set(paths)
        return [name for name in names if name in wanted] if many else names

    def _below(self, names: Sequence[str]) -> list[str]:
        return [name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix)]

    # The remote

    def ls_remote(self, remote: str, *patterns: str) -> dict[str, str]:
        """Ref to object id, as the remote has them now."""
        answer = self._remote(remote, "ls-remote", "--refs", remote, *patterns).text
        return {line.split("\t")[1]: line.split("\t")[0] for line in answer.splitlines()}

    def fetch(self, remote: str, *names: str, options: Sequence[str] = (), timeout: float = 0.0, largest: int = 0
              ) -> None:  # fmt: skip
        """Bring objects here; no ref, tag or FETCH_HEAD of the user's moves unless `names` says so.

        `largest`: megabytes that git may allocate at once; an object that needs more ends it with GitFailed.
        """
        quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap="]
        bound = {"GIT_ALLOC_LIMIT": f"{largest}m"} if largest else {}
        text = "".join(f"{name}\n" for name in names).encode()
        self._remote(remote, "fetch", *quiet, *options, "--stdin", remote, stdin=text, timeout=timeout, env=bound)

    def fetch_heads(self, remote: str, options: Sequence[str] = ()) -> None:
        """Bring the history of every branch of the remote, without a ref of ours for any."""
        self.fetch(remote, *self.ls_remote(remote, "refs/heads/*"), options=options, timeout=HISTORY)

    @cached_property
    def promisor(self) -> str:
        """The remote that a partial clone asks for missing objects; empty in a full clone."""
        found = (key for key in self.settings if key.startswith("remote.") and key.endswith(".promisor"))
        return next(found, "").removeprefix("remote.").removesuffix(".promisor")

    def fetch_objects(self, ids: Sequence[str]) -> None:
        """Bring these objects into a partial clone, all in one request."""
        words = ["fetch", self.promisor, "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        command = ["-c", "fetch.negotiationAlgorithm=noop", *words, "--filter=blob:none", "--stdin"]
        text = "\n".join([*ids, ""]).encode()
        self.git(*command, stdin=text, timeout=HISTORY, env=self._transport, remote=self.promisor)

    def obtain(self, remote: str, commit: str) -> bool:
        """Have one commit here, asking the remote if need be; a shallow clone gets no more history than it must."""
        if self.revision(commit) is None and WHOLE.fullmatch(commit):
            with contextlib.suppress(CutoverError):
                self.fetch(remote, commit, options=["--depth=1"] if self.shallow() else [])
        if self.revision(commit) is None:
            with contextlib.suppress(CutoverError):
                self.deepen(remote) if self.shallow() else self.fetch_heads(remote)
        return self.revision(commit) is not None

    def push(self, remote: str, *refspecs: str, options: Sequence[str] = ()) -> Done:
        """Push and return how it ended. A failure proves nothing: ask the remote before deciding."""
        alone = ("-c", f"remote.{remote}.mirror=false")  # git refuses single refs where a clone mirrors its remote
        return self._talk(
            remote, *alone, "push", "--porcelain", "--no-verify", "--no-follow-tags", *options, remote, *refspecs
        )

    def _remote(self, remote: str, *arguments: str, stdin: bytes = b"", timeout: float = 0.0,
                env: Mapping[str, str] | None = None) -> Done:  # fmt: skip
        """A command that talks to the remote; an error becomes one of ours."""
        done = self._talk(remote, *arguments, stdin=stdin, timeout=timeout, env=env)
        if not done.ok:
            raise translate(arguments[0], done.err, self.path, remote)
        return done

    def _talk(self, remote: str, *arguments: str, stdin: bytes = b"", timeout: float = 0.0,
              env: Mapping[str, str] | None = None) -> Done:  # fmt: skip
        """Run a command that talks to the remote. TimedOut names the remote and what it was asked.

        A remote that left a command of this kind without an answer gets less time for the next one, so that all tries
        of one question end soon.
        """
        kind = process.verb(arguments)
        limit = min(self.patience, SILENT) if kind in self._silent else self.patience
        limit = timeout or (limit * FETCH if kind == "fetch" else limit)
        try:
            done = self.run(*arguments, stdin=stdin, timeout=limit, env={**self._transport, **(env or {})})
        except TimedOut as error:
            self._silent.add(kind)
            text = f"The git remote {remote} did not answer git {kind} within {show(limit)}."
            raise TimedOut(text, self.typed("ls-remote", remote)) from error
        self._silent.discard(kind)
        return done

    @cached_property
    def _transport(self) -> dict[str, str]:
        """ssh never asks for a passphrase or a host key in the background; the user's own ssh command stays."""
        mine = {**os.environ, **self.env}
        if mine.get("GIT_SSH_COMMAND") or mine.get("GIT_SSH") or "core.sshcommand" in self.settings:
            return {}
        return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10"}

    def tracked(self, remote: str, branch: str) -> str | None:
        """The commit of the remote's branch now, brought here; None when it has no such branch."""
        tip = self.ls_remote(remote, f"refs/heads/{branch}").get(f"refs/heads/{branch}")
        if tip:
            self.bring(remote, f"refs/heads/{branch}", tip)
        return tip

    def bring(self, remote: str, ref: str, commit: str) -> None:
        """Have the commit that a ref of the remote stands for here."""
        if self.revision(commit) is None:
            self.fetch(remote, ref)

    # Shallow clones

    def shallow(self) -> bool:
        return self.git("rev-parse", "--is-shallow-repository").text == "true"

    def boundary(self) -> set[str]:
        """The commits whose parents this shallow clone does not have."""
        file = self.common / "shallow"
        return set(file.read_text().split()) if file.exists() else set()

    def deepen(self, remote: str) -> None:
        """Bring the whole history of a shallow clone."""
        if self.shallow():
            self.fetch_heads(remote, ["--unshallow"])

    # Making objects

    @cached_property
    def empty_tree(self) -> str:
        return self.git("hash-object", "-t", "tree", "-w", "--stdin").text

    def commit(self, message: str, tree: str = "", parents: Sequence[str] = (),
               env: Mapping[str, str] = AUTHOR, sign: bool = False) -> str:  # fmt: skip
        """Write a commit object, by Cutover unless `env` says otherwise; no ref moves, no hook runs."""
        links = [word for parent in parents for word in ("-p", parent)]
        words = ["commit-tree", *(["-S"] if sign else []), tree or self.empty_tree, *links]
        return self.git(*words, stdin=message.encode("utf-8", "replace"), env=env).text

    def move(self, ref: str, new: str, old: str | None = None) -> bool:
        """Move a local ref if it still is at `old` ("" for absent, None for wherever)."""
        command = f"create {ref} {new}\n" if old == "" else f"update {ref} {new} {old or ''}".strip() + "\n"
        return self.run("update-ref", "--no-deref", "--stdin", stdin=command.encode()).ok

    @contextlib.contextmanager
    def worktree(self, revision: str, parent: Path | None = None) -> Iterator[Path]:
        """A detached checkout in a folder of its own, gone afterwards. Yields its top; hooks and LFS stay out."""
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="cutover-", dir=parent))
        tree = folder / folder.name  # git names its own record of the worktree by this
        try:
            self.git(*QUIET, "worktree", "add", "--force", "--detach", str(tree), revision, timeout=300)
            yield tree
        finally:
            self.run("worktree", "remove", "--force", "--force", str(tree), timeout=60)
            shutil.rmtree(folder, ignore_errors=True)
