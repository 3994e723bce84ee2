"""The command line before any verb runs: what Invoke would misread is refused here, with what was meant.

Invoke has no hook between parsing and running, so its program is extended when tasks.py is loaded. Its own behaviour
(3.0): an unknown word exits 1 with "No idea what 'x' is!", `-e` after a verb means `--echo`, and `--dry` reaches only
commands that Invoke itself would run.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import functools
import inspect
import itertools
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from invoke import __version__ as INVOKE
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.program import Program
from invoke.tasks import task

from migration.base.command import CURRENT, Shell, inv, started
from migration.base.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
_UNKNOWN = re.compile(r"No idea what (['\"])(.*)\1 is!$", re.DOTALL)
_VALUELESS = re.compile(r"Flag <Argument: ([a-z_-]+)")
_LACKING = re.compile(r"did not receive required positional arguments: '(\w+)'")
_INVOKES = frozenset({"-e", "--echo", "-p", "--pty", "-w", "--warn-only"})  # they run something else than was meant
_ALIKE, _BEGINNING = 0.75, 3  # share of letters in their order; letters that begin a name
_SERVER = "sandbox"  # a verb that is an environment's name as well, and runs until Ctrl-C


class _Mistake(NamedTuple):
    """What is wrong with a command line, and what to type instead."""

    message: str
    steps: tuple[Any, ...] = ()


def install() -> None:
    """Extend Invoke's program; a second call changes nothing."""
    open_streams()
    if not hasattr(Program, "cutover"):
        setattr(Program, "cutover", True)  # noqa: B010
        CURRENT.prefix = started()
        for name in ("parse_tasks", "parse_cleanup"):
            setattr(Program, name, _checked(getattr(Program, name)))
        setattr(Program, "no_tasks_given", _list)  # noqa: B010
        setattr(Program, "list_tasks", _named(Program.list_tasks))  # noqa: B010


def open_streams() -> None:
    """Where stdin, stdout or stderr was closed (`>&-`, a daemon), the null device stands for it: else the next file or
    connection that is opened would take its place."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(number, True)
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123


_DEBUG = {"debug": "show every request and git command as it ends"}


def verb(*positional: str, changes: bool | str = False, **help: str) -> Callable[[Callable[..., None]], Any]:  # noqa: A002
    """An Invoke task without one-letter flags, which would mean different things in different verbs.

    `changes`: whether it changes something, or the flag with which it does. Then `inv --dry` refuses it.
    """
    texts = {name.replace("_", "-"): text for name, text in (help | _DEBUG).items()}

    def make(body: Callable[..., None]) -> Any:
        @functools.wraps(body)
        def run(context: Context, *args: Any, debug: bool = False, **flags: Any) -> None:
            from migration.cli import dispatch

            dispatch.DEBUG = debug
            changing = changes if isinstance(changes, bool) else flags.get(changes) not in (None, False)
            if changing and context.config.run.dry:
                raise _dry(body.__name__, **flags)
            body(context, *args, **flags)

        flag = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False)
        plain = inspect.signature(body)
        setattr(run, "__signature__", plain.replace(parameters=[*plain.parameters.values(), flag]))  # noqa: B010
        return task(auto_shortflags=False, positional=list(positional), help=texts)(run)

    return make


def refuse(words: Sequence[str], mistake: _Mistake) -> Exit:
    """Print why a command line is refused; the exception ends Invoke."""
    from migration.cli.output import Output

    CURRENT.env = ""
    out = Output("inv", ROOT, json="--json" in words)
    try:
        out.error(mistake.message, mistake.steps, 2, {})
    except OSError:  # a closed pipe, a full disk: the exit code still says it
        _hush()
    return Exit(code=2)


def _hush() -> None:
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _unwritten(error: OSError) -> Exit:
    """The list or a help text that nothing takes: `inv --list | head` has what it wants, a full disk is named."""
    if error.filename is not None:
        raise error
    _hush()
    if error.errno != errno.EPIPE and not isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError):
            sys.stderr.write(f"Cannot write the output: {error.strerror}. Nothing was run.\n")
    return Exit(code=141)


def _dry(verb: str, json: bool = False, **flags: Any) -> Exit:
    """`--dry` promises that nothing runs: a verb that changes something cannot keep that, so it does not begin."""
    text = f"--dry (or INVOKE_RUN_DRY) does not work with {verb}, which changes something. Nothing was changed."
    steps = (inv(verb, **flags | {"dry_run": True}),) if "dry_run" in flags else ()
    return refuse(["--json"] if json else [], _Mistake(text, steps))


def _checked(parse: Callable[[Program], None]) -> Callable[[Program], None]:
    def run(program: Program) -> None:
        words = [*program.core.unparsed]
        if ignored := _ignored(program):
            raise refuse(words, ignored)
        try:
            if words == ["version"]:
                _version()
            parse(program)
        except ParseError as error:
            raise refuse(words, _translated(program, error)) from None
        except OSError as error:
            raise _unwritten(error) from None
        mistake = _misread(words, [context.name for context in getattr(program, "tasks", ())])
        if mistake:
            raise refuse(words, mistake)

    return run


def _version() -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(f"Cutover {VERSION} (Invoke {INVOKE}, Python {python})\n")
    sys.stdout.flush()
    raise Exit


def _named(listing: Callable[[Program], None]) -> Callable[[Program], None]:
    """The list of verbs below our name and version: Invoke answers `--version` before it reads tasks.py."""

    def run(program: Program) -> None:
        if program.list_format != "json":
            sys.stdout.write(f"Cutover {VERSION}\n\n")
        listing(program)
        sys.stdout.flush()

    return run


def _list(program: Program) -> None:
    program.list_tasks()
    raise Exit


def _ignored(program: Program) -> _Mistake | None:
    """What stands on the line and would change nothing: words behind `--`, and a config file of Invoke's."""
    if program.core.remainder and not program.args.complete.value:
        text = f"No verb reads what follows --: {program.core.remainder}. Nothing was run. Leave out the --."
        return _Mistake(text)
    if file := program.args.config.value:
        text = f"-f names a config file of Invoke; no verb reads {file}. Nothing was run. Use:"
        dry = ["--dry"] if program.args.dry.value else []
        line = f"{CURRENT.prefix} {shlex.join([*dry, *program.core.unparsed])}".rstrip()
        return _Mistake(text, (Shell(f"CUTOVER_CONFIG={shlex.quote(file)} {line}"),))
    return None


def _misread(words: Sequence[str], verbs: Sequence[str]) -> _Mistake | None:
    """What Invoke parses without a complaint and the user did not mean."""
    if _SERVER in verbs[1:]:
        text = f"{_SERVER} is also a verb and would run after {verbs[0]}. Nothing was run. Use --env:"
        return _Mistake(text, (inv(verbs[0], env=_SERVER),))
    for before, word in itertools.pairwise(words):
        if word in _INVOKES and not before.startswith("--"):
            meant = "--env" if word == "-e" else f"inv --help {words[0]}"
            return _Mistake(f"{words[0]} has no flag {word}. Nothing was run. Did you mean {meant}?")
    return None


def _translated(program: Program, error: ParseError) -> _Mistake:
    verb = getattr(error.context, "name", None)
    if match := _UNKNOWN.search(str(error)):
        word = match[2]
        if word.startswith("-"):
            return _flag(program, verb, word)
        return _word(program, verb, word)
    if match := _VALUELESS.match(str(error)):
        return _Mistake(f"--{match[1].strip('_').replace('_', '-')} needs a value.", (_help(verb),))
    if match := _LACKING.search(str(error)):
        return _Mistake(f"{verb} needs a value: {match[1]}.", (_help(verb),))
    return _Mistake(f"{str(error).rstrip('!')}", (_help(verb),))


def _flag(program: Program, verb: str | None, flag: str) -> _Mistake:
    context = program.parser.contexts.get(verb) if verb else program.initial_context
    close = near(flag, [*context.flags]) if context else ""
    meant = f" Did you mean {close}?" if close else ""
    return _Mistake(f"{verb or 'inv'} has no flag {flag}.{meant}", (_help(verb),))


def _word(program: Program, verb: str | None, word: str) -> _Mistake:
    if verb and word in _environments():
        command = inv(verb, env=word)
        way = "Use --env:" if "--env" in str(command) else f"{word} is the default:"
        return _Mistake(f"{word} is an environment, not a verb. Nothing was run. {way}", (command,))
    close = near(word, list(filter(None, program.parser.contexts)))
    if close:
        return _Mistake(f"There is no verb {word}. Nothing was run. Did you mean:", (inv(close, env=""),))
    return _Mistake(f"There is no verb {word}. Nothing was run.", (Shell(f"{CURRENT.prefix} --list"),))


def near(word: str, names: Sequence[str]) -> str:
    """The name that the word is a slip of: most letters in their order, the same ones in another, or its beginning.

    Empty where none is: half the letters of a short word are shared by chance (`bogus` and `logs`).
    """
    bare = word.lstrip("-")
    names = [name for name in names if len(name.lstrip("-")) > 1]
    same = [name for name in names if sorted(name.lstrip("-")) == sorted(bare)]
    begun = [name for name in names if len(bare) >= _BEGINNING and name.lstrip("-").startswith(bare)]
    alike = {name.lstrip("-"): name for name in reversed(names)}
    found = difflib.get_close_matches(bare, [*alike], 1, _ALIKE)
    return next(iter([*same, *(alike[each] for each in found), *begun]), "")


def _help(verb: str | None) -> Shell:
    return Shell(f"{CURRENT.prefix} --help{f' {verb}' * bool(verb)}")


def _environments() -> set[str]:
    """The names in config.yaml, as far as it can be read; its mistakes are reported by the verbs."""
    import yaml

    from migration.base.files import contents
    from migration.config.yamlfile import plainly

    names = {"prod", "local", _SERVER}
    with contextlib.suppress(OSError, ValueError, yaml.YAMLError, AttributeError, TypeError):
        path = ROOT / (os.environ.get("CUTOVER_CONFIG") or "config.yaml")
        names |= set(map(str, plainly(contents(path).decode())["environments"]))
    return names
