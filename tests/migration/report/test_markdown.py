"""Markdown for a pull request: the figures of the page, and hostile text that marks nothing up."""

from __future__ import annotations

import re
from dataclasses import replace

from markdown_it import MarkdownIt

from migration.base.command import inv
from migration.report.figures import figures
from migration.report.gather import UnmeasuredPart
from migration.report.markdown import code, markdown, text
from tests.support import reported

HOSTILE = "<script>x</script> @team #12 | **b** [a](http://e) `c` ``d`` ~~e~~ \n## head"


def test_figures_of_the_page() -> None:
    data = figures(reported.facts())
    shown = markdown(data)
    assert shown.startswith("## ❌ kimi-k2-thinking does not meet its criteria in prod\n")
    for words in ("+45.6 points", "54.29%", f"${data['costs']['cost']:.2f}", "`inv rollback`", "20261127-080000-0009"):
        assert words in shown


def test_hostile_text_marks_nothing_up() -> None:
    """The same elements as with calm text; no one is mentioned."""
    kinds = []
    for words in ("calm", HOSTILE):
        shown = markdown(figures(reported.facts(words)))
        assert not re.search(r"@\w", shown)
        tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(shown)
        inner = [child.type for token in tokens for child in token.children or ()]
        kinds.append(([token.type for token in tokens], [one for one in inner if one not in ("text", "softbreak")]))
    assert kinds[0] == kinds[1]


def test_code_with_backticks() -> None:
    assert code("a `b` ``c``\nd") == "``` a `b` ``c`` d ```" and code("inv checks") == "`inv checks`"


def test_text_is_one_line() -> None:
    assert text("a\n# b @c") == "a \\# b @\u200bc"


def test_what_was_not_measured() -> None:
    gone = UnmeasuredPart("no price is configured", (inv("config"),))
    shown = markdown(figures(replace(reported.facts(), costs=gone, checks=gone)))
    assert "| costs | no price is configured | `inv config` |" in shown and "### Costs" not in shown
