"""The git half of a rollback as data: where the revert is to go, and how it ended."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from migration.git.repository import Repository


@dataclass(frozen=True)
class Target:
    """Where the revert goes: `remote` None stays local; `push` False commits to a local branch only. `again` is the
    command that closes the record once people have done the rest by hand."""

    remote: str | None
    branch: str
    push: bool = True
    again: str = "inv rollback"


@dataclass(frozen=True)
class Reverted:
    """How the git half ended, and in `message` what to do about it.

    `state`: `pushed` to the branch · `review`: pushed to `branch` for a pull request · `local`: committed and left on
    the local `branch` · `already`: the branch has the former files · `nothing`: the range changed none of the files ·
    `conflict`, `impossible`: nothing was committed. `commit` is where the former files are; None when nowhere.
    `revert` is the commit to revert in order to roll forward, empty when it is not known.
    """

    state: str
    message: str
    commit: str | None = None
    branch: str = ""
    reverts: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    revert: str = ""

    @property
    def pushed(self) -> bool:
        return self.state == "pushed"

    @property
    def agrees(self) -> bool:
        """Whether the branch now holds the former files."""
        return self.state in ("pushed", "already", "nothing")

    def record(self) -> dict[str, object]:
        """As the ledger keeps it."""
        facts = {"commit": self.commit, "pushed": self.pushed, "branch": self.branch, "reverts": list(self.reverts)}
        return {**facts, "state": self.state, "revert": self.revert}

    def as_json(self) -> dict[str, object]:
        words = {"message": self.message, "conflicts": list(self.conflicts), "commands": list(self.commands)}
        return {**self.record(), **words}


def at(repository: Repository) -> str:
    """git as a person types it where `inv` runs."""
    return f"git -C {shlex.quote(str(repository.path))}"
