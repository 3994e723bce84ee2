"""The plan document: its items with state and evidence, and a copy in which nothing but boxes changes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migration.config.settings import PlanItem
from migration.inspect.history import HistoryResult
from migration.report.figures import figures
from migration.report.plan_document import locate, ticked
from tests.support import reported

DATA = Path(__file__).parents[2] / "data" / "plans"
BOXES = (
    ("Run local tests (Phase 1)", "smoke", "done"),
    ("Deploy to production (Phase 2)", "deploy", "done"),
    ("Run end-to-end tests (Phase 3)", "e2e", "done"),
    ("Monitor for 24 hours", "watch", "done"),
    ("Set up OpenRouter spending alerts", "criteria.budget", "open"),
    ("Add cost tracking dashboard (optional)", "costs", "done"),
    ("Monitor error rates vs. old Gemini baseline", "criteria.success_rate", "done"),
    ("Gather user feedback on artifact quality", "history", "done"),
    ("Analyze cost vs. reliability trade-off", "report", "done"),
    ("Consider caching for common prompts", "person", "person"),
    ("Evaluate if Kimi K2 quality is better than Gemini Pro", "criteria.code_quality", "done"),
    ("Document final cost metrics", "report", "done"),
)
NUMBERED = (
    ("Artifact generation works without 503 errors", "criteria.no_503", "failed"),
    ("Cost logging appears in function logs", "signals.usage", "done"),
    ("Chat still works (unchanged, using Gemini)", "criteria.unchanged", "done"),
)


def mapped(text: bytes, *rows: tuple[str, str, str]) -> list[PlanItem]:
    """Items as `init --plan` writes them: line, words, what answers."""
    found = []
    for words, by, _ in rows:
        line = locate(
            10**6, words.replace("Artifact generation works without", "Artifact generation works** without"), text
        )
        found.append(PlanItem(line=line or locate(10**6, words, text), text=words, by=by))
    return found


@pytest.mark.parametrize("name", ["plan.md", "as-received.md"])
def test_shipped_plan_in_both_encodings(name: str) -> None:
    """Every box is ticked or left by evidence; every other byte is as it was; numbered criteria stand below."""
    source = DATA / name
    before = source.read_bytes()
    data = figures(reported.facts(plan=source, items=mapped(before, *BOXES, *NUMBERED)))
    items = data["plan"]["items"]
    assert [one["state"] for one in items] == [state for *_, state in (*BOXES, *NUMBERED)]
    assert all(one["evidence"] for one in items) and source.read_bytes() == before
    copy = ticked(before, items, "2026-11-27 09:00Z")
    changed = [(a, b) for a, b in zip(before.splitlines(), copy.splitlines(), strict=False) if a != b]
    assert len(changed) == 10 and all(a.replace(b"[ ]", b"[x]") == b for a, b in changed)
    assert b"- [ ] Set up OpenRouter" in copy and b"- [ ] Consider caching" in copy
    tail = copy[len(before) :].decode()
    assert "## Items without a box, as of 2026-11-27 09:00Z" in tail and len(re.findall("^- [✓✗] ", tail, re.M)) == 3


def row(line: int, state: str, box: bool = True) -> dict[str, Any]:
    return {"line": line, "state": state, "text": f"item {line} *x*", "evidence": "seen <b>", "box": box}


STYLES = {
    "terse": (b"- [ ] a\n- [ ] b", [row(1, "done"), row(2, "open")], b"- [x] a\n- [ ] b"),
    "ticked before, failed now": (b"* [x] a\n", [row(1, "failed")], b"* [ ] a\n"),
    "capital": (b"+ [X] a\n+ [X] b\n", [row(1, "done"), row(2, "failed")], b"+ [X] a\n+ [ ] b\n"),
    "a person says": (b"- [x] a\n- [ ] b\n", [row(1, "person"), row(2, "person")], b"- [x] a\n- [ ] b\n"),
    "windows": (b"1. [ ] a\r\n2) [ ] b\r\n", [row(1, "done"), row(2, "done")], b"1. [x] a\r\n2) [x] b\r\n"),
    "nested and quoted": (b"> - [ ] a\n>   - [ ] b\n", [row(2, "done")], b"> - [ ] a\n>   - [x] b\n"),
    "headings in another language": ("## Nächste Schritte\n- [ ] Prüfen\n".encode(), [row(2, "done")],
                                     "## Nächste Schritte\n- [x] Prüfen\n".encode()),
    "links are no boxes": (b"- [ ](x) a\n- [ ]a\n", [row(1, "done"), row(2, "done")], b"- [ ](x) a\n- [ ]a\n"),
    "not utf-8": (b"- [ ] caf\xe9\n", [row(1, "done")], b"- [x] caf\xe9\n"),
    "two boxes in a line": (b"- [ ] a [ ] b\n", [row(1, "done")], b"- [x] a [ ] b\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", STYLES)
def test_only_boxes_change(name: str) -> None:
    before, rows, after = STYLES[name]
    assert ticked(before, rows, "now") == after


def test_items_without_a_box_stand_below() -> None:
    """Their words mark nothing up; the end of the document and its line ends are kept."""
    copy = ticked(b"# Plan\r\n\r\n1. works", [row(3, "failed", box=False)], "now").decode()
    assert copy.startswith("# Plan\r\n\r\n1. works\r\n\r\n---\r\n")
    assert copy.endswith("- ✗ failed: item 3 \\*x\\* (seen \\<b\\>)\r\n")


def test_a_box_in_code_is_text(tmp_path: Path) -> None:
    plan = tmp_path / "PLAN.md"
    plan.write_text("```md\n- [ ] deploy the app\n```\n\n- [ ] smoke the app\n", encoding="utf-8")
    items = [PlanItem(line=2, text="deploy the app", by="deploy"), PlanItem(line=5, text="smoke the app", by="smoke")]
    found = figures(reported.facts(plan=plan, items=items))["plan"]["items"]
    assert [one["box"] for one in found] == [False, True]
    assert ticked(plan.read_bytes(), found, "now").startswith(b"```md\n- [ ] deploy")


def test_an_edited_plan_is_found_again() -> None:
    """By its words, where they stand once; else nothing is ticked by mistake."""
    text = "# Plan\n\n- [ ] **Deploy** to `production`\n- [ ] Tell Zoë\n- [ ] twice\n- [ ] twice\n".encode()
    assert locate(3, "Deploy to production", text) == 3
    assert locate(1, "Deploy to production", text) == 3
    assert locate(4, "Tell ZoÃ«", text) == 4
    assert locate(1, "twice", text) == 0 and locate(6, "twice", text) == 6
    assert locate(3, "Something else", text) == 0
    assert locate(99, "デプロイ", "- [ ] デプロイ\n".encode()) == 1


def test_a_lost_item_is_named(tmp_path: Path) -> None:
    plan = tmp_path / "PLAN.md"
    plan.write_text("# empty\n", encoding="utf-8")
    found = figures(reported.facts(plan=plan, items=[PlanItem(line=1, text="deploy it", by="deploy")]))["plan"]
    assert found["items"][0]["state"] == "not in the plan any more" and found["items"][0]["line"] == 0


def test_a_plan_that_is_gone_is_not_measured(tmp_path: Path) -> None:
    found = figures(reported.facts(plan=tmp_path / "PLAN.md", items=[]))["plan"]
    assert "Cannot read the plan document PLAN.md" in found["missing"]


@pytest.mark.parametrize(
    "by,state,words",
    [
        (["criteria.no_503", "smoke"], "failed", "2 of 1844 requests answered 503; 2 cases passed"),
        (["smoke", "person"], "person", "not something Cutover can know"),
        ("smoke.counter", "done", "case counter passed at 2026-11-27 09:00Z"),
        ("smoke.chat", "open", "case chat was not sent"),
        ("signals.retry", "open", "signal retry was not counted"),
        ("secrets.OPENROUTER_K2T_KEY", "open", "no deployment recorded OPENROUTER_K2T_KEY"),
        ("rollback", "done", "20261126-080000-0004 restored the previous code"),
        ("soak", "open", "soak leaves no record"),
        ("watch", "done", "pass, 288 rounds"),
        ("history", "done", "2 ratings, mean 4.0 of 5"),
        ("logs", "done", "the logs show"),
        ("checks", "failed", "8 of 11 criteria passed"),
    ],
)
def test_state_and_evidence(tmp_path: Path, by: Any, state: str, words: str) -> None:
    """The state follows from the facts alone; the evidence says which."""
    plan = tmp_path / "PLAN.md"
    plan.write_text("- [ ] the item\n", encoding="utf-8")
    found = figures(reported.facts(plan=plan, items=[PlanItem(line=1, text="the item", by=by)]))["plan"]["items"][0]
    assert found["state"] == state and words in found["evidence"], found


def test_what_held_is_open_after_a_rollback(tmp_path: Path) -> None:
    """Figures of code that is not live any more tick nothing; what failed has failed, and a rollback is done."""
    plan = tmp_path / "PLAN.md"
    plan.write_text("- [ ] the item\n", encoding="utf-8")
    names = ("criteria.answers_work", "criteria.no_503", "rollback", "costs")
    facts = reported.facts(plan=plan, items=[PlanItem(line=1, text="the item", by=name) for name in names])
    assert isinstance(facts.history, HistoryResult)
    undone = tuple({**row, "live": False} for row in facts.history.deployments)
    found = figures(replace(facts, history=replace(facts.history, deployments=undone)))["plan"]["items"]
    assert [one["state"] for one in found] == ["open", "failed", "done", "done"]
    assert found[0]["evidence"].endswith("; rolled back since")


PUBLIC = sorted(path.with_suffix(".md") for path in (DATA / "public").glob("*.yaml"))


@pytest.mark.parametrize("source", PUBLIC, ids=[one.stem for one in PUBLIC])
def test_public_plans(source: Path) -> None:
    """Every box outside of code is ticked, and no other byte changes, whatever the plan looks like."""
    before = source.read_bytes()
    lines = before.splitlines()
    boxes = [n for n, line in enumerate(lines, 1) if re.match(rb"\s*[-*+] \[[ xX]\] ", line)]
    words = {n: lines[n - 1].split(b"] ", 1)[1].decode("utf-8", "replace") for n in boxes}
    items = [PlanItem(line=n, text=text, by="deploy") for n, text in words.items()]
    found = figures(reported.facts(plan=source, items=items))["plan"]["items"]
    assert [one["line"] for one in found] == boxes
    copy = ticked(before, [one for one in found if one["box"]], "now")
    assert re.sub(rb"\[[xX]\] ", b"[ ] ", copy) == re.sub(rb"\[[xX]\] ", b"[ ] ", before)
    assert len(re.findall(rb"\[[xX]\] ", copy)) >= sum(one["box"] for one in found)
