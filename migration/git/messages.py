"""Messages of many commits, read with two processes, and none that is larger than it may be.

What lies in a shared ref was put there by anyone who may push: its size is known before it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from migration.git.giterrors import GitFailed
from migration.git.repository import Repository

LARGEST = 4_000_000  # bytes of a commit that is read
_AT_ONCE = 32_000_000  # bytes that git is asked for at once


@dataclass(frozen=True)
class CommitMessage:
    """`text` is None where the commit is too large to be read, and empty where the object is something else."""

    commit: str
    size: int
    text: bytes | None


def read(repository: Repository, commits: Sequence[str], largest: int = LARGEST) -> Iterator[CommitMessage]:
    """The message of each commit, in this order. GitFailed where one of them is not here."""
    sizes = list(_sizes(repository, commits))
    for portion in _portions(sizes, largest):
        wanted = [name for name, kind, size in portion if kind == "commit" and size <= largest]
        texts = _texts(repository, wanted)
        for name, kind, size in portion:
            yield CommitMessage(name, size, b"" if kind != "commit" else texts.get(name))


def one(repository: Repository, commit: str, largest: int = LARGEST) -> CommitMessage:
    """The message of one commit. GitFailed where it is not here."""
    return next(read(repository, [commit], largest))


def missing(repository: Repository, commits: Iterable[str]) -> set[str]:
    """Those that are not here."""
    names = list(dict.fromkeys(commits))
    lines = _check(repository, names)
    return {name for name, line in zip(names, lines, strict=True) if line.endswith(" missing")}


def _check(repository: Repository, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    text = "".join(f"{name}\n" for name in names).encode()
    # Without GIT_NO_LAZY_FETCH a partial clone would ask its remote for each of them (git-cat-file(1), 2.44).
    known = {"GIT_NO_LAZY_FETCH": "1"}
    return repository.git("cat-file", "--batch-check", "--buffer", stdin=text, timeout=120.0, env=known).text.split(
        "\n"
    )


def _sizes(repository: Repository, commits: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Id, kind and size of each object."""
    for name, line in zip(commits, _check(repository, commits), strict=True):
        words = line.split(" ")
        if len(words) != 3:
            raise GitFailed(f"The object {name[:12]} is not in this clone.")
        yield name, words[1], int(words[2])


def _portions(sizes: Sequence[tuple[str, str, int]], largest: int) -> Iterator[list[tuple[str, str, int]]]:
    """All of them, in pieces that fit into memory."""
    portion: list[tuple[str, str, int]] = []
    room = _AT_ONCE
    for name, kind, size in sizes:
        taken = size if size <= largest else 0
        if taken > room:
            yield portion
            portion, room = [], _AT_ONCE
        portion.append((name, kind, size))
        room -= taken
    if portion:
        yield portion


def _texts(repository: Repository, commits: Sequence[str]) -> Mapping[str, bytes]:
    if not commits:
        return {}
    text = "".join(f"{name}\n" for name in commits).encode()
    batch = repository.git("cat-file", "--batch", "--buffer", stdin=text, timeout=120.0).out
    texts, position = {}, 0
    for name in commits:
        end = batch.index(b"\n", position)
        size = int(batch[position:end].rpartition(b" ")[2])
        texts[name] = batch[end + 1 : end + 1 + size].partition(b"\n\n")[2]
        position = end + 2 + size
    return texts
