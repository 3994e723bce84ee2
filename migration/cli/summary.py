"""What a CI job's page shows: Markdown, appended to the file that GitHub names in GITHUB_STEP_SUMMARY."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from migration.base.plain import plain
from migration.base.secrets_type import mask
from migration.cli.sink import gate

Data = Mapping[str, Any]
_MOST = 900_000  # GitHub takes 1 MiB a step
_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~])")


def write(verb: str, result: Any, environ: Mapping[str, str] | None = None) -> bool:
    """Append the result; False outside GitHub Actions, or where its file cannot be written.

    A summary that cannot be written changes no verdict, so nothing is raised.
    """
    name = (os.environ if environ is None else environ).get("GITHUB_STEP_SUMMARY")
    if not name:
        return False
    with suppress(OSError), Path(name).open("a", encoding="utf-8") as file:
        file.write(markdown(verb, result)[:_MOST] + "\n")
        return True
    return False


def markdown(verb: str, result: Any) -> str:
    """The result as Markdown, secrets masked and markup characters escaped."""
    return mask(_WRITERS[verb](plain(result)))


def _smoke(data: Data) -> str:
    cases = data["cases"]
    good = sum(bool(case["ok"]) for case in cases)
    rows = [[_mark(case["ok"]), case["name"], case["function"], case["status"] or "", _seconds(case["seconds"]),
             "; ".join(map(_failure, case["failures"])) or case.get("skipped") or ""] for case in cases]  # fmt: skip
    title = f"{_mark(good == len(cases) > 0)} Smoke: {good} of {len(cases)} cases passed"
    return _section(title, _table(("", "case", "function", "status", "seconds", "what failed"), rows))


def _e2e(data: Data) -> str:
    steps = data["steps"]
    good = sum(step["ok"] is True for step in steps)
    rows = [["" if step["ok"] is None else _mark(step["ok"]), step["name"], _seconds(step["seconds"]), step["problem"]]
            for step in steps]  # fmt: skip
    others = [[one["label"], one["message"]] for one in data["problems"]]
    title = f"{_mark(good == len(steps) and not others)} In the browser: {good} of {len(steps)} steps passed"
    tables = [
        _table(("", "step", "seconds", "what failed"), rows),
        *([_table(("problem", ""), others)] if others else []),
    ]
    return _section(title, "\n".join(tables))


def _failure(failure: Any) -> str:
    if not isinstance(failure, Mapping):
        return str(failure)
    return f"{failure.get('what', '')}: expected {failure.get('expected', '')}, got {failure.get('got', '')}"


def _soak(data: Data) -> str:
    low, high = data["interval"]
    share = f"{low:.2%} to {high:.2%}"
    source = "billed by the provider" if data["cost_measured"] else "estimated"
    rows = [
        ["requests", f"{data['successes']} of {data['requests']} succeeded ({share}), {data['sent']} sent"],
        ["p50, p95, p99", ", ".join(_seconds(data[name]) for name in ("p50", "p95", "p99"))],
        ["cost", f"${data['cost']:.4f}, {source}"],
        ["stopped by", data["stopped"]],
    ]
    title = f"{_SIGNS[data['verdict']]} Soak: {data['decision']}"
    return _section(title, _table(("", ""), rows), *_list([*data["reasons"], *data["failures"]]))


def _checks(data: Data) -> str:
    rows = [[_SIGNS[one["verdict"]], one["name"] + (" (advisory)" if one["advisory"] else ""), one["expected"],
             one["got"], "; ".join(map(str, one["evidence"])) if one["verdict"] != "pass" else ""]
            for one in data["criteria"]]  # fmt: skip
    title = f"{_SIGNS[data['verdict']]} Success criteria: {data['verdict']}"
    parts = [_table(("", "criterion", "expected", "got", "evidence"), rows)]
    if data["table"]:
        plan = [[row["name"], row["before"], row["after"], row["improvement"]] for row in data["table"]]
        parts.append(_table(("", "before", "after", "improvement"), plan))
    return _section(title, *parts, f"Evidence from {_text(data['window'])}.")


def _deploy(data: Data) -> str:
    record = data.get("deployment") or {}
    outcome = record.get("outcome") or "unfinished"
    mark = {"live": "✅", "same": "✅", "dry_run": "✅", "unproven": "❔", "ungated": "❔"}.get(outcome, "❌")
    return _change(data, " ".join(filter(None, (mark, "Deployment", record.get("id")))) + f": {outcome}")


def _rollback(data: Data) -> str:
    """What is live again, and whether git agrees; without a record nothing was left to do."""
    record = data.get("deployment") or {}
    mark = {0: "✅", 4: "❔"}.get(data["exit_code"], "❌")
    outcome = str(record.get("outcome") or "nothing to do").replace("_", " ")
    return _change(data, " ".join(filter(None, (mark, "Rollback", record.get("id")))) + f": {outcome}")


def _change(data: Data, title: str) -> str:
    record = data.get("deployment") or {}
    rows = [[row["slug"], row["action"], _version(row["before"]), _version(row["after"])]
            for row in record.get("functions") or ()]  # fmt: skip
    table = [_table(("function", "action", "before", "live now"), rows)] if rows else []
    texts = [_text(text) for text in (data.get("message"), *(data.get("notes") or ())) if text]
    return _section(title, *table, *texts, *_list([str(step) for step in data.get("next") or ()]))


def _version(row: Any) -> str:
    number = row.get("version") if row else None
    return "absent" if number is None else f"v{number}"


_WRITERS: dict[str, Callable[[Data], str]] = {
    "deploy": _deploy,
    "rollback": _rollback,
    "smoke": _smoke,
    "e2e": _e2e,
    "soak": _soak,
    "checks": _checks,
}


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"### {_text(title)}", *parts]) + "\n"


def _list(lines: Sequence[str]) -> list[str]:
    return ["\n".join(f"- {_text(line)}" for line in lines)] if lines else []


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell if cell == '---' else _text(cell) for cell in line)} |" for line in lines)


def _text(value: Any) -> str:
    """Plain text: markup characters escaped, line breaks and control characters turned into spaces."""
    return _SPECIAL.sub(r"\\\1", gate(" ".join(str(value).split())))


def _mark(good: bool) -> str:
    return _SIGNS["pass" if good else "fail"]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}s"
