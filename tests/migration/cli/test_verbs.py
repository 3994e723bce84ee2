"""What a verb does around its phase."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from migration.base.errors import Interrupted
from migration.cli import verbs
from migration.watch import watch


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Interrupted("SIGINT")])
def test_a_rollback_keeps_its_result(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is restored; that the end of its watch could not be written is no reason to hide it."""

    def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(watch, "close", fail)
    context: Any = None
    verbs._end_watch(context)
