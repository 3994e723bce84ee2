"""The steps in the browser as a part of a deploy's gate: `gate.e2e: true`. `cli` hands it in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migration.e2e import e2e
from migration.verify.gate import ExtraResult

if TYPE_CHECKING:
    from migration.context import Context
    from migration.e2e.result import E2eResult


def check(context: Context) -> ExtraResult:
    """One run, without a question: the plan showed what it may cost."""
    result = e2e.run(context)
    return ExtraResult(result.verdict, result.why, result, evidence(result))


def evidence(result: E2eResult) -> dict[str, object]:
    """What the ledger keeps of a run."""
    return {
        "url": result.url,
        "steps": len(result.steps),
        "passed": sum(step.ok is True for step in result.steps),
        "calls": [{"function": call.function, "request": call.request_id} for call in result.calls],
        "problems": [str(one) for one in result.problems[:5]],
    }
