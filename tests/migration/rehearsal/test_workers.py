"""Functions run unmodified, as their authors wrote them for the hosted platform."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from migration.rehearsal.types import SandboxLogRow
from tests.support.edge import IDENTITY, Edge, alive, edge, until

HELLO = "Deno.serve(() => new Response('hello'));"


@pytest.fixture(scope="module")
def deno_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deno")


async def _echo(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "query": request.url.query, "body": (await request.body()).decode()})


async def _module(_: Request) -> Response:
    return Response("export const far = (n: number): string => `far ${n}`;", media_type="application/typescript")


ECHO = [Route(f"/_{name}/{{path:path}}", _echo, methods=["POST"]) for name in ("openrouter", "gemini")]
MODULE = Route("/modules/far.ts", _module)


@pytest.fixture
def place(tmp_path: Path, deno_dir: Path) -> Iterator[Edge]:
    with edge(tmp_path, deno_dir, [*ECHO, MODULE]) as started:
        yield started


# starting and replacing


def test_a_worker_starts_with_the_first_request_and_serves_the_next(place: Edge) -> None:
    place.functions.deploy("a", "let n = 0; Deno.serve(() => new Response(`${++n}`));")
    assert place.workers() == []
    assert [place.function("a").text for _ in range(3)] == ["1", "2", "3"]
    assert len(place.workers()) == 1


def test_requests_that_come_together_share_one_boot(place: Edge) -> None:
    place.functions.deploy("a", HELLO)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: place.function("a").text, range(8)))
    assert answers == ["hello"] * 8
    assert len(until(lambda: place.logs.of("Boot"))) == 1


def test_a_new_version_answers_at_once_and_the_old_worker_finishes_what_it_began(place: Edge) -> None:
    slow = """
        let release; const released = new Promise((resolve) => release = resolve);
        Deno.serve(async (req) => {
          if (req.url.endsWith("/wait")) { console.log("waiting"); await released; return new Response("old") }
          release(); return new Response("released") });"""
    before = place.functions.deploy("a", slow)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(place.function, "a/wait")
        until(lambda: any("waiting" in row.event_message for row in place.logs.rows))
        after = place.functions.deploy("a", "Deno.serve(() => new Response('new'));")
        assert place.function("a").text == "new"
        place.functions.pinned["a", "us-east-1"] = before
        assert place.function("a", headers={"x-region": "us-east-1"}).text == "released"
        assert waiting.result().text == "old"
    place.functions.pinned.clear()
    assert place.function("a").text == "new"
    until(lambda: [worker.reporter.live for worker in place.workers()] == [after])
    assert {row.log_attributes["reason"] for row in until(lambda: place.logs.of("Shutdown"))} == {"EarlyDrop"}


def test_idle_workers_end_and_start_again_when_needed(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, idle=0.1) as place:
        place.functions.deploy("a", HELLO)
        assert place.function("a").text == "hello"
        until(lambda: not place.workers())
        assert place.function("a").text == "hello"


def test_stopping_the_sandbox_leaves_no_worker(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir) as place:
        place.functions.deploy("a", HELLO)
        place.functions.deploy("b", HELLO)
        assert place.function("a").text == place.function("b").text == "hello"
        pids = [worker.process.pid for worker in place.workers() if worker.process]
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    assert {row.log_attributes["reason"] for row in until(lambda: place.logs.of("Shutdown"))} == {
        "TerminationRequested"
    }


def test_stopping_does_not_wait_for_a_function_that_never_comes_up(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, boot_timeout=600) as place, ThreadPoolExecutor(1) as threads:
        place.functions.deploy("a", "console.log('booting'); setInterval(() => {}, 1000);")
        mute = threads.submit(place.function, "a")
        until(lambda: place.logs.of("Log"))
        pids = [worker.process.pid for worker in place.workers() if worker.process]
        stopping = place.sandbox.closing[0]()
        assert asyncio.iscoroutine(stopping)
        asyncio.run_coroutine_threadsafe(stopping, place.loop).result(20)
        assert mute.result().status == 503
        assert len(pids) == 1 and not alive(pids[0])
        place.functions.deploy("a", HELLO)
        assert place.function("a").text == "hello"  # the pool can be used again


def test_kill_9_of_the_sandbox_leaves_no_worker_not_even_a_busy_one(tmp_path: Path, deno_dir: Path) -> None:
    program = f"""
        import sys, threading
        from pathlib import Path
        from tests.support.edge import edge, until
        with edge(Path({str(tmp_path)!r}), Path({str(deno_dir)!r}), cpu_limit=600) as place:
            place.functions.deploy("idle", "Deno.serve(() => new Response())")
            loop = "Deno.serve(() => {{ console.log('looping'); for (;;); }})"
            place.functions.deploy("busy", loop)
            place.function("idle")
            threading.Thread(target=lambda: place.function("busy"), daemon=True).start()
            until(lambda: any("looping" in row.event_message for row in place.logs.rows))
            print(*[worker.process.pid for worker in place.workers()], flush=True)
            threading.Event().wait()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert parent.stdout
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not any(alive(pid) for pid in pids))


@pytest.mark.long
def test_what_was_begun_after_an_answer_is_finished_although_the_worker_is_replaced(place: Edge) -> None:
    source = """Deno.serve(() => { EdgeRuntime.waitUntil((async () => {
        await new Promise((r) => setTimeout(r, 4000)); console.log("finished") })()); return new Response() });"""
    place.functions.deploy("a", source)
    place.function("a")
    place.functions.deploy("a", HELLO)
    assert place.function("a").text == "hello"
    until(lambda: [row for row in place.logs.of("Log") if row.event_message == "finished\n"])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_kill_9_at_any_moment_leaves_no_worker(tmp_path: Path, deno_dir: Path, seed: int) -> None:
    program = f"""
        import sys, threading
        from pathlib import Path
        from tests.support.edge import edge
        with edge(Path({str(tmp_path)!r}), Path({str(deno_dir)!r})) as place:
            print("up", flush=True)
            for n in range(1000):
                place.functions.deploy(f"f{{n % 3}}", "Deno.serve(() => new Response())")
                place.function(f"f{{n % 3}}")
                print(*[worker.process.pid for worker in place.workers() if worker.process], flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert parent.stdout and parent.stdout.readline() == "up\n"
    with contextlib.suppress(subprocess.TimeoutExpired):
        parent.wait(random.Random(seed).uniform(0, 2))
    parent.kill()
    pids = {int(pid) for pid in parent.communicate()[0].split()}
    until(lambda: not [pid for pid in pids if alive(pid)] and not _mentioned(str(tmp_path)))


def _mentioned(text: str) -> bool:
    """Whether any process was started with this text on its command line."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return any(text in line and "boot.js" in line for line in shown.splitlines())


# the environment


def test_a_function_finds_its_secrets_and_the_platforms_names_and_nothing_else(place: Edge) -> None:
    place.functions.vault["MY_KEY"] = "first"
    live = place.functions.deploy("a", "Deno.serve(() => Response.json(Deno.env.toObject()));")
    found = place.function("a").json()
    assert set(found) == {
        "MY_KEY", "SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL",
        "SUPABASE_PUBLISHABLE_KEYS", "SUPABASE_SECRET_KEYS", "SUPABASE_JWKS", "SUPABASE_FUNCTION_SLUG",
        "SB_REGION", "SB_EXECUTION_ID", "DENO_DEPLOYMENT_ID",
    }  # fmt: skip
    assert found["MY_KEY"] == "first"
    assert found["SUPABASE_URL"] == place.sandbox.url
    assert json.loads(found["SUPABASE_PUBLISHABLE_KEYS"]) == {"default": IDENTITY.publishable_key}
    assert found["DENO_DEPLOYMENT_ID"] == f"{IDENTITY.project_ref}_{live.id}_1"


def test_a_changed_secret_is_seen_by_the_next_request(place: Edge) -> None:
    place.functions.vault["K"] = "one"
    place.functions.deploy("a", "const k = Deno.env.get('K'); Deno.serve(() => new Response(k));")
    assert place.function("a").text == "one"
    place.functions.vault["K"] = "two"
    assert place.function("a").text == "two"


def test_warm_workers_can_be_made_to_keep_an_old_secret(tmp_path: Path, deno_dir: Path) -> None:
    with edge(tmp_path, deno_dir, warm_secrets=True) as place:
        place.functions.vault["K"] = "one"
        source = "Deno.serve(() => new Response(Deno.env.get('K')));"
        place.functions.deploy("a", source)
        assert place.function("a").text == "one"
        place.functions.vault["K"] = "two"
        assert place.function("a").text == "one"
        place.functions.deploy("a", source)
        assert place.function("a").text == "two"


# what authors write


def test_the_old_std_serve_works_however_it_is_imported(place: Edge) -> None:
    handler = "serve((req) => new Response('old ' + new URL(req.url).pathname), { port: 8000 });"
    place.functions.deploy("a", f'import {{ serve }} from "https://deno.land/std@0.168.0/http/server.ts";{handler}')
    config = {"supabase/functions/b/deno.json": '{"imports": {"std/": "https://deno.land/std@0.177.0/"}} // ours'}
    place.functions.deploy(
        "b", f'import {{ serve }} from "std/http/server.ts";\n{handler}',
        files=config, import_map="supabase/functions/b/deno.json",
    )  # fmt: skip
    place.functions.deploy("c", f'import{{serve}}from"https://deno.land/std/http/server.ts";{handler}')
    assert [place.function(f"{slug}/x").text for slug in "abc"] == ["old /a/x", "old /b/x", "old /c/x"]


def test_every_form_of_serve_works(place: Edge) -> None:
    place.functions.deploy("options", "Deno.serve({ port: 8000, onListen() {} }, () => new Response('1'));")
    place.functions.deploy("object", "Deno.serve({ handler: () => new Response('2') });")
    place.functions.deploy("default", "export default { fetch: (req: Request) => new Response('3') };")
    place.functions.deploy("later", "await new Promise((r) => setTimeout(r, 5)); Deno.serve(() => new Response('4'));")
    assert [place.function(slug).text for slug in ("options", "object", "default", "later")] == ["1", "2", "3", "4"]


def test_nodes_own_server_works_as_express_uses_it(place: Edge) -> None:
    source = """
        import http from "node:http";
        const server = http.createServer(async (req, res) => {
          let body = ""; for await (const piece of req) body += piece;
          console.log("served", body);
          if (body === "bad") { Promise.reject(new Error("nobody caught this")); return }
          res.setHeader("x-seen", Object.keys(req.headers).filter((name) => name.startsWith("x-sandbox")).join());
          res.end(req.url + " " + body) });
        server.listen(8000, () => console.log("up"));"""
    place.functions.deploy("a", source)
    answer = place.function("a/x?y=1", body="good")
    assert (answer.status, answer.text, answer.headers["x-seen"]) == (200, "/a/x?y=1 good", "")
    execution = answer.headers["x-deno-execution-id"]
    until(lambda: [row.event_message for row in _logged(place, execution)] == ["up\n", "served good\n"])
    bad = place.function("a", body="bad")
    assert (bad.status, bad.json()["code"]) == (500, "WORKER_ERROR")


def test_shared_files_json_and_static_files_are_read(place: Edge) -> None:
    files = {
        "supabase/functions/_shared/cors.ts": "export const cors = { 'x-cors': 'yes' };",
        "supabase/functions/a/data.json": '{"n": 7}',
        "supabase/functions/a/page.html": "<p>static</p>",
    }
    source = """
        import { cors } from "../_shared/cors.ts";
        import data from "./data.json" with { type: "json" };
        Deno.serve(async () => new Response(
          data.n + await Deno.readTextFile(new URL("./page.html", import.meta.url)), { headers: cors }));"""
    place.functions.deploy("a", source, files=files, static=("supabase/functions/a/*.html",))
    answer = place.function("a")
    assert (answer.text, answer.headers["x-cors"]) == ("7<p>static</p>", "yes")


def test_jsx_is_compiled_as_the_functions_deno_json_says(place: Edge) -> None:
    options = {"jsx": "react", "jsxFactory": "h"}
    config = json.dumps({"imports": {"dom": "./dom.ts"}, "compilerOptions": options})
    files = {
        "supabase/functions/a/deno.json": config,
        "supabase/functions/a/dom.ts": "export const h = (tag: string, _: unknown, text: string) => `<${tag}>${text}`;",
    }
    source = "import { h } from 'dom'; Deno.serve(() => new Response(<b>hi</b> as unknown as string));"
    place.functions.deploy("a", source, files=files, import_map="supabase/functions/a/deno.json", name="index.tsx")
    assert place.function("a").text == "<b>hi"


def test_a_root_package_json_confuses_nobody(place: Edge) -> None:
    package = '{"name": "site", "type": "commonjs", "dependencies": {"next": "99.0.0"}, "workspaces": ["apps/*"]}'
    files = {"package.json": package, "deno.json": "{broken"}
    place.functions.deploy("a", "export {}; " + HELLO, files=files)
    place.functions.deploy("b", "export {}; " + HELLO, files=files, name="index.js")
    assert place.function("a").text == place.function("b").text == "hello"


def test_the_import_map_of_the_rehearsal_replaces_what_cannot_be_reached(tmp_path: Path, deno_dir: Path) -> None:
    replaced = {"https://esm.sh/left-pad@1": "./pad.ts", "https://cdn.example.com/": "./cdn/"}
    (tmp_path / "cdn").mkdir()
    (tmp_path / "map.json").write_text(json.dumps({"imports": replaced}))
    (tmp_path / "pad.ts").write_text("export default (text: string) => text.padStart(6, '.');")
    (tmp_path / "cdn" / "shout.ts").write_text("export const shout = (text: string) => text.toUpperCase();")
    source = """
        import pad from "pad";
        import { shout } from "https://cdn.example.com/shout.ts";
        import { shout as again } from "cdn/shout.ts";
        Deno.serve(() => new Response(shout(again(pad("abc")))));"""
    own = {"imports": {"pad": "https://esm.sh/left-pad@1", "cdn/": "https://cdn.example.com/"}}
    with edge(tmp_path, deno_dir, import_map=str(tmp_path / "map.json")) as place:
        name = "supabase/functions/import_map.json"
        place.functions.deploy("a", source, files={name: json.dumps(own)}, import_map=name)
        assert place.function("a").text == "...ABC"


def test_a_remote_import_that_can_be_reached_is_fetched_before_the_start(place: Edge) -> None:
    place.functions.deploy(
        "a", f'import {{ far }} from "{place.sandbox.url}/modules/far.ts"; Deno.serve(() => new Response(far(1)));'
    )
    assert place.function("a").text == "far 1"


def test_supabase_js_signs_in_and_asks_who_the_user_is(place: Edge) -> None:
    source = """
        import { createClient } from "npm:@supabase/supabase-js@2";
        Deno.serve(async (req) => {
          const { email, password } = await req.json();
          const guest = createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_ANON_KEY")!);
          const signed = await guest.auth.signInWithPassword({ email, password });
          if (signed.error) return Response.json({ error: signed.error.message, status: signed.error.status });
          const asked = await guest.auth.getUser(signed.data.session!.access_token);
          const rows = await guest.from("profiles").select("*");
          return Response.json({ user: asked.data.user?.email, rows: rows.data });
        });"""
    place.functions.deploy("a", source)
    good = {"email": IDENTITY.user_email, "password": IDENTITY.user_password}
    answer = place.function("a", body=json.dumps(good))
    if (
        answer.status == 503
        and "registry" in until(lambda: place.logs.of("BootFailure"))[0].event_message
        and not os.getenv("CI")
    ):
        pytest.skip("the npm registry cannot be reached")
    assert answer.json() == {"user": IDENTITY.user_email, "rows": None}
    wrong = place.function("a", body=json.dumps({**good, "password": "wrong"})).json()
    assert wrong == {"error": "Invalid login credentials", "status": 400}


# the walls


def test_calls_to_the_providers_reach_the_stand_ins(place: Edge) -> None:
    source = """
        Deno.serve(async (req) => {
          const first = await fetch("https://openrouter.ai/api/v1/chat/completions?x=1", { method: "POST", body: "a" });
          const gemini = "https://generativelanguage.googleapis.com/v1beta/m:go";
          const request = new Request(gemini, { method: "POST", body: "b" });
          const second = await fetch(request);
          return Response.json([await first.json(), await second.json()]) });"""
    place.functions.deploy("a", source)
    assert place.function("a").json() == [
        {"path": "/_openrouter/api/v1/chat/completions", "query": "x=1", "body": "a"},
        {"path": "/_gemini/v1beta/m:go", "query": "", "body": "b"},
    ]


def test_the_projects_own_hosted_address_leads_to_the_sandbox(place: Edge) -> None:
    place.functions.deploy("b", HELLO)
    url = f"https://{IDENTITY.project_ref}.supabase.co/functions/v1/b"
    place.functions.deploy("a", f"Deno.serve(() => fetch('{url}'));")
    assert place.function("a").text == "hello"


def test_any_other_host_is_refused_by_name_and_the_refusal_is_logged(place: Edge) -> None:
    source = """Deno.serve(async () => {
        try { await fetch("https://api.stripe.com/v1/charges") }
        catch (error) { return new Response(`${error.name}: ${error.message}`) } return new Response("reached") });"""
    place.functions.deploy("a", source)
    assert place.function("a").text.startswith("TypeError: The sandbox refuses host api.stripe.com")
    logged = until(lambda: [row for row in place.logs.of("Log") if "api.stripe.com" in row.event_message])
    assert logged[0].log_attributes["level"] == "warning"


REFUSALS = ("NotCapable", "TypeError", "PermissionDenied", "NotFound", "NotSupported", "Error")


@pytest.mark.parametrize(
    "attempt",
    [
        "await Deno.readTextFile('/etc/hosts')",
        "await Deno.writeTextFile('x.txt', '')",
        "await Deno.connect({ hostname: 'example.com', port: 443 })",
        "await Deno.connect({ hostname: '127.0.0.1', port: 5432 })",
        "await new Deno.Command('/bin/ls').output()",
        "await import('data:text/javascript,export{}').then(() => fetch.call(null, 'http://10.0.0.1/'))",
    ],
)
def test_a_function_reaches_nothing_of_this_machine(place: Edge, attempt: str) -> None:
    source = f"""Deno.serve(async () => {{
        try {{ {attempt} }} catch (error) {{ return new Response(error.name) }} return new Response("done") }});"""
    place.functions.deploy("a", source)
    assert place.function("a").text in REFUSALS


# what it logs


def test_each_console_call_is_one_row_however_many_lines_it_has(place: Edge) -> None:
    usage = "{ input: 1234, output: 567, estimatedCost: '$0.0018', provider: 'a name that is long enough to wrap' }"
    source = f"""Deno.serve(() => {{
        console.log("[r1] 💰 Token usage:", {usage});
        console.debug("d"); console.info("i %s", "formatted"); console.warn("w"); console.error(new Error("e"));
        return new Response() }});"""
    live = place.functions.deploy("a", source)
    answer = place.function("a")
    execution = answer.headers["x-deno-execution-id"]
    until(lambda: len(_logged(place, execution)) == 5)
    rows = _logged(place, execution)
    assert [row.log_attributes["level"] for row in rows] == ["info", "debug", "info", "warning", "error"]
    assert rows[0].event_message.count("\n") > 2 and rows[0].event_message.endswith("}\n")
    assert rows[2].event_message == "i formatted\n"
    assert rows[4].event_message.startswith("Error: e\n    at ")
    assert [row.timestamp for row in rows] == sorted({row.timestamp for row in rows})
    assert rows[0].log_attributes["function_id"] == live.id
    assert rows[0].log_attributes["deployment_id"] == f"{IDENTITY.project_ref}_{live.id}_1"
    assert rows[0].log_attributes["region"] == "eu-central-1"


def test_boot_is_logged_before_anything_the_function_says(place: Edge) -> None:
    place.functions.deploy("a", "console.log('top'); " + HELLO)
    execution = place.function("a").headers["x-deno-execution-id"]
    until(lambda: len(place.logs.of("Log")) > 1)
    rows = [row for row in place.logs.rows if row.source == "function_logs"][:3]
    assert [row.log_attributes["event_type"] for row in rows] == ["Boot", "Log", "Log"]
    assert rows[0].event_message == f"booted (time: {rows[0].log_attributes['boot_time']}ms)"
    assert [row.event_message for row in rows[1:]] == ["top\n", "Listening on http://localhost:9999/\n"]
    assert rows[0].log_attributes["execution_id"] == execution


def test_lines_of_requests_in_flight_together_are_told_apart(place: Edge) -> None:
    source = """Deno.serve(async (req) => {
        const name = await req.text();
        for (let i = 0; i < 5; i++) { console.log(name); await new Promise((r) => setTimeout(r, Math.random() * 5)) }
        return new Response(Deno.env.get("SB_EXECUTION_ID")) });"""
    place.functions.deploy("a", source)
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda name: place.function("a", body=name), "abcdefghij"))
    until(lambda: len(place.logs.of("Log")) == 51)
    for name, answer in zip("abcdefghij", answers, strict=True):
        execution = answer.headers["x-deno-execution-id"]
        assert answer.text == execution
        assert [row.event_message for row in _logged(place, execution)] == [f"{name}\n"] * 5


def test_lines_from_inside_a_stream_belong_to_the_request_that_made_it(place: Edge) -> None:
    source = """Deno.serve(async (req) => {
        const name = await req.text();
        let left = 4;
        const encoder = new TextEncoder();
        const body = new ReadableStream({
          async pull(out) {
            console.log(name); await new Promise((r) => setTimeout(r, Math.random() * 5));
            out.enqueue(encoder.encode(name)); if (!--left) out.close() } });
        const shout = new TransformStream({ transform(piece, out) { console.log(name); out.enqueue(piece) } });
        return new Response(body.pipeThrough(shout)) });"""
    place.functions.deploy("a", source)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda name: place.function("a", body=name), "abcdef"))
    until(lambda: len(place.logs.of("Log")) == 6 * 8 + 1)
    for name, answer in zip("abcdef", answers, strict=True):
        assert answer.text == name * 4
        logged = _logged(place, answer.headers["x-deno-execution-id"])
        assert [row.event_message for row in logged] == [f"{name}\n"] * 8


def test_a_long_quiet_stream_is_not_taken_for_a_loop(tmp_path: Path, deno_dir: Path) -> None:
    source = """Deno.serve(() => { let n = 0; return new Response(new ReadableStream({ async pull(out) {
        await new Promise((r) => setTimeout(r, 45));
        out.enqueue(new Uint8Array([46])); if (++n === 20) out.close() } })) });"""
    with edge(tmp_path, deno_dir, cpu_limit=0.4) as place:
        place.functions.deploy("a", source)
        assert place.function("a").text == "." * 20


def test_half_a_character_harms_no_log_row(place: Edge) -> None:
    place.functions.deploy("a", r"Deno.serve(() => { console.log('half \ud83d'); return new Response() });")
    execution = place.function("a").headers["x-deno-execution-id"]
    until(lambda: [row.event_message for row in _logged(place, execution)] == ["half \ufffd\n"])


def test_messages_are_cut_where_the_platform_cuts_them(place: Edge) -> None:
    place.functions.deploy("a", "Deno.serve(() => { console.log('x'.repeat(200000)); return new Response() });")
    execution = place.function("a").headers["x-deno-execution-id"]
    until(lambda: _logged(place, execution))
    assert [len(row.event_message) for row in _logged(place, execution)] == [10_000]


def _logged(place: Edge, execution: str) -> list[SandboxLogRow]:
    """What one request's code logged, without the listener's own line."""
    rows = [row for row in place.logs.of("Log") if row.log_attributes["execution_id"] == execution]
    return [row for row in rows if not row.event_message.startswith("Listening on ")]


# connections


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, deno_dir: Path) -> Iterator[Edge]:
    hosts = {
        "api.example.com": {
            "answers": [
                {
                    "method": "POST",
                    "path": "/v1/charges",
                    "status": 201,
                    "json": {"id": "ch_1"},
                    "headers": {"x-v": "2"},
                },
                {"path": "/v1/*", "text": "anything"},
            ]
        },
        "down.example.com": {"answers": [{}], "error_rate": {"503": 1}},
    }
    with edge(tmp_path_factory.mktemp("edge"), deno_dir, hosts=hosts) as started:
        yield started


ASKS = {
    "fetch": """const answer = await fetch(`https://${host}${path}`, { method });
        return `${answer.status} ${answer.headers.get("x-v")} ${await answer.text()}`;""",
    "node:http": """const { default: https } = await import("node:https");
        return await new Promise((resolve, reject) => {
          const sent = https.request({ hostname: host, path, method, headers: { accept: "*/*" } }, (answer) => {
            let text = ""; answer.on("data", (piece) => text += piece);
            answer.on("end", () => resolve(`${answer.statusCode} ${answer.headers["x-v"] ?? null} ${text}`)); });
          sent.on("error", reject); sent.end(); });""",
}


@pytest.mark.parametrize("way", ASKS)
@pytest.mark.parametrize(
    ("method", "host", "path", "expected"),
    [
        ("POST", "api.example.com", "/v1/charges", '201 2 {"id": "ch_1"}'),
        ("GET", "api.example.com", "/v1/charges?limit=1", "200 null anything"),
        ("GET", "api.example.com", "/v2", "404 null"),
        ("GET", "down.example.com", "/", "503 null"),
        ("GET", "api.elsewhere.com", "/", "refused: The sandbox refuses host api.elsewhere.com"),
    ],
)
def test_declared_hosts_answer_every_client(
    shared: Edge, way: str, method: str, host: str, path: str, expected: str
) -> None:
    """By method and path, with status and headers, or by a fault program; every other host is refused by name."""
    slug = "ask-" + way.replace(":", "-")
    source = f"""Deno.serve(async (req) => {{
        const {{ method, host, path }} = await req.json();
        const ask = async () => {{ {ASKS[way]} }};
        return new Response(await ask().catch((error) => `refused: ${{error.message}}`)) }});"""
    if slug not in shared.functions.current:
        shared.functions.deploy(slug, source)
    answer = shared.function(slug, body=json.dumps({"method": method, "host": host, "path": path})).text
    assert answer.startswith(expected)
    if answer.startswith("refused"):
        assert 'hosts:\n    api.elsewhere.com: {answers: [{path: "*", json: {}}]}' in answer


def test_typed_arrays_count_as_memory(tmp_path: Path, deno_dir: Path) -> None:
    """They are no part of V8's heap: the worker ends with Memory, and the next request gets a fresh one."""
    source = """const kept = []; Deno.serve(async (req) => {
        if (req.method === "POST") for (let n = 0; n < 40; n++) {
          kept.push(new Uint8Array(2 ** 25).fill(1)); await new Promise((done) => setTimeout(done, 20)); }
        return new Response(String(kept.length)) });"""
    with edge(tmp_path, deno_dir, memory=128) as place:
        place.functions.deploy("a", source)
        answer = place.function("a")
        assert (answer.status, answer.json()["code"]) == (546, "WORKER_RESOURCE_LIMIT")
        assert place.call("/functions/v1/a", "GET").text == "0"
        assert until(lambda: place.logs.of("Shutdown"))[0].log_attributes["reason"] == "Memory"


def test_half_of_the_memory_retires(tmp_path: Path, deno_dir: Path) -> None:
    """A worker that held half of its memory ends as soon as it has nothing to do, though it holds less by then."""
    source = """Deno.serve(async (req) => { let kept = new Uint8Array(req.method === "POST" ? 90 * 2 ** 20 : 1).fill(1);
        await new Promise((done) => setTimeout(done, 500)); kept = null; return new Response("done") });"""
    with edge(tmp_path, deno_dir, memory=128, idle=600.0) as place:
        place.functions.deploy("a", source)
        assert place.call("/functions/v1/a", "POST").status == 200
        assert until(lambda: place.logs.of("Shutdown"))[0].log_attributes["reason"] == "EarlyDrop"


def test_tmp_has_a_quota(tmp_path: Path, deno_dir: Path) -> None:
    """Whatever writes: the platform's words; what was removed counts no more."""
    source = """
        import { createWriteStream, open as opened, write } from "node:fs";
        import { open, writeFile } from "node:fs/promises";
        import { Readable } from "node:stream"; import { pipeline } from "node:stream/promises";
        const half = new Uint8Array(2 ** 19), whole = new Uint8Array(2 ** 20 + 1);
        const writes = [
          () => Deno.writeFile("/tmp/a", whole), () => Deno.writeTextFile("/tmp/a", "x".repeat(2 ** 20 + 1)),
          () => Deno.writeFile("/tmp/a", new Blob([whole]).stream()), () => writeFile("/tmp/a", whole),
          async () => await (await Deno.open("/tmp/a", { write: true, create: true })).write(whole),
          async () => await new Blob([whole]).stream().pipeTo(
            (await Deno.open("/tmp/a", { write: true, create: true })).writable),
          () => pipeline(Readable.from([whole]), createWriteStream("/tmp/a")),
          async () => {
            const file = await open("/tmp/a", "w");
            try { await file.write(whole); } finally { await file.close(); }
          },
          () => new Promise((done, failed) => opened("/tmp/a", "w", (_, file) =>
            write(file, whole, 0, whole.length, 0, (error) => error ? failed(error) : done()))),
        ];
        Deno.serve(async () => {
          const said = [];
          for (const write of writes) {
            await write().then(() => said.push("written"), (error) => said.push(error.message.split(":")[0]));
            await Deno.remove("/tmp/a").catch(() => {});
          }
          for (let n = 0; n < 9; n++) { await Deno.writeFile("/tmp/b", half); await Deno.remove("/tmp/b"); }
          return Response.json(said);
        });"""
    with edge(tmp_path, deno_dir, tmp=1) as place:
        place.functions.deploy("a", source)
        assert place.function("a").json() == ["filesystem quota exceeded"] * 9


def test_a_chain_has_its_calls(tmp_path: Path, deno_dir: Path) -> None:
    """Beyond them a call of a function throws the platform's error, by fetch and by Node's client; others go on."""
    source = """
        import http from "node:http"; const url = Deno.env.get("SUPABASE_URL") + "/functions/v1/a";
        const ask = { fetch: (url) => fetch(url), node: (url) => new Promise((done, failed) =>
          http.get(url, (answer) => (answer.resume(), done())).on("error", failed)) };
        Deno.serve(async (req) => {
          const by = new URL(req.url).searchParams.get("by"); const said = [];
          for (let n = 0; by && n < 3; n++) await ask[by](url).then(() => said.push("called"), (error) => said.push(
            error instanceof Deno.errors.RateLimitError && error.retryAfterMs > 0 && error.message.split(" for ")[0]));
          return Response.json(said);
        });"""
    with edge(tmp_path, deno_dir, nested_calls=2) as place:
        place.functions.deploy("a", source)
        for by in ("fetch", "node", "fetch"):
            assert place.call(f"/functions/v1/a?by={by}").json() == ["called", "called", "Rate limit exceeded"]


def test_synchronous_reads_can_be_allowed(tmp_path: Path, deno_dir: Path) -> None:
    """With `sync_reads` a handler reads, by Deno and by node:fs, with the runtime's warning in the log."""
    source = """
        import { readFileSync } from "node:fs"; const note = new URL("note.txt", import.meta.url);
        Deno.serve(() => { try { Deno.statSync("/tmp"); } catch { return new Response(
          Deno.readTextFileSync(note) + new TextDecoder().decode(readFileSync(note))); } });"""
    with edge(tmp_path, deno_dir, sync_reads=True) as place:
        note = "supabase/functions/a/note.txt"
        place.functions.deploy("a", source, files={note: "read "}, static=(note,))
        assert place.function("a").text == "read read "
        until(lambda: [row for row in place.logs.rows if "Do not use Deno.readTextFileSync" in row.event_message])
