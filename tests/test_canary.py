"""No secret leaves: canaries in every secret and token, verbs in success and failure, and a search of all they leave.

The project is a copy that acts on a sandbox as if it were hosted: its `.env` holds the sandbox's own keys, which are
made at random and stand nowhere else in it. What a person gets to see, what is written, what git keeps, and what
other processes of this machine can read of ours is searched, raw and URL-, JSON- and base64-encoded.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from migration.base.progress import Observer
from migration.config import load as configuration
from migration.rehearsal import sandbox as stand_in
from migration.rehearsal.running import Running
from tests.support import long, project, repos
from tests.support.edge import until

pytestmark = pytest.mark.slow

SECRETS = {
    "SUPABASE_ACCESS_TOKEN": "access_token",
    "SUPABASE_ANON_KEY": "anon_key",
    "SMOKE_USER_EMAIL": "user_email",
    "SMOKE_USER_PASSWORD": "user_password",
    "OPENROUTER_K2T_KEY": "openrouter_key",
    "OPENROUTER_MANAGEMENT_KEY": "openrouter_management_key",
}
PROC = Path("/proc")
LOOKS = 3


@dataclass
class Session:
    """A user's project, the canaries in its `.env`, and everything that was seen of each verb."""

    made: project.Project
    running: Running
    app: Path
    canaries: Mapping[str, str]
    seen: list[tuple[str, str]] = field(default_factory=list)

    def inv(self, *arguments: str, code: int | None = None, env: Mapping[str, str] | None = None) -> project.Done:
        """Type a verb with every trace switched on, while another process looks over its shoulder."""
        name = " ".join(arguments)
        loud = {"GIT_TRACE": "1", "GIT_CURL_VERBOSE": "1", "PYTHONFAULTHANDLER": "1", **(env or {})}
        with Watcher(self.running.process.pid) as watcher:
            done = self.made.inv(*arguments, env=loud)
        self.seen += [(f"{name}: stdout", done.out), (f"{name}: stderr", done.err)]
        self.seen += [(f"{name}: a process", text) for text in sorted(watcher.commands)]
        if env is None:
            self.seen += [(f"{name}: a child's environment", text) for text in sorted(watcher.environments)]
        assert code is None or done.code == code, done.out + done.err
        return done

    def search(self) -> list[str]:
        """Where a canary shows."""
        places = [*self.seen, *self._files(), *self._objects()]
        return [f"{name} in {where}" for name, value in self.canaries.items() for where, text in places
                if any(form in text for form in forms(value))]  # fmt: skip

    def _files(self) -> Iterator[tuple[str, str]]:
        for path in self.made.folder.rglob("*"):
            if path.is_file() and path != self.made.folder / ".env":
                yield str(path.relative_to(self.made.folder)), path.read_bytes().decode("latin-1")

    def _objects(self) -> Iterator[tuple[str, str]]:
        """Every object of the app's repository and of its remote, and the app's own files."""
        for place in (self.app, self.app.parent / "app.git"):
            command = ["git", "cat-file", "--batch-all-objects", "--batch", "--unordered"]
            done = subprocess.run(
                command, cwd=place, capture_output=True, check=True, env={**os.environ, **repos.QUIET}
            )
            yield f"git objects of {place.name}", done.stdout.decode("latin-1")
            yield f"refs of {place.name}", repos.git(place, "for-each-ref")
        for path in (self.app / ".git").rglob("*"):
            if path.is_file() and "objects" not in path.parts:
                yield str(path), path.read_bytes().decode("latin-1")


class Watcher:
    """Reads the command lines of new processes, and the environments of git and Deno where a verb began them.

    The sandbox is its own world: `apart` is its process, whose workers hold the secrets as functions do.
    """

    def __init__(self, apart: int = 0) -> None:
        self.commands: set[str] = set()
        self.environments: set[str] = set()
        self._apart = {apart}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._looks = dict.fromkeys(self._pids(), LOOKS)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _pids(self) -> list[int]:
        return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()] if PROC.exists() else []

    def _run(self) -> None:
        """A process is looked at a few times: it may still be on its way to what it will be."""
        while not self._ends.wait(0.008):
            for pid in self._pids():
                self._looks[pid] = self._looks.get(pid, 0) + 1
                if self._looks[pid] <= LOOKS:
                    self._read(pid)

    def _read(self, pid: int) -> None:
        path = PROC / str(pid)
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (path / "environ").read_bytes().decode("latin-1")
        except OSError:
            return
        if parent in self._apart:
            self._apart.add(pid)
            return
        self.commands.add(b" ".join(words).decode("latin-1"))
        if Path(os.fsdecode(words[0])).name in ("git", "deno"):
            self.environments.add(environment)


def forms(value: str) -> set[str]:
    """The value as it could be written: raw, in a URL, in JSON, in base64 at each of its three alignments."""
    found = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
    for skipped in range(3):
        whole = base64.b64encode(b"\0" * skipped + value.encode()).decode().rstrip("=")
        found.add(whole[(0, 2, 3)[skipped] : -1])
    return {form for form in found if len(form) >= 8}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("canary")
    made, box = project.copy(folder / "project"), folder / "box"
    config = configuration.load(project.ROOT)
    with stand_in.boot(project.ROOT, config, box, Observer()) as running:
        app = Path(running.info["app"])
        made.edit("path: migration/rehearsal/app ", f"path: {app} ")
        made.edit("vznhbocnuykdmjvujaka", running.project_ref)
        made.edit("api_url: https://api.supabase.com", f"api_url: {running.api_url}")
        made.edit('"https://{project_ref}.supabase.co"', running.url)
        made.edit("url: https://openrouter.ai/api/v1", f"url: {running.url}/_openrouter/api/v1")
        # Nobody counts the sandbox's log queries, and what fails here fails for good: there is nothing to wait for.
        made.edit("logs: {per_minute: 8, patience: 3m}", "logs: {per_minute: 0, patience: 0s}")
        made.edit("delay: 20s", "delay: 1s")
        made.edit("within: 10m", "within: 10s")
        canaries = {name: str(running.info[key]) for name, key in SECRETS.items()}
        (made.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in canaries.items()))
        (made.folder / ".env").chmod(0o600)
        yield Session(made, running, app, canaries)


def unset(session: Session) -> None:
    from migration.clients.http import Http

    path = f"/v1/projects/{session.running.project_ref}/secrets"
    headers = {"Authorization": f"Bearer {session.running.access_token}"}
    assert Http(session.running.api_url, headers).request("DELETE", path, json=["OPENROUTER_K2T_KEY"]).ok


def test_the_search_finds_what_leaks(session: Session) -> None:
    """A canary in each form, in each place, is found: the test below can fail."""
    value = session.canaries["OPENROUTER_K2T_KEY"]
    hidden = base64.b64encode(b"Bearer " + value.encode()).decode()
    for text in (value, f"x{json.dumps(value)}", quote(value, safe=""), hidden):
        other = Session(session.made, session.running, session.app, session.canaries, [("a line", text)])
        assert any("OPENROUTER_K2T_KEY in a line" in hit for hit in other.search()), text
    leak = session.made.folder / ".cutover" / "leak.txt"
    leak.parent.mkdir(exist_ok=True)
    leak.write_text(value)
    assert session.search() == ["OPENROUTER_K2T_KEY in .cutover/leak.txt"]
    leak.unlink()
    with Watcher() as watcher:
        child = subprocess.Popen([sys.executable, "-c", "input()", value], stdin=subprocess.PIPE)
        until(lambda: any(value in command for command in watcher.commands) or not PROC.exists())
        child.communicate(b"\n")


def test_a_session_leaks_nothing(session: Session) -> None:
    """The secret set, a deployment, and the diagnosis when the platform refuses the token."""
    unset(session)
    session.inv("secret", "--set", "--yes", code=0)
    session.inv("deploy", "--yes", "--no-gate", "--json", code=0)
    session.running.fault("secrets_list", "status", status=401, body={"message": "Unauthorized"}, times=0)
    session.inv("doctor", "--fix", "--yes")
    session.running.heal()
    assert session.search() == []


def test_a_crash_leaks_nothing(session: Session) -> None:
    """A mistake of ours whose text, locals and traceback hold the keys: the sentence and the report are masked."""
    file = session.made.folder / "migration" / "setup" / "secret.py"
    text = file.read_text()
    crash = "    token = context.environment.access_token.reveal()\n    raise RuntimeError(f'Bearer {token} failed')\n"
    head, begins, rest = text.partition("def verify(context: Context) -> SecretResult:\n")
    doc, _, body = rest.partition("\n")
    file.write_text(head + begins + doc + "\n" + crash + body)
    for arguments in (["secret", "--json"], ["--debug", "secret"]):
        done = session.inv(*arguments)
        assert done.code in (3, 5) and "REDACTED" in done.out + done.err
    assert "RuntimeError" in (session.made.folder / ".cutover" / "crash.txt").read_text()
    file.write_text(text)
    assert session.search() == []


def test_keys_in_the_environment_do_not_reach_children(session: Session) -> None:
    """As in CI, without `.env`: git and Deno run without the variables that hold them."""
    away = session.made.folder / ".env"
    kept = away.read_text()
    away.unlink()
    with Watcher(session.running.process.pid) as watcher:
        done = session.made.inv("plan", "--json", env=dict(session.canaries))
    away.write_text(kept)
    away.chmod(0o600)
    assert done.code == 0, done.out + done.err
    held = [name for name, value in session.canaries.items() for text in watcher.environments if value in text]
    assert watcher.environments or not PROC.exists()
    assert held == []


VERBS = [
    ["init"], ["secret"], ["secret", "--set", "--yes"], ["plan", "--diff"], ["deploy", "--yes"],
    ["smoke", "--env", "prod", "--junit", ".cutover/smoke.xml"], ["logs", "--since", "10m"], ["logs", "--explain"],
    ["costs"], ["checks", "--junit", ".cutover/checks.xml"], ["status"], ["history"], ["history", "--note", "a word"],
    ["doctor"], ["doctor", "--fix", "--yes"], ["soak", "--yes", "--max-requests", "2"], ["unlock", "nobody", "--yes"],
    ["rollback", "--yes"],
]  # fmt: skip
WAYS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((), ()), ((), ("--json",)), (("--debug",), ())]
FAULTS = [None, ("list", 401), ("secrets_list", 403), ("logs", 500), ("openrouter", 401), ("edge", 500)]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_verb_leaks_nothing(session: Session, fault: tuple[str, int] | None) -> None:
    """Each verb, for a person, as JSON and with every log of the libraries on by turns (twice each over all faults):
    when all is well, and when a service refuses and says our token.
    """
    began, loud = time.monotonic(), len(session.seen)
    codes: dict[int, int] = {}
    for number, arguments in enumerate(VERBS, FAULTS.index(fault)):
        session.running.heal()
        if fault:
            body = {"message": f"Bearer {session.running.access_token} is not welcome"}
            session.running.fault(fault[0], "status", status=fault[1], body=body, times=0)
        before, after = WAYS[number % 3]
        done = session.inv(*before, *arguments, *after)
        codes[done.code] = codes.get(done.code, 0) + 1
    session.running.heal()
    assert not fault or set(codes) != {0}, "the fault did strike"
    hits = session.search()
    searched = sum(len(text) for _, text in session.seen[loud:])
    told = {"exit codes": " ".join(f"{code}×{n}" for code, n in sorted(codes.items()))}
    found = {**told, "megabytes of output": round(searched / 1e6, 1), "leaks": len(hits)}
    long.report(
        "Canaries",
        f"every verb, {' '.join(map(str, fault or ['no fault']))}",
        len(VERBS),
        time.monotonic() - began,
        found,
    )
    assert hits == []
