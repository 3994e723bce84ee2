"""One request's whole story across function and gateway logs, as a condition on rows."""

from __future__ import annotations

from migration.base.ids import SHORT
from migration.config import logsql

SLACK = 250_000  # microseconds by which the clocks of gateway and worker may differ

_EXECUTION = logsql.attribute("execution_id")
_OWN = r"match(event_message, '^\\[[A-Za-z0-9_-]{6,64}\\] ')"


def story(request: str) -> str:
    """Everything about one request: by its id in a line, its execution id, or the gateway's id for it.

    Each of them may be shortened as lines show it. A worker may serve several requests, one at a time: of the others
    that the same execution served, what lies beside this one in time is told, and lines that carry no request's id.
    """
    named = logsql.either(*_named(request))
    same = f"{_EXECUTION} != '' and {_EXECUTION} in (select {_EXECUTION} from logs where {named})"
    return logsql.either(named, logsql.both(same, logsql.either(_nobodys(), _beside(named))))


def _named(request: str) -> tuple[str, str, str]:
    gateway, text = logsql.attribute("gateway_request"), logsql.literal(request)
    if len(request) != SHORT:
        own = f"startsWith(event_message, {logsql.literal(f'[{request}]')})"
        return own, f"{_EXECUTION} = {text}", f"{gateway} = {text}"
    begins = f"startsWith(event_message, {logsql.literal(f'[{request}')})"
    return begins, f"startsWith({_EXECUTION}, {text})", f"endsWith({gateway}, {text})"


def _nobodys() -> str:
    return logsql.both(logsql.source(logsql.FUNCTION), f"not {_OWN}")


def _beside(named: str) -> str:
    """A gateway's row beside a named line, or a line beside a named gateway's row, within the time that it took."""
    edge = logsql.source(logsql.EDGE)
    took = f"toInt64OrZero({logsql.attribute('milliseconds')}) * 1000"
    known = f"(select groupArray(({_EXECUTION}, {logsql.MICROSECONDS}, {took}, {edge})) from logs where {named})"
    apart = f"abs({logsql.MICROSECONDS} - one.2) <= {took} + one.3 + {SLACK}"
    return f"arrayExists(one -> one.1 = {_EXECUTION} and one.4 != ({edge}) and {apart}, {known})"
