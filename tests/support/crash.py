"""A deploy in a process of its own, which dies at a named failpoint: killed, out of disk, or stopped by a signal."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.base import failpoint as failpoints
from migration.base import interrupts
from migration.base.errors import CutoverError, Interrupted
from migration.clients.http import Http
from migration.context import Context
from migration.deploy import deploy, typecheck
from migration.deploy.staging import Pace
from migration.inspect import history, status
from migration.rollback import rollback
from migration.rollback.rollback import RollbackOptions
from migration.verify import gate
from tests.support.scene import Hurried, Scene
from tests.support.unchecked import Unchecked

QUICK = Pace(upload=10.0, retry=2.0, limited=2.0, activate=2.0, wait=0.02, longest=0.1)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__, gate.__name__])


@dataclass(frozen=True)
class Address:
    """What a context needs to know of a running sandbox, without the process."""

    url: str
    api_url: str
    project_ref: str
    access_token: str
    anon_key: str


def start(
    scene: Scene, failpoint: str, root: str = "root", verb: str = "deploy", app: Path | None = None, **options: Any
) -> Any:
    """The process, running. `failpoint` as in CUTOVER_FAILPOINT; `root` and `app`: the machine that it runs on."""
    running = scene.running
    address = Address(running.url, running.api_url, running.project_ref, running.access_token, running.anon_key)
    about = (scene.folder, address, dict(scene.settings), scene.functions, failpoint, root, verb, app, options)
    child = _SERVER.Process(target=_main, args=about)
    child.start()
    return child


def run(scene: Scene, failpoint: str, **options: Any) -> int:
    """Its exit code: -9 when the failpoint killed it."""
    child = start(scene, failpoint, **options)
    child.join(60)
    assert child.exitcode is not None
    return int(child.exitcode)


def stop(scene: Scene, failpoint: str, number: signal.Signals, **options: Any) -> tuple[int, float]:
    """Send a signal once the process sleeps at the failpoint; returns its exit code and the seconds until its end."""
    child = start(scene, f"{failpoint}=sleep", **options)
    mark = scene.folder / MARK
    end = time.monotonic() + 60
    while not mark.exists() and child.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    assert mark.exists(), "the failpoint was not reached"
    began = time.monotonic()
    os.kill(child.pid, number)
    child.join(30)
    assert child.exitcode is not None, "it did not end"
    return int(child.exitcode), time.monotonic() - began


def _main(
    folder: Path,
    address: Address,
    settings: dict[str, Any],
    functions: tuple[str, ...],
    failpoint: str,
    root: str,
    verb: str,
    app: Path | None,
    options: dict[str, Any],
) -> None:
    os.environ["CUTOVER_FAILPOINT"] = failpoint
    _places.update(act=failpoints._act, mark=folder / MARK, remote=folder / "remote.git")
    failpoints._act = _act
    interrupts.install()
    typecheck.TypeCheck = Unchecked  # type: ignore[misc,assignment]
    scene = Scene(folder, address, settings, functions)  # type: ignore[arg-type]
    try:
        clock = Hurried() if "=cut" in failpoint else None
        sys.exit(carried(scene.context(app, root, clock), verb, options).exit_code)
    except CutoverError as error:
        sys.exit(error.exit_code)
    except Interrupted:
        sys.exit(interrupts.left().exit_code)
    except OSError:
        sys.exit(interrupts.left().exit_code if interrupts.left().exit_code == 5 else 2)


@dataclass(frozen=True)
class Ended:
    exit_code: int


MARK = "asleep"
_places: dict[str, Any] = {}


def _act(action: str, name: str) -> None:
    """As the real one, and what lasts from here on. `full`: the kernel lets this process, and its git, write no file
    any more. `cut-api`, `cut-git`, `cut-both`: neither the platform nor the git host can be reached."""
    if action == "sleep":
        _places["mark"].touch()
    if action in ("cut-api", "cut-both"):
        Http._send = _unreachable  # type: ignore[method-assign,assignment]
    if action in ("cut-git", "cut-both"):
        _places["remote"].rename(_places["remote"].with_name("away.git"))
    if action == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    elif not action.startswith("cut"):
        _places["act"](action, name)


async def _unreachable(http: Http, _deadline: float, method: str, url: str, **_: Any) -> Any:
    raise http._broken(False, method, url, "Network is unreachable")


def carried(context: Context, verb: str, options: dict[str, Any]) -> Any:
    """The verb, in this very process; `lock` takes the lock and gives it back, `flush` pushes what waits."""
    if verb == "lock":
        with context.lock.held("a test"):
            return Ended(0)
    if verb == "status":
        return status.run(context)
    if verb == "note":
        history.run(context, note="a note")
        return Ended(0)
    if verb == "flush":
        context.ledger.flush()
        return Ended(0)
    if verb == "rollback":
        return rollback.run(context, RollbackOptions(**{"pace": QUICK, **options}))
    return deploy.run(context, deploy.DeployOptions(**{"yes": True, "gate": False, "pace": QUICK, **options}))
