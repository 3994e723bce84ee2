"""JUnit files are read by CI servers: well-formed, of the known shape, and with the right counts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped

from checks.result import CriterionResult, Verdict
from migration.base.errors import Refused
from migration.base.secrets_type import Secret
from migration.cli.junit import junit, write_checks, write_smoke
from migration.clients.http import Answer
from migration.verify.expect import Failure as Unmet
from migration.verify.smoke import CaseResult, SmokeResult
from tests.support.project import ROOT

SCHEMA = xmlschema.XMLSchema(str(ROOT / "tests/data/junit.xsd"))
# What pytest 9.2 wrote for four tests of its own, shortened.
OF_PYTEST = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
failures="1" skipped="1" tests="4" time="0.019" timestamp="2026-11-23T02:18:11.046853+00:00" hostname="vm"><testcase
classname="test_x" name="test_good" time="0.000" /><testcase classname="test_x" name="test_bad" time="0.001"><failure
message="assert 0">def test_bad(): ...</failure></testcase><testcase classname="test_x" name="test_skip" time="0.000">
<skipped type="pytest.skip" message="why">test_x.py:4: why</skipped></testcase><testcase classname="test_x"
name="test_err" time="0.000"><error message="failed on setup">@pytest.fixture ...</error></testcase></testsuite>
</testsuites>"""


def read(text: str) -> Any:
    SCHEMA.validate(text)
    return next(iter(JUnitXml.fromstring(text.encode())))


def test_the_schema_takes_what_other_tools_write() -> None:
    SCHEMA.validate(OF_PYTEST)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('tests="4"', ""),
        ('errors="1"', 'errors="one"'),
        ('time="0.019"', 'time="-1"'),
        ('time="0.019"', 'time="1e-05"'),
        ('timestamp="2026-11-23T02:18:11.046853+00:00"', 'timestamp="today"'),
        ('name="test_good"', 'label="test_good"'),
        ('name="test_good"', 'name=""'),
        ("<failure", "<inconclusive /><failure"),
        ('message="why"', 'message="why" verdict="open"'),
        ("<testsuites ", '<testsuites skipped="1" '),
    ],
)
def test_the_schema_refuses_what_a_ci_server_would_not_understand(old: str, new: str) -> None:
    assert old in OF_PYTEST
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        SCHEMA.validate(OF_PYTEST.replace(old, new, 1))


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
    result = SimpleNamespace(criteria=(CriterionResult("no_503", verdict, "none", "3", ("at 12:00",), advisory),))
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
    assert "Cannot write" in caught.value.message and "--junit" in caught.value.hint
