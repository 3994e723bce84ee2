"""Every `sh` block of docs/ and of the README as a reader types it, beside a running `inv sandbox`; others are marked
`text`: what installs, and the test run itself."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Project, copy
from tests.support.sandboxes import sandbox

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
HAVE = "pip install uv && "  # whoever runs the tests has it
FIRST, LAST = ("deploy.md",), ("rollback.md",)  # what the others look at, and what ends it
OPEN = {"checks": (0, 4), "watch": (0, 4)}  # too few answers for a verdict


def blocks() -> list[tuple[str, str]]:
    """Page of docs/ and command line, in an order that works."""
    pages = sorted(DOCS.rglob("*.md"), key=lambda page: (page.name in LAST, page.name not in FIRST, page.name))
    return [(str(page.relative_to(DOCS)), line) for page in pages for line in lines(page)]


def lines(page: Path) -> list[str]:
    """The command lines of a page, from `inv` on."""
    found = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    plain = (line.split(" #")[0].strip() for block in found for line in block.splitlines())
    return [line.removeprefix(HAVE).removeprefix("uv run ") for line in plain if line and not line.startswith("#")]


def test_blocks_of_docs_are_typed_or_text() -> None:
    """A shell block of another name would be left out; what is typed is a verb on the sandbox."""
    pages = [*DOCS.rglob("*.md"), *(ROOT / name for name in TOP)]
    fences = [re.findall(r"(?m)^```(.*)$", page.read_text(encoding="utf-8")) for page in pages]
    languages = {name for page in fences for name in page[::2]}
    assert not languages & {"bash", "shell", "console", "zsh", ""}, languages
    assert len(blocks()) > 15 and len(lines(ROOT / "README.md")) > 8
    typed = [line for page in pages for line in lines(page)]
    assert [line for line in typed if not re.match(r"inv (?:rehearse$|[a-z]+ --env sandbox)", line)] == []


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    found = copy(tmp_path_factory.mktemp("docs") / "project")
    with sandbox(found):
        yield found


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A sandbox in which nothing was rolled back yet: the README goes from the first plan to the rollback."""
    found = copy(tmp_path_factory.mktemp("readme") / "project")
    with sandbox(found):
        yield found


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.parametrize("line", [line for name in TOP for line in lines(ROOT / name)])
def test_line_of_the_readme_typed(another: Project, line: str) -> None:
    _type(another, "README.md", line)


@pytest.mark.slow
@pytest.mark.timeout(450)
@pytest.mark.parametrize(("page", "line"), blocks())
def test_block_typed(project: Project, page: str, line: str) -> None:
    _type(project, page, line)


def _type(project: Project, page: str, line: str) -> None:
    """It ends with the code that the page promises."""
    words = shlex.split(line)[1:]
    done = project.inv(*words, seconds=400)
    assert done.code in OPEN.get(words[0], (0,)), f"{page}: {line}\n{done.out}{done.err}"
