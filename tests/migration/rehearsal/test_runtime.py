"""Functions on the platform's own Deno, where it was fetched."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from migration.rehearsal import runtime
from migration.rehearsal.bundle import Bundler
from migration.source.graph import PLATFORM
from tests.support.collector import Collector
from tests.support.edge import edge
from tests.support.runtime import installed

VERSION = "9.9.9"
DENO = f"#!/bin/sh\necho 'deno {VERSION} (stable)'\n"


def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")


def serve(httpserver: HTTPServer, token: str, program: str = DENO, integrity: str = "") -> None:
    """The package of this machine's Deno, for who sends the token."""
    name = runtime._package()
    packed = io.BytesIO()
    described = {"name": name, "version": VERSION}
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in (("package/deno", program), ("package/package.json", json.dumps(described))):
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    body = packed.getvalue()
    digest = integrity or f"sha512-{base64.b64encode(hashlib.sha512(body).digest()).decode()}"
    dist = {"tarball": httpserver.url_for(f"/npm/{name}/-/deno.tgz"), "integrity": digest}
    of_all = {"name": name, "versions": {VERSION: {**described, "dist": dist}}, "dist-tags": {"latest": VERSION}}
    headers = {"Authorization": f"Bearer {token}"}
    httpserver.expect_request(f"/npm/{name}", headers=headers).respond_with_json(of_all)
    httpserver.expect_request(f"/npm/{name}/-/deno.tgz", headers=headers).respond_with_data(body)


def configured(root: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without npm, whose project names a registry of its own."""
    for name in [name for name in os.environ if name.lower().startswith("npm_config_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nowhere")
    where = httpserver.url_for("/npm/")
    (root / ".npmrc").write_text(f"registry={where}\n//{where.partition('//')[2]}:_authToken=t0ken\n")


def chosen(root: Path, wanted: str | None = VERSION) -> tuple[Path | None, str]:
    """What functions run on, and the last word of it."""
    observer = Collector()
    found = runtime.choose(wanted, root, observer)
    return found, observer.events[-1][3] if observer.events else ""


def test_without_npm_the_registry_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    """By the registry and the token of .npmrc; a second start finds what the first one fetched."""
    configured(tmp_path, httpserver, monkeypatch)
    serve(httpserver, "t0ken")
    found, said = chosen(tmp_path)
    assert found and found == chosen(tmp_path)[0] and os.access(found, os.X_OK), said
    assert len(httpserver.log) == 2 and list((tmp_path / ".cutover" / "runtime").iterdir()) == [found.parents[3]]


@pytest.mark.parametrize(
    ("program", "integrity", "why"),
    [(DENO, "sha512-AAAA", "checksum"), (DENO.replace(VERSION, "9.9.8"), "", "it does not run on this machine")],
)
def test_a_wrong_download_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, program: str, integrity: str, why: str
) -> None:
    configured(tmp_path, httpserver, monkeypatch)
    serve(httpserver, "t0ken", program, integrity)
    found, said = chosen(tmp_path)
    assert found is None and why in said and f"functions run on {runtime.OURS}" in said
    assert list((tmp_path / ".cutover" / "runtime").iterdir()) == []


def test_proxy_and_certificates_are_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's where npm names none; a variable over pip's file."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PIP_PROXY", raising=False)
    (tmp_path / "pip.conf").write_text("[global]\nproxy = http://proxy:1\ncert = /ca.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", "/other.pem")
    found = runtime._connection(tmp_path)
    assert (found["HTTPS_PROXY"], found["DENO_CERT"]) == ("http://proxy:1", "/other.pem")
    (tmp_path / ".npmrc").write_text('; mine\nproxy = "http://proxy:2"\n')
    assert runtime._connection(tmp_path)["HTTPS_PROXY"] == "http://proxy:2"


def test_a_machine_without_deno_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "npm has no Deno for" in chosen(tmp_path)[1]


def test_a_failing_npm_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason and what differs are named, once, and nothing half-fetched stays."""
    npm(tmp_path, monkeypatch, "echo 'npm error code ETARGET' >&2; exit 1")
    found, said = chosen(tmp_path)
    assert found is None and "(npm error code ETARGET)" in said and "import defer" in said
    assert list((tmp_path / ".cutover" / "runtime").iterdir()) == []


def test_the_own_version_says_what_differs(tmp_path: Path) -> None:
    found, said = chosen(tmp_path, "own")
    assert found is None and f"the platform has {PLATFORM}" in said


@pytest.fixture(scope="module")
def platform() -> Path:
    return installed()


@pytest.mark.slow
def test_a_function_runs_on_the_version_of_the_platform(tmp_path: Path, platform: Path) -> None:
    """It serves, logs and reaches what the newer one reaches."""
    source = """Deno.serve(async (req) => { await Deno.writeTextFile("/tmp/a", "kept");
        console.log("seen"); return new Response(DENO_VERSION + await Deno.readTextFile("/tmp/a")) });"""
    with edge(tmp_path, tmp_path / "deno", deno_path=str(platform)) as place:
        place.functions.deploy("a", source)
        assert place.function("a").text == f"{PLATFORM}kept"
        place.functions.deploy("b", "export default { fetch: () => new Response('declared') };")
        assert place.function("b").text == "declared"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('import t from "./t.txt" with { type: "text" }; t;', 'import attribute type of "text" is unsupported'),
        ('const m = await import.defer("./t.ts"); m;', "Unexpected token `(`"),
        ('import t from "./t.ts"; t;', None),
    ],
)
def test_the_bundler_refuses_newer_syntax(tmp_path: Path, platform: Path, code: str, why: str | None) -> None:
    """What the platform's own Deno cannot read is not staged."""
    files = {"index.ts": code.encode(), "t.txt": b"x", "t.ts": b"export default 1;"}
    refusal = asyncio.run(Bundler(tmp_path / "deno", platform).refusal(files, "index.ts", ""))
    assert refusal is None if why is None else why in (refusal or "")
