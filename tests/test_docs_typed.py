"""Every `sh` block of docs/ as a reader types it, beside a running `inv sandbox`; others are marked `text`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Project, copy
from tests.support.sandboxes import sandbox

DOCS = Path(__file__).parent.parent / "docs"
FIRST, LAST = ("deploy.md",), ("rollback.md",)  # what the others look at, and what ends it
OPEN = {"checks": (0, 4), "watch": (0, 4)}  # too few answers for a verdict


def blocks() -> list[tuple[str, str]]:
    """Page and command line, in an order that works."""
    pages = sorted(DOCS.rglob("*.md"), key=lambda page: (page.name in LAST, page.name not in FIRST, page.name))
    return [
        (str(page.relative_to(DOCS)), line.split(" #")[0].strip())
        for page in pages
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        for line in block.splitlines()
        if line.strip() and not line.startswith("#")
    ]


def test_blocks_of_docs_are_typed_or_text() -> None:
    """A shell block of another name would be left out; what is typed is a verb on the sandbox."""
    fences = [re.findall(r"(?m)^```(.*)$", page.read_text(encoding="utf-8")) for page in DOCS.rglob("*.md")]
    languages = {name for page in fences for name in page[::2]}
    assert not languages & {"bash", "shell", "console", "zsh", ""}, languages
    typed = [line for _, line in blocks()]
    assert len(typed) > 15
    assert [line for line in typed if not re.match(r"inv (?:rehearse$|[a-z]+ --env sandbox)", line)] == []


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    found = copy(tmp_path_factory.mktemp("docs") / "project")
    with sandbox(found):
        yield found


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.parametrize(("page", "line"), blocks())
def test_block_typed(project: Project, page: str, line: str) -> None:
    """It ends with the code that the page promises."""
    words = shlex.split(line)[1:]
    done = project.inv(*words, seconds=400)
    assert done.code in OPEN.get(words[0], (0,)), f"{page}: {line}\n{done.out}{done.err}"
