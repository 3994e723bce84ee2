"""What an app's folder and its git history say: functions, the range that changed them, and what their code names."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from migration.base.command import Do
from migration.base.errors import Refused
from migration.git.repository import Repository
from migration.setup.adoption import code
from migration.source import functions_config, importmap, reader
from migration.source.source import Source

_SKIPPED = {"node_modules", "dist", "build", "vendor", "target"}  # and what begins with a dot
_DEPTH = 5  # folders below the path that was named
_FUNCTIONS = Path("supabase") / "functions"
_LOOKED = 400  # commits of the branch
_OUTSIDE = 500  # shared files outside of supabase/functions that are looked for in them
# Beside the code: where no function can be read, a commit that changes these alone changes none.
_ASIDE = re.compile(
    r"(?i)\.(?:md|mdx|txt|log)$|[._]tests?\.\w+$|(?:^|/)(?:\.[^/]*|__tests__/.*|tests?/.*|license|readme)$"
)
_LETTERS = 6  # different ones; fewer are a placeholder
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Range:
    """The revision before the migration and the last one of it; `origin` says how they were found."""

    base: str
    tip: str
    origin: str


@dataclass(frozen=True)
class Commits:
    """Where the code comes from: the branch, its remote, and the range."""

    branch: str
    remote: str
    range: Range | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class App:
    """Facts about one app. `now` and `before` hold each function's source; `broken` why one has none.

    `changed`: functions that the range changed or created, with the files; `removed`: those that it took away.
    `linked`: the ref of the project that the CLI was linked to; `named`: those in the app's files, each with its place.
    """

    path: Path
    others: tuple[Path, ...]
    commits: Commits
    now: Mapping[str, Source]
    before: Mapping[str, Source]
    broken: Mapping[str, str]
    disabled: tuple[str, ...]
    changed: Mapping[str, tuple[str, ...]]
    removed: tuple[str, ...]
    verify_jwt: Mapping[str, bool | None]
    linked: str = ""
    named: Mapping[str, str] = field(default_factory=dict)
    sql: tuple[str, ...] = ()
    texts: dict[str, dict[str, str]] = field(default_factory=dict, compare=False)

    def files(self, slug: str, before: bool = False) -> Iterator[tuple[str, str]]:
        """Path and text, without comments, of each file of code of a function."""
        source = (self.before if before else self.now).get(slug)
        if source is None:
            return
        for path, data in source.files.items():
            if path.endswith((".ts", ".tsx", ".js", ".jsx", ".mjs", ".mts")) and path not in source.loose:
                yield path, code.bare(data.decode("utf-8", "replace"))


def read(path: Path, span: str, state: Path) -> App:
    """Refused where there is no app, no repository, or no such range; `state` is the folder for caches."""
    located = locate(path)
    repository = Repository(located[0])
    head = repository.head()
    slugs, disabled = functions(located[0])
    look = reader.Reader(repository, state, functions_config.Project("", located[0]))
    attempts = look.tried(slugs)
    now = {slug: each for slug, each in attempts.items() if isinstance(each, Source)}
    commits = history(repository, head, span, {path for source in now.values() for path in source.tracked})
    before = look.at(commits.range.base, _past(repository, commits.range.base)) if commits.range else {}
    return App(
        located[0], tuple(located[1:]), commits, now, before,
        {slug: each.message for slug, each in attempts.items() if not isinstance(each, Source)},
        tuple(disabled),
        _changed(repository, commits.range, now, before),
        tuple(sorted(set(before) - set(slugs) - set(disabled))),
        {slug: each.verify_jwt for slug, each in look.settings(now).items()},
        _linked(located[0]),
        _named(repository),
        _sql(repository, commits.range),
    )  # fmt: skip


def locate(path: Path) -> list[Path]:
    """The folders that hold supabase/functions: the one to adopt first, the one with the most functions."""
    if not path.is_dir():
        raise Refused(f"{path} is not a folder.", Do("--app names the folder of your app's git repository"))
    whole = path.resolve()
    for folder in (whole, *list(whole.parents)[:3]):  # supabase/ itself was named, or functions/
        if folder == whole or folder.name in ("supabase", "functions"):
            top = folder.parent if folder.name == "supabase" else folder
            if (top / _FUNCTIONS).is_dir():
                return [top]
    folders = sorted(_below(whole, _DEPTH), key=lambda each: (-len(functions(each)[0]), len(each.parts), str(each)))
    if not folders:
        raise Refused(f"{path} has no supabase/functions, and no folder below it has.", Do("name the app's folder"))
    return folders


def _below(folder: Path, depth: int) -> Iterator[Path]:
    if os.path.isdir(folder / _FUNCTIONS):  # noqa: PTH112 - false where it may not be looked at
        yield folder
    for each in inside(folder) if depth else ():
        yield from _below(each, depth - 1)


def inside(folder: Path) -> list[Path]:
    """The folders to look into. None in one that may not be read (a database's volume), or that went meanwhile."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
    except OSError:
        return []
    return [folder / name for name in names if name not in _SKIPPED and not name.startswith(".")]


def functions(app: Path) -> tuple[list[str], list[str]]:
    """Names of the functions, and of those that config.toml disables."""
    document = functions_config.parse(app).get("functions", {})
    named = (
        {slug for slug, table in document.items() if isinstance(table, dict)} if isinstance(document, dict) else set()
    )
    folders = {each.name for each in (app / _FUNCTIONS).iterdir() if (each / "index.ts").is_file()}
    slugs = sorted(name for name in folders | named if functions_config.NAME.fullmatch(name))
    settings = {slug: functions_config.load(app, slug, functions_config.Project("", app)) for slug in slugs}
    here = [slug for slug in slugs if slug in folders or settings[slug].entrypoint]
    off = [slug for slug in here if not settings[slug].enabled]
    return [slug for slug in here if slug not in off], off


def history(repository: Repository, head: str, span: str, sources: Collection[str] = ()) -> Commits:
    """Branch, remote and range; `sources` are the files that the functions consist of."""
    remote = next(iter([name for name in repository.remotes() if name == "origin"] or repository.remotes()), "")
    current = repository.run("symbolic-ref", "--quiet", "--short", "HEAD").text
    main = repository.run("symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote}/HEAD").text.partition("/")[2]
    main = main or next((name for name in ("main", "master") if repository.revision(f"refs/heads/{name}")), current)
    notes = []
    if current and main and current != main:
        notes.append(f"{current} is checked out; deploys come from {main}: merge first, or name another app.branch")
    span_found = _given(repository, span) if span else _guessed(repository, head, main, current, sources)
    if span_found and not repository.is_ancestor(span_found.tip, head):
        notes.append(f"{span_found.tip[:9]} is not part of what is checked out")
    return Commits(main or current or "main", remote, span_found, tuple(notes))


def _given(repository: Repository, span: str) -> Range:
    first, dots, last = span.partition("..")
    last = last.lstrip(".") or "HEAD"
    ends = [repository.revision(name) for name in (first, last)] if dots and first else [None]
    if None in ends:
        missing = [name for name, end in zip((first, last), ends, strict=False) if end is None]
        text = (
            f"--range {span}: the app's history has no {missing[0]}"
            if dots and first
            else f"--range {span} is not A..B"
        )
        raise Refused(text, Do("for example --range 4f2c91e..HEAD: the revision before the migration, and its last"))
    return Range(str(ends[0]), str(ends[1]), f"--range {span}")


def _guessed(repository: Repository, head: str, main: str, current: str, sources: Collection[str]) -> Range | None:
    """A branch of its own: since it left main. Else the newest commit that changed a function."""
    trunk = repository.revision(f"refs/heads/{main}") if main != current else None
    if trunk and trunk != head:
        fork = repository.run("merge-base", trunk, head).text
        if fork and fork != head:
            return Range(fork, head, f"where {current or 'this checkout'} left {main}")
    outside = sorted(path for path in sources if not path.startswith(f"{_FUNCTIONS.as_posix()}/"))
    paths = [str(_FUNCTIONS), *outside[:_OUTSIDE]]
    for options in (["--first-parent"], ["--no-merges"]):  # a merge may have brought every function at once
        command = ["rev-list", *options, f"--max-count={_LOOKED}", head, "--", *paths]
        for commit in repository.git(*command).text.split():
            parent = next(iter(repository.parents(commit)), "")
            if not parent or not repository.blobs(parent, [str(_FUNCTIONS)]):
                continue
            touched = repository.changed(parent, commit, paths)
            if any(path in sources for path in touched) if sources else not all(map(_ASIDE.search, touched)):
                last = f"{commit[:9]}, the newest commit that changed a function: {_short(repository.subject(commit))}"
                return Range(parent, commit, f"the revision before {last}")
    return None


def _past(repository: Repository, revision: str) -> list[str]:
    """Names of the functions at a revision."""
    paths = repository.blobs(revision, [str(_FUNCTIONS)])
    matches = (re.fullmatch(rf"{_FUNCTIONS.as_posix()}/([^/]+)/index\.ts", path) for path in paths)
    return sorted({match[1] for match in matches if match and functions_config.NAME.fullmatch(match[1])})


def _changed(
    repository: Repository, span: Range | None, now: Mapping[str, Source], before: Mapping[str, Source]
) -> dict[str, tuple[str, ...]]:
    """By function, the files of its source that the range changed, shared ones too."""
    if span is None:
        return {}
    files = set(repository.changed(span.base, span.tip))
    changed: dict[str, tuple[str, ...]] = {}
    for slug, source in now.items():
        own = {*source.tracked, *(before[slug].tracked if slug in before else ())}
        if slug not in before or own & files:
            touched = tuple(sorted(own & files))
            if touched:
                changed[slug] = touched
    return changed


def _linked(app: Path) -> str:
    """The linked project's ref, where the CLI left it: supabase/.temp/project-ref."""
    path = app / "supabase" / ".temp" / "project-ref"
    text = path.read_text().strip() if path.is_file() else ""
    return text if re.fullmatch(r"[a-z]{20}", text) else ""


def _named(repository: Repository) -> dict[str, str]:
    """Refs of hosted projects in the app's files, as addresses or as `project_id`, each with its first place."""
    places: dict[str, str] = {}
    words = ["-e", r"[a-z]{20}\.supabase\.(co|in)", "-e", r"project_?(id|ref) *[=:] *[\"'][a-z]{20}[\"']"]
    grep = repository.run("grep", "-I", "-n", "-o", "-i", "-E", *words, "--", ".", ":(exclude,glob)**/node_modules/**")
    for path, line, text in (each.split(":", 2) for each in grep.text.splitlines() if each.count(":") >= 2):
        match = re.search(r"(?<![a-z])[a-z]{20}(?![a-z])", text)
        if match and len(set(match[0])) >= _LETTERS and match[0] not in _ALPHABET:
            places.setdefault(match[0], f"{path}:{line}")
    return places


def _sql(repository: Repository, span: Range | None) -> tuple[str, ...]:
    if span is None:
        return ()
    files: Sequence[str] = repository.changed(span.base, span.tip, ["supabase/migrations"])
    return tuple(name for name in files if name.endswith(".sql"))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"


def map_entries(app: App, slug: str) -> dict[str, str]:
    """Name to address of the import map that applies to a function."""
    settings = functions_config.load(app.path, slug, functions_config.Project("", app.path))
    source = app.now[slug]
    path = importmap.find(app.path, settings, app.path / source.entrypoint)
    return dict(path.imports) if path else {}
