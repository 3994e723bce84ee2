"""A rate limit delays a deploy; it never makes half a release of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Interrupted
from migration.base.retry import Retry
from migration.deploy import deploy, plan
from migration.deploy.budget import UPLOADS, RequestBudget
from migration.deploy.deploy import DeployOptions
from migration.deploy.staging import Pace
from migration.rehearsal.running import Running, start
from tests.support import scene
from tests.support.collector import Collector
from tests.support.scene import Scene, text

pytestmark = pytest.mark.slow

WINDOW = 3.0
PACE = Pace(wait=0.05, longest=0.2)
MANY = tuple(f"f{number:02}" for number in range(7))


@contextlib.contextmanager
def limited(
    tmp_path: Path, functions: tuple[str, ...], window: float = WINDOW, **limits: int
) -> Iterator[Scene]:  # fmt: skip
    """Version 1 of the functions is live, version 2 is pushed, and uploads are limited by window."""
    management = {"rate_limit": {"default": 0, **limits}, "rate_seconds": window}
    with start(tmp_path / "sandbox", settings={"management": management}) as running:
        stage = scene.deployed(tmp_path, running, functions)
        stage.change(2)
        yield stage


def _texts(stage: Scene) -> set[str]:
    platform = stage.context().supabase
    return {body.decode() for slug in stage.functions for body in platform.body(slug).files.values()}


def _operations(running: Running) -> list[str]:
    return [entry["operation"] for entry in running.history() if entry["operation"] in ("stage", "activate")]


def _staged(running: Running) -> int:
    return sum(1 for entry in running.history() if (entry["operation"], entry["status"]) == ("stage", 201))


def test_more_than_one_window(tmp_path: Path) -> None:
    """Seven functions at five uploads a window: all go live with one activation, and nothing goes live before."""
    with limited(tmp_path, MANY, stage=5) as stage:
        before = len(_operations(stage.running))
        context = stage.context()
        result = deploy.run(context, DeployOptions(yes=True, gate=False, pace=PACE))
        assert (result.deployment.outcome, result.exit_code) == ("ungated", 0), result.message
        assert _texts(stage) == {text(2)}
        assert _operations(stage.running)[before:].count("activate") == 1
        assert isinstance(context.observer, Collector)
        shown = [" ".join(event) for event in context.observer.events]
        assert any("rate-limited" in one and "until" in one for one in shown), shown


def test_the_restore_has_its_window(tmp_path: Path) -> None:
    """Before the activation a window for the restore is awaited, so that a restore begins at once."""
    with limited(tmp_path, ("alpha", "beta", "gamma"), stage=3) as stage:
        context = stage.context()
        result = deploy.run(context, DeployOptions(yes=True, gate=False, pace=PACE))
        assert result.exit_code == 0, result.message
        shown = [" ".join(event) for event in context.observer.events]  # type: ignore[attr-defined]
        assert any("everything is staged; the previous code is still live" in one for one in shown), shown


def test_a_kill_while_waiting(tmp_path: Path) -> None:
    """A window that cannot hold staging and restore is waited for before the intent: a kill leaves nothing."""
    with limited(tmp_path, ("alpha", "beta"), window=600, stage=10) as stage:
        context = stage.context()
        budget = RequestBudget(context)
        while not budget.lacking(4):  # until staging would fit, and its restore would not
            context.supabase.upload_limit()
        assert budget.limit == 10 and budget.lacking(2) == 0
        records, staged = len(context.ledger.records()), _staged(stage.running)
        seen: list[str] = []

        class Killer(Collector):
            def step(self, name: str, subject: str = "", detail: str = "") -> None:  # noqa: ARG002
                if name == "rate limit":
                    seen.append(detail)
                    raise Interrupted("SIGTERM")

        context.observer = Killer()
        with pytest.raises(Interrupted):
            deploy.run(context, DeployOptions(yes=True, gate=False, pace=PACE))
        assert "nothing is staged yet" in seen[0]
        assert len(stage.context().ledger.records()) == records
        assert stage.context().lock.holder() is None
        assert plan.make(stage.context()).pending is None
        assert _staged(stage.running) == staged


def test_retry_after_of_503_is_obeyed(tmp_path: Path, sandbox: Running) -> None:
    """`Retry-After` wins over the minute for other failures: a bundler that is down for a while delays the deploy."""
    stage = scene.deployed(tmp_path, sandbox)
    stage.change(2)
    sandbox.fault("stage", "status", slug="beta", status=503, headers={"Retry-After": "2"})
    began = time.monotonic()
    pace = Pace(retry=0.5, wait=0.02, longest=0.1)
    result = deploy.run(stage.context(), DeployOptions(yes=True, gate=False, pace=pace))
    assert (result.exit_code, _texts(stage)) == (0, {text(2)}), result.message
    assert time.monotonic() - began >= 2.0


def test_an_unknown_limit_costs_nothing(tmp_path: Path, sandbox: Running) -> None:
    """A few functions never ask for the limit; the platform's own answers name it."""
    stage = scene.deployed(tmp_path, sandbox)
    stage.change(2)
    context = stage.context()
    deploy.run(context, DeployOptions(yes=True, gate=False, pace=PACE))
    assert [entry["status"] for entry in sandbox.history() if entry["operation"] == "stage"] == [201, 201]
    assert UPLOADS in context.management.quotas


def test_a_limited_read_is_not_a_failure(tmp_path: Path, sandbox: Running) -> None:
    """The list that shows what is live is rate-limited after the activation: the deploy waits."""
    stage = scene.deployed(tmp_path, sandbox)
    stage.change(2)
    context = stage.context()
    platform = context.supabase
    platform._retry = Retry(seconds=1.0, attempts=2)
    send = platform.activate

    def activate(functions: Sequence[Mapping[str, Any]]) -> None:
        send(functions)
        sandbox.fault("list", "status", status=429, headers={"Retry-After": "1.2"}, times=3)

    platform.activate = activate  # type: ignore[method-assign]
    result = deploy.run(context, DeployOptions(yes=True, gate=False, pace=PACE))
    assert (result.exit_code, _texts(stage)) == (0, {text(2)}), result.message
    assert _operations(sandbox).count("activate") == 1
