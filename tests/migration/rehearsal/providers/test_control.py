from __future__ import annotations

from typing import Any

import pytest

from migration.base.errors import Refused


def test_programs_change_while_the_sandbox_runs(ask: Any) -> None:
    """A posted program takes effect at once, the others go on, DELETE goes back to config.yaml."""
    asked = ask()
    posted = asked.client.post("/_sandbox/providers", json={"openrouter": {"error_rate": {"503": 1}}})
    assert posted.status_code == 200
    assert asked.complete().status_code == 503
    assert asked.gemini("gemini-3.6-flash", "Hi").status_code == 200
    counted = asked.client.get("/_sandbox/providers").json()
    assert counted["openrouter"] == {"requests": 1, "outcomes": {"503": 1}}
    asked.client.delete("/_sandbox/providers")
    assert asked.complete().status_code == 200


def test_a_bad_program_changes_nothing(ask: Any) -> None:
    asked = ask()
    programs: tuple[Any, ...] = (
        {"openrouter": {"error_rate": {"soon": 1}}},
        {"mistral": {}},
        {"openrouter": {"key": {"limits": 1}}},
        [],
    )
    for bad in programs:
        answer = asked.client.post("/_sandbox/providers", json=bad)
        assert (answer.status_code, "not a fault program" in answer.text) == (400, True)
    assert asked.complete().status_code == 200


def test_a_bad_program_in_the_config_is_refused_in_a_sentence(ask: Any) -> None:
    with pytest.raises(Refused, match=r"rehearsal\.providers: unknown outcome 'soon'"):
        ask({"openrouter": {"error_rate": {"soon": 1}}})
