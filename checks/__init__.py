"""The success criteria: evidence in, verdict out. Importing this registers the criteria that come with Cutover."""

from . import artifacts, faults, latency, rate, spend, unchanged
from .criterion import REGISTRY, Criterion, criterion
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
    "faults",
    "latency",
    "overall",
    "rate",
    "spend",
    "streak",
    "unchanged",
]
