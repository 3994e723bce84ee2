"""The kill matrix: a process killed before and after every durable step, and what the next command makes of it."""

from __future__ import annotations

import shutil
import signal
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from migration.base import failpoint
from migration.base.errors import CutoverError
from migration.clients.supabase_types import Upload
from migration.context import Context
from migration.deploy import deploy
from migration.deploy.staging import Pace
from migration.inspect import status
from migration.inspect.status import StatusResult
from migration.rehearsal.server import Running
from migration.rollback import rollback
from tests.support import crash, repos, scene
from tests.support.cells import warm
from tests.support.scene import Scene, index, text

CALM = Pace(wait=0.02, longest=0.1)
GATE = {"delay": "0s", "within": "20s"}
Live = Mapping[str, str]


def _both(version: object) -> dict[str, str]:
    return {"alpha": text(str(version)), "beta": text(str(version))}


@dataclass(frozen=True)
class Act:
    """A verb that is killed on its way. `old` and `new`: what is live before it and once it is carried through.

    `points`: beginnings of the failpoints' names that matter (all, when empty): the others are another act's.
    `foreign`: what was live before is in no commit, so that git cannot agree with it (exit 5).
    `between`: other texts that may be live on the way, because this platform has no way round them.
    """

    name: str
    verb: str
    prepare: Callable[[Scene], None]
    old: Live
    new: Live
    options: Mapping[str, Any] = field(default_factory=dict)
    points: Sequence[str] = ()
    functions: tuple[str, ...] = scene.FUNCTIONS
    fresh: bool = False
    between: bool = False
    whole: bool = False
    cut_off: bool = False
    foreign: bool = False

    def machines(self, point: str, way: str) -> tuple[str, ...]:
        """From which clones the next command is typed: both, or in turns."""
        if self.cut_off:
            return ("here",)  # what could not be pushed waits on this machine alone
        both = ("here", "elsewhere")
        return both if self.whole else (both[zlib.crc32(f"{point}{way}".encode()) % 2],)


def _deploy(stage: Scene, **more: Any) -> Any:
    return deploy.run(stage.context(), deploy.DeployOptions(**{"yes": True, "gate": False, "pace": CALM, **more}))


def _second(stage: Scene) -> None:
    stage.change(2)


def _twice(stage: Scene) -> None:
    stage.change(2)
    _deploy(stage)


def _one(stage: Scene) -> None:
    stage.change(2, "alpha")


def _one_twice(stage: Scene) -> None:
    _one(stage)
    _deploy(stage)


def _first_of_three(stage: Scene) -> None:
    _deploy(stage, only=["alpha"])


def _created(stage: Scene) -> None:
    _first_of_three(stage)
    _deploy(stage)


def _broken(stage: Scene) -> None:
    stage.commit({index("alpha"): 'throw new Error("no start");', index("beta"): text(2)})


def _restored(stage: Scene) -> None:
    _broken(stage)
    assert _deploy(stage, gate=True).deployment.outcome == "restored"


def _drifted(stage: Scene) -> None:
    about = {"entrypoint_path": index("alpha"), "import_map_path": "", "static_patterns": [], "name": "alpha"}
    stage.context().supabase.deploy(Upload("alpha", about, [(index("alpha"), text("theirs").encode())]))
    stage.change(2)


def _stranded(stage: Scene) -> None:
    """An upload of version 2 waits on the platform, and no answer to it was ever kept; version 3 is to go live."""
    stage.change(2)
    assert crash.run(stage, "journal.answered") == -9
    stage.change(3)


def _half_staged(stage: Scene) -> None:
    stage.change(2)
    assert crash.run(stage, "record.staged.after") == -9


def _half_live(stage: Scene) -> None:
    stage.change(2)
    assert crash.run(stage, "activate.sent") == -9


def _lifted(stage: Scene) -> None:
    _twice(stage)
    rollback.run(stage.context(), rollback.RollbackOptions(pace=CALM))
    repos.git(stage.app, "pull", "--quiet", "--ff-only")
    repos.git(stage.app, "revert", "--no-edit", "HEAD")
    repos.git(stage.app, "push", "--quiet", "origin", "main")


_THREE = ("alpha", "beta", "gamma")
_ALPHA, _ALL = {"alpha": text(1)}, {slug: text(1) for slug in _THREE}
_MIXED = {"alpha": text(2), "beta": text(1)}
ACTS = [
    Act("deploy two", "deploy", _second, _both(1), _both(2), whole=True),
    Act("deploy one", "deploy", _one, _both(1), _MIXED, whole=True),
    Act("create two", "deploy", _first_of_three, _ALPHA, _ALL, functions=_THREE, fresh=True, whole=True),
    Act("deploy again after a kill", "deploy", _half_staged, _both(1), _both(2)),
    Act("deploy with a gate that passes", "deploy", _second, _both(1), _both(2), {"gate": True}, ["gate", "record.o"]),
    Act("deploy with a gate that fails", "deploy", _broken, _both(1), _both(1), {"gate": True}, ["gate"], between=True),
    Act("deploy over drift", "deploy", _drifted, {"alpha": text("theirs"), "beta": text(1)}, _both(2), {"yes": False},
        ["snapshot", "record.i", "activate.sent"], foreign=True),
    Act("deploy over what was stranded", "deploy", _stranded, _both(1), _both(3), between=True),
    Act("deploy what was held", "deploy", _lifted, _both(1), _both(2), {"lift_hold": "it is good now"},
        ["record.l", "record.i"]),
    Act("roll back two", "rollback", _twice, _both(2), _both(1), whole=True),
    Act("roll back one", "rollback", _one_twice, _MIXED, _both(1)),
    Act("roll back creations", "rollback", _created, _ALL, _ALPHA, functions=_THREE, fresh=True,
        between=True),
    Act("roll back what was killed when staged", "rollback", _half_staged, _both(1), _both(1), between=True),
    Act("roll back what was killed when live", "rollback", _half_live, _both(2), _both(1), between=True),
    Act("roll back in git alone", "rollback", _restored, _both(1), _both(1), between=True),
    Act("roll back without the git host", "rollback", _twice, _both(2), _both(1), {"without_lock": "it is down"},
        cut_off=True),
]  # fmt: skip


def make(act: Act, folder: Path, caches: Path, running: Running) -> Scene:
    """The scene just before the act."""
    running.reset()
    folder.mkdir()
    warm(folder, caches, "root", "second")
    made = scene.make if act.fresh else scene.deployed
    stage = made(folder, running, act.functions, gate=GATE)
    act.prepare(stage)
    return stage


def visits(act: Act, stage: Scene, every: bool = False) -> list[str]:
    """The failpoints that the act comes by and is about (`every`: all), as `name:n`: found by carrying it through."""
    seen: list[str] = []

    def note(_: str, name: str) -> None:
        seen.append(f"{name}:{sum(one.split(':')[0] == name for one in seen) + 1}")

    with pytest.MonkeyPatch.context() as patch, _Offline(act, stage):
        patch.setattr(failpoint, "_act", note)
        patch.setenv("CUTOVER_FAILPOINT", "*")
        crash.carried(stage.context(), act.verb, dict(act.options))
    return [one for one in seen if every or not act.points or one.startswith(tuple(act.points))]


class _Offline:
    """The git host is away for as long as it lasts, where the act wants that."""

    def __init__(self, act: Act, stage: Scene) -> None:
        self.here, self.away = stage.folder / "remote.git", stage.folder / "away.git"
        self.wanted = act.cut_off

    def __enter__(self) -> None:
        if self.wanted:
            self.here.rename(self.away)

    def __exit__(self, *_: object) -> None:
        if self.wanted:
            self.away.rename(self.here)


def survive(act: Act, point: str, machine: str, way: str, folder: Path, caches: Path, running: Running) -> str:
    """Kills the act at the point and types the next command; says what `status` called it meanwhile."""
    stage = make(act, folder, caches, running)
    known = _ended(stage)
    with _Offline(act, stage):
        code = crash.run(stage, point, verb=act.verb, **act.options)
    assert code == -9, f"it was never there (exit {code})"
    app = stage.app if machine == "here" else repos.clone(folder / "remote.git", folder / "clone")

    def context() -> Context:
        return stage.context(app, root="root" if machine == "here" else "second")

    told = _told(act, stage, context())
    began = _begun(known, context())
    _mended(act, stage, context, told, way, began)
    assert context().ledger.history().interrupted is None
    holder = context().lock.holder()
    assert holder is None or (holder.stale and act.verb == "deploy"), (
        "only a command with nothing to do leaves it lying"
    )
    assert status.run(context()).exit_code == 0
    shutil.rmtree(folder)
    return str((told.interrupted or {}).get("verdict") or ("ended" if began else "not begun"))


def interrupt(act: Act, point: str, number: signal.Signals, folder: Path, caches: Path, running: Running) -> str:
    """Stops the act by a signal while it waits at the point, in whatever thread; then the next command ends it."""
    stage = make(act, folder, caches, running)
    known = _ended(stage)
    code, seconds = crash.stop(stage, point, number, verb=act.verb, **act.options)
    assert seconds < 15.0, f"{seconds:.0f} s, far more than the promised 5, for machines that are busy"
    assert stage.context().lock.holder() is None
    told = _told(act, stage, stage.context())
    assert code == (5 if told.interrupted else 130) or "not reverted yet" in told.message, f"exit {code}, {told}"
    assert code == 5 or _live(stage) == act.old
    _mended(act, stage, stage.context, told, act.verb, _begun(known, stage.context()))
    assert status.run(stage.context()).exit_code == 0
    shutil.rmtree(folder)
    return str((told.interrupted or {}).get("verdict") or "ended")


def cut(act: Act, point: str, what: str, folder: Path, caches: Path, running: Running) -> str:
    """Takes something away at the point, the platform, the git host, both, or room on the disk; then all is back."""
    stage = make(act, folder, caches, running)
    known = _ended(stage)
    code = crash.run(stage, f"{point}={what}", verb=act.verb, **act.options)
    away = folder / "away.git"
    if away.exists():
        away.rename(folder / "remote.git")
    live = _live(stage)
    told = _told(act, stage, stage.context())
    if told.interrupted:
        assert code == 5, f"exit {code}, and status says: {told.message}"
    assert code in (0, 1, 3, 4, 5) or (code == 2 and what == "full"), f"exit {code}"
    assert code not in (2, 3) or live == act.old, f"exit {code} with {live} live"
    assert code not in (0, 4) or live == act.new, f"exit {code} with {live} live"
    _mended(act, stage, stage.context, told, act.verb, _begun(known, stage.context()))
    assert status.run(stage.context()).exit_code == 0
    shutil.rmtree(folder)
    return f"exit {code}"


def _ended(stage: Scene) -> set[str]:
    """The deployments that had come to an end before the act."""
    return {one.id for one in stage.context().ledger.history().deployments if not one.interrupted}


def _begun(known: set[str], context: Context) -> bool:
    """Whether anything of the act is on record."""
    newest = context.ledger.history().newest
    assert newest is not None
    return newest.id not in known


def _told(act: Act, stage: Scene, context: Context) -> StatusResult:
    """`status` only reads, exits 5 while something is half done, and what it says of the live code is so."""
    requests = len(stage.running.history())
    told = status.run(context)
    assert {entry["method"] for entry in stage.running.history()[requests:]} <= {"GET"}
    live = _live(stage)
    interrupted = context.ledger.history().interrupted
    assert told.exit_code == (5 if interrupted else 0), told.message
    assert not interrupted or told.next, told.message
    if not act.between:
        assert live in (act.old, act.new), f"half is live: {live}"
        _true(act, told.message, live)
    return told


_OLD = ("nothing of it went live", "uploaded and not live", "nothing was restored yet")
_NEW = ("its code is live and was not proven", "the code from before is live again", "restored what was live before")


def _true(act: Act, message: str, live: Live) -> None:
    if any(words in message for words in _OLD):
        assert live == act.old, message
    if any(words in message for words in _NEW):
        assert live == act.new, message


def _mended(act: Act, stage: Scene, context: Callable[[], Context], told: StatusResult, way: str, began: bool) -> None:
    """Types what was asked for; where `status` did not name that, it must refuse and change nothing."""
    if way == "rollback" and act.verb == "deploy" and not began:
        assert _live(stage) == act.old or act.between
        way = "deploy"  # there is nothing of it to take back
    named = [text.split()[1] for text in map(str, told.next) if text.startswith("inv ")]
    if told.interrupted and way not in named:
        before = _live(stage)
        code = _type(act, context, way)
        moved = told.interrupted["verdict"] != "abandoned"  # else there may simply be nothing to deploy
        assert code in ((2, 5) if moved else (0, 2, 5)), f"{way} exits {code}, and status named {named}"
        assert _live(stage) == before
        way = named[0]
    code = _type(act, context, way)
    if act.verb == "rollback" and way == "deploy":
        # Nothing was half done: either all of it was undone already, and is held, or nothing was begun.
        assert code in (0, 2), f"deploy exits {code}"
        way, code = "rollback", _type(act, context, "rollback")
    failing = act.old == act.new and act.verb == "deploy"
    unlike = act.foreign and way == "rollback" and code == 5
    assert code == 0 or unlike or (failing and code in (1, 2)), f"{way} exits {code}: {_said[-1:]}"
    wanted = act.new if way == "deploy" or act.verb == "rollback" else act.old
    assert _live(stage) == wanted, f"{way} left {_live(stage)}"


_said: list[str] = []


def _type(act: Act, context: Callable[[], Context], way: str) -> int:
    options = dict(act.options) if way == act.verb == "deploy" else {}
    try:
        result = crash.carried(context(), way, {**options, "pace": CALM})
    except CutoverError as error:
        _said.append(f"{error.message} {error.hint}")
        return error.exit_code
    _said.append(f"{result.message} {result.next}")
    return int(result.exit_code)


def _live(stage: Scene) -> dict[str, str]:
    platform = stage.context().supabase
    return {
        one.slug: next(
            data.decode()
            for path, data in platform.body(one.slug).files.items()
            if path.endswith(f"{one.slug}/index.ts")
        )
        for one in platform.functions()
    }
