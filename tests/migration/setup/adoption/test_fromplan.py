"""`inv init --plan`: the plan of the shipped migration, as it is and as it arrived, yields the shipped config."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration.base.command import Command
from migration.base.errors import Refused
from migration.config import load, signals
from migration.config.settings import Config
from migration.report.figures import figures
from migration.report.plan_document import ticked
from migration.setup.adoption import document
from tests.support import adopted, reported, repos
from tests.support.runtime import shared

ROOT = Path(__file__).parents[4]
PLANS = ROOT / "tests" / "data" / "plans"
LINE = """\
[3f6c] 💰 Token usage: {
  input: 1234,
  output: 567,
  total: 1801,
  estimatedCost: "$0.0018"
}"""
both = pytest.mark.parametrize("name", ["plan.md", "as-received.md"])


@cache
def shipped() -> Config:
    return load.load(ROOT)


@both
def test_shipped_values(tmp_path: Path, name: str) -> None:
    """Functions, project, secret, providers with the model, and the thresholds are those of the shipped file."""
    adopted.run(tmp_path, plan=PLANS / name)
    config, known = adopted.config(tmp_path), shipped()
    for part in ("name", "functions", "unchanged", "from_", "to"):
        assert getattr(config.migration, part) == getattr(known.migration, part), part
    assert config.environments["prod"].project_ref == known.environments["prod"].project_ref
    assert config.secrets == known.secrets
    assert (
        config.target
        and known.target
        and (config.target.kind, config.target.model) == (known.target.kind, known.target.model)
    )
    assert config.target.price and config.target.price.output == 2.5
    for part in ("monthly_warning", "monthly_critical", "volumes"):
        assert getattr(config.budget, part) == getattr(known.budget, part), part
    mine, theirs = config.criteria.named, known.criteria.named
    assert set(theirs) - set(mine) == {"code_quality"}, "the plan gives it no number"
    assert mine["success_rate"].at_least == theirs["success_rate"].at_least
    assert mine["success_rate"].baseline == theirs["success_rate"].baseline
    assert mine["response_time"].p95 == theirs["response_time"].p95
    assert mine["cost_per_request"].mean == theirs["cost_per_request"].mean


@both
def test_shipped_cases_and_signals(tmp_path: Path, name: str) -> None:
    """Each request of the plan is a case of the shipped file, and what the plan expects of it holds there too."""
    adopted.run(tmp_path, plan=PLANS / name)
    config, known = adopted.config(tmp_path), shipped()
    cases = {str((case.function, case.method, case.auth, case.body)): case for case in known.smoke}
    found = [cases[str((case.function, case.method, case.auth, case.body))] for case in config.smoke]
    assert [case.name for case in found] == ["counter", "fix", "todo-list"]
    for mine, theirs in zip(config.smoke, found, strict=True):
        assert mine.expect.status == theirs.expect.status
        for path, match in mine.expect.json_.items():
            assert theirs.expect.json_.get(path, match) == match
    assert {"$.success", "$.requestId"} <= set(config.smoke[0].expect.json_)
    for signal in ("new_route", "old_route", "usage"):
        assert config.signals[signal].pattern == known.signals[signal].pattern
    usage = signals.named(config)["usage"].groups(LINE)
    assert usage and {key: usage[key] for key in ("input", "output", "total", "cost")} == {
        "input": "1234", "output": "567", "total": "1801", "cost": "0.0018",
    }  # fmt: skip


def test_both_encodings_agree(tmp_path: Path) -> None:
    """But for comments and the name of the file, a plan that was encoded twice gives the same config."""

    def made(name: str) -> Any:
        root = tmp_path / name.removesuffix(".md")
        adopted.run(root, plan=PLANS / name)
        data = yaml.safe_load((root / "config.yaml").read_text())
        data["migration"].pop("plan")
        return data

    assert made("plan.md") == made("as-received.md")


def test_contradictions_and_tools(tmp_path: Path) -> None:
    """Prices against their own sample, one input price, and commands that today's tools do not have."""
    done = adopted.run(tmp_path, plan=PLANS / "plan.md")
    for words in (
        "1234 + 567 tokens cost $0.0016 at the prices of line 20, and $0.0018 in its sample at line 149",
        "lines 193, 296: supabase functions logs --tail does not exist",
        "line 284: git revert HEAD reverts whatever came last",
        "line 196 shows the same log line with another sign",
    ):
        assert any(words in notice for notice in done.notices), words
    assert any("is $0.15 (line 20) the price of all input, or of cached input only?" in each for each in done.unknown)
    text = (tmp_path / "config.yaml").read_text()
    for line in (
        "project_ref: vznhbocnuykdmjvujaka # line 182 of the plan",
        "monthly_warning: 10 # line 249 of the plan, USD",
        "old_route: Using GOOGLE_KEY_ # line 297 of the plan",
        "# ? providers.gemini.model: which model of gemini",
    ):
        assert line in text, line


def test_items_and_answers(tmp_path: Path) -> None:
    """Every box and every success criterion is an item with its line, and what answers it."""
    adopted.run(tmp_path, plan=PLANS / "plan.md")
    items = adopted.config(tmp_path).migration.items
    assert [item.by for item in items if item.line > 390] == [
        "smoke", "deploy", "e2e", "watch", "criteria.budget", "costs", "criteria.success_rate", "history", "report",
        "report", "report", "report",
    ]  # fmt: skip
    first = next(item for item in items if item.line == 314)
    assert (first.text, first.by) == (
        "Artifact generation works without 503 errors", ["criteria.no_503", "criteria.answers_work"],
    )  # fmt: skip


def test_plan_and_app_together(tmp_path: Path) -> None:
    """The plan wins for what is intended, the app for facts; where they differ, both are named."""
    plan = tmp_path / "PLAN.md"
    plan.write_text(
        "# Move greeting\n\nDeploy: `supabase functions deploy greet`\n\nUnchanged: `pay`, `gone`\n\n"
        "Set `supabase secrets set ANTHROPIC_API_KEY=sk-ant-your-key`\n\nSwitch from OpenAI to Anthropic.\n"
    )
    done = adopted.run(tmp_path / "root", adopted.app(tmp_path / "app"), plan)
    config = adopted.config(tmp_path / "root")
    assert (config.migration.name, config.migration.functions) == ("move-greeting", ["greet"])
    assert config.migration.unchanged == ["pay"]
    assert (config.app.path, config.app.base is not None) == ("../app", True)
    assert config.secrets["ANTHROPIC_API_KEY"].format == "^sk-ant-"
    assert any("gone is unchanged by the plan, and the app has no such function" in notice for notice in done.notices)


def test_read_again(tmp_path: Path) -> None:
    """The same plan adds nothing; a request that was taken out is shown, and the file stays as it is."""
    adopted.run(tmp_path, plan=PLANS / "plan.md")
    assert adopted.run(tmp_path, plan=PLANS / "plan.md").adds == ""
    text = (tmp_path / "config.yaml").read_text().replace("Create a todo list app", "Another prompt")
    (tmp_path / "config.yaml").write_text(text)
    again = adopted.run(tmp_path, plan=PLANS / "plan.md")
    assert again.adds.startswith("smoke:") and "Create a todo list app" in again.adds
    assert (again.written, (tmp_path / "config.yaml").read_text()) == ((), text)


def test_double_encoding_repaired() -> None:
    """Characters come back, what was never doubled stays, and lines keep their numbers."""
    from migration.setup.adoption.mojibake import repaired

    for text in ("✅ Größe → 5 €", "🛠️ naïve “quotes” — dash", "日本語\nÆther\n", "plain"):
        doubled = "".join(bytes([n]).decode("cp1252", "ignore") or chr(n) if n > 127 else chr(n) for n in text.encode())
        assert repaired(doubled) == text
        assert repaired(text) == text
    lines = repaired((PLANS / "as-received.md").read_text(encoding="utf-8")).split("\n")
    plan = (PLANS / "plan.md").read_text(encoding="utf-8").split("\n")
    differ = [mine for mine, theirs in zip(lines, plan, strict=True) if mine != theirs]
    assert len(differ) == 1 and differ[0].endswith("Files Modified"), "a sign that had lost a byte for good"


def test_unreadable_plans(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Cannot read"):
        document.load(tmp_path / "none.md")
    (tmp_path / "empty.md").write_text("")
    with pytest.raises(Refused, match="names no function") as refused:
        adopted.run(tmp_path, plan=tmp_path / "empty.md")
    assert "--app and the folder" in refused.value.hint
    assert not (tmp_path / "config.yaml").exists()


def test_printed_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan without a function, in the app's own folder: what is printed is typed, and writes the config."""
    app = adopted.app(tmp_path / "my app")
    (app / "docs").mkdir()
    (app / "docs" / "PLAN.md").write_text("# Move\n\nFaster answers.\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused) as refused:
        adopted.run(tmp_path / "root", plan="my app/docs/PLAN.md")
    assert refused.value.hint == "inv init --app 'my app' --plan 'my app/docs/PLAN.md'"
    (step,) = refused.value.steps
    assert isinstance(step, Command)
    given = dict(step.flags)
    adopted.run(tmp_path / "root", str(given["app"]), str(given["plan"]))
    assert adopted.config(tmp_path / "root").migration.functions == ["greet"]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("warn at $10, critical alert at $50 of spend", (10, 50)),
        ("spend: $10 warning, $50 critical", (10, 50)),
        ("Alerte à 20 $ par mois de coûts, critique à 60 $", (20, 60)),
        ("budget: critical at $50, warning at $10", (10, 50)),
        ("critical alert at $50 of spend", (None, 50)),
        ("alert at $10 of spend", (10, None)),
    ],
)
def test_thresholds_of_one_sentence(tmp_path: Path, text: str, budget: tuple[int | None, int | None]) -> None:
    """Each amount goes with the words beside it, before or after as the sentence has them."""
    plan = tmp_path / "PLAN.md"
    plan.write_text(f"# Move\n\nSwitch from OpenAI to Anthropic.\n\n`supabase functions deploy a`\n\n{text}\n")
    adopted.run(tmp_path, plan=plan)
    found = yaml.safe_load((tmp_path / "config.yaml").read_text())["budget"]
    assert (found.get("monthly_warning"), found.get("monthly_critical")) == budget


@pytest.mark.parametrize(
    ("text", "functions"),
    [
        ("```sh\nfor f in a b; do\n  supabase functions deploy $f\ndone\n```", ["a", "b"]),
        ('```sh\nfor f in a b; do supabase functions deploy "$f"; done\n```', ["a", "b"]),
        ('```sh\nALL=(a b)\nfor f in "${ALL[@]}"; do\nsupabase functions deploy ${f}\ndone\n```', ["a", "b"]),
        ('```sh\nexport ALL="a b"\nsupabase functions deploy $ALL c\n```', ["a", "b", "c"]),
        ('```powershell\n$all = "a", "b"\nforeach ($f in $all) { supabase functions deploy $f }\n```', ["a", "b"]),
        ('```powershell\nforeach ($f in @("a","b")) {\n  supabase functions deploy $f\n}\n```', ["a", "b"]),
        ("Run supabase functions deploy a and wait.", ["a"]),
        ("```sh\nsupabase functions deploy $UNKNOWN\n```\n`supabase functions deploy a`", ["a"]),
    ],
)
def test_functions_of_loops(tmp_path: Path, text: str, functions: list[str]) -> None:
    """Variables and loops of both shells, and a command in a sentence, of which the first name counts."""
    plan = tmp_path / "PLAN.md"
    plan.write_text(f"# Move\n\n{text}\n")
    adopted.run(tmp_path, plan=plan)
    assert adopted.config(tmp_path).migration.functions == functions


PUBLIC = sorted(path.with_suffix(".md") for path in (PLANS / "public").glob("*.yaml"))


@pytest.mark.parametrize("path", PUBLIC, ids=[path.stem for path in PUBLIC])
def test_plans_in_the_style_of_public_ones(tmp_path: Path, path: Path) -> None:
    """Terse, sprawling, tables, German, PowerShell, several projects, SQL first, no curl, French with front matter and
    the line ends of Windows, Portuguese as Notion exports it, Jira's marks, Japanese, loops and scripts: each gives its
    config, its questions and its notices, and over a recorded day its ticked copy; all of that stands beside it."""
    wanted = yaml.safe_load(path.with_suffix(".yaml").read_text(encoding="utf-8"))
    before = path.read_bytes()
    assert given(tmp_path, path) == wanted
    rows = figures(reported.facts(own=adopted.config(tmp_path)))["plan"]["items"]
    assert ticked(before, rows, "2026-11-27 09:00Z") == path.with_suffix(".checked.md").read_bytes()
    assert path.read_bytes() == before and len(PUBLIC) == 13


def given(root: Path, plan: Path) -> dict[str, Any]:
    """What init makes of a plan, without what is the same for each."""
    done = adopted.run(root, plan=plan)
    adopted.config(root)
    data = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    data["migration"].pop("plan")
    environments = {
        name: each["project_ref"] for name, each in data.pop("environments").items() if "project_ref" in each
    }
    kept = {name: part for name, part in data.items() if name not in ("app", "auth")}
    return {
        "config": {**kept, "environments": environments},
        "unknown": [each.split(": ")[0] for each in done.unknown],
        "notices": list(done.notices),
    }


@pytest.mark.long
def test_rehearsed_with_the_plan(tmp_path: Path) -> None:
    """The plan of the shipped migration and the sample as a repository: the config is rehearsed without a change."""
    from migration.base.progress import Observer
    from migration.context import SAMPLE
    from migration.rehearsal import rehearse

    app = tmp_path / "app"
    app.mkdir()
    repos.git(app, "init", "--quiet", "--initial-branch=main")
    for step in ("before", "after"):
        shutil.copytree(SAMPLE / step, app, dirs_exist_ok=True)
        repos.commit(app, {}, step)
    adopted.run(tmp_path / "root", app, PLANS / "plan.md")
    shared(tmp_path / "root")
    result = rehearse.run(tmp_path / "root", Observer())
    assert [(phase.name, phase.evidence) for phase in result.phases if not phase.ok] == []
