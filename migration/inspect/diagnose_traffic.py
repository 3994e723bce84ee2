"""What callers met and the functions logged lately: the old route, refusals of the provider, a missing key, failed
calls, retries, timeouts, old versions answering."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from migration.base.command import Do, Step, Steps, chain, inv, sh, steps, then
from migration.base.errors import ServiceFailed
from migration.base.finding import Finding
from migration.base.numbers import count
from migration.base.secrets_type import cropped
from migration.clients.openrouter_errors import MEANING, classify
from migration.config import logsql, signals
from migration.deploy import forward
from migration.inspect.examination import RECENT, Examination
from migration.logs.reader import Row
from migration.setup import warm
from migration.setup.secret import changed_at
from migration.verify.measure import activated

STATUS = r"\b(40[1-3]|408|429|50[0234]|52[49])\b"
# What a wait that was cut off is called: by fetch and AbortSignal, by Deno, by providers.
LATE = r"(?i)\btimed[ -]?out\b|\btimeout\b|\btime-out\b|deadline exceeded|\bAbortError\b|\bTimeoutError\b"
IDLE = frozenset({504, 546})  # the platform's own limits: no answer in time; CPU, memory or wall clock
SETTLED = timedelta(seconds=5)  # after an activation: older answers may still be under way
SETTLING = 20_000  # ms after activation during which the old version may still answer
NEAR = 0.05  # the rate limit is near when this share of requests met 429
RETRIED = 0.2  # retries for a call: fewer are everyday
FEW = 3  # failed calls; fewer are an accident
ENOUGH = 3  # answers since its last refusal, after which the provider counts as serving again
WAIT = chain(sh("sleep", "300"), inv("doctor"))
WAIT_LONG = chain(sh("sleep", "900"), inv("doctor"))


def find(exam: Examination) -> Iterator[Finding]:
    """Nothing where nothing is deployed; a failure of the log endpoint is a finding itself."""
    if not exam.migrated:
        return
    try:
        yield from _old_route(exam)
        yield from _refused(exam)
        yield from _unset(exam)
        yield from _failing(exam)
        yield from _troubled(exam)
        yield from _versions(exam)
    except ServiceFailed as error:
        fix = Steps(then(error.steps, inv("logs", since="10m")))
        yield Finding("logs", "the logs cannot be read", error.message, fix, "warning")


def _rows(
    exam: Examination, condition: str, more: str = "''", group: str = "", since: datetime | None = None
) -> list[Row]:
    """Count, newest time and an example, by function and version, of the lines that meet the condition."""
    function, version = logsql.attribute("function_id"), logsql.attribute("version")
    select = (
        f"{function} as function, {version} as version, {more} as detail, count() as n, "
        f"max({logsql.MICROSECONDS}) as us, any(substring(event_message, 1, 1000)) as example"
    )
    where = logsql.both(
        logsql.source(logsql.FUNCTION), logsql.equal("function_id", *(each.id for each in exam.migrated)), condition
    )
    grouped = ", ".join(filter(None, ["function", "version", group]))
    return exam.logs.aggregate(select, where, since or exam.since, exam.now + timedelta(minutes=1), group=grouped)


def _old_route(exam: Examination) -> Iterator[Finding]:
    """Only where the checkout holds the new route: after a rollback the old one is right."""
    known = signals.named(exam.context.config)
    old, new = known.get("old_route"), known.get("new_route")
    if old is None or new is None or not _wanted(exam, new.regex):
        return
    by_id = {each.id: each for each in exam.migrated if each.slug in old.functions}
    for row in _rows(exam, old.sql):
        live = by_id.get(row["function"])
        if live is None or _before(row, live.updated_at):
            continue
        older = str(row["version"]) != str(live.version)
        if older and exam.now - logsql.at_micros(row["us"]) > RECENT:
            continue
        which = f"v{row['version']}" + (f", while v{live.version} is live" if older else ", the live version")
        last, fix = _evidence([row]), _forward(exam, live.slug, older)
        yield Finding("old_route", f"{live.slug} still takes the old route", f"{which}: {last}", fix, subject=live.slug)


def _forward(exam: Examination, slug: str, older: bool) -> Steps:
    """What makes a function take the new route, by why it does not."""
    item = exam.item(slug)
    if item is not None and item.changes:
        accepted = exam.planned.hash[:12] if exam.planned and item.action == "drifted" else ""
        return steps(inv("deploy", plan=accepted))
    if older:
        return steps(WAIT_LONG)
    shown = inv("logs", signal="old_route", since="1h")
    return steps(Do(f"fix what makes the function fall back ({shown}), commit and push"), inv("deploy"))


def _wanted(exam: Examination, pattern: re.Pattern[str]) -> bool:
    files = (data for source in exam.sources for data in source.files.values())
    return any(pattern.search(data.decode("utf-8", "replace")) for data in files)


def _before(row: Row, updated_at: int | None) -> bool:
    """Lines from before the live version was activated are history, and so are its first seconds."""
    return updated_at is not None and int(row["us"]) < (updated_at + SETTLING) * 1000


def _refused(exam: Examination) -> Iterator[Finding]:
    """What the provider answered, in the words that the functions logged."""
    known = signals.named(exam.context.config)
    loud = [known[name].sql for name in ("failure", "retry") if name in known]
    bad = f"{logsql.level()} in ('warn', 'error')"
    provider = f"positionCaseInsensitiveUTF8(event_message, {logsql.literal(_name(exam))}) > 0"
    condition = logsql.both(logsql.either(bad, *loud), provider, f"match(event_message, {logsql.literal(STATUS)})")
    refusals = _rows(exam, condition, f"extract(event_message, {logsql.literal(STATUS)})", group="detail")
    by_status: dict[str, list[Row]] = {}
    for row in refusals:
        if not _past(exam, row):
            by_status.setdefault(str(row["detail"]), []).append(row)
    for status, rows in sorted(by_status.items()):
        if status == "429":
            yield from _limited(exam, rows)
        elif status in ("401", "402", "403"):
            yield from _status(exam, status, rows)


def _failing(exam: Examination) -> Iterator[Finding]:
    """What callers feel: calls answered with 5xx, those that ran into a time limit apart."""
    answers = exam.answers
    failed = {slug: sum(n for status, n in counts.items() if _broken(status)) for slug, counts in answers.items()}
    bad, requests = sum(failed.values()), exam.requests
    if bad < FEW or bad <= NEAR * requests:
        return
    by_status: Counter[int] = Counter()
    for counts in answers.values():
        by_status.update({status: n for status, n in counts.items() if _broken(status)})
    parts = [f"{slug} {n} of {sum(answers[slug].values())}" for slug, n in failed.items() if n]
    statuses = ", ".join(f"{n} × {status}" for status, n in by_status.most_common(3))
    failure = signals.named(exam.context.config).get("failure")
    status = f"extract(event_message, {logsql.literal(STATUS)})"
    logged = _rows(exam, failure.sql, status, group="detail") if failure else []
    fresh = [row for row in logged if not _past(exam, row) and exam.now - logsql.at_micros(row["us"]) < RECENT]
    fresh.sort(key=lambda row: -int(row["n"]))
    words = "; ".join(filter(None, [", ".join(parts), statuses, _evidence(fresh) if fresh else "nothing logged"]))
    shown = inv("logs", signal="failure", since="15m") if failure else inv("logs", level="error", since="15m")
    newest = exam.history.newest
    back: list[Step] = []
    if newest and newest.kind == "deploy":
        back = [Do("or to take the deployment back:"), forward.take_back(exam.context)]
    fix = steps(shown, Do("once the cause is gone:"), WAIT_LONG, *back)
    problem = f"{bad} of {requests} calls failed in the last 15 minutes"
    yield Finding("errors", problem, words, fix, causes=_causes([(row, str(row["detail"])) for row in fresh]))


def _causes(rows: Sequence[tuple[Row, str]]) -> frozenset[str] | None:
    """The refusals that half of the lines name, or any without a line: one 429 among many 503s explains nothing."""
    total, by_status = sum(int(row["n"]) for row, _ in rows), Counter[str]()
    for row, status in rows:
        by_status[status] += int(row["n"])
    named = {"429": "rate_limit", "": "not_configured"}
    often = [status for status, n in by_status.items() if 2 * n >= total]
    return frozenset(named.get(status, f"logged_{status}") for status in often) if rows else None


def _broken(status: int) -> bool:
    return status >= 500 and status not in IDLE


def _troubled(exam: Examination) -> Iterator[Finding]:
    """What callers may not feel yet: attempts that were repeated, and waits that ran into a time limit."""
    known = signals.named(exam.context.config)
    loud = [known[name].sql for name in ("failure", "retry") if name in known]
    bad = f"{logsql.level()} in ('warn', 'error')"
    late = logsql.both(logsql.either(bad, *loud), f"match(event_message, {logsql.literal(LATE)})")
    retry = known["retry"].sql if "retry" in known else "1 = 0"
    status = f"extract(event_message, {logsql.literal(STATUS)})"
    detail = f"concat(if({retry}, 'retry', ''), ' ', if({late}, 'late', ''), ' ', {status})"
    since = max(exam.since, exam.now - RECENT)
    rows = [row for row in _rows(exam, logsql.either(retry, late), detail, "detail", since) if not _past(exam, row)]
    parts = [(row, str(row["detail"]).split(" ")) for row in rows]
    yield from _timeouts(exam, [row for row, (_, slow, _) in parts if slow])
    yield from _retries(exam, [(row, code) for row, (again, _, code) in parts if again])


def _timeouts(exam: Examination, rows: list[Row]) -> Iterator[Finding]:
    """Calls that ended at a limit of the platform, and lines that name one of the provider's or the function's own."""
    idle = {slug: sum(n for code, n in counts.items() if code in IDLE) for slug, counts in exam.answers.items()}
    cut, logged = sum(idle.values()), sum(int(row["n"]) for row in rows)
    if cut < FEW and (logged < FEW or logged <= NEAR * exam.requests):
        return
    by_function = ", ".join(f"{slug} {n} of {sum(exam.answers[slug].values())}" for slug, n in idle.items() if n)
    calls = f"ended by the platform's limits (504, 546): {by_function}" if cut else ""
    words = "; ".join(filter(None, [calls, _evidence(rows) if rows else ""]))
    what = f"{cut} of {exam.requests} calls" if cut else count(logged, "log line")
    problem = f"timeouts: {what} in the last 15 minutes"
    named = next((hit[0] for row in rows if (hit := re.search(LATE, _plain(row["example"])))), "")
    shown = inv("logs", grep=named, since="15m") if named else inv("logs", level="error", since="15m")
    fix = steps(Do(f"see where it waits ({shown}); wait less, or ask for less (max_tokens); commit and push"))
    yield Finding("timeouts", problem, words, steps(fix, inv("deploy")), "error" if cut else "warning")


def _retries(exam: Examination, rows: list[tuple[Row, str]]) -> Iterator[Finding]:
    """Functions that repeat what failed hide it from callers, until it fails too often."""
    lines = sum(int(row["n"]) for row, _ in rows)
    if lines < FEW or lines <= RETRIED * exam.requests:
        return
    by_status: Counter[str] = Counter()
    for row, code in rows:
        by_status[code] += int(row["n"])
    named = ", ".join(f"{n} × {code}" for code, n in by_status.most_common(3) if code)
    words = "; ".join(filter(None, [named, _evidence([row for row, _ in rows])]))
    problem = f"the functions retried {lines} times for {count(exam.requests, 'call')} in the last 15 minutes"
    fix = steps(inv("logs", signal="retry", since="15m"), Do("once the cause is gone:"), WAIT_LONG)
    causes = (_causes(rows) or frozenset()) | {"errors", "timeouts"}
    yield Finding("retries", problem, words, fix, "warning", causes=causes)


def _past(exam: Examination, row: Row) -> bool:
    """Whether the version that wrote it is not live any more."""
    return all(str(row["version"]) != str(each.version) for each in exam.migrated if each.id == row["function"])


def _status(exam: Examination, status: str, rows: list[Row]) -> Iterator[Finding]:
    """A refusal that lasts: it was logged recently, and the provider has not served since."""
    last, example = logsql.at_micros(max(int(row["us"]) for row in rows)), _plain(rows[0]["example"])
    if exam.now - last > RECENT or _served_since(exam, last) >= ENOUGH:
        return
    meaning, remedy = MEANING[classify(int(status), example)]
    problem = f"the provider answers the functions {status}: {meaning}"
    yield Finding(f"logged_{status}", problem, _evidence(rows), Steps((*then(remedy), inv("smoke", env=_env(exam)))))


def _env(exam: Examination) -> str:
    """`smoke` without --env is local: what failed here is tried here."""
    return exam.context.environment.name


def _served_since(exam: Examination, moment: datetime) -> int:
    """Answers that the functions were billed for after a moment; 0 where the signal `usage` is not configured."""
    usage = signals.named(exam.context.config).get("usage")
    if usage is None:
        return 0
    after = f"{logsql.MICROSECONDS} > {logsql.micros(moment)}"
    rows = _rows(exam, logsql.both(usage.sql, after))
    return sum(int(row["n"]) for row in rows if not _past(exam, row))


def _limited(exam: Examination, rows: list[Row]) -> Iterator[Finding]:
    """Only recent lines count: waiting is the remedy."""
    fresh = [row for row in rows if exam.now - logsql.at_micros(row["us"]) < RECENT]
    limited, requests = sum(int(row["n"]) for row in fresh), _requests(exam) if fresh else 0
    if limited > NEAR * max(requests, 1):
        which = inv("logs", grep="429", since="1h")
        fix = steps(Do(f"send fewer requests ({which} shows which provider refuses)"), WAIT_LONG)
        share = f"{limited} of {requests} requests met 429"
        yield Finding("rate_limit", "the provider's rate limit is near", f"{share}; {_evidence(fresh)}", fix, "warning")


def _evidence(rows: list[Row]) -> str:
    last = logsql.at_micros(max(int(row["us"]) for row in rows))
    lines = count(sum(int(row["n"]) for row in rows), "line")
    return f"{lines}, the last at {last:%H:%M:%S}Z: {_plain(rows[0]['example'])}"


def _requests(exam: Examination) -> int:
    where = logsql.both(
        logsql.source(logsql.EDGE), f"{logsql.attribute('method')} != 'OPTIONS'",
        logsql.equal("function_id", *(each.id for each in exam.migrated)),
    )  # fmt: skip
    return round(exam.logs.scalar("count()", where, exam.since, exam.now + timedelta(minutes=1)))


def _unset(exam: Examination) -> Iterator[Finding]:
    """The functions log that a key is not configured, and it was not set since."""
    for name in exam.context.config.secrets:
        for row in _rows(exam, logsql.contains(f"{name} not configured")):
            last = logsql.at_micros(row["us"])
            live = next((each for each in exam.migrated if each.id == row["function"]), None)
            if live is None or exam.now - last > RECENT or _past(exam, row) or last < _set_at(exam, name):
                continue
            why = _evidence([row])
            problem = f"{live.slug} logs that {name} is not configured"
            fix = steps(chain(inv("secret", set=True), inv("deploy")))
            yield Finding("not_configured", problem, why, fix, "warning", live.slug)


def _set_at(exam: Examination, name: str) -> datetime:
    return changed_at(exam.context, [name]) or datetime.min.replace(tzinfo=UTC)


def _versions(exam: Examination) -> Iterator[Finding]:
    """Functions whose callers still get another version than the live one."""
    for worker in warm.workers(exam.context, exam.migrated, exam.now):
        live = exam.functions[worker.slug]
        fresh = worker.answered is not None and worker.answered > activated(live) + SETTLED
        if fresh and worker.version is not None and worker.version != live.version:
            why = f"execution {worker.execution} ran v{worker.version}; the platform lists v{live.version} as live"
            problem = f"{worker.slug} answers from an older version"
            yield Finding("stale", problem, why, steps(WAIT), "warning", worker.slug)


def _plain(text: str) -> str:
    return cropped(" ".join(signals.plain(text).split()), 200)


def _name(exam: Examination) -> str:
    return exam.context.config.migration.to or ""
