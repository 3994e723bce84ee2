"""What the migration must leave alone: `chat_unchanged` and `images_unchanged`."""

from __future__ import annotations

from .criterion import criterion, failed, need, passed, unclear
from .evidence import Evidence, Unchanged
from .result import Finding, Options


@criterion("chat_unchanged", gate="decides")
def chat_unchanged(evidence: Evidence, options: Options) -> Finding:
    """The chat function: source identical to before the migration, it answers, its own route is in the logs.

    Reads `function` (chat). In a deploy's gate: the live version and source are as before, and it answers.
    """
    return _judge(evidence, options.function or "chat")


@criterion("images_unchanged", gate="decides")
def images_unchanged(evidence: Evidence, options: Options) -> Finding:
    """The image function: source identical to before the migration, it answers, its own route is in the logs.

    Reads `function` (generate-image). In a deploy's gate: the live version and source are as before, and it answers.
    """
    return _judge(evidence, options.function or "generate-image")


def _judge(evidence: Evidence, function: str) -> Finding:
    expected = f"{function} is as before and answers"
    missing = evidence.unchanged.get(function)
    found = need(missing, f"{function} (is it in migration.unchanged?)")
    facts = _facts(found, evidence.gate)
    bad = [words for good, words in facts if good is False]
    open_ = [words for good, words in facts if good is None]
    if bad:
        return failed(expected, "; ".join(bad), *found.differs)
    if open_:
        return unclear(expected, "; ".join(open_), f"a smoke case of {function} would tell: inv smoke")
    return passed(expected, "; ".join(words for _, words in facts))


def _facts(found: Unchanged, gate: bool) -> list[tuple[bool | None, str]]:
    answered = f"answers {found.status}" if found.status else "answers"
    answers = (found.answers, _say(found.answers, answered, f"does not answer ({found.status or 'no answer'})"))
    if gate:
        unknown = "its version from before is not known"
        version = _say(found.same_version, "the live version is as before", "another version is live", unknown)
        return [(found.same_version, version), answers]
    unknown = "there is no revision before the migration to compare with (app.base)"
    source = _say(
        found.same_source, "source identical to before", f"source differs in {len(found.differs)} files", unknown
    )
    return [(found.same_source, source), answers, _route(found.route_lines)]


def _route(lines: int | None) -> tuple[bool | None, str]:
    if lines is None:
        return None, "no signal names its own route: add one with `functions:` to the section signals"
    what = "line" if lines == 1 else "lines"
    return (True, f"{lines} {what} of its own route") if lines else (None, "no line of its own route in the logs")


def _say(good: bool | None, yes: str, no: str, unknown: str = "whether it answers is not known") -> str:
    return yes if good else unknown if good is None else no
