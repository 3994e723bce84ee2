"""What a worker may use: processor, time on the wall, log lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal.options import Limits
from migration.rehearsal.spending import Spending
from tests.support.edge import edge, until


def test_each_request_brings_processor_time() -> None:
    """Those under way together may use the sum; what was used before they came does not count."""
    spending = Spending(Limits(cpu_limit=2), born=0)
    assert spending.processor(5) == 0
    spending.request(first=True, cpu=5)
    assert (spending.processor(6), spending.processor(7)) == (0.5, 1.0)
    spending.request(first=False, cpu=6)
    assert spending.processor(7) == 0.5
    spending.request(first=True, cpu=7)
    assert spending.processor(8) == 0.5 and spending.processor(None) == 0


def test_a_worker_ages() -> None:
    spending = Spending(Limits(wall_clock=400), born=100)
    assert (spending.age(300), spending.left(300), spending.left(900)) == (0.5, 200, 0)
    assert Spending(Limits(wall_clock=0), born=0).age(1e9) == 0


def test_lines_beyond_the_limit_are_lost() -> None:
    """A hundred in any ten seconds, of each request."""
    spending = Spending(Limits(log_events=100), born=0)
    assert sum(spending.line("a", at / 100) for at in range(150)) == 100
    assert spending.line("b", 1) and not spending.line("a", 9.99)
    assert sum(spending.line("a", 10.5) for _ in range(100)) == 51
    assert all(Spending(Limits(log_events=0), born=0).line("a", 1) for _ in range(500))


def test_few_requests_are_remembered() -> None:
    spending = Spending(Limits(), born=0)
    for number in range(3_000):
        spending.line(str(number), 0)
    assert len(spending._lines) == 1_000


@pytest.mark.slow
def test_limits_end_a_worker(tmp_path: Path) -> None:
    """Processor time in pieces, time on the wall with its warning, log lines: each as the platform does."""
    sources = {
        "pieces": """Deno.serve(async () => { for (;;) { const end = performance.now() + 50;
            while (performance.now() < end); await new Promise((done) => setTimeout(done, 1)) } });""",
        "waits": """addEventListener("beforeunload", (event) => console.log(`leaves: ${event.detail.reason}`));
            Deno.serve(() => new Promise(() => {}));""",
        "talks": """Deno.serve(() => { for (let n = 0; n < 150; n++) console.log(n); return new Response() });""",
    }
    limits: dict[str, dict[str, Any]] = {"pieces": {"cpu_limit": 1}, "waits": {"wall_clock": 4}}
    for slug, reason in (("pieces", "CPUTime"), ("waits", "WallClockTime")):
        with edge(tmp_path / slug, tmp_path / "deno", **limits[slug]) as place:  # a busy machine is slow to spend 1 s
            place.functions.deploy(slug, sources[slug])
            answer = place.function(slug)
            assert (answer.status, answer.json()["code"]) == (546, "WORKER_RESOURCE_LIMIT")
            ended = until(lambda: place.logs.of("Shutdown"))[-1]
            assert ended.log_attributes["reason"] == reason
            if slug == "waits":
                until(lambda: any("leaves: wall_clock" in row.event_message for row in place.logs.of("Log")))
    with edge(tmp_path, tmp_path / "deno") as place:
        place.functions.deploy("talks", sources["talks"])
        assert place.function("talks").status == 200
        assert until(lambda: [row for row in place.logs.of("Log") if row.event_message == "98\n"])  # one is Listening
        assert not [row for row in place.logs.of("Log") if row.event_message == "99\n"]
