"""What is live, who deployed it, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from migration.base.durations import show
from migration.base.numbers import count
from migration.cli.results.canvas import BAD, GOOD, UNSURE, Canvas, Data, short, side, version, when


def status(data: Data, canvas: Canvas) -> None:
    rows = [[row["slug"], version(row["version"]), *_deployment(row)] for row in data["functions"]]
    canvas.table(rows, "function", "version", "deployment", "restored by", "by", "when (UTC)", "git says")
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
        canvas.say(f"{when(note.get('at')) or 'unknown time'} {note.get('who')}: {note.get('text')}{rated}")
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
    rows = [[one["slug"], one["action"], side(one["before"]), _after(one)] for one in row["functions"]]
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
    gate, revert, message = row.get("gate") or {}, row.get("revert") or {}, str(row.get("message") or "")
    why = str(gate.get("why") or "")
    if gate.get("verdict") and not (why and why in message):
        yield f"Gate: {gate['verdict']}{f': {why}' if why else ''}."
    seconds = row.get("new_code_seconds")
    if seconds and (lasted := f"live for {show(seconds)}") not in message:
        yield f"The new code was {lasted}."
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
    return "not recorded" if row.get("after") is None else side(row["after"])


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
    outcome = (row["outcome"] or "interrupted").replace("_", " ")
    if row.get("undone_by") and outcome in ("live", "ungated", "unproven"):
        outcome += ", then rolled back"
    if row.get("settled"):
        outcome += ", then settled"
    return f"{outcome} (without the lock: {row['without_lock']})" if row.get("without_lock") else outcome


def _watched(row: Data) -> str:
    """How the last watch of a deployment ended."""
    watches = row.get("watches") or ()
    return str(watches[-1].get("verdict") or "") if watches else ""


_GIT = {"broken": "cannot be read"}


def _deployment(row: Data) -> list[str]:
    git = str(row.get("git") or "")
    return [
        row.get("deployment") or "",
        row.get("restored_by") or "",
        row.get("who") or "",
        when(row.get("at")),
        _GIT.get(git, git),
    ]


def doctor(data: Data, canvas: Canvas) -> None:
    if not data["findings"]:
        canvas.say("No problems found.", GOOD)
    for row in data["findings"]:
        canvas.say(f"{row['severity']}: {row['problem']}", BAD if row["severity"] == "error" else UNSURE)
        canvas.say(f"  evidence: {row['evidence']}")
        canvas.hint(row["fix"], "  ")
    for row in data["fixed"]:
        style = GOOD if row["ok"] else BAD if row["failed"] else UNSURE
        canvas.say(f"{row['problem']}: {row['did']}", style)
        canvas.then({"next": row.get("next") or []})
    if data.get("message"):
        canvas.say(data["message"])
    canvas.then(data)
