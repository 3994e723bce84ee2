"""The real Supabase CLI cannot tell the sandbox from the platform: its commands, its words, its exit codes.

What it must say is compared with recorded runs of the same CLI. Each project lies in a folder without `.git` above.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import peer
from migration.base.secrets_type import Secret
from migration.clients.edge import Edge, Purpose
from migration.clients.http import Http
from migration.clients.supabase import Supabase
from migration.clients.supabase_types import Function, Upload
from migration.rehearsal.running import Running

pytestmark = pytest.mark.slow

RUNS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "recorded" / "runs.json").read_text())
RECORDED_REF = "abcdefghijklmnopqrst"
RECORDED_ID = "11111111-1111-4111-8111-111111111111"
HOUR = timedelta(hours=1)
LABEL = "Cutover sandbox ({ref}) · production"

INDEX = """import { greeting } from "../_shared/greeting.ts";
Deno.serve(() => {
  console.log("said hello");
  console.error("said it loudly, it's 100%");
  return new Response(greeting);
});
"""
SHARED = 'export const greeting = "hi";\n'
PLAIN = 'Deno.serve(() => new Response("hi"));\n'


@pytest.fixture(scope="module")
def executable() -> Path:
    try:
        return peer.find()
    except peer.Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI must drive the real CLI: {missing}")
        pytest.skip(str(missing))


@dataclass
class Bench:
    """A project folder, the CLI for it, and our own client for what is not under test."""

    cli: peer.Cli
    sandbox: Running
    root: Path
    api: Supabase

    def run(self, *arguments: str, cwd: Path | None = None) -> peer.Run:
        done = self.cli.run([*arguments, f"--remote={self.sandbox.project_ref}"], cwd or self.root)
        named = LABEL.format(ref=self.sandbox.project_ref)
        return peer.Run(done.code, self._same(done.stdout), self._same(done.stderr.replace(named, RECORDED_REF)), 0.0)

    def write(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

    def deploy(self, slug: str, files: dict[str, str], verify_jwt: bool = False) -> Function:
        entrypoint = f"supabase/functions/{slug}/index.ts"
        about = {"entrypoint_path": entrypoint, "import_map_path": "", "static_patterns": [], "verify_jwt": verify_jwt}
        sent = [(path, text.encode()) for path, text in files.items()]
        return self.api.deploy(Upload(slug, {**about, "name": slug}, sent))

    def asked(self, *operations: str) -> list[dict[str, Any]]:
        return [entry for entry in self.sandbox.history() if entry["operation"] in operations]

    def await_rows(self, function: Function, count: int) -> None:
        """Until the log store shows so many rows of the function's own lines and of its requests."""
        where = f"log_attributes['function_id'] = '{function.id}' and log_attributes['event_type'] in ('', 'Log')"
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            now = datetime.now(UTC)
            if len(self.api.logs(f"select id from logs where {where}", now - HOUR, now + HOUR)) >= count:
                return
            time.sleep(0.05)
        pytest.fail(f"fewer than {count} log rows within 30 s")

    def _same(self, text: str) -> str:
        """With the recorded ref in place of ours, and without what a list prints while a slow machine waits."""
        text = "".join(line for line in text.splitlines(True) if not line.startswith(("│", "◇")))
        return text.replace(self.sandbox.project_ref, RECORDED_REF).replace(str(self.root), "<root>")


@pytest.fixture
def bench(sandbox: Running, executable: Path, tmp_path: Path) -> Bench:
    (tmp_path / "home").mkdir()
    http = Http(sandbox.api_url, {"Authorization": f"Bearer {sandbox.access_token}"})
    made = Bench(
        peer.Cli(executable, sandbox, tmp_path / "home"), sandbox, tmp_path / "app", Supabase(http, sandbox.project_ref)
    )
    made.write({"supabase/config.toml": 'project_id = "demo"\n'})
    return made


def as_recorded(done: peer.Run, name: str, **changed: str) -> None:
    """Exit code, stdout and stderr are those of the recorded run, with these words changed."""
    wanted = RUNS[name]
    stdout, stderr = wanted["stdout"], wanted["stderr"]
    for old, new in changed.items():
        stdout, stderr = stdout.replace(old, new), stderr.replace(old, new)
    assert (done.code, _trimmed(done.stdout), _trimmed(done.stderr)) == (
        wanted["exit_code"], _trimmed(stdout), _trimmed(stderr),
    )  # fmt: skip


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines())


def test_deploying_one_function_is_one_upload_that_is_live(bench: Bench) -> None:
    bench.write({"supabase/functions/hello/index.ts": INDEX, "supabase/functions/_shared/greeting.ts": SHARED})
    done = bench.run("functions", "deploy", "hello", "--use-api", "--yes")
    assert (done.code, done.stdout.splitlines()[0]) == (0, f"Deployed Functions on project {RECORDED_REF}: hello")
    assert [entry["operation"] for entry in bench.asked("stage", "deploy", "activate")] == ["deploy"]
    files = bench.api.body("hello").files
    assert files["source/supabase/functions/hello/index.ts"].decode() == INDEX
    assert files["source/supabase/functions/_shared/greeting.ts"].decode() == SHARED


def test_deploying_several_stages_each_and_activates_once(bench: Bench) -> None:
    bench.write({f"supabase/functions/{slug}/index.ts": PLAIN for slug in ("alpha", "beta")})
    bench.write({"supabase/config.toml": 'project_id = "demo"\n[functions.beta]\nverify_jwt = false\n'})
    done = bench.run("functions", "deploy", "--use-api", "--yes")
    assert (done.code, done.stdout.splitlines()[0]) == (0, f"Deployed Functions on project {RECORDED_REF}: alpha, beta")
    assert [entry["operation"] for entry in bench.asked("stage", "deploy", "activate")] == [
        "stage",
        "stage",
        "activate",
    ]
    live = {function.slug: (function.version, function.verify_jwt) for function in bench.api.functions()}
    assert live == {"alpha": (1, True), "beta": (1, False)}


def test_of_several_a_broken_one_is_left_out_the_others_go_live_and_the_exit_code_is_1(bench: Bench) -> None:
    bench.write({"supabase/functions/alpha/index.ts": PLAIN, "supabase/functions/beta/index.ts": "const x = ;\n"})
    done = bench.run("functions", "deploy", "--use-api", "--yes")
    assert done.code == 1
    assert 'unexpected deploy status 400: {"message":"Failed to bundle the function (reason: ' in done.stderr
    assert [function.slug for function in bench.api.functions()] == ["alpha"]


@pytest.mark.long
def test_a_function_without_its_entrypoint_is_refused(bench: Bench) -> None:
    done = bench.run("functions", "deploy", "ghost", "--use-api", "--yes")
    assert done.code == 1
    assert "unexpected deploy status 400" in done.stderr and "Entrypoint path does not exist" in done.stderr
    assert bench.api.functions() == []


def test_a_stranded_function_answers_409_to_every_later_deploy(bench: Bench) -> None:
    bench.write({"supabase/functions/hello/index.ts": PLAIN})
    about = {"entrypoint_path": "supabase/functions/hello/index.ts", "import_map_path": "", "name": "hello"}
    bench.api.stage(Upload("hello", about, [("supabase/functions/hello/index.ts", PLAIN.encode())]))
    done = bench.run("functions", "deploy", "hello", "--use-api", "--yes")
    assert done.code == 1
    assert 'unexpected deploy status 409: {"message":"deployment already exists"}' in done.stderr


def test_the_list_reads_as_the_platforms(bench: Bench) -> None:
    known = bench.deploy("hello", {"supabase/functions/hello/index.ts": PLAIN})
    done = bench.run("functions", "list")
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2025-11-24 16:00:00", done.stdout).replace(known.id, RECORDED_ID)
    as_recorded(peer.Run(done.code, shown, done.stderr, 0.0), "functions_list")
    listed = bench.run("functions", "list", "-o", "json")
    row = json.loads(listed.stdout.replace(RECORDED_REF, bench.sandbox.project_ref))[0]
    assert row == dict(known.raw) | {"updated_at": row["updated_at"]}


def test_downloads_bring_the_same_files_back_from_every_layout(bench: Bench) -> None:
    files = {"supabase/functions/hello/index.ts": INDEX, "supabase/functions/_shared/greeting.ts": SHARED}
    bench.deploy("hello", files)
    for layout in ("file-url", "bare"):
        bench.sandbox.fault("body", "layout", layout=layout)
    roots = [bench.root.parent / str(number) for number in range(3)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda root: _download(bench, root), roots))
    assert [each.code for each in done] == [0, 0, 0], done
    for root in roots:
        assert {path: (root / path).read_text() for path in files} == files
    said = done[0].stderr.replace(str(roots[0]), "<root>").replace("_shared/greeting.ts", "_shared/x.ts")
    assert sorted(said.splitlines()) == sorted(RUNS["download_typical"]["stderr"].splitlines())


def _download(bench: Bench, root: Path) -> peer.Run:
    (root / "supabase").mkdir(parents=True)
    (root / "supabase" / "config.toml").write_text('project_id = "demo"\n')
    return bench.run("functions", "download", "hello", "--use-api", cwd=root)


def test_deleting_works_once_and_then_says_that_there_is_nothing(bench: Bench) -> None:
    bench.deploy("hello", {"supabase/functions/hello/index.ts": PLAIN})
    as_recorded(bench.run("functions", "delete", "hello", "--yes"), "functions_delete")
    assert bench.api.functions() == []
    as_recorded(bench.run("functions", "delete", "hello", "--yes"), "functions_delete_404")


def test_secrets_are_set_listed_by_digest_and_unset(bench: Bench) -> None:
    as_recorded(
        bench.run("secrets", "set", "A=test", "B=two words", "--yes"), "secrets_set_one", **{"1 secret": "2 secrets"}
    )
    listed = bench.run("secrets", "list", "-o", "json")
    digests = {row["name"]: row["value"] for row in json.loads(listed.stdout)}
    assert digests["A"] == "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    as_recorded(bench.run("secrets", "unset", "A", "B", "--yes"), "secrets_unset")
    assert {"A", "B"}.isdisjoint(row.name for row in bench.api.secrets())


def test_logs_of_a_real_call_are_found_by_service_level_search_and_time(bench: Bench) -> None:
    bench.deploy(
        "hello", {"supabase/functions/hello/index.ts": INDEX, "supabase/functions/_shared/greeting.ts": SHARED}
    )
    known = bench.api.function("hello")
    assert known is not None
    answer = Edge(Http(bench.sandbox.url), Secret(bench.sandbox.anon_key)).call("hello", purpose=Purpose.SMOKE, json={})
    assert (answer.status, answer.text) == (200, "hi")
    bench.await_rows(known, 3)
    about = ["--resource", known.id, "--since", "1h"]
    asked: Sequence[list[str]] = [
        ["logs", "--service", "functions", "--level", "error", "--search", "it's 100%", *about],
        ["logs", "--service", "functions", "--search", "said", "--output-format", "json", *about],
        ["logs", "--service", "function-edge", "--level", "info", *about],
    ]
    with ThreadPoolExecutor(2) as pool:
        errors, lines, edge = pool.map(lambda command: bench.run(*command), asked)
    assert [errors.code, lines.code, edge.code] == [0, 0, 0], (errors, lines, edge)
    assert re.fullmatch(r"\d{4}-\S+Z functions said it loudly, it's 100%(\\n)?\n", errors.stdout), errors.stdout
    rows = json.loads(lines.stdout)
    rows = rows if isinstance(rows, list) else rows["logs"]
    assert sorted(row["event_message"].strip() for row in rows) == ["said hello", "said it loudly, it's 100%"]
    assert re.search(r"Z function-edge POST \| 200 \| http\S+/functions/v1/hello\n$", edge.stdout), edge.stdout
    assert errors.stderr == f"Target: project {RECORDED_REF}\nLoading page 1…\n"


@pytest.mark.long
def test_a_wrong_token_is_answered_as_unauthorized(bench: Bench) -> None:
    stranger = Stranger(bench.sandbox.profile, "sbp_" + "0" * 40, bench.sandbox.project_ref)
    cli = peer.Cli(bench.cli.executable, stranger, bench.cli.home)
    done = cli.run(["functions", "list", f"--remote={stranger.project_ref}"], bench.root)
    assert done.code == 1
    assert 'unexpected list functions status 401: {"message":"Unauthorized"}' in done.stderr


@dataclass
class Stranger:
    profile: Path
    access_token: str
    project_ref: str


BOOM = {"status": 502, "body": {"message": "boom 502"}}
CUT = "failed to read deploy response: Expected a valid JSON string"


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("status", BOOM, 'unexpected deploy status 502: {"message":"boom 502"}'),
        pytest.param("reset", {}, "failed to deploy function: TransportError", marks=pytest.mark.long),
        pytest.param("close", {}, "failed to deploy function: TransportError", marks=pytest.mark.long),
        pytest.param("cut", {}, CUT, marks=pytest.mark.long),
        pytest.param("empty", {}, CUT, marks=pytest.mark.long),
        pytest.param("patch", {"remove": ["version"]}, 'Missing key\n  at ["version"]', marks=pytest.mark.long),
    ],
)
def test_a_faulty_upload_fails_as_recorded_after_one_attempt(
    bench: Bench, kind: str, more: dict[str, Any], said: str
) -> None:
    bench.write({"supabase/functions/hello/index.ts": PLAIN})
    bench.sandbox.fault("deploy", kind, times=0, **more)
    done = bench.run("functions", "deploy", "hello", "--use-api", "--yes")
    assert done.code == 1
    assert said in done.stderr
    assert len(bench.asked("deploy")) == 1


@pytest.mark.long
def test_an_activation_whose_answer_is_cut_counts_as_success_and_a_reset_is_repeated(bench: Bench) -> None:
    bench.write({f"supabase/functions/{slug}/index.ts": PLAIN for slug in ("alpha", "beta")})
    for kind, attempts in (("cut", 1), ("reset", 5)):
        seen = len(bench.asked("activate"))
        bench.sandbox.fault("activate", kind, times=0, after_body=True)
        done = bench.run("functions", "deploy", "--use-api", "--yes")
        bench.sandbox.heal()
        assert done.code == (0 if kind == "cut" else 1), done.stderr
        assert len(bench.asked("activate")) - seen == attempts


def test_it_says_who_holds_the_token(bench: Bench) -> None:
    """`whoami` names the sandbox's user, `branches list` finds none, and keys stay hidden unless asked for."""
    assert bench.sandbox.info["user_id"] in bench.cli.run(["whoami"], bench.root).stdout
    branches = bench.run("branches", "list", "-o", "json")
    assert (branches.code, json.loads(branches.stdout)) == (0, [])
    shown = bench.run("projects", "api-keys", "-o", "json")
    assert shown.code == 0 and bench.sandbox.info["secret_key"] not in shown.stdout
    revealed = bench.run("projects", "api-keys", "--reveal", "-o", "json")
    assert revealed.code == 0 and bench.sandbox.info["secret_key"] in revealed.stdout


def test_a_command_without_a_stand_in_fails_in_words(bench: Bench) -> None:
    """An unknown route is a JSON error that the CLI prints, and its exit code is 1."""
    done = bench.run("vanity-subdomains", "get", "--experimental")
    assert done.code == 1 and "Cannot" in done.stderr and "/vanity-subdomain" in done.stderr
