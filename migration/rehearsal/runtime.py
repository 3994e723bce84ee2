"""The Deno that functions run on: the platform's own version, fetched once, or the newer one that Cutover brings."""

from __future__ import annotations

import configparser
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from migration.base.progress import Observer
from migration.config.settings import OWN_DENO
from migration.source import deno
from migration.source.graph import PLATFORM

OURS = version("deno")
_PATIENCE = 300.0  # seconds for 50 MB from the registry that npm is configured with
_OPTIONS = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
# Tried on 2.1.4 and 2.9.8, 2026-11-27, with one program for each construct.
_DIFFERS = (
    'a newer Deno also accepts `with { type: "text" }`, `import defer` and `import source`, knows newer JavaScript '
    "(RegExp.escape, Uint8Array.toBase64, Error.isError), and its timers are objects"
)
_SYSTEMS = {"Linux": "linux-{}-glibc", "Darwin": "darwin-{}"}
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class Unfetched(Exception):
    """Why it could not be fetched, without a full stop."""


def choose(wanted: str | None, root: Path, observer: Observer) -> Path | None:
    """The executable of `rehearsal.deno`, by default the platform's; None for the one that Cutover brings.

    The observer gets what differs where functions run on another version than the platform's.
    """
    wanted = OURS if wanted == OWN_DENO else wanted or PLATFORM
    program = None if wanted == OURS else _found(wanted, root, observer)
    if program is None and wanted == OURS:
        observer.note(f"Functions run on Deno {OURS}, the platform has {PLATFORM}: {_DIFFERS}.")
    elif program and wanted != PLATFORM:
        observer.note(f"Functions run on Deno {wanted}, the platform has {PLATFORM}.")
    return program


def _found(wanted: str, root: Path, observer: Observer) -> Path | None:
    folder = root / ".cutover" / "runtime" / f"deno-{wanted}"
    if (program := installed(folder)) is not None:
        return program
    observer.step("deno", detail=f"fetching Deno {wanted}, once")
    try:
        _fetch(folder, wanted, root)
    except Unfetched as reason:
        observer.failed("deno", detail=f"Deno {wanted} could not be fetched")
        observer.warn(f"Cannot fetch Deno {wanted} ({reason}): functions run on {OURS}; {_DIFFERS}.")
        return None
    observer.done("deno", detail=f"Deno {wanted}, as on the platform" if wanted == PLATFORM else f"Deno {wanted}")
    return installed(folder)


def installed(folder: Path) -> Path | None:
    """The executable that an earlier start fetched into this folder."""
    return next(iter(sorted(folder.glob("node_modules/@deno/*/deno"))), None)


def _fetch(folder: Path, wanted: str, root: Path) -> None:
    """By npm where it is installed, else by Deno; whole or not there. Unfetched when it cannot."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            place = Path(scratch) / "new"
            place.mkdir()
            if npm := shutil.which("npm"):
                _run([npm, "install", *_OPTIONS, "--prefix", str(place), f"deno@{wanted}"], place)
            else:
                _without_npm(place, wanted, root)
            _tried(installed(place), wanted)
            shutil.rmtree(folder, ignore_errors=True)
            place.rename(folder)
    except OSError as error:
        raise Unfetched(f"{error.filename or folder}: {error.strerror or error}") from None


def _without_npm(folder: Path, wanted: str, root: Path) -> None:
    """Let Deno fetch it, which reads the .npmrc of the project and of the user; put it where npm would."""
    name = _package()
    cache = {"DENO_DIR": str(folder / "cache"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    (folder / "deno.json").write_text("{}")  # beside which Deno looks for the project's .npmrc
    if (root / ".npmrc").is_file():
        shutil.copy(root / ".npmrc", folder)
    _run([deno.executable(), "cache", "--quiet", "--no-lock", f"npm:{name}@{wanted}"],
         folder, {**deno.authorities(), **_connection(root), **os.environ, **cache})  # fmt: skip
    for program in folder.glob(f"cache/npm/**/{name}/{wanted}/deno"):
        target = folder / "node_modules" / name / "deno"
        target.parent.mkdir(parents=True, exist_ok=True)
        program.rename(target)
        target.chmod(0o755)
    shutil.rmtree(folder / "cache")
    (folder / ".npmrc").unlink(missing_ok=True)


def _package() -> str:
    """The package with this machine's executable; Unfetched where Deno has none."""
    system, machine = _SYSTEMS.get(platform.system()), _MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        raise Unfetched(f"npm has no Deno for {platform.system()} on {platform.machine()}")
    return f"@deno/{system.format(machine)}"


def _run(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
    """By the registry, the token and the proxies that npm is configured with; Unfetched with its own words."""
    program = Path(command[0]).name
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd=folder, env=env
        )
    except subprocess.TimeoutExpired:
        raise Unfetched(f"{program} did not finish within {_PATIENCE:g}s") from None
    if done.returncode:
        raise Unfetched(_cause(done.stderr) or f"{program} ended with {done.returncode}")


def _cause(complaint: str) -> str:
    """npm's first line, its error code; all that Deno says, which is short."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    of_npm = [line for line in lines if line.startswith("npm error")]
    return of_npm[0] if of_npm else " ".join(lines).removeprefix("error: ").rstrip(".")[:300]


def _connection(root: Path) -> dict[str, str]:
    """The proxy and the certificates that npm or pip is configured with, as variables of Deno; it reads the rest."""
    given = _pip() | _npmrc(Path("~/.npmrc").expanduser()) | _npmrc(root / ".npmrc")
    proxy, certificates = given.get("https-proxy") or given.get("proxy"), given.get("cafile") or given.get("cert")
    variables = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "DENO_CERT": certificates}
    return {"DENO_TLS_CA_STORE": "mozilla,system"} | {name: value for name, value in variables.items() if value}


def _npmrc(file: Path) -> dict[str, str]:
    """Its lines of `name = value`: https://docs.npmjs.com/cli/v10/configuring-npm/npmrc."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = [line.partition("=")[::2] for line in lines if "=" in line]
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def _pip() -> dict[str, str]:
    """Its section `global`: https://pip.pypa.io/en/stable/topics/configuration/."""
    files = ["/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", os.environ.get("PIP_CONFIG_FILE", "")]
    parsed = configparser.RawConfigParser(strict=False)
    try:
        parsed.read([Path(file).expanduser() for file in files if file], "utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    own = {name: os.environ.get(f"PIP_{name.upper()}", "") for name in ("proxy", "cert")}
    return (dict(parsed["global"]) if parsed.has_section("global") else {}) | {k: v for k, v in own.items() if v}


def _tried(executable: Path | None, wanted: str) -> None:
    """Unfetched unless it runs here and is the version that was asked for."""
    if executable is None:
        raise Unfetched("the package holds no Deno for this machine")
    try:
        done = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unfetched(f"it does not run on this machine: {error}") from None
    if not done.stdout.startswith(f"deno {wanted} "):
        raise Unfetched("it does not run on this machine")
