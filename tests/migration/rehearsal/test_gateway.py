"""The gateway answers as the hosted one: who may call, what comes back, and what is written down."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal.exchange import uuid7
from migration.rehearsal.isolate import Isolate
from tests.support.edge import IDENTITY, Answer, Edge, edge, token, until

HELLO = "Deno.serve(() => new Response('hello'));"
ECHO = """Deno.serve(async (req) => {
    const url = new URL(req.url);
    return Response.json({ method: req.method, path: url.pathname, query: url.search, body: await req.text(),
      headers: Object.fromEntries(req.headers) }) });"""
ANON = {"authorization": f"Bearer {IDENTITY.anon_key}"}


@pytest.fixture(scope="module")
def deno_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deno")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, deno_dir: Path) -> Iterator[Edge]:
    with edge(tmp_path_factory.mktemp("edge"), deno_dir) as started:
        started.functions.deploy("open", ECHO)
        started.functions.deploy("closed", HELLO, verify_jwt=True)
        yield started


# who may call


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({}, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header"),
        ({"authorization": "Basic abc"}, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Auth header is not 'Bearer {token}'"),
        ({"authorization": "bearer abc"}, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Auth header is not 'Bearer {token}'"),
        ({"authorization": "Bearer nonsense"}, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT"),
        ({"authorization": "Bearer a.b.c"}, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT"),
        ({"authorization": f"Bearer {token('anon', key='x' * 32)}"}, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT"),
        ({"authorization": f"Bearer {token('anon', exp=1)}"}, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT"),
        ({"authorization": f"Bearer {token('anon', nbf=9e9)}"}, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT"),
        (
            {"authorization": f"Bearer {token('anon', algorithm='HS512', key='x' * 64)}"},
            "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM",
            "Unsupported JWT algorithm HS512",
        ),
        ({"authorization": "Bearer sb_publishable_other"}, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT"),
        (
            {"authorization": f"Bearer {IDENTITY.secret_key}", "user-agent": "Mozilla/5.0"},
            "UNAUTHORIZED_INVALID_JWT_FORMAT",
            "Invalid JWT",
        ),
    ],
)
def test_a_caller_without_a_good_token_is_refused_in_the_platforms_words(
    place: Edge, headers: dict[str, str], code: str, message: str
) -> None:
    answer = place.function("closed", headers=headers)
    assert (answer.status, answer.json()) == (401, {"code": code, "message": message})
    assert answer.headers["sb-error-code"] == code
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-deno-execution-id" not in answer.headers


def test_an_asymmetric_signature_cannot_be_right_here(place: Edge) -> None:
    header = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9"
    answer = place.function("closed", headers={"authorization": f"Bearer {header}.e30.c2ln"})
    assert (answer.status, answer.json()["code"]) == (401, "UNAUTHORIZED_ASYMMETRIC_JWT")


@pytest.mark.parametrize(
    "headers",
    [
        ANON,
        {"authorization": f"Bearer {IDENTITY.service_role_key}"},
        {"apikey": IDENTITY.anon_key},
        {"apikey": IDENTITY.publishable_key},
        {"authorization": f"Bearer {IDENTITY.publishable_key}"},
        {"authorization": f"Bearer {IDENTITY.secret_key}"},
        {"authorization": "Bearer sb_unknown", "apikey": IDENTITY.publishable_key},
        {"authorization": "Basic abc", "apikey": IDENTITY.anon_key},
    ],
)
def test_every_key_of_the_project_passes(place: Edge, headers: dict[str, str]) -> None:
    answer = place.function("closed", headers=headers)
    assert (answer.status, answer.text) == (200, "hello")


def test_the_new_keys_can_be_refused_as_they_were_before(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, new_keys=False) as place:
        place.functions.deploy("closed", HELLO, verify_jwt=True)
        answer = place.function("closed", headers={"apikey": IDENTITY.publishable_key})
        assert (answer.status, answer.json()["code"]) == (401, "UNAUTHORIZED_INVALID_JWT_FORMAT")
        assert place.function("closed", headers=ANON).status == 200


def test_preflights_reach_the_function_without_a_token(place: Edge) -> None:
    answer = place.function("closed", method="OPTIONS")
    assert (answer.status, answer.text) == (200, "hello")
    assert answer.headers["x-deno-execution-id"]


def test_what_is_not_deployed_is_not_found_whatever_the_token(place: Edge) -> None:
    for path in ("/functions/v1/none", "/functions/v1/none/x", "/functions/v1/", "/functions/v1"):
        answer = place.call(path)
        assert answer.status == 404, path
        assert answer.json() == {"code": "NOT_FOUND", "message": "Requested function was not found"}


# what passes through


def test_the_function_sees_its_own_path_and_everything_the_caller_sent(place: Edge) -> None:
    headers = {"x-client-info": "test/1", "content-type": "text/plain"}
    seen = place.function(
        "open/sub%20path/ü?a=1&b=%26".replace("ü", "%C3%BC"), body="äöü".encode(), headers=headers
    ).json()
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/open/sub%20path/%C3%BC", "?a=1&b=%26")
    assert seen["body"] == "äöü"
    assert seen["headers"]["x-client-info"] == "test/1"
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert not [name for name in seen["headers"] if name.startswith("x-sandbox")]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_every_method_reaches_the_function(place: Edge, method: str) -> None:
    assert place.function("open", method=method).json()["method"] == method


def test_head_answers_without_a_body(place: Edge) -> None:
    answer = place.function("open", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_a_large_body_comes_back_whole(place: Edge) -> None:
    place.functions.deploy("mirror", "Deno.serve((req) => new Response(req.body));")
    body = uuid.uuid4().bytes * 200_000
    assert place.function("mirror", body=body).body == body


def test_status_headers_and_cookies_of_the_function_stand(place: Edge) -> None:
    place.functions.deploy(
        "made",
        "Deno.serve(() => new Response(null, { status: 303, headers: [['location', '/x'], ['set-cookie', 'a=1'], "
        "['set-cookie', 'b=2']] }));",
    )
    connection = place.connection()
    connection.request("POST", "/functions/v1/made")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("location")) == (303, "/x")
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert len(answer.headers.get_all("date") or []) == 1
    connection.close()


def test_a_page_is_shown_as_text(place: Edge) -> None:
    """Asked for by GET; the answer to a POST stays HTML."""
    source = "Deno.serve(() => new Response('<p>', { headers: { 'content-type': 'text/html; charset=utf-8' } }));"
    place.functions.deploy("page", source)
    kinds = [place.function("page", method=method).headers["content-type"] for method in ("GET", "POST")]
    assert kinds == ["text/plain; charset=utf-8", "text/html; charset=utf-8"]


def test_what_is_no_response_is_a_bad_gateway(place: Edge) -> None:
    """502 and an error in the log: edge-runtime's ext/runtime/js/http.js."""
    place.functions.deploy("none", "Deno.serve(() => 'text');")
    assert (place.function("none").status, place.function("none").text) == (502, "Bad Gateway")
    assert "must be a Response" in until(lambda: place.logs.of("Log"))[-1].event_message


def test_an_answer_carries_the_platforms_headers(place: Edge) -> None:
    answer = place.function("open")
    assert uuid.UUID(answer.headers["sb-request-id"]).version == 7
    assert uuid.UUID(answer.headers["x-deno-execution-id"])
    assert answer.headers["sb-project-ref"] == IDENTITY.project_ref
    assert answer.headers["x-sb-edge-region"] == "eu-central-1"
    assert answer.headers["x-served-by"] == "supabase-edge-runtime"
    assert "sb-error-code" not in answer.headers


def test_request_ids_sort_by_time() -> None:
    first = uuid7()
    time.sleep(0.002)
    assert str(first) < str(uuid7())


def test_a_region_can_be_pinned_and_may_answer_with_another_version(place: Edge) -> None:
    before = place.functions.deploy("moved", "Deno.serve(() => new Response('old'));")
    place.functions.deploy("moved", "Deno.serve(() => new Response('new'));")
    place.functions.pinned["moved", "us-west-1"] = before
    pinned = place.function("moved", headers={"x-region": "us-west-1"})
    assert (pinned.text, pinned.headers["x-sb-edge-region"]) == ("old", "us-west-1")
    assert place.function("moved").text == "new"
    assert place.function("moved?forceFunctionRegion=us-west-1").text == "old"
    assert place.function("moved", headers={"x-region": "mars-1"}).headers["x-sb-edge-region"] == "eu-central-1"
    row = until(lambda: [row for row in place.logs.edge() if _execution(pinned) in row.log_attributes.values()])[0]
    assert (row.log_attributes["version"], row.log_attributes["response.headers.x_sb_edge_region"]) == (
        "1",
        "us-west-1",
    )


def test_a_caller_cannot_choose_the_execution_id(place: Edge) -> None:
    place.functions.deploy("id", "Deno.serve(() => new Response(Deno.env.get('SB_EXECUTION_ID')));")
    answer = place.function("id", headers={"x-sandbox-execution-id": "chosen"})
    assert answer.text == _execution(answer)


# streams


def test_an_answer_is_passed_on_while_it_is_made(place: Edge) -> None:
    place.functions.deploy(
        "stream",
        """let next; Deno.serve((req) => {
            if (req.url.endsWith("/next")) { next(); return new Response("ok") }
            const encoder = new TextEncoder();
            return new Response(new ReadableStream({ async start(out) {
              out.enqueue(encoder.encode("data: 1\\n\\n"));
              await new Promise((resolve) => next = resolve);
              out.enqueue(encoder.encode("data: 2\\n\\n")); out.close() } }),
              { headers: { "content-type": "text/event-stream" } }) });""",
    )
    connection = place.connection()
    connection.request("POST", "/functions/v1/stream")
    answer = connection.getresponse()
    assert answer.read1() == b"data: 1\n\n"
    assert place.function("stream/next").text == "ok"
    assert answer.read() == b"data: 2\n\n"
    connection.close()


def test_a_request_body_is_passed_on_while_it_is_sent(place: Edge) -> None:
    place.functions.deploy(
        "upload",
        """Deno.serve(async (req) => { for await (const piece of req.body!)
            console.log("piece", new TextDecoder().decode(piece)); return new Response("end") });""",
    )
    arrived = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"one"
        until(lambda: any(row.event_message == "piece one\n" for row in place.logs.of("Log")))
        arrived.set()
        yield b"two"

    connection = place.connection()
    connection.request(
        "POST", "/functions/v1/upload", body=pieces(), encode_chunked=True, headers={"transfer-encoding": "chunked"}
    )
    assert connection.getresponse().read() == b"end"
    assert arrived.is_set()
    connection.close()


def test_a_caller_who_leaves_ends_the_request(place: Edge) -> None:
    place.functions.deploy(
        "left",
        """Deno.serve((req) => { req.signal.addEventListener("abort", () => console.log("caller left"));
            console.log("caller here"); return new Promise(() => {}) });""",
    )
    connection = place.connection()
    connection.request("POST", "/functions/v1/left")
    until(lambda: _said(place, "caller here\n"))
    connection.close()
    until(lambda: _said(place, "caller left\n"))
    until(lambda: [row for row in place.logs.edge() if row.event_message.startswith("POST | 499 | ")])


# functions that fail


def test_a_handler_that_throws_answers_500_in_plain_text_and_logs_the_error(place: Edge) -> None:
    place.functions.deploy("throws", "Deno.serve(() => { throw new Error('broken on purpose') });")
    answer = place.function("throws")
    assert (answer.status, answer.text) == (500, "Internal Server Error")
    assert answer.headers["sb-error-code"] == "EDGE_FUNCTION_ERROR"
    row = until(lambda: _said(place, "broken on purpose"))[0]
    assert (row.log_attributes["level"], row.log_attributes["execution_id"]) == ("error", _execution(answer))


def test_a_functions_own_5xx_keeps_its_body_and_is_marked(place: Edge) -> None:
    place.functions.deploy("own", "Deno.serve(() => Response.json({ error: 'no key' }, { status: 503 }));")
    answer = place.function("own")
    assert (answer.status, answer.json()) == (503, {"error": "no key"})
    assert answer.headers["sb-error-code"] == "EDGE_FUNCTION_ERROR"


@pytest.mark.parametrize(
    ("slug", "source", "said"),
    [
        ("top", "throw new Error('at the top');", "Error: at the top"),
        ("syntax", "const x = ;", "Expression expected"),
        ("absent", "import './absent.ts'; Deno.serve(() => new Response());", "Module not found"),
        ("unmapped", "import 'https://nowhere.invalid/x.ts';", "https://nowhere.invalid/x.ts"),
    ],
)
def test_a_function_that_cannot_start_is_a_boot_error(place: Edge, slug: str, source: str, said: str) -> None:
    place.functions.deploy(slug, source)
    answer = place.function(slug)
    assert answer.status == 503
    assert answer.json() == {"code": "BOOT_ERROR", "message": "Function failed to start (please check logs)"}
    assert "x-deno-execution-id" not in answer.headers
    failure = until(lambda: [row for row in place.logs.of("BootFailure") if said in row.event_message])[0]
    assert failure.log_attributes["function_id"] == place.functions.current[slug].id
    assert "\x1b" not in failure.event_message and "Stack backtrace" not in failure.event_message


def test_no_flag_is_proposed_for_what_the_platform_lacks(place: Edge) -> None:
    """`Deno.cron` is not there, as on the platform: nothing says how a Deno of one's own would have it."""
    place.functions.deploy("nightly", "Deno.cron('x', '* * * * *', () => {}); Deno.serve(() => new Response());")
    assert place.function("nightly").json()["code"] == "BOOT_ERROR"
    text = until(lambda: place.logs.of("BootFailure"))[-1].event_message
    assert "Deno.cron is not a function" in text and "--unstable" not in text


def test_a_function_that_could_not_start_is_mended_by_the_next_deployment(place: Edge) -> None:
    place.functions.deploy("mended", "throw new Error();")
    assert place.function("mended").status == 503
    place.functions.deploy("mended", HELLO)
    assert place.function("mended").text == "hello"


def test_a_function_that_never_serves_is_a_boot_error(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, boot_timeout=0.5) as place:
        place.functions.deploy("mute", "setInterval(() => {}, 1000);")
        assert place.function("mute").json()["code"] == "BOOT_ERROR"
        assert "Deno.serve was not called" in until(lambda: place.logs.of("BootFailure"))[0].event_message
        until(lambda: not place.workers())


def test_an_error_nobody_caught_fails_its_own_request_and_no_other(place: Edge) -> None:
    place.functions.deploy(
        "rejects",
        """let release; Deno.serve(async (req) => {
            if (req.url.endsWith("/good")) { console.log("in flight"); await new Promise((r) => release = r);
              return new Response("good") }
            if (req.url.endsWith("/release")) { release(); return new Response("ok") }
            Promise.reject(new Error("nobody caught this")); return new Promise(() => {}) });""",
    )
    with ThreadPoolExecutor(1) as threads:
        good = threads.submit(place.function, "rejects/good")
        until(lambda: _said(place, "in flight"))
        bad = place.function("rejects")
        assert (bad.status, bad.json()["code"]) == (500, "WORKER_ERROR")
        worker = next(worker for worker in place.workers() if worker.reporter.live.slug == "rejects")
        assert worker.retired
        _release(worker.port)
        assert good.result().text == "good"
    row = until(lambda: place.logs.of("UncaughtException"))[-1]
    assert "Error: nobody caught this" in row.event_message
    assert (row.log_attributes["execution_id"], row.log_attributes["level"]) == (_execution(bad), "error")
    until(lambda: worker.gone)


def _release(port: int) -> None:
    """Straight to the worker: the gateway gives it nothing more to do."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/rejects/release")
    assert connection.getresponse().read() == b"ok"
    connection.close()


def test_an_error_in_a_timer_fails_the_only_request_there_is(place: Edge) -> None:
    timer = "setTimeout(() => { throw new Error('in a timer') }, 5); return new Promise(() => {})"
    place.functions.deploy("timer", f"Deno.serve(() => {{ {timer} }});")
    answer = place.function("timer")
    assert (answer.status, answer.json()["code"]) == (500, "WORKER_ERROR")
    row = until(lambda: [row for row in place.logs.of("UncaughtException") if "in a timer" in row.event_message])[0]
    assert row.log_attributes["execution_id"] == _execution(answer)


def _worker(place: Edge, slug: str) -> Isolate:
    return next(worker for worker in place.workers() if worker.reporter.live.slug == slug)


def _kill(place: Edge, slug: str) -> None:
    process = _worker(place, slug).process
    assert process
    os.kill(process.pid, signal.SIGKILL)


def test_a_worker_that_dies_is_a_worker_error_and_the_next_request_gets_a_new_one(place: Edge) -> None:
    place.functions.deploy(
        "dies", "Deno.serve((req) => req.url.endsWith('/x') ? new Promise(() => {}) : new Response('alive'));"
    )
    assert place.function("dies").text == "alive"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(place.function, "dies/x")
        until(lambda: _worker(place, "dies").busy)
        _kill(place, "dies")
        answer = asked.result()
    assert answer.status == 500
    expected = {"code": "WORKER_ERROR", "message": "Function exited due to an error (please check logs)"}
    assert answer.json() == expected
    assert place.function("dies").text == "alive"


def test_an_endless_loop_is_ended_by_the_processor_limit(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, cpu_limit=0.3) as place:
        loop = "Deno.serve((req) => { while (req.url.endsWith('/x')); return new Response('ok') });"
        place.functions.deploy("loops", loop)
        assert place.function("loops").text == "ok"
        answer = place.function("loops/x")
        assert (answer.status, answer.json()["code"]) == (546, "WORKER_RESOURCE_LIMIT")
        assert [row.log_attributes["reason"] for row in until(lambda: place.logs.of("Shutdown"))] == ["CPUTime"]
        assert place.function("loops").text == "ok"


def test_a_function_that_eats_all_memory_is_ended_by_the_memory_limit(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, cpu_limit=100) as place:
        eats = "const held = []; Deno.serve(() => { for (;;) held.push(new Array(100000).fill(1.5)); });"
        place.functions.deploy("eats", eats)
        answer = place.function("eats")
        assert (answer.status, answer.json()["code"]) == (546, "WORKER_RESOURCE_LIMIT")
        assert [row.log_attributes["reason"] for row in until(lambda: place.logs.of("Shutdown"))] == ["Memory"]


def test_a_function_that_says_nothing_runs_into_the_idle_timeout(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, idle_timeout=0.4) as place:
        place.functions.deploy("mute", "Deno.serve(() => new Promise(() => {}));")
        answer = place.function("mute")
        assert answer.status == 504
        assert answer.json() == {"code": "IDLE_TIMEOUT", "message": "Request idle timeout limit (0.4s) reached"}


def test_a_stream_that_dies_in_the_middle_is_broken_off_not_ended(place: Edge) -> None:
    place.functions.deploy(
        "cut",
        """Deno.serve(() => new Response(new ReadableStream({ start(out) {
            out.enqueue(new TextEncoder().encode("half")) } })));""",
    )
    connection = place.connection()
    connection.request("POST", "/functions/v1/cut")
    answer = connection.getresponse()
    assert answer.status == 200
    _kill(place, "cut")
    with pytest.raises((http.client.HTTPException, OSError), match=r"half|IncompleteRead|reset"):
        answer.read()
    connection.close()


def test_work_after_the_answer_goes_on(place: Edge) -> None:
    place.functions.deploy(
        "after",
        """Deno.serve(() => { EdgeRuntime.waitUntil((async () => { await new Promise((r) => setTimeout(r, 20));
            console.log("done afterwards") })()); return new Response("early") });""",
    )
    answer = place.function("after")
    row = until(lambda: _said(place, "done afterwards"))[0]
    assert row.log_attributes["execution_id"] == _execution(answer)


# what is written down


def test_every_request_leaves_one_row_with_what_the_platform_keeps_of_it(place: Edge) -> None:
    headers = {"user-agent": "smoke/1", "content-type": "application/json", **ANON, "apikey": IDENTITY.publishable_key}
    answer = place.function("open/sub?x=1", body="{}", headers=headers)
    rows = until(lambda: [row for row in place.logs.edge() if row.log_attributes["execution_id"] == _execution(answer)])
    live, kept = place.functions.current["open"], rows[0].log_attributes
    url = f"{place.sandbox.url}/functions/v1/open/sub?x=1"
    assert len(rows) == 1 and rows[0].event_message == f"POST | 200 | {url}"
    assert kept["function_id"] == live.id and kept["version"] == "1"
    assert kept["deployment_id"] == f"{IDENTITY.project_ref}_{live.id}_1"
    assert kept["request.pathname"] == "/functions/v1/open/sub" and kept["request.search"] == "?x=1"
    assert kept["request.method"] == "POST" and kept["request.url"] == url
    assert kept["request.headers.user_agent"] == "smoke/1" and kept["request.headers.content_length"] == "2"
    assert kept["request.sb.jwt.authorization.payload.algorithm"] == "HS256"
    assert kept["request.sb.apikey.apikey.prefix"] == "sb_publishable_"
    assert kept["response.status_code"] == "200"
    assert kept["response.headers.sb_request_id"] == answer.headers["sb-request-id"]
    assert int(kept["execution_time_ms"]) >= 0
    assert all(isinstance(value, str) for value in kept.values())
    assert IDENTITY.anon_key not in json.dumps(dict(kept))


def test_a_refused_request_is_written_down_without_a_function(place: Edge) -> None:
    answer = place.function("closed/refused")
    found = until(lambda: [row for row in place.logs.edge() if "closed/refused" in row.event_message])
    kept = found[0].log_attributes
    assert (answer.status, kept["response.status_code"]) == (401, "401")
    assert kept["function_id"] == kept["execution_id"] == kept["deployment_id"] == kept["version"] == ""


def test_many_requests_at_once_are_all_answered(place: Edge) -> None:
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda n: place.function("open", body=str(n)), range(200)))
    assert [answer.json()["body"] for answer in answers] == [str(n) for n in range(200)]
    assert len({_execution(answer) for answer in answers}) == 200


def _execution(answer: Answer) -> str:
    return answer.headers["x-deno-execution-id"]


def _said(place: Edge, text: str) -> list[Any]:
    return [row for row in place.logs.of("Log") if text in row.event_message]
