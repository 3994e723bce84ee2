"""The success criteria: evidence in, verdict out. Importing this registers the criteria that come with Cutover."""

from . import artifacts, faults, latency, rate, spend, unchanged
from .criterion import REGISTRY, Criterion, criterion, failed, named, need, passed, unclear
from .result import Finding, Options, Result, Verdict, overall, streak

__all__ = [
    "REGISTRY",
    "Criterion",
    "Finding",
    "Options",
    "Result",
    "Verdict",
    "artifacts",
    "criterion",
    "failed",
    "faults",
    "latency",
    "named",
    "need",
    "overall",
    "passed",
    "rate",
    "spend",
    "streak",
    "unchanged",
    "unclear",
]
