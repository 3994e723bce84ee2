"""The pages of docs/: each is in the contents, links lead somewhere, and every command shown can be typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migration.base import errors
from tests.support.project import helped

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "decisions" not in path.parts)
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_page_is_in_the_contents() -> None:
    """docs/index.md names each page once, and none that is missing."""
    contents = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^([a-z0-9-]+(?:/[a-z0-9-]+)?)$", contents, re.MULTILINE)
    assert sorted(listed) == sorted(
        str(path.relative_to(DOCS).with_suffix("")) for path in PAGES if path.name != "index.md"
    )


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    """A link without an address names a file, and a heading of it where it has a #."""
    for target, heading in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", path.read_text(encoding="utf-8")):
        file = (path.parent / target) if target else path
        assert file.exists(), target
        if heading:
            heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}
            assert heading in slugs, f"{target}#{heading}"


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_every_command_shown_can_be_typed(path: Path) -> None:
    """Verbs and flags exist, in code blocks and in the text."""
    text = path.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```(?:sh|text)?\n(.*?)```", text, re.DOTALL))
    shown = re.findall(r"^(?:uv run )?inv ([a-z0-9]+)([^\n#]*)", blocks, re.MULTILINE)
    shown += re.findall(r"`(?:uv run )?inv ([a-z0-9]+)((?: [^`]*)?)`", text)
    for verb, rest in set(shown):
        for flag in re.findall(r"(?<!\S)(--[a-z-]+)", rest.split("&&")[0]):
            assert flag in helped(verb), (verb, flag)


def test_exit_codes_are_those_of_the_code() -> None:
    """docs/reference/exit-codes.md has each code that an error of ours ends with, and the two of results: 0 and 4."""
    page = (DOCS / "reference/exit-codes.md").read_text(encoding="utf-8")
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)} == codes | {0, 4}


def test_own_criterion_works_as_shown() -> None:
    """The code of docs/gate.md registers a criterion whose docstring is what it measures."""
    from checks import REGISTRY
    from checks.criterion import Criterion

    code = (DOCS / "gate.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    before = dict(REGISTRY)
    try:
        exec(code, {"__name__": "own"})
        made = REGISTRY["no_teapots"]
        assert isinstance(made, Criterion) and made.measures == "Answers 418 to callers."
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)
