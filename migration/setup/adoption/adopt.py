"""`inv init --app PATH --plan FILE.md`: a commented config.yaml for an app of one's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.base import durable
from migration.base.command import Do, Step, inv
from migration.base.errors import Refused
from migration.base.numbers import count, few
from migration.config import builder, yamlfile
from migration.config import load as configuration
from migration.context import SAMPLE
from migration.setup.adoption import app as apps
from migration.setup.adoption import document, fromapp, fromplan, imports, judged
from migration.setup.adoption.draft import Draft, DraftSection, Question, Value, built, render
from migration.setup.adoption.imports import Reach, Replacement

SAMPLES = "config.sample.yaml"
STUBS = Path("stubs")
_TRIES = 3
_REQUEST = ("function", "method", "path", "query", "body")  # of a smoke case: what tells one from another
SECTIONS = (
    DraftSection("migration", "What moves, and what must not."),
    DraftSection("app", "The git repository that holds supabase/functions."),
    DraftSection("environments", "Where a verb acts: inv VERB --env NAME. `prod` is the default, `local` for smoke."),
    DraftSection(
        "providers", "Services that the functions call. A key goes to the address of its own provider and to no other."
    ),
    DraftSection(
        "secrets", "Secrets that the functions need. Values come from .env and are compared by digest, never shown."
    ),
    DraftSection("auth", "Who calls the functions in smoke cases."),
    DraftSection(
        "signals",
        "Named log patterns (regular expressions), looked for in migration.functions unless one names its own.",
    ),
    DraftSection(
        "smoke",
        "One request each, and what its answer must be. docs/reference/config.md names all that `expect` takes.",
    ),
    DraftSection("gate", "Proof after activation, before a deployment counts as done."),
    DraftSection("criteria", "The success criteria: those named here are judged."),
    DraftSection("soak", "inv soak: the same requests until the success rate is settled."),
    DraftSection("budget", "Spend, and how many requests a day to project it for."),
    DraftSection("e2e", "The page as its users drive it, in Chromium: `inv e2e`. docs/e2e.md has each kind of step."),
    DraftSection("rehearsal", "The sandbox: read by `rehearse` and `sandbox` alone."),
)


@dataclass(frozen=True)
class Options:
    """What `init` was given: the app's folder, the plan's file, a range of commits. Empty where it was not."""

    app: str = ""
    plan: str = ""
    span: str = ""


@dataclass(frozen=True)
class AdoptionResult:
    """Files that were written, questions that stay (key and text), what does not agree, and what to type next.

    `adds`: what a config.yaml that is there already lacks, as lines to copy; it is never written to.
    """

    written: tuple[str, ...]
    unknown: tuple[str, ...]
    notices: tuple[str, ...]
    adds: str
    message: str
    next: tuple[Step, ...]
    exit_code: int = 0


def run(
    root: Path, options: Options, reach: Reach | None = None, ask: Callable[[str], str] | None = None
) -> AdoptionResult:
    """Write config.yaml and, for imports that are out of reach, stubs/. `ask` is None without a terminal."""
    if options.span and not options.app:
        raise Refused("--range needs --app.", _with_app(root, Options(span=options.span)))
    file = _file(root)
    state = root / ".cutover"
    draft, app = Draft(), apps.read(Path(options.app).expanduser(), options.span, state) if options.app else None
    stubs: list[Replacement] = []
    if options.plan:
        plan = Path(options.plan).expanduser()
        fromplan.fill(draft, document.load(plan), plan, file.parent)
        if not app and not draft.get("migration", "functions"):
            text = f"{options.plan} names no function to deploy, by command or by path"
            raise Refused(text, _with_app(plan.resolve().parent, options))
    if app:
        fromapp.fill(draft, app, file.parent)
        stubs = imports.replacements(imports.needed(app, app.now), reach or imports.reach(state / "deno"))
        _stubs(draft, stubs)
    else:
        draft.set(("app", "path"), ".", "")
        draft.ask(("app", "path"), "which folder holds supabase/functions? inv init --app PATH finds the rest in it")
    judged.measurable(draft)
    existing = _existing(file)
    sample = _about_sample(file, existing)
    if ask and (existing is None or sample):
        _answers(draft, ask)
    text = render(draft, _head(options), SECTIONS)
    _check(root, file, text)
    if existing is not None and not sample:
        return _compared(file, draft, existing)
    written = [*(_keep(file) if sample else ()), *_write(file, text), *_write_stubs(file.parent, stubs)]
    return _result(draft, written, options)


def _with_app(start: Path, options: Options) -> Step:
    """The same command with the app's folder: the nearest around here; where there is none, what to name."""
    for folder in (start, *list(start.parents)[:3]):
        if (folder / "supabase" / "functions").is_dir():
            near = os.path.relpath(folder)
            return inv("init", app=near, plan=options.plan, range=options.span)
    return Do("run it again with --app and the folder that holds supabase/functions")


def _file(root: Path) -> Path:
    named = Path(os.environ.get("CUTOVER_CONFIG") or "config.yaml")
    return named if named.is_absolute() else root / named


def _head(options: Options) -> list[str]:
    given = {"app": options.app, "plan": options.plan, "range": options.span}
    words = [f"--{name} {value}" for name, value in given.items() if value]
    return [
        "yaml-language-server: $schema=config.schema.json",
        f"Written by inv init {' '.join(words)}. It is yours: init never writes to it again.",
        "A comment says where a value came from, # ? is an open question, # ! is something to check.",
        "${NAME} takes a value from the environment, else from .env beside tasks.py; $$ is a dollar sign.",
    ]


def _stubs(draft: Draft, replacements: Sequence[Replacement]) -> None:
    if not replacements:
        return
    named = [each for each in replacements if each.file]
    draft.set(
        ("rehearsal", "import_map"),
        str(STUBS / "import_map.json"),
        f"{count(len(replacements), 'import')} out of this network's reach",
    )
    for each in replacements:
        what = f"fill in {STUBS / each.file}" if each.file else f"{each.target} stands in"
        draft.sketch(("rehearsal", "import_map"), [f"{each.needed.address} ({each.needed.place}): {what}"])
    if named:
        files = ", ".join(str(STUBS / each.file) for each in named[:4])
        draft.ask(("rehearsal", "import_map"), f"what do the stubs answer that your smoke cases need? {files}")


def _answers(draft: Draft, ask: Callable[[str], str]) -> None:
    """Ask a person for what one word answers; Enter, or three answers that cannot be it, leave the question there."""
    for question in list(draft.questions):
        asks = question.path == ("environments", "prod", "project_ref")
        if asks and (answer := _project(question.text, ask)):
            draft.values[question.path] = Value(answer, "typed at inv init")
            draft.questions.remove(question)


def _project(text: str, ask: Callable[[str], str]) -> str:
    for _ in range(_TRIES):
        answer = ask(f"{text} (Enter to skip):").strip()
        try:
            return builder.project(answer) if answer else ""
        except ValueError as error:
            text = f"{answer}: {error}. Which project?"
    return ""


def _check(root: Path, file: Path, text: str) -> None:
    """The text loads, before anything is written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file.name
        path.write_text(text, encoding="utf-8")
        configuration.load(root, path)


def _existing(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    data = yamlfile.read(file).data
    return data if isinstance(data, dict) else {}


def _about_sample(file: Path, existing: Mapping[str, Any] | None) -> bool:
    """Whether it is the shipped config.yaml. Refused where it cannot make room under another name."""
    path = existing.get("app", {}).get("path") if existing and isinstance(existing.get("app"), dict) else None
    if not path or (file.parent / str(path)).resolve() != SAMPLE.resolve():
        return False
    target = file.with_name(SAMPLES)
    if target.exists() and target.read_bytes() != file.read_bytes():
        raise Refused(f"{target.name} is there already, and {file.name} is about the sample app as well.",
                      Do(f"rename {file.name} and run it again"))  # fmt: skip
    return True


def _keep(file: Path) -> list[str]:
    """The shipped config.yaml, which is about the sample app, makes room under another name; nothing is lost."""
    target = file.with_name(SAMPLES)
    durable.write(target, file.read_bytes(), mode=0o644)
    return [target.name]


def _write(file: Path, text: str) -> list[str]:
    durable.write(file, text.encode(), mode=0o644)
    return [file.name]


def _write_stubs(folder: Path, replacements: Sequence[Replacement]) -> list[str]:
    """A stub that is there may be filled in already, so it stays."""
    wanted = {str(STUBS / "import_map.json"): imports.as_map(replacements)} if replacements else {}
    wanted |= {str(STUBS / each.file): each.text for each in replacements if each.file}
    written = []
    for name, text in wanted.items():
        if not (folder / name).exists():
            durable.write(folder / name, text.encode(), mode=0o644)
            written.append(name)
    return written


def _compared(file: Path, draft: Draft, existing: Mapping[str, Any]) -> AdoptionResult:
    """What is there stays as it is; what it lacks is shown."""
    missing = Draft(values={path: value for path, value in draft.values.items() if not _has(existing, path, value)})
    adds = render(missing, (), ()).strip()
    plain = f"{file.name} is yours and stays as it is."
    message = f"{plain} It lacks nothing that init found." if not adds else f"{plain} init would add:\n\n{adds}"
    return AdoptionResult((), _unknown(draft.questions), tuple(draft.notices), adds, message, (inv("rehearse"),))


def _has(existing: Any, path: Sequence[str], value: Value) -> bool:
    """Whether the key is there; of smoke cases, whether each request is."""
    for part in path:
        if not isinstance(existing, Mapping):
            return True  # a person wrote something else in its place
        if part not in existing:
            return False
        existing = existing[part]
    if tuple(path) == ("smoke",) and isinstance(existing, list):
        here = [tuple(case.get(key) for key in _REQUEST) for case in existing if isinstance(case, Mapping)]
        return all(tuple(built(case.get(key)) for key in _REQUEST) in here for case in value.value)
    return True


def _unknown(questions: Sequence[Question]) -> tuple[str, ...]:
    return tuple(f"{each.key}: {each.text}" for each in questions)


def _result(draft: Draft, written: Sequence[str], options: Options) -> AdoptionResult:
    lines = [f"Wrote {few(written)}."]
    lines += [f"! {text}" for text in draft.notices]
    lines += [f"? {each.key}: {each.text}" for each in draft.questions]
    steps = (
        (inv("rehearse"), inv("init")) if options.app else (Do("set app.path in config.yaml, then"), inv("rehearse"))
    )
    return AdoptionResult(tuple(written), _unknown(draft.questions), tuple(draft.notices), "", "\n".join(lines), steps)
