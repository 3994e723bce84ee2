"""Whatever a terminal can show, text reaches it."""

from __future__ import annotations

import io
import json

import pytest

from migration.cli.sink import Masked


@pytest.mark.parametrize(
    ("encoding", "text"), [("ascii", "→ größe 🤖"), ("latin-1", "✓ größe"), ("utf-8", "bad \udcff")]
)
def test_what_the_encoding_lacks_goes_out_as_json_writes_it(encoding: str, text: str) -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)
    sink = Masked(stream)
    assert sink.write(f'"{text}"') == len(text) + 2
    stream.flush()
    assert json.loads(buffer.getvalue().decode("ascii")) == text


def test_what_it_can_show_goes_out_as_it_is() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="utf-8")
    Masked(stream).write("→ größe")
    stream.flush()
    assert buffer.getvalue().decode() == "→ größe"
