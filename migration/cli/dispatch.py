"""Where a verb begins and ends: signals, output, the one catch, the exit code."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

if TYPE_CHECKING:
    from migration.base.command import Step
    from migration.base.errors import CutoverError
    from migration.cli.output import Output

ROOT = Path(__file__).resolve().parents[2]
Flags = ParamSpec("Flags")
DEBUG = False  # `--debug`: the log of the run is shown as it grows
atexit.register(gc.freeze)  # a last collection in a process that ends would take a tenth of a second


def run(
    verb: Callable[Concatenate[Output, Flags], object], json: bool, *args: Flags.args, **flags: Flags.kwargs
) -> None:
    """Carry out a verb and leave by its exit code (README, "Exit codes"); nothing else is raised.

    After exit code 0 it returns, so that Invoke goes on with the next verb of the line.
    """
    from migration.base import command, interrupts, runlog
    from migration.base.errors import CutoverError, Interrupted
    from migration.cli.output import Output

    command.CURRENT.prefix, command.CURRENT.env = command.started(), str(flags.get("env", ""))
    out = Output(verb.__name__, ROOT, json=json)
    interrupts.install()
    out.begin()
    log = runlog.begin(ROOT / ".cutover" / "log", verb.__name__, echo=DEBUG)
    try:
        code = _result(out, verb(out, *args, **flags))
    except CutoverError as error:
        code = _error(out, error)
    except Interrupted as signal:
        code = _interrupted(out, signal)
    except BrokenPipeError:
        code = _closed(out)
    except OSError as error:
        code = _failed(out, error)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        code = _bug(out, error)
    if code in (1, 3, 4, 5) and log.path:
        out.aside(f"Log: {_below(log.path)}")
    runlog.record(f"exit {code}")
    runlog.end()
    out.close()
    if code:
        raise SystemExit(code)


def _below(path: Path) -> Path:
    """A path as it can be typed here: in the folder of tasks.py, or in one below it."""
    here = Path.cwd()
    near = path.is_relative_to(ROOT) and here.is_relative_to(ROOT)
    return Path(os.path.relpath(path, here)) if near else path


def _result(out: Output, result: object) -> int:
    from migration.cli.sink import OUTPUT

    if result is None or isinstance(result, int):
        return result or 0
    code = int(getattr(result, "exit_code", 0))
    try:
        out.result(result)
        out.flush()
    except OSError as error:
        if error.filename != OUTPUT and error.errno not in (errno.EPIPE, errno.EIO):
            raise
        _hush()  # the reader or the terminal is gone, or its disk is full; the exit code still says how it ended
        code = code or 141
        if error.errno not in (errno.EPIPE, errno.EIO):
            out.json = False
            _say(out, _local(error).message, (), code, {})
    return code


def _say(out: Output, message: str, steps: Sequence[Step], code: int, data: dict[str, Any]) -> int:
    """Show an error and return its exit code; a terminal that is closed takes no word and changes no code."""
    try:
        out.error(message, steps, code, data)
    except (OSError, ValueError):
        _hush()
        sys.stderr = sys.stdout
    return code


def _hush() -> None:
    """Send what is still to be written nowhere, instead of failing at the very end."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _closed(out: Output) -> int:
    """The reader left (`| head`). That decides nothing, unless something is left half done."""
    from migration.base import interrupts

    _hush()
    left = interrupts.left()
    if left.exit_code != 5:
        return 141
    out.json = False
    return _say(out, f"The output was closed. {left.message}", left.steps, left.exit_code, {})


def _failed(out: Output, error: OSError) -> int:
    """An error of this machine. Output that cannot be written, on a full disk, decides nothing either."""
    from migration.cli.sink import OUTPUT

    local = _local(error)
    if error.filename != OUTPUT:
        return _error(out, local)
    _hush()
    out.json = False
    return _say(out, local.message, local.steps, 5 if local.exit_code == 5 else 141, local.data)


def _error(out: Output, error: CutoverError) -> int:
    return _say(out, error.message, error.steps, error.exit_code, error.data)


def _interrupted(out: Output, signal: BaseException) -> int:
    from migration.base import interrupts

    left = interrupts.left()
    if not left.message:
        out.quiet()
        return left.exit_code
    return _say(out, f"Interrupted by {signal}. {left.message}", left.steps, left.exit_code, {})


def _local(error: OSError) -> CutoverError:
    """A full disk, a file that may not be read: an error of this machine."""
    from migration.base.command import AGAIN, Do
    from migration.base.errors import Refused, Unfinished
    from migration.base.interrupts import left
    from migration.cli.sink import OUTPUT

    state = left()
    kind = Unfinished if state.exit_code == 5 else Refused
    if error.filename == OUTPUT:
        return kind(f"Cannot write the output: {error.strerror}. {state.message}", *state.steps)
    where = f": {error.filename}" if error.filename else ""
    steps = state.steps
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = Path(error.filename).parent if error.filename else _full()
        steps = Do(f"free space on the disk of {place}"), *(steps or [AGAIN])
    return kind(f"Local error: {error.strerror or error}{where}. {state.message}", *steps)


def _full() -> Path:
    """Of the places that are written to, the one with the least space."""
    import tempfile

    places = [path for path in (ROOT / ".cutover", ROOT, Path(tempfile.gettempdir())) if path.exists()]
    return min(places, key=lambda path: (disk := os.statvfs(path)).f_bavail * disk.f_frsize)


def _bug(out: Output, error: Exception) -> int:
    """A bug of ours: a sentence for the user, the traceback in a file."""
    import traceback

    from migration.base import interrupts
    from migration.base.secrets_type import mask

    left = interrupts.left()
    file = ROOT / ".cutover" / "crash.txt"
    try:
        file.parent.mkdir(exist_ok=True)
        file.write_text(mask("".join(traceback.format_exception(error))))
        details = f"Details: {file.relative_to(ROOT)}"
    except OSError:
        details = ""
    cause = mask(f"{type(error).__name__}: {error}")
    text = f"A bug in Cutover stopped it ({cause}). {left.message} {details}".strip()
    code = 5 if left.exit_code == 5 else 3
    return _say(out, text, left.steps, code, {})
