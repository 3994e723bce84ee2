"""One finding a cause, in the order of what to do first."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from migration.base.command import inv, steps
from migration.base.finding import Finding
from migration.inspect.causes import EXPLAINED, first_things_first


def finding(
    kind: str, severity: Literal["error", "warning"] = "error", subject: str = "", problem: str = "", verb: str = ""
) -> Finding:
    return Finding(kind, problem or f"{kind} here", f"seen {kind}", steps(inv(verb or kind)), severity, subject)


def test_symptom_joins_its_cause() -> None:
    """A key without money explains the 402 in the logs, and that the failing calls: one finding, an error."""
    found = first_things_first([finding("errors"), finding("logged_402"), finding("no_credit", "warning")])
    assert [(each.kind, each.severity, each.fix) for each in found] == [("no_credit", "error", steps(inv("no_credit")))]
    assert "errors here (seen errors)" in found[0].evidence and "logged_402 here" in found[0].evidence


def test_symptom_alone_stays() -> None:
    """Nothing explains it: it is a finding of its own."""
    found = [finding("errors"), finding("retries", "warning")]
    assert [each.kind for each in first_things_first([finding("retries", "warning")])] == ["retries"]
    assert [each.kind for each in first_things_first(found)] == ["errors"]


def test_cause_that_explains_few_calls_stays_apart() -> None:
    """Three calls met 429 and six a 503 of the provider: to send fewer requests would not help those six."""
    few = [finding("rate_limit", "warning"), replace(finding("errors"), causes=frozenset({"logged_503"}))]
    assert [each.kind for each in first_things_first(few)] == ["errors", "rate_limit"]
    all_of_them = replace(finding("errors"), causes=frozenset({"rate_limit"}))
    assert [each.kind for each in first_things_first([few[0], all_of_them])] == ["rate_limit"]


def test_functions_with_one_remedy_join() -> None:
    """Two functions that one deploy brings up to date are one finding; another remedy is another finding."""
    rows = [finding("undeployed", "warning", slug, f"{slug} differs", "deploy") for slug in ("alpha", "beta")]
    other = finding("undeployed", "warning", "gamma", "gamma differs", "plan")
    joined, alone = first_things_first([*rows, other])
    assert (joined.problem, joined.subject) == ("alpha differs; the same for beta", "alpha, beta")
    assert joined.evidence == "alpha: seen undeployed\nbeta: seen undeployed" and alone == other


def test_blocking_comes_first() -> None:
    """What keeps doctor from looking, and what refuses every deploy, before the errors; then the warnings."""
    rows = [finding("costs", "warning"), finding("absent"), finding("interrupted"), finding("unmeasured", "warning")]
    assert [each.kind for each in first_things_first(rows)] == ["unmeasured", "interrupted", "absent", "costs"]


def test_explanations_end() -> None:
    """No symptom explains itself, by whatever road."""
    for kind in EXPLAINED:
        seen, todo = set(), [kind]
        while todo:
            step = todo.pop()
            assert step not in seen or step != kind
            seen.add(step)
            todo += [one for one in EXPLAINED.get(step, ()) if one not in seen]
        assert all(kind not in EXPLAINED.get(one, ()) for one in seen)
