"""The log of requests: one line each, with the address that a function asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from migration.cli.results.draw import draw
from migration.cli.sink import Masked
from migration.cli.terminal import console
from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Upload
from migration.rehearsal.history import RequestHistory
from migration.rehearsal.requests import NAME, RequestLog, address, follow
from migration.rehearsal.running import Running

LEADS = {"api.stripe.com": "/_hosts/api.stripe.com", "abc.supabase.co": ""}


def test_stand_ins_are_named_by_their_host() -> None:
    """A path of the project's own stays, whatever the project's hosted address is."""
    assert address("/_hosts/api.stripe.com/v1/charges", LEADS) == "https://api.stripe.com/v1/charges"
    assert address("/functions/v1/chat", LEADS) == "/functions/v1/chat"


def test_lines_are_followed_until_the_end(tmp_path: Path) -> None:
    """Those written before are not shown again, one half written is shown once it is whole, a new file is begun."""
    log, history = RequestLog(tmp_path / NAME, lambda: LEADS), RequestHistory()

    def write(path: str) -> None:
        log.write(history.begin("GET", path, {}, "edge", None), None)

    def alive() -> Iterator[bool]:
        write("/one")
        yield True
        with (tmp_path / NAME).open("ab") as file:
            file.write(b'{"where": ')
        yield True
        with (tmp_path / NAME).open("ab") as file:
            file.write(b'"/half"}\n')
        yield True
        (tmp_path / NAME).write_bytes(b"")
        write("/two")
        yield False

    write("/before")
    turns = alive()
    assert [line["where"] for line in follow(tmp_path / NAME, lambda: next(turns))] == ["/one", "/half", "/two"]


def test_a_line_shows_what_happened(sandbox: Running) -> None:
    """Function and version, status, fault, what the config lacks; no query, which may hold a key."""
    sandbox.reset()
    api = Http(sandbox.api_url, {"Authorization": f"Bearer {sandbox.access_token}"}, name="api")
    entry = "supabase/functions/greet/index.ts"
    about = {"name": "greet", "entrypoint_path": entry, "verify_jwt": False}
    source = b"Deno.serve(() => new Response('hi', { status: 201 }));"
    Supabase(api, sandbox.project_ref).deploy(Upload("greet", about, [(entry, source)]))
    sandbox.fault("list", "status", status=502)
    turns = iter([True, False])

    def ask() -> bool:
        last = next(turns)
        if last:
            Http(sandbox.url, name="edge").request("POST", "/functions/v1/greet?key=secret")
            api.request("GET", f"/v1/projects/{sandbox.project_ref}/functions")
            Http(sandbox.url, {"apikey": sandbox.info["anon_key"]}, name="rest").request("HEAD", "/rest/v1/gone")
        return last

    shown = io.StringIO()
    for line in follow(sandbox.folder / NAME, ask):
        draw("request", line, console(Masked(shown)))
    edge, listed, *lacking = shown.getvalue().splitlines()
    assert edge.split()[1:3] == ["POST", "201"] and edge.endswith("/functions/v1/greet  v1")
    assert listed.split()[1:3] == ["GET", "502"] and listed.endswith("/functions  fault: status")
    assert "HEAD    404" in lacking[0] and "add rehearsal.database.tables.gone to config.yaml" in " ".join(lacking)
