"""Fixtures of the watch's tests."""

from tests.support.watching import providers

__all__ = ["providers"]
