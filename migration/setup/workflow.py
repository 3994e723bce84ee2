"""`inv init --ci github`: a workflow that deploys with its gate, watches in chained jobs, and rolls back on request.

It belongs into the repository of the app: pushes to it deploy, and its remote holds the ledger, so that the job's own
token is enough. Where tasks.py is in another repository, the workflow checks that one out beside the app.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from migration.base.command import Do, Step, inv, sh
from migration.base.errors import Refused
from migration.config import load as configuration
from migration.config import yamlfile
from migration.config.settings import Config
from migration.context import SAMPLE
from migration.git import process
from migration.setup import init

TEMPLATE = Path(__file__).with_name("github.yml")
# By commit, because a tag can be moved. https://docs.github.com/actions/reference/security/secure-use
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
SETUP_UV = "astral-sh/setup-uv@20cfd1bf945f4377ade1205e4dbc17946fc9a30d # v10.0.1"
UV, PYTHON = "0.12.4", "3.11"
_GITHUB = re.compile(r"github\.com[:/]([\w.-]+/[\w.-]+?)(\.git)?/?$")
_UNKNOWN, _WANTED = "OWNER/REPOSITORY", "the repository that holds tasks.py"


@dataclass(frozen=True)
class WorkflowResult:
    """`written`: the file, empty where it was there; `secrets`: what the repository must hold; `unknown`: what a person
    must fill in before it is committed, which `next` says first."""

    written: tuple[str, ...]
    secrets: tuple[str, ...]
    unknown: tuple[str, ...]
    message: str
    next: tuple[Step, ...]
    exit_code: int = 0


@dataclass(frozen=True)
class Places:
    """Where things are in the job's workspace, as relative paths. `other` is the repository of tasks.py, where that is
    not the app's: its folder there, and OWNER/NAME ("" where it is not known)."""

    repository: Path
    app: str
    tasks: str
    app_top: str = "."
    other: tuple[str, str] | None = None


def write(root: Path, environment: str) -> WorkflowResult:
    """Write the workflow for an environment. Nothing that exists is overwritten: Refused where another one is there."""
    config = configuration.load(root)
    if environment not in config.environments:
        raise Refused(
            f"config.yaml has no environment {environment}.", Do(f"use one of: {', '.join(config.environments)}")
        )
    chosen = config.environments[environment]
    if chosen.embedded or not chosen.project_ref:
        raise Refused(f"{environment} is not a hosted project: CI has nothing to deploy to.", inv("init", ci="github"))
    places = _places(root, config)
    name = "cutover" if environment == "prod" else f"cutover-{environment}"
    file = places.repository / ".github" / "workflows" / f"{name}.yml"
    secrets = init.names(config)
    text = _text(config, root, places, name, environment, secrets)
    unknown = (_WANTED,) if places.other and not places.other[1] else ()
    steps = tuple(_following(places, file, secrets, config.file))
    if file.exists():
        if file.read_text(encoding="utf-8") == text:
            return WorkflowResult((), tuple(secrets), unknown, f"{file} is there already.", steps if unknown else ())
        raise Refused(f"{file} exists and is another one: nothing was written.", Do("move it away, then"),
                      inv("init", ci="github"))  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as out:
        out.write(text)
    return WorkflowResult((str(file),), tuple(secrets), unknown, f"Wrote {file}.", steps)


def _places(root: Path, config: Config) -> Places:
    app = (config.folder / config.app.path).resolve()
    if app == SAMPLE.resolve():
        raise Refused("The shipped sample app is for the sandbox only: it has no CI of its own.",
                      Do("set app.path in config.yaml to your own repository"))  # fmt: skip
    own, tasks = _top(app), _top(root.resolve())
    if own is None:
        raise Refused(f"app.path in config.yaml ({app}) is not in a git repository.", Do("set app.path in config.yaml"))
    if tasks is None:
        raise Refused(f"{root} is not in a git repository, so no CI can check it out.", sh("git", "init"))
    if own == tasks:
        return Places(own, _under(app, own), _under(root.resolve(), own))
    if Path(config.app.path).is_absolute():
        raise Refused("app.path in config.yaml is absolute: no CI has that folder.",
                      Do(f"write it relative to config.yaml: {os.path.relpath(app, config.folder)}"))  # fmt: skip
    both = Path(os.path.commonpath([own, tasks]))
    if both in (own, tasks):
        raise Refused(f"{own} and {tasks} are two repositories, one inside the other: CI cannot check both out.",
                      Do("put them beside each other, and set app.path in config.yaml"))  # fmt: skip
    return Places(
        own, _under(app, both), _under(root.resolve(), both), _under(own, both), (_under(tasks, both), _github(tasks))
    )


def _under(path: Path, top: Path) -> str:
    return path.relative_to(top).as_posix()


def _top(folder: Path) -> Path | None:
    answer = process.run(["rev-parse", "--show-toplevel"], folder, env={}) if folder.is_dir() else None
    return Path(answer.text).resolve() if answer is not None and answer.ok else None


def _github(top: Path) -> str:
    """OWNER/NAME of a repository's origin on GitHub; empty where it is elsewhere."""
    match = _GITHUB.search(process.run(["remote", "get-url", "origin"], top, env={}).text)
    return match[1] if match else ""


def _text(config: Config, root: Path, places: Places, name: str, environment: str, secrets: Sequence[str]) -> str:
    notifiers = _notifiers(config)
    file = f"{name}.yml"
    prefix = "" if places.app in (".", places.app_top) else f"{_below(places.app, places.app_top)}/"
    other = config.file.resolve() != (root / "config.yaml").resolve()
    values = {
        "SECRETS": _needed(secrets, places),
        "NAME": name,
        "FILE": file,
        "BRANCH": json.dumps(config.app.branch),
        "PATHS": json.dumps(f"{prefix}supabase/**"),
        "CONFIG": f"\n  CUTOVER_CONFIG: {json.dumps(os.path.relpath(config.file, root))}" if other else "",
        "FOLDER": json.dumps(places.tasks),
        "CHECKOUT": "\n".join(_checkouts(places, config.app.remote)),
        "ENV": environment,
        "DEPLOY_ENV": _variables([one for one in secrets if one not in notifiers]),
        "WATCH_ENV": _variables(secrets),
        "NOTIFY_GROUP": " --group notify" if config.watch.notify else "",
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    filled = re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], text)
    return filled.replace("        env:\n\n", "")  # nothing is needed: an empty mapping is refused


def _below(app: str, top: str) -> str:
    return app if top == "." else Path(app).relative_to(top).as_posix()


def _needed(secrets: Sequence[str], places: Places) -> str:
    token = ["CUTOVER_TOKEN (to read the repository of tasks.py, where it is private)"] if places.other else []
    return f"Secrets of this repository that it reads: {', '.join([*secrets, *token])}."


def _variables(names: Sequence[str]) -> str:
    return "\n".join(f"          {name}: ${{{{ secrets.{name} }}}}" for name in names)


def _checkouts(places: Places, remote: str) -> Iterator[str]:
    """The whole history, files only as they are needed: a rollback and a plan read the past."""
    yield f"      - uses: {CHECKOUT}"
    yield "        with:"
    yield "          fetch-depth: 0"
    yield "          filter: blob:none"
    if places.other is not None:
        folder, repository = places.other
        yield f"          path: {json.dumps(places.app_top)}"
        yield f"      - uses: {CHECKOUT}"
        yield "        with:"
        yield f"          repository: {repository or _UNKNOWN}"
        yield f"          path: {json.dumps(folder)}"
        yield "          fetch-depth: 1"
        yield "          token: ${{ secrets.CUTOVER_TOKEN || github.token }}"
        yield "          persist-credentials: false"
    if remote != "origin":
        yield "      - name: Name the remote as config.yaml does"
        yield f"        working-directory: {json.dumps(places.app_top)}"
        yield f"        run: git remote rename origin {shlex.quote(remote)}"
    yield f"      - uses: {SETUP_UV}"
    yield "        with:"
    yield f'          version: "{UV}"'
    yield f'          python-version: "{PYTHON}"'
    yield f"          working-directory: {json.dumps(places.tasks)}"


def _notifiers(config: Config) -> frozenset[str]:
    """The variables that only `watch.notify` uses: a deploy and a rollback notify no one."""
    data = yamlfile.read(config.file).data
    watching = data.pop("watch", None) or {}
    names = set(re.findall(r"(?<!\$)\$\{(\w+)\}", str(watching.get("notify") or "")))
    return frozenset(names - set(re.findall(r"\$\{(\w+)\}", str(data))))


def _following(places: Places, file: Path, secrets: Sequence[str], config: Path) -> Iterator[Step]:
    """In an order that works: what a person fills in, what the job reads, then the commit that makes it run."""
    git, name = ("git", "-C", str(places.repository)), str(file.relative_to(places.repository))
    if places.other and not places.other[1]:
        yield Do(f"in it, write {_WANTED} in place of {_UNKNOWN}")
    if places.other:
        yield Do(f"commit and push {config.name} in {config.parent}: the job checks that repository out")
    if secrets:
        yield Do(f"set its secrets in the repository's settings (gh secret set NAME): {', '.join(secrets)}")
    yield Do("then:")
    yield sh(*git, "add", name)
    yield sh(*git, "commit", "-m", "Deploy, watch and roll back with Cutover", "--", name)
    yield sh(*git, "push")
