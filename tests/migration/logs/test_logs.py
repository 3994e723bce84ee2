from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import ApiError, Refused
from migration.base.ids import shortened
from migration.config import logsql
from migration.logs import logs
from migration.logs.logs import LogQuery
from migration.rehearsal.logstore import LogStore
from tests.support.clock import VirtualClock
from tests.support.logs import NOON, Direct, context, deployed, row

pytestmark = pytest.mark.usefixtures("emptied")

HOUR = timedelta(hours=1)


@pytest.fixture
def source(store: LogStore) -> Direct:
    found = Direct(store, VirtualClock(NOON + HOUR))
    found.deployed = [deployed("artifact", "id-a"), deployed("chat", "id-c")]
    return found


def messages(source: Direct, tmp_path: Path, **wanted: Any) -> list[str]:
    return [event.message for event in logs.history(context(tmp_path, source), LogQuery(NOON, **wanted))]


def test_an_event_tells_function_version_request_and_signals(source: Direct, tmp_path: Path) -> None:
    text = "[req-000001] 🤖 Routing to Kimi K2-Thinking via OpenRouter\n"
    source.store.append(
        [row(text, 1.5, id="one", function_id="id-a", version="7", execution_id="e1", level="warning", region="eu")]
    )
    [event] = logs.history(context(tmp_path, source), LogQuery(NOON))
    assert event.as_json() == {
        "id": "one",
        "timestamp": "2026-11-22T12:00:01.500000Z",
        "function": "artifact",
        "level": "warn",
        "message": text,
        "request_id": "req-000001",
        "execution_id": "e1",
        "version": 7,
        "status": None,
        "milliseconds": None,
        "region": "eu",
        "kind": "Log",
        "signals": ["new_route"],
    }


def gateway(status: str, seconds: float = 0, **attributes: str) -> Any:
    return row("POST | x", seconds, source="function_edge_logs", response__status_code=status, **attributes)


@pytest.mark.parametrize(("status", "level"), [("200", "info"), ("401", "warn"), ("503", "error"), ("", "")])
def test_a_gateway_row_takes_its_level_from_the_status(source: Direct, tmp_path: Path, status: str, level: str) -> None:
    source.store.append([gateway(status, function_id="id-c", execution_time_ms="150.6")])
    [event] = logs.history(context(tmp_path, source), LogQuery(NOON))
    assert (event.level, event.status, event.function) == (level, int(status or 0) or None, "chat")
    assert event.milliseconds == 151


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warn", 2), ("error", 1)])
def test_a_level_means_that_level_and_worse(source: Direct, tmp_path: Path, level: str, count: int) -> None:
    source.store.append([row(given, level=given) for given in ("debug", "log", "warning", "fatal")])
    assert len(messages(source, tmp_path, level=level)) == count


def test_functions_are_found_by_name_even_where_the_gateway_knew_no_id(source: Direct, tmp_path: Path) -> None:
    source.store.append(
        [
            row("own", 1, function_id="id-a"),
            row("other", 2, function_id="id-c"),
            gateway("401", 3, function_id="", request__pathname="/functions/v1/artifact"),
            gateway("404", 4, function_id="", request__pathname="/functions/v1/artifact-two"),
        ]
    )
    assert messages(source, tmp_path, functions=("artifact",)) == ["own", "POST | x"]
    events = list(logs.history(context(tmp_path, source), LogQuery(NOON)))
    assert [event.function for event in events] == ["artifact", "chat", "artifact", "artifact-two"]


def test_a_deleted_function_keeps_its_name(source: Direct, tmp_path: Path) -> None:
    source.store.append([row("hello", function_id="id-a")])
    list(logs.history(context(tmp_path, source), LogQuery(NOON)))
    source.deployed = [deployed("artifact", "id-new")]
    [event] = logs.history(context(tmp_path, source), LogQuery(NOON))
    assert event.function == "artifact"
    assert messages(source, tmp_path, functions=("artifact",)) == ["hello"]


def test_a_function_that_the_ledger_saw_has_a_name(source: Direct, tmp_path: Path) -> None:
    class Ledger:
        def records(self, fresh: bool = True) -> list[dict[str, Any]]:  # noqa: ARG002
            before = {"function_id": "id-old", "version": 3}
            return [
                {"record": "intent", "functions": [{"slug": "old", "before": before}, {"slug": "new", "before": None}]},
                {"record": "staged", "answers": [{"id": "id-new", "slug": "new", "version": 1}]},
            ]

    source.store.append([row("one", 1, function_id="id-old"), row("two", 2, function_id="id-new")])
    found = context(tmp_path, source)
    found.__dict__["ledger"] = Ledger()
    assert [event.function for event in logs.history(found, LogQuery(NOON))] == ["old", "new"]


def test_logs_are_read_even_where_functions_may_not_be_listed(source: Direct, tmp_path: Path) -> None:
    source.store.append([row("hello", function_id="id-a")])
    list(logs.history(context(tmp_path, source), LogQuery(NOON)))

    def forbidden() -> Any:
        raise ApiError("no permission", status=403, body="", operation="listing the functions")

    source.functions = forbidden  # type: ignore[method-assign]
    found = context(tmp_path, source)
    [event] = logs.history(found, LogQuery(NOON))
    assert event.function == "artifact"
    assert "could not list" in found.observer.events[0][3]  # type: ignore[attr-defined]


def test_an_unknown_id_is_shown_as_it_is(source: Direct, tmp_path: Path) -> None:
    source.store.append([row("x", function_id="0f1e")])
    [event] = logs.history(context(tmp_path, source), LogQuery(NOON))
    assert event.function == "0f1e"


@pytest.mark.parametrize("wanted", [{"functions": ("nope",)}, {"signal": "nope"}, {"level": "loud"}])
def test_an_unknown_name_is_refused_with_those_there_are(source: Direct, tmp_path: Path, wanted: Any) -> None:
    with pytest.raises(Refused) as refused:
        messages(source, tmp_path, **wanted)
    assert refused.value.hint.startswith("use one of: ")


@pytest.mark.parametrize("wanted", [{"signal": "nope"}, {"level": "loud"}])
def test_what_the_config_alone_refuses_asks_no_service(source: Direct, tmp_path: Path, wanted: Any) -> None:
    source.functions = None  # type: ignore[assignment, method-assign]
    with pytest.raises(Refused):
        messages(source, tmp_path, **wanted)


def test_a_signal_is_looked_for_in_its_own_functions_and_through_colours(source: Direct, tmp_path: Path) -> None:
    line = "\x1b[33mRouting to\x1b[39m Kimi"
    source.store.append([row(line, 1, function_id="id-a"), row(line, 2, function_id="id-c"), row("no", 3)])
    assert messages(source, tmp_path, signal="new_route") == [line]
    assert messages(source, tmp_path, signal="new_route", functions=("chat",)) == [line]
    seen = [event.signals for event in logs.history(context(tmp_path, source), LogQuery(NOON))]
    assert seen == [("new_route",), (), ()]


def test_limit_takes_the_newest_and_shows_them_in_order(source: Direct, tmp_path: Path) -> None:
    source.store.append([row(str(n), n) for n in range(5)])
    assert messages(source, tmp_path, limit=2) == ["3", "4"]
    assert messages(source, tmp_path, limit=2, newest_first=True) == ["4", "3"]
    assert messages(source, tmp_path, newest_first=True) == ["4", "3", "2", "1", "0"]


def test_a_request_is_told_whole_across_function_and_gateway(source: Direct, tmp_path: Path) -> None:
    own, edge = "eebf19d2-45b5-46b5-8087-4ea252f652a4", "01a2061a-4b28-73c0-a7ed-172a72fe71e7"
    worker = {"function_id": "id-a", "execution_id": "e1"}
    took = {"execution_time_ms": "3500", "response__headers__sb_request_id": edge}
    source.store.append(
        [
            row("booted (time: 31ms)", 0, **worker),
            row(f"[{own}] begins", 1, **worker),
            row("no prefix here", 2, **worker),
            gateway("200", 4, **worker, **took),
            row("[req-000002] later, same worker", 30, **worker),
            gateway("200", 31, **worker, execution_time_ms="1000", response__headers__sb_request_id="gw2"),
            row("[req-000003] elsewhere", 5, function_id="id-a", execution_id="e2"),
            row("no execution", 6, function_id="id-a", execution_id=""),
        ]
    )
    whole = ["booted (time: 31ms)", f"[{own}] begins", "no prefix here", "POST | x"]
    for request in (own, shortened(own), own[:13], own[:20], edge, shortened(edge), edge[:13]):
        assert messages(source, tmp_path, request=request) == whole
    assert messages(source, tmp_path, request="e2") == ["[req-000003] elsewhere"]
    assert messages(source, tmp_path, request="nobody") == []
    assert messages(source, tmp_path, request=edge[:8]) == [], "every gateway's id of this minute begins so"


HOSTILE = [
    "'",
    "''",
    "\\",
    "\\'",
    "' or 1 = 1 --",
    "\\' or 1 = 1 --",
    "x') or (1 = 1",
    "'; drop table logs; --",
    "' union all select 1, 2, 3 from system.one --",
    "%",
    "_",
    "{rows:String}",
    "/* comment */",
    "\\x27",
    "\x00",
    "line\nbreak\ttab",
    "💰 ünïcode",
    "\ud800",
    "`logs`",
    '"',
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("flag", ["grep", "request"])
def test_hostile_text_is_only_ever_looked_for(source: Direct, tmp_path: Path, text: str, flag: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    source.store.append([row(f"[{clean}] here", 1), row("nothing of the kind", 2)])
    assert messages(source, tmp_path, **{flag: text}) == [f"[{clean}] here"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_function_name_or_id_finds_only_itself(source: Direct, tmp_path: Path, text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    source.deployed = [deployed(clean, clean), deployed("chat", "id-c")]
    source.store.append([row("its own", 1, function_id=clean), row("other", 2, function_id="id-c")])
    assert messages(source, tmp_path, functions=(clean,)) == ["its own"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_id_can_be_paged_over(text: str) -> None:
    assert logsql.literal(text) in logsql.beyond(1, text)


def test_only_listed_attributes_become_columns() -> None:
    with pytest.raises(KeyError):
        logsql.attribute("x'] or 1 = 1 --")


def test_explain_shows_what_the_usage_pattern_takes_and_what_it_leaves(source: Direct, tmp_path: Path) -> None:
    good = '[req-000001] 💰 Token usage: { input: 1234, output: 567, total: 1801, estimatedCost: "$0.0018" }'
    source.store.append(
        [
            row(good, 1, function_id="id-a"),
            row("[req-000001] 📝 prompt: 💰 Token usage: { input: 9 }", 2, function_id="id-a"),
            row("nothing", 3, function_id="id-a"),
        ]
    )
    explained = logs.explain(context(tmp_path, source), LogQuery(NOON))
    assert sum(line.taken is not None for line in explained.lines) == 1
    assert [line.taken for line in explained.lines] == [
        {"input": "1234", "output": "567", "total": "1801", "cached": "", "reasoning": "", "cost": "0.0018"},
        None,
    ]


def test_every_event_is_one_json_line(source: Direct, tmp_path: Path) -> None:
    source.store.append([row('{\n  a: 1,\n  "b": "💰"\n}\n')])
    [event] = logs.history(context(tmp_path, source), LogQuery(NOON))
    line = json.dumps(event.as_json(), ensure_ascii=False)
    assert "\n" not in line and json.loads(line)["message"] == event.message
