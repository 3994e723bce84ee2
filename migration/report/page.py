"""Figures as one HTML page that loads nothing: one style and one script, each allowed by its hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from migration.report import page_evidence, page_measured
from migration.report.markup import Html, View, details, join, listed, tag

_HERE = Path(__file__).parent
_SIGNS = {"pass": "✓", "fail": "✗"}
_TITLES = {
    "comparison": "Before and after",
    "traffic": "Over time",
    "costs": "Costs",
    "reliability": "What reliability costs",
    "prompts": "Repeated prompts",
    "checks": "Success criteria",
    "deployments": "Deployments",
    "watch": "The watch",
    "feedback": "Feedback",
    "plan": "The plan",
    "missing": "Not measured",
}
_DRAWN = {
    "comparison": page_measured.comparison,
    "traffic": page_measured.traffic,
    "costs": page_measured.costs,
    "reliability": page_measured.reliability,
    "prompts": page_measured.prompts,
    "checks": page_evidence.checks,
    "deployments": page_evidence.deployments,
    "watch": page_evidence.watch,
    "feedback": page_evidence.feedback,
    "plan": page_evidence.plan,
    "missing": page_evidence.missing,
}


def page(data: Mapping[str, Any]) -> str:
    """The whole file. Every text of `data` is written as text, whatever it holds."""
    view = View(data)
    title = f"{data['migration']['name']}: {data['verdict']['word']} in {data['env']}"
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    sections = [_section(view, name) for name in _TITLES]
    body = tag(
        "body",
        tag("a", "Skip to the evidence", href="#comparison", class_="skip"),
        tag("header", _top(view)),
        tag("nav", listed([tag("a", text, href=f"#{name}") for name, text in _TITLES.items()]), aria_label="Sections"),
        tag("main", sections),
        tag("footer", _footer(view)),
        tag("script", Html(script)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


@cache
def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _section(view: View, name: str) -> Html:
    return tag(
        "section", tag("h2", _TITLES[name], id=f"{name}-h"), _DRAWN[name](view), id=name, aria_labelledby=f"{name}-h"
    )


def _top(view: View) -> Html:
    """The verdict, what is live, since when and by whom, and what to do next."""
    word = str(view.get("verdict.word"))
    kind = {"pass": "pass", "fail": "fail", "rolled back": "back"}.get(word, "open")
    mark = tag("span", _SIGNS.get(word, "?" if kind == "open" else "↩"), class_="mark", aria_hidden="true")
    next_ = view.get("verdict.next") or []
    todo = (
        listed([page_measured.step(view, f"verdict.next.{n}") for n in range(len(next_))])
        if next_
        else tag("p", "Nothing to do.")
    )
    return join(
        [
            tag(
                "p",
                view.show("migration.name"),
                " · ",
                view.show("env"),
                " · ",
                view.time("since"),
                " to ",
                view.time("until"),
                class_="over",
            ),
            tag(
                "div",
                mark,
                tag("div", tag("h1", view.show("verdict.title")), tag("p", view.show("verdict.sentence"))),
                class_=f"verdict {kind}",
            ),
            tag("div", _live(view), tag("div", tag("h2", "Next"), todo, class_="card"), class_="cards"),
            _headline(view),
        ]
    )


def _live(view: View) -> Html:
    live = view.get("live")
    if "missing" in live:
        return tag("div", tag("h2", "Live"), page_measured.lacking(view, "live"), class_="card")
    versions = [
        tag(
            "tr",
            tag("th", view.show(f"live.functions.{n}.slug"), scope="row"),
            tag("td", ["v", view.show(f"live.functions.{n}.version", "int")] if one["version"] else "absent"),
            tag("td", "outside Cutover" if one["drifted"] else f"git: {one['git']}"),
        )
        for n, one in enumerate(live["functions"])
    ]
    by = [tag("p", "since ", view.time("live.since"), ", by ", view.show("live.who"))] if live["who"] else []
    if live["restored"]:
        again = view.time("live.restored.at"), ", after ", view.show("live.restored.after")
        by.append(tag("p", "live again since ", again))
    return tag(
        "div",
        tag("h2", "Live"),
        tag("p", view.show("live.message")),
        by,
        tag("table", tag("caption", "Live versions", class_="hidden"), tag("tbody", versions)),
        [tag("p", view.show(f"live.notes.{n}"), class_="note") for n in range(len(live["notes"]))],
        class_="card",
    )


def _headline(view: View) -> Html:
    """Four figures that a manager reads; the cost of the code after, else of all that was logged."""
    after = view.get("comparison.cost.after") if "missing" not in view.get("comparison") else None
    cost = "comparison.cost.after.mean" if after else "costs.per_request.mean"
    cells = [
        (
            "answers that succeed",
            view.show("comparison.success.after.share", "percent"),
            view.show("comparison.success.before.share", "percent"),
        ),
        (
            "response time, p95",
            view.show("comparison.time.after.p95", "seconds"),
            view.show("comparison.time.before.p95", "seconds"),
        ),
        (
            "cost per request",
            view.show(cost, "usd"),
            view.show("comparison.cost.before.mean", "usd"),
        ),
        ("next 30 days", view.show("costs.projection.trend", "usd"), None),
    ]
    return tag(
        "dl",
        [
            tag(
                "div",
                tag("dt", name),
                tag("dd", value),
                tag("dd", ["before: ", before], class_="was") if before else None,
            )
            for name, value, before in cells
        ],
        class_="tiles",
    )


def _footer(view: View) -> Html:
    return join(
        [
            tag(
                "p",
                "Written by ",
                tag("code", "inv report"),
                " at ",
                view.time("written_at"),
                ". Times are UTC; with scripts allowed, your own stand beside them. Every figure is in figures.json, "
                "which ",
                tag("code", "inv report --out DIR/"),
                " writes.",
            ),
            details("How each figure was measured", page_measured.sources()),
        ]
    )
