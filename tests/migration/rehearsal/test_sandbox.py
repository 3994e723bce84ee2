"""`inv sandbox` with other apps than the sample, and its second start."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base.errors import ConfigError, Interrupted, Refused
from migration.clients.http import Http
from migration.config import load as configuration
from migration.config.environment import STARTING, embedded
from migration.context import Context, attach
from migration.git.repository import Repository
from migration.rehearsal import clone as clones
from migration.rehearsal import running, sandbox
from migration.rehearsal.clone import ISOLATED, Clone
from migration.rehearsal.running import Running
from tests.support.collector import Collector


def project(folder: Path, slugs: list[str], more: str = "") -> Path:
    """A project of these functions and nothing else: no secrets, no provider, no signals, no smoke cases."""
    app = folder / "app"
    for slug in slugs:
        source = app / "supabase" / "functions" / slug / "index.ts"
        source.parent.mkdir(parents=True)
        source.write_text("Deno.serve(() => new Response(Deno.env.get('GREETING') ?? 'hello'));\n")
    repository = Repository(folder, ISOLATED)
    repository.git("init", "--quiet", "--initial-branch=main", "app")
    Repository(app, ISOLATED).git("add", "--all")
    Repository(app, ISOLATED).git("commit", "--quiet", "--message", "one")
    configure(folder, slugs, more)
    return app


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (", management: {harhs: true}", "config.yaml:4:37: rehearsal.management.harhs: unknown key: one of"),
        (", hosts: {a.example: gone.yaml}", "config.yaml:4:32: rehearsal.hosts.a.example: cannot read "),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, setting: str, said: str) -> None:
    """In the section `rehearsal` as everywhere in the config, whether this process finds it or the server's."""
    project(tmp_path, ["hello"], setting)
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        sandbox.boot(tmp_path, configuration.load(tmp_path), tmp_path / "state", Collector())
    assert caught.value.hint == "fix this and run it again"


def configure(folder: Path, slugs: list[str], more: str = "") -> None:
    (folder / "config.yaml").write_text(
        f"migration: {{name: m, functions: [{', '.join(slugs)}]}}\n"
        f"app: {{path: app}}\nenvironments: {{sandbox: {{embedded: true}}}}\nrehearsal: {{deno: own{more}}}\n"
    )


def boot(folder: Path) -> tuple[list[str], list[str], str]:
    """Live functions, the details of the two steps, and what the first function answers."""
    observer = Collector()
    config = configuration.load(folder)
    state = folder / ".cutover" / "sandbox"
    with sandbox.boot(folder, config, state, observer) as running:
        live = [function.slug for function in attach(folder, config, state, observer).supabase.functions()]
        key = {"Authorization": f"Bearer {running.anon_key}"}
        answer = Http(running.url, key, name="edge").request("GET", f"/functions/v1/{live[0]}")
    return live, [event[3] for event in observer.events if event[0] == "done"], answer.text


@pytest.mark.parametrize("count", [1, 50])
def test_a_bare_config_starts(tmp_path: Path, count: int) -> None:
    """Without secrets, provider and signals, with one function as with fifty."""
    slugs = [f"f{number}" for number in range(count)]
    project(tmp_path, slugs, ", management: {bundle_check: false}")
    live, _, answer = boot(tmp_path)
    assert sorted(live) == sorted(slugs) and answer == "hello"


def test_a_restart_takes_commits_and_settings_over(tmp_path: Path) -> None:
    """What is live stays; the new commit is in the clone, the variable in the function, and both are named."""
    app = project(tmp_path, ["greet"], ", variables: {GREETING: one}")
    assert boot(tmp_path)[2] == "one"
    repository = Repository(app, ISOLATED)
    (app / "notes.txt").write_text("two")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "two")
    configure(tmp_path, ["greet"], ", variables: {GREETING: two}, edge: {memory: 200}")
    _, details, answer = boot(tmp_path)
    assert answer == "two"
    assert repository.head()[:9] in details[0]
    assert "rehearsal.edge.memory, rehearsal.variables.GREETING" in details[1]
    assert (tmp_path / ".cutover" / "sandbox" / "app" / "notes.txt").read_text() == "two"


def test_a_sandbox_that_is_being_filled_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process is refused until the project is filled; killed meanwhile, the next start fills it anew."""
    project(tmp_path, ["one", "two"])
    config, folder = configuration.load(tmp_path), tmp_path / ".cutover" / "sandbox"

    def killed(context: Context, clone: Clone, _: Collection[str]) -> None:
        functions(context, clone, ["one"])
        mark = folder / STARTING
        mark.write_text(mark.read_text().replace(str(os.getpid()), str(os.getppid())))
        with pytest.raises(Refused, match="still starting"):
            attach(tmp_path, config, folder)
        raise KeyboardInterrupt

    functions = sandbox.functions
    monkeypatch.setattr(sandbox, "functions", killed)
    with pytest.raises(KeyboardInterrupt):
        boot(tmp_path)
    monkeypatch.undo()
    assert sorted(boot(tmp_path)[0]) == ["one", "two"]
    assert not (folder / STARTING).exists()


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    """A sandbox that runs keeps its clone and its settings, whatever the app and the config gained since."""
    app = project(tmp_path, ["greet"])
    config = configuration.load(tmp_path)
    folder = tmp_path / "state"
    clones.make(folder, app)
    before = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (app / "notes.txt").write_text("two")
    Repository(app, ISOLATED).git("add", "--all")
    Repository(app, ISOLATED).git("commit", "--quiet", "--message", "two")
    for fresh in (False, True):
        with running.held(folder), pytest.raises(Refused, match="A sandbox is already running") as caught:
            sandbox.boot(tmp_path, config, folder, Collector(), fresh=fresh)
        assert "start it again" in str(caught.value.steps[-1])
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path: data for path, data in found.items() if not path.endswith(running.LOCK)} == before


def test_its_end_is_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it, and the last line says that nothing is lost."""
    project(tmp_path, ["greet"])

    def interrupted() -> None:
        raise Interrupted

    child: Any = SimpleNamespace(wait=interrupted)
    running_: Any = Running(child, tmp_path, {})
    monkeypatch.setattr(Running, "stop", lambda _: None)
    monkeypatch.setattr(sandbox, "boot", lambda *_, **__: running_)
    monkeypatch.setattr(sandbox, "described", lambda _: {})
    observer = Collector()
    sandbox.run(tmp_path, observer, 0, False, ready=lambda _: None)
    assert observer.events[-1][-1] == "Sandbox stopped. Its state is kept."


@pytest.mark.parametrize("confirm", [True, False])
def test_confirm_is_honoured(tmp_path: Path, confirm: bool) -> None:
    """With `confirm: true` a change of the sandbox asks as one of production does."""
    project(tmp_path, ["greet"])
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("embedded: true", f"embedded: true, confirm: {confirm}".lower()))
    names = ("project_ref", "access_token", "anon_key", "user_email", "user_password")
    running = dict.fromkeys(names, "x") | {"url": "http://127.0.0.1", "api_url": "http://127.0.0.1"}
    assert embedded(configuration.load(tmp_path), "sandbox", running).confirm is confirm


def test_another_deno_is_named(tmp_path: Path) -> None:
    """By the key of the config, not by where it lies."""
    (tmp_path / "settings.json").write_text('{"rehearsal": {"deno_path": "/a/deno", "deno_dir": "/x", "keys": {}}}')
    assert sandbox.changes(tmp_path, {"deno_dir": "/y", "keys": {}}) == ["changed since the last start: rehearsal.deno"]


def test_the_database_has_the_sql_of_before(tmp_path: Path) -> None:
    """Version and name of the files at the base; what came later, and what is no migration, is left out."""
    app = project(tmp_path, ["hello"])
    folder = app / "supabase" / "migrations"
    folder.mkdir()
    (folder / "20260101_first_one.sql").write_text("select 1;")
    (folder / "notes.sql").write_text("--")
    repository = Repository(app, ISOLATED)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "two")
    base = repository.head()
    (folder / "20260202_second.sql").write_text("select 2;")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "three")
    clone = Clone(app, tmp_path / "remote.git", base, repository.head())
    assert sandbox.migrations(clone) == [("20260101", "first_one")]
