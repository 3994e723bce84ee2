"""Plans, deployments and rollbacks."""

from __future__ import annotations

import re

from migration.base.command import inv
from migration.base.durations import show
from migration.base.numbers import count, size
from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data, short, side, version, when
from migration.ledger.deployments import agrees

_FILE = re.compile(r"^(?=--- .*\n\+\+\+ )", re.MULTILINE)
_OUTCOMES = {
    "live": ("is live and proven", GOOD),
    "ungated": ("is live, NOT PROVEN: --no-gate skipped proof of life, smoke cases and criteria", UNSURE),
    "unproven": ("is live, not proven: not enough evidence", UNSURE),
    "restored": ("failed its gate; the previous code is live again", BAD),
    "rolled_back": ("is done", GOOD),
    "deleted": ("is done: the functions it had created are deleted", GOOD),
    "abandoned": ("was abandoned before anything changed", UNSURE),
    "unfinished": ("is half done", BAD),
}


def plan(data: Data, canvas: Canvas) -> None:
    rows = [
        [
            row["slug"], row["action"], f"{count(len(row['files']), 'file')}, {size(row['bytes'])}",
            version(row["live_version"]), row["restorable"], row["why"],
        ]
        for row in data["functions"]
    ]  # fmt: skip
    canvas.table(rows, "function", "action", "source", "live", "restorable", "why")
    notes: dict[str, list[str]] = {}  # what is so of several functions is one line
    for row in data["functions"]:
        for text in (*row["settings"], *row["warnings"]):
            notes.setdefault(text, []).append(row["slug"])
    for text, slugs in notes.items():
        canvas.say(f"{', '.join(slugs)}: {text}", UNSURE)
    for row in data["functions"]:
        if row["restorable"] == "no":
            canvas.say(f"{row['slug']} cannot be restored: {row['restorable_why']}", BAD)
    for row in data["unchanged"]:
        if row["changed"]:
            what = f" and differs in {', '.join(row['files'])}" if row["files"] else f": {row['why']}"
            canvas.say(f"{row['slug']} should be unchanged{what}", UNSURE)
    _around(data, canvas)
    _differences(data, canvas)
    canvas.say(f"Plan {short(data['hash'], 12)} for {data['environment']} at {short(data['revision'])}", "bold")
    canvas.then(data)


def _differences(data: Data, canvas: Canvas) -> None:
    """Function by function; a shared file with the same change in several is shown once."""
    shown: dict[str, str] = {}
    for row in data["functions"]:
        pieces = [piece for piece in _FILE.split(row["diff"]) if piece]
        if pieces:
            live = version(row["live_version"])
            canvas.say(f"{row['slug']}: live ({live}) against this checkout", "bold")
        for piece in pieces:
            if first := shown.get(piece):
                canvas.say(f"{' '.join(piece.splitlines()[:2])}  as in {first}")
            else:
                canvas.copy(piece.rstrip("\n"))
            shown.setdefault(piece, row["slug"])


def before_deploy(data: Data, canvas: Canvas) -> None:
    """The plan as a deploy shows it before its question."""
    plan({**data, "next": ()}, canvas)


def _around(data: Data, canvas: Canvas) -> None:
    for row in data["secrets"]:
        name, env = row["name"], data["environment"]
        if row.get("present") is False:
            canvas.say(f"Secret {name} is missing on the platform", BAD)
            canvas.hint(inv("secret", env=env, set=True))
        elif row.get("matches") is None:
            canvas.say(f"Secret {name} is set; not proven that it equals yours ({inv('secret', env=env)})", UNSURE)
        elif row.get("matches") is False:
            canvas.say(f"Secret {name} on the platform differs from yours", BAD)
            canvas.hint(inv("secret", env=env, set=True))
    if data["hold"]:
        hold = data["hold"]
        run = f" in a run of {hold['who']}" if hold["who"] else ""
        canvas.say(f"On hold: {hold['why']}, taken back{run} on {when(hold['at'])} UTC", BAD)
    if data["lock"]:
        canvas.say(f"Locked by {data['lock'].get('who')} since {when(data['lock'].get('created'))} UTC", UNSURE)
    for note in data["notes"]:
        canvas.say(note)


def deployment(data: Data, canvas: Canvas) -> None:
    record = data.get("deployment")
    if not record or record["outcome"] in ("same", "dry_run"):
        canvas.say(data.get("message") or "Nothing to change: the code of this checkout is live.", GOOD)
        for note in data.get("notes") or ():
            canvas.say(note, UNSURE)
        canvas.then(data)
        return
    rollback = record.get("kind") == "rollback"
    words, style = _rolled_back(data) if rollback else _deployed(data)
    canvas.say(f"{'Rollback' if rollback else 'Deployment'} {record['id']} {words}.", style)
    restored = record["outcome"] == "restored"
    rows = [[row["slug"], side(row["before"]), _now(row, restored)] for row in record["functions"]]
    canvas.table(rows, "function", "before", "live now")
    for text in _details(data):
        canvas.say(text)
    canvas.then(data)


def _deployed(data: Data) -> tuple[str, str]:
    """How a deploy ended. A restore before any gate ran is not a failed gate."""
    outcome = data["deployment"]["outcome"] or "unfinished"
    gated = data.get("gate") or any(step["name"] == "gate" for step in data.get("phases") or ())
    if outcome == "restored" and not gated:
        return "did not go live as a whole; the previous code is live again", BAD
    return _OUTCOMES.get(outcome, (outcome, ""))


def _rolled_back(data: Data) -> tuple[str, str]:
    """How a rollback ended: the service, git and the proof decide together."""
    outcome, code = data["deployment"]["outcome"] or "unfinished", data.get("exit_code", 0)
    if outcome not in ("rolled_back", "deleted") or code == 0:
        return _OUTCOMES[outcome]
    if code == 5:
        reverted = agrees(data.get("revert"))
        why = "git differs from what is live again" if reverted else "the commit is not reverted yet"
        return f"is not finished: {why}", UNSURE
    if code == 4:
        return "is done, not proven: no answer of the old version seen yet", UNSURE
    return "is done, and the old version does not answer", BAD


def _details(data: Data) -> list[str]:
    """What the first line does not say: why the gate decided so, or the message; then the notes."""
    notes = list(data.get("notes") or ())
    if data["deployment"]["outcome"] in ("live", "ungated"):
        return notes  # the first line holds the message
    if why := _judged(data):
        return [*why, *notes]
    return [*([data["message"]] if data.get("message") else []), *notes]


def _judged(data: Data) -> list[str]:
    """What a gate that did not pass saw: the first line says already how the deployment ended."""
    deployment, why = data["deployment"], (data.get("gate") or {}).get("why") or ""
    if not why or deployment["outcome"] not in ("restored", "unproven"):
        return []
    exposed = deployment.get("new_code_seconds")
    return [f"{why[:1].upper()}{why[1:]}.", *([f"The new code was live for {show(exposed)}."] if exposed else [])]


def rollback_plan(data: Data, canvas: Canvas) -> None:
    rows = [[row["slug"], row["action"], side(row.get("live")), _again(row)] for row in data["functions"]]
    if rows:
        canvas.table(rows, "function", "action", "live now", "will be live")
    canvas.say(data["message"], "bold")
    if data["files"]:
        canvas.say(f"Git reverts {count(len(data['files']), 'file')}: {', '.join(data['files'])}")
    for note in data.get("notes") or ():
        canvas.say(note)


def _again(row: Data) -> str:
    """What a rollback leaves live of a function: the code of an earlier version, under a new number."""
    if row["action"] == "same":
        return side(row.get("live"))
    return f"code of {side(row['restored'])}" if row.get("restored") else "absent"


def _now(row: Data, restored: bool) -> str:
    """What is live afterwards; unknown where the platform could not be read. A restore has a number of its own."""
    if not row["after"]:
        return "?"
    if row.get("code_of"):
        return f"{side(row['after'])} (code of v{row['code_of']})"
    former = row["before"]
    again = (
        restored and former and former.get("version") and row["after"].get("version") not in (None, former["version"])
    )
    return f"{side(row['after'])} (code of {side(former)})" if again else side(row["after"])
