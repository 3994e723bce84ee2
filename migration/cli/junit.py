"""JUnit XML, as CI servers read it: one suite, one testcase a smoke case or criterion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xml.etree import ElementTree

from migration.base.command import Do
from migration.base.errors import Refused
from migration.base.secrets_type import mask

# Characters that XML 1.0 cannot hold at all, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(NamedTuple):
    """One test case: `message` is its first line, `detail` everything else worth reading."""

    name: str
    classname: str
    seconds: float
    outcome: Literal["pass", "fail", "error", "skipped"]
    message: str = ""
    detail: str = ""


def junit(suite_name: str, cases: Iterable[tuple[Any, ...]]) -> str:
    """The XML of one suite; each case is a Case or a tuple of the same fields."""
    listed = [Case(*case) for case in cases]
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _text(suite_name), **_counts(listed)})
    for case in listed:
        _add(suite, case)
    ElementTree.indent(suites)
    xml: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return xml.decode() + "\n"


def write_smoke(path: Path, result: Any) -> None:
    """The file for a smoke result; Refused when it cannot be written."""
    _write(path, junit("smoke", map(_smoke, result.cases)))


def write_checks(path: Path, result: Any) -> None:
    """The file for the verdicts of the criteria: inconclusive is an error, an advisory failure is skipped."""
    _write(path, junit("checks", map(_check, result.criteria)))


def write_e2e(path: Path, result: Any) -> None:
    """The file for a run in the browser: a testcase a step, and one for each problem that belongs to no failed step."""
    own = {one.step for one in result.problems}
    steps = [_step(one, [p for p in result.problems if p.step == one.number]) for one in result.steps]
    failed = {one.number for one in result.steps if one.ok is False}
    others = [Case(f"{one.kind} {n}", "e2e.watched", 0.0, "fail", str(one)) for n, one in enumerate(result.problems, 1)
              if one.step not in failed]  # fmt: skip
    late = [Case(call.function, "e2e.logs", 0.0, "error", call.unproven) for call in result.unproven] if not own else []
    _write(path, junit("e2e", [*steps, *others, *late]))


def _step(step: Any, problems: list[Any]) -> Case:
    outcome: Any = {True: "pass", False: "fail", None: "skipped"}[step.ok]
    message = "an earlier step failed" if step.ok is None else step.problem
    detail = [step.cause, *(str(one) for one in problems), *step.there, step.screenshot]
    return Case(f"{step.number} {step.name}", "e2e", step.seconds, outcome, message, "\n".join(filter(None, detail)))


def _smoke(case: Any) -> Case:
    outcome: Any = "pass" if case.ok else "skipped" if case.skipped else "fail"
    message = case.skipped or "; ".join(str(failure) for failure in case.failures)
    return Case(case.name, f"smoke.{case.function}", case.seconds, outcome, message, "\n".join(_about(case)))


def _about(case: Any) -> Iterator[str]:
    yield from (str(failure) for failure in case.failures)
    if case.request_id:
        yield f"request {case.request_id}"
    if case.execution_id:
        yield f"execution {case.execution_id}"
    yield from case.log_lines
    if case.curl:
        yield case.curl


def _check(criterion: Any) -> Case:
    advisory = bool(getattr(criterion, "advisory", False))
    outcomes: Any = {"pass": "pass", "fail": "skipped" if advisory else "fail"}
    outcome = outcomes.get(str(criterion.verdict), "skipped" if advisory else "error")
    message = f"{criterion.verdict}: expected {criterion.expected}, got {criterion.got}"
    return Case(criterion.name, "checks", 0.0, outcome, message, "\n".join(str(line) for line in criterion.evidence))


def _counts(cases: list[Case]) -> dict[str, str]:
    names = {"tests": None, "failures": "fail", "errors": "error", "skipped": "skipped"}
    counts = {
        key: str(sum(case.outcome == outcome for case in cases) if outcome else len(cases))
        for key, outcome in names.items()
    }
    return {**counts, "time": f"{sum(case.seconds for case in cases):.3f}"}


def _add(suite: ElementTree.Element, case: Case) -> None:
    attributes = {"name": _text(case.name), "classname": _text(case.classname), "time": f"{case.seconds:.3f}"}
    element = ElementTree.SubElement(suite, "testcase", attributes)
    tag = {"fail": "failure", "error": "error", "skipped": "skipped"}.get(case.outcome)
    if tag:
        ElementTree.SubElement(element, tag, message=_text(case.message)).text = _text(case.detail)


def _text(value: str) -> str:
    return _ILLEGAL.sub("\ufffd", mask(value))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"Cannot write {path}: {error.strerror}.", Do("name another file with --junit")) from None
