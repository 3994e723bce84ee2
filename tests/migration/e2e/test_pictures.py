"""Blank, changed, the same: by pixels."""

from __future__ import annotations

import io
from typing import Any

import pytest

from migration.e2e import pictures

Image: Any = pytest.importorskip("PIL.Image", reason="Pillow is not installed: uv sync --group e2e")


def picture(*marks: tuple[int, int, int, int], size: tuple[int, int] = (100, 80), ground: int = 255) -> bytes:
    """A PNG of one grey with black boxes (left, top, right, bottom)."""
    made, data = Image.new("RGB", size, (ground, ground, ground)), io.BytesIO()
    for box in marks:
        made.paste((0, 0, 0), box)
    made.save(data, "PNG")
    return data.getvalue()


def test_one_colour_is_blank() -> None:
    assert pictures.blank(picture()) and pictures.blank(picture(ground=17))
    assert not pictures.blank(picture((10, 10, 16, 14)))


def test_gradient_is_not_blank() -> None:
    data = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(data, "PNG")
    assert not pictures.blank(data.getvalue())


def test_difference_is_a_share_of_pixels() -> None:
    """Rounding does not count; another size counts with all that one has more."""
    assert pictures.difference(picture(), picture(ground=250)) == 0
    assert pictures.difference(picture(), picture((0, 0, 50, 80))) == pytest.approx(0.5)
    assert pictures.difference(picture(), picture(size=(100, 40))) == pytest.approx(0.5)
