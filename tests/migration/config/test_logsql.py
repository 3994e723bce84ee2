"""Every query that history, tail, request story and costs send is parsed by a second parser, whatever is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
import sqlglot
from sqlglot import expressions

from migration.base.errors import CutoverError
from migration.base.limiter import RateLimiter
from migration.config import logsql, signals
from migration.config.settings import Price
from migration.costs import costs, usage_query
from migration.logs import logs
from migration.logs.follow import Follower
from migration.logs.logs import LogQuery
from migration.logs.reader import LogReader
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, USAGE, Direct, config, context, deployed

HOSTILE = "x' or 1 = 1; drop table logs; -- \\"


class Asked(Direct):
    """Keeps every query, answers none."""

    def __init__(self) -> None:
        super().__init__(None, VirtualClock(NOON))  # type: ignore[arg-type]
        self.deployed = [deployed("artifact", "id-a"), deployed(HOSTILE, HOSTILE)]

    def logs(self, sql: str, *_: Any) -> list[dict[str, Any]]:
        self.queries.append(sql)
        if "uniqExact(id)" in sql:
            return [{"second": 1_795_348_800 + n, "n": 5_000} for n in range(3)]
        return []


def history(source: Asked, tmp_path: Path) -> None:
    wanted = [
        LogQuery(NOON - timedelta(days=2)),
        LogQuery(NOON, functions=("artifact", HOSTILE), newest_first=True, limit=3),
        LogQuery(NOON, grep=HOSTILE, level="warn", request=HOSTILE),
        *(LogQuery(NOON, signal=name) for name in config().signals),
    ]
    for query in wanted:
        list(logs.history(context(tmp_path, source), query))


def explain(source: Asked, tmp_path: Path) -> None:
    logs.explain(context(tmp_path, source), LogQuery(NOON))


def follow(source: Asked, tmp_path: Path) -> None:
    asker = logs.LogSearch.of(context(tmp_path, source), LogQuery(NOON, functions=(HOSTILE,)))
    reader = LogReader(source, source.clock, RateLimiter(source.clock, None))
    follower = Follower(reader, asker.where(LogQuery(NOON, functions=(HOSTILE,))), logs.COLUMNS, NOON)
    follower.poll([])
    follower.cursor = (logsql.micros(NOON) + 9_000_000, HOSTILE)
    follower.poll([])
    follower.sweep([])


def spending(source: Asked, tmp_path: Path) -> None:
    found = context(tmp_path, source)
    try:
        costs.run(found, NOON - timedelta(days=3))
    except CutoverError:
        raise AssertionError("the costs must not need a ledger or a provider") from None


@pytest.mark.parametrize("ask", [history, explain, follow, spending])
def test_every_query_is_one_select_over_logs(ask: Callable[[Asked, Path], None], tmp_path: Path) -> None:
    source = Asked()
    ask(source, tmp_path)
    assert source.queries
    for sql in source.queries:
        [tree] = sqlglot.parse(sql, dialect="clickhouse")
        assert isinstance(tree, expressions.Select)
        assert {table.name for table in tree.find_all(expressions.Table)} == {"logs"}
        assert not list(tree.find_all(expressions.Star))


@pytest.mark.parametrize("usage", [USAGE, "^(?P<input>a)(?P<output>b)(?P<total>c)(?P<cost>d)"])
def test_the_costs_query_parses_with_any_pattern(usage: str) -> None:
    found = signals.Pattern("usage", usage, ())
    price = Price(input=0.6, cached_input=0.15, output=2.5)
    sql = usage_query.window([HOSTILE], found, None, price, NOON, (NOON, NOON + timedelta(hours=1)))
    assert len(sqlglot.parse(sql, dialect="clickhouse")) == 1


def test_no_query_makes_a_longer_url_than_gateways_take(tmp_path: Path) -> None:
    source = Asked()
    for ask in (history, explain, follow, spending):
        ask(source, tmp_path)
    assert max(len(quote_plus(sql)) for sql in source.queries) < 7_000


def test_a_page_is_ordered_by_time_and_id() -> None:
    assert logsql.rows("1 = 1", "source", newest_first=True).endswith("order by us desc, id desc limit 1000")


@pytest.mark.parametrize("text", ["", "plain", "'", "\\", "'; --", "\n", "\x00", "\ud800"])
def test_a_literal_comes_back_from_a_parser_as_it_went_in(text: str) -> None:
    literal = sqlglot.parse_one(f"select {logsql.literal(text)}", dialect="clickhouse").find(expressions.Literal)
    assert literal is not None and literal.this == text.encode("utf-8", "replace").decode()
