"""The files of a report: where they go, what a bundle holds, and what is never overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from migration.base.errors import Refused
from migration.config.settings import PlanItem
from migration.report import gather, report
from migration.report.gather import ReportFacts
from tests.support import reported
from tests.support.clock import VirtualClock


@pytest.fixture
def facts(tmp_path: Path) -> ReportFacts:
    plan = tmp_path / "PLAN.md"
    plan.write_text("- [ ] deploy\n", encoding="utf-8")
    return reported.facts("sk-or-v1-x", plan, [PlanItem(line=1, text="deploy", by="deploy")])


def run(facts: ReportFacts, out: str, markdown: bool = False, **more: Any) -> report.ReportResult:
    """The verb over facts that were gathered."""
    config = facts.config
    context = SimpleNamespace(
        config=config, environment=SimpleNamespace(name="prod"), clock=VirtualClock(), state=config.folder / ".cutover",
        observer=SimpleNamespace(step=lambda *_, **__: None), **more,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "gather", lambda *_: facts)
        return report.run(cast(Any, context), reported.SINCE, out, markdown)


def test_a_file_in_the_folder_of_reports(facts: ReportFacts) -> None:
    found = run(facts, "")
    assert found.files == (found.path,) and found.path.endswith(".cutover/report/prod-20261122-120000.html")
    assert Path(found.path).read_text(encoding="utf-8").startswith("<!DOCTYPE html>") and found.exit_code == 0


def test_a_folder_gets_all_the_evidence(facts: ReportFacts, tmp_path: Path) -> None:
    """Whoever has the folder needs no access: page, figures, records, Markdown, the plan's copy."""
    found = run(facts, f"{tmp_path}/evidence/", markdown=True)
    names = {Path(one).name for one in found.files}
    assert names == {"report.html", "figures.json", "ledger.jsonl", "report.md", "PLAN.checked.md"}
    assert json.loads((tmp_path / "evidence/figures.json").read_bytes()) == found.figures
    records = (tmp_path / "evidence/ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["record"] for line in records] == ["note"]
    assert (tmp_path / "evidence/PLAN.checked.md").read_text(encoding="utf-8") == "- [x] deploy\n"
    assert (tmp_path / "PLAN.md").read_text(encoding="utf-8") == "- [ ] deploy\n"


def test_markdown_and_the_ticked_plan_beside_it(facts: ReportFacts, tmp_path: Path) -> None:
    found = run(facts, str(tmp_path / "out/pr.md"), markdown=True)
    assert {Path(one).name for one in found.files} == {"pr.md", "PLAN.checked.md"}
    assert (tmp_path / "out/pr.md").read_text(encoding="utf-8").startswith("## ")


def test_an_existing_folder_is_a_bundle(facts: ReportFacts, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert Path(run(facts, str(tmp_path / "there")).path).name == "report.html"


@pytest.mark.parametrize("name", ["PLAN.md", "config.yaml"])
def test_own_files_are_never_overwritten(facts: ReportFacts, tmp_path: Path, name: str) -> None:
    place = tmp_path / name if name == "PLAN.md" else facts.config.file
    with pytest.raises(Refused, match="is not a report"):
        run(facts, str(place))


def test_a_place_that_cannot_be_written(facts: ReportFacts, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused, match=r"Cannot write .*: Not a directory|File exists"):
        run(facts, str(tmp_path / "file/report.html"))


def test_markdown_has_its_own_ending(facts: ReportFacts, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"does not end in \.md"):
        run(facts, str(tmp_path / "x.html"), markdown=True)
