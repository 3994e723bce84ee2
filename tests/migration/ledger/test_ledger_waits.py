"""Every question to every part that may not answer, in a table: it ends within its bound, and says what it waited for.

The bounds are made small here, as `test_ledger_silent.py` does; what a person waits for is in the constants.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.base.clock import Clock
from migration.base.errors import CutoverError
from migration.base.secrets_type import Secret
from migration.clients.http import Answer, Http
from migration.context import Context
from migration.deploy import deploy, plan
from migration.inspect import doctor, history, status
from migration.logs import logs
from migration.rehearsal.server import Running
from migration.rollback import rollback
from migration.rollback.rollback import RollbackOptions
from migration.setup import secret
from migration.verify import checks_run, smoke
from tests.support import crash, git_http, repos, scene
from tests.support.scene import Hurried, Scene

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
BOUND = 45.0  # seconds of real time, on a busy machine; the bounds below add up to less than half of it
HOOKS = {
    "full": "echo 'error: unable to write file: No space left on device' >&2; exit 1",
    "read-only": "echo 'error: unable to create temporary object directory: Read-only file system' >&2; exit 1",
    "refuses": "echo 'not today' >&2; exit 1",
    "hook hangs": "exec sleep 120",
}
REMOTES = (*HOOKS, "lock files", "silent", "trickle")
READING = ("status", "history", "plan")
CHANGING = ("deploy", "rollback", "without lock")


@dataclass(frozen=True)
class Ended:
    """How a verb ended: its exit code, everything it says, and the seconds it took."""

    code: int
    text: str
    seconds: float


VERBS: dict[str, Callable[[Context], Any]] = {
    "status": status.run,
    "history": history.run,
    "plan": plan.make,
    "deploy": lambda context: deploy.run(context, deploy.DeployOptions(yes=True, gate=False, pace=crash.QUICK)),
    "rollback": lambda context: rollback.run(context, RollbackOptions(pace=crash.QUICK)),
    "without lock": lambda context: rollback.run(context, RollbackOptions(pace=crash.QUICK, without_lock="it is away")),
    "smoke": lambda context: smoke.run(context, lines=False),
    "checks": checks_run.run,
    "secret": secret.verify,
    "doctor": doctor.run,
    "logs": lambda context: list(logs.history(context, logs.LogQuery(context.clock.now() - HOUR))),
}


def ended(context: Context, verb: str) -> Ended:
    began = time.monotonic()
    try:
        result = VERBS[verb](context)
        code, text = int(getattr(result, "exit_code", 0)), repr(result)
    except CutoverError as error:
        code, text = error.exit_code, f"{error.message} {error.hint}"
    said = " ".join(event[3] for event in context.observer.events)  # type: ignore[attr-defined]
    return Ended(code, f"{text} {said}", time.monotonic() - began)


@pytest.fixture
def stage(tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Version 2 is live and version 3 on the branch; every bound is short."""
    for name, seconds in {"git.repository.NETWORK": 2.0, "git.repository.SILENT": 0.5, "ledger.lock.PATIENCE": 3.0,
                          "ledger.ledger.PATIENCE": 3.0, "ledger.ledger.READING": 1.0, "ledger.ledger.SLOW": 1.5,
                          "rollback.rollback.BRIEF": 1.0}.items():  # fmt: skip
        monkeypatch.setattr(f"migration.{name}", seconds)
    case = {
        "name": "alpha",
        "function": "alpha",
        "auth": "none",
        "method": "GET",
        "timeout": 1,
        "expect": {"status": 200},
    }
    found = scene.deployed(tmp_path, sandbox, ("alpha",), smoke=[case], secrets={"API_KEY": {}},
                           criteria={"window": "1h", "no_errors_in_logs": {}})  # fmt: skip
    found.context().supabase.set_secrets({"API_KEY": Secret("any value of it")})
    found.change(2)
    deploy.run(found.context(), deploy.DeployOptions(yes=True, gate=False, pace=crash.QUICK))
    found.change(3)
    return found


@pytest.fixture
def trouble(stage: Scene) -> Iterator[Callable[[str], None]]:
    """Puts the git remote into a state."""
    remote = stage.folder / "remote.git"
    repos.git(remote, "config", "http.receivepack", "true")
    with git_http.serve(stage.folder) as (address, faults):

        def arm(kind: str) -> None:
            if kind in HOOKS:
                hook = remote / "hooks/pre-receive"
                hook.parent.mkdir(exist_ok=True)
                hook.write_text(f"#!/bin/sh\n{HOOKS[kind]}\n")
                hook.chmod(0o755)
            elif kind == "lock files":
                for name in ("lock", "ledger"):
                    path = remote / f"refs/cutover/{name}/prod.lock"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
            else:
                repos.git(stage.app, "remote", "set-url", "origin", f"{address}/remote.git")
                faults.silent, faults.trickle = ("all", 0.0) if kind == "silent" else ("", 60.0)

        yield arm


def later(*cell: str) -> Any:
    """A cell of the long run: the ordinary one has its like."""
    return pytest.param(*cell, marks=pytest.mark.long)


QUICK_REMOTES = {("lock files", "deploy"), ("silent", "status"), ("full", "rollback")}


@pytest.mark.parametrize(
    ("kind", "verb"),
    [(kind, verb) if (kind, verb) in QUICK_REMOTES else later(kind, verb)
     for kind in REMOTES for verb in (*READING, *CHANGING)],
)  # fmt: skip
def test_any_git_remote(stage: Scene, trouble: Callable[[str], None], kind: str, verb: str) -> None:
    """Reading verbs show what this clone knows, with its age; changing ones name the remote and the cause, leave the
    live code alone or restore it, and a rollback names the way without the lock."""
    trouble(kind)
    found = ended(stage.context(), verb)
    assert found.seconds < BOUND, found
    away = kind in ("silent", "trickle")
    if verb in READING:
        assert found.code == 0, found
        assert not away or ("ago" in found.text and "origin" in found.text), found
        return
    live = stage.context().supabase.functions()[0].version
    if verb == "without lock":
        assert found.code == 5 and live > 2, found
        return
    assert found.code in (2, 3) and live == 2, found
    assert "origin" in found.text or "git remote" in found.text, found
    causes = {"full": "No space left", "read-only": "Read-only|temporary object", "lock files": "lock",
              "refuses": "not today|pre-receive|hook"}  # fmt: skip
    assert any(word in found.text for word in causes.get(kind, "did not answer").split("|")), found
    assert verb == "deploy" or "--without-lock" in found.text, found


SERVICES = {"Management API": ("list", ("status", "plan", "deploy", "rollback", "doctor")),
            "logs": ("logs", ("checks", "logs")), "gateway": ("edge", ("smoke",)),
            "secrets": ("secrets_list", ("plan", "secret"))}  # fmt: skip
QUICK_SERVICES = {("Management API", "status", "hang"), ("gateway", "smoke", "trickle")}


_REQUEST = Http.request


class Hasty(Http):
    """No call waits for long."""

    def request(self, *args: Any, deadline: float | None = None, **more: Any) -> Answer:
        return _REQUEST(self, *args, deadline=min(deadline or 0.8, 0.8), **more)


@pytest.mark.parametrize(
    ("service", "verb", "how"),
    [(service, verb, how) if (service, verb, how) in QUICK_SERVICES else later(service, verb, how)
     for service, (_, verbs) in SERVICES.items() for verb in verbs for how in ("hang", "trickle")],
)  # fmt: skip
def test_any_service(stage: Scene, monkeypatch: pytest.MonkeyPatch, service: str, verb: str, how: str) -> None:
    """A service that never answers, or a byte at a time: the verb ends, says what did not answer, changes nothing."""
    operation = SERVICES[service][0]
    more = {"hold": 3.0} if how == "hang" else {"bytes": 1, "ms": 600}
    stage.running.fault(operation, how, times=0, **more)
    with monkeypatch.context() as patch:
        patch.setattr(Http, "request", Hasty.request)
        clock: Clock = Hurried()
        found = ended(stage.context(clock=clock), verb)
    stage.running.heal()
    assert found.seconds < BOUND, found
    assert any(words in found.text for words in ("did not answer", "no complete answer")), found
    assert found.code in (0, 1, 3, 4), found
    assert stage.context().supabase.functions()[0].version == 2
