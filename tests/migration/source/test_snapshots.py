"""What was live can be sent again, in whatever layout the platform gives it back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.clients.supabase_types import Body, Function
from migration.git.refs import Move
from migration.rehearsal.running import Running
from migration.source import snapshots
from migration.source.source import Source
from tests.support import repos, scene

INDEX = b'import { x } from "../_shared/x.ts"; Deno.serve(() => new Response(x));'
FILES = {"supabase/functions/hello/index.ts": INDEX, "supabase/functions/_shared/x.ts": b'export const x = "";'}


def _function(entrypoint: str | None, import_map: str | None = None) -> Function:
    return Function("id", "hello", "hello", "ACTIVE", 3, 1, 1, False, False, entrypoint, import_map)


def _body(before: str, **metadata: object) -> Body:
    return Body(metadata, {before + path: data for path, data in FILES.items()})


@pytest.mark.parametrize("before", ["source/", "file:///tmp/user_fn_ab12_3/source/", "/tmp/user_fn/source/", ""])
@pytest.mark.parametrize("named", ["metadata", "deno2", "function"])
def test_every_known_layout_gives_the_same_source(before: str, named: str, deno_state: Path) -> None:
    entry = f"{before}supabase/functions/hello/index.ts"
    metadata = {"metadata": {"entrypoint_path": entry}, "deno2": {"deno2_entrypoint_path": entry}, "function": {}}[
        named
    ]
    body = _body(before, **metadata)
    found, why = snapshots.usable(snapshots.from_body(body, _function(entry)), deno_state)
    assert why == ""
    assert found is not None
    assert dict(found.files) == FILES
    assert found.entrypoint == "supabase/functions/hello/index.ts"
    assert found.metadata()["verify_jwt"] is False


def test_a_bare_name_below_a_named_path_is_found(deno_state: Path) -> None:
    body = Body({}, {"index.ts": b"export {}"})
    found = snapshots.from_body(body, _function("file:///tmp/user_fn/source/supabase/functions/hello/index.ts"))
    assert set(found.files) == {"supabase/functions/hello/index.ts"}
    assert snapshots.usable(found, deno_state)[1] == ""


def test_a_body_without_its_entrypoint_is_not_usable(deno_state: Path) -> None:
    body = Body({"entrypoint_path": "source/main.ts"}, {"source/index.ts": b""})
    assert (
        "main.ts is not in the download" in snapshots.usable(snapshots.from_body(body, _function(None)), deno_state)[1]
    )


def test_a_body_with_an_import_that_does_not_resolve_is_not_usable(deno_state: Path) -> None:
    body = Body({"entrypoint_path": "source/supabase/functions/hello/index.ts"}, {})
    body = Body(body.metadata, {"source/supabase/functions/hello/index.ts": INDEX})
    assert "does not exist" in snapshots.usable(snapshots.from_body(body, _function(None)), deno_state)[1]


def test_a_path_that_leads_out_is_not_usable_and_writes_nothing(tmp_path: Path) -> None:
    body = Body({"entrypoint_path": "index.ts"}, {"index.ts": b"", "../../escaped.ts": b""})
    found, why = snapshots.usable(snapshots.from_body(body, _function(None)), tmp_path)
    assert found is None
    assert "outside the app" in why
    assert not list(tmp_path.rglob("escaped.ts"))


def test_a_folder_of_the_app_called_source_is_kept() -> None:
    assert snapshots.cut("supabase/functions/hello/source/a.ts") == "supabase/functions/hello/source/a.ts"
    assert snapshots.cut("source/source/a.ts") == "source/a.ts"
    assert snapshots.cut("file:///tmp/user_fn/source/lib/source/a.ts") == "lib/source/a.ts"


def test_a_file_that_nothing_imports_is_restored_as_a_static_file(deno_state: Path) -> None:
    entry = "supabase/functions/hello/index.ts"
    body = Body({"entrypoint_path": entry}, {entry: b"", "supabase/functions/hello/logo.svg": b"<svg/>"})
    found, _ = snapshots.usable(snapshots.from_body(body, _function(None)), deno_state)
    assert found is not None
    assert found.static_patterns == ("supabase/functions/hello/logo.svg",)


def test_sameness_is_seen_from_the_entrypoint() -> None:
    """`hello/index.ts` beside `_shared/x.ts` is the same function wherever the platform puts the two."""
    full = snapshots.from_body(_body(""), _function("supabase/functions/hello/index.ts"))
    short = Body({}, {"hello/index.ts": INDEX, "_shared/x.ts": FILES["supabase/functions/_shared/x.ts"]})
    assert snapshots.same_files(full, snapshots.from_body(short, _function("hello/index.ts")))
    other = Body({}, {"hello/index.ts": INDEX + b" ", "_shared/x.ts": b'export const x = "";'})
    assert not snapshots.same_files(full, snapshots.from_body(other, _function("hello/index.ts")))


AWKWARD = {
    "plain": {"lib/a.ts": b"a"},
    "git": {"lib/.git/config": b"b", ".gitmodules": b"c"},
    "a file and a folder": {"lib": b"d", "lib/e.ts": b"e"},
    "other characters": {"lib/\u00fc\t1.ts": b"f", 'lib/"q".ts': b"\x00g"},
}


@pytest.mark.parametrize("name", list(AWKWARD))
def test_any_path_is_kept(name: str, tmp_path: Path, sandbox: Running) -> None:
    """A kept snapshot comes back file for file, whatever git thinks of its paths."""
    context = scene.make(tmp_path, sandbox).context()
    files = {"index.ts": b"x", **AWKWARD[name]}
    live = Source("alpha", "index.ts", files, "", tuple(sorted(files)), True)
    snapshots.keep(context, live.digest, live)
    assert snapshots.stored(scene.Scene(tmp_path, sandbox, {}).context(), live.digest) == live
    snapshots.keep(context, live.digest, live)


def test_a_snapshot_is_read_back(tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not come back as it is live is refused before anything rests on it."""
    context = scene.make(tmp_path, sandbox).context()
    live, about = Source("alpha", "index.ts", {"index.ts": b"x"}, "", (), True), snapshots._about
    monkeypatch.setattr(snapshots, "_about", lambda one: {**about(one), "verify_jwt": False})
    with pytest.raises(Refused, match="cannot be read back"):
        snapshots.keep(context, live.digest, live)
    assert not [ref for ref in context.ledger.refs.read() if "snapshots" in ref]


HOSTILE = {
    "other code": '{"slug": "a", "entrypoint": "i.ts", "import_map": "", "static_patterns": [], "verify_jwt": true}',
    "no JSON": "hello",
    "deep": "[" * 100_000,
    "lacks a key": '{"slug": "alpha"}',
    "paths that are not there": '{"slug": "a", "entrypoint": "i.ts", "import_map": "", "static_patterns": [], '
    '"verify_jwt": true, "paths": {"7": "../../x"}}',
    "other types": '{"slug": 1, "entrypoint": [], "import_map": {}, "static_patterns": 5, "verify_jwt": "no"}',
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_changed_snapshot_is_not_restored(name: str, tmp_path: Path) -> None:
    """Whoever may push can put anything on a snapshot's ref: code with another digest never goes live."""
    own = repos.ledger(repos.pair(tmp_path)[1])
    context: Any = SimpleNamespace(ledger=own, repository=own.repository, environment=SimpleNamespace(name="prod"))
    digest = "d" * 64
    commit = own.repository.commit(HOSTILE[name])
    assert own.refs.move([Move(snapshots._ref(context, digest), None, commit)]) is None
    with pytest.raises(Refused, match="is not that source: someone changed it"):
        snapshots.stored(context, digest)
    with pytest.raises(Refused, match="cannot be read back"):
        snapshots.keep(context, digest, Source("alpha", "i.ts", {}))
