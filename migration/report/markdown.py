"""Figures as Markdown for a pull request: the same numbers, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from migration.base.numbers import count
from migration.report.figures import Label
from migration.report.markup import FORMS, NONE
from migration.report.plan_document import SIGNS

Data = Mapping[str, Any]
_MARKS = {"pass": "✅", "fail": "❌"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#])")
_MENTION = re.compile(r"@(?=\w)")  # a text from outside notifies nobody's team
_MOST = 60_000  # characters: GitHub takes 65,536 in a comment


def markdown(data: Data) -> str:
    """The report in Markdown, every text escaped."""
    verdict = data["verdict"]
    parts = [
        f"## {_MARKS.get(verdict['word'], '❔')} {text(verdict['title'])}",
        text(verdict["sentence"]),
        _live(data["live"]),
        _next(verdict["next"]),
        *(
            part
            for draw in (_comparison, _checks, _costs, _deployments, _watch, _plan, _missing)
            for part in draw(data)
        ),
        f"Written at {FORMS['time'](data['written_at'])} by `inv report`, of the time since "
        f"{FORMS['time'](data['since'])}.",
    ]
    whole = "\n\n".join(part for part in parts if part) + "\n"
    return whole if len(whole) <= _MOST else f"{whole[:_MOST]}\n\n… cut: the whole is in the HTML report.\n"


def text(value: Any) -> str:
    """Text that marks nothing up and mentions no one."""
    return _MENTION.sub("@\u200b", _SPECIAL.sub(r"\\\1", " ".join(str(value).split())))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value: Any, form: str) -> str:
    return NONE if value is None else FORMS[form](value)


def _live(live: Data) -> str:
    if "missing" in live:
        return f"Not read: {text(live['missing'])}."
    since = f" Since {FORMS['time'](live['since'])}, by {text(live['who'])}." if live["since"] else ""
    back = live["restored"]
    again = f" Live again since {FORMS['time'](back['at'])}, after {text(back['after'])}." if back else ""
    return f"{text(live['message'])}{since}{again}"


def _next(steps: Sequence[str]) -> str:
    return "\n".join(["Next:", *(f"- {step(one)}" for one in steps)]) if steps else ""


def step(one: str) -> str:
    """A command as code, what a person does as text."""
    return text(one) if isinstance(one, Label) else code(one)


def code(value: str) -> str:
    """One line as code; the fence is longer than any run of backticks in it."""
    line = " ".join(value.split())
    fence = "`" * (max(map(len, re.findall(r"`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _comparison(data: Data) -> Iterator[str]:
    rows = data["comparison"].get("rows") or ()
    if rows:
        cells = [[text(row[name]) for name in ("name", "before", "after", "improvement")] for row in rows]
        yield "### Before and after"
        yield table(("", "before", "after", "difference"), cells)


def _checks(data: Data) -> Iterator[str]:
    rows = data["checks"].get("criteria") or ()
    if rows:
        yield "### Success criteria"
        yield table(
            ("", "criterion", "expected", "measured", "to see it"),
            [
                [
                    _MARKS.get(one["verdict"], "❔"),
                    text(one["label"] or one["name"]),
                    text(one["expected"]),
                    text(one["got"]),
                    code(one["command"]),
                ]
                for one in rows
            ],
        )


def _costs(data: Data) -> Iterator[str]:
    costs = data["costs"]
    if costs.get("requests") is None:
        return
    each, paid = costs["per_request"], data["reliability"].get("per_failure_avoided")
    rows = [
        ("requests", figure(costs["requests"], "int")),
        ("spend", figure(costs["cost"], "usd")),
        ("cost per request, mean", figure(each["mean"], "usd")),
        ("cost per request, p95", figure(each["p95"], "usd")),
        ("next 30 days", figure(costs["projection"]["trend"], "usd")),
        ("budget", text(costs["budget"]["level"])),
        (
            f"a failure avoided costs{'' if data['reliability'].get('old_cost_measured', True) else ' at most'}",
            figure(paid, "usd"),
        ),
    ]
    yield "### Costs"
    yield table(("metric", "value"), rows)


def _deployments(data: Data) -> Iterator[str]:
    rows = data["deployments"].get("rows") or ()
    if rows:
        yield "### Deployments"
        yield table(
            ("id", "kind", "outcome", "who", "seconds"),
            [
                [
                    text(row["id"]),
                    text(row["kind"]),
                    text(row["outcome"] or "no outcome"),
                    text(row["who"]),
                    figure(row["seconds"], "span"),
                ]
                for row in rows
            ],
        )


def _watch(data: Data) -> Iterator[str]:
    watch = data["watch"]
    if "missing" not in watch:
        yield "### The watch"
        lines = [f"{watch['verdict']}, {count(watch['round'], 'round')} of {watch['deployment']}", *watch["lines"]]
        yield "\n".join(f"- {text(line)}" for line in lines)


def _plan(data: Data) -> Iterator[str]:
    plan = data["plan"]
    if plan["items"]:
        yield f"### The plan: {plan['done']} of {plan['of']} items done"
        yield table(
            ("", "item", "evidence"),
            [[SIGNS[one["state"]], text(one["text"]), text(one["evidence"])] for one in plan["items"]],
        )


def _missing(data: Data) -> Iterator[str]:
    if data["missing"]:
        yield "### Not measured"
        yield table(
            ("part", "why", "how to measure it"),
            [
                [text(one["part"]), text(one["why"]), "<br>".join(step(how) for how in one["how"])]
                for one in data["missing"]
            ],
        )
