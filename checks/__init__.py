"""The success criteria: evidence in, verdict out. Importing this registers the criteria that come with Cutover."""

from checks.criteria import answers, latency, spend, unchanged
from checks.criterion import REGISTRY, Criterion, criterion, failed, named, need, passed, unclear
from checks.result import CriterionOptions, CriterionResult, Judgement, Verdict, overall

__all__ = [
    "REGISTRY",
    "Criterion",
    "CriterionOptions",
    "CriterionResult",
    "Judgement",
    "Verdict",
    "answers",
    "criterion",
    "failed",
    "latency",
    "named",
    "need",
    "overall",
    "passed",
    "spend",
    "unchanged",
    "unclear",
]
