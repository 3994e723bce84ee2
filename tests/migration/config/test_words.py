from __future__ import annotations

import pytest

from migration.config.words import CLOSE, OPEN, guess, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"), (True, "true"), (5, "5"), (0.5, "0.5"), ("a\nb", r"'a\nb'"), ({}, "keys and values"),
        ([1], "a list"), (f"{OPEN}NAME{CLOSE}/x", "'${NAME}/x'"), ("x" * 1000, "'" + "x" * 59 + "…"),
    ],
)  # fmt: skip
def test_a_value_is_shown_as_its_writer_knows_it(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_guess_is_what_is_close_else_what_there_is() -> None:
    assert guess("soack", ["gate", "soak"]) == "; did you mean soak?"
    assert guess("zzz", ["soak", "gate"]) == "; known are gate, soak"
    assert guess("zzz", []) == ""
