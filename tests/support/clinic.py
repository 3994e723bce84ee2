"""A running sandbox with an app, a provider and secrets of one's own: what doctor, secret and preflight look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from migration.base.clock import Clock
from migration.base.secrets_type import Secret
from migration.clients.http import Http
from migration.config.environment import ProviderAccess
from migration.config.settings import LogSettings
from migration.context import Context
from migration.rehearsal.server import Running, start
from tests.support import scene as scenes
from tests.support import sources

NAME = "OPENROUTER_K2T_KEY"
MODEL = "moonshotai/kimi-k2-thinking"
PRICE = {"input": 0.60, "cached_input": 0.15, "output": 2.50}
ARTIFACT = 'Token usage: { input: %d, cached: %d, output: %d, reasoning: %d, total: %d, estimatedCost: "$%s" }'
BILLED = ARTIFACT % (1000, 900, 500, 100, 1500, "0.0016")  # one artifact at a healthy price
SETTINGS: dict[str, Any] = {
    "secrets": {NAME: {"provider": "openrouter", "format": "^sk-or-v1-"}},
    "providers": {"openrouter": {"kind": "openrouter", "model": MODEL, "price": PRICE}},
    "budget": {"volumes": {"light": 100, "medium": 500, "heavy": 2000}},
    "criteria": {"cost_per_request": {"mean": 0.005}, "no_503": {}},
    "gate": {"delay": 0, "within": 10},
    "smoke": [
        {"name": f"{slug} {n}", "function": slug, "auth": "anon", "body": [BILLED]}
        for slug in ("alpha", "beta")
        for n in (1, 2)
    ],
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

    def unset(self, *names: str) -> None:
        """Remove secrets from the project."""
        context = self.context()
        path = f"/v1/projects/{context.project()[0]}/secrets"
        assert context.management.request("DELETE", path, json=list(names)).ok

    def context(self, clock: Clock | None = None, secrets: Mapping[str, str] | None = None, **changed: Any) -> Context:
        """As a new process would have it; `secrets` are the local values, by default the right key."""
        made = self.scene.context(clock=clock)
        known = {NAME: self.key} if secrets is None else secrets
        access: dict[str, Any] = {
            "url": f"{self.running.url}/_openrouter/api/v1",
            "key": Secret(known[NAME]) if known.get(NAME) else None,
            "management_key": Secret(self.management_key),
        }
        access |= {name: changed.pop(f"provider_{name}") for name in ("url", "key") if f"provider_{name}" in changed}
        access |= {"management_key": changed.pop("management_key")} if "management_key" in changed else {}
        given: dict[str, Any] = {
            "providers": {
                name: ProviderAccess(name, settings, **access) for name, settings in made.config.providers.items()
            },
            "secrets": {name: Secret(value) for name, value in known.items()},
            "logs": LogSettings(per_minute=0),
        }
        made.environment = replace(made.environment, **(given | changed))
        return made

    def settings(self) -> dict[str, Any]:
        """config.yaml of the same project with every value that is nobody's business left to `.env`."""
        own = deepcopy(self.scene.written())
        prod = own["environments"]["prod"] | {
            "api_url": self.running.api_url, "access_token": "${SUPABASE_ACCESS_TOKEN}", "confirm": True,
            "logs": {"per_minute": 0, "patience": 0},
        }  # fmt: skip
        provider = own["providers"]["openrouter"] | {
            "url": f"{self.running.url}/_openrouter/api/v1", "key": f"${{{NAME}}}",
            "management_key": "${OPENROUTER_MANAGEMENT_KEY}",
        }  # fmt: skip
        auth = {"anon_key": "${SUPABASE_ANON_KEY}"}
        return own | {"environments": {"prod": prod}, "providers": {"openrouter": provider}, "auth": auth}

    def values(self) -> dict[str, str]:
        """What `.env` holds."""
        given = {"SUPABASE_ACCESS_TOKEN": self.running.access_token, "SUPABASE_ANON_KEY": self.running.anon_key}
        return {**given, NAME: self.key, "OPENROUTER_MANAGEMENT_KEY": self.management_key}

    def there(self, slug: str, verify_jwt: bool = False) -> None:
        """Deploy what the app holds by another road than ours, as the platform's own CLI would."""
        context = self.context()
        context.supabase.deploy(sources.read(context.app, slug, context.state).upload(verify_jwt))

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
        token = {"Authorization": f"Bearer {self.running.access_token}"} if path.startswith("/_sandbox/") else {}
        answer = Http(self.running.url).request(method, path, json=json, headers={**token, **(headers or {})})
        assert answer.ok, answer.text
        return answer.json()

    def set_key(self, value: str | None = None) -> None:
        self.context().supabase.set_secrets({NAME: Secret(value or self.key)})

    def reset(self) -> None:
        self.running.reset()
        self.ask("DELETE", "/_sandbox/providers")


@contextmanager
def clinic(folder: Path, **settings: Any) -> Iterator[Clinic]:
    """Nothing is deployed and no secret is set; providers answer at once, and log queries are not limited."""
    quick = {"models": [MODEL], "providers": {"openrouter": {}, "gemini": {"pro": {}, "flash": {}, "image": {}}},
             "management": {"rate_limit": {"default": 0}}}  # fmt: skip
    with start(folder / "sandbox", settings=quick | settings) as running:
        yield Clinic(folder, running, scenes.make(folder, running, **SETTINGS))
