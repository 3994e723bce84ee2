"""Deno is found, whoever asks first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from migration.source import deno
from tests.support.project import ROOT

AT_ONCE = """
import sys, threading
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
