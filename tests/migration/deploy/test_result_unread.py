"""Where the platform could not be read, nothing is said of what is live now."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest

from migration.base.command import Do
from migration.base.errors import ServiceFailed
from migration.cli.sink import one_line
from migration.clients.supabase_types import Function
from migration.deploy import deploy
from migration.deploy.result import DeployResult
from migration.deploy.staging import Pace
from migration.inspect import status
from tests.support import drawn
from tests.support.collector import Collector
from tests.support.scene import Hurried, Scene

pytestmark = pytest.mark.slow

BRIEF = Pace(upload=10.0, retry=0.5, limited=0.5, activate=0.5, wait=0.02, longest=0.1)


def _deploy(stage: Scene, **more: Any) -> DeployResult:
    return deploy.run(
        stage.context(clock=Hurried()), deploy.DeployOptions(**{"yes": True, "gate": False, "pace": BRIEF, **more})
    )


def _unknown(result: DeployResult) -> None:
    """`after` is null for every function, and a person reads a question mark."""
    rows = json.loads(one_line(result))["deployment"]["functions"]
    assert [(row["slug"], row["before"]["version"], row["after"]) for row in rows] == [
        ("alpha", 1, None), ("beta", 1, None)]  # fmt: skip
    assert drawn.drawn("deploy", result).count("?") == 2


@pytest.mark.parametrize("nth", [3, 4])
def test_what_nobody_could_see_is_not_called_live(nth: int, stage: Scene) -> None:
    """The activation arrives, and from then on (or from one look later on) no list of functions does."""
    stage.running.fault("list", "status", status=503, nth=nth, times=0)
    result = _deploy(stage)
    assert (result.exit_code, result.deployment.outcome) == (5, "unfinished"), result.message
    _unknown(result)
    sentences = [one for one in result.message.split(". ") if one]
    assert len(sentences) == len(set(sentences)), result.message


def test_a_platform_that_goes_down_with_the_activation_is_named_once(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from migration.clients.supabase import Supabase

    def gone(*_: object) -> Any:
        raise ServiceFailed("the Management API cannot be reached", Do("run the command again"))

    activate = Supabase.activate

    def last(*about: Any) -> None:
        activate(*about)
        monkeypatch.setattr(Supabase, "functions", gone)
        gone()

    monkeypatch.setattr(Supabase, "activate", last)
    result = _deploy(stage)
    assert result.message.count("cannot be reached") == 1
    _unknown(result)
    monkeypatch.undo()
    assert status.run(stage.context(clock=Hurried())).exit_code == 5


def test_status_shows_the_ledger_meanwhile(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the platform does not answer, what the ledger knows is on the screen, with its time."""
    assert _deploy(stage).exit_code == 0
    monkeypatch.setattr(status, "SILENT", 0.1)
    context = stage.context()
    answer, noted = context.supabase.functions, threading.Event()
    noting = context.observer.note

    def note(text: str) -> None:
        noting(text)
        if "The ledger:" in text:
            noted.set()

    def late() -> list[Function]:
        assert noted.wait(60)
        return answer()

    monkeypatch.setattr(context.observer, "note", note)
    monkeypatch.setattr(context.supabase, "functions", late)
    status.run(context)
    assert isinstance(context.observer, Collector)
    *_, shown = [text for kind, _, _, text in context.observer.events if kind == "note"]
    assert re.search(r"The platform has .* The ledger: \S+ is live .*as of \d{4}-\d\d-\d\d \d\d:\d\dZ", shown), shown


def test_status_tells_what_the_ledger_knows_while_the_platform_cannot_be_asked(stage: Scene) -> None:
    stage.running.fault("list", "status", status=503, nth=4, times=0)
    name = _deploy(stage).deployment.id
    with pytest.raises(ServiceFailed, match=f"503.* The ledger: deploy {name} by .* has no outcome") as caught:
        status.run(stage.context(clock=Hurried()))
    assert caught.value.exit_code == 3 and caught.value.hint
    stage.running.heal()
    assert _deploy(stage).exit_code == 0
    stage.running.fault("list", "status", status=503, times=0)
    with pytest.raises(ServiceFailed, match=f"The ledger: {name} is live"):
        status.run(stage.context(clock=Hurried()))
