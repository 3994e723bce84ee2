"""git's failures translated: one sentence of ours and what to type next."""

from __future__ import annotations

import re
from dataclasses import dataclass

from migration.base.command import AGAIN, Do, Step, sh
from migration.base.errors import CutoverError, Refused, ServiceFailed, Unknown, Unreachable
from migration.base.secrets_type import mask


class GitFailed(ServiceFailed):
    """git ended with an error that has no better name; `.data["stderr"]` holds git's own words."""


class Denied(Refused):
    """The remote refuses us: no credentials, wrong ones, or no right to do this."""


class HostRefuses(Refused):
    """The git host does not take refs of this name."""


class ReadOnly(Refused):
    """git cannot write to this clone: no commit, and so no lock and no record, can be made in it."""


SHUT = (ServiceFailed, Denied, HostRefuses, ReadOnly)  # where git answers so there is neither lock nor ledger


class TimedOut(Unknown):
    """git did not end in time and was stopped: what the remote did is unknown."""


@dataclass(frozen=True)
class Meaning:
    """What a pattern in git's words means. `words` are git's arguments to type next, in the repository; `steps` come
    before them."""

    pattern: str
    error: type[CutoverError]
    message: str
    words: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


_WRITTEN = re.compile(r"file '([^'\n]+)' write error")
_OWNED = re.compile(r"(?m)dubious ownership in repository at '(.+)'$")
# The first that matches wins. {path} is the repository, {owned} the one that git does not trust, {remote} the remote
# that answered, {cause} the first of git's words that say more than that.
MEANINGS = (
    Meaning(
        r"dubious ownership",
        Refused,
        "git does not trust {owned}, because it belongs to another user.",
        ("config", "--global", "--add", "safe.directory", "{owned}"),
    ),
    Meaning(
        r"not a git repository|must be run in a work tree",
        Refused,
        "{path} is not inside a git repository.",
        steps=(Do("set app.path in config.yaml to the app's clone"),),
    ),
    Meaning(
        # Of this clone, not of the remote, whose words begin with "remote: ".
        r"(?m)^(?:error|fatal): (?:[Uu]nable to (?!access)|could not|cannot|failed to)[^\n]*"
        r"(?:Permission denied|Read-only file system)|^(?:error|fatal): insufficient permission for adding",
        ReadOnly,
        "git cannot write to {path}: it is read-only, or belongs to another user.",
        steps=(Do("make it writable, or set app.path in config.yaml to a clone of your own"), AGAIN),
    ),
    Meaning(
        r"attempting to allocate \d+ over limit",
        GitFailed,
        "A ref of Cutover in the git remote {remote} leads to an object that is larger than any of ours: someone has "
        "put something else there.",
        ("ls-remote", "{remote}"),
    ),
    Meaning(
        r"No such remote|'[^']*' does not appear to be a git repository|repository .* (not found|does not exist)"
        r"|Repository not found|error: 404",
        Unreachable,
        "There is no repository at the address of the git remote {remote}.",
        ("remote", "-v"),
    ),
    Meaning(
        r"receiving end does not support --atomic",
        HostRefuses,
        "The git host of {remote} does not support atomic pushes: set `app.ledger: refs/heads/cutover` in config.yaml.",
    ),
    Meaning(
        r"Host key verification failed",
        Denied,
        "ssh does not know the host key of the git remote {remote}: connect to it once by hand.",
        ("ls-remote", "{remote}"),
    ),
    Meaning(
        r"Permission denied \([a-z,-]+\)",
        Denied,
        "The git remote {remote} does not accept our credentials: no ssh key fits. A key with a passphrase must be in "
        "the ssh agent (ssh-add).",
        ("ls-remote", "{remote}"),
    ),
    Meaning(
        r"error: 401|Authentication failed|could not read (Username|Password)|terminal prompts disabled"
        r"|HTTP Basic: Access denied|Invalid username or",
        Denied,
        "The git remote {remote} does not accept our credentials: sign in to it, or give CI a token that may push.",
        ("push", "--dry-run", "{remote}"),
    ),
    Meaning(
        r"error: 403|[Pp]ermission (to \S+ )?denied|not allowed to push|read.only|[Ww]rite access .*not granted"
        r"|insufficient permission|service not enabled|access denied or repository not exported",
        Denied,
        "The git remote {remote} lets us read but not push: give the token or key the right to push.",
        ("push", "--dry-run", "{remote}"),
    ),
    Meaning(
        r"Could not resolve|[Cc]onnection (refused|reset|timed out|closed)|unable to access|Operation too slow"
        r"|hung up|early EOF|unexpected disconnect|error: 5\d\d|HTTP 5\d\d|RPC failed|Network is unreachable"
        r"|Could not read from remote|timed out|Empty reply|SSL|expected flush|invalid server response"
        r"|the remote end|unable to connect",
        Unreachable,
        "Cannot reach the git remote {remote}{cause}.",
        ("ls-remote", "{remote}"),
    ),
    Meaning(
        r"is not a valid 'commit' object",
        Refused,
        "The ledger's ref in the git remote does not hold a commit: someone has put something else there.",
        ("for-each-ref", "refs/cutover/lost"),
        steps=(Do("push what this clone kept below refs/cutover/lost over it, with --force"),),
    ),
    Meaning(
        r"No space left|Disk quota exceeded|Out of diskspace",
        ServiceFailed,
        "The disk is full: git cannot write to {written}.",
    ),
)


# What git and ssh add to every failure of a connection.
_VAGUE = re.compile(
    r"Could not read from remote|the remote end hung up|failed to push some refs|and the repository exists"
    r"|correct access|\AWarning: |\ATo |\A\W*\Z"
)
_LABEL = re.compile(r"\A(?:(?:fatal|error|remote|ssh|kex_exchange_identification): )+")
_LONGEST = 160  # characters of a cause


def _cause(words: str) -> str:
    """`: ` and the first line that names a cause, or nothing."""
    lines = (_LABEL.sub("", line.strip()).rstrip(". ") for line in words.splitlines())
    telling = next((line for line in lines if not _VAGUE.search(line)), "")
    return f": {telling[:_LONGEST]}" if telling else ""


def translate(command: str, stderr: str, path: object, remote: str = "") -> CutoverError:
    """The error for what git wrote to stderr; git's own words stay in `.data`, masked."""
    words = mask(stderr.strip())
    for meaning in MEANINGS:
        if re.search(meaning.pattern, words):
            owned = _OWNED.search(words)  # the clone, or a remote on this machine
            names = {"path": path, "remote": remote or "of the app", "cause": _cause(words),
                     "owned": owned[1] if owned else path,
                     "written": written[1] if (written := _WRITTEN.search(words)) else path}  # fmt: skip
            typed = [word.format(**{**names, "remote": remote}) for word in meaning.words]
            steps = [sh("git", "-C", str(path), *filter(None, typed))] if typed else []
            return meaning.error(meaning.message.format(**names), *meaning.steps, *steps, stderr=words)
    last = next((line for line in reversed(words.splitlines()) if line.strip()), "it gave no reason")
    return GitFailed(f"git {command} failed: {last}.", stderr=words)
