"""JUnit files are read by CI servers: well-formed, of the known shape, and with the right counts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from checks.result import Result, Verdict
from migration.answers.expect import Failure as Unmet
from migration.clients.http import Answer
from migration.common.secrets_type import Secret
from migration.errors import Refused
from migration.report.junit import junit, write_checks, write_smoke
from migration.smoke import CaseResult, SmokeResult

# The commonly used schema (JUnit 10): the children and attributes that each element may have; `!` is required.
SHAPE: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors", "disabled"}),
    "testsuite": (
        {"testcase", "properties", "system-out", "system-err"},
        {"name!", "tests!", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
    ),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name!", "classname!", "time", "status"},
    ),
    "failure": (set(), {"message", "type"}),
    "error": (set(), {"message", "type"}),
    "skipped": (set(), {"message", "type"}),
}


def valid(element: ElementTree.Element) -> None:
    """Fails where an element has a child or an attribute that the schema does not know, or lacks a required one."""
    children, attributes = SHAPE[element.tag]
    assert set(element.attrib) <= {name.rstrip("!") for name in attributes}, element.tag
    assert {name[:-1] for name in attributes if name.endswith("!")} <= set(element.attrib), element.tag
    for name in ("tests", "failures", "errors", "skipped"):
        assert element.get(name, "0").isdecimal() and float(element.get("time", "0")) >= 0
    for child in element:
        assert child.tag in children, f"{child.tag} in {element.tag}"
        valid(child)


def read(text: str) -> Any:
    valid(ElementTree.fromstring(text))
    return next(iter(JUnitXml.fromstring(text.encode())))


CASES = [
    ("good", "c", 1.25, "pass", "", ""),
    ("bad", "c", 2.0, "fail", "expected 200, got 503", "request 1\ncurl …"),
    ("unknown", "c", 0.0, "error", "inconclusive", ""),
    ("left out", "c", 0.0, "skipped", "it needs another", ""),
]


def test_each_outcome_has_its_element_and_is_counted() -> None:
    """Read back by a parser that is not ours."""
    suite = read(junit("smoke", CASES))
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == ("smoke", 4, 1, 1, 1)
    assert suite.time == pytest.approx(3.25)
    kinds = [[type(result) for result in case.result] for case in suite]
    assert kinds == [[], [Failure], [Error], [Skipped]]
    bad = list(suite)[1]
    assert (bad.name, bad.classname, bad.time) == ("bad", "c", 2.0)
    assert (bad.result[0].message, bad.result[0].text) == ("expected 200, got 503", "request 1\ncurl …")


def test_nothing_is_a_suite_too() -> None:
    """An empty list makes a file that can be read."""
    assert read(junit("none", [])).tests == 0


def test_any_text_can_be_written_and_no_secret_is() -> None:
    """Angle brackets, quotes, control characters and half a surrogate pair, all in one answer."""
    secret = Secret("a-secret-in-an-answer")
    text = f"<a href='x'>\"&\x00\x1b[31m\ud800 ]]> {secret.reveal()} 🤖"
    case = next(iter(read(junit("s", [("n\x01", "c", 0.0, "fail", text, text)]))))
    assert secret.reveal() not in str(case.result[0].message) and "🤖" in case.result[0].text
    assert case.result[0].message.startswith("<a href='x'>\"&\ufffd")


def test_a_smoke_result_is_written_with_what_one_needs_to_look_into_it(tmp_path: Path) -> None:
    """Failures, ids, log lines and the curl line; folders are made."""
    failed = CaseResult(
        "counter", "generate-artifact", False, 503, 1.5, (Unmet("status", "200", "503: Busy"),), "request-1", "run-1",
        "curl -i x", ("[request-1] failed",), answer=Answer(503, {}, b"", 1.5),
    )  # fmt: skip
    good = CaseResult("chat", "chat", True, 200, 0.5)
    skipped = CaseResult("fix", "generate-artifact-fix", False, skipped="it needs code of the case counter")
    write_smoke(tmp_path / "new" / "smoke.xml", SmokeResult((failed, good, skipped)))
    cases = list(read((tmp_path / "new" / "smoke.xml").read_text()))
    assert [(case.name, case.classname) for case in cases] == [
        ("counter", "smoke.generate-artifact"), ("chat", "smoke.chat"), ("fix", "smoke.generate-artifact-fix")
    ]  # fmt: skip
    assert cases[0].result[0].text.split("\n") == [
        "status: expected 200, got 503: Busy", "request request-1", "execution run-1", "[request-1] failed", "curl -i x"
    ]  # fmt: skip
    assert isinstance(cases[2].result[0], Skipped) and not cases[1].result


@pytest.mark.parametrize(
    ("verdict", "advisory", "kind"),
    [(Verdict.PASS, False, None), (Verdict.FAIL, False, Failure), (Verdict.INCONCLUSIVE, False, Error),
     (Verdict.FAIL, True, Skipped), (Verdict.INCONCLUSIVE, True, Skipped)],
)  # fmt: skip
def test_what_was_not_measured_is_an_error_and_never_a_pass(
    tmp_path: Path, verdict: Verdict, advisory: bool, kind: type | None
) -> None:
    """An advisory criterion reports and does not decide."""
    result = SimpleNamespace(criteria=(Result("no_503", verdict, "none", "3", ("at 12:00",), advisory),))
    write_checks(tmp_path / "checks.xml", result)
    case = next(iter(read((tmp_path / "checks.xml").read_text())))
    assert [type(found) for found in case.result] == ([kind] if kind else [])
    if kind:
        assert case.result[0].message == f"{verdict}: expected none, got 3" and case.result[0].text == "at 12:00"


def test_a_file_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    """The path and the flag are named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused) as caught:
        write_smoke(tmp_path / "file" / "x.xml", SmokeResult(()))
    assert "cannot be written" in caught.value.message and "--junit" in caught.value.hint
