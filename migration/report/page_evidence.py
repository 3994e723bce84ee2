"""The evidence: criteria, deployments step by step, the watch, feedback, the plan, and what was not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migration.report import charts
from migration.report.markup import Html, View, details, join, listed, table, tag
from migration.report.page_measured import command, lacking, step
from migration.report.plan_document import SIGNS

_VERDICTS = {"pass": "✓ pass", "fail": "✗ fail", "inconclusive": "? inconclusive"}


def verdict(word: str) -> Html:
    return tag("span", _VERDICTS.get(word, word), class_=f"v {word if word in _VERDICTS else 'other'}")


def checks(view: View) -> Html:
    if view.get("checks.missing"):
        return lacking(view, "checks")
    findings = [
        [view.show(f"checks.provider.{n}.problem"), view.show(f"checks.provider.{n}.evidence"),
         step(view, f"checks.provider.{n}.fix")]
        for n in range(len(view.get("checks.provider")))
    ]  # fmt: skip
    return join([
        tag("p", view.show("checks.counts.pass", "int"), " passed, ", view.show("checks.counts.fail", "int"),
            " failed, ", view.show("checks.counts.inconclusive", "int"), " not settled. Evidence from ",
            view.show("checks.window"), "."),
        tag("ul", [_criterion(view, n, one) for n, one in enumerate(view.get("checks.criteria"))], class_="rows"),
        table(("provider", "evidence", "to do"), findings, "What the provider says") if findings else None,
        command(view, "checks"),
    ])  # fmt: skip


def _criterion(view: View, n: int, one: Mapping[str, Any]) -> Html:
    at = f"checks.criteria.{n}"
    name = view.show(f"{at}.label") if one["label"] else view.show(f"{at}.name")
    lines = [view.show(f"{at}.evidence.{k}") for k in range(len(one["evidence"]))]
    about = [tag("p", view.show(f"{at}.measures"), class_="note"),
             tag("p", "advisory: reports, does not decide", class_="note") if one["advisory"] else None]  # fmt: skip
    shown = [listed(lines) if lines else None,
             tag("p", "To see it: ", tag("code", view.show(f"{at}.command")))]  # fmt: skip
    return tag(
        "li", tag("div", tag("h3", verdict(one["verdict"]), " ", name), about),
        tag("div", tag("p", "expected", class_="note"), tag("p", view.show(f"{at}.expected"))),
        tag("div", tag("p", "measured", class_="note"), tag("p", view.show(f"{at}.got")),
            details("Evidence" if lines else "To see it", shown)),
    )  # fmt: skip


def deployments(view: View) -> Html:
    rows = view.get("deployments.rows")
    if rows is None:
        return lacking(view, "deployments")
    older = view.get("deployments.older")
    return join(
        [
            [_deployment(view, n, one) for n, one in enumerate(rows)] or tag("p", "None in this time."),
            tag("p", view.show("deployments.older", "int"), " at other times.") if older else None,
            command(view, "deployments"),
        ]
    )


def _deployment(view: View, n: int, row: Mapping[str, Any]) -> Html:
    at = f"deployments.rows.{n}"
    changes = [
        tag(
            "li",
            view.show(f"{at}.functions.{k}.slug"),
            ": ",
            view.show(f"{at}.functions.{k}.action"),
            ", ",
            _version(view, f"{at}.functions.{k}.before"),
            " to ",
            _version(view, f"{at}.functions.{k}.after"),
        )
        for k in range(len(row["functions"]))
    ]
    facts = [
        tag("p", view.time(f"{at}.at"), " by ", view.show(f"{at}.who"), ", ", view.show(f"{at}.revision")),
        tag("p", view.show(f"{at}.message")) if row["message"] else None,
        tag("p", "taken back by ", view.show(f"{at}.undone_by")) if row.get("undone_by") else None,
        tag("p", "the new code was live for ", view.show(f"{at}.new_code_seconds", "span"), " before the restore")
        if row.get("new_code_seconds")
        else None,
        tag("ul", changes),
    ]
    return tag(
        "article",
        tag(
            "h3",
            view.show(f"{at}.kind"),
            " ",
            view.show(f"{at}.id"),
            ": ",
            view.show(f"{at}.outcome") if row["outcome"] else "no outcome",
        ),
        facts,
        _steps(view, at, row),
        class_="deployment",
    )


def _version(view: View, path: str) -> Html:
    version = view.get(path)
    if version is None and path.endswith("after"):
        return Html("not recorded")
    return join(["v", view.show(f"{path}.version", "int")]) if version and version.get("version") else Html("absent")


def _steps(view: View, at: str, row: Mapping[str, Any]) -> Html:
    """The steps as a bar and as a table: seconds of work, seconds of waiting."""
    if not row["steps"]:
        return tag("p", "No steps were recorded.", class_="note")
    parts = [(str(one["name"]), one["seconds"] - (one["waited"] or 0.0), one["waited"] or 0.0) for one in row["steps"]]
    words = "; ".join(f"{name} {work + wait:.1f}s" for name, work, wait in parts)
    name = f"steps-{at.rsplit('.', 1)[1]}"
    rows = [
        [
            view.show(f"{at}.steps.{k}.name"),
            view.show(f"{at}.steps.{k}.seconds", "seconds"),
            view.show(f"{at}.steps.{k}.waited", "seconds"),
            view.show(f"{at}.steps.{k}.detail"),
        ]
        for k in range(len(row["steps"]))
    ]
    waited = [", ", view.show(f"{at}.waited", "span"), " of them waiting"] if row["waited"] is not None else []
    total = tag("p", view.show(f"{at}.seconds", "span"), " in all", waited, ".")
    return join(
        [
            charts.chart(name, f"Steps of {row['id']}", words, lambda width: charts.timeline(parts, width), 50),
            total,
            details("Steps", table(("step", "seconds", "of them waiting", "detail"), rows, "Steps in seconds", (1, 2))),
        ]
    )


def watch(view: View) -> Html:
    if view.get("watch.missing"):
        return lacking(view, "watch")
    rows = [
        [
            join(
                [
                    view.show(f"watch.criteria.{n}.name"),
                    [" · ", view.show(f"watch.criteria.{n}.function")] if one["function"] else None,
                ]
            ),
            verdict(one["verdict"]),
            view.show(f"watch.criteria.{n}.bad", "int"),
            view.show(f"watch.criteria.{n}.answers", "int"),
            view.show(f"watch.criteria.{n}.limit", "percent"),
            view.show(f"watch.criteria.{n}.score", "int"),
        ]
        for n, one in enumerate(view.get("watch.criteria"))
    ]
    sent = [
        tag("li", view.time(f"watch.sent.{n}.at"), " ", view.show(f"watch.sent.{n}.title"))
        for n in range(len(view.get("watch.sent")))
    ]
    events = [
        tag("li", view.time(f"watch.events.{n}.at"), " ", view.show(f"watch.events.{n}.text"))
        for n in range(len(view.get("watch.events")))
    ]
    ended = ["ended: ", view.show("watch.ended")] if view.get("watch.ended") else ["until ", view.time("watch.until")]
    return join(
        [
            tag(
                "p",
                verdict(view.get("watch.verdict")),
                ", ",
                view.show("watch.round", "int"),
                " rounds of ",
                view.show("watch.deployment"),
                ", since ",
                view.time("watch.started"),
                ", ",
                ended,
                ".",
            ),
            listed([view.show(f"watch.lines.{n}") for n in range(len(view.get("watch.lines")))]),
            table(
                ("criterion", "verdict", "failed", "answers", "tolerated", "towards an alarm, of 100"),
                rows,
                "What the watch tests",
                (2, 3, 4, 5),
            ),
            [tag("h3", "Messages"), tag("ul", sent)] if sent else tag("p", "No message was sent."),
            details("The last events", tag("ul", events)) if events else None,
            command(view, "watch"),
        ]
    )


def feedback(view: View) -> Html:
    notes = view.get("feedback.notes")
    rows = [
        [
            view.time(f"feedback.notes.{n}.at"),
            view.show(f"feedback.notes.{n}.who"),
            join([view.show(f"feedback.notes.{n}.rating", "int"), " of 5"]) if one.get("rating") else "",
            view.show(f"feedback.notes.{n}.text"),
        ]
        for n, one in enumerate(notes)
    ]
    mean = (
        tag(
            "p",
            "Mean rating ",
            view.show("feedback.mean", "score"),
            " of 5, from ",
            view.show("feedback.ratings", "int"),
            ".",
        )
        if view.get("feedback.ratings")
        else None
    )
    return join(
        [
            lacking(view, "feedback"),
            mean,
            table(("when", "who", "rating", "note"), rows, "Notes in the ledger") if rows else None,
        ]
    )


def plan(view: View) -> Html:
    if view.get("plan.missing"):
        return lacking(view, "plan")
    rows = [_item(view, n, one) for n, one in enumerate(view.get("plan.items"))]
    return join([
        tag("p", view.show("plan.done", "int"), " of ", view.show("plan.of", "int"), " items of ",
            view.show("plan.file"), " are done."),
        tag("ul", rows, class_="rows") if rows else tag("p", "config.yaml maps no items (migration.items)."),
    ])  # fmt: skip


def _item(view: View, n: int, one: Mapping[str, Any]) -> Html:
    at = f"plan.items.{n}"
    sign = tag("span", SIGNS[one["state"]], class_=f"state {one['state'].split()[0]}", aria_hidden="true")
    line = ["line ", view.show(f"{at}.line", "int")] if one["line"] else ["not found"]
    return tag(
        "li", tag("div", tag("h3", sign, " ", view.show(f"{at}.text")), tag("p", line, class_="note")),
        tag("div", tag("p", view.show(f"{at}.state"))),
        tag("div", tag("p", view.show(f"{at}.evidence")),
            tag("p", tag("code", view.show(f"{at}.command"))) if one["command"] else None),
    )  # fmt: skip


def missing(view: View) -> Html:
    rows = view.get("missing")
    if not rows:
        return tag("p", "Everything that this report shows was measured.")
    return table(
        ("part", "why", "how to measure it"),
        [
            [
                view.show(f"missing.{n}.part"),
                view.show(f"missing.{n}.why"),
                listed([step(view, f"missing.{n}.how.{k}") for k in range(len(one["how"]))]),
            ]
            for n, one in enumerate(rows)
        ],
        "What was not measured, and how to measure it",
    )
