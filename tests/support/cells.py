"""The fault matrix: every way in which a call of a deploy can fail, at every call that a deploy makes."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.base.command import Do
from migration.base.errors import CutoverError
from migration.base.retry import Retry
from migration.clients.http import Answer, Http
from migration.clients.supabase import Supabase
from migration.context import Context
from migration.deploy import deploy
from migration.deploy.staging import Pace
from migration.inspect import status
from migration.rehearsal.server import Running
from migration.rollback import rollback
from tests.support import scene
from tests.support.scene import Scene, text

QUICK = Pace(upload=1.5, retry=1.0, limited=1.0, activate=1.5, wait=0.02, longest=0.1)
CALM = Pace(wait=0.02, longest=0.1)
STATUSES = [400, 401, 402, 403, 404, 409, 413, 500, 502, 503, 504]
FAULTS: dict[str, dict[str, Any]] = {
    **{str(status): {"do": "status", "status": status, "body": {"message": "no"}} for status in STATUSES},
    "429": {"do": "status", "status": 429, "body": {"message": "slow down"}},
    "429 with Retry-After": {"do": "status", "status": 429, "headers": {"Retry-After": "0.05"}},
    "429 for long": {"do": "status", "status": 429, "headers": {"Retry-After": "600"}},
    "html": {"do": "html"},
    "refused": {"do": "down", "down_seconds": 0.3},
    "reset before the body": {"do": "reset"},
    "reset after the body": {"do": "reset", "after_body": True},
    "applied, answer lost": {"do": "reset", "applied": True},
    "applied, 502": {"do": "status", "status": 502, "applied": True},
    "hang": {"do": "hang", "hold": 1.6},
    "applied, hang": {"do": "hang", "hold": 1.6, "applied": True},
    "trickle": {"do": "trickle", "bytes": 1, "ms": 50},
    "cut": {"do": "cut", "share": 0.5},
    "garbage": {"do": "garbage"},
    "empty": {"do": "empty"},
}
_SILENT = r"did not answer|cannot reach|not JSON|cannot be read|unexpected|did not carry it out"
CAUSES = {name: fault.get("status", _SILENT) for name, fault in FAULTS.items()} | {"409": "409|waits on the platform"}

# Where a fault can strike, and which of the calls there. `again`: the repetition, after a first answer of 502.
# `read back` is the list once the activation was sent; `ending` the list after that had shown all as live.
WHERE: dict[str, Sequence[str]] = {
    "list": ("once", "second", "always"),
    "body": ("once", "second", "always"),
    "get": ("once", "second", "always"),
    "stage": ("once", "second", "again", "always"),
    "activate": ("once", "again", "always"),
    "deploy": ("once", "again", "always"),
    "read back": ("once", "always"),
    "ending": ("once", "always"),
    "logs": ("once", "always"),
}
_TIMES: dict[str, dict[str, Any]] = {"once": {}, "second": {"nth": 2}, "again": {"nth": 2}, "always": {"times": 0}}


@dataclass(frozen=True)
class Cell:
    """One fault at one place; `way`: what mends it afterwards, deploy or rollback."""

    where: str
    fault: str
    when: str

    def __str__(self) -> str:
        return f"{self.where}, {self.fault}, {self.when}"

    @property
    def way(self) -> str:
        return ("deploy", "rollback")[zlib.crc32(str(self).encode()) % 2]


def cells(where: str, when: str) -> list[Cell]:
    """A server that refuses every connection for ever cannot be told to stop it, so that one is left out."""
    return [Cell(where, name, when) for name in FAULTS if not (name == "refused" and when == "always")]


class Hasty(Http):
    """No call waits for long."""

    def request(self, *args: Any, deadline: float | None = None, **more: Any) -> Answer:
        return super().request(*args, deadline=min(deadline or 1.2, 1.2), **more)


class Trapped(Supabase):
    """Arms a fault of the list when the activation has been sent, or has been read back."""

    def __init__(self, running: Running, cell: Cell) -> None:
        headers = {"Authorization": f"Bearer {running.access_token}", "Accept": "application/json"}
        retry = Retry(attempts=3, seconds=3.0, first=0.02, longest=0.3)
        super().__init__(Hasty(running.api_url, headers, name="the Management API"), running.project_ref, retry)
        self.running, self.cell = running, cell
        self.waits = {"read back": 0, "ending": 1}.get(cell.where, -1)

    def activate(self, functions: Any) -> None:
        super().activate(functions)
        if self.waits == 0:
            self._spring()

    def functions(self) -> Any:
        found = super().functions()
        if self.waits == 1 and self.running.history(operation="activate"):
            self._spring()
        return found

    def _spring(self) -> None:
        self.waits = -1
        arm(self.running, "list", self.cell)


def arm(running: Running, operation: str, cell: Cell) -> None:
    if cell.when == "again":
        running.fault(operation, "status", status=502)
    running.fault(operation, **FAULTS[cell.fault], **_TIMES[cell.when])


def warm(folder: Path, caches: Path, *roots: str) -> None:
    """Deno's caches are shared by all scenes; everything else that a machine knows is each scene's own."""
    for root in roots:
        state = folder / root / ".cutover"
        state.mkdir(parents=True, exist_ok=True)
        for name in ("deno", "graphs", "maps"):
            (caches / name).mkdir(parents=True, exist_ok=True)
            (state / name).symlink_to(caches / name)


def survive(folder: Path, caches: Path, running: Running, cell: Cell) -> str:
    """Deploys through the fault and mends what it left; says how the deploy ended. AssertionError where it lied."""
    for number in range(3):
        with contextlib.suppress(Unmet):
            return _survive(folder / str(number), caches, running, cell)
    raise Unmet(f"{cell} was never met")


def _survive(folder: Path, caches: Path, running: Running, cell: Cell) -> str:
    running.reset()
    folder.mkdir(parents=True)
    warm(folder, caches, "root")
    stage = scene.deployed(folder, running, gate={"delay": "0s", "within": "20s"})
    single = cell.where == "deploy"
    stage.change(2, *(("alpha",) if single else ()))
    old, new = [text(1), text(1)], sorted([text(2), text(1 if single else 2)])
    ended = _through(stage, cell)
    found = _texts(stage)
    assert found in (old, new), f"half is live: {found}"
    assert (found == new) == (ended.code in (0, 4)) or ended.code == 5, f"exit {ended.code} with {found} live"
    assert stage.context().lock.holder() is None
    _tells(stage, cell, ended, found == new)
    _mends(stage, cell, ended, old, new)
    shutil.rmtree(folder)
    return ended.outcome


@dataclass(frozen=True)
class Ended:
    code: int
    outcome: str
    deployment: str
    message: str
    following: str


def _through(stage: Scene, cell: Cell) -> Ended:
    running = stage.running
    gated = cell.where == "logs"
    context = stage.context(clock=scene.Hurried()) if gated else stage.context()
    context.__dict__["supabase"] = Trapped(running, cell)
    if cell.where not in ("read back", "ending"):
        arm(running, cell.where, cell)
    try:
        result = deploy.run(context, deploy.DeployOptions(yes=True, gate=gated, pace=QUICK))
        said = result.message, " ".join(map(str, result.next))
        ended = Ended(result.exit_code, result.deployment.outcome, result.deployment.id, *said)
    except CutoverError as error:
        ended = Ended(error.exit_code, "refused", "", error.message, error.hint)
    if not met(running):
        raise Unmet(f"{cell} was never met")
    running.heal()
    return ended


class Unmet(AssertionError):
    """The deploy ended before it came to the fault: on a machine that stalls, its time was over too soon."""


def met(running: Running) -> bool:
    """Whether the fault did strike: else the cell has proved nothing."""
    for _ in range(400):
        try:
            return all(fault["hits"] for fault in running.faults())
        except CutoverError:  # it is down for a moment
            time.sleep(0.05)
    raise AssertionError("the sandbox did not come back")


def _tells(stage: Scene, cell: Cell, ended: Ended, is_new: bool) -> None:
    """The message names a cause and the next command, and `status` says what is live and whether that is all."""
    if ended.code:
        assert re.search(str(CAUSES[cell.fault]), ended.message), f"no cause: {ended.message}"
        assert re.search(r"\binv \w|run the command again", ended.following + ended.message), f"no way on: {ended}"
    told = status.run(stage.context())
    assert told.exit_code == (5 if ended.code == 5 else 0), f"status exits {told.exit_code}: {told.message}"
    assert not any(row.drifted for row in told.functions) or ended.code == 5, told.message
    if ended.code == 5:
        assert ended.deployment in told.message, told.message
        assert all(str(step).startswith("inv ") for step in told.next if not isinstance(step, Do)), told.next
        assert told.next, told.message
    elif is_new:
        assert f"{ended.deployment} is live" in told.message, told.message


def _mends(stage: Scene, cell: Cell, ended: Ended, old: list[str], new: list[str]) -> None:
    context = stage.context()
    if cell.way == "rollback" and ended.code in (0, 4, 5):
        result = rollback.run(context, rollback.RollbackOptions(pace=CALM))
        assert result.exit_code == 0, f"rollback exits {result.exit_code}: {result.message} {result.notes}"
        assert _texts(stage) == old
    else:
        again = deploy.run(context, deploy.DeployOptions(yes=True, gate=False, pace=CALM))
        assert again.exit_code == 0, f"deploy exits {again.exit_code}: {again.message}"
        assert _texts(stage) == new
        assert (
            deploy.run(stage.context(), deploy.DeployOptions(yes=True, gate=False, pace=CALM)).deployment.outcome
            == "same"
        )
    assert status.run(stage.context()).exit_code == 0
    assert stage.context().ledger.history().interrupted is None
    assert stage.context().lock.holder() is None


def _texts(stage: Scene) -> list[str]:
    context: Context = stage.context()
    return sorted(body.decode() for slug in stage.functions for body in context.supabase.body(slug).files.values())
