"""A mistake in the section `rehearsal` of config.yaml, which the sandbox finds when it starts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from migration.base.command import AGAIN, Do
from migration.base.errors import ConfigError, Refused

if TYPE_CHECKING:
    from migration.config.settings import Config


class SettingError(ConfigError):
    """`path` leads from the section to the value, `why` says what would be right."""

    def __init__(self, path: Iterable[str], why: str) -> None:
        self.path, self.why = ("rehearsal", *path), why
        super().__init__(f"{'.'.join(self.path)}: {why}", Do("correct it in config.yaml"), AGAIN)


def unknown(path: Iterable[str], known: Iterable[str]) -> SettingError:
    return SettingError(path, f"unknown key: one of {', '.join(known)}")


def written(error: Refused) -> dict[str, Any]:
    """What the server's process hands to the one that started it, beside the message."""
    return {"path": error.path[1:], "why": error.why} if isinstance(error, SettingError) else {}


@contextlib.contextmanager
def located(config: Config) -> Iterator[None]:
    """Within it such a mistake is reported as every other one of the config: with file, line and path."""
    try:
        yield
    except SettingError as error:
        from migration.config import load  # the server itself never needs it

        raise load.mistaken(config.file, [(error.path, error.why)]) from None
