"""The plan document in the report: each item with its state and evidence, and a copy with its boxes ticked.

The original is never written. In the copy only `[ ]` and `[x]` change; items without a box get their state below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base.command import Command, Do, inv
from migration.base.errors import Refused
from migration.base.files import contents
from migration.base.numbers import count

if TYPE_CHECKING:
    from migration.config.settings import PlanItem
    from migration.report.gather import ReportFacts

Data = Mapping[str, Any]
ItemAnswer = tuple[str, str, Command | None]  # state, evidence, the command that shows or settles it
DONE, FAILED, OPEN, PERSON, LOST = "done", "failed", "open", "person", "not in the plan any more"
SIGNS = {DONE: "✓", FAILED: "✗", OPEN: "○", PERSON: "?", LOST: "?"}
_UNKNOWN = "not something Cutover can know"
_SHORTEST = 8  # letters of a line that may be a part of an item's words
_BOX = re.compile(rb"^([ \t]*(?:>[ \t]*)*(?:[-*+]|\d{1,9}[.)])[ \t]+\[)([ xX])(\](?=[ \t\r\n]|$))")


def items(facts: ReportFacts, data: Data) -> dict[str, Any]:
    """The items of `migration.items` with line, state, evidence, and what is ticked in the copy."""
    own = facts.config.migration
    if own.plan is None:
        how = [Do("set migration.plan to its file; inv init --plan reads it, and proposes migration.items")]
        return {"missing": "config.yaml names no plan document (migration.plan)", "how": how, "items": []}
    try:
        text = read(facts.config.folder / own.plan)
    except Refused as error:
        return {"missing": error.message, "how": list(error.steps), "items": [], "file": own.plan}
    rows = [_item(one, text, facts, data) for one in own.items]
    counts = {state: sum(row["state"] == state for row in rows) for state in SIGNS}
    return {"file": own.plan, "items": rows, "counts": counts, "done": counts[DONE], "of": len(rows)}


def read(path: Path) -> bytes:
    """The plan document as it is on disk. Refused where it cannot be read."""
    try:
        return contents(path)
    except OSError as error:
        raise Refused(
            f"Cannot read the plan document {path.name}: {error.strerror}.", Do("correct migration.plan in config.yaml")
        ) from None


def ticked(text: bytes, rows: Sequence[Data], written_at: str) -> bytes:
    """The copy: boxes of done items ticked, of failed and open ones cleared, all others as they are."""
    lines = text.splitlines(keepends=True)
    below: list[Data] = []
    for row in rows:
        place = row["line"] - 1 if row["line"] else -1
        if row["box"] and 0 <= place < len(lines):
            lines[place] = _BOX.sub(lambda found, one=row: _marked(found, one["state"]), lines[place])  # type: ignore[misc]
        else:
            below.append(row)
    copy = b"".join(lines)
    return copy + _appendix(below, written_at, copy) if below else copy


def _marked(match: re.Match[bytes], state: str) -> bytes:
    mark = {DONE: match[2].replace(b" ", b"x"), FAILED: b" ", OPEN: b" "}.get(state, match[2])
    return match[1] + mark + match[3]


def _appendix(rows: Sequence[Data], written_at: str, copy: bytes) -> bytes:
    end = b"\r\n" if b"\r\n" in copy else b"\n"
    head = ["", "---", "", f"## Items without a box, as of {written_at}", ""]
    lines = [f"- {SIGNS[row['state']]} {row['state']}: {_line(row['text'])} ({_line(row['evidence'])})" for row in rows]
    separator = b"" if copy.endswith((b"\n", b"\r")) or not copy else end
    return separator + end.join(line.encode() for line in (*head, *lines)) + end


def _line(text: str) -> str:
    """Text for one line of Markdown, in which it marks nothing up."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _item(item: PlanItem, text: bytes, facts: ReportFacts, data: Data) -> dict[str, Any]:
    line = locate(item.line, item.text, text)
    answers = [_answer(name, facts, data) for name in item.answers]
    state, evidence = _together(answers) if line else (LOST, f"line {item.line} has other words now")
    box = bool(line) and _has_box(text, line)
    commands = [command for _, _, command in answers if command is not None]
    return {
        "line": line,
        "text": item.text,
        "by": item.answers,
        "state": state,
        "evidence": evidence,
        "box": box,
        "command": commands[0] if commands else None,
    }


def locate(line: int, words: str, text: bytes) -> int:
    """The line (from 1) of an item: its own if it still has these words, else the only one that does, else 0."""
    lines = [each.decode("utf-8", "replace") for each in text.splitlines()]
    wanted = _letters(words)
    if 0 < line <= len(lines) and _alike(wanted, _letters(lines[line - 1])):
        return line
    places = [n for n, each in enumerate(lines, 1) if wanted and wanted in _letters(each)]
    return places[0] if len(places) == 1 else 0


def _alike(one: str, other: str) -> bool:
    """Whether one holds the other: a line may have a number and marks, an item further lines."""
    return bool(one and other) and (one in other or (len(other) >= _SHORTEST and other in one))


def _letters(text: str) -> str:
    """ASCII letters and digits, which survive any wrong encoding; every other character where a text has none."""
    return "".join(re.findall(r"[a-z0-9]+", text.lower())) or "".join(text.split())


def _has_box(text: bytes, line: int) -> bool:
    """Whether that line begins a list item with a box, outside of code."""
    lines = text.splitlines()
    return bool(_BOX.match(lines[line - 1])) and not any(start < line <= end for start, end in _code(text))


def _code(text: bytes) -> list[tuple[int, int]]:
    """Line ranges of fenced and indented code."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").parse(text.decode("utf-8", "replace"))
    return [(one.map[0], one.map[1]) for one in tokens if one.type in ("fence", "code_block") and one.map]


def _together(answers: Sequence[ItemAnswer]) -> tuple[str, str]:
    """The worst state of several; what a person must say counts as open beside answers of Cutover's."""
    order = (FAILED, OPEN, PERSON, DONE)
    state = next(one for one in order if any(answer[0] == one for answer in answers))
    return state, "; ".join(dict.fromkeys(answer[1] for answer in answers))


def _answer(name: str, facts: ReportFacts, data: Data) -> ItemAnswer:
    """What answers an item; what held of code that was rolled back since is open again."""
    state, evidence, command = _standing(name, facts, data)
    if state == DONE and data["verdict"]["word"] == "rolled back" and name.partition(".")[0] in _OF_THE_CODE:
        return OPEN, f"{evidence}; rolled back since", command
    return state, evidence, command


def _standing(name: str, facts: ReportFacts, data: Data) -> ItemAnswer:
    section, _, inner = name.partition(".")
    if inner:
        return _NAMED[section](inner, facts, data)
    if name in _VERBS:
        return _VERBS[name](facts, data)
    return OPEN, f"{name} leaves no record that a report reads", inv(name)


def _criterion(name: str, _: ReportFacts, data: Data) -> ItemAnswer:
    rows = [one for one in data["checks"].get("criteria", ()) if one["name"] == name]
    if not rows:
        return OPEN, data["checks"].get("missing") or f"criteria.{name} was not judged", inv("checks")
    state = {"pass": DONE, "fail": FAILED}.get(rows[0]["verdict"], OPEN)
    return state, f"{name}: {rows[0]['got']}", inv("checks")


def _case(name: str, facts: ReportFacts, _: Data) -> ItemAnswer:
    sample = facts.cases.get(name)
    if sample is None:
        return OPEN, f"case {name} was not sent", inv("smoke", case=name, env=facts.environment)
    text = f"case {name} {'passed' if sample.ok else f'failed: {sample.detail or sample.status}'} at {_when(sample.at)}"
    return DONE if sample.ok else FAILED, text, inv("smoke", case=name, env=facts.environment)


def _signal(name: str, facts: ReportFacts, _: Data) -> ItemAnswer:
    many = facts.signals.get(name)
    if many is None:
        return OPEN, f"signal {name} was not counted", inv("logs", signal=name)
    good = many == 0 if name == "failure" else many > 0
    return (
        DONE if good else FAILED if name == "failure" else OPEN,
        f"{count(many, 'line')} of signal {name}",
        inv("logs", signal=name, since="24h"),
    )


def _secret(name: str, facts: ReportFacts, data: Data) -> ItemAnswer:
    live = data["live"].get("deployment")
    digests = next(
        (
            one.get("secrets") or {}
            for one in facts.records
            if one.get("record") == "intent" and one.get("deployment") == live
        ),
        {},
    )
    if name in digests:
        return DONE, f"{name} was set when {live} was deployed", inv("secret")
    return OPEN, f"no deployment recorded {name}", inv("secret")


def _all_secrets(facts: ReportFacts, data: Data) -> ItemAnswer:
    answers = [_secret(name, facts, data) for name in facts.config.secrets]
    return (*_together(answers), inv("secret")) if answers else (OPEN, "config.yaml names no secret", inv("secret"))


def _deployed(_: ReportFacts, data: Data) -> ItemAnswer:
    live = data["live"]
    if live.get("interrupted"):
        return FAILED, live["message"], inv("status")
    if live.get("deployment"):
        return DONE, f"{live['deployment']} by {live['who']}", inv("status")
    return OPEN, live.get("message") or live["missing"], inv("deploy")


def _smoke(facts: ReportFacts, _: Data) -> ItemAnswer:
    sent = [one for one in facts.cases.values() if one.function in facts.config.migration.functions]
    bad = [one.case for one in sent if not one.ok]
    command = inv("smoke", env=facts.environment)
    if bad:
        return FAILED, f"{count(len(bad), 'case')} failed: {', '.join(bad)}", command
    return (DONE, f"{count(len(sent), 'case')} passed", command) if sent else (OPEN, "no case was sent", command)


def _browser(facts: ReportFacts, data: Data) -> ItemAnswer:
    notes = [str(one["text"]) for one in data["feedback"]["notes"] if str(one["text"]).startswith("e2e ")]
    command = inv("e2e", env=facts.environment)
    if not notes:
        return OPEN, "not run in a browser", command
    return {"e2e pass": DONE, "e2e fail": FAILED}.get(notes[0][:8], OPEN), notes[0], command


def _watched(_: ReportFacts, data: Data) -> ItemAnswer:
    watch = data["watch"]
    if "missing" in watch:
        return OPEN, watch["missing"], inv("watch")
    text = f"watch {watch['watch']}: {watch['verdict']}, {count(watch['round'], 'round')}"
    if watch["verdict"] == "fail":
        return FAILED, text, inv("watch", resume=True)
    whole = watch["ended"] == "the planned time is over" and watch["verdict"] == "pass"
    return (
        DONE if whole else OPEN,
        text if whole else f"{text}, {watch['ended'] or 'it runs'}",
        inv("watch", resume=True),
    )


def _rolled_back(_: ReportFacts, data: Data) -> ItemAnswer:
    rows = [row for row in data["deployments"].get("all", ()) if row["kind"] == "rollback" and row["good"]]
    if rows:
        return DONE, f"{rows[0]['id']} restored the previous code", inv("history")
    return OPEN, "no rollback is recorded here; a rehearsal shows one", inv("rehearse")


def _spent(_: ReportFacts, data: Data) -> ItemAnswer:
    costs = data["costs"]
    if "missing" in costs:
        return OPEN, costs["missing"], inv("costs")
    return DONE, f"${costs['cost']:.4f} for {count(costs['requests'], 'request')}", inv("costs")


def _judged(_: ReportFacts, data: Data) -> ItemAnswer:
    checks = data["checks"]
    if "missing" in checks:
        return OPEN, checks["missing"], inv("checks")
    counts = checks["counts"]
    text = f"{counts['pass']} of {len(checks['criteria'])} criteria passed"
    return {"pass": DONE, "fail": FAILED}.get(checks["verdict"], OPEN), text, inv("checks")


def _rated(_: ReportFacts, data: Data) -> ItemAnswer:
    feedback = data["feedback"]
    how = inv("history", note="what users say", rating="4")
    if not feedback["ratings"]:
        return OPEN, "no note has a rating", how
    return DONE, f"{count(feedback['ratings'], 'rating')}, mean {feedback['mean']:.1f} of 5", inv("history")


def _logged(_: ReportFacts, data: Data) -> ItemAnswer:
    traffic = data["traffic"]
    if "missing" in traffic:
        return OPEN, traffic["missing"], inv("logs")
    return DONE, f"the logs show {count(traffic['answers'], 'answer')}", inv("logs")


_OF_THE_CODE = ("criteria", "smoke", "signals", "checks", "e2e")
_NAMED: dict[str, Callable[[str, ReportFacts, Data], ItemAnswer]] = {
    "criteria": _criterion,
    "smoke": _case,
    "signals": _signal,
    "secrets": _secret,
}
_VERBS: dict[str, Callable[[ReportFacts, Data], ItemAnswer]] = {
    "deploy": _deployed,
    "plan": _deployed,
    "smoke": _smoke,
    "e2e": _browser,
    "watch": _watched,
    "rollback": _rolled_back,
    "costs": _spent,
    "checks": _judged,
    "history": _rated,
    "logs": _logged,
    "secret": _all_secrets,
    "report": lambda *_: (DONE, "shown in this report", None),
    "person": lambda *_: (PERSON, _UNKNOWN, None),
}


def _when(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}"
