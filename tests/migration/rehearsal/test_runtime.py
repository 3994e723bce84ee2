"""Functions on the platform's own Deno, where it was fetched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from migration.base.progress import Collected
from migration.rehearsal import runtime
from tests.support.edge import edge
from tests.support.project import ROOT


def test_without_npm_the_newer_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason and what differs are named, once."""
    monkeypatch.setenv("PATH", str(tmp_path))
    observer = Collected()
    assert runtime.choose("2.1.4", tmp_path, observer) is None
    (warning,) = [event[3] for event in observer.events if event[0] == "warn"]
    assert "Cannot fetch Deno 2.1.4 (npm is not installed)" in warning and "import defer" in warning


def test_a_failing_npm_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ETARGET' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    observer = Collected()
    assert runtime.choose("9.9.9", tmp_path, observer) is None
    assert "(npm error code ETARGET)" in observer.events[-1][3]


def test_without_the_key_the_difference_is_noted(tmp_path: Path) -> None:
    observer = Collected()
    assert runtime.choose(None, tmp_path, observer) is None
    assert f"the platform has {runtime.PLATFORM}" in observer.events[0][3]


def test_a_function_runs_on_the_version_of_the_platform(tmp_path: Path) -> None:
    """It serves, logs and reaches what the newer one reaches."""
    executable = runtime._installed(ROOT / ".cutover" / "runtime" / f"deno-{runtime.PLATFORM}")
    if executable is None or subprocess.run([executable, "--version"], check=False, capture_output=True).returncode:
        pytest.skip("Deno of the platform is not here: run inv sandbox with rehearsal.deno once")
    source = """Deno.serve(async (req) => { await Deno.writeTextFile("/tmp/a", "kept");
        console.log("seen"); return new Response(Deno.version.deno + await Deno.readTextFile("/tmp/a")) });"""
    with edge(tmp_path, tmp_path / "deno", deno_path=str(executable)) as place:
        place.functions.deploy("a", source)
        assert place.function("a").text == f"{runtime.PLATFORM}kept"
        place.functions.deploy("b", "export default { fetch: () => new Response('declared') };")
        assert place.function("b").text == "declared"
