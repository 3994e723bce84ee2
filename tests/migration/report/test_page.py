"""The page: one file that loads nothing, whose every number is in the figures, and in which hostile text is text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from functools import cache
from typing import Any

from migration.report.figures import Figures, figures
from migration.report.page import page
from tests.support import read_page, reported

# What logs, notes, slugs and answers may hold; each tries to end an attribute, an element, a comment or a script.
CORPUS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'onmouseover='alert(1)", "</style><h1>x</h1>",
    "</script><b>", "<!-- -->", "]]>", "<svg onload=alert(1)>", "&lt;i&gt;", "javascript:alert(1)", "{{7*7}}", "${7*7}",
    "<a href='https://evil.example'>", "\x1b[2J", "\u202egnp.exe", "</title>", "</textarea>", "<base href=//e>",
    "&#x3c;b>",
)  # fmt: skip


@cache
def day(text: str = "") -> tuple[Figures, str]:
    data = figures(reported.facts(text))
    return data, page(data)


def tree(text: str = "") -> Any:
    return read_page.parsed(day(text)[1])


def test_every_number_is_a_figure() -> None:
    """What stands on the page is what figures.json holds at the place that the page names."""
    data, seen = day()[0], 0
    for path, form, text in read_page.figures(tree()):
        assert text == read_page.written(read_page.at(data, path), form), path
        seen += 1
    assert seen > 1_500


def test_no_number_stands_outside_the_figures() -> None:
    """Every other text with a digit is of a chart, whose table follows, or one of these few words."""
    allowed = re.compile(r"95%|4xx other than 402, 408 and 429|p95|of 5|of 100|next 30 days|for 30 days|no 503")
    found = []

    def look(element: Any, inside: bool) -> None:
        name = read_page.name(element)
        inside = inside or element.get("data-f") is not None or name in ("style", "script", "svg", "title", "time")
        for text in [element.text, *(child.tail for child in element)]:
            rest = allowed.sub("", text or "")
            if not inside and re.search(r"\d", rest):
                found.append(rest)
        for child in element:
            look(child, inside)

    look(tree(), False)
    assert found == []


def test_charts_have_name_description_and_table() -> None:
    svgs = [one for one in tree().iter() if read_page.name(one) == "svg"]
    assert len(svgs) >= 2 * 8
    for one in svgs:
        names = {read_page.name(child): child for child in one}
        assert read_page.words(names["title"]) and read_page.words(names["desc"])
        assert one.get("aria-labelledby") == names["title"].get("id")
        assert one.get("aria-describedby") == names["desc"].get("id")
    for section in (one for one in tree().iter() if read_page.name(one) == "section"):
        charts = [one for one in section.iter() if one.get("class") == "chart"]
        tables = [one for one in section.iter() if read_page.name(one) == "table"]
        assert not charts or tables, section.get("id")


def test_ids_are_unique_and_references_hold() -> None:
    ids = Counter(one.get("id") for one in tree().iter() if one.get("id"))
    assert [name for name, many in ids.items() if many > 1] == []
    for one in tree().iter():
        for key in ("aria-labelledby", "aria-describedby"):
            assert one.get(key) is None or one.get(key) in ids
        target = one.get("href") or ""
        assert not target or target.removeprefix("#") in ids, target


def test_nothing_is_loaded_and_nothing_else_may_run() -> None:
    """The policy names the hash of the one style and of the one script, which are all that there is."""
    policy = next(one.get("content") for one in tree().iter() if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        found = [one for one in tree().iter() if read_page.name(one) == kind]
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256((found[0].text or "").encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    for one in tree().iter():
        assert not {"src", "style", "srcset", "action"} & set(one.keys())
        assert not [key for key in one.attrib if key.startswith("on")]


def test_hostile_text_is_text() -> None:
    """No text from outside makes an element or an attribute, and none of it is lost."""
    text = " ".join(CORPUS)
    benign = Counter(read_page.name(one) for one in tree("calm").iter())
    hostile = Counter(read_page.name(one) for one in tree(text).iter())
    assert benign == hostile
    shown = read_page.words(tree(text))
    for one in CORPUS:
        assert one in shown or "\\" in ascii(one), one
    assert "\\x1b[2J" in shown and "\x1b" not in shown and "\u202e" not in shown
    for path, form, written in read_page.figures(tree(text)):
        assert written == read_page.written(read_page.at(day(text)[0], path), form)


def test_a_day_is_small() -> None:
    assert len(day()[1].encode()) < 300_000


def test_verdict_comes_first() -> None:
    shown = read_page.words(next(one for one in tree().iter() if read_page.name(one) == "header"))
    order = ["does not meet its criteria", "8 of 11 criteria passed", "Live", reported.WHO, "Next", "inv rollback"]
    places = [shown.find(one) for one in order]
    assert -1 not in places and places == sorted(places)
