"""What was spent."""

from __future__ import annotations

from collections.abc import Sequence

from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data, money

_FIGURES = {"billed": "the bill", "as logged": "a cost as logged", "model": "the model"}


def costs(data: Data, canvas: Canvas) -> None:
    rows = [
        [row["key"], f"{row['requests']:,}", f"{row['retries']:,}", *_tokens(row["tokens"]),
         "not measured" if row["cost"] is None else money(row["cost"]),
         "–" if row["logged_cost"] is None else money(row["logged_cost"])]
        for row in data["rows"]
    ]  # fmt: skip
    heads = (
        "lines" if data["by"] == "model" else "requests",
        "retries",
        "input",
        "cached",
        "output",
        "by tokens",
        "as logged",
    )
    canvas.table(rows, str(data["by"]), *heads)
    billed = f"{money(data['provider_cost'])} billed" if data["provider_cost"] is not None else "no bill"
    logged = "no cost logged" if data["logged_cost"] is None else f"{money(data['logged_cost'])} as logged"
    tokens = "Not measured by tokens" if data["cost"] is None else f"{money(data['cost'])} by tokens"
    canvas.say(f"{tokens}, {logged}, {billed}.")
    for row in data["unsourced"]:
        if row["figure"] != "model" or data["by"] == "model":
            canvas.say(f"Nothing reports {_FIGURES.get(row['figure'], row['figure'])}: {row['why']}.", "dim")
    each = data["per_request"]
    if each and each.get("mean") is not None:
        canvas.say(f"Per request: {_each(each)}.")
    for row in data["differences"]:
        _difference(row, canvas)
    _projection(data, canvas)
    sources = _sources(data["sources"])
    for note in ([sources] if sources else []) + list(data["notes"]):
        canvas.say(note, "dim")


def _each(each: Data) -> str:
    if each["median"] is None:
        return f"mean {money(each['mean'])} (too few for a median)"
    return f"mean {money(each['mean'])}, median {money(each['median'])}, p95 {money(each['p95'])}"


def _tokens(tokens: Data) -> list[str]:
    return [f"{tokens[name]:,}" for name in ("input", "cached", "output")]


def _difference(row: Data, canvas: Canvas) -> None:
    """Only what is over one percent, or has a cause."""
    if row["share"] is None or (abs(row["share"]) <= 0.01 and not row["causes"]):
        return
    canvas.say(f"{row['between']} differs by {row['share']:+.1%}, {money(row['other'] - row['cost'])}:", UNSURE)
    for cause in row["causes"]:
        canvas.say(f"  {cause if isinstance(cause, str) else _cause(cause)}")
    rest = row.get("unexplained") or 0.0
    if abs(rest) > 0.01 * abs(row["cost"]):
        canvas.say(f"  unexplained: {money(rest)}")


def _cause(cause: Data) -> str:
    return f"{cause['text']}, {money(cause['cost'])}" if cause["cost"] is not None else str(cause["text"])


def _sources(parts: Sequence[Data]) -> str:
    """Which part came from where, when not all came from the logs."""
    days = [f"{part['source']} {part['since'][:10]} to {part['until'][:10]}" for part in parts]
    return f"Read from: {', '.join(days)}." if any(part["source"] != "logs" for part in parts) else ""


def _projection(data: Data, canvas: Canvas) -> None:
    volumes = data["projection"]["volumes"]
    if volumes and data["requests"] and data["cost"] is not None:
        words = [f"{name} ({row['per_day']:,}/day) {money(row['cost'], 2)}" for name, row in volumes.items()]
        trend = money(data["projection"]["trend"], 2)
        canvas.say(f"Projected per month: {', '.join(words)}; at the measured rate {trend}.")
    budget = data["budget"]
    style = {"ok": GOOD, "warning": UNSURE}.get(budget["level"], BAD)
    limits = f"warning at {money(budget['warning'], 2)}, critical at {money(budget['critical'], 2)}"
    canvas.say(f"Budget: {budget['level']} ({limits}).", style)
