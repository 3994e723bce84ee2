"""What git says when it fails, in one sentence of ours and with the next command."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from migration.base.errors import CutoverError, Refused, ServiceFailed, Unknown, Unreachable
from migration.base.secrets_type import mask


class GitFailed(ServiceFailed):
    """git ended with an error that has no better name; `.data["stderr"]` holds its own words."""


class Denied(Refused):
    """The remote knows us, or does not, and will not let us do this."""


class HostRefuses(Refused):
    """The git host does not take refs of this name."""


SHUT = (ServiceFailed, Denied, HostRefuses)  # no lock and no record are to be had from a remote that answers so


class TimedOut(Unknown):
    """git did not end in time and was stopped: what the remote did is not known."""


@dataclass(frozen=True)
class Meaning:
    pattern: str
    error: type[CutoverError]
    message: str
    hint: str = ""


# The first that matches wins. {path} is the repository, {quoted} the same for a shell, {remote} who was asked.
MEANINGS = (
    Meaning(
        r"dubious ownership",
        Refused,
        "git does not trust {path}, because it belongs to another user.",
        "git config --global --add safe.directory {quoted}",
    ),
    Meaning(
        r"not a git repository|must be run in a work tree",
        Refused,
        "{path} is not inside a git repository: set app.path in config.yaml to the app's clone.",
    ),
    Meaning(
        r"No such remote|'[^']*' does not appear to be a git repository|repository .* (not found|does not exist)"
        r"|Repository not found|error: 404",
        Unreachable,
        "The git remote {remote} leads to no repository: check its address.",
        "git -C {quoted} remote -v",
    ),
    Meaning(
        r"receiving end does not support --atomic",
        HostRefuses,
        "The git host of {remote} has no atomic pushes: set `app.ledger: refs/heads/cutover` in config.yaml.",
    ),
    Meaning(
        r"error: 401|Authentication failed|could not read (Username|Password)|terminal prompts disabled"
        r"|HTTP Basic: Access denied|Invalid username or|Permission denied \([a-z,-]+\)",
        Denied,
        "The git remote {remote} does not accept our credentials: sign in to it, or give CI a token that may push.",
        "git -C {quoted} push --dry-run {remote}",
    ),
    Meaning(
        r"error: 403|[Pp]ermission (to \S+ )?denied|not allowed to push|read.only|[Ww]rite access .*not granted"
        r"|insufficient permission|service not enabled|access denied or repository not exported",
        Denied,
        "The git remote {remote} lets us read but not push: give the token or key the right to push.",
        "git -C {quoted} push --dry-run {remote}",
    ),
    Meaning(
        r"Could not resolve|[Cc]onnection (refused|reset|timed out|closed)|unable to access|Operation too slow"
        r"|hung up|early EOF|unexpected disconnect|error: 5\d\d|HTTP 5\d\d|RPC failed|Network is unreachable"
        r"|Could not read from remote|timed out|Empty reply|SSL|expected flush|invalid server response"
        r"|the remote end|unable to connect",
        Unreachable,
        "The git remote {remote} cannot be reached.",
        "git -C {quoted} ls-remote {remote}",
    ),
    Meaning(
        r"No space left|Disk quota exceeded",
        ServiceFailed,
        "There is no room left on the disk for git to write to {path}.",
    ),
    Meaning(
        r"Permission denied|Read-only file system|insufficient permission",
        Refused,
        "git may not write to {path}: check who owns it.",
    ),
)


def translate(command: str, stderr: str, path: object, remote: str = "") -> CutoverError:
    """The error for what git wrote to stderr; git's own words stay in `.data`, masked."""
    words = mask(stderr.strip())
    for meaning in MEANINGS:
        if re.search(meaning.pattern, words):
            names = {"path": path, "quoted": shlex.quote(str(path)), "remote": remote or "of the app"}
            return meaning.error(meaning.message.format(**names), meaning.hint.format(**names), stderr=words)
    last = next((line for line in reversed(words.splitlines()) if line.strip()), "it gave no reason")
    return GitFailed(f"git {command} failed: {last}.", "", stderr=words)
