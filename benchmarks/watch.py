"""What a watch decides on generated days, through the code that decides in production, beside a plain rule.

    uv run python -m benchmarks.watch [DAYS]          alarms on healthy days, and how soon trouble is caught
    uv run python -m benchmarks.watch day [ANSWERS]   one day of rounds over a log store: seconds, bytes read, memory

The peer is what dashboards do: alarm when the failure rate of the last hour is above the limit.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from migration.providers import proofs
from migration.rehearsal.logstore import LogStore
from migration.watch.judge import Look
from tests.support import days
from tests.support.days import Share

if TYPE_CHECKING:
    from tests.support.watching import Night

ANSWERS = 20  # a look
HOUR = 12  # looks
LIMIT = 0.01
_A_DAY = 5 / 30  # GB of logs, where a month has 5


def main() -> int:
    """The figures on stdout; 1 when one is missed."""
    if sys.argv[1:2] == ["day"]:
        return day(int(sys.argv[2]) if len(sys.argv) > 2 else ANSWERS)
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    missed = 0
    for name, share in (
        ("healthy, 0.5% failures", days.steady(0.005)),
        ("failures in clumps of 25% within a look", None),
    ):
        chance = random.Random(17)
        own = share or days.clumps(0.005, 0.25, chance)
        began = time.process_time()
        ours, plain = zip(*(_both(own, chance) for _ in range(many)), strict=True)
        seconds = time.process_time() - began
        wrong, peer = (sum(one is not None for one in found) for found in (ours, plain))
        missed += wrong > 0.05 * many
        _say(f"{name}: {wrong} of {many} days alarm ({wrong / many:.1%}), {seconds:.0f} s of CPU; "
              f"last hour above 1%: {peer / many:.0%}")  # fmt: skip
    for share_, hours, median, most in ((0.05, (0, 6, 12, 18), 18, 34), (0.3, (0, 12, 23), None, 6)):
        for hour in hours:
            found = sorted(_caught(share_, hour, many // 2))
            middle, late = found[len(found) // 2], found[int(len(found) * 0.95)]
            missed += late > most or (median is not None and middle > median)
            _say(f"{share_:.0%} from hour {hour}: caught after {middle} looks (median), {late} (p95)")
    return int(missed > 0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _both(share: Share, chance: random.Random) -> tuple[int | None, int | None]:
    """The first alarm of the watch and of the plain rule, on the same day."""
    looks = list(days.looks(share, ANSWERS, chance))
    return days.first_alarm(iter(looks)), _plain(looks)


def _plain(looks: list[Look]) -> int | None:
    bad = [look.functions["artifact"].failed for look in looks]
    for n in range(HOUR, len(bad)):
        if sum(bad[n - HOUR : n]) > LIMIT * HOUR * ANSWERS:
            return n
    return None


def _caught(share: float, hour: int, many: int) -> list[int]:
    """After how many looks, on each of so many days; 999 where never."""
    chance = random.Random(hour)
    first = (days.first_alarm(days.looks(days.rising(share, hour), ANSWERS, chance)) for _ in range(many))
    return [999 if one is None or one < hour * HOUR else one - hour * HOUR + 1 for one in first]


def day(answers: int) -> int:
    """A day of rounds with so many answers a look: bytes as the engine counts them, beside the simple way, which reads
    the last 24 hours in each look."""
    from migration.config.logsql import literals
    from migration.logs.reader import LogReader
    from migration.watch import rows, subject
    from tests.support.watching import Night

    with tempfile.TemporaryDirectory() as folder:
        store = LogStore(Path(folder) / "logs")
        night = Night(Path(folder) / "night", store)
        proofs.build = lambda access, retry: night.providers.build(access)  # noqa: ARG005
        night.source._arrive = _Arriving(night, answers).arrive  # type: ignore[method-assign]
        began, cpu = time.monotonic(), time.process_time()
        rounds = list(night.rounds(span=86_400.0, every=300.0))
        seconds, used = time.monotonic() - began, time.process_time() - cpu
        state, context = rounds[-1].state, night.context()
        deployment = context.ledger.history().deployments[0]
        own = subject.of(context, context.ledger.history(), deployment)
        end = night.start + timedelta(hours=24)
        whole = rows.read(LogReader.of(context), subject.wanted(context.config, own, state), night.start, end)
        ids = literals(id_ for id_, _ in night.ids.values())
        size = "sum(byteSize(id, timestamp, event_message, severity_text, source, log_attributes))"
        stored = int(store.execute(f"select {size} from logs where log_attributes['function_id'] in {ids}"))
        store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ours, simple = (each / stored * _A_DAY for each in (state.bytes_read, whole.bytes_read * len(rounds)))
    _say(f"{len(rounds)} rounds over {stored / 1e6:.0f} MB of rows: {seconds:.0f} s, {used:.0f} s of CPU with the log "
          f"engine, {peak:.0f} MB at most with the engine in the process")  # fmt: skip
    _say(f"read at 5 GB of logs a month: {ours:.2f} GB a day ({'engine' if state.bytes_measured else 'estimate'}); "
          f"the last 24 hours in each look: {simple:.0f} GB")  # fmt: skip
    return int(ours > 1.0)


class _Arriving:
    """Rows reach the store as they do in production: those of a round together, each after the one before."""

    def __init__(self, night: Night, answers: int) -> None:
        self.night, self.apart = night, 300.0 / answers
        self.written = 0

    def arrive(self) -> None:
        """Write the rows of every request that has been answered by now."""
        passed = (self.night.clock.now() - self.night.start).total_seconds() - 2.0
        due = min(int(passed / self.apart), int(86_400 / self.apart))
        if due > self.written:
            _fill(self.night.store, self.night.ids["artifact"], self.written, due, self.apart)
            self.written = due


def _fill(store: LogStore, function: tuple[str, int], first: int, end: int, apart: float) -> None:
    """Answers from one number to another, each with the gateway's row and two of the function, by the engine itself."""
    n = f"(number + {first})"
    start = f"toDateTime64('2026-11-22 12:00:00', 6, 'UTC') + toIntervalMicrosecond(toInt64({n} * {apart * 1e6}))"
    own = f"'function_id', '{function[0]}', 'version', '{function[1]}', 'execution_id', concat('x', toString({n}))"
    more = ", ".join(f"'request.cf.field_{n}', 'a value of twenty ch'" for n in range(12))
    edge = (
        f"{own}, 'response.status_code', '200', 'execution_time_ms', '2000', 'request.method', 'POST', "
        f"'request.pathname', '/functions/v1/artifact', 'request.headers.user_agent', 'deno', "
        f"'response.headers.x_sb_edge_region', 'eu-west-1', {more}"
    )
    line = f"{own}, 'event_type', 'Log', 'level', 'info', 'region', 'eu-west-1', 'served_by', 'supabase-edge-runtime'"
    tokens = "input: 1234, output: 567, total: 1801, estimatedCost: ''$0.0018''"
    usage = f"concat('[', substring(hex({n}), 1, 8), '0000] 💰 Token usage: {{ {tokens} }}')"
    rows = (
        ("e", "2000000", "'POST | 200 | https://x/functions/v1/artifact'", "function_edge_logs", edge),
        ("a", "10000", "'[00000000] Routing to Kimi'", "function_logs", line),
        ("u", "1990000", usage, "function_logs", line),
    )
    selects = [
        f"select concat('{function[0]}{name}', toString({n})), {start} + toIntervalMicrosecond({later}), "
        f"{message}, '', '{source}', map({attributes})::Map(LowCardinality(String), String) from numbers({end - first})"
        for name, later, message, source, attributes in rows
    ]
    store.execute(f"insert into logs {' union all '.join(selects)}")


if __name__ == "__main__":
    sys.exit(main())
