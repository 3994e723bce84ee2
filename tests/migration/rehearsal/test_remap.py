"""A function's own import map, with the replacements that a closed network needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migration.rehearsal import remap


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_without_any_map_there_is_nothing_in_the_config(tmp_path: Path) -> None:
    config = remap.config(tree(tmp_path, {"a.ts": "export {}"}), None, None)
    assert config == {"imports": {}, "scopes": {}}


def test_paths_of_the_functions_map_become_absolute_and_its_compiler_options_stay(tmp_path: Path) -> None:
    own = {"imports": {"x": "./x.ts", "n": "npm:n@1"}, "compilerOptions": {"jsx": "react"}, "tasks": {"dev": "rm -r"}}
    tree(tmp_path, {"f/deno.jsonc": f"// ours\n{json.dumps(own)}"})
    config = remap.config(tmp_path, tmp_path / "f/deno.jsonc", None)
    imports = {"x": (tmp_path / "f/x.ts").as_uri(), "n": "npm:n@1"}
    assert config == {"imports": imports, "scopes": {}, "compilerOptions": {"jsx": "react"}}


def test_a_replacement_reaches_what_the_functions_map_leads_to(tmp_path: Path) -> None:
    own: dict[str, Any] = {
        "imports": {"a": "https://esm.sh/a@1", "b/": "https://esm.sh/b/", "c/": "https://cdn.dev/"},
        "scopes": {"https://x.dev/": {"a": "https://esm.sh/a@1"}},
    }
    replaced = {
        "imports": {"https://esm.sh/a@1": "./a.ts", "https://esm.sh/b/": "./b/", "https://cdn.dev/c.ts": "./c.ts"}
    }
    tree(tmp_path, {"own.json": json.dumps(own), "map/replaced.json": json.dumps(replaced)})
    config = remap.config(tmp_path, tmp_path / "own.json", tmp_path / "map/replaced.json")
    a, b, c = ((tmp_path / "map" / name).as_uri() for name in ("a.ts", "b", "c.ts"))
    assert config["imports"]["a"] == config["imports"]["https://esm.sh/a@1"] == a
    assert config["imports"]["b/"] == config["imports"]["https://esm.sh/b/"] == f"{b}/"
    assert (config["imports"]["c/"], config["imports"]["c/c.ts"]) == ("https://cdn.dev/", c)
    assert config["scopes"] == {"https://x.dev/": {"a": a}}


def test_every_spelling_of_the_old_listener_is_replaced_and_other_modules_are_not(tmp_path: Path) -> None:
    source = 'import "https://deno.land/std@0.168.0/http/server.ts"; import "https://deno.land/std@0.168.0/io/mod.ts";'
    tree(tmp_path, {"a/index.ts": source, "b/x.mjs": "import('https://deno.land/std/http/server.ts')"})
    imports = remap.config(tmp_path, None, None)["imports"]
    assert imports == {
        "https://deno.land/std/http/server.ts": remap.STD_SERVER,
        "https://deno.land/std@0.168.0/http/server.ts": remap.STD_SERVER,
    }


def test_only_a_function_with_remote_imports_has_to_fetch_anything(tmp_path: Path) -> None:
    nothing: dict[str, dict[str, str]] = {"imports": {}, "scopes": {}}
    local = tree(tmp_path / "local", {"a.ts": "import './b.ts'; // see https://deno.com", "b.md": "'npm:x'"})
    npm = tree(tmp_path / "npm", {"a.ts": "import x from 'npm:x@1';"})
    assert not remap.remote(local, nothing)
    assert remap.remote(npm, nothing)
    assert remap.remote(local, {**nothing, "imports": {"x": "jsr:@x/x"}})


def test_only_a_function_that_may_use_nodes_server_is_prepared_for_it(tmp_path: Path) -> None:
    nothing: dict[str, dict[str, str]] = {"imports": {}, "scopes": {}}
    plain = tree(tmp_path / "plain", {"a.ts": 'import { createClient } from "npm:@supabase/supabase-js@2";'})
    assert not remap.node(plain, nothing)
    assert remap.node(plain, {**nothing, "imports": {"express": "npm:express@4"}})
    assert remap.node(tree(tmp_path / "http", {"a.ts": "import http from 'node:http';"}), nothing)
