"""The server as a process: it starts once, says why it cannot, keeps its state, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration.base.errors import Refused, Unreachable
from migration.base.secrets_type import Secret
from migration.clients.edge import Edge, Purpose
from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Upload
from migration.rehearsal import running
from migration.rehearsal.running import Running, start

ROOT = Path(__file__).resolve().parents[3]
ENTRYPOINT = "supabase/functions/hello/index.ts"
HELLO = Upload(
    "hello",
    {"entrypoint_path": ENTRYPOINT, "import_map_path": "", "static_patterns": [], "verify_jwt": False, "name": "hello"},
    [(ENTRYPOINT, b'Deno.serve(() => new Response("hi"));')],
)


LONG = pytest.mark.long
ASK = """
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]}))
"""


def api(running: Running) -> Supabase:
    return Supabase(Http(running.api_url, {"Authorization": f"Bearer {running.access_token}"}), running.project_ref)


def call(running: Running) -> str:
    return Edge(Http(running.url), Secret(running.anon_key)).call("hello", purpose=Purpose.SMOKE, json={}).text


def children(pid: int) -> set[int]:
    """Processes that have this one as an ancestor."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(fields[1])
    found: set[int] = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def wait_gone(pids: set[int], seconds: float = 10) -> set[int]:
    """Those that are still there after so long."""
    ends = time.monotonic() + seconds
    while pids and time.monotonic() < ends:
        pids = {pid for pid in pids if _alive(pid)}
        time.sleep(0.02)
    return pids


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_its_files_are_private_and_the_profile_has_the_four_keys_of_the_cli(sandbox: Running) -> None:
    for name in ("sandbox.json", "identity.json", "state.json", "profile.yaml", "cli.sh"):
        assert stat.S_IMODE((sandbox.folder / name).stat().st_mode) == 0o600, name
    profile = yaml.safe_load(sandbox.profile.read_text())
    assert set(profile) == {"name", "api_url", "dashboard_url", "project_host"}
    assert profile["api_url"] == sandbox.api_url


def test_a_shell_is_pointed_at_it_by_the_printed_line(sandbox: Running) -> None:
    """The token itself is masked wherever it is printed."""
    assert sandbox.access_token not in sandbox.exports
    shown = subprocess.run(
        ["sh", "-c", f"{sandbox.exports}; env"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert f"SUPABASE_ACCESS_TOKEN={sandbox.access_token}" in shown
    assert f"SUPABASE_PROJECT_ID={sandbox.project_ref}" in shown and f"SUPABASE_PROFILE={sandbox.profile}" in shown


def test_a_second_sandbox_in_the_folder_and_a_taken_port_are_refused_in_one_sentence(
    sandbox: Running, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=f"already running in .* at {sandbox.url}"):
        start(sandbox.folder)
    with pytest.raises(Refused, match=f"Cannot listen on 127.0.0.1:{sandbox.info['port']}"):
        start(tmp_path / "other", port=int(sandbox.info["port"]))
    assert api(sandbox).functions() == []


def test_a_refused_start_leaves_the_running_ones_settings_alone(sandbox: Running) -> None:
    before = (sandbox.folder / "settings.json").read_text()
    with pytest.raises(Refused):
        start(sandbox.folder, settings={"management": {"harsh": True}})
    assert (sandbox.folder / "settings.json").read_text() == before


def test_identity_functions_secrets_and_a_stranded_version_survive_a_restart(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        api(first).deploy(HELLO)
        api(first).stage(HELLO)
        api(first).set_secrets({"A": Secret("a secret value")})
        before = (api(first).functions(), api(first).secrets()[:1], first.project_ref, first.access_token)
    assert not (tmp_path / "sandbox.json").exists()
    with start(tmp_path) as second:
        after = (api(second).functions(), api(second).secrets()[:1], second.project_ref, second.access_token)
        assert after == before
        assert call(second) == "hi"
        with pytest.raises(Exception, match="409"):
            api(second).stage(HELLO)


@pytest.mark.parametrize(
    "way", [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=LONG), pytest.param("stdin", marks=LONG)]
)
def test_it_ends_cleanly_with_no_process_left(tmp_path: Path, way: Any) -> None:
    running = start(tmp_path)
    api(running).deploy(HELLO)
    assert call(running) == "hi"
    family = children(running.process.pid)
    assert family, "a worker runs"
    assert running.process.stdin is not None
    running.process.stdin.close() if way == "stdin" else running.process.send_signal(way)
    assert running.process.wait(10) == 0
    assert wait_gone(family) == set()
    assert not (tmp_path / "sandbox.json").exists()
    with pytest.raises(Unreachable):
        Http(running.url).request("GET", "/_sandbox/health")


def test_killed_with_its_worker_running_it_leaves_no_process_and_starts_again(tmp_path: Path) -> None:
    running = start(tmp_path)
    api(running).deploy(HELLO)
    assert call(running) == "hi"
    family = children(running.process.pid)
    running.process.kill()
    running.process.wait()
    assert wait_gone(family) == set()
    with start(tmp_path) as again:
        assert [function.slug for function in api(again).functions()] == ["hello"]


def test_it_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom migration.rehearsal.running import start\n"
        "print(start(Path(sys.argv[1])).process.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_gone({child}) == set()


def test_an_open_hanging_request_does_not_hold_up_the_end(tmp_path: Path) -> None:
    running = start(tmp_path)
    running.fault("list", "hang")
    url = f"{running.api_url}/v1/projects/{running.project_ref}/functions"
    asking = subprocess.Popen([sys.executable, "-c", ASK, url, running.access_token], stderr=subprocess.DEVNULL)
    while not running.history(operation="list"):
        time.sleep(0.02)
    running.stop()
    assert running.process.returncode == 0
    assert asking.wait(10) != 0


def test_run_by_hand_it_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "config.yaml"
    broken.write_text("rehearsal: [")
    command = [
        sys.executable,
        "-m",
        "migration.rehearsal.server",
        "--dir",
        str(tmp_path / "s"),
        "--config",
        str(broken),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "config.yaml" in done.stderr and "Traceback" not in done.stderr


def test_the_parent_learns_what_the_sandbox_wrote(sandbox: Running) -> None:
    written = json.loads((sandbox.folder / "sandbox.json").read_text())
    assert written == dict(sandbox.info)
    assert written["pid"] == sandbox.process.pid != os.getpid()
    assert written["project_ref"] == sandbox.project_ref


def test_an_installation_without_the_sandbox_s_parts_says_how_to_get_them(tmp_path: Path) -> None:
    """As after `uv sync --no-dev`."""
    (tmp_path / "server.log").write_text("Traceback …\nModuleNotFoundError: No module named 'starlette'\n")
    error = running._failure(1, tmp_path)
    assert isinstance(error, Refused) and error.hint == "uv sync"
    assert "are not installed (No module named 'starlette')" in error.message


def test_a_websocket_is_upgraded(sandbox: Running) -> None:
    """101 from the function itself, then frames both ways, and a row with the status."""
    source = b"""Deno.serve((req) => {
        const { socket, response } = Deno.upgradeWebSocket(req);
        socket.onmessage = (event) => socket.send(`echo ${event.data}`);
        return response });"""
    api(sandbox).deploy(Upload("hello", dict(HELLO.metadata), [(ENTRYPOINT, source)]))
    with socket.create_connection(("127.0.0.1", int(sandbox.info["port"])), timeout=30) as connection:
        lines = ["GET /functions/v1/hello HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", ""]  # fmt: skip
        connection.sendall("\r\n".join(lines).encode())
        head = connection.recv(4096)
        assert head.startswith(b"HTTP/1.1 101") and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        connection.sendall(bytes([0x81, 0x82, 0, 0, 0, 0]) + b"hi")  # a masked text frame
        assert connection.recv(4096) == bytes([0x81, 7]) + b"echo hi"
        connection.sendall(bytes([0x88, 0x80, 0, 0, 0, 0]))
        assert connection.recv(4096)[:1] == bytes([0x88])
