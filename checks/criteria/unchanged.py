"""What the migration must leave alone: `unchanged`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from checks.criterion import Unmeasured, criterion, failed, need, passed, unclear
from checks.evidence import Evidence, Missing, UnchangedEvidence
from checks.result import CriterionOptions, FunctionVerdict, Judgement, Verdict

Fact = tuple[bool | None, str]  # whether it is as before (None: not known), and that in words


@criterion("unchanged", gate="decides")
def unchanged(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """Each function of migration.unchanged has its source as before, answers, and logs its own route.

    The route counts where a signal names that function alone. Reads `function` (judge this one alone). In a deploy's
    gate: the live version is as before, and it answers.
    """
    chosen = [options.function] if options.function else list(evidence.unchanged)
    if not chosen:
        raise Unmeasured("migration.unchanged names no function")
    missing = [part for function in chosen if isinstance(part := evidence.unchanged.get(function), Missing)]
    if len(missing) == len(chosen):
        raise Unmeasured(missing[0].why)
    parts = {function: _judge(evidence, function) for function in chosen}
    expected = f"{', '.join(chosen)} as before, and answering"
    bad, unknown = (
        {function: part for function, part in parts.items() if part.verdict is verdict}
        for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)
    )
    got = "; ".join(_grouped((function, part.got) for function, part in (bad or unknown or parts).items()))
    lines = _grouped((function, line) for function, part in parts.items() for line in part.evidence)
    each = tuple(FunctionVerdict(function, part.verdict, part.got) for function, part in parts.items())
    if bad:
        return replace(failed(expected, got, *lines), functions=each)
    whole = unclear(expected, got, *lines, settle=("smoke",)) if unknown else passed(expected, got)
    return replace(whole, functions=each)


def _grouped(facts: Iterable[tuple[str, str]]) -> list[str]:
    """Each text once, behind the functions of which it is true."""
    functions: dict[str, list[str]] = {}
    for function, text in facts:
        functions.setdefault(text, []).append(function)
    return [f"{', '.join(names)}: {text}" for text, names in functions.items()]


def _judge(evidence: Evidence, function: str) -> Judgement:
    part = evidence.unchanged.get(function)
    if isinstance(part, Missing):
        return unclear("", f"not measured: {part.why}")
    measured = need(part, f"{function} (is it in migration.unchanged?)")
    facts = _facts(measured, evidence.gate)
    bad = [words for good, words in facts if good is False]
    unknown = [words for good, words in facts if good is None]
    if bad:
        return failed("", "; ".join(bad), *measured.differs)
    if unknown:
        return unclear("", "; ".join(unknown), "a smoke case may settle it")
    return passed("", "; ".join(words for _, words in facts))


def _facts(measured: UnchangedEvidence, gate: bool) -> list[Fact]:
    answered = f"answers {measured.status}" if measured.status else "answers"
    silent = f"does not answer ({measured.status or 'no answer'})"
    answers = _fact(measured.answers, answered, silent, "whether it answers is not known")
    if gate:
        unknown = "its version from before is not known"
        return [_fact(measured.same_version, "the live version is as before", "another version is live", unknown),
                answers]  # fmt: skip
    differs = f"source differs in {len(measured.differs)} files"
    unknown = "no revision before the migration to compare with (app.base)"
    return [_fact(measured.same_source, "source identical to before", differs, unknown), answers,
            *([_route(measured.route_lines)] if measured.routed else [])]  # fmt: skip


def _route(lines: int | None) -> Fact:
    if lines is None:
        return None, "the log lines of its own route were not read"
    what = "line" if lines == 1 else "lines"
    return (True, f"{lines} {what} of its own route") if lines else (None, "no line of its own route in the logs")


def _fact(good: bool | None, yes: str, no: str, unknown: str) -> Fact:
    return good, yes if good else unknown if good is None else no
