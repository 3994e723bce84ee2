"""Where text leaves us: one gate for all of it. Secrets are masked, and nothing from outside controls what reads it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from migration.base.gate import ANYWHERE, CONTROLS, gate
from migration.base.plain import Lazily, plain, timed
from migration.base.secrets_type import mask

__all__ = ["OUTPUT", "Masked", "gate", "one_line", "pieces"]


OUTPUT = "the output"  # the file name of an error in writing there


class Masked:
    """A text stream without secrets; characters that its encoding lacks are written as JSON escapes.

    An OSError has OUTPUT as its file name: a full disk under a log file is not one under `.cutover`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.masks = True

    def write(self, text: str) -> int:
        safe = mask(text) if self.masks else text
        with _named():
            try:
                self._stream.write(safe)
            except UnicodeEncodeError:  # a terminal that is not UTF-8, or a file name that is not
                self._stream.write("".join(one if one.isascii() else json.dumps(one)[1:-1] for one in safe))
        return len(text)

    def flush(self) -> None:
        with _named():
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return self._stream.encoding or "utf-8"


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), OUTPUT) from error


def one_line(value: Any) -> str:
    """One JSON object in one line, without a raw control character."""
    return _written(timed(plain(value)))


def pieces(value: Mapping[str, Any]) -> Iterator[str]:
    """The same line in pieces: an item at a time of a list that is made when it is read."""
    for place, (key, inner) in enumerate(value.items()):
        yield f"{', ' if place else '{'}{_written(key)}: "
        if isinstance(inner, Lazily):
            yield "["
            for number, item in enumerate(inner):
                yield f"{', ' if number else ''}{one_line(item)}"
            yield "]"
        else:
            yield _written(timed({key: plain(inner)})[key])
    yield "}"


def _written(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False, default=str)
    text = ANYWHERE.sub(r"#\\u0023", text)
    return CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)
