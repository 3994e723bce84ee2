"""A rehearsal of other apps than the sample: what they do not configure is skipped, with the reason."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base.command import Command, Do, inv
from migration.base.errors import Refused
from migration.base.progress import Observer
from migration.base.secrets_type import Secret
from migration.git.repository import Repository
from migration.rehearsal import phases as carried_out
from migration.rehearsal import rehearse
from migration.rehearsal.clone import ISOLATED
from migration.rehearsal.running import REHEARSING, held

SMOKE = """
smoke:
  - {name: greets, function: greet, expect: {text: hello}}
  - {name: greets-anew, function: anew, expect: {text: TEXT}}
gate: {delay: 0}
"""


def project(folder: Path, smoke: str) -> None:
    """`greet` exists and changes; `anew` is created by the migration. Neither secrets nor a provider nor signals."""
    app = folder / "app"
    repository = Repository(folder, ISOLATED)
    repository.git("init", "--quiet", "--initial-branch=main", "app")
    for slugs, text in ((["greet"], "hello"), (["greet", "anew"], "hello again")):
        for slug in slugs:
            source = app / "supabase" / "functions" / slug / "index.ts"
            source.parent.mkdir(parents=True, exist_ok=True)
            log = "console.log('the cause\\nand its stack', Deno.env.get('USED') !== undefined);"
            source.write_text(f"Deno.serve(() => {{ {log} return new Response('{text}') }});\n")
        Repository(app, ISOLATED).git("add", "--all")
        Repository(app, ISOLATED).git("commit", "--quiet", "--message", text)
    (folder / "config.yaml").write_text(
        "migration: {name: m, functions: [greet, anew]}\napp: {path: app}\n"
        f"environments: {{sandbox: {{embedded: true}}}}\nrehearsal: {{deno: own}}\n{smoke}"
    )


def phases(folder: Path) -> dict[str, rehearse.PhaseResult]:
    return {phase.name: phase for phase in rehearse.run(folder, Observer()).phases}


@pytest.mark.slow
def test_another_app_is_rehearsed(tmp_path: Path) -> None:
    """An update and a create go there and back; five phases have nothing to show and say why. Nothing is paid there,
    so that a soak is not stopped by what its requests might cost."""
    project(tmp_path, SMOKE.replace("TEXT", "again") + "soak: {max_cost: 0.1}\n")
    found = phases(tmp_path)
    assert [(name, phase.evidence) for name, phase in found.items() if not phase.ok] == []
    assert {name: phase.evidence for name, phase in found.items() if phase.skipped} == {
        "before": "skipped: no section e2e in the config",
        "e2e": "skipped: no section e2e in the config",
        "secret": "skipped: no secrets in the config",
        "logs": "skipped: no signals new_route and old_route in the config",
        "costs": "skipped: no signal usage in the config",
    }
    assert "(200: 20)" in found["baseline"].evidence
    assert "update greet, create anew" in found["plan"].evidence


def test_two_rehearsals_exclude_each_other(tmp_path: Path) -> None:
    """The second one is refused before it empties the folder in which the first one works."""
    project(tmp_path, "")
    folder = tmp_path / ".cutover" / "rehearsal"
    folder.mkdir(parents=True)
    with held(folder.parent, REHEARSING):
        (folder / "kept").write_text("of the first one")
        with pytest.raises(Refused, match="A rehearsal is already running"):
            rehearse.run(tmp_path, Observer())
    assert (folder / "kept").exists()


def test_a_failed_phase_has_a_next_step() -> None:
    """Each of them: how to see it by hand, and the rehearsal again; a refusal of the sandbox just the latter."""
    for name, _ in rehearse.PHASES:
        typed = [
            step.verb
            for step in rehearse.following(rehearse.PhaseResult(name, False, 0.0, ""))
            if isinstance(step, Command)
        ]
        assert typed[-1] == "rehearse"
        assert name == "sandbox" or (typed[0] == "sandbox" and len(typed) > 2)
    assert rehearse.following(rehearse.PhaseResult("rollback", True, 0.0, "")) == ()


def test_a_soak_that_fails_says_what_to_change() -> None:
    """Advice, where there is any, and no label without the command that stands below it."""
    again = Do("let fewer requests decide: a lower soak.reject in config.yaml")
    back = inv("logs", level="error"), Do("or to take the deployment back:"), inv("rollback")
    about: dict[str, Any] = {"decision": "failed", "reasons": (), "failures": ("2 × a: 503",), "failed": None}
    words = [carried_out._unsettled(Any, SimpleNamespace(**about, next=steps)) for steps in ((again,), back)]  # type: ignore[arg-type]
    assert words == [f"soak: failed; 2 × a: 503; {again}", "soak: failed; 2 × a: 503"]


def test_the_report_shows_no_secret(tmp_path: Path) -> None:
    """A request in a line of evidence may hold one: the file is kept by CI."""
    key = Secret("a-secret-of-a-body-7731")
    phase = rehearse.PhaseResult("smoke", False, 0.1, f"case a: no answer; request: POST /a {key.reveal()}")
    result = rehearse.RehearsalResult((phase,), 0.1, "report.json")
    rehearse._write(tmp_path / "report.json", result, SimpleNamespace(results={}))  # type: ignore[arg-type]
    text = (tmp_path / "report.json").read_text()
    assert key.reveal() not in text and "POST /a [REDACTED]" in text


@pytest.mark.slow
def test_a_failure_names_its_case(tmp_path: Path) -> None:
    """The case, what it expected, the first log line and the request; nothing after it is tried."""
    project(tmp_path, SMOKE.replace("TEXT", "goodbye") + "secrets: {USED: {}, NEW: {}}\n")
    found = phases(tmp_path)
    assert found["secret"].evidence == "USED: digest equal; NEW: missing, set, digest equal"  # the old code reads USED
    last = list(found.values())[-2]
    assert (last.name, last.ok) == ("deploy", False)
    for part in (
        "restored: case greets-anew: text",
        "goodbye",
        "first log line: the cause",
        "request: POST /functions/v1/anew",
    ):
        assert part in last.evidence
    assert "stack" not in last.evidence
