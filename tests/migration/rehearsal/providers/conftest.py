"""A sandbox of nothing but its providers, asked in this process."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from migration.rehearsal import identity, providers
from migration.rehearsal.providers import shared
from migration.rehearsal.types import Sandbox

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks for httpx's successor
    from starlette.testclient import TestClient

MODEL = "example/large-thinking"
QUIET: dict[str, dict[str, Any]] = {"gemini": {"pro": {}, "flash": {}, "image": {}}, "openrouter": {}}


class Asked:
    """One sandbox and how to ask it; its clock can be moved."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        nothing = cast(Any, None)
        self.identity = identity.load(folder)
        self.sandbox = Sandbox(
            folder, self.identity, nothing, nothing, nothing, {"providers": settings, "models": [MODEL]}
        )
        self.client = TestClient(Starlette(routes=providers.routes(self.sandbox)))
        self.providers = shared.of(self.sandbox)
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.providers.meter.clock = lambda: self.now

    def pass_days(self, days: int) -> None:
        self.now += timedelta(days=days)

    def complete(self, prompt: str = "Create a counter", *, key: str | None = None, **more: Any) -> Any:
        system = 'Answer with <artifact type="application/vnd.ant.react" title="…">…</artifact>'
        messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
        body = {"model": MODEL, "messages": messages, "max_tokens": 16_000} | more
        return self.client.post("/_openrouter/api/v1/chat/completions", json=body, headers=self.bearer(key))

    def money(self, path: str, *, key: str | None = None, method: str = "GET", json: Any = None) -> Any:
        return self.client.request(method, f"/_openrouter/api/v1/{path}", headers=self.bearer(key), json=json)

    def managed(self, path: str, *, method: str = "GET", json: Any = None) -> Any:
        return self.money(path, key=self.identity.openrouter_management_key, method=method, json=json)

    def bearer(self, key: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {key or self.identity.openrouter_key}"}

    def gemini(self, model: str, prompt: str, method: str = "generateContent", **more: Any) -> Any:
        body = {"contents": [{"role": "user", "parts": [{"text": prompt}]}]} | more.pop("body", {})
        headers = {"x-goog-api-key": self.identity.google_keys[0]}
        return self.client.post(f"/_gemini/v1beta/models/{model}:{method}", json=body, **({"headers": headers} | more))


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Asked]:
    """Makes a sandbox whose providers follow these settings; without any, nothing goes wrong and nothing is slow."""
    return lambda settings=None: Asked(tmp_path, QUIET | (settings or {}))
