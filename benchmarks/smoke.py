"""How much longer than its slowest case a smoke run takes, beside the same cases one after another.

    uv run python -m benchmarks.smoke [CASES [SECONDS]]

Every second case asks for a React artifact, so that Deno parses it; each answer takes SECONDS (1.0). The peer is what
a runbook's list of curl lines does: the next request once the last was answered and checked.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from migration.config import load
from migration.config.environment import Environment
from migration.context import Context
from migration.verify import smoke

ALLOWED = 0.3  # seconds over the slowest case
ROUNDS = 5
CODE = "import { useState } from 'react';\nexport default function App() { const [n, set] = useState<number>(0); "
ARTIFACT = f'<artifact type="application/vnd.ant.react" title="A">\n{CODE}return <p>{{n}}</p>; }}\n</artifact>'


@contextmanager
def server(seconds: float) -> Iterator[str]:
    """An environment whose functions think for so long."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(seconds)
            body = json.dumps({"success": True, "artifactCode": ARTIFACT}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: it would stand between the figures."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    found = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{found.server_address[1]}"
    finally:
        found.shutdown()


def context(folder: Path, url: str, count: int) -> Context:
    """An environment with `count` smoke cases."""
    expect = [{"json": {"$.success": True}}, {"artifact": "react"}]
    cases = [{"name": f"case-{n}", "function": "f", "auth": "none", "body": {"n": n}, "expect": expect[n % 2]}
             for n in range(count)]  # fmt: skip
    document = {
        "migration": {"name": "m", "functions": ["f"]},
        "app": {"path": "app"},
        "environments": {"local": {"url": url}},
        "smoke": cases,
    }
    (folder / "config.yaml").write_text(json.dumps(document))
    return Context(load.load(folder), Environment("local", url), folder, folder / "app")


def over(found: Context) -> tuple[float, float]:
    """Seconds of one run, and how much of that was more than its slowest case."""
    began = time.monotonic()
    result = smoke.run(found)
    seconds = time.monotonic() - began
    assert result.ok, [str(failure) for case in result.cases for failure in case.failures]
    return seconds, seconds - max(case.seconds for case in result.cases)


def main(count: int = 20, seconds: float = 1.0) -> int:
    """Print both and their ratio; 1 when the run is slower than allowed."""
    with tempfile.TemporaryDirectory() as folder, server(seconds) as url:
        found = context(Path(folder), url, count)
        cold = over(found)
        warm = [over(found) for _ in range(ROUNDS)]
        sender = smoke.Sender(found)
        began = time.monotonic()
        for case in found.config.smoke:
            sender.send(case)
        alone = time.monotonic() - began
    extra = statistics.median(run[1] for run in warm)
    ratio = alone / statistics.median(run[0] for run in warm)
    sys.stdout.write(
        f"{count} cases of {seconds:g} s, first run: {cold[0]:.2f} s, {cold[1]:.2f} s over the slowest case\n"
        f"median of {ROUNDS} more: {extra:.2f} s over the slowest case ({ALLOWED} allowed)\n"
        f"one after another: {alone:.2f} s, {ratio:.1f} times as long\n"
    )
    return 0 if max(cold[1], extra) <= ALLOWED else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    raise SystemExit(main(int(words[0]) if words else 20, float(words[1]) if len(words) > 1 else 1.0))
