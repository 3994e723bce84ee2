"""The shared refs that hold ledger and lock: moved by compare-and-swap, in the remote or, without one, here.

`move` returns why it failed, never what happened instead: a failed push may have landed. Call `read` before deciding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from migration.base.command import AGAIN, Do, Step
from migration.base.errors import CutoverError, Refused
from migration.base.secrets_type import mask
from migration.git import messages
from migration.git.giterrors import GitFailed, HostRefuses, translate
from migration.git.repository import Repository

HEADS = "refs/heads/"
LARGEST = 256  # megabytes of an object in one of these refs; a snapshot's files are the largest
_RACE = re.compile(
    r"stale info|failed to update ref|fetch first|non-fast-forward|already exists|File exists"
    r"|nternal [Ss]erver [Ee]rror|unpacker error"
    r"|but expected|is at \w+ but|atomic (push|transaction) fail|unable to resolve reference|failed to lock"
)
_NO_ATOMIC = re.compile(r"does not support --atomic")


# What git and its hosts write when they could not write, most telling first; the first group is shown.
_CAUSES = (
    re.compile(r"(Unable to create '[^'\n]+\.lock': File exists)"),
    re.compile(r"((?:unable|failed) to [^\n]*(?:No space left|Read-only|quota|Permission)[^\n]*)", re.IGNORECASE),
    re.compile(r"remote unpack failed: ([^\n]+)"),
    re.compile(r"^remote: (?:error|fatal): ([^\n]+)", re.MULTILINE),
    re.compile(r"\[remote rejected\] \(([^)\n]+)\)"),
    re.compile(r"^(?:error|fatal): ([^\n]+)", re.MULTILINE),
)
_DISK = re.compile(r"No space left|Read-only file system|quota exceeded", re.IGNORECASE)
_HOOK = re.compile(r"^remote: (?!error: hook declined)([^\n]*\S)[^\n]*$", re.MULTILINE)
_STALE = re.compile(r"Unable to create '([^'\n]+\.lock)'")


class Raced(GitFailed):
    """Another process moved one of the refs first, or they could not be written: the refs tell which, when read."""

    def refusal(self) -> GitFailed:
        """The same push as a refusal: for a caller that has read the refs and found them where they were."""
        words, place = str(self.data.get("stderr", "")), str(self.data.get("place", "")) or "git"
        causes = (match[1].strip() for pattern in _CAUSES if (match := pattern.search(words)))
        cause = mask(next(causes, "it gave no reason")).rstrip(".")
        steps: list[Step] = []
        if stale := _STALE.search(words):
            steps = [Do(f"if no git process is running there, remove the stale lock file {mask(stale[1])}"), AGAIN]
        message = f"{place[:1].upper()}{place[1:]} rejected every write: {cause}."
        return GitFailed(message, *steps, stderr=words, place=place)


@dataclass(frozen=True)
class Move:
    """`ref` goes from `old` to `new`; None stands for absent."""

    ref: str
    old: str | None
    new: str | None


class Refs(Protocol):
    """Where the refs are kept.

    `shared` is False when they stay on this machine; `place` names them in a sentence. One answer is bounded by the
    repository's `patience`. `check` raises when we may not write there, and changes nothing.
    """

    shared: bool
    place: str

    def read(self) -> dict[str, str]: ...
    def move(self, moves: Sequence[Move]) -> CutoverError | None: ...
    def bring(self, ref: str, commit: str) -> None: ...
    def bring_all(self, wanted: Mapping[str, str]) -> None: ...
    def check(self) -> None: ...


class Local:
    """Refs of this repository alone."""

    shared = False
    place = "this repository alone (it has no remote)"

    def __init__(self, repository: Repository, prefix: str) -> None:
        self.repository = repository
        self.prefix = prefix

    def read(self) -> dict[str, str]:
        lines = self.repository.git("for-each-ref", "--format=%(refname) %(objectname)", self.prefix).text
        return dict(line.split(" ") for line in lines.splitlines())

    def move(self, moves: Sequence[Move]) -> CutoverError | None:
        """All of the moves or none, in one transaction."""
        script = "".join(f"{line}\n" for line in ["start", *map(_command, moves), "prepare", "commit"])
        done = self.repository.run("update-ref", "--no-deref", "--stdin", stdin=script.encode())
        return None if done.ok else _judge(done.err, self.repository, "")

    def bring(self, ref: str, commit: str) -> None:
        """Nothing to bring."""

    def bring_all(self, wanted: Mapping[str, str]) -> None:
        """Nothing to bring."""

    def check(self) -> None:
        """Our own repository: the write itself shows whether we may."""


class Remote:
    """Refs of the app's git remote."""

    shared = True

    def __init__(self, repository: Repository, remote: str, prefix: str, branch: str = "") -> None:
        self.repository = repository
        self.remote = remote
        self.prefix = prefix
        self.place = f"the git remote {remote}"
        self._wanted = [f"{prefix}/*", "*/lock/*", "*/ledger/*", *([f"{HEADS}{branch}"] if branch else [])]
        self._atomic = True

    def read(self) -> dict[str, str]:
        """Every ref below the prefix, as the remote has them now; with the app's branch, and other ledgers' locks."""
        return self.repository.ls_remote(self.remote, *self._wanted)

    def move(self, moves: Sequence[Move]) -> CutoverError | None:
        """One push of all moves. Branches on a host without atomic pushes go one by one, the first named first."""
        if self._atomic or len(moves) == 1:
            error = self._push(moves, ["--atomic"] if len(moves) > 1 else [])
            if error is None or not self._alone(error):
                return error
        return next((error for move in moves if (error := self._push([move], []))), None)

    def bring(self, ref: str, commit: str) -> None:
        """Have the commit's objects here."""
        if self.repository.revision(commit) is None:
            self._fetch([ref])

    def bring_all(self, wanted: Mapping[str, str]) -> None:
        """Have the commits of these refs here, in one fetch."""
        absent = messages.missing(self.repository, wanted.values())
        if names := [ref for ref, commit in wanted.items() if commit in absent]:
            self._fetch(names)

    def _fetch(self, names: Sequence[str]) -> None:
        """GitFailed where an object is larger than any of ours."""
        self.repository.fetch(self.remote, *names, largest=LARGEST)

    def check(self) -> None:
        """A dry-run push: the remote checks our credentials and changes nothing."""
        probe = f"{self.repository.commit('probe')}:{self.prefix}/probe"
        done = self.repository.push(self.remote, probe, options=["--dry-run", "--force"])
        if not done.ok:
            raise _judge(f"{done.text}\n{done.err}", self.repository, self.remote)

    def _push(self, moves: Sequence[Move], options: list[str]) -> CutoverError | None:
        leases = [f"--force-with-lease={move.ref}:{move.old or ''}" for move in moves]
        refspecs = [f"{move.new or ''}:{move.ref}" for move in moves]
        try:
            done = self.repository.push(self.remote, *refspecs, options=[*options, *leases])
        except CutoverError as error:
            return error
        return None if done.ok else _judge(f"{done.text}\n{done.err}", self.repository, self.remote)

    def _alone(self, error: CutoverError) -> bool:
        """Whether to go on without atomic pushes: only on branches, and only if the host does not offer them."""
        if not self.prefix.startswith(HEADS) or not _NO_ATOMIC.search(str(error.data.get("stderr", ""))):
            return False
        self._atomic = False
        return True


def _command(move: Move) -> str:
    if move.new is None:
        return f"delete {move.ref} {move.old}"
    return f"update {move.ref} {move.new} {move.old}" if move.old else f"create {move.ref} {move.new}"


def _judge(words: str, repository: Repository, remote: str) -> CutoverError:
    """A lost race, a host that refuses such refs, or the translation of git's words."""
    place = f"the git remote {remote}" if remote else "this repository"
    if taken := re.search(r"'(refs/\S+)' exists; cannot create", words):
        return HostRefuses(
            f"The ref {taken[1]} is in the way of Cutover's refs.",
            repository.typed("ls-remote", *filter(None, [remote])),
            Do("set app.ledger in config.yaml to a free name"),
            stderr=words,
        )
    if _RACE.search(words):
        return Raced("Another process moved the ref first.", stderr=words, place=place)
    refused = re.search(r"^!.*:(\S+)\t\[remote rejected\] \((.*)\)", words, re.MULTILINE)
    if refused and _DISK.search(words):
        return Raced("It could not be written.", stderr=words, place=place).refusal()
    if refused:
        reasons = _HOOK.findall(words)  # of the host, or of its hook
        why = f"{refused.group(2)}: {mask(reasons[-1].strip())}" if reasons else refused.group(2)
        return HostRefuses(
            f"The git host of {remote} refuses {refused.group(1)} ({why}): set `app.ledger: refs/heads/cutover` "
            "in config.yaml, or allow that ref on the host.",
            stderr=words,
        )
    return translate("push" if remote else "update-ref", words, repository.path, remote)


def choose(repository: Repository, remote: str, prefix: str, branch: str = "") -> Refs:
    """The remote's refs, or this repository's when it has no remote at all."""
    names = repository.remotes()
    if remote in names:
        return Remote(repository, remote, prefix, branch)
    if names:
        text = f"The app has no git remote {remote}; its remotes are {', '.join(names)}."
        raise Refused(text, Do("set app.remote in config.yaml"))
    return Local(repository, "refs/cutover")
