"""A running sandbox with an app, a provider and secrets of one's own: what doctor, secret and preflight look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from migration import secret_set
from migration.clients.http import Http
from migration.common.clock import Clock
from migration.common.secrets_type import Secret
from migration.context import Context
from migration.evidence import warm
from migration.logbook.logquery import Budget
from migration.rehearsal.server import Running, start
from tests.support import scene as scenes

NAME = "OPENROUTER_K2T_KEY"
MODEL = "moonshotai/kimi-k2-thinking"
PRICE = {"input": 0.60, "cached_input": 0.15, "output": 2.50}
SETTINGS: dict[str, Any] = {
    "secrets": {NAME: {"provider": "openrouter", "format": "^sk-or-v1-"}},
    "provider": {"model": MODEL, "price": PRICE},
    "budget": {"volumes": {"light": 100, "medium": 500, "heavy": 2000}},
    "criteria": {"cost_per_artifact": {"mean": 0.005}},
    "signals": {
        "new_route": "Routing to Kimi K2-Thinking via OpenRouter",
        "old_route": "Using GOOGLE_KEY_",
        "failure": "❌",
        "retry": "(?i)retry",
        "usage": (
            r"^Token usage: \{ input: (?P<input>\d+), cached: (?P<cached>\d+), output: (?P<output>\d+), "
            r'reasoning: (?P<reasoning>\d+), total: (?P<total>\d+), estimatedCost: "\$(?P<cost>[\d.]+)" \}'
        ),
    },
}
# Says what the request tells it to say, so that a test decides what the logs hold.
SPEAKER = """Deno.serve(async (request) => {
  if (request.method === "OPTIONS") return new Response("ok");
  for (const line of await request.json()) (line.startsWith("❌") ? console.error : console.log)(line);
  return new Response("said");
});
"""
KIMI = f"// Routing to Kimi K2-Thinking via OpenRouter\n{SPEAKER}"


@dataclass
class Clinic:
    folder: Path
    running: Running
    scene: scenes.Scene
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return str(self.running.info["openrouter_key"])

    @property
    def management_key(self) -> str:
        return str(self.running.info["openrouter_management_key"])

    def context(self, clock: Clock | None = None, secrets: Mapping[str, str] | None = None, **changed: Any) -> Context:
        """As a new process would have it; `secrets` are the local values, by default the right key."""
        made = self.scene.context(clock=clock)
        made.__dict__["log_budget"] = Budget(made.clock, None)
        known = {NAME: self.key} if secrets is None else secrets
        given = {
            "provider_url": f"{self.running.url}/_openrouter/api/v1",
            "provider_key": Secret(known[NAME]) if known.get(NAME) else None,
            "management_key": Secret(self.management_key),
            "secrets": {name: Secret(value) for name, value in known.items()},
        }
        made.environment = replace(made.environment, **(given | changed))
        return made

    def programs(self, openrouter: Mapping[str, Any]) -> None:
        """What the provider does from now on."""
        self.ask("POST", "/_sandbox/providers", {"openrouter": dict(openrouter)})

    def key_is(self, **state: Any) -> None:
        """Change our key at the provider, as its dashboard would."""
        headers = {"Authorization": f"Bearer {self.management_key}"}
        listed = self.ask("GET", "/_openrouter/api/v1/keys?include_disabled=true", headers=headers)["data"]
        (digest,) = [each["hash"] for each in listed if each["name"] == "sandbox"]
        self.ask("PATCH", f"/_openrouter/api/v1/keys/{digest}", state, headers)

    def ask(self, method: str, path: str, json: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        answer = Http(self.running.url).request(method, path, json=json, headers=headers)
        assert answer.ok, answer.text
        return answer.json()

    def set_key(self, value: str | None = None) -> None:
        self.context().supabase.set_secrets({NAME: Secret(value or self.key)})

    def reset(self) -> None:
        self.running.reset()
        self.ask("DELETE", "/_sandbox/providers")


@contextmanager
def clinic(folder: Path, **settings: Any) -> Iterator[Clinic]:
    """Nothing is deployed and no secret is set; providers answer at once."""
    # The hosted logs may be asked ten times a minute, ours as often as we like.
    warm.POLL, secret_set.PAUSE, secret_set.WARM = warm.POLL_HERE, secret_set.PAUSE_HERE, 3.0
    quick = {"providers": {"openrouter": {}, "gemini": {"pro": {}, "flash": {}, "image": {}}}}
    with start(folder / "sandbox", settings=quick | settings) as running:
        yield Clinic(folder, running, scenes.make(folder, running, **SETTINGS))
