"""A written plan as blocks."""

from __future__ import annotations

from migration.setup.adoption.document import read

JIRA = """h2. What moves

These are deployed
||Function||Deploy?||Notes||
|{{ocr-scan}}|yes|see [the issue|https://x.dev/1]|
|ocr-old|no|-|
Nothing else is.

|ocr-scan|9s|
|ocr-batch|5s|

| Metric | After |
|--------|-------|
| p95 | 5s |

{code}
||not||a table||
{code}
"""


def test_tables_of_jira() -> None:
    """With and without heads, beside one of Markdown; lines keep their numbers, what is in a fence stays as it is."""
    blocks = read(JIRA)
    rows = [(one.line, one.cells, one.header) for one in blocks if one.kind == "row"]
    assert rows == [
        (5, ("ocr-scan", "yes", "see the issue https://x.dev/1"), ("Function", "Deploy?", "Notes")),
        (6, ("ocr-old", "no", "-"), ("Function", "Deploy?", "Notes")),
        (9, ("ocr-scan", "9s"), ("", "")),
        (10, ("ocr-batch", "5s"), ("", "")),
        (14, ("p95", "5s"), ("Metric", "After")),
    ]
    assert next(one for one in blocks if one.line == 5).codes == ("ocr-scan",)
    assert [(one.line, one.text) for one in blocks if one.kind == "text"] == [
        (3, "These are deployed"), (7, "Nothing else is.")
    ]  # fmt: skip
    [line] = blocks[-1].lines
    assert (line.line, line.text) == (17, "||not||a table||")


def test_table_of_jira_in_markdown() -> None:
    """Its marks mean nothing else there; pipes in a sentence and in a fence do."""
    text = "# Move\n\n||Metric||After||\n|p95|5s|\n\na || b\n\n```sh\n||a||b||\n```\n# Next"
    blocks = read(text)
    assert [(one.line, one.kind, one.text) for one in blocks] == [
        (1, "heading", "Move"), (4, "row", "p95 | 5s"), (6, "text", "a || b"), (9, "fence", "||a||b||\n"),
        (11, "heading", "Next"),
    ]  # fmt: skip
