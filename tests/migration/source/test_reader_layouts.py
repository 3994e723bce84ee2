"""Trees as people really lay them out, generated: read at once, the same from git, and as the real CLI uploads them."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import peer
from migration.base.errors import Refused
from migration.git.repository import Repository
from migration.rehearsal.server import Running
from migration.source import deno, scope
from migration.source.reader import Reader
from tests.support import repos

HOME = "supabase/functions"
SERVE = 'Deno.serve(() => new Response("hi"));\n'


def shared_deno_json() -> dict[str, str]:
    """One supabase/functions/deno.json, named for every function; a shared folder behind a prefix."""
    slugs = ["api", "cron", "hook"]
    config = {"imports": {"@shared/": "./_shared/", "zod": "npm:zod@3", "@std/assert": "jsr:@std/assert@1"}}
    files = {f"{HOME}/deno.json": json.dumps(config, indent=2)}
    for slug in slugs:
        text = 'import { cors } from "@shared/cors.ts";\nimport { z } from "zod";\nconsole.log(cors, z);\n'
        files[f"{HOME}/{slug}/index.ts"] = text + SERVE
    files[f"{HOME}/_shared/cors.ts"] = 'export { cors } from "./deep/headers.ts";\n'
    files[f"{HOME}/_shared/deep/headers.ts"] = "export const cors = {};\n"
    files[f"{HOME}/_shared/unused.test.ts"] = 'import "./gone.ts";\n'
    files["supabase/config.toml"] = "".join(
        f'[functions.{slug}]\nimport_map = "./functions/deno.json"\nverify_jwt = {str(slug != "hook").lower()}\n'
        for slug in slugs
    )
    return files


def many_functions() -> dict[str, str]:
    """55 functions over 20 shared modules, each with a deno.json of its own."""
    dice = random.Random(55)
    files = {
        f"{HOME}/_shared/m{number}.ts": "".join(
            f'import "./m{other}.ts";\n' for other in sorted(dice.sample(range(number), min(number, 2)))
        )
        for number in range(20)
    }
    for number in range(55):
        imports = "".join(f'import "../_shared/m{other}.ts";\n' for other in dice.sample(range(20), 3))
        files[f"{HOME}/fn-{number}/index.ts"] = f'{imports}import "local";\n{SERVE}'
        files[f"{HOME}/fn-{number}/local.ts"] = f"export const n = {number};\n"
        files[f"{HOME}/fn-{number}/deno.json"] = json.dumps({"imports": {"local": "./local.ts"}})
    files["supabase/config.toml"] = 'project_id = "many"\n'
    return files


def deno_jsonc() -> dict[str, str]:
    """A deno.jsonc with comments, trailing commas and scopes, beside a lock and the settings of an editor."""
    config = """{
  // tasks are for people
  "tasks": { "dev": "deno run index.ts" },
  "imports": {
    "lib/": "../../../packages/lib/", /* outside supabase */
    "mode": "./modes/a.ts",
  },
  "scopes": { "./inner/": { "mode": "./modes/b.ts", }, },
  "fmt": { "lineWidth": 120 },
  "lock": "./deno.lock",
}
"""
    return {
        f"{HOME}/api/deno.jsonc": config,
        f"{HOME}/api/deno.lock": '{"version":"4"}',
        f"{HOME}/api/index.ts": 'import "lib/a.ts";\nimport "mode";\nimport "./inner/x.ts";\n' + SERVE,
        f"{HOME}/api/inner/x.ts": 'import "mode";\n',
        f"{HOME}/api/modes/a.ts": "export {};\n",
        f"{HOME}/api/modes/b.ts": "export {};\n",
        "packages/lib/a.ts": 'import "./b.ts";\n',
        "packages/lib/b.ts": "export {};\n",
        "supabase/config.toml": 'project_id = "jsonc"\n',
        ".vscode/settings.json": '{"deno.enable": true}',
    }


def npm_workspaces() -> dict[str, str]:
    """A front end's npm workspace around it; a function imports a package's source by path."""
    return {
        "package.json": '{"private": true, "workspaces": ["packages/*", "apps/*"]}',
        "packages/core/package.json": '{"name": "@acme/core", "exports": "./src/index.ts"}',
        "packages/core/src/index.ts": 'export * from "./price.ts";\n',
        "packages/core/src/price.ts": 'import { z } from "npm:zod@3";\nexport const price = z;\n',
        "apps/web/package.json": '{"name": "web", "dependencies": {"@acme/core": "*"}}',
        "apps/web/src/page.tsx": 'import { price } from "@acme/core";\nexport default price;\n',
        f"{HOME}/pay/index.ts": 'import { price } from "../../../packages/core/src/index.ts";\nprice;\n' + SERVE,
        f"{HOME}/pay/deno.json": '{"imports": {}}',
        ".gitignore": "node_modules\n",
        "supabase/config.toml": 'project_id = "npm"\n',
    }


LAYOUTS = {
    "shared deno.json": shared_deno_json(),
    "55 functions": many_functions(),
    "deno.jsonc": deno_jsonc(),
    "npm workspaces": npm_workspaces(),
}


def _slugs(files: Mapping[str, str]) -> list[str]:
    found = [path.split("/")[2] for path in files if path.startswith(f"{HOME}/") and path.endswith("/index.ts")]
    return [slug for slug in dict.fromkeys(found) if not slug.startswith("_")]


def _app(folder: Path, files: Mapping[str, str]) -> Path:
    repos.alone(folder)
    repos.commit(folder, files)
    return folder


@pytest.mark.parametrize("name", LAYOUTS)
def test_git_and_disk_agree(name: str, tmp_path: Path) -> None:
    """Every function, and of a change to a shared file those that reach it."""
    files = LAYOUTS[name]
    app, slugs = _app(tmp_path / "app", files), _slugs(files)
    own = Reader(Repository(app, repos.QUIET), tmp_path / "state")
    base = own.repository.head()
    now, then = own.working(slugs), own.at(base, slugs)
    assert {slug: one.digest for slug, one in now.items()} == {slug: one.digest for slug, one in then.items()}
    assert [one.warnings for one in now.values()] == [()] * len(slugs)
    reached = {path for one in now.values() for path in one.tracked}
    revision = repos.commit(app, {path: f"{files[path]}\n" for path in files})
    assert scope.sources(own, base, revision, slugs)[0] == reached
    assert not any(path.startswith(("apps/", ".vscode", "package.json")) or "unused" in path for path in reached)


def test_many_functions_are_few_runs_of_deno(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those whose import map is the same text and names no path share one; none runs a second time."""
    files = {path: text for path, text in many_functions().items() if "/deno.json" not in path}
    same = {f"{HOME}/fn-{number}/deno.json": '{"imports": {"local": "npm:local@1"}}' for number in range(55)}
    app, runs = _app(tmp_path / "app", {**files, **same}), []
    real = deno.info
    monkeypatch.setattr(deno, "info", lambda *rest: (runs.append(rest[0]), real(*rest))[1])  # type: ignore[func-returns-value]
    own = Reader(Repository(app, repos.QUIET), tmp_path / "state")
    assert len(own.working(_slugs(files))) == 55
    assert len(runs) == 1
    own.working(_slugs(files))
    assert len(runs) == 1


def test_a_package_by_its_name_is_refused_with_the_reason(tmp_path: Path, deno_state: Path) -> None:
    """npm's workspace is not uploaded, nor is a package.json beside the function."""
    files = {**npm_workspaces(), f"{HOME}/pay/index.ts": 'import "@acme/core";', f"{HOME}/pay/package.json": "{}"}
    with pytest.raises(Refused, match=r'"@acme/core" is in no import map that is uploaded \(.*package\.json is not'):
        Reader(Repository(_app(tmp_path / "app", files), repos.QUIET), deno_state).working(["pay"])


@pytest.fixture(scope="module")
def executable() -> Path:
    try:
        return peer.find()
    except peer.Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI must drive the real CLI: {missing}")
        pytest.skip(str(missing))


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_real_cli_uploads_the_same(name: str, sandbox: Running, executable: Path, tmp_path: Path) -> None:
    """Loose files included; and the sandbox's bundler takes it."""
    files = LAYOUTS[name]
    app, slugs = _app(tmp_path / "app", files), _slugs(files)[:3]
    (tmp_path / "home").mkdir()
    cli = peer.Cli(executable, sandbox, tmp_path / "home")
    done = cli.run(["functions", "deploy", *slugs, "--use-api", "--yes", f"--remote={sandbox.project_ref}"], app)
    assert done.code == 0, done.stderr
    ours = Reader(Repository(app, repos.QUIET), tmp_path / "state").working(slugs)
    for slug in slugs:
        sent = {
            line.split(f"({slug}): ")[1] for line in done.stderr.splitlines() if f"Uploading asset ({slug})" in line
        }
        assert set(ours[slug].files) == sent
