"""A recorded day for reports: what the verbs returned of ten deployments, a failed gate, a rollback and a watch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import structs

import checks
from checks.evidence import (
    Artifacts,
    Evidence,
    Faults,
    Missing,
    Month,
    Offender,
    ProviderEvidence,
    SentAnswers,
    Spend,
    Traffic,
    UnchangedEvidence,
    Window,
)
from checks.result import overall
from checks.table import table
from migration.base.command import inv
from migration.config import load
from migration.config.settings import Config, PlanItem
from migration.costs.projection import gauge, project
from migration.costs.report import CostLine, CostReport, RequestCost, SizeClass, SourceSpan, TokenCounts
from migration.inspect.history import HistoryResult
from migration.inspect.status import Row, StatusResult
from migration.report.gather import ReportFacts
from migration.report.prompts import PromptCounts
from migration.report.series import Moment, Series
from migration.verify import checks_run
from migration.verify.checks_run import ChecksResult
from migration.verify.samples import Sample
from tests.support.project import ROOT

UNTIL = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=1)
WHO = "Ada Lovelace"


def config(plan: Path | None = None, items: Sequence[PlanItem] = ()) -> Config:
    """The shipped config, with a plan document."""
    found = load.load(ROOT)
    named = plan.name if plan else None
    own = structs.replace(found.migration, plan=named, items=list(items))
    return structs.replace(found, migration=own, folder=plan.parent if plan else found.folder)


def facts(
    text: str = "", plan: Path | None = None, items: Sequence[PlanItem] = (), seed: int = 7, own: Config | None = None
) -> ReportFacts:
    """The day. `text` stands wherever a text comes from outside: slugs, notes, log lines, answers, errors, titles.

    `own`: judged by another config than the shipped one.
    """
    chance = random.Random(seed)
    own = own or config(plan, items)
    history = HistoryResult(tuple(deployments(text)), tuple(notes(text)))
    return ReportFacts(
        own, "prod", SINCE, UNTIL, status(text), history, judged(own, text), costs(own, text, chance), traffic(chance),
        PromptCounts(1_432, 1_301), watch(text, chance), {one.case: one for one in samples(text)}, {"usage": 1_432},
        [{"record": "note", "id": "a1", "at": "2026-11-27T08:00:00Z", "who": WHO, "text": text or "calm"}],
    )  # fmt: skip


def status(text: str) -> StatusResult:
    rows = [
        Row(slug, version, "20261127-080000-000a", WHO + text, "2026-11-27T08:00:12.5+00:00", "d1", "same", False)
        for slug, version in (("generate-artifact", 12), (f"generate-artifact-fix{text}", 9))
    ]
    message = f"20261127-080000-000a is live{text}."
    return StatusResult("prod", tuple(rows), None, (), None, (), message, (f"A note{text}",) if text else (), ())


def deployments(text: str) -> list[dict[str, Any]]:
    """Ten, newest first: the first gate failed, the fourth was rolled back."""
    rows = []
    for n in range(10):
        at = SINCE + timedelta(hours=1 + 2.4 * n)
        kind = "rollback" if n == 4 else "deploy"
        outcome = "restored" if n == 0 else "rolled_back" if n == 4 else "live"
        steps = [
            {"name": "snapshot", "seconds": 0.412, "waited": 0.0, "detail": "2 functions"},
            {"name": "stage", "seconds": 3.25, "waited": 0.5, "detail": ""},
            {"name": "activate", "seconds": 1.011, "waited": 0.2, "detail": text},
            {"name": "gate", "seconds": 61.2 + n, "waited": 44.125, "detail": "fail" if n == 0 else "pass"},
        ]
        change = {"slug": f"generate-artifact{text}", "action": "update", "before": {"version": n + 2},
                  "after": {"version": n + 3}}  # fmt: skip
        rows.append({
            "id": f"2026112{6 + (n > 5)}-080000-000{n:x}", "at": at.isoformat(),
            "ended": (at + timedelta(seconds=66 + n)).isoformat(), "who": WHO + text, "where": {"host": text or "ci"},
            "kind": kind, "outcome": outcome, "revision": "45397e1", "base_revision": "4f2c91e", "partial": False,
            "to": None, "functions": [change], "message": f"The gate failed: {text}" if n == 0 else "Live.",
            "steps": steps, "gate": {"verdict": "pass", "why": text}, "revert": None,
            "new_code_seconds": 4.4 if n == 0 else None, "live": n == 9,
            "undone_by": "20261126-080000-0004" if n == 3 else None, "settled": False, "without_lock": None,
        })  # fmt: skip
    return rows[::-1]


def notes(text: str) -> list[dict[str, Any]]:
    at = "2026-11-27T07:30:00+00:00"
    return [
        {"at": at, "who": "Grace", "text": f"the new dashboards look right {text}", "rating": 5},
        {"at": at, "who": "Linus", "text": "slower than I hoped", "rating": 3},
        {"at": at, "who": WHO, "text": f"e2e pass: 20 of 20 steps at https://app.example {text}"},
    ]


def evidence(text: str) -> Evidence:
    """Measured figures of a day after a migration away from an overloaded provider."""
    slow = {round(0.9 + 0.1 * n, 2): max(1, 60 - n) for n in range(60)}
    bad = tuple(Offender(f"exec-{n}{text}", "generate-artifact", f"503 after 2.{n} s {text}") for n in range(3))
    served = sum(slow.values())
    return Evidence(
        Window(SINCE, UNTIL, {"generate-artifact": 12}),
        (Traffic("generate-artifact", {200: served, 400: 12, 503: 2}, slow, bad),),
        (Traffic("generate-artifact", {200: 512, 503: 431}, {round(k * 1.4, 3): v for k, v in slow.items()}),),
        Spend(served, served, 0, 0, 1_900_000, 8.91, 8.91 / served, 0.002, ripe=served),
        Spend(512, 0),
        Faults(1, {"error": 1}, (Offender("exec-9", "generate-artifact", f"TypeError: {text or 'x'}"),)),
        SentAnswers(54, 54),
        Artifacts(40, 40, 40, 39),
        Missing(f"no smoke case was run before{text}"),
        ProviderEvidence(8.93, "today, UTC", served, 8.91, served),
        Month(21.4, 38.2, "the bill", {"light": 14.9}),
        {"chat": UnchangedEvidence("chat", True, (), True, True, 200, 12)},
    )


def judged(own: Config, text: str) -> ChecksResult:
    """The verdicts of the real criteria over that evidence."""
    found = evidence(text)
    options = {name: checks_run.option(own, name) for name in checks_run.criteria(own)}
    results = [checks.REGISTRY[name].judge(found, one) for name, one in options.items()]
    for one in results[:1]:
        results[0] = replace(one, evidence=(*one.evidence, f"case counter: {text}", inv("smoke")))
    return ChecksResult(tuple(results), overall(results), tuple(table(found, options)), str(found.window), found)


def costs(own: Config, text: str, chance: random.Random) -> CostReport:
    """24 hours at OpenRouter's price of Kimi K2 Thinking."""
    rows = []
    for n in range(24):
        requests = chance.randrange(20, 110)
        tokens = TokenCounts(requests * 812, requests * 100, requests * 1_433, requests * 601)
        cost = requests * chance.uniform(0.003, 0.006)
        key = (SINCE + timedelta(hours=n)).strftime("%Y-%m-%dT%H:00Z")
        rows.append(CostLine(key, requests, n % 5, tokens, cost, cost * 1.01))
    many, cost = sum(row.requests for row in rows), sum(row.cost or 0 for row in rows)
    tokens = TokenCounts(*(sum(getattr(row.tokens, name) for row in rows)
                           for name in ("input", "cached", "output", "reasoning")))  # fmt: skip
    sizes = tuple(SizeClass(0.001 * 1.2**n, 0.001 * 1.2 ** (n + 1), max(1, 200 - 4 * (n - 9) ** 2)) for n in range(16))
    coming = project(own.budget, cost / many, [], (cost, 24.0))
    return CostReport(
        SINCE, UNTIL, "hour", many, many - 2, many, sum(row.retries for row in rows), 0.031, tokens, cost, cost * 1.01,
        8.93, date(2026, 11, 26), "activity", RequestCost(cost / many, 0.0041, 0.0093), tuple(rows), (), coming,
        gauge(own.budget, 21.4, coming), (SourceSpan("logs", SINCE, UNTIL),), (f"a note {text}",), sizes,
    )  # fmt: skip


def traffic(chance: random.Random) -> Series:
    points = []
    for n in range(288):
        old = n < 12
        answers = chance.randrange(3, 12)
        failed = sum(chance.random() < (0.45 if old else 0.004) for _ in range(answers))
        p95 = round(chance.uniform(6, 11) if old else chance.uniform(3.4, 6.2), 3)
        points.append(Moment(SINCE + timedelta(minutes=5 * n), answers, failed, p95 if failed < answers else None))
    return Series(300, tuple(points))


def watch(text: str, chance: random.Random) -> dict[str, Any]:
    """A watch of 288 rounds, as `inv watch --json` shows it, with what it sent."""
    criteria = [
        {"name": name, "function": "", "verdict": "pass", "score": chance.randrange(60), "bad": 3, "answers": 1_890,
         "looks": 288, "limit": 0.01, "since": None, "settles": ""}
        for name in ("success_rate", "no_503", "response_time")
    ]  # fmt: skip
    points = [{"at": SINCE + timedelta(minutes=5 * n), "answers": 7, "failed": 0, "p95": 4.1, "probes": 0}
              for n in range(288)]  # fmt: skip
    sent = {"id": "a-1", "at": SINCE + timedelta(hours=5), "kind": "firing", "severity": "critical",
            "title": f"generate-artifact answers 503 {text}", "sent_at": SINCE + timedelta(hours=5)}  # fmt: skip
    return {
        "watch": "20261126-090500-77aa", "deployment": "20261127-080000-0009", "round": 288, "at": UNTIL,
        "started": SINCE + timedelta(minutes=5), "until": UNTIL, "cursor": UNTIL, "verdict": "pass",
        "criteria": criteria, "alarms": [], "points": points, "sent": [sent], "ended": "the planned time is over",
        "ended_at": UNTIL, "lines": [f"3 of 1,890 answers failed {text}"], "acted": None,
        "events": [{"at": UNTIL, "text": f"ended {text}"}],
    }  # fmt: skip


def samples(text: str) -> list[Sample]:
    return [
        Sample(UNTIL, "generate-artifact", "counter", True, 200, 3.1, True),
        Sample(UNTIL, "generate-artifact-fix", "fix", True, 200, 2.2, True, detail=text),
    ]
