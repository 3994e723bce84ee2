"""For pytest users: `uv run pytest checks --env prod` judges the criteria of config.yaml, one test each."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration import context
from migration.base.durations import moment
from migration.base.errors import CutoverError
from migration.config import load
from migration.verify import checks_run
from migration.verify.checks_run import ChecksResult

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cutover")
    group.addoption("--env", default="prod", help="environment of config.yaml whose criteria are judged")
    group.addoption("--since", default="", help="a duration back, or a time; criteria.window without it")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process: the evidence is gathered once for all criteria, within the log endpoint's rate limit."""
    return 0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a criterion. Without any there is none to pass, and pytest ends with 5."""
    if "name" in metafunc.fixturenames:
        try:
            names = list(checks_run.criteria(load.load(ROOT)))
        except CutoverError as error:
            raise pytest.UsageError(f"{error.message}\n{error.hint}") from None
        metafunc.parametrize("name", names)


@pytest.fixture(scope="session")
def judged(request: pytest.FixtureRequest) -> ChecksResult:
    """All criteria, judged once. What `inv checks` refuses ends the run with the same exit code."""
    since = request.config.getoption("--since")
    try:
        run = context.make(ROOT, request.config.getoption("--env"))
        return checks_run.run(run, since=moment(since, run.clock.now()) if since else None)
    except CutoverError as error:
        pytest.exit(f"{error.message}\n{error.hint}", returncode=error.exit_code)
