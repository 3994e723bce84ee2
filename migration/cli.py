"""The one place where a verb begins and ends: signals, output, the one catch, the exit code."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migration.errors import CutoverError
    from migration.report.output import Output

ROOT = Path(__file__).resolve().parent.parent
atexit.register(gc.freeze)  # nothing is collected from a process that ends: that would take a tenth of a second


def run(verb: str, *, json: bool = False, **options: Any) -> None:
    """Carry out a verb and leave by its exit code (README, "Exit codes"); nothing else is raised."""
    from migration.common import interrupts
    from migration.errors import CutoverError, Interrupted
    from migration.report.output import Output

    out = Output(verb, json=json)
    interrupts.install()
    try:
        code = _carry_out(verb, out, options)
    except CutoverError as error:
        code = _explain(out, error, options.get("env", ""))
    except Interrupted as signal:
        code = _interrupted(out, signal, options.get("env", ""))
    except BrokenPipeError:
        code = _unread(out, options.get("env", ""))
    except OSError as error:
        code = _explain(out, _machine(error), options.get("env", ""))
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        code = _bug(out, error, options.get("env", ""))
    out.close()
    raise SystemExit(code)


def _carry_out(verb: str, out: Output, options: dict[str, Any]) -> int:
    from migration import verbs

    result = getattr(verbs, verb)(out, ROOT, **options)
    if result is None:
        return 0
    code = int(getattr(result, "exit_code", 0))
    try:
        out.result(result)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        _hush()  # the reader or the terminal has gone; how it ended is told all the same
        return code or 141
    return code


def _hush() -> None:
    """Nobody reads any more: what is still to be written goes nowhere, instead of failing at the very end."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _unread(out: Output, env: str) -> int:
    """The reader has gone (`| head`). That decides nothing, unless something is left half done."""
    from migration.common import interrupts
    from migration.common.finding import named

    _hush()
    left, code = interrupts.left()
    if code != 5:
        return 141
    out.json = False
    out.error(named(f"Nobody reads the output any more. {left}", env), "", code, {})
    return code


def _explain(out: Output, error: CutoverError, env: str) -> int:
    from migration.common.finding import named

    out.error(named(error.message, env), named(error.hint, env), error.exit_code, error.data)
    return error.exit_code


def _interrupted(out: Output, signal: BaseException, env: str) -> int:
    from migration.common import interrupts
    from migration.common.finding import named

    left, code = interrupts.left()
    out.error(f"Interrupted by {signal}. {named(left, env)}", "", code, {})
    return code


def _machine(error: OSError) -> CutoverError:
    from migration.common.interrupts import left
    from migration.errors import Refused, Unfinished

    what, code = left()
    kind = Unfinished if code == 5 else Refused
    where = f": {error.filename}" if error.filename else ""
    return kind(f"This machine failed us: {error.strerror or error}{where}. {what}", "inv status")


def _bug(out: Output, error: Exception, env: str) -> int:
    """A mistake of ours: a sentence for the user, the details in a file for us."""
    import traceback

    from migration.common import interrupts
    from migration.common.finding import named
    from migration.common.secrets_type import mask

    left, code = interrupts.left()
    file = ROOT / ".cutover" / "crash.txt"
    try:
        file.parent.mkdir(exist_ok=True)
        file.write_text(mask("".join(traceback.format_exception(error))))
        details = f"Details are in {file.relative_to(ROOT)}."
    except OSError:
        details = ""
    said = mask(f"{type(error).__name__}: {error}")
    out.error(
        f"A mistake in Cutover stopped it ({said}). {named(left, env)} {details}".strip(),
        named("inv status", env),
        5 if code == 5 else 3,
        {},
    )
    return 5 if code == 5 else 3
