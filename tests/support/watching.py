"""A watch of a day in minutes: real log engine, real git, a clock that only sleeping moves, and traffic by the hour."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from migration.base.command import Steps
from migration.base.errors import ServiceFailed
from migration.base.finding import Finding
from migration.base.secrets_type import Secret
from migration.clients.openrouter import KeyInfo
from migration.clients.supabase import LogRows
from migration.clients.supabase_types import Function
from migration.config.environment import Environment, ProviderAccess
from migration.context import Context
from migration.ledger.ledger import Ledger
from migration.rehearsal.logs_api import span
from migration.rehearsal.logstore import LogStore, _bounded
from migration.rehearsal.types import SandboxLogRow
from migration.watch import watch
from migration.watch.report import WatchRound
from migration.watch.watch import WatchOptions
from tests.support import repos
from tests.support.clock import VirtualClock
from tests.support.collector import Collector
from tests.support.logs import NOON, Direct, config
from tests.support.traffic import request

_NIGHTS: list[Night] = []


@dataclass
class Providers:
    """What a round is answered by the providers; a test changes it while the clock runs."""

    clock: VirtualClock
    spent: Callable[[datetime], float] = lambda _: 0.0
    findings: Callable[[datetime], list[Finding]] = lambda _: []
    builds: Callable[[datetime, str], str] = lambda _, name: f"{name}-1"

    def key(self) -> KeyInfo:
        used = self.spent(self.clock.now())
        return KeyInfo(label="k", usage=used, usage_monthly=used)

    def build(self, access: ProviderAccess) -> str:
        return self.builds(self.clock.now(), access.name)


@dataclass
class Night:
    """One environment of one test: functions of its own in the shared store, a ledger, a deployment that is live."""

    folder: Path
    store: LogStore
    settings: dict[str, Any] = field(default_factory=dict)
    clones: int = 1
    start: datetime = NOON
    prefix: str = "refs/cutover"
    ids: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _NIGHTS.append(self)
        number = len(_NIGHTS)
        self.ids = {"artifact": (f"f-a{number}", 8), "fix": (f"f-f{number}", 4), "chat": (f"f-c{number}", 3)}
        self.clock = VirtualClock(self.start)
        self.source = Direct(self.store, self.clock)
        self.source.deployed = [
            Function(id_, slug, slug, "ACTIVE", version) for slug, (id_, version) in self.ids.items()
        ]
        self.providers = Providers(self.clock)
        self.down: Callable[[datetime], bool] = lambda _: False
        if self.clones == 1:  # a ledger of this repository alone takes fewer processes a round
            self.apps = [repos.alone(self.folder / "one")]
        else:
            _, first = repos.pair(self.folder)
            others = [repos.clone(self.folder / "remote.git", self.folder / f"c{n}") for n in range(1, self.clones)]
            self.apps = [first, *others]
        self.deploy("d1", {"artifact": (7, 8), "fix": (3, 4)})

    def context(self, clone: int = 0) -> Context:
        """A fresh context, as a new process of one clone has it."""
        own = config(
            criteria={
                name: {}
                for name in ("success_rate", "no_503", "response_time", "no_errors_in_logs", "cost_logged", "unchanged")
            },
            **self.settings,
        )
        provider = own.providers["openrouter"]
        access = ProviderAccess("openrouter", provider, "http://127.0.0.1:9", Secret("sk-or-v1-test"))
        environment = Environment(
            "prod",
            "http://127.0.0.1:9",
            self.source.ref,
            providers={"openrouter": access},
            access_token=Secret("sbp_x"),
        )
        app = self.apps[clone]
        found = Context(own, environment, self.folder / f"root{clone}", app, Collector(), self.clock)
        ledger = repos.ledger(app, prefix=self.prefix, clock=self.clock)
        parts = {
            "supabase": _Answering(self.source, self), "ledger": ledger, "provider": self.providers,
            "check_provider": lambda: self.providers.findings(self.clock.now()), "repository": ledger.repository,
            "log_limiter": _Unlimited(),
        }  # fmt: skip
        found.__dict__.update(parts)
        return found

    @property
    def ledger(self) -> Ledger:
        return repos.ledger(self.apps[0], prefix=self.prefix, clock=self.clock)

    def intend(self, name: str, functions: dict[str, tuple[int, int]], **more: Any) -> None:
        """Record that a deployment begins."""
        changes = [
            {
                "slug": slug,
                "action": "update",
                "wanted": {},
                "before": {"version": before, "function_id": self.ids[slug][0]},
            }
            for slug, (before, _) in functions.items()
        ]
        head = {"record": "intent", "kind": "deploy", "revision": f"r-{name}", "base_revision": "r-0", **more}
        self.ledger.append({**head, "deployment": name, "functions": changes})

    def deploy(self, name: str, functions: dict[str, tuple[int, int]], outcome: str = "live", **more: Any) -> None:
        """Record a deployment, and make its versions live: by slug (before, after)."""
        self.intend(name, functions, **more)
        after = [{"slug": slug, "after": {"version": version}} for slug, (_, version) in functions.items()]
        self.ledger.append({"record": "outcome", "deployment": name, "outcome": outcome, "functions": after})
        for slug, (_, version) in functions.items():
            self.ids[slug] = (self.ids[slug][0], version)
        self.source.deployed = [replace(one, version=self.ids[one.slug][1]) for one in self.source.deployed]

    def rollback(self, name: str, of: str) -> None:
        """Record that a deployment was rolled back; its functions are live again under new versions."""
        found = self.ledger.history().find(of)
        assert found is not None
        versions = {one.slug: (self.ids[one.slug][1], self.ids[one.slug][1] + 1) for one in found.functions}
        before = self.ledger.history().live_before(of)
        self.deploy(name, versions, "rolled_back", kind="rollback", to=before.id if before else None)

    def traffic(
        self, hours: float, behave: Callable[[random.Random, float], dict[str, Any] | None], a_look: int = 20,
        every: float = 300.0, seed: int = 1,
    ) -> None:  # fmt: skip
        """Requests spread over so many hours from the start, `a_look` in each look; `behave` says of one that starts at
        an hour how it goes: what `request` takes, `late` seconds of its rows, None for no row of it. The unchanged
        function stays healthy."""
        chance = random.Random(seed)
        for n in range(int(hours * 3600 / every * a_look)):
            start = (n + chance.random()) * every / a_look
            slug = ("chat", "fix")[n % 2] if n % 5 == 4 else "artifact"
            how = behave(chance, start / 3600)
            if how is not None:
                late = how.pop("late", 5.0)
                if slug == "chat":  # an unchanged function: what befalls the new code does not befall it
                    how = {name: value for name, value in how.items() if name in ("seconds", "lines")} | {
                        "usage": False
                    }
                self.arrive(self.request(start, **{"slug": slug, **how}), late)

    def arrive(self, rows: Sequence[SandboxLogRow], late: float = 5.0) -> None:
        """Rows that can be read so many seconds after their own time."""
        self.source.arriving += [(one.timestamp + timedelta(seconds=late), one) for one in rows]

    def request(self, start: float, **more: Any) -> list[SandboxLogRow]:
        """The rows of a request to this environment, `start` seconds after the watch's beginning."""
        slug = more.get("slug", "artifact")
        version = more.pop("version", self.ids[slug][1])
        return request((self.start - NOON).total_seconds() + start, ids=self.ids, version=version, **more)

    def rounds(self, clone: int = 0, limit: int = 1_000, **options: Any) -> Iterator[WatchRound]:
        """Rounds of one run of `inv watch`."""
        return itertools.islice(watch.run(self.context(clone), WatchOptions(**options)), limit)


class _Answering:
    """The Management API, unless the network is down."""

    def __init__(self, source: Direct, night: Night) -> None:
        self.source, self.night = source, night
        self.ref = source.ref

    def functions(self) -> list[Function]:
        self._reach()
        return self.source.functions()

    def logs(self, sql: str, start: datetime, end: datetime) -> LogRows:
        """Without the endpoint's look at the syntax tree, which every query of `rows` has had in its own tests."""
        self._reach()
        self.source._arrive()
        self.source.store.flush()
        bounded = _bounded(sql, *span(start.isoformat(), end.isoformat(), self.source.clock.now()), 1_000, False)
        answer = json.loads(self.source.store._run(bounded, "JSON"))
        found = LogRows(answer["data"])
        found.bytes_read = answer["statistics"]["bytes_read"]
        return found

    def _reach(self) -> None:
        if self.night.down(self.night.clock.now()):
            raise ServiceFailed("cannot reach the Management API")


class _Unlimited:
    per_minute = None

    def take(self) -> None:
        """No rate limit."""

    def pause(self, seconds: float) -> None:
        """No rate limit."""


def problem(kind: str, text: str, severity: Any = "error") -> Finding:
    return Finding(kind, text, "as the provider lists it", Steps(()), severity, "m")


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served under a model's name comes from the providers of the test's night."""
    monkeypatch.setattr("migration.watch.facts.proofs.build", lambda access, _: _NIGHTS[-1].providers.build(access))
