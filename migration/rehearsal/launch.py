"""How a function version is started: command lines, environment and config, built here and run in `isolate`."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from migration.base import durable
from migration.rehearsal import hosts, remap
from migration.rehearsal.backend.relay import Stack
from migration.rehearsal.identity import Identity
from migration.rehearsal.options import Limits
from migration.rehearsal.types import LiveFunction, Sandbox
from migration.source import deno, functions_config

HOSTS = {
    "openrouter.ai": "openrouter", "api.openai.com": "openai", "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
}  # fmt: skip
PRELOAD = Path(__file__).with_name("preload.js")
PRELOAD_NODE = Path(__file__).with_name("preload_node.js")
PRELOAD_REQUIRE = Path(__file__).with_name("preload_require.js")
# The runtime that CLI 3.1.0 names; functions read it in Deno.version and SUPABASE_VERSION.
EDGE_RUNTIME = "1.78.1"
# What npm packages ask of node:os by names that no preload reaches. Only the app's own machine answers.
_SYSTEM = "hostname,cpus,homedir,uid,gid,userInfo"
_MAIN = re.compile(r"\bimport\.meta\.main\b")
_COMMON = ("--no-lock", "--node-modules-dir=none")
_DENO = {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "DENO_NO_PACKAGE_JSON": "1"}


class NotBootable(Exception):
    """The function cannot be started; the text is what the platform would log."""


@dataclass(frozen=True)
class Launch:
    """`fetch` brings in what is not local, with this machine's own environment; None when all is local.

    `tmp` is the worker's own /tmp, to be removed once it is gone.
    """

    run: list[str]
    env: dict[str, str]
    cwd: Path
    fetch: list[str] | None
    fetch_env: dict[str, str]
    tmp: Path


def prepare(sandbox: Sandbox, live: LiveFunction, execution: str) -> Launch:
    """NotBootable when the bundle has no such entrypoint or import map."""
    folder = sandbox.folder / "run" / f"{live.slug}-{live.id}-{live.version}"
    tree = _served(live.tree, _inside(live.tree, live.entrypoint), folder)
    entry = _inside(tree, live.entrypoint)
    own = _inside(tree, live.import_map) if live.import_map else None
    config = remap.config(tree, own, _path(sandbox.settings.get("import_map")))
    written = folder / "deno.json"
    durable.write(written, json.dumps(config).encode(), sync=False)
    tmp = folder / execution  # what the function sees as /tmp
    tmp.mkdir(exist_ok=True)
    common = [*_COMMON, "--config", str(written)]
    env = variables(sandbox, live, execution)
    inner = _DENO | {"DENO_DIR": str(cache_folder(sandbox))}
    preload = PRELOAD_NODE if remap.node(tree, config) else PRELOAD
    own_deno = platform_deno(sandbox)
    # The platform's version knows no --preload, and shares no cache with a newer one.
    boot = written.with_name("boot.js")
    first = [preload, *([PRELOAD_REQUIRE] if remap.commonjs(tree) and not _packaged(live, entry) else []), entry]
    code = "".join(f'import "{module.as_uri()}";\n' for module in first)
    durable.write(boot, code.encode(), sync=False)
    program = str(own_deno) if own_deno else deno.executable()
    if own_deno:
        inner["DENO_DIR"] += f"-{own_deno.parts[-5]}"
    packages = Path(inner["DENO_DIR"]) / "npm"
    start = [program, "run", *common, *_permissions(sandbox, (tree, tmp, packages), tmp)]
    if own_deno is None:
        start.append("--unstable-no-legacy-abort")
    if _commonjs(entry):
        start.append("--unstable-detect-cjs")
    start.append(str(boot))
    setup = _setup(sandbox, live, env, tree, tmp) | {"main": entry.as_uri(), "packages": str(packages)}
    return Launch(
        run=start,
        env=env | inner | {"SANDBOX_WORKER": json.dumps(setup)},
        cwd=tree,
        fetch=_fetch(start[0], common, entry) if remap.remote(tree, config) else None,
        fetch_env={"DENO_TLS_CA_STORE": "mozilla,system"} | dict(os.environ) | deno.authorities() | inner,
        tmp=tmp,
    )


def variables(sandbox: Sandbox, live: LiveFunction, execution: str) -> dict[str, str]:
    """All that a function finds in its environment: its secrets and the platform's own names."""
    return {
        **sandbox.functions.secrets(),
        **_platform(sandbox.identity, sandbox.url),
        **({"SUPABASE_DB_URL": Stack.of(backend).database} if (backend := sandbox.settings.get("backend")) else {}),
        **_worker(sandbox, live, execution),
    }


def cache_folder(sandbox: Sandbox) -> Path:
    """DENO_DIR: the sandbox's own unless `deno_dir` names one to share between sandboxes."""
    return _path(sandbox.settings.get("deno_dir")) or sandbox.folder / "deno"


def platform_deno(sandbox: Sandbox) -> Path | None:
    """The platform's Deno, where it was fetched."""
    return _path(sandbox.settings.get("deno_path"))


def _platform(identity: Identity, url: str) -> dict[str, str]:
    return {
        "SUPABASE_URL": url,
        "SUPABASE_ANON_KEY": identity.anon_key,
        "SUPABASE_SERVICE_ROLE_KEY": identity.service_role_key,
        # No database runs here, and the port is not allowed: who connects is refused at once.
        "SUPABASE_DB_URL": "postgresql://postgres:postgres@127.0.0.1:5432/postgres",
        "SUPABASE_PUBLISHABLE_KEYS": json.dumps({"default": identity.publishable_key}),
        "SUPABASE_SECRET_KEYS": json.dumps({"default": identity.secret_key}),
        "SUPABASE_JWKS": json.dumps({"keys": []}),
    }


def _worker(sandbox: Sandbox, live: LiveFunction, execution: str) -> dict[str, str]:
    return {
        "SB_REGION": sandbox.region,
        "SB_EXECUTION_ID": execution,
        "DENO_DEPLOYMENT_ID": deployment_id(sandbox.identity, live),
        "SUPABASE_FUNCTION_SLUG": live.slug,
    }


def deployment_id(identity: Identity, live: LiveFunction) -> str:
    return f"{identity.project_ref}_{live.id}_{live.version}"


def _setup(sandbox: Sandbox, live: LiveFunction, env: Mapping[str, str], tree: Path, tmp: Path) -> dict[str, Any]:
    """What the preload module must know: the sandbox, where outside hosts lead, and the names a function may see."""
    return {"url": sandbox.url, "hosts": leads(sandbox), "names": sorted(env), "tmp": str(tmp), "tree": str(tree),
            "static": _static(live, tree), "quota": Limits.of(sandbox.settings).tmp * 2**20,
            "syncReads": Limits.of(sandbox.settings).sync_reads,
            "database": _database(sandbox), "caller": f"{live.id} {live.version}",
            "runtime": EDGE_RUNTIME}  # fmt: skip


def _static(live: LiveFunction, tree: Path) -> list[str]:
    """The files that the function may read: those of `static_files`."""
    return [str(path) for pattern in live.static for path in functions_config.match(tree, pattern)]


def leads(sandbox: Sandbox) -> dict[str, str]:
    """Where the requests to each outside host end: the address of its stand-in."""
    kinds = {**HOSTS, **(sandbox.settings.get("addresses") or {})}
    return {
        **{host: f"{sandbox.url}/_{kind}" for host, kind in kinds.items()},
        f"{sandbox.identity.project_ref}.supabase.co": sandbox.url,
        **hosts.addresses(sandbox.url, sandbox.settings),
    }


def stand_ins(sandbox: Sandbox) -> dict[str, str]:
    """The paths of the stand-ins, by host."""
    return {host: url.removeprefix(sandbox.url) for host, url in leads(sandbox).items()}


def _permissions(sandbox: Sandbox, readable: Sequence[Path], tmp: Path) -> list[str]:
    """Imports may name any host, because `--cached-only` lets none of them be asked."""
    return [
        "--quiet", "--no-prompt", "--cached-only", "--allow-import", "--allow-env",
        f"--allow-net={','.join(_reached(sandbox))}",
        f"--allow-read={','.join(map(str, readable))}", f"--allow-write={tmp}", f"--allow-sys={_SYSTEM}",
        f"--v8-flags=--max-old-space-size={Limits.of(sandbox.settings).memory}",
    ]  # fmt: skip


def _reached(sandbox: Sandbox) -> list[str]:
    """Port 0 is the worker's own listener; it may call the sandbox and a local stack's database, and nothing else."""
    return list(filter(None, [urlsplit(sandbox.url).netloc, "127.0.0.1:0", _database(sandbox)]))


def _database(sandbox: Sandbox) -> str:
    """Host and port of the local stack's Postgres; empty without a stack."""
    backend = sandbox.settings.get("backend")
    return urlsplit(Stack.of(backend).database).netloc.rpartition("@")[2] if backend else ""


def _packaged(live: LiveFunction, entry: Path) -> bool:
    """Whether the platform's bundler looks at a package.json: beside the entrypoint, without an import map.

    https://github.com/supabase/cli, apps/cli-go/pkg/function/bundle.go, ShouldUsePackageJsonDiscovery
    """
    return not live.import_map and entry.with_name("package.json").is_file()


def _commonjs(entry: Path) -> bool:
    """Whether the package.json beside the entrypoint makes it CommonJS: https://nodejs.org/api/packages.html#type."""
    try:
        described = json.loads(entry.with_name("package.json").read_text("utf-8-sig"))
    except (OSError, ValueError):
        return False
    kind = described.get("type", "commonjs") if isinstance(described, dict) else ""
    return entry.suffix == ".js" and kind == "commonjs" and "require(" in entry.read_text("utf-8", "replace")


def _served(tree: Path, entry: Path, folder: Path) -> Path:
    """The uploaded files, or a copy in which the entrypoint's `import.meta.main` is true: another module imports it."""
    code = entry.read_text("utf-8", "replace")
    if not _MAIN.search(code):
        return tree
    copy = folder / "tree"
    if not copy.exists():
        shutil.copytree(tree, copy)
        (copy / entry.relative_to(tree)).write_text(_MAIN.sub("true", code), "utf-8")
    return copy


def _fetch(executable: str, common: list[str], entry: Path) -> list[str]:
    return [executable, "cache", "--quiet", "--allow-import", *common, str(entry)]


def _path(value: object) -> Path | None:
    return Path(str(value)).absolute() if value else None


def _inside(tree: Path, name: str) -> Path:
    """The uploaded file that a path of the metadata means: its longest tail that was uploaded."""
    parts = [part for part in PurePosixPath(unquote(name.removeprefix("file://"))).parts if part not in ("/", "..")]
    for start in range(len(parts)):
        if (file := tree.joinpath(*parts[start:])).is_file():
            return file
    raise NotBootable(f"failed to bootstrap runtime: could not find {name} in the bundle")
