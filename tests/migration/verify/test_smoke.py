"""Smoke cases over real HTTP: sent at once, bounded, in order of their captures, and explained when they fail."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from migration.base.errors import ApiError, ConfigError, Refused
from migration.base.limiter import RateLimiter
from migration.base.plain import plain
from migration.base.secrets_type import Secret
from migration.clients.http import Answer
from migration.clients.supabase_types import Function
from migration.config import load
from migration.config.environment import Environment
from migration.context import Context
from migration.verify import samples, smoke
from migration.verify.smoke import SmokeResult
from tests.support.clock import VirtualClock
from tests.support.collector import Collector

REACT = '<artifact type="application/vnd.ant.react" title="A">\nexport default 1;\n</artifact>'
ANON, REF = "anon-key-of-the-test", "abcdefghijklmnopqrst"
Make = Callable[..., Context]


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    """Answers many requests at once, which the plugin's own server does not."""
    with HTTPServer(threaded=True) as found:
        yield found


@pytest.fixture
def httpserver(server: HTTPServer) -> Iterator[HTTPServer]:
    yield server
    server.clear()


@pytest.fixture
def make(tmp_path: Path, deno_state: Path, httpserver: HTTPServer) -> Make:
    """A context on the test's server; the folder of the state, and so Deno, is shared by all tests."""

    def context(cases: list[dict[str, Any]], **environment: Any) -> Context:
        document = {
            "migration": {"name": "m", "functions": ["f"]},
            "app": {"path": "app"},
            "environments": {"local": {"url": httpserver.url_for("")}},
            "smoke": [{"function": "f", **case} for case in cases],
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
        own = {"anon_key": Secret(ANON), "api_url": httpserver.url_for(""), **environment}
        local = Environment("local", httpserver.url_for("").rstrip("/"), **own)
        return Context(load.load(tmp_path), local, deno_state, tmp_path / "app", Collector())

    return context


def serve(httpserver: HTTPServer, answer: Callable[[Request], Any], path: str = "/functions/v1/f") -> list[Request]:
    """Answers with what `answer` makes of each request; the requests in the order of their coming."""
    seen: list[Request] = []

    def handle(request: Request) -> Response:
        request.get_data()
        seen.append(request)
        found = answer(request)
        return found if isinstance(found, Response) else Response(json.dumps(found), content_type="application/json")

    httpserver.expect_request(path).respond_with_handler(handle)
    return seen


def says(result: SmokeResult) -> dict[str, list[str]]:
    return {case.name: [str(failure) for failure in case.failures] for case in result.cases}


def test_a_case_that_gets_what_it_expects_is_ok(make: Make, httpserver: HTTPServer) -> None:
    """Status, body and artifact are right: exit 0, and a sample for the criteria."""
    seen = serve(httpserver, lambda _: {"artifactCode": REACT})
    context = make([{"name": "a", "body": {"prompt": "x"}, "expect": {"artifact": "react"}}])
    result = smoke.run(context)
    case = result.cases[0]
    assert (result.ok, result.exit_code, case.status, case.artifact) == (True, 0, 200, "valid")
    assert seen[0].json == {"prompt": "x"} and case.seconds > 0
    kept = samples.recent(context, case.at, context.clock.now())  # type: ignore[arg-type]
    assert [(sample.case, sample.ok, sample.artifact) for sample in kept] == [("a", True, True)]


def test_a_failure_names_request_execution_and_a_line_for_the_shell(make: Make, httpserver: HTTPServer) -> None:
    """Everything that is needed to look into it; exit 1."""
    headers = {"x-request-id": "own-1", "sb-request-id": "gateway-1", "x-deno-execution-id": "run-1"}
    serve(httpserver, lambda _: Response('{"error": "Busy"}', 503, headers))
    result = smoke.run(make([{"name": "a", "body": {"p": 1}}]))
    case = result.cases[0]
    assert says(result) == {"a": ["status: expected 200, got 503: Busy"]}
    assert (result.exit_code, case.request_id, case.execution_id) == (1, "own-1", "run-1")
    assert case.curl.startswith("curl -i -X POST ") and "$SUPABASE_ANON_KEY" in case.curl and ANON not in case.curl


@pytest.mark.parametrize(
    ("headers", "body", "id_"),
    [({}, {"requestId": "in-body"}, "in-body"), ({"sb-request-id": "gateway"}, {}, "gateway"), ({}, [], None)],
)
def test_the_request_id_is_the_functions_own_else_the_gateways(
    make: Make, httpserver: HTTPServer, headers: dict[str, str], body: Any, id_: str | None
) -> None:
    """A header, a field of the body, the gateway's header, or none."""
    serve(httpserver, lambda _: Response(json.dumps(body), 200, headers))
    assert smoke.run(make([{"name": "a"}])).cases[0].request_id == id_


@pytest.mark.parametrize(
    ("auth", "sent"),
    [("none", (None, None)), ("anon", (ANON, f"Bearer {ANON}")), ("user", (ANON, "Bearer user-token-123")),
     ("own-token-of-test", (ANON, "Bearer own-token-of-test"))],
)  # fmt: skip
def test_each_kind_of_caller(make: Make, httpserver: HTTPServer, auth: str, sent: tuple[str | None, ...]) -> None:
    """No credentials, the anonymous key, a signed-in user, a token of one's own."""
    serve(httpserver, lambda _: {"access_token": "user-token-123"}, "/auth/v1/token")
    seen = serve(httpserver, lambda _: {})
    user = {"user_email": Secret("user@example.com"), "user_password": Secret("password-123")}
    assert smoke.run(make([{"name": "a", "auth": auth}], **user)).ok
    assert (seen[0].headers.get("apikey"), seen[0].headers.get("Authorization")) == sent


def test_path_and_query_are_sent(make: Make, httpserver: HTTPServer) -> None:
    """Below the function's name, escaped; lists repeat the key; a later case takes a capture into its path."""
    listed = serve(httpserver, lambda _: [{"id": "a/b ü"}], "/functions/v1/f/v1/items")
    one = serve(httpserver, lambda request: {"path": request.path}, "/functions/v1/f/v1/items/a/b ü")
    query = {"limit": 5, "tag": ["x", "y z"], "all": True}
    first = {"name": "list", "method": "GET", "path": "/v1/items", "query": query, "capture": {"first": "$[0].id"}}
    second = {
        "name": "one",
        "method": "GET",
        "path": "/v1/items/{{capture.first}}",
        "query": {"q": "{{capture.first}}"},
    }
    result = smoke.run(make([second, first]))
    assert result.ok, says(result)
    assert listed[0].query_string == b"all=true&limit=5&tag=x&tag=y+z"
    assert one[0].environ["REQUEST_URI"].startswith("/functions/v1/f/v1/items/a%2Fb%20%C3%BC?q=a%2Fb+%C3%BC")
    assert f"{httpserver.url_for('/functions/v1/f/v1/items')}?all=true&limit=5&tag=x&tag=y+z" in result.cases[1].curl


def test_first_byte_of_a_stream(make: Make, httpserver: HTTPServer) -> None:
    """It comes before the last one where a function streams, and with it where one buffers."""

    def slowly(waits: bool) -> Iterator[bytes]:
        yield b"" if waits else b"data: one\n\n"
        time.sleep(1.5)
        yield b"data: one\n\n" if waits else b"data: [DONE]\n\n"

    def answer(request: Request) -> Response:
        return Response(slowly("buffered" in request.path), content_type="text/event-stream")

    for path in ("/streamed", "/buffered"):
        serve(httpserver, answer, f"/functions/v1/f{path}")
    cases = [
        {"name": path, "path": f"/{path}", "expect": {"stream": {"first_byte": 1.2}}}
        for path in ("streamed", "buffered")
    ]
    streamed, buffered = smoke.run(make(cases)).cases
    assert streamed.ok and streamed.seconds >= 1.5
    assert [failure.what for failure in buffered.failures] == ["stream first_byte"]


def test_signing_in_happens_once(make: Make, httpserver: HTTPServer) -> None:
    """Ten cases of a user share one token."""
    signed = serve(httpserver, lambda _: {"access_token": "user-token-123"}, "/auth/v1/token")
    serve(httpserver, lambda _: {})
    user = {"user_email": Secret("user@example.com"), "user_password": Secret("password-123")}
    assert smoke.run(make([{"name": f"a{n}", "auth": "user"} for n in range(10)], **user)).ok
    assert len(signed) == 1


def test_a_sign_in_that_fails_is_a_failure_of_the_case(make: Make, httpserver: HTTPServer) -> None:
    """The auth server's own words, and no password."""
    refusal = Response('{"code": "invalid_credentials", "message": "Invalid login credentials"}', 400)
    serve(httpserver, lambda _: refusal, "/auth/v1/token")
    user = {"user_email": Secret("user@example.com"), "user_password": Secret("password-123")}
    result = smoke.run(make([{"name": "a", "auth": "user"}], **user))
    assert "Invalid login credentials" in says(result)["a"][0] and "password-123" not in str(plain(result))


def test_methods_headers_and_bodies_are_sent_as_written(make: Make, httpserver: HTTPServer, tmp_path: Path) -> None:
    """JSON, plain text, a JSON file, a text file, and nothing."""
    seen = serve(httpserver, lambda _: {})
    (tmp_path / "body.json").write_text('{"from": "file"}')
    (tmp_path / "body.txt").write_text("plain, from a file")
    cases: list[dict[str, Any]] = [
        {"name": "json", "method": "PUT", "headers": {"x-a": "b"}, "body": [1, None]},
        {"name": "text", "body": "{not json", "headers": {"Content-Type": "application/json"}},
        {"name": "json file", "body_file": "body.json"},
        {"name": "text file", "body_file": "body.txt"},
        {"name": "nothing", "method": "GET"},
    ]
    for case in cases:
        assert smoke.run(make([case])).ok
    assert [request.get_data() for request in seen] == [
        b"[1,null]", b"{not json", b'{"from":"file"}', b"plain, from a file", b""
    ]  # fmt: skip
    assert (seen[0].method, seen[0].headers["x-a"], seen[4].method) == ("PUT", "b", "GET")
    assert [request.headers.get("Content-Type", "").split(";")[0] for request in seen[:4]] == [
        "application/json", "application/json", "application/json", "text/plain"
    ]  # fmt: skip


def test_a_case_that_takes_too_long_fails_when_its_time_is_up(make: Make, httpserver: HTTPServer) -> None:
    """The others are not held up by it."""
    over = threading.Event()

    def slow(request: Request) -> Any:
        if request.method == "PUT":
            over.wait(20)
        return {}

    serve(httpserver, slow)
    result = smoke.run(make([{"name": "slow", "method": "PUT", "timeout": "200ms"}, {"name": "quick"}]))
    over.set()
    assert [case.ok for case in result.cases] == [False, True]
    assert says(result)["slow"][0].startswith("answer: expected an answer within 0.2s, got ")
    assert result.cases[0].status is None


def test_nobody_listening_is_a_failure_in_words(make: Make) -> None:
    """A connection refused is what the case got."""
    context = make([{"name": "a", "auth": "none"}])
    context.environment = Environment("local", "http://127.0.0.1:9")
    assert "cannot reach" in says(smoke.run(context))["a"][0]


def test_cases_are_sent_at_once(make: Make, httpserver: HTTPServer) -> None:
    """Twenty cases are all under way before the first is answered."""
    together = threading.Barrier(20, timeout=20)

    def wait(_: Request) -> Any:
        together.wait()
        return {}

    serve(httpserver, wait)
    result = smoke.run(make([{"name": f"a{n}"} for n in range(20)]))
    assert result.ok and [case.name for case in result.cases] == [f"a{n}" for n in range(20)]


FIX = {"name": "fix", "body": {"content": "{{capture.made}}"}, "expect": {"json": {"$.got": {"matches": "^export"}}}}
MAKER = {
    "name": "maker", "body": {"prompt": "x"},
    "capture": {"made": {"at": "$.artifactCode", "matches": "<artifact[^>]*>\\s*(.*);"}},
}  # fmt: skip


def echo(request: Request) -> Any:
    return {"artifactCode": REACT, "got": (request.json or {}).get("content")}


def test_what_one_case_made_is_sent_by_the_next(make: Make, httpserver: HTTPServer) -> None:
    """The artifact, cut short by the pattern, goes to the fixer; results keep the order of config.yaml."""
    seen = serve(httpserver, echo)
    result = smoke.run(make([FIX, MAKER]))
    assert result.ok and [case.name for case in result.cases] == ["fix", "maker"]
    assert [request.json for request in seen] == [{"prompt": "x"}, {"content": "export default 1"}]
    assert "captured" not in plain(result)["cases"][1]


def test_a_named_case_brings_those_it_needs(make: Make, httpserver: HTTPServer) -> None:
    """`--case fix` runs the maker first, and nothing else."""
    serve(httpserver, echo)
    result = smoke.run(make([FIX, MAKER, {"name": "other"}]), cases=["fix"])
    assert [case.name for case in result.cases] == ["fix", "maker"] and result.ok


def test_a_case_without_its_capture_is_skipped_and_not_ok(make: Make, httpserver: HTTPServer) -> None:
    """The maker failed: the fixer is not sent, and says why."""
    seen = serve(httpserver, lambda _: Response("{}", 500))
    result = smoke.run(make([MAKER, FIX]))
    fix = result.cases[1]
    assert (result.ok, fix.ok, fix.sample, len(seen)) == (False, False, None, 1)
    assert fix.skipped == "it needs made from the case maker, which did not deliver it"


def test_a_capture_that_is_not_there_is_a_failure_of_its_maker(make: Make, httpserver: HTTPServer) -> None:
    """Even though the answer was otherwise as expected."""
    serve(httpserver, lambda _: {})
    assert says(smoke.run(make([MAKER])))["maker"][0].startswith("capture made: expected a value at $.artifactCode")


@pytest.mark.parametrize(
    ("body", "status", "artifact"),
    [({"artifactCode": REACT}, 200, "valid"), ({"artifactCode": "Sorry"}, 200, "invalid"), ({}, 200, "missing"),
     ({"artifactCode": REACT}, 500, "missing")],
)  # fmt: skip
def test_what_became_of_an_artifact_is_told_apart(
    make: Make, httpserver: HTTPServer, body: Any, status: int, artifact: str
) -> None:
    """Delivered and good, delivered and bad, or not delivered."""
    serve(httpserver, lambda _: Response(json.dumps(body), status))
    result = smoke.run(make([{"name": "a", "expect": {"artifact": "react"}}]))
    assert result.cases[0].artifact == artifact


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"auth": "user"}, "needs a signed-in user"),
        ({"auth": "${TOKEN_THAT_IS_NOT_SET}"}, "TOKEN_THAT_IS_NOT_SET is not set"),
        ({"body": {"a": ["${VALUE_THAT_IS_NOT_SET}"]}}, "VALUE_THAT_IS_NOT_SET is not set"),
        ({"headers": {"x": "${VALUE_THAT_IS_NOT_SET}"}}, "VALUE_THAT_IS_NOT_SET is not set"),
        ({"body_file": "nothing.json"}, "cannot read"),
        ({"body": "{{capture.nothing}}"}, "no case captures nothing"),
    ],
)
def test_what_is_missing_is_refused_before_anything_is_sent(
    make: Make, httpserver: HTTPServer, case: dict[str, Any], said: str
) -> None:
    """Exit 2 with the cause; the complete case beside it is not sent either."""
    seen = serve(httpserver, lambda _: {})
    with pytest.raises(ConfigError) as caught:
        smoke.run(make([{"name": "whole"}, {"name": "a", **case}]))
    assert said in caught.value.message and caught.value.hint and not seen


def test_without_an_anon_key_its_place_is_named(make: Make, httpserver: HTTPServer) -> None:
    """A fresh `local` has none: the message says where it belongs; which variable holds it is up to config.yaml."""
    with pytest.raises(ConfigError) as caught:
        smoke.run(make([{"name": "a"}], anon_key=None))
    assert "auth.anon_key" in caught.value.hint
    serve(httpserver, lambda _: {})
    assert smoke.run(make([{"name": "a", "auth": "none"}], anon_key=None)).ok


def test_an_unknown_case_and_no_case_at_all_are_refused(make: Make) -> None:
    """An empty list of checks is no pass."""
    with pytest.raises(Refused, match="There is no smoke case b"):
        smoke.run(make([{"name": "a"}]), cases=["b"])
    with pytest.raises(Refused, match="no smoke cases"):
        smoke.run(make([]))


def test_the_log_lines_of_a_failed_execution_come_with_it(make: Make, httpserver: HTTPServer) -> None:
    """Looked up once for all failures by execution id; lines of another request in that worker stay out."""
    asked: list[str] = []

    def logs(request: Request) -> Any:
        asked.append(request.args["sql"])
        lines = ["[request-1] failed", "booted (time: 3ms)", "[request-2] fine"]
        rows = [{"id": str(n), "us": n, "event_message": f"{line}\n", "execution_id": "run-1", "level": "info"}
                for n, line in enumerate(lines)]  # fmt: skip
        rows.append(rows[0] | {"id": "9", "us": 9, "event_message": "TypeError: x", "level": "error"})
        return {"result": rows, "error": None}

    serve(httpserver, logs, f"/v1/projects/{REF}/analytics/endpoints/logs")
    headers = {"x-request-id": "request-1", "x-deno-execution-id": "run-1"}
    serve(httpserver, lambda request: Response("{}", 500 if request.method == "PUT" else 200, headers))
    context = make([{"name": "bad", "method": "PUT"}, {"name": "good"}], project_ref=REF, access_token=Secret("t"))
    bad, good = smoke.run(context).cases
    assert bad.log_lines == ("TypeError: x", "[request-1] failed", "booted (time: 3ms)") and good.log_lines == ()
    assert len(asked) == 1 and "'run-1'" in asked[0]


def test_failed_start_comes_with_its_row(make: Make, httpserver: HTTPServer) -> None:
    """The row about a worker that does not start belongs to no request; of several the newest counts."""
    asked: list[str] = []

    def logs(request: Request) -> Any:
        asked.append(request.args["sql"])
        rows = [{"id": str(n), "us": n, "event_message": f"worker boot error: {why}", "function_id": "id-1"}
                for n, why in ((2, "X is not set"), (1, "Y is not set"))]  # fmt: skip
        return {"result": rows, "error": None}

    serve(httpserver, logs, f"/v1/projects/{REF}/analytics/endpoints/logs")
    serve(httpserver, lambda _: [{"id": "id-1", "slug": "f", "name": "f", "version": 1, "status": "ACTIVE"}],
          f"/v1/projects/{REF}/functions")  # fmt: skip
    refused = {"code": "BOOT_ERROR", "message": "Function failed to start (please check logs)"}
    serve(httpserver, lambda _: Response(json.dumps(refused), 503, {"sb-error-code": "BOOT_ERROR"}))
    context = make([{"name": "a"}], project_ref=REF, access_token=Secret("t"))
    (case,) = smoke.run(context).cases
    assert case.log_lines == ("worker boot error: X is not set",)
    assert len(asked) == 1 and "'BootFailure'" in asked[0] and "'id-1'" in asked[0]


def test_logs_that_cannot_be_read_are_a_note_and_no_more(make: Make, httpserver: HTTPServer) -> None:
    """The failure of the case is still the result."""
    serve(httpserver, lambda _: Response('{"message": "no"}', 403), f"/v1/projects/{REF}/analytics/endpoints/logs")
    serve(httpserver, lambda _: Response("{}", 500, {"x-deno-execution-id": "run-1"}))
    context = make([{"name": "a"}], project_ref=REF, access_token=Secret("t"))
    result = smoke.run(context)
    assert result.exit_code == 1 and result.cases[0].log_lines == ()
    observer = context.observer
    assert isinstance(observer, Collector)
    assert any("logs of the failed cases" in detail for kind, _, _, detail in observer.events if kind == "note")


def test_the_json_shows_every_case_with_its_failures(make: Make, httpserver: HTTPServer) -> None:
    """The keys that scripts read, and nothing that must not be seen."""
    serve(httpserver, lambda _: Response(json.dumps({"echo": ANON}), 500))
    shown = plain(smoke.run(make([{"name": "a"}])))
    assert {"name", "ok", "status", "seconds", "failures", "request_id", "curl"} <= shown["cases"][0].keys()
    assert shown["cases"][0]["failures"] == [
        {"what": "status", "expected": "200", "got": '500: {"echo": "[REDACTED]"}'}
    ]
    assert ANON not in json.dumps(shown)


def test_the_observer_hears_of_every_case(make: Make, httpserver: HTTPServer) -> None:
    """A step each, and how it ended."""
    serve(httpserver, lambda request: Response("{}", 500 if request.method == "PUT" else 200))
    context = make([{"name": "good"}, {"name": "bad", "method": "PUT"}])
    smoke.run(context)
    observer = context.observer
    assert isinstance(observer, Collector)
    assert {(kind, subject) for kind, _, subject, _ in observer.events} == {
        ("step", "good"), ("step", "bad"), ("done", "good"), ("failed", "bad")
    }  # fmt: skip


@pytest.mark.parametrize(("patience", "most"), [(0.0, 0.0), (10.0, 20.0)])
@pytest.mark.parametrize("text", ["", '{"code": "BOOT_ERROR"}'])
def test_logs_that_do_not_answer_hold_up_no_gate(make: Make, patience: float, most: float, text: str) -> None:
    """A gate asks once for the line of a failure: the failing code answers callers until the restore."""

    class Overloaded:
        def functions(self) -> list[Function]:
            return [Function("f1", "f", "f", "ACTIVE", 2)]

        def logs(self, *_: Any) -> list[Any]:
            raise ApiError("the logs are overloaded", status=503, body="", operation="logs")

    context, clock = make([{"name": "a"}], project_ref=REF, access_token=Secret("sbp_x")), VirtualClock()
    answer = Answer(503, {}, text.encode(), 0.1, 0.1)
    context.__dict__ |= {"supabase": Overloaded(), "clock": clock, "log_limiter": RateLimiter(clock, None)}
    failed = smoke.CaseResult("a", "f", False, status=503, execution_id="e1", answer=answer)
    assert smoke.lines_of(context, [failed], patience) == [failed]
    assert clock.monotonic() <= most
