"""Soaks as they are: smoke cases over HTTP, against a server of known success rate, and on the sandbox."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.config.environment import Environment
from migration.config.settings import Config, Soak
from migration.context import Context
from migration.rehearsal.providers.program import OK, Dice
from migration.verify import soak, soak_requests
from migration.verify.samples import Sample
from migration.verify.sequential import Sprt, odds
from migration.verify.soak import SoakResult
from tests.migration.verify.test_sequential import provider, run
from tests.support.built import built
from tests.support.collector import Collector
from tests.support.long import report
from tests.support.stage import Moved, open_

CASE = {"name": "counter", "function": "make", "auth": "none", "body": {"prompt": "x"}}
Reply = tuple[int, dict[str, Any]]
FAILURE: Reply = (503, {"code": "PROVIDER_OVERLOADED", "error": "OpenRouter 503"})


@contextmanager
def serving(reply: Callable[[int], Reply]) -> Iterator[str]:
    """A server that answers its n-th request with `reply(n)`."""
    counter = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = reply(next(counter))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("x-deno-execution-id", "e1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def seeded(rate: float, seed: int = 1) -> Callable[[int], Reply]:
    """The fate that the sandbox's provider of this success rate deals out."""
    dice = Dice(provider(rate, seed))
    fate = [dice.turn().outcome == OK for _ in range(400)]
    return lambda number: (200, {"success": True}) if fate[number] else FAILURE


def context(url: str, tmp_path: Path, *cases: dict[str, Any], **sections: Any) -> Context:
    found = {
        "migration": {"name": "test", "functions": ["make"], "unchanged": ["chat"]},
        "app": {"path": "app"},
        "environments": {"local": {"url": url}},
        "smoke": list(cases) or [CASE],
        **sections,
    }
    environment = Environment("local", url)
    return Context(built(Config, found), environment, tmp_path, tmp_path / "app", Collector())


def over_http(tmp_path: Path, reply: Callable[[int], Reply], **limits: Any) -> SoakResult:
    with serving(reply) as url:
        return soak.run(context(url, tmp_path), **limits)


@pytest.mark.parametrize(("rate", "verdict"), [(1.0, "pass"), (0.7, "fail")])
def test_a_soak_over_http_is_settled_and_costs_what_its_requests_cost(
    tmp_path: Path, rate: float, verdict: str
) -> None:
    found = over_http(tmp_path, seeded(rate))
    assert (found.verdict, found.stopped) == (verdict, "boundary")
    assert found.cost == pytest.approx(found.sent * 0.005)
    assert not found.cost_measured
    assert (found.p50 or 0) > 0 or rate < 1


@pytest.mark.long
@pytest.mark.parametrize("rate", [0.5, 0.7, 0.9, 0.97, 0.99, 1.0])
def test_dozens_of_soaks_over_http_go_as_the_exact_odds_say(tmp_path: Path, rate: float) -> None:
    rounds, exact, began = 24, odds(Sprt(), rate), time.monotonic()
    ends = [over_http(tmp_path / str(seed), seeded(rate, seed)).verdict for seed in range(rounds)]
    for name, expected in (("pass", exact.accept), ("fail", exact.reject)):
        spread = 4 * math.sqrt(expected * (1 - expected) / rounds) + 1e-9
        assert ends.count(name) / rounds == pytest.approx(expected, abs=spread)
    found = {name: ends.count(name) for name in ("pass", "fail", "inconclusive")}
    report("Soak", f"soaks over HTTP at {rate:.0%}", rounds, time.monotonic() - began, found)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """The sandbox after the migration."""
    found = open_(tmp_path_factory.mktemp("soaked"))
    try:
        found.move()
        yield found
    finally:
        found.close()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rate", [0.5, 0.7, 0.9, 0.97, 0.99, 1.0])
def test_soaks_of_the_sandbox_end_as_the_fate_of_its_provider_says(stage: Moved, rate: float) -> None:
    """Through gateway, function and provider, request by request. The function does not try a 422 again."""
    ends, began = dict.fromkeys(_VERDICTS.values(), 0), time.monotonic()
    for seed in range(6):
        program = provider(rate, seed, "422")
        stage.misbehave(openrouter={"error_rate": dict(program.error_rate), "seed": program.seed})
        found = soak.run(stage.fresh(), concurrency=1)
        dice = Dice(program)
        decision, good, bad = run(Sprt(), (dice.turn().outcome == OK for _ in range(300)))
        assert (found.verdict, found.successes, found.requests) == (_VERDICTS[decision], good, good + bad), found
        ends[found.verdict] += 1
    report("Soak", f"soaks of the sandbox at {rate:.0%}", 6, time.monotonic() - began, ends)


_VERDICTS = {"accept": "pass", "reject": "fail", None: "inconclusive"}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (502, {"code": "PROVIDER_KEY", "error": "OpenRouter 401"}, "make: 502 PROVIDER_KEY"),
        (502, {"code": "PROVIDER_CREDIT", "error": "OpenRouter 402"}, "make: 502 PROVIDER_CREDIT"),
        (500, {"code": "NOT_CONFIGURED", "error": "no key"}, "make: 500 NOT_CONFIGURED"),
        (401, {"code": 401, "message": "Invalid JWT"}, "the caller is refused: make answered 401 Invalid JWT"),
        (404, {"code": "NOT_FOUND"}, "the function is not deployed: make answered 404 NOT_FOUND"),
    ],
)
def test_a_dead_key_spent_credit_or_a_closed_door_ends_it_at_once(
    tmp_path: Path, status: int, body: dict[str, Any], words: str
) -> None:
    found = over_http(tmp_path, lambda _: (status, body), concurrency=1)
    assert (found.verdict, found.stopped, found.requests) == ("inconclusive", "abandoned", 1)
    assert words in found.reasons[0]


@pytest.mark.parametrize("error", ["cannot reach the depot", "user not found", "KEY not configured", "limit exceeded"])
def test_words_of_an_answer_stop_nothing(tmp_path: Path, error: str) -> None:
    """Only a code, a status or the provider itself says that more requests are of no use: an app may say anything."""
    found = over_http(tmp_path, lambda _: (500, {"error": error}), concurrency=1)
    assert found.requests > 1, found


def test_a_server_that_cannot_be_reached_is_given_up_and_not_called_a_bad_rate(tmp_path: Path) -> None:
    with serving(seeded(1.0)) as url:
        pass
    found = soak.run(context(url, tmp_path), concurrency=1)
    assert (found.verdict, found.stopped) == ("inconclusive", "abandoned")
    assert "cannot reach" in found.reasons[0]


def test_the_caps_of_the_command_line_win_over_those_of_the_config(tmp_path: Path) -> None:
    assert over_http(tmp_path, seeded(1.0), max_requests=5).requests == 5
    assert over_http(tmp_path, seeded(1.0), max_cost=0.02).sent == 4


def test_what_was_not_confirmed_is_not_sent(tmp_path: Path) -> None:
    asked: list[str] = []
    with pytest.raises(Refused, match="nothing was sent"):
        soak.run(context("http://127.0.0.1:9", tmp_path), confirm=lambda what: bool(asked.append(what)))  # type: ignore[func-returns-value]
    assert asked == ["Soak local"], "what it may cost was shown before"


def test_cases_that_should_succeed_by_themselves_are_sent_in_turn(tmp_path: Path) -> None:
    negative = {**CASE, "name": "empty", "expect": {"status": 400}}
    other = {**CASE, "name": "chat", "function": "chat"}
    fed = {**CASE, "name": "fed", "body": {"content": "{{capture.broken}}"}}
    maker = {**CASE, "name": "maker", "capture": {"broken": {"at": "$.success"}}}
    slow = {**CASE, "name": "slow", "expect": {"max_seconds": 1}}
    cases = [CASE, negative, other, fed, maker, slow]
    found = soak_requests.cases(context("http://127.0.0.1:9", tmp_path, *cases), Soak())
    assert [case.name for case in found] == ["counter", "maker", "slow"]
    assert [case.expect.max_seconds for case in found if case.name == "slow"] == [None]


def test_without_a_case_to_send_it_is_refused(tmp_path: Path) -> None:
    nothing = context("http://127.0.0.1:9", tmp_path, {**CASE, "expect": {"status": 400}})
    with pytest.raises(Refused, match="can be soaked"):
        soak.run(nothing)


def test_failures_of_one_kind_are_counted_together(tmp_path: Path) -> None:
    found = over_http(tmp_path, lambda _: FAILURE)
    assert found.failures == ("2 × counter: 503 PROVIDER_OVERLOADED (for example e1)",)


def test_a_passing_trouble_is_no_reason_to_give_up(tmp_path: Path) -> None:
    own = context("http://127.0.0.1:9", tmp_path)
    sample = Sample(own.clock.now(), "make", "counter", False, 503, 1.0, None, "e1", "503 PROVIDER_OVERLOADED")
    assert soak_requests.StopReason(own)(sample) == ""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": {"code": "RATE_LIMITED", "message": "30 a minute"}}, "RATE_LIMITED"),
        ({"error": {"details": {}, "message": "30 a minute"}}, "30 a minute"),
        ({"error": "busy", "detail": {"code": "x"}}, "busy"),
        ({"detail": {"msg": "no"}}, "no"),
        ({"errors": []}, ""),
        ("plain", "plain"),
    ],
)
def test_error_of_an_answer(body: object, error: str) -> None:
    """Also where an answer holds it one level down."""
    assert soak_requests._error(body) == error
