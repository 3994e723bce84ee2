"""Plans, deployments, rollbacks, and what is live."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migration.base.command import inv
from migration.base.durations import show
from migration.base.numbers import count, size
from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data, short, when

_FILE = re.compile(r"^(?=--- .*\n\+\+\+ )", re.MULTILINE)
_OUTCOMES = {
    "live": ("is live and proven", GOOD),
    "ungated": ("is live, NOT PROVEN (--no-gate)", UNSURE),
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
            _version(row["live_version"]), row["restorable"], row["why"],
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
            live = _version(row["live_version"])
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
            canvas.say(f"Secret {name} on the platform differs from .env", BAD)
            canvas.hint(inv("secret", env=env, set=True))
    if data["hold"]:
        hold = data["hold"]
        canvas.say(f"On hold: {hold['why']}, rolled back by {hold['who'] or 'unknown'} on {when(hold['at'])} UTC", BAD)
    if data["lock"]:
        canvas.say(f"Locked by {data['lock'].get('who')} since {when(data['lock'].get('created'))} UTC", UNSURE)
    for note in data["notes"]:
        canvas.say(note)


def deployment(data: Data, canvas: Canvas) -> None:
    record = data.get("deployment")
    if not record or record["outcome"] == "same":
        canvas.say(data.get("message") or "Nothing to change: the code of this checkout is live.", GOOD)
        canvas.then(data)
        return
    rollback = record.get("kind") == "rollback"
    words, style = _rolled_back(data) if rollback else _deployed(data)
    canvas.say(f"{'Rollback' if rollback else 'Deployment'} {record['id']} {words}.", style)
    restored = record["outcome"] == "restored"
    rows = [[row["slug"], _side(row["before"]), _now(row, restored)] for row in record["functions"]]
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
        git_alone = data.get("restored_seconds") is None and outcome == "rolled_back"
        return ("is done: the commit is reverted", GOOD) if git_alone else _OUTCOMES[outcome]
    if code == 5:
        return "is not finished: the commit is not reverted yet", UNSURE
    if code == 4:
        return "is done, not proven: no answer of the old version seen yet", UNSURE
    return "is done, and the old version does not answer", BAD


def _details(data: Data) -> list[str]:
    """What the first line does not say: why the gate decided so, or the message; then the notes."""
    notes = list(data.get("notes") or ())
    if data["deployment"]["outcome"] == "live":
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
    rows = [[row["slug"], row["action"], _side(row.get("live")), _again(row)] for row in data["functions"]]
    if rows:
        canvas.table(rows, "function", "action", "live now", "will be live")
    canvas.say(data["message"], "bold")
    if data["files"]:
        canvas.say(f"Git reverts {count(len(data['files']), 'file')}: {', '.join(data['files'])}")
    for note in data.get("notes") or ():
        canvas.say(note)


def status(data: Data, canvas: Canvas) -> None:
    rows = [[row["slug"], _version(row["version"]), *_deployment(row)] for row in data["functions"]]
    canvas.table(rows, "function", "version", "deployment", "by", "when (UTC)", "git says")
    lock = data.get("lock")
    if lock:
        doing = lock.get("doing") or "work in progress"
        canvas.say(f"Locked by {lock.get('who')}: {doing} since {when(lock.get('created'))} UTC", UNSURE)
    if data.get("message"):
        canvas.say(data["message"], BAD if data.get("exit_code") == 5 else "")
    for note in data.get("notes") or ():
        canvas.say(note)
    canvas.then(data)


def history(data: Data, canvas: Canvas) -> None:
    if "files" in data:
        _code(data, canvas)
        return
    if data.get("whole"):
        _in_full(data["deployments"][0], canvas)
    else:
        rows = [
            [row["id"], when(row.get("at")), row.get("who", ""), row["kind"], _ended(row),
             short(row.get("revision")), ", ".join(change["slug"] for change in row["functions"]), _watched(row)]
            for row in data["deployments"]
        ]  # fmt: skip
        canvas.table(rows, "deployment", "when (UTC)", "who", "kind", "outcome", "revision", "functions", "watch")
    for note in data.get("notes") or ():
        rated = f" ({note['rating']} of 5)" if note.get("rating") else ""
        canvas.say(f"{when(note.get('at'))} {note.get('who')}: {note.get('text')}{rated}")
    if data.get("message"):
        canvas.say(data["message"])
    canvas.then(data)


def _in_full(row: Data, canvas: Canvas) -> None:
    """One deployment: who, when and from where; each function before and after; its steps; how it ended."""
    canvas.say(f"{'Rollback' if row['kind'] == 'rollback' else 'Deployment'} {row['id']}: {_ended(row)}", "bold")
    ended = f", ended {_second(row['ended'])}" if row.get("ended") else ""
    canvas.say(f"Began {_second(row.get('at'))}{ended}, by {_by(row)}.")
    base = f", base {short(row['base_revision'])}" if row.get("base_revision") else ""
    only = "; not all functions (--only)" if row.get("partial") else ""
    canvas.say(f"Revision {short(row.get('revision')) or 'unknown'}{base}{only}.")
    rows = [[one["slug"], one["action"], _side(one["before"]), _after(one)] for one in row["functions"]]
    canvas.table(rows, "function", "action", "before", "after")
    steps = [[str(step.get("name", "")), _took(step.get("seconds")), str(step.get("detail") or "")]
             for step in row.get("steps") or ()]  # fmt: skip
    canvas.table(steps, "step", "took", "")
    for text in _ends(row):
        canvas.say(text)


def _took(seconds: object) -> str:
    return show(seconds) if isinstance(seconds, int | float) else ""


def _ends(row: Data) -> Iterator[str]:
    if row.get("message"):
        yield row["message"]
    gate, revert = row.get("gate") or {}, row.get("revert") or {}
    why = str(gate.get("why") or "")
    if gate.get("verdict"):
        yield f"Gate: {gate['verdict']}{f': {why}' if why and why not in row['message'] else ''}."
    if row.get("new_code_seconds"):
        yield f"The new code was live for {show(row['new_code_seconds'])}."
    if revert.get("commit"):
        where = f"pushed to {revert.get('branch')}" if revert.get("pushed") else f"on {revert.get('branch')}"
        yield f"Revert {short(revert['commit'])}, {where}."
    if row.get("undone_by"):
        yield f"Rolled back by {row['undone_by']}."
    for watch in row.get("watches") or ():
        yield from _watch(watch)


def _watch(watch: Data) -> Iterator[str]:
    """A watch that is over: its verdict, what it saw, and each alarm that it raised."""
    span = f"{_second(watch.get('started'))} to {_second(watch.get('until'))}"
    figures = watch.get("figures") or {}
    failed, answers = figures.get("failed"), figures.get("answers")
    seen = f"; {failed} of {answers} answers failed" if answers else ""
    ended = f" ({watch['ended']})" if watch.get("ended") else ""
    rounds = count(watch.get("rounds") or 0, "round")
    yield f"Watch {watch.get('watch')}: {watch.get('verdict')}{ended}, {rounds}, {span}{seen}."
    for alarm in watch.get("alarms") or ():
        yield f"  {alarm}"
    if watch.get("acted"):
        yield f"  {watch['acted']}"


def _second(text: str | None) -> str:
    """An ISO time to the second, in UTC."""
    return f"{(text or '')[:19].replace('T', ' ')}Z" if text else "unknown"


def _by(row: Data) -> str:
    """Who, and on which machine or in which CI job, as far as the record says."""
    where = ", ".join(str(value) for value in (row.get("where") or {}).values() if value)
    return f"{row.get('who') or 'unknown'}{f' ({where})' if where else ''}"


def _after(row: Data) -> str:
    return "not recorded" if row.get("after") is None else _side(row["after"])


def _code(data: Data, canvas: Canvas) -> None:
    """The files of a function, each under its path."""
    canvas.say(data["message"], "bold")
    for path, text in data["files"].items():
        canvas.say(f"--- {path}", "bold")
        canvas.say(text.rstrip("\n"))
    for path in data["binary"]:
        canvas.say(f"--- {path}: not text (--json has it in base64)", "bold")


def _ended(row: Data) -> str:
    """The outcome, and whether it was rolled back or settled since."""
    outcome = row["outcome"] or "interrupted"
    if row.get("undone_by") and outcome in ("live", "ungated", "unproven"):
        outcome += ", then rolled back"
    if row.get("settled"):
        outcome += ", then settled"
    return f"{outcome} (without the lock: {row['without_lock']})" if row.get("without_lock") else outcome


def _watched(row: Data) -> str:
    """How the last watch of a deployment ended."""
    watches = row.get("watches") or ()
    return str(watches[-1].get("verdict") or "") if watches else ""


def _deployment(row: Data) -> list[str]:
    return [row.get("deployment") or "", row.get("who") or "", when(row.get("at")), row.get("git") or ""]


def _version(number: int | None) -> str:
    return "absent" if number is None else f"v{number}"


def _again(row: Data) -> str:
    """What a rollback leaves live of a function: the code of an earlier version, under a new number."""
    if row["action"] == "same":
        return _side(row.get("live"))
    return f"code of {_side(row['restored'])}" if row.get("restored") else "absent"


def _now(row: Data, restored: bool) -> str:
    """What is live afterwards; unknown where the platform could not be read. A restore has a number of its own."""
    if not row["after"]:
        return "?"
    former = row["before"]
    again = (
        restored and former and former.get("version") and row["after"].get("version") not in (None, former["version"])
    )
    return f"{_side(row['after'])} (code of {_side(former)})" if again else _side(row["after"])


def _side(row: Data | None) -> str:
    return _version(row.get("version")) if row else "absent"
