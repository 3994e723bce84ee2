"""What is uploaded is what Deno needs, and otherwise what the real CLI uploads."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.git.repository import Repository
from migration.source import reader, source
from migration.source.functions_config import Project
from tests.support import repos, sources

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data/recorded/inputs.json").read_text())
RECORDED.pop("_readme")

# Where our set differs from the CLI's, file by file, and why.
LESS = {
    "comments_and_strings": {
        "supabase/functions/hello/a.ts": "named in a line comment only",
        "supabase/functions/hello/b.ts": "named in a block comment only",
        "supabase/functions/hello/c.ts": "named in a string only",
        "supabase/functions/hello/d.ts": "named in a template literal only",
    },
}
MORE: dict[str, dict[str, str]] = {}

# What the CLI sends although it cannot run, or fails on with a message of its own: refused before anything is sent.
REFUSED = {
    "import_map_in_function_dir": "no longer reads an import_map.json beside a function",
    "deno_json_invalid": "deno.json:2:1: not valid JSON",
    "deno_json_missing_local_entry": "gone.ts, which does not exist",
    "static_files_directory": "assets is a folder",
    "entrypoint_missing": "supabase/functions/hello/index.ts does not exist",
    "missing_local_import": "supabase/functions/hello/gone.ts does not exist",
    "missing_via_map": "supabase/functions/hello/x/gone.ts does not exist",
    "import_is_directory": "pkg.d is a folder",
    "extensionless": "util does not exist",
    "outside_project_no_git": "lies outside the app",
    "outside_project_in_git": "lies outside the app",
    "multi_one_bad_locally": "alpha/deno.json:1:2: not valid JSON",
    "import_map_bad_shape": "imports.a must be a string",
    "import_map_flag_missing": "the import map cannot be read",
    "config_invalid": "supabase/config.toml:1:14: not valid TOML",
    "invalid_slug": "'9bad' cannot be a function's name",
    "remote_specifiers": '"bare/sub.ts" is in no import map that is uploaded',
    "entry_override_with_deno_in_default_dir": "supabase/functions/hello/deno.json has it, and is not",
}
# The CLI's business alone: nothing of a source is read.
APART = {"no_functions", "jobs_without_use_api", "disabled_only", "disabled_named"}


def _plant(root: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, "utf-8", newline="")
        elif "symlink" in content:
            path.symlink_to(content["symlink"])
        else:
            path.write_bytes(base64.b64decode(content["base64"]))


def _app(root: Path, case: dict[str, Any]) -> Path:
    """The tree of a scenario; what the CLI was stated by a flag stands in config.toml, our only place for it."""
    _plant(root, case["files"])
    app = root / "app" if case.get("cwd") == "app" else root
    flags = case["command"]
    config = app / "supabase/config.toml"
    if "--no-verify-jwt" in flags:
        config.write_text(config.read_text().replace("verify_jwt = true", "verify_jwt = false"))
    if "--import-map" in flags:
        given = flags[flags.index("--import-map") + 1]
        config.write_text(config.read_text() + f'[functions.hello]\nimport_map = "../{given}"\n')
    return app


def _slugs(case: dict[str, Any]) -> list[str]:
    given = case["command"][2]
    return list(case["expect"]["uploads"]) or ([given] if not given.startswith("-") else ["alpha"])


def _remote(case: dict[str, Any], slug: str) -> bool | None:
    return next((each["verify_jwt"] for each in case.get("remote_functions", ()) if each["slug"] == slug), None)


@pytest.mark.parametrize("name", sorted(set(RECORDED) - set(REFUSED) - APART))
def test_uploads_what_the_real_cli_uploads(name: str, tmp_path: Path, deno_state: Path) -> None:
    case = RECORDED[name]
    app = _app(tmp_path, case)
    found = reader.whole(sources.attempts(app, _slugs(case), deno_state))
    for slug, sent in case["expect"]["uploads"].items():
        files = {path.replace('"', "%22").replace("\n", "%0A") for path in found[slug].files}
        expected = set(sent) - set(LESS.get(name, ())) | set(MORE.get(name, ()))
        assert files == expected
        written = found[slug].verify_jwt
        metadata = found[slug].upload(_remote(case, slug) if written is None else written).metadata
        assert list(metadata.items()) == list(case["expect"]["metadata"][slug].items())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refuses_what_could_not_run(name: str, tmp_path: Path, deno_state: Path) -> None:
    case = RECORDED[name]
    app = _app(tmp_path, case)
    with pytest.raises(Refused) as caught:
        reader.whole(sources.attempts(app, ["alpha"] if name.startswith("multi") else _slugs(case), deno_state))
    assert REFUSED[name] in caught.value.message


def test_every_recorded_scenario_is_judged() -> None:
    judged = set(RECORDED) - set(REFUSED) - APART
    assert judged | set(REFUSED) | APART == set(RECORDED)
    assert len(RECORDED) == 70
    assert set(LESS) | set(MORE) <= judged


def _write(root: Path, **files: str) -> Path:
    _plant(root, {f"supabase/functions/hello/{name}": text for name, text in files.items()})
    return root


def test_sends_what_the_regular_expression_of_the_cli_misses(tmp_path: Path, deno_state: Path) -> None:
    """Minified imports, a template literal without holes, a comment inside the call: Deno follows all of them."""
    index = 'import{e}from"./e.ts";import"./f.ts";export{g}from"./g.ts";await import(`./t.ts`);console.log(e);'
    index += 'await import(/* why */ "./d.ts");'
    app = _write(tmp_path, **{"index.ts": index, "e.ts": "export const e=1", "f.ts": "", "g.ts": "export const g=1"})
    _write(tmp_path, **{"t.ts": "", "d.ts": "", "unrelated.ts": ""})
    found = sources.read(app, "hello", deno_state)
    assert {Path(path).name for path in found.files} == {"index.ts", "e.ts", "f.ts", "g.ts", "t.ts", "d.ts"}


def test_a_syntax_error_is_refused_with_file_and_line(tmp_path: Path, deno_state: Path) -> None:
    app = _write(tmp_path, **{"index.ts": 'import "./bad.ts";\n', "bad.ts": "\nimport ???\n"})
    with pytest.raises(Refused, match=r"supabase/functions/hello/bad\.ts:2:8: syntax error"):
        sources.read(app, "hello", deno_state)


def test_a_missing_import_is_refused_with_the_line_that_names_it(tmp_path: Path, deno_state: Path) -> None:
    app = _write(tmp_path, **{"index.ts": '\nimport "./gone.ts";\n'})
    with pytest.raises(Refused, match=r"hello/index\.ts:2:8: supabase/functions/hello/gone\.ts does not exist"):
        sources.read(app, "hello", deno_state)


def test_a_symlink_that_leaves_the_app_is_refused(tmp_path: Path, deno_state: Path) -> None:
    (tmp_path / "outside.ts").write_text("")
    app = _write(tmp_path / "app", **{"index.ts": 'import "./link.ts";'})
    (app / "supabase/functions/hello/link.ts").symlink_to(tmp_path / "outside.ts")
    text = f"hello/link.ts is a symlink to {tmp_path}/outside.ts, which lies outside the app"
    with pytest.raises(Refused, match=text):
        sources.read(app, "hello", deno_state)


def test_a_file_and_a_symlink_to_it_are_both_sent(tmp_path: Path, deno_state: Path) -> None:
    """The CLI sends only the first of the two, and the other import then fails on the platform."""
    app = _write(tmp_path, **{"index.ts": 'import "./a.ts"; import "./b.ts";', "a.ts": "export {}"})
    (app / "supabase/functions/hello/b.ts").symlink_to("a.ts")
    assert len(sources.read(app, "hello", deno_state).files) == 3


def test_more_than_20_mb_is_refused_and_more_than_5_mb_is_a_warning(tmp_path: Path, deno_state: Path) -> None:
    app = _write(tmp_path, **{"index.ts": ""})
    (tmp_path / "supabase/config.toml").write_text('[functions.hello]\nstatic_files = ["./functions/hello/*.bin"]\n')
    heavy = app / "supabase/functions/hello/heavy.bin"
    heavy.write_bytes(b"\0" * 5_000_001)
    assert "5.0 MB" in sources.read(app, "hello", deno_state).warnings[0]
    with heavy.open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(Refused, match=r"at most 20 MB\. The largest is supabase/functions/hello/heavy\.bin"):
        sources.read(app, "hello", deno_state)


def test_the_digest_moves_with_files_and_settings_and_nothing_else(tmp_path: Path, deno_state: Path) -> None:
    app = _write(tmp_path, **{"index.ts": "export {}", "unused.ts": "1"})
    first = sources.read(app, "hello", deno_state).digest
    _write(tmp_path, **{"unused.ts": "2"})
    assert sources.read(app, "hello", deno_state).digest == first
    (tmp_path / "supabase/config.toml").write_text("[functions.hello]\nverify_jwt = false\n")
    second = sources.read(app, "hello", deno_state).digest
    _write(tmp_path, **{"index.ts": "export {};"})
    assert len({first, second, sources.read(app, "hello", deno_state).digest}) == 3


def test_all_refusals_are_stated_at_once(tmp_path: Path, deno_state: Path) -> None:
    _write(tmp_path, **{"index.ts": 'import "./gone.ts"'})
    with pytest.raises(Refused) as caught:
        reader.whole(sources.attempts(tmp_path, ["hello", "other"], deno_state))
    assert "gone.ts" in caught.value.message
    assert "other" in caught.value.message


REF = "abcdefghijklmnopqrst"
ROOT_CONFIG = '{"workspace":["./supabase/functions/hello"],"imports":{"tidy/":"./packages/tidy/"}}'
MEMBER = '{"name":"@a/b","version":"1.0.0","exports":"./mod.ts"}'


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"deno.json": ROOT_CONFIG, "supabase/functions/hello/deno.json": '{"imports":{}}'},
            '"tidy/t.ts" is in no import map that is uploaded (deno.json has it, and is not:',
        ),
        ({"deno.json": ROOT_CONFIG}, "(deno.json has it, and is not:"),
        (
            {"supabase/functions/deno.json": '{"imports":{"tidy/":"../../packages/tidy/"}}'},
            "(supabase/functions/deno.json has it, and is not: name it as import_map in supabase/config.toml",
        ),
        (
            {"supabase/functions/deno.jsonc": '{"imports":{"tidy/":"../../packages/tidy/"}, /* . */}'},
            "(supabase/functions/deno.jsonc has it",
        ),
        ({"supabase/functions/hello/package.json": "{}"}, "package.json is not, either: write npm:tidy/t.ts"),
        (
            {
                "supabase/functions/hello/deno.json": '{"workspace":["./b"]}',
                "supabase/functions/hello/b/deno.json": MEMBER,
                "supabase/functions/hello/b/mod.ts": "export {}",
                "supabase/functions/hello/index.ts": 'import "@a/b";',
            },
            '"@a/b" is in no import map that is uploaded (the members of a workspace are not',
        ),
    ],
)
def test_refuses_what_is_found_only_here(files: dict[str, str], message: str, tmp_path: Path, deno_state: Path) -> None:
    """The real CLI uploads none of these files either, and the bundler then refuses the import."""
    _write(tmp_path, **{"index.ts": 'import "tidy/t.ts";'})
    _plant(tmp_path, {"packages/tidy/t.ts": "export {}", **files})
    with pytest.raises(Refused) as caught:
        sources.read(tmp_path, "hello", deno_state)
    assert message in caught.value.message


@pytest.mark.parametrize("switch", ["", "deno.json", "environment"])
def test_a_module_of_node_needs_its_prefix(
    switch: str, tmp_path: Path, deno_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform's bundler has bare_node_builtins_enabled off (edge-runtime, crates/deno_facade/emitter.rs)."""
    _write(tmp_path, **{"index.ts": 'import "node:path"; import "fs/promises";'})
    if switch == "deno.json":
        _write(tmp_path, **{"deno.json": '{"unstable":["bare-node-builtins","sloppy-imports"]}'})
    if switch == "environment":
        monkeypatch.setenv("DENO_UNSTABLE_BARE_NODE_BUILTINS", "1")
    with pytest.raises(Refused, match=r'index\.ts:1:28: "fs/promises" is .* write node:fs/promises'):
        sources.read(tmp_path, "hello", deno_state)


def test_sloppy_imports_as_deno_json_says(tmp_path: Path, deno_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundler reads them from the deno.json that is sent (unstable_sloppy_imports), and from nowhere else."""
    _write(tmp_path, **{"index.ts": 'import "./a";', "a.ts": "", "deno.json": '{"unstable":["sloppy-imports"]}'})
    assert "supabase/functions/hello/a.ts" in sources.read(tmp_path, "hello", deno_state).files
    _write(tmp_path, **{"deno.json": "{}"})
    monkeypatch.setenv("DENO_UNSTABLE_SLOPPY_IMPORTS", "1")
    with pytest.raises(Refused, match=r"hello/a does not exist"):
        sources.read(tmp_path, "hello", deno_state)


def test_a_workspace_above_changes_nothing(tmp_path: Path, deno_state: Path) -> None:
    """A root deno.json of which the function is a member, or is not: its own deno.json is what counts."""
    for members in ('"./supabase/functions/hello"', '"./packages/tidy"'):
        root = f'{{"workspace":[{members}],"imports":{{"x":"./elsewhere.ts"}}}}'
        _write(tmp_path, **{"index.ts": 'import "x";', "x.ts": "", "deno.json": '{"imports":{"x":"./x.ts"}}'})
        _plant(tmp_path, {"deno.json": root, "elsewhere.ts": "", "packages/tidy/deno.json": "{}"})
        files = sources.read(tmp_path, "hello", deno_state).files
        assert {Path(path).name for path in files} == {"index.ts", "x.ts", "deno.json"}


def test_keeps_what_a_deno_json_says_of_jsx_and_packages(tmp_path: Path, deno_state: Path) -> None:
    """The factory of JSX is an import, and `jsr:` entries map their submodules too."""
    config = {
        "compilerOptions": {"jsx": "react-jsx", "jsxImportSource": "jsx"},
        "imports": {"jsx/": "./jsx/", "@std/x": "jsr:@std/x@1", "zod": "npm:zod@3"},
        "lock": False,
        "nodeModulesDir": "auto",
    }
    toml = '[functions.hello]\nentrypoint = "./functions/hello/index.tsx"\n'
    text = 'import "@std/x/y"; import "zod/v4"; export const a = <a />;'
    _write(tmp_path, **{"index.tsx": text, "deno.json": json.dumps(config), "jsx/jsx-runtime": "export const jsx = 1;"})
    _plant(tmp_path, {"supabase/config.toml": toml})
    found = sources.read(tmp_path, "hello", deno_state)
    assert found.warnings == ()
    assert "supabase/functions/hello/jsx/jsx-runtime" in found.files


OPEN = "[functions.hello]\nverify_jwt = false\n"
OURS = f'[remotes.p]\nproject_id = "{REF}"\n[remotes.p.functions.hello]\n'


def test_a_past_revision_has_its_remotes_too(tmp_path: Path, deno_state: Path) -> None:
    """A restore from git must not open a function either."""
    repos.alone(tmp_path / "app")
    app = tmp_path / "app"
    first = repos.commit(
        app, {"supabase/functions/hello/index.ts": "", "supabase/config.toml": OPEN + OURS + "verify_jwt = true\n"}
    )
    repos.commit(app, {"supabase/config.toml": OPEN})
    own = reader.Reader(Repository(app, repos.QUIET), deno_state, Project(REF, app))
    assert own.at(first, ["hello"])["hello"].metadata()["verify_jwt"] is True
    assert own.working(["hello"])["hello"].metadata()["verify_jwt"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\n[functions.hello]\nverify_jwt = "no"\n', ":3: functions.hello.verify_jwt must be true or false"),
        ("[functions.hello]\nstatic_files = [1]\n", "supabase/config.toml:2: functions.hello.static_files must"),
        ("[functions]\nhello = 3\n", "functions.hello must be a table"),
        ("a = 1\nb = [\n", "supabase/config.toml:end of file: not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named_by_file_and_line(text: str, message: str, tmp_path: Path, deno_state: Path) -> None:
    app = _write(tmp_path, **{"index.ts": ""})
    (tmp_path / "supabase/config.toml").write_text(text)
    with pytest.raises(Refused) as caught:
        sources.read(app, "hello", deno_state)
    assert message in caught.value.message


def test_comments_and_trailing_commas_are_allowed_in_any_import_map(tmp_path: Path, deno_state: Path) -> None:
    app = _write(tmp_path, **{"index.ts": 'import "lib/a.ts"', "a.ts": ""})
    (tmp_path / "supabase/functions/map.jsonc").write_text('{ // "x"\n "imports": {"lib/": "./hello/",}, /* , } */ }\n')
    (tmp_path / "supabase/config.toml").write_text('[functions.hello]\nimport_map = "./functions/map.jsonc"\n')
    assert "supabase/functions/hello/a.ts" in sources.read(app, "hello", deno_state).files


def test_a_source_written_out_reads_back_the_same(tmp_path: Path, deno_state: Path) -> None:
    app = _write(tmp_path / "one", **{"index.ts": 'import "./a.ts"', "a.ts": "export {}"})
    first = sources.read(app, "hello", deno_state)
    source.write(first, tmp_path / "two")
    assert sources.read(tmp_path / "two", "hello", deno_state).digest == first.digest


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n"


@pytest.mark.parametrize(
    "name", ["logo.png", "lib.wasm", "data.json", "font.woff2", "deno.json", "mod.ts", "index.ts", "view.tsx"]
)
def test_a_git_lfs_pointer_is_refused(name: str, tmp_path: Path, deno_state: Path) -> None:
    """A clone without LFS content must not put the pointer live."""
    index = """import d from "./data.json" with { type: "json" }; import "./mod.ts"; import "./view.tsx";
import * as w from "./lib.wasm";"""
    files = {"index.ts": index, "data.json": "{}", "mod.ts": "", "view.tsx": "", "logo.png": "", "font.woff2": ""}
    app = _write(tmp_path, **{**files, "lib.wasm": "", "deno.json": "{}", name: POINTER})
    if name != "lib.wasm":
        (app / "supabase/functions/hello/lib.wasm").write_bytes(b"\0asm\1\0\0\0")
    globs = '["./functions/hello/*.png", "./functions/hello/*.woff2", "./functions/hello/*.wasm"]'
    _plant(tmp_path, {"supabase/config.toml": f"[functions.hello]\nstatic_files = {globs}\n"})
    with pytest.raises(Refused) as caught:
        sources.read(app, "hello", deno_state)
    assert f"supabase/functions/hello/{name} is a Git LFS pointer" in caught.value.message


def test_a_past_revision_takes_lfs_files_from_the_clone(tmp_path: Path, deno_state: Path) -> None:
    """git keeps pointers; a restore sends what they stand for, or nothing at all."""
    picture = b"picture"
    oid = hashlib.sha256(picture).hexdigest()
    app = tmp_path / "app"
    repos.alone(app)
    toml = '[functions.hello]\nstatic_files = ["./functions/hello/*.png"]\n'
    files = {"supabase/functions/hello/a.png": POINTER.replace("ab" * 32, oid), "supabase/config.toml": toml}
    revision = repos.commit(app, {"supabase/functions/hello/index.ts": "", **files})
    own = reader.Reader(Repository(app, repos.QUIET), deno_state)
    assert own.at(revision, ["hello"]) == {}
    stored = app / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    stored.parent.mkdir(parents=True)
    stored.write_bytes(picture)
    assert own.at(revision, ["hello"])["hello"].files["supabase/functions/hello/a.png"] == picture


def test_a_mapped_folder_never_brings_what_git_ignores(tmp_path: Path, deno_state: Path) -> None:
    """Secrets and node_modules lie there; nor what git does not have yet, which no revision could give back."""
    app = tmp_path / "app"
    repos.alone(app)
    repos.commit(
        app,
        {
            ".gitignore": "node_modules\n.env.local\n",
            "supabase/functions/hello/deno.json": '{"imports":{"~/":"../../../"}}',
            "supabase/functions/hello/index.ts": 'import "~/src/a.ts";',
            "src/a.ts": "",
            "src/page.tsx": "",
        },
    )
    _plant(app, {"src/.env.local": "KEY=1", "node_modules/x/index.js": "", "src/untracked.ts": ""})
    (app / "src/dangling").symlink_to("nowhere")
    os.mkfifo(app / "src/pipe")
    own = reader.Reader(Repository(app, repos.QUIET), deno_state)
    found = own.working(["hello"])["hello"]
    assert found.loose == {".gitignore", "README", "src/page.tsx"}
    reached = {"src/a.ts", "supabase/functions/hello/deno.json", "supabase/functions/hello/index.ts"}
    assert set(found.hashes) == reached == set(found.files) - found.loose
    digest = found.digest
    repos.commit(app, {"src/page.tsx": "2"})
    assert own.working(["hello"])["hello"].digest == digest == own.at("HEAD", ["hello"])["hello"].digest


def test_a_mapped_folder_that_is_too_large_is_left_out(tmp_path: Path, deno_state: Path) -> None:
    """Nothing that runs can reach it, so it is no reason to refuse."""
    app = _write(tmp_path, **{"index.ts": "", "deno.json": '{"imports":{"@/":"../../../big/"}}'})
    (app / "big").mkdir()
    for number in range(3):
        with (app / f"big/{number}.bin").open("wb") as file:
            file.truncate(4_000_000)
    found = sources.read(app, "hello", deno_state)
    assert found.loose == frozenset() and found.size < 1000


@pytest.mark.parametrize("name", ["pipe", "gone"])
def test_a_static_pattern_that_matches_no_file_at_all(name: str, tmp_path: Path, deno_state: Path) -> None:
    """A pipe would be waited for, without end."""
    app = _write(tmp_path, **{"index.ts": ""})
    os.mkfifo(app / "supabase/functions/hello/pipe")
    (app / "supabase/functions/hello/gone").symlink_to("nowhere")
    _plant(tmp_path, {"supabase/config.toml": f'[functions.hello]\nstatic_files = ["./functions/hello/{name}*"]\n'})
    with pytest.raises(Refused, match=f"{name}, which is neither a file nor a folder"):
        sources.read(app, "hello", deno_state)


@pytest.mark.parametrize("name", ["config.toml", "functions/hello/deno.json", "functions/map.json"])
def test_a_pipe_in_place_of_a_setting(name: str, tmp_path: Path, deno_state: Path) -> None:
    """Refused, or passed over as the CLI does, but never read."""
    app = _write(tmp_path, **{"index.ts": ""})
    if name == "functions/map.json":
        _plant(tmp_path, {"supabase/config.toml": '[functions.hello]\nimport_map = "./functions/map.json"\n'})
    os.mkfifo(app / "supabase" / name)
    with contextlib.suppress(Refused):
        assert set(sources.read(app, "hello", deno_state).files) == {"supabase/functions/hello/index.ts"}


def test_a_file_name_that_is_not_utf8(tmp_path: Path, deno_state: Path) -> None:
    """JSON has no way to write it."""
    app = _write(tmp_path, **{"index.ts": ""})
    (app / os.fsdecode(b"supabase/functions/hello/\xff.txt")).write_text("")
    _plant(tmp_path, {"supabase/config.toml": '[functions.hello]\nstatic_files = ["./functions/hello/*.txt"]\n'})
    with pytest.raises(Refused, match="is not UTF-8"):
        sources.read(app, "hello", deno_state)
