"""The SQL that we send, sent by the real CLI: the same rows come back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from migration.base.secrets_type import Secret
from migration.clients.edge import Edge, Purpose
from migration.clients.http import Http
from migration.config import logsql, signals
from migration.config.settings import Price
from migration.costs import usage_query
from migration.logs import logs
from tests.migration.rehearsal.test_real_cli import Bench, bench, executable
from tests.support.logs import config

__all__ = ["bench", "executable"]  # fixtures

USAGE = """Deno.serve(() => {
  console.log("[req-000001] 💰 Token usage:", { input: 1234, output: 567, total: 1801, estimatedCost: "$0.0022" });
  console.log("[req-000001] it's 100% \\\\ done");
  return new Response("ok");
});
"""
HOUR = timedelta(hours=1)


def test_costs_and_history_are_the_same_through_the_real_cli(bench: Bench) -> None:
    function = bench.deploy("spender", {"supabase/functions/spender/index.ts": USAGE})
    answer = Edge(Http(bench.sandbox.url), Secret(bench.sandbox.anon_key)).call(
        "spender", purpose=Purpose.SMOKE, json={}
    )
    assert answer.status == 200
    bench.await_rows(function, 3)
    found = signals.named(config())
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - HOUR
    span = (start, start + 3 * HOUR)
    price = Price(input=0.6, cached_input=0.15, output=2.5)
    own = logsql.both(logsql.span(*span), logsql.equal("function_id", function.id))
    spent = usage_query.window([function.id], found["usage"], found["retry"], price, start, span)
    history = logsql.rows(logsql.both(own, logsql.contains("it's 100% \\ DONE")), logs.COLUMNS)
    for sql, expected in ((spent, "input"), (history, "event_message")):
        ours = bench.api.logs(sql, *span)
        about = ["--from", f"{span[0]:%Y-%m-%dT%H:%M:%SZ}", "--to", f"{span[1]:%Y-%m-%dT%H:%M:%SZ}"]
        done = bench.run("logs", "--sql", sql, *about, "--output-format", "json")
        assert done.code == 0, done.stderr
        said = json.loads(done.stdout)
        theirs = said if isinstance(said, list) else said.get("logs") or said.get("result") or said.get("rows")
        assert theirs == ours and len(ours) == 1 and expected in ours[0]
