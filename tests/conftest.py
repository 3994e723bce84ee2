"""What all tests share: one sandbox server, emptied before each test that asks for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_httpserver import HTTPServer

if TYPE_CHECKING:
    from migration.rehearsal.logstore import LogStore
    from migration.rehearsal.running import Running

os.environ.pop("UV_RUN_RECURSION_DEPTH", None)  # printed commands begin with `inv`, however tests are started
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # else each verb and sandbox compiles two hundred modules again
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / f"cutover-bytecode-{os.getuid()}")
UNLIMITED = {"rate_limit": {"default": 0}}
KEYS = {"gemini": [f"GOOGLE_KEY_{number}" for number in range(1, 11)]}  # the sample's pool

# Files that take long come first, so that at the end no core waits for the other.
SLOW = ("test_by_hand", "test_apps", "test_rehearse", "test_rollback", "test_doctor", "test_recovery", "test_canary",
        "test_real_cli", "test_deploy", "test_gate", "test_checks_run", "test_logs_follow", "test_server")  # fmt: skip


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for processes and connections about a third of their time."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))


@pytest.fixture(autouse=True)
def no_type_check(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deploys of this process go without `deno check`, which takes more time than all the rest of a small deploy and
    only warns. `test_preflight.py` has it, and so has every verb that runs as a process of its own."""
    if "type_check" not in request.keywords:
        from tests.support.unchecked import Unchecked

        monkeypatch.setattr("migration.deploy.typecheck.TypeCheck", Unchecked)


@pytest.fixture(autouse=True)
def own_process_state() -> Iterator[None]:
    """What a process keeps for one run does not reach another test: words to mask, how commands are printed, what an
    interruption would leave."""
    from migration.base import interrupts, secrets_type
    from migration.base.command import CURRENT

    CURRENT.prefix, CURRENT.env = "inv", ""
    interrupts._state.left = interrupts.Left()
    known, words = dict(secrets_type._known), dict(secrets_type._words)
    yield
    for value in [value for value in secrets_type._known if value not in known]:
        del secrets_type._known[value]
    for value in [value for value in secrets_type._words if value not in words]:
        del secrets_type._words[value]


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server of the whole session; tests ask for `sandbox`."""
    from migration.rehearsal.running import start  # no other test waits for its imports

    with start(tmp_path_factory.mktemp("sandbox"), settings={"management": UNLIMITED, "keys": KEYS}) as running:
        yield running


@pytest.fixture
def sandbox(sandbox_server: Running) -> Running:
    """A running sandbox: an empty project with its first secrets, no faults, no history. Logs are kept."""
    sandbox_server.reset()
    return sandbox_server


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    """The sandbox's log store, opened once a module."""
    from migration.rehearsal.logstore import LogStore

    found = LogStore(tmp_path_factory.mktemp("logs"))
    yield found
    found.close()


@pytest.fixture
def emptied(store: LogStore) -> None:
    """The store of the module without a row."""
    store.flush()
    store.execute("TRUNCATE TABLE logs")


@pytest.fixture(scope="session")
def make_httpserver() -> Iterator[HTTPServer]:
    """pytest-httpserver's own, with a thread for each connection: one that is held open keeps no other test waiting."""
    server = HTTPServer(host="127.0.0.1", threaded=True)
    server.start()
    yield server
    server.clear()
    if server.is_running():
        server.stop()
