"""What is run for a function version, as data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.rehearsal import launch
from migration.rehearsal.launch import NotBootable, prepare
from migration.rehearsal.types import LiveFunction, Sandbox
from migration.source import deno
from tests.support.edge import IDENTITY, Deployed, NoFaults, Rows

URL = "http://127.0.0.1:5555"


@pytest.fixture
def functions(tmp_path: Path) -> Deployed:
    return Deployed(tmp_path / "bundles")


@pytest.fixture
def sandbox(tmp_path: Path, functions: Deployed) -> Iterator[Sandbox]:
    yield Sandbox(tmp_path, IDENTITY, functions, Rows(), NoFaults(), {}, url=URL)


def booted(folder: Path) -> list[str]:
    """What the first module of a worker imports, in order."""
    return re.findall(r'import "(.*)";', (folder / "boot.js").read_text())


def test_the_worker_may_read_its_own_tree_and_call_the_sandbox_and_nothing_else(
    sandbox: Sandbox, functions: Deployed, tmp_path: Path
) -> None:
    live = functions.deploy("a", "")
    config = tmp_path / "run" / f"a-{live.id}-1" / "deno.json"
    assert prepare(sandbox, live, "e1").run == [
        deno.executable(), "run", "--no-lock", "--node-modules-dir=none", "--config", str(config),
        "--quiet", "--no-prompt", "--cached-only", "--allow-import", "--allow-env",
        "--allow-net=127.0.0.1:5555,127.0.0.1:0", 
        f"--allow-read={live.tree},{config.parent / 'e1'},{tmp_path / 'deno' / 'npm'}",
        f"--allow-write={config.parent / 'e1'}", f"--allow-sys={launch._SYSTEM}", "--v8-flags=--max-old-space-size=256",
        "--unstable-no-legacy-abort", str(config.with_name("boot.js")),
    ]  # fmt: skip
    assert booted(config.parent) == [launch.PRELOAD.as_uri(), (live.tree / live.entrypoint).as_uri()]
    assert json.loads(config.read_text()) == {"imports": {}, "scopes": {}}


def test_the_workers_environment_has_nothing_of_this_machine(sandbox: Sandbox, functions: Deployed) -> None:
    env = prepare(sandbox, functions.deploy("a", ""), "e1").env
    assert not {"HOME", "PATH", "USER", "PWD"} & set(env)
    assert (env["DENO_NO_PACKAGE_JSON"], env["DENO_DIR"]) == ("1", str(sandbox.folder / "deno"))
    setup = json.loads(env["SANDBOX_WORKER"])
    assert setup["hosts"]["openrouter.ai"] == f"{URL}/_openrouter"
    assert not [name for name in setup["names"] if name.startswith("DENO_") and name != "DENO_DEPLOYMENT_ID"]


def test_what_must_be_fetched_is_fetched_with_this_machines_own_environment(
    sandbox: Sandbox, functions: Deployed
) -> None:
    assert prepare(sandbox, functions.deploy("a", "'./local.ts'"), "e1").fetch is None
    prepared = prepare(sandbox, functions.deploy("a", "import 'npm:x@1'"), "e1")
    assert prepared.fetch is not None and prepared.fetch[:2] == [deno.executable(), "cache"]
    assert prepared.fetch_env.items() >= {"PATH": os.environ["PATH"], "DENO_NO_PACKAGE_JSON": "1"}.items()


@pytest.mark.parametrize(
    "name",
    [
        "supabase/functions/a/index.ts",
        "file:///tmp/user_fn_ref_id_1/source/supabase/functions/a/index.ts",
        "source/supabase/functions/a/index.ts",
        "../../supabase/functions/a/index.ts",
    ],
)
def test_the_entrypoint_is_found_however_the_metadata_names_it(
    sandbox: Sandbox, functions: Deployed, name: str
) -> None:
    live = functions.deploy("a", "")
    command = prepare(sandbox, replace(live, entrypoint=name), "e1").run
    assert booted(Path(command[-1]).parent)[1] == (live.tree / "supabase/functions/a/index.ts").as_uri()


def test_the_entrypoint_is_the_main_module(sandbox: Sandbox, functions: Deployed) -> None:
    """Where it asks, in a copy of the bundle: what was uploaded stays as it was."""
    live = functions.deploy("a", "if (import.meta.main) Deno.serve(() => new Response());")
    prepared = prepare(sandbox, live, "e1")
    served = prepared.cwd / "supabase/functions/a/index.ts"
    assert served.read_text().startswith("if (true)") and prepared.cwd != live.tree
    assert "import.meta.main" in (live.tree / live.entrypoint).read_text()


def test_a_bundle_without_its_entrypoint_cannot_boot(sandbox: Sandbox, functions: Deployed) -> None:
    live: LiveFunction = replace(functions.deploy("a", ""), entrypoint="supabase/functions/a/main.ts")
    with pytest.raises(NotBootable, match=r"a/main\.ts"):
        prepare(sandbox, live, "e1")


def test_an_import_map_that_cannot_be_read_is_named(sandbox: Sandbox, functions: Deployed) -> None:
    live = functions.deploy("a", "", files={"supabase/functions/a/deno.json": "{"}, import_map="deno.json")
    with pytest.raises((NotBootable, Refused), match=r"deno\.json"):
        prepare(sandbox, live, "e1")


COMMONJS = {"supabase/functions/a/lib.cjs": "module.exports = 1;"}


@pytest.mark.parametrize(
    ("files", "import_map", "hidden"),
    [
        ({}, "", False),
        (COMMONJS, "", True),
        ({"supabase/functions/a/lib.ts": 'import { createRequire } from "node:module";'}, "", True),
        (COMMONJS | {"supabase/functions/a/package.json": "{}"}, "", False),
        (
            COMMONJS | {"supabase/functions/a/package.json": "{}", "supabase/functions/a/deno.json": "{}"},
            "supabase/functions/a/deno.json",
            True,
        ),
        (COMMONJS | {"package.json": "{}"}, "", True),
    ],
)
def test_require_finds_no_files_without_package_json(
    sandbox: Sandbox, functions: Deployed, files: dict[str, str], import_map: str, hidden: bool
) -> None:
    """The platform's bundler packs CommonJS files where a package.json lies beside the entrypoint, without a map."""
    live = functions.deploy("a", "", files=files, import_map=import_map)
    prepare(sandbox, live, "e1")
    modules = booted(sandbox.folder / "run" / f"a-{live.id}-1")
    assert (launch.PRELOAD_REQUIRE.as_uri() in modules) is hidden
