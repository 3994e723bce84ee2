"""What the migration must leave alone: `chat_unchanged` and `images_unchanged`."""

from __future__ import annotations

from .criterion import criterion, failed, need, passed, unclear
from .evidence import Evidence, UnchangedEvidence
from .result import CriterionOptions, Judgement

Fact = tuple[bool | None, str]  # whether it is as before (None: not known), and that in words


@criterion("chat_unchanged", gate="decides")
def chat_unchanged(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """The chat function: source identical to before the migration, it answers, its own route is in the logs.

    Reads `function` (chat). In a deploy's gate: the live version and source are as before, and it answers.
    """
    return _judge(evidence, options.function or "chat")


@criterion("images_unchanged", gate="decides")
def images_unchanged(evidence: Evidence, options: CriterionOptions) -> Judgement:
    """The image function: source identical to before the migration, it answers, its own route is in the logs.

    Reads `function` (generate-image). In a deploy's gate: the live version and source are as before, and it answers.
    """
    return _judge(evidence, options.function or "generate-image")


def _judge(evidence: Evidence, function: str) -> Judgement:
    expected = f"{function} is as before and answers"
    measured = need(evidence.unchanged.get(function), f"{function} (is it in migration.unchanged?)")
    facts = _facts(measured, evidence.gate)
    bad = [words for good, words in facts if good is False]
    unknown = [words for good, words in facts if good is None]
    if bad:
        return failed(expected, "; ".join(bad), *measured.differs)
    if unknown:
        return unclear(expected, "; ".join(unknown), f"a smoke case of {function} may settle it", settle=("smoke",))
    return passed(expected, "; ".join(words for _, words in facts))


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
            _route(measured.route_lines)]  # fmt: skip


def _route(lines: int | None) -> Fact:
    if lines is None:
        return None, "no signal names its own route: add one with `functions:` to the section signals"
    what = "line" if lines == 1 else "lines"
    return (True, f"{lines} {what} of its own route") if lines else (None, "no line of its own route in the logs")


def _fact(good: bool | None, yes: str, no: str, unknown: str) -> Fact:
    return good, yes if good else unknown if good is None else no
