"""What was measured: before and after, over time, costs, what reliability costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migration.report import charts
from migration.report.charts import Frame
from migration.report.figures import Label
from migration.report.markup import FORMS, NONE, Child, Html, View, details, join, listed, table, tag

_USD, _PERCENT = FORMS["usd"], FORMS["percent"]
_AXIS = {
    "usd": lambda value: f"${value:,.6g}",
    "percent": lambda value: f"{value * 100:.4g}%",
    "seconds": lambda value: f"{value:.3g}s",
}


def lacking(view: View, path: str) -> Html:
    """That a part was not measured, why, and how to measure it."""
    part = view.get(path)
    if not part or not part.get("missing"):
        return join(())
    how = [step(view, f"{path}.how.{n}") for n in range(len(part.get("how") or ()))]
    words = [
        tag("strong", "Not measured: "),
        view.show(f"{path}.missing"),
        "" if part["missing"].endswith(".") else ".",
    ]
    return tag("div", tag("p", words), [tag("p", "To measure it:"), listed(how)] if how else None, class_="lacking")


def step(view: View, path: str) -> Html:
    """A command as code, what a person does as text."""
    return tag("span" if isinstance(view.get(path), Label) else "code", view.show(path))


def command(view: View, path: str) -> Html:
    """How to see the same in the terminal."""
    return tag("p", "To see it: ", tag("code", view.show(f"{path}.command")), class_="see")


def comparison(view: View) -> Html:
    if view.get("comparison.missing"):
        return lacking(view, "comparison")
    names = ("name", "before", "after", "improvement", "expected_before", "expected_after")
    rows = view.rows("comparison.rows", dict.fromkeys(names, "text"))
    head = ("figure", "before", "after", "difference", "plan: before", "plan: after")
    back = view.get("verdict.word") == "rolled back"
    return join(
        [
            tag(
                "p",
                "The code before is live again: “after” is the code that was rolled back, while it was live.",
                class_="note",
            )
            if back
            else None,
            table(head, rows, "The plan's table with measured values and their 95% intervals"),
            _shares(view, "success", "Answers that succeed"),
            _shares(view, "quality", "Valid answers"),
            listed([view.show(f"comparison.why.{n}") for n in range(len(view.get("comparison.why")))], class_="note"),
            command(view, "comparison"),
        ]
    )


def _shares(view: View, name: str, title: str) -> Html:
    """The two shares with their intervals, drawn and as a table."""
    at = f"comparison.{name}"
    there = [side for side in ("before", "after") if view.get(f"{at}.{side}")]
    if not there:
        return join(())
    shares = [view.get(f"{at}.{side}") for side in there]
    drawn = [(side, one["share"], one["low"], one["high"]) for side, one in zip(there, shares, strict=True)]
    words = "; ".join(
        f"{side} {_PERCENT(value)}, between {_PERCENT(low)} and {_PERCENT(high)}" for side, value, low, high in drawn
    )
    figures = {"good": "int", "of": "int", "share": "percent", "low": "percent", "high": "percent"}
    rows = [[side, *(view.show(f"{at}.{side}.{name}", form) for name, form in figures.items())] for side in there]
    points = [
        tag(
            "p",
            "Difference: ",
            view.show(f"{at}.points.middle", "points"),
            ", between ",
            view.show(f"{at}.points.low", "points"),
            " and ",
            view.show(f"{at}.points.high", "points"),
            ".",
        )
    ]
    return tag(
        "div",
        tag("h3", title),
        charts.chart(
            name,
            title,
            words,
            lambda width: charts.intervals(drawn, width, 1.0, _AXIS["percent"]),
            40 + 40 * len(drawn),
        ),
        points if view.get(f"{at}.points") else None,
        details(
            "Numbers",
            table(
                ("figure", "succeeded", "of", "share", "low", "high"),
                rows,
                f"{title}: counts and intervals",
                (1, 2, 3, 4, 5),
            ),
        ),
    )


def traffic(view: View) -> Html:
    points = view.get("traffic.points") or []
    if not points:
        return join([lacking(view, "traffic"), charts.key(view, "traffic.marks")])
    since, until = charts.seconds(view.get("since")), charts.seconds(view.get("until"))
    marks, step = view.get("traffic.marks"), float(view.get("traffic.step"))
    shares = [(charts.seconds(at), 1 - failed / answers) for at, answers, failed, _ in points]
    times = [(charts.seconds(at), p95) for at, _, _, p95 in points if p95 is not None]
    low = min(0.9, *(value for _, value in shares))
    low = 0.0 if low < 0.5 else 0.5 if low < 0.9 else 0.9
    slowest = charts.top(max((value for _, value in times), default=1.0))

    def success(width: int) -> list[Html]:
        frame = Frame(width, 220, since, until, low, 1.0)
        return charts.over_time(shares, frame, step, "share", _AXIS["percent"], marks)

    def latency(width: int) -> list[Html]:
        frame = Frame(width, 220, since, until, 0.0, slowest)
        return charts.over_time(times, frame, step, "time", _AXIS["seconds"], marks)

    worst = min(value for _, value in shares)
    about = f"{len(points)} steps with answers; lowest {_PERCENT(worst)}; {len(marks)} events are marked"
    rows: Sequence[Sequence[Child]] = [
        [
            tag("time", FORMS["time"](at), datetime=at),
            f"{answers}",
            f"{failed}",
            NONE if p95 is None else f"{p95:.2f}s",
        ]
        for at, answers, failed, p95 in points
    ]
    forms = "time,int,int,seconds"
    return join(
        [
            tag(
                "p",
                view.show("traffic.answers", "int"),
                " answers, ",
                view.show("traffic.failed", "int"),
                " failed; one point is ",
                view.show("traffic.step", "span"),
                ".",
            ),
            tag("h3", "Answers that succeed"),
            charts.chart("success-time", "Success over time", about, success),
            tag("h3", "Response time, p95"),
            charts.chart(
                "p95-time", "Response time over time", f"95th percentile, slowest step {slowest:g}s or less", latency
            ),
            charts.key(view, "traffic.marks"),
            details(
                "Numbers",
                table(
                    ("from (UTC)", "answers", "failed", "p95"),
                    rows,
                    "Answers by time",
                    (1, 2, 3),
                    data_f="traffic.points",
                    data_as=forms,
                ),
            ),
            command(view, "traffic"),
        ]
    )


def costs(view: View) -> Html:
    if view.get("costs.requests") is None:
        return lacking(view, "costs")
    return join(
        [
            lacking(view, "costs"),
            _spend(view),
            _budget(view),
            _distribution(view),
            _metrics(view),
            command(view, "costs"),
        ]
    )


def _spend(view: View) -> Html:
    rows = view.get("costs.rows")
    if not rows:
        return join(())
    by = view.get("costs.by")
    values, total = [row["cost"] or 0.0 for row in rows], view.get("costs.cumulative")
    labels = [row["key"][11:16] if by == "hour" and "T" in row["key"] else row["key"][5:] for row in rows]
    names = {"key": "text", "requests": "int", "retries": "int", "tokens.total": "int", "cost": "usd"}
    lines = [[*row, view.show(f"costs.cumulative.{n}", "usd")] for n, row in enumerate(view.rows("costs.rows", names))]

    def draw(width: int) -> list[Html]:
        return charts.bars(values, labels, width, 200, _AXIS["usd"])

    def running(width: int) -> list[Html]:
        high = charts.top(max(total, default=0))
        frame = Frame(width, 200, 0, max(len(total), 1), 0, high)
        drawn = charts.cumulative(total, frame)
        return [
            *charts.bars([0.0] * len(total), labels, width, 200, lambda _: ""),
            *charts.grid(frame, _AXIS["usd"]),
            *drawn,
        ]

    about = f"{len(rows)} bars, one a {by}; the highest is {_USD(max(values))}"
    return join(
        [
            tag("h3", f"Spend by {by}"),
            charts.chart("spend", f"Spend by {by}", about, draw, 200),
            [
                tag("h3", "Spend, cumulative"),
                charts.chart("sum", "Cumulative spend", f"rises to {_USD(total[-1])}", running, 200),
            ]
            if len(total) > 1
            else None,
            details(
                "Numbers",
                table(
                    (f"{by} (UTC)", "requests", "retries", "tokens", "spend", "cumulative"),
                    lines,
                    f"Requests, tokens and spend by {by}",
                    (1, 2, 3, 4, 5),
                ),
            ),
        ]
    )


def _budget(view: View) -> Html:
    paths = [
        ("this month so far, billed", "costs.budget.spent"),
        ("next 30 days at this rate", "costs.projection.trend"),
    ]
    paths += [
        (f"{one['name']}: {one['per_day']:,} a day for 30 days", f"costs.volumes.{n}.month")
        for n, one in enumerate(view.get("costs.volumes") or ())
    ]
    known = [(label, path, view.get(path)) for label, path in paths if view.get(path) is not None]
    limits = [(name, view.get(f"costs.budget.{name}")) for name in ("warning", "critical")]
    drawn = [(label, value, _USD(value)) for label, _, value in known]
    words = "; ".join(f"{label}: {text}" for label, _, text in drawn)
    rows = [[_label(view, label, path), view.show(path, "usd")] for label, path in paths]
    rows += [[f"threshold: {name}", view.show(f"costs.budget.{name}", "usd")] for name, _ in limits]
    return join(
        [
            tag("h3", "Against the budget"),
            charts.chart(
                "budget",
                "Spend of a month against the thresholds",
                words,
                lambda width: charts.gauges(drawn, limits, width, _USD),
                46 + 40 * len(drawn),
            )
            if drawn
            else None,
            tag(
                "p",
                "Level: ",
                tag("strong", view.show("costs.budget.level")),
                ". The projection rests on ",
                view.show("costs.projection.basis"),
                ".",
            ),
            details("Numbers", table(("what", "USD a month"), rows, "Spend of a month and thresholds", (1,))),
        ]
    )


def _label(view: View, label: str, path: str) -> Child:
    """A volume with its figure; other labels hold none."""
    at = path.rpartition(".")[0]
    if not at.startswith("costs.volumes."):
        return label
    return [view.show(f"{at}.name"), ": ", view.show(f"{at}.per_day", "int"), " a day for 30 days"]


def _distribution(view: View) -> Html:
    bins = view.get("costs.distribution") or []
    if not bins:
        return join(())
    values = [float(one["lines"]) for one in bins]
    labels = [_USD(one["least"]) for one in bins]
    rows = [
        [[least, " to ", most], lines]
        for least, most, lines in view.rows("costs.distribution", {"least": "usd", "most": "usd", "lines": "int"})
    ]
    about = f"{len(bins)} classes; the fullest has {max(values):,.0f} lines"
    return join(
        [
            tag("h3", "What one request costs"),
            charts.chart(
                "sizes",
                "Usage lines by cost",
                about,
                lambda width: charts.bars(values, labels, width, 200, lambda value: f"{value:,.4g}"),
                200,
            ),
            details("Numbers", table(("cost", "usage lines"), rows, "Usage lines by cost", (1,))),
        ]
    )


def _metrics(view: View) -> Html:
    """The cost metrics as a plan documents them at its end."""
    rows = [
        ("requests", "costs.requests", "int"),
        ("of them successful", "costs.succeeded", "int"),
        ("repeated attempts", "costs.retries", "int"),
        ("repeated attempts per request", "costs.retry_share", "percent"),
        ("input tokens", "costs.tokens.input", "int"),
        ("of them cached", "costs.tokens.cached", "int"),
        ("output tokens", "costs.tokens.output", "int"),
        ("tokens per usage line", "costs.tokens_per_request", "int"),
        ("spend, by tokens at the configured price", "costs.cost", "usd"),
        ("spend, as logged", "costs.logged_cost", "usd"),
        ("spend, as the provider bills", "costs.provider_cost", "usd"),
        ("cost per request, mean", "costs.per_request.mean", "usd"),
        ("median", "costs.per_request.median", "usd"),
        ("p95", "costs.per_request.p95", "usd"),
        ("price of a million input tokens", "costs.price.input", "usd"),
        ("price of a million cached tokens", "costs.price.cached_input", "usd"),
        ("price of a million output tokens", "costs.price.output", "usd"),
    ]
    notes = [view.show(f"costs.notes.{n}") for n in range(len(view.get("costs.notes")))]
    return join(
        [
            tag("h3", "Cost metrics"),
            tag(
                "p",
                "Of all usage lines of this time, whichever code wrote them; the criteria and the figures "
                "before and after are of one deployment's answers.",
                class_="note",
            ),
            table(
                ("metric", "value"),
                [[name, view.show(path, form)] for name, path, form in rows],
                "Cost metrics of the time that is reported",
                (1,),
            ),
            listed(notes, class_="note") if notes else None,
        ]
    )


def reliability(view: View) -> Html:
    if view.get("reliability.missing"):
        return lacking(view, "reliability")
    at = "reliability"
    paid, known = view.get(f"{at}.per_failure_avoided"), view.get(f"{at}.old_cost_measured")
    most = "" if known else "at most "
    first: list[Any] = (
        [
            most.capitalize(),
            tag("strong", view.show(f"{at}.per_failure_avoided", "usd")),
            " per failure avoided: the new code pays where a "
            "failed request costs you more than that, at any volume, as both grow with it.",
        ]
        if paid is not None
        else ["No failure was avoided: the success rate did not rise."]
    )
    rows = view.rows(f"{at}.volumes", {"name": "text", "per_day": "int", "avoided": "int", "month": "usd"})
    limits = [
        tag("li", "The ", name, " threshold of ", usd, " a month is reached at ", per_day, " requests a day.")
        for name, usd, per_day in view.rows(f"{at}.limits", {"name": "text", "usd": "usd", "per_day": "int"})
    ]
    unknown = (
        ""
        if known
        else " What a request cost before was not measured, so the difference is at most what one costs now."
    )
    return join(
        [
            tag("p", first, unknown),
            tag(
                "p",
                "Of all requests ",
                view.show(f"{at}.gain", "percent"),
                f" succeed that failed before, for {most}",
                view.show(f"{at}.extra", "usd"),
                " more a request.",
            ),
            table(
                (
                    "volume",
                    "requests a day",
                    "failures avoided a month",
                    f"more spent a month{'' if known else ', at most'}",
                ),
                rows,
                "Failures avoided and what they cost, by volume",
                (1, 2, 3),
            )
            if rows
            else None,
            tag("ul", limits),
        ]
    )


def prompts(view: View) -> Html:
    if view.get("prompts.missing"):
        return lacking(view, "prompts")
    return join(
        [
            tag(
                "p",
                view.show("prompts.repeated", "int"),
                " of ",
                view.show("prompts.prompts", "int"),
                " prompts were repeated (",
                view.show("prompts.share", "percent"),
                "); a cache would have saved ",
                view.show("prompts.saved", "usd"),
                ".",
            ),
            command(view, "prompts"),
        ]
    )


def sources() -> Html:
    """Where the numbers come from, for whoever doubts them."""
    return listed(
        [
            "Success and response time: the platform's log rows of each answer. What the caller caused is left out: "
            "4xx other than 402, 408 and 429.",
            "Intervals: 95%. Clopper and Pearson for a share, Student for a mean, Newcombe for a difference of shares.",
            "Costs: tokens of the usage lines at the configured price, beside what the lines and the provider say.",
            "Deployments, rollbacks, notes: the ledger in the app's git remote.",
        ]
    )
