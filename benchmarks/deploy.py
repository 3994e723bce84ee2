"""Deploys, side by side with the real Supabase CLI against one sandbox, whole processes both.

    python -m benchmarks.deploy [ROUNDS]

20 functions at 500 ms a staging request; 2 functions at 0 ms; the restore of 2 functions at 500 ms a request after a
failed gate. Each round changes every function, commits and pushes; the git remote is a folder, as a file remote is.
"""

# ruff: noqa: T201 - a benchmark prints

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks import peer
from migration.rehearsal.server import Running, start

_ROOT = Path(__file__).resolve().parents[1]
_RUN = secrets.token_hex(4)  # no cache of an earlier run knows these sources
_CHANGES = ("stage", "deploy", "activate")
_GIT = dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), os.devnull) | {
    f"GIT_{role}_{what}": text
    for role in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "Bench"), ("EMAIL", "bench@localhost"))
}


@dataclass
class Bench:
    """An app of `count` functions with a remote, and a sandbox with this latency (ms by operation)."""

    folder: Path
    running: Running
    count: int
    cli: peer.Cli | None
    version: int = 0

    @property
    def app(self) -> Path:
        return self.folder / "app"

    def change(self, broken: bool = False) -> None:
        """A new version of every function, committed and pushed."""
        self.version += 1
        status = 500 if broken else 200
        for number in range(self.count):
            path = self.app / f"supabase/functions/f{number:02}/index.ts"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'Deno.serve(() => new Response("{_RUN} {self.version}", {{ status: {status} }}));\n')
        for words in (["add", "-A"], ["commit", "-qm", f"{self.version}"], ["push", "-q", "origin", "HEAD:main"]):
            subprocess.run(["git", *words], cwd=self.app, env={**os.environ, **_GIT}, check=True, capture_output=True)

    def ours(self, *flags: str) -> tuple[float, dict[str, Any]]:
        """Seconds of `inv deploy`, from the shell's point of view, and what it printed."""
        return self.inv("deploy", "--yes", *flags)

    def inv(self, verb: str, *flags: str) -> tuple[float, dict[str, Any]]:
        """One command as an installed Cutover runs it: with its modules compiled, kept in the bench's own folder."""
        env = {**os.environ, **_GIT, "CUTOVER_CONFIG": str(self.folder / "config.yaml")}
        env = {**env, "PYTHONPYCACHEPREFIX": str(self.folder / "compiled")}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [str(Path(sys.executable).with_name("inv")), verb, "--env", "bench", "--json", *flags]
        began = time.monotonic()
        done = subprocess.run(command, cwd=_ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        seconds = time.monotonic() - began
        if done.returncode not in (0, 1):
            raise SystemExit(f"inv {verb} ended with {done.returncode}: {done.stderr.decode()[-600:]}")
        return seconds, json.loads(done.stdout)

    def theirs(self) -> float:
        """Seconds of the CLI's default deploy of all functions."""
        assert self.cli is not None
        done = self.cli.run(["functions", "deploy", "--use-api", "--yes"], self.app)
        if done.code:
            raise SystemExit(f"the Supabase CLI ended with {done.code}: {done.stderr[-600:]}")
        return done.seconds

    def span(self, since: int) -> float:
        """From the first staging request's arrival to the activation's answer, in seconds."""
        entries = [entry for entry in self.running.history(since) if entry["operation"] in _CHANGES]
        begins = [datetime.fromisoformat(entry["at"]).timestamp() for entry in entries]
        end: float = max(at + entry["seconds"] for at, entry in zip(begins, entries, strict=True))
        return end - min(begins)


def make(folder: Path, running: Running, count: int, gate: Mapping[str, Any] | None = None) -> Bench:
    folder.mkdir()
    bare, app = folder / "remote.git", folder / "app"
    for words, cwd in (
        (["init", "-q", "--bare", "-b", "main", str(bare)], folder),
        (["clone", "-q", str(bare), str(app)], folder),
    ):
        subprocess.run(["git", *words], cwd=cwd, env={**os.environ, **_GIT}, check=True, capture_output=True)
    (app / "supabase").mkdir()
    slugs = [f"f{number:02}" for number in range(count)]
    (app / "supabase/config.toml").write_text("".join(f"[functions.{slug}]\nverify_jwt = false\n" for slug in slugs))
    (folder / "home").mkdir()
    environment = {"url": running.url, "api_url": running.api_url, "project_ref": running.project_ref,
                   "access_token": running.access_token, "confirm": True}  # fmt: skip
    document = {
        "migration": {"name": "bench", "functions": slugs},
        "app": {"path": str(app)},
        "environments": {"bench": environment},
        **(gate or {}),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    try:
        cli = peer.Cli(peer.find(), running, folder / "home")
    except peer.Missing as missing:
        sys.stdout.write(f"no peer: {missing}\n")
        cli = None
    return Bench(folder, running, count, cli)


def sandbox(folder: Path, **latency: int) -> Running:
    return start(
        folder, settings={"management": {"rate_limit": {"default": 0}, "bundle_check": False, "latency": latency}}
    )


def against(folder: Path, count: int, rounds: int, latency: Mapping[str, int], share: float) -> bool:
    """Our whole process beside the CLI's, round by round; `share` is the most we may take of its time."""
    with sandbox(folder / "sandbox", **latency) as running:
        bench = make(folder / "bench", running, count)
        ours, theirs, spans = [], [], []
        bench.change()
        bench.ours("--no-gate")  # creates the functions, and compiles our modules
        for _ in range(rounds):
            bench.change()
            since = running.history()[-1]["number"] if running.history() else 0
            ours.append(bench.ours("--no-gate")[0])
            spans.append(bench.span(since))
            if bench.cli:
                bench.change()
                theirs.append(bench.theirs())
                _accept(bench)
    mine, span = statistics.median(ours), statistics.median(spans)
    print(
        f"{count} functions, {latency.get('stage', 0)} ms a staging: "
        f"inv deploy {mine:.2f} s, staging to activation {span:.2f} s"
    )
    floor = (latency.get("stage", 0) + latency.get("activate", 0)) / 1000
    good = not floor or span <= 1.5 * floor
    if floor:
        print(f"  staging to activation: {span / floor:.2f} of one staging and one activation, 1.5 allowed")
    if theirs:
        ratio = mine / statistics.median(theirs)
        print(
            f"  supabase functions deploy {statistics.median(theirs):.2f} s: "
            f"ours takes {ratio:.2f} of it, {share:.2f} allowed"
        )
        good = good and ratio <= share
    return good


def _accept(bench: Bench) -> None:
    """Take what the CLI deployed as drift, so that the next round is an update again."""
    bench.ours("--no-gate", "--plan", bench.inv("plan")[1]["hash"])


def restore(folder: Path, rounds: int, allowed: float = 3.0) -> bool:
    """A revision whose smoke case fails is taken back, at 500 ms a request."""
    case = {"name": "answers", "function": "f00", "auth": "none", "method": "GET", "expect": {"status": 200}}
    gate = {"gate": {"delay": "0s", "within": "20s"}, "smoke": [case]}
    latency = dict.fromkeys(("list", "body", "get", "stage", "deploy", "activate"), 500)
    with sandbox(folder / "sandbox", **latency) as running:
        bench = make(folder / "bench", running, 2, gate)
        bench.change()
        bench.ours("--no-gate")
        found = []
        for _ in range(rounds):
            bench.change(broken=True)
            told = bench.ours("--lift-hold", "the next round")[1]
            found.append(float(told["deployment"]["restored_seconds"]))
    seconds = statistics.median(found)
    print(f"2 functions, 500 ms a request: restored {seconds:.2f} s after the gate failed, {allowed:.0f} s allowed")
    return seconds <= allowed


def main(rounds: int = 3) -> int:
    """Print every figure; 1 when one is missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("many", "few", "back"):
            (folder / part).mkdir()
        good = against(folder / "many", 20, rounds, {"stage": 500}, 0.2)
        good &= against(folder / "few", 2, rounds, {}, 1.0)
        good &= restore(folder / "back", rounds)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
