"""Deno is found, whoever asks first."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.source import deno
from tests.support.project import ROOT

AT_ONCE = """
import sys, threading
from migration.base.errors import Refused
from migration.source import deno

found = []

def look():
    try:
        found.append(deno.executable())
    except BaseException as error:
        found.append(error)

threads = [threading.Thread(target=look) for _ in range(16)]
[each.start() for each in threads]
[each.join() for each in threads]
print(next((repr(one) for one in found if not isinstance(one, str)), "found by all"))
"""


def test_sixteen_threads_that_ask_first_at_once_all_find_deno() -> None:
    """Python's sysconfig, which the deno package asks, shows other threads what it has half made."""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", AT_ONCE], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "found by all\n"


def test_authorities_of_the_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Deno that fetches trusts what SSL_CERT_FILE names, unless DENO_CERT says otherwise or the file is gone."""
    file = tmp_path / "ca.pem"
    file.write_text("")
    monkeypatch.delenv("DENO_CERT", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert deno.environment(tmp_path)["DENO_CERT"] == str(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert deno.authorities() == {}
    monkeypatch.setenv("DENO_CERT", "own.pem")
    assert deno.authorities() == {}


def importing(tmp_path: Path, line: str) -> Path:
    entry = tmp_path / "supabase/functions/f/index.ts"
    entry.parent.mkdir(parents=True)
    entry.write_text(line)
    return entry


def test_pipe_among_the_sources_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of a pipe has no end; one that nothing imports stops nothing."""
    monkeypatch.setattr(deno, "_SOON", 1.0)
    entry = importing(tmp_path, 'import "./pipe.ts";')
    os.mkfifo(entry.with_name("pipe.ts"))
    with pytest.raises(Refused, match=r"within 1s\. No file: supabase/functions/f/pipe\.ts\.$"):
        deno.info(entry, ["--no-config"], tmp_path, tmp_path / "state")
    monkeypatch.setattr(deno, "_SOON", 60.0)
    entry.write_text("export {};")
    assert len(deno.info(entry, ["--no-config"], tmp_path, tmp_path / "state")["modules"]) == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_endless_file_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`import "/dev/zero"` ends as an import that failed, or Deno does, and not when the memory is gone."""
    monkeypatch.setattr(deno, "_MEMORY", 600_000_000)
    entry = importing(tmp_path, 'import "file:///dev/zero";')
    try:
        modules = deno.info(entry, ["--no-config"], tmp_path, tmp_path / "state")["modules"]
    except Refused as error:
        assert "Deno cannot read its imports" in error.message
    else:
        assert any("error" in module for module in modules)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_500_000
