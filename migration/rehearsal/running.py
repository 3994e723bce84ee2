"""A sandbox as a child process: started, used and stopped by a rehearsal, a test or a benchmark."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from migration.base import durable
from migration.base.command import AGAIN, Do, Shell, inv, sh
from migration.base.errors import CutoverError, Failed, Refused
from migration.rehearsal.identity import KINDS, keys
from migration.rehearsal.mistake import SettingError
from migration.rehearsal.types import Sandbox

if TYPE_CHECKING:
    from migration.clients.http import Http

_ROOT = Path(__file__).resolve().parents[2]
_BOOT, _END = 120.0, 10.0  # a busy machine may take a minute to begin


@dataclass(frozen=True)
class Running:
    """A running sandbox; `info` is its `sandbox.json`. Its end is ours: it stops when this process does."""

    process: subprocess.Popen[bytes]
    folder: Path
    info: Mapping[str, Any]

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return str(self.info["url"])

    @property
    def api_url(self) -> str:
        return str(self.info["api_url"])

    @property
    def access_token(self) -> str:
        return str(self.info["access_token"])

    @property
    def project_ref(self) -> str:
        return str(self.info["project_ref"])

    @property
    def anon_key(self) -> str:
        return str(self.info["anon_key"])

    @property
    def profile(self) -> Path:
        return Path(self.info["profile"])

    @property
    def exports(self) -> str:
        """What points a shell, and the real CLI in it, at the sandbox: a file, since the token is masked in print."""
        return f". {shlex.quote(str(self.folder / EXPORTS))}"

    def fault(self, operation: str, do: str, **more: Any) -> None:
        """Arm one fault; `migration.rehearsal.faults` lists operations and kinds."""
        self._ask("POST", "faults", {"operation": operation, "do": do, **more})

    def heal(self) -> None:
        """Take every fault away."""
        self._ask("DELETE", "faults")

    def faults(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "faults")["armed"])

    def history(self, since: int = 0, operation: str | None = None) -> list[dict[str, Any]]:
        wanted = f"&operation={operation}" if operation else ""
        return list(self._ask("GET", f"history?since={since}{wanted}")["entries"])

    def reset(self) -> None:
        """Back to an empty project: no function, the first secrets, no fault, no history."""
        self._ask("POST", "reset")

    def stop(self) -> None:
        """Orderly by the end of its stdin, by SIGTERM after that, by SIGKILL at last."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        for last in (signal.SIGTERM, signal.SIGKILL):
            try:
                self.process.wait(_END)
                return
            except subprocess.TimeoutExpired:
                self.process.send_signal(last)
        self.process.wait()

    @cached_property
    def _http(self) -> Http:
        from migration.clients.http import Http  # the server itself never needs it, and it is slow to import

        return Http(self.url, {"Authorization": f"Bearer {self.access_token}"}, name="the sandbox")

    def _ask(self, method: str, path: str, json: Any = None) -> Any:
        answer = self._http.request(method, f"/_sandbox/{path}", json=json)
        if not answer.ok:
            raise Failed(f"The sandbox answered {answer.status} to {method} {path}: {answer.text[:300]}")
        return answer.json()


def start(folder: Path, port: int = 0, settings: Mapping[str, Any] | None = None) -> Running:
    """Run the server in this folder until `stop`. Refused, with its own sentence, when it cannot start."""
    folder = folder.absolute()
    config = folder / "settings.json"
    with held(folder):  # a sandbox that runs here keeps its own settings and log
        write_json(config, {"rehearsal": dict(settings or {})})
    command = [sys.executable, "-m", "migration.rehearsal.server", "--dir", str(folder), "--port", str(port),
               "--config", str(config), "--watch-stdin"]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
        )
    return _ready(process, folder)


def _ready(process: subprocess.Popen[bytes], folder: Path) -> Running:
    ends = time.monotonic() + _BOOT
    while time.monotonic() < ends:
        known = read(folder)
        if known is not None and known.get("pid") == process.pid:
            return Running(process, folder, known)
        if process.poll() is not None:
            raise _failure(process.returncode, folder)
        time.sleep(0.01)
    process.kill()
    raise Failed(f"The sandbox did not start within {_BOOT:.0f}s.", Do(f"see {folder / 'server.log'}"), AGAIN)


def _failure(code: int, folder: Path) -> CutoverError:
    lines = (folder / "server.log").read_text(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "no output"
    if last.startswith("ModuleNotFoundError"):
        return Refused(
            f"The parts that the sandbox runs on are not installed ({last.partition(': ')[2]}).", sh("uv", "sync")
        )
    if code != Refused.exit_code:
        return Failed(f"The sandbox ended with exit code {code}: {last}")
    refusal = json.loads(last)  # as `server.main` wrote it
    if mistake := refusal["mistake"]:
        return SettingError(mistake["path"], mistake["why"])
    return Refused(refusal["refused"], *((Do if step["do"] else Shell)(step["text"]) for step in refusal["steps"]))


INFO, PROFILE, EXPORTS, LOCK = "sandbox.json", "profile.yaml", "cli.sh", "server.lock"
REHEARSING = "rehearsal.lock"  # held for all of a rehearsal, which empties its folder before its server runs


@contextlib.contextmanager
def held(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Hold a lock of the folder while this process lives; the kernel releases it even after kill -9."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / lock).open("a+")
    except OSError as error:
        why = error.strerror
        raise Refused(f"Cannot write the sandbox's folder {folder}: {why}.", Do("make it writable"), AGAIN) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if lock != LOCK:
                raise Refused(f"A rehearsal is already running in {folder}.", Do("wait until it ends")) from None
            anew = Do("to take over new commits and settings, stop it with Ctrl-C and start it again")
            raise Refused(_taken(folder), inv("status", env="sandbox"), anew) from None
        yield


def _taken(folder: Path) -> str:
    known = read(folder) or {}
    where = f" at {known['url']} (process {known['pid']})" if known else ""
    return f"A sandbox is already running in {folder}{where}."


def read(folder: Path) -> dict[str, Any] | None:
    """What a running sandbox wrote; None when none has."""
    try:
        saved = json.loads((folder / INFO).read_text())
    except (OSError, ValueError):
        return None
    return saved if isinstance(saved, dict) else None


def write(sandbox: Sandbox) -> None:
    """`sandbox.json`, the CLI's profile and what points a shell at it, all for their owner alone."""
    profile = {"name": "sandbox", "api_url": sandbox.url, "dashboard_url": sandbox.url, "project_host": _host(sandbox)}
    durable.write(sandbox.folder / PROFILE, yaml.safe_dump(profile, sort_keys=False).encode())
    about = info(sandbox)
    exports = {
        "SUPABASE_PROFILE": about["profile"],
        "SUPABASE_ACCESS_TOKEN": about["access_token"],
        "SUPABASE_PROJECT_ID": about["project_ref"],
        "SUPABASE_ANON_KEY": about["anon_key"],
        "SMOKE_USER_EMAIL": about["user_email"],
        "SMOKE_USER_PASSWORD": about["user_password"],
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()]
    durable.write(sandbox.folder / EXPORTS, "".join(lines).encode())
    write_json(sandbox.folder / INFO, about)


def info(sandbox: Sandbox) -> dict[str, Any]:
    """All keys of the identity, and pid, port, api_url, url, folder, profile, app."""
    identity = {name: list(held) if isinstance(held, tuple) else held for name, held in vars(sandbox.identity).items()}
    return {
        "pid": os.getpid(),
        "port": urlsplit(sandbox.url).port,
        "api_url": sandbox.url,
        "url": sandbox.url,
        "site": _site(sandbox),
        "folder": str(sandbox.folder),
        "profile": str(sandbox.folder / PROFILE),
        "app": str(sandbox.folder / "app"),
        "keys": {kind: sandbox.identity.keys(kind)[0] for kind in KINDS},
        "given": keys(sandbox.identity, sandbox.settings.get("keys") or {}),
        **identity,
    }


def _site(sandbox: Sandbox) -> str | None:
    """Where the front end is: another origin than the project's, as in production. None without one."""
    return f"http://localhost:{urlsplit(sandbox.url).port}/" if sandbox.settings.get("site") else None


def forget(folder: Path) -> None:
    (folder / INFO).unlink(missing_ok=True)


def settings(config: Path | None) -> Mapping[str, Any]:
    """The section `rehearsal` of a YAML or JSON file; its import map is looked for beside that file."""
    if config is None:
        return {}
    try:
        values = yaml.safe_load(config.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise Refused(f"Cannot read {config}: {error}", Do("correct it"), AGAIN) from None
    section = (values.get("rehearsal") or {}) if isinstance(values, dict) else {}
    if section.get("import_map"):
        section["import_map"] = str((config.parent / section["import_map"]).absolute())
    return dict(section)


def _host(sandbox: Sandbox) -> str:
    return urlsplit(sandbox.url).hostname or ""


def write_json(path: Path, value: Any) -> None:
    """One JSON document, whole or not there, for its owner alone."""
    durable.write(path, (json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n").encode())
