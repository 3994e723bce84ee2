"""What a picture shows: whether it is blank, and how much of it differs from another one. By Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_NEAR = 12  # of 255: smaller differences in a channel are rounding and smoothing
LEAST_INK = 0.0005  # the share of pixels that a picture needs beside its background not to be blank
LEAST_CHANGE = 0.002  # the share of pixels in which two pictures must differ to be different


def opened(data: bytes) -> Image:
    """The picture of these bytes (PNG or JPEG), in RGB."""
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")


def cropped(data: bytes, box: tuple[int, int, int, int]) -> bytes:
    """The part of a picture (left, top, right, bottom) as PNG."""
    part = io.BytesIO()
    opened(data).crop(box).save(part, "PNG")
    return part.getvalue()


def ink(data: bytes) -> float:
    """The share of pixels, 0 to 1, that are not the picture's most frequent colour."""
    from PIL import Image

    picture = opened(data)
    counted = picture.getcolors(picture.width * picture.height) or [(1, (255, 255, 255))]
    ground: Any = max(counted)[1]
    return float(_differing(picture, Image.new("RGB", picture.size, ground)) / (picture.width * picture.height))


def blank(data: bytes) -> bool:
    """Whether there is nothing but one colour. A gradient is not blank, an empty page is."""
    return ink(data) < LEAST_INK


def difference(one: bytes, other: bytes) -> float:
    """The share of pixels, 0 to 1, in which two pictures differ; of another size: all of what one has more."""
    left, right = opened(one), opened(other)
    width, height = min(left.width, right.width), min(left.height, right.height)
    box = (0, 0, width, height)
    whole = max(left.width * left.height, right.width * right.height)
    return float((_differing(left.crop(box), right.crop(box)) + whole - width * height) / whole)


def _differing(left: Image, right: Image) -> int:
    """How many pixels differ in any channel by more than rounding."""
    from PIL import ImageChops

    red, green, blue = ImageChops.difference(left, right).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return sum(most.histogram()[_NEAR + 1 :])
