"""Random requests under random faults: whatever a caller saw, the platform kept its own rules."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from migration.rehearsal.running import Running
from tests.support.caller import Caller
from tests.support.model import Known, Model, replay

SLUGS = ("alpha", "beta", "gamma")
KINDS = ("reset", "close", "hang", "garbage", "status", "html", "cut", "empty")
OPERATIONS = ("stage", "deploy", "activate", "delete", "list", "secrets_set", "secrets_unset", "secrets_list")
FIRST = [f"GOOGLE_KEY_{number}" for number in range(1, 11)]


@dataclass
class Storm:
    """A caller that remembers the staging answers which reached it, and guesses for the rest."""

    caller: Caller
    chance: random.Random
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def step(self) -> None:
        asked: list[Callable[[], tuple[int, bytes]]] = [
            self.stage, self.stage, self.deploy, self.activate, self.activate, self.delete, self.list,
            self.set_secrets, self.unset_secrets, self.list_secrets,
        ]  # fmt: skip
        try:
            self.chance.choice(asked)()
        except (OSError, http.client.HTTPException):
            return

    def stage(self) -> tuple[int, bytes]:
        status, body = self.caller.upload(self._slug(), only=True)
        if status == 201 and body:
            self._keep(body)
        return status, body

    def deploy(self) -> tuple[int, bytes]:
        return self.caller.upload(self._slug())

    def activate(self) -> tuple[int, bytes]:
        rows = list(self.answers.values())
        if rows and self.chance.random() < 0.3:
            rows[0] = {**rows[0], "version": rows[0]["version"] + self.chance.choice((-1, 1))}
        return self.caller.ask("PUT", "/functions", json.dumps(rows).encode())

    def delete(self) -> tuple[int, bytes]:
        return self.caller.ask("DELETE", f"/functions/{self._slug()}")

    def list(self) -> tuple[int, bytes]:
        return self.caller.ask("GET", "/functions")

    def set_secrets(self) -> tuple[int, bytes]:
        return self.caller.ask("POST", "/secrets", json.dumps([{"name": self._slug(), "value": "x"}]).encode())

    def unset_secrets(self) -> tuple[int, bytes]:
        return self.caller.ask("DELETE", "/secrets", json.dumps([self._slug()]).encode())

    def list_secrets(self) -> tuple[int, bytes]:
        return self.caller.ask("GET", "/secrets")

    def _keep(self, body: bytes) -> None:
        try:
            row = json.loads(body)
        except ValueError:
            return
        self.answers[row["slug"]] = row

    def _slug(self) -> str:
        return self.chance.choice(SLUGS)


def storm(sandbox: Running, seed: int, steps: int = 20) -> Model:
    sandbox.reset()
    chance = random.Random(seed)
    weather = Storm(Caller(sandbox), chance)
    for _ in range(steps):
        if chance.random() < 0.3:
            kind, operation = chance.choice(KINDS), chance.choice(OPERATIONS)
            sandbox.fault(operation, kind, applied=chance.random() < 0.5, status=502, hold=0.01)
        weather.step()
    sandbox.heal()
    weather.list(), weather.list_secrets()
    return replay(sandbox.history(), FIRST)


@pytest.mark.parametrize("seed", range(4))
def test_no_fault_makes_the_platform_break_its_own_rules(sandbox: Running, seed: int) -> None:
    storm(sandbox, seed)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_no_fault_makes_the_platform_break_its_own_rules_in_200_storms(sandbox: Running) -> None:
    stranded = sum(bool(storm(sandbox, seed).stranded()) for seed in range(200))
    assert stranded, "a storm that strands nothing proves little"


def entry(operation: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "operation": operation,
        "number": number,
        "order": number,
        "slug": "a",
        "effect": None,
        "answer": None,
        **more,
    }


@pytest.mark.parametrize(
    "history",
    [
        [entry("stage", 1, effect={"staged": {"a": 2}})],
        [entry("stage", 1, effect={"staged": {"a": 1}}), entry("stage", 2, effect={"staged": {"a": 1}})],
        [entry("deploy", 1, effect={"deployed": {"a": 1}}), entry("activate", 2, effect={"activated": {"a": 3}})],
        [entry("deploy", 1, effect={"deployed": {"a": 1}}), entry("list", 2, answer=[])],
        [entry("stage", 1, effect={"staged": {"a": 1}}), entry("list", 2, answer=[{"slug": "a", "version": 1}])],
        [entry("deploy", 1, answer={"message": "deployment already exists"})],
        [entry("deploy", 1, answer={})],
        [entry("delete", 1, effect={"deleted": "a"})],
        [entry("secrets_list", 1, answer=[{"name": "X"}])],
    ],
    ids=["skips", "restages", "jumps", "hides", "leaks", "lies", "silent", "nothing", "secret"],
)
def test_the_model_sees_each_kind_of_broken_rule(history: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError):
        replay(history)


def test_the_model_takes_effects_in_their_order_not_in_that_of_the_requests() -> None:
    later = entry("activate", 1, effect={"activated": {"a": 1}}) | {"order": 2}
    sooner = entry("stage", 2, effect={"staged": {"a": 1}}) | {"order": 1}
    assert replay([later, sooner]).functions == {"a": Known(live=1)}
