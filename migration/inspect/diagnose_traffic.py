"""What the functions logged of late: the old route, refusals of the provider, a missing key, old versions answering."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from migration.base.errors import ServiceFailed
from migration.base.finding import Finding, then
from migration.clients.openrouter_errors import MEANING, classify
from migration.config import logsql, signals
from migration.inspect.look import Look
from migration.logs.reader import Row
from migration.setup import warm
from migration.setup.secret_set import changed_at

STATUS = r"\b(40[1-3]|408|429|50[0234]|52[49])\b"
SETTLING = 20_000  # ms in which the old version may still answer
NEAR = 0.05  # share of requests that met 429 from which the rate limit is near
RECENT = timedelta(minutes=15)
ENOUGH = 3  # answers that the provider gave since its last refusal, from which it serves again
WAIT, WAIT_LONG = "sleep 300 && inv doctor", "sleep 900 && inv doctor"
PROVE = "inv smoke"


def find(look: Look) -> Iterator[Finding]:
    """Nothing where there is nothing deployed; the log endpoint's own failure is a finding."""
    if not look.migrated:
        return
    try:
        yield from _old_route(look)
        yield from _refused(look)
        yield from _unset(look)
        yield from _versions(look)
    except ServiceFailed as error:
        fix = then(error.hint, "inv logs --since 10m")
        yield Finding("logs", "the logs cannot be read", error.message, fix, "warning")


def _rows(look: Look, condition: str, more: str = "''", group: str = "") -> list[Row]:
    """Count, newest time and an example, by function and version, of the lines that meet the condition."""
    function, version = logsql.attribute("function_id"), logsql.attribute("version")
    select = (
        f"{function} as function, {version} as version, {more} as detail, count() as n, "
        f"max({logsql.MICROSECONDS}) as us, any(substring(event_message, 1, 200)) as said"
    )
    where = logsql.both(
        logsql.source(logsql.FUNCTION), logsql.equal("function_id", *(each.id for each in look.migrated)), condition
    )
    grouped = ", ".join(filter(None, ["function", "version", group]))
    return look.reader.aggregate(select, where, look.since, look.now + timedelta(minutes=1), group=grouped)


def _old_route(look: Look) -> Iterator[Finding]:
    """Only where the new code is wanted: after a rollback the old route is right."""
    known = signals.named(look.context.config)
    old, new = known.get("old_route"), known.get("new_route")
    if old is None or new is None or not _wanted(look, new.regex):
        return
    by_id = {each.id: each for each in look.migrated if each.slug in old.functions}
    for row in _rows(look, old.sql):
        live = by_id.get(row["function"])
        if live is None or _before(row, live.updated_at):
            continue
        older = str(row["version"]) != str(live.version)
        if older and look.now - logsql.at_micros(row["us"]) > RECENT:
            continue
        last = f"{row['n']} lines, the last {logsql.at_micros(row['us']):%H:%M:%S} UTC: {_plain(row['said'])}"
        which = f"version {row['version']}" + (f", while {live.version} is live" if older else ", the live one")
        fix = _forward(look, live.slug, older)
        yield Finding("old_route", f"{live.slug} still takes the old route", f"{which}: {last}", fix, subject=live.slug)


def _forward(look: Look, slug: str, older: bool) -> str:
    """What makes a function take the new route, by why it does not."""
    item = look.item(slug)
    if item is not None and item.changes:
        return f"inv deploy --plan {look.plan.hash[:12]}" if item.action == "drifted" else "inv deploy"
    if older:
        return WAIT_LONG
    shows = "(inv logs --signal old_route --since 1h shows when)"
    return f"mend what leads the function back to it {shows}, git push, then type: inv deploy"


def _wanted(look: Look, pattern: re.Pattern[str]) -> bool:
    sources = [item.source for item in look.plan.functions]
    return any(pattern.search(data.decode("utf-8", "replace")) for found in sources for data in found.files.values())


def _before(row: Row, updated_at: int | None) -> bool:
    """Lines of before the live version was activated are history; some seconds of changing over are no fault."""
    return updated_at is not None and int(row["us"]) < (updated_at + SETTLING) * 1000


def _refused(look: Look) -> Iterator[Finding]:
    """What the provider answered, in the words that the functions logged."""
    known = signals.named(look.context.config)
    loud = [known[name].sql for name in ("failure", "retry") if name in known]
    bad = f"{logsql.level()} in ('warn', 'error')"
    provider = f"positionCaseInsensitiveUTF8(event_message, {logsql.literal(_name(look))}) > 0"
    condition = logsql.both(logsql.either(bad, *loud), provider, f"match(event_message, {logsql.literal(STATUS)})")
    found = _rows(look, condition, f"extract(event_message, {logsql.literal(STATUS)})", group="detail")
    by_status: dict[str, list[Row]] = {}
    for row in found:
        if not _past(look, row):
            by_status.setdefault(str(row["detail"]), []).append(row)
    for status, rows in sorted(by_status.items()):
        if status == "429":
            yield from _limited(look, rows)
        elif status in ("401", "402", "403"):
            yield from _status(look, status, rows)


def _past(look: Look, row: Row) -> bool:
    """Whether a version that is live no more wrote it."""
    return all(str(row["version"]) != str(each.version) for each in look.migrated if each.id == row["function"])


def _status(look: Look, status: str, rows: list[Row]) -> Iterator[Finding]:
    """A refusal that lasts: it was said of late, and the provider has not served since."""
    last, said = logsql.at_micros(max(int(row["us"]) for row in rows)), _plain(rows[0]["said"])
    if look.now - last > RECENT or _served_since(look, last) >= ENOUGH:
        return
    kind = classify(int(status), said)
    problem = f"the provider answers the functions {status}: {MEANING[kind][0]}"
    remedy = MEANING[kind][1]
    fix = f"{remedy} && {PROVE}" if "type: inv" in remedy else then(remedy, PROVE)
    yield Finding(f"logged_{status}", problem, _evidence(rows), fix)


def _served_since(look: Look, moment: datetime) -> int:
    """Answers that the functions were billed for after a moment; 0 where the signal `usage` is not configured."""
    usage = signals.named(look.context.config).get("usage")
    if usage is None:
        return 0
    after = f"{logsql.MICROSECONDS} > {logsql.micros(moment)}"
    rows = _rows(look, logsql.both(usage.sql, after))
    return sum(int(row["n"]) for row in rows if not _past(look, row))


def _limited(look: Look, rows: list[Row]) -> Iterator[Finding]:
    """Only what was said of late counts: waiting is the remedy."""
    fresh = [row for row in rows if look.now - logsql.at_micros(row["us"]) < RECENT]
    count, requests = sum(int(row["n"]) for row in fresh), _requests(look) if fresh else 0
    if count > NEAR * max(requests, 1):
        fix = f"ask less often (inv logs --grep 429 --since 1h tells which provider refuses), then type: {WAIT_LONG}"
        share = f"{count} of {requests} requests met 429"
        yield Finding("rate_limit", "the provider's rate limit is near", f"{share}; {_evidence(fresh)}", fix, "warning")


def _evidence(rows: list[Row]) -> str:
    last = logsql.at_micros(max(int(row["us"]) for row in rows))
    return f"{sum(int(row['n']) for row in rows)} lines, the last {last:%H:%M:%S} UTC: {_plain(rows[0]['said'])}"


def _requests(look: Look) -> int:
    where = logsql.both(
        logsql.source(logsql.EDGE), f"{logsql.attribute('method')} != 'OPTIONS'",
        logsql.equal("function_id", *(each.id for each in look.migrated)),
    )  # fmt: skip
    return round(look.reader.scalar("count()", where, look.since, look.now + timedelta(minutes=1)))


def _unset(look: Look) -> Iterator[Finding]:
    """The functions' own word that a key is not there, unless it was set since."""
    for name in look.context.config.secrets:
        for row in _rows(look, logsql.contains(f"{name} not configured")):
            last = logsql.at_micros(row["us"])
            live = next((each for each in look.migrated if each.id == row["function"]), None)
            if live is None or look.now - last > RECENT or _past(look, row) or last < _set_at(look, name):
                continue
            why = _evidence([row])
            problem = f"{live.slug} says that {name} is not configured"
            yield Finding("not_configured", problem, why, "inv secret --set && inv deploy", "warning", live.slug)


def _set_at(look: Look, name: str) -> datetime:
    return changed_at(look.context, [name]) or datetime.min.replace(tzinfo=UTC)


def _versions(look: Look) -> Iterator[Finding]:
    """Functions that answer from another version than the one that is live."""
    for worker in warm.workers(look.context, look.migrated, look.now):
        live = look.functions[worker.slug]
        if worker.version is not None and worker.version != live.version:
            why = (
                f"execution {worker.execution} ran version {worker.version}, the platform lists {live.version} as live"
            )
            yield Finding("stale", f"{worker.slug} answers from an older version", why, WAIT, "warning", worker.slug)


def _plain(text: str) -> str:
    return " ".join(signals.plain(text).split())


def _name(look: Look) -> str:
    provider = look.context.config.provider
    return provider.name if provider else ""
