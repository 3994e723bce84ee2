"""A revision is read without a second checkout, in clones as CI has them, and reads as a whole checkout would."""

from __future__ import annotations

import os
import re
import subprocess
from functools import partial
from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.git import checkout
from migration.git.repository import Repository
from migration.source import functions_config, past, sparse
from migration.source.reader import Reader
from migration.source.source import Source
from tests.support import repos

F = "supabase/functions/f/index.ts"
D = "supabase/functions/f/deno.json"
C = "supabase/config.toml"
MAPPED = '{"imports":{"@/":"../../../src/","one":"../../../one.ts"},"scopes":{"./":{"two":"../../../two.ts"}}}'

APPS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "outside": (
        {F: 'import "../../../lib/a.ts"', "lib/a.ts": "import{b}from'./b.js'", "lib/b.js": "export const b=1"},
        {},
    ),
    "mapped": (
        {F: 'import "@/x/y.ts"; import "one"; import "two"', D: MAPPED, "src/x/y.ts": "", "one.ts": "", "two.ts": ""},
        {},
    ),
    "mapped, unused": (
        {
            F: "",
            D: '{"imports":{"@/":"../../../src/","~/":"../../../","u/":"./lib/"}}',
            "src/x/y.ts": "",
            "supabase/functions/f/lib/l.ts": "",
        },
        {},
    ),
    "types": (
        {
            F: '/// <reference types="../../../t.d.ts" />\nimport type {A} from "../../../a.ts"',
            "t.d.ts": "",
            "a.ts": "",
        },
        {},
    ),
    "template": ({F: "await import(`../../../lang/${name}.ts`)", "lang/de.ts": "", "lang/deep/en.ts": ""}, {}),
    "encoded": ({F: 'import "../../../a%20b.ts?x=1"', "a b.ts": ""}, {}),
    "static": (
        {
            F: "",
            C: '[functions.f]\nstatic_files = ["../assets/**/*.txt", "../one.md"]\n',
            "assets/x/a.txt": "",
            "one.md": "",
        },
        {},
    ),
    "entrypoint": (
        {"src/f.ts": 'import "./g.ts"', "src/g.ts": "", C: '[functions.f]\nentrypoint = "../src/f.ts"\n'},
        {},
    ),
    "import map": (
        {
            F: 'import "z"',
            C: '[functions.f]\nimport_map = "../maps/m.json"\n',
            "maps/m.json": '{"imports":{"z":"../z.ts"}}',
            "z.ts": "",
        },
        {},
    ),
    "file link": (
        {F: 'import "./c.ts"', "shared/c.ts": 'import "./e.ts"', "supabase/functions/f/e.ts": ""},
        {"supabase/functions/f/c.ts": "../../../shared/c.ts"},
    ),
    "folder link": (
        {F: 'import "./lib/c.ts"', "shared/c.ts": 'import "../../d.ts"', "supabase/functions/d.ts": ""},
        {"supabase/functions/f/lib": "../../../shared"},
    ),
    "function link": (
        {"other/index.ts": 'import "../../../top.ts"', "top.ts": ""},
        {"supabase/functions/f": "../../other"},
    ),
    "functions link": ({"fns/f/index.ts": 'import "../../../top.ts"', "top.ts": ""}, {"supabase/functions": "../fns"}),
    "jsx": (
        {
            F: "",
            C: '[functions.f]\nentrypoint = "./functions/f/i.tsx"\n',
            "supabase/functions/f/i.tsx": "export const a = <a/>;",
            D: '{"compilerOptions":{"jsx":"react-jsx","jsxImportSource":"j"},"imports":{"j/":"../../../jsx/"}}',
            "jsx/jsx-runtime": "export const jsx = 1",
        },
        {},
    ),
}


def _commit(app: Path, name: str) -> str:
    files, links = APPS[name]
    for path, target in links.items():
        (app / path).parent.mkdir(parents=True, exist_ok=True)
        (app / path).symlink_to(target)
    noise = {f"noise/{number}.ts": f"export const n = {number};" for number in range(40)}
    return repos.commit(app, {**noise, **files})


@pytest.mark.parametrize("below", ["", "packages/app"])
@pytest.mark.parametrize("name", sorted(APPS))
def test_reads_as_a_whole_checkout_does(name: str, below: str, tmp_path: Path) -> None:
    """The files that the texts name are enough, and little more than those is written."""
    top = repos.alone(tmp_path / "top")
    (top / ".gitattributes").write_text("*.md eol=crlf\n")
    app = top / below
    app.mkdir(parents=True, exist_ok=True)
    revision = _commit(app, name)
    own = Reader(Repository(app, repos.QUIET), tmp_path / "state")
    found = own.at(revision, ["f"])["f"]
    broken = name == "jsx"  # no text names the module of its factory
    assert all(path.name.endswith(".part") for path in (tmp_path / "state/trees").iterdir()) or broken
    whole = own._past(revision, ["f"], None)["f"]
    assert isinstance(whole, Source)
    assert found.digest == whole.digest == own.working(["f"])["f"].digest
    part = checkout.tree(own.repository, revision, tmp_path / "state", past.select)
    assert list(part.rglob("noise/*")) == []


def test_one_key_of_two_maps_means_two_places(tmp_path: Path) -> None:
    """Each function has an import map of its own."""
    files = {
        f"{folder}/{slug}/{name}": text
        for slug in ("f", "g")
        for folder, name, text in (
            ("supabase/functions", "index.ts", 'import "@/a.ts"; import "one";'),
            (
                "supabase/functions",
                "deno.json",
                f'{{"imports":{{"@/":"../../../src/{slug}/","one":"../../../one/{slug}/o.ts"}}}}',
            ),
            ("src", "a.ts", ""),
            ("one", "o.ts", ""),
        )
    }
    app = repos.alone(tmp_path / "app")
    revision = repos.commit(app, files)
    found = Reader(Repository(app, repos.QUIET), tmp_path / "state").at(revision, ["f", "g"])
    assert {len(one.files) for one in found.values()} == {4}
    assert all(path.name.endswith(".part") for path in (tmp_path / "state/trees").iterdir())


@pytest.mark.parametrize("filter_", ["blob:none", "tree:0"])
def test_a_blobless_sparse_clone_fetches_little_and_at_once(filter_: str, tmp_path: Path) -> None:
    """A monorepo's 20,000 files would take a request each, and minutes."""
    remote, first = repos.pair(tmp_path)
    repos.git(remote, "config", "uploadpack.allowFilter", "true")
    repos.git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    app = first / "packages/app"
    app.mkdir(parents=True)
    repos.commit(first, {f"packages/other/{number}.ts": f"{number}" for number in range(200)})
    base = _commit(app, "mapped")
    repos.commit(app, {"src/x/y.ts": "2", F: 'import "one"; import "two"; import "@/x/y.ts"; // 2', "one.ts": "2"})
    repos.git(first, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    shallow = repos.clone(f"file://{remote}", tmp_path / "ci", f"--filter={filter_}", "--sparse")
    repos.git(shallow, "sparse-checkout", "set", "packages/app")
    trace = tmp_path / "trace"
    own = Reader(Repository(shallow / "packages/app", {**repos.QUIET, "GIT_TRACE": str(trace)}), tmp_path / "state")
    found = own.at(base, ["f"])["f"]
    assert found.digest == Reader(Repository(app, repos.QUIET), tmp_path / "other").at(base, ["f"])["f"].digest
    fetches = [line for line in trace.read_text().splitlines() if "built-in: git fetch" in line]
    assert len([line for line in fetches if "blob:none" in line]) <= 3
    if filter_ == "blob:none":
        assert len(fetches) <= 3
    lacking = repos.git(shallow, "rev-list", "--objects", "--missing=print", "--no-object-names", base).count("?")
    assert lacking > 150


def test_a_shallow_clone_gets_the_base_and_stays_shallow(tmp_path: Path) -> None:
    """`fetch-depth: 1` is what CI has; the base is one request, not the whole history."""
    remote, first = repos.pair(tmp_path)
    base = repos.commit(first, {F: "1"})
    for number in range(5):
        repos.commit(first, {F: f"{number + 2}"})
    repos.git(first, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    ci = repos.clone(f"file://{remote}", tmp_path / "ci", "--depth=1")
    repository = Repository(ci, repos.QUIET)
    own = Reader(repository, tmp_path / "state", obtain=partial(repository.obtain, "origin"))
    assert own.at(base, ["f"])["f"].files == {F: b"1"}
    assert repository.shallow()
    assert int(repos.git(ci, "rev-list", "--count", "HEAD")) == 1


def test_a_broken_function_of_the_past_is_read_from_a_whole_checkout(tmp_path: Path) -> None:
    """A file that no text names: the factory of JSX by way of a pragma."""
    app = repos.alone(tmp_path / "app")
    pragmas = "/** @jsxRuntime automatic */\n/** @jsxImportSource ../../../j */\n"
    files = {"supabase/functions/f/i.tsx": f"{pragmas}export const a = <a/>;"}
    config = '[functions.f]\nentrypoint = "./functions/f/i.tsx"\n'
    revision = repos.commit(app, {**files, C: config, "j/jsx-runtime": "export const jsx = 1"})
    found = Reader(Repository(app, repos.QUIET), tmp_path / "state").at(revision, ["f"])
    assert set(found["f"].files) == {"supabase/functions/f/i.tsx", "j/jsx-runtime"}


LEFT_OUT = {
    "config.toml": ({}, "supabase/config.toml is left out"),
    "shared module": ({"supabase/functions/f/index.ts": 'import "../_shared/a.ts";'}, "_shared/a.ts is left out"),
    "types alone": ({"supabase/functions/f/index.ts": 'import type { A } from "../_shared/a.ts";'}, "_shared/a.ts is"),
    "dynamic import": (
        {"supabase/functions/f/index.ts": 'try { await import("../_shared/a.ts"); } catch {}'}, "_shared/a.ts is"),
    "static files": (
        {"supabase/config.toml": '[functions.f]\nstatic_files = ["../web/*.html"]\n'}, "a.html and 1 more are left"),
    "its own map": ({"supabase/functions/f/deno.json": '{"imports":{"x":"npm:x@1"}}'}, "f/deno.json is left out"),
    "the map that config.toml names": (
        {"supabase/config.toml": '[functions.f]\nimport_map = "../web/map.json"\n', "web/map.json": "{}"},
        "web/map.json is"),
    "the function": ({}, "supabase/functions/f/index.ts is left out"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_a_sparse_checkout_leaves_out_is_named(name: str, tmp_path: Path, deno_state: Path) -> None:
    """Without config.toml a function would be live with another verify_jwt, silently; what is printed mends it."""
    more, said = LEFT_OUT[name]
    app = tmp_path / "app"
    repos.alone(app)
    files = {"supabase/config.toml": "[functions.f]\nverify_jwt = false\n", "supabase/functions/f/index.ts": "",
             "supabase/functions/_shared/a.ts": "export type A = 1;", "supabase/functions/g/index.ts": "",
             "web/a.html": "", "web/b.html": ""}  # fmt: skip
    repos.commit(app, files | more)
    own = Reader(Repository(app, repos.QUIET), deno_state)
    whole = own.working(["f"])["f"]
    kept = {"config.toml": ["/supabase/functions/"], "its own map": ["/supabase/*", "!/supabase/functions/f/deno.json"]}
    if name in kept:  # a cone holds every file beside a folder of it
        repos.git(app, "sparse-checkout", "set", "--no-cone", *kept[name])
    else:
        repos.git(app, "sparse-checkout", "set", f"supabase/functions/{'g' if name == 'the function' else 'f'}")
    own = Reader(Repository(app, repos.QUIET), deno_state)
    with pytest.raises(Refused, match=re.escape(said)) as caught:
        own.working(["f"])
    typed = str(caught.value.steps[0])
    subprocess.run(typed, shell=True, check=True, capture_output=True, env={**os.environ, **repos.QUIET})
    assert Reader(Repository(app, repos.QUIET), deno_state).working(["f"])["f"].digest == whole.digest


def test_a_pattern_is_read_once_for_a_whole_monorepo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse checkout leaves out tens of thousands of files, and each of hundreds of functions looks through them."""
    out = sorted(
        ["a[1].html", "web/a.html", "web/b/c.html", "web0.html", "webs/a.html", *map("x/{}.html".format, range(500))]
    )
    app, read = Path("/app"), list[str]()
    regex = functions_config._regex

    def noted(pattern: str) -> re.Pattern[str]:
        read.append(pattern)
        return regex(pattern)

    monkeypatch.setattr(functions_config, "_regex", noted)
    settings = functions_config.Settings("f", static_files=("../web/*.html", "../*.html", "../webs/a.html"))
    own = Repository(app, repos.QUIET)
    assert sparse.needed(own, settings, ["a[1].html"], out) == ["a[1].html", "web/a.html", "web0.html", "webs/a.html"]
    assert sorted(read) == ["*.html", "web/*.html"]


def test_a_sparse_checkout_with_all_that_is_needed(tmp_path: Path, deno_state: Path) -> None:
    """What other functions need is no concern of this one."""
    app = tmp_path / "app"
    repos.alone(app)
    repos.commit(app, {"supabase/functions/f/index.ts": "", "supabase/functions/g/index.ts": "", "web/a.html": ""})
    repos.git(app, "sparse-checkout", "set", "supabase/functions/f")
    assert Reader(Repository(app, repos.QUIET), deno_state).working(["f"])
