"""A key goes to the address of its own provider and to no other: listeners stand in place of all of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration.base.errors import ConfigError, CutoverError
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.config import environment, load
from migration.config.settings import PROOFS
from migration.context import Context
from migration.providers import proofs
from migration.setup import secret
from tests.support.clock import VirtualClock

KINDS = ("openrouter", "openai", "anthropic", "gemini")
REF = "abcdefghijklmnopqrst"
MOVED = {"name": "m", "functions": ["f"]}


@dataclass
class Listener:
    """Records every request in full, and answers from `answers` by path (200 with {} for the others)."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def holds(self, value: str) -> bool:
        return any(value in request for request in self.requests)


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            listener.requests.append(f"{self.command} {self.path}\n{self.headers}\n{body}")
            status, content = listener.answers.get(self.path.split("?")[0], (200, {}))
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            if 300 <= status < 400:
                self.send_header("location", content["location"])
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = _answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    listener.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class World:
    """A project whose providers, one a kind, are listeners; `keys` by provider, and the secret of that provider."""

    folder: Path
    platform: Listener
    providers: dict[str, Listener]
    config: dict[str, Any]

    @property
    def keys(self) -> dict[str, str]:
        return {name: f"key-of-{name}-0123456789abcdef" for name in self.providers}

    def context(self) -> Context:
        """As a new process would have it, from the files alone."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        (self.folder / ".env").write_text("".join(f"{k}={v}\n" for k, v in self.values().items()))
        config = load.load(self.folder)
        own = environment.hosted(config, self.folder, "prod", config.environments["prod"])
        return Context(config, own, self.folder, self.folder / "app", clock=VirtualClock())

    def values(self) -> dict[str, str]:
        named = {f"SECRET_{name.upper()}": key for name, key in self.keys.items()}
        return {"TOKEN_OF_PLATFORM": "sbp_" + "0" * 40, "LONELY": "a-secret-without-a-provider", **named}

    def strangers(self, value: str, owner: str = "") -> list[str]:
        """Who saw a value and should not have. The platform is the one to which secrets are uploaded."""
        return [name for name, each in self.providers.items() if name != owner and each.holds(value)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with listening() as platform, listening() as a, listening() as b, listening() as c, listening() as d:
        providers = dict(zip(KINDS, (a, b, c, d), strict=True))
        platform.answers[f"/v1/projects/{REF}/secrets"] = (200, [])
        config: dict[str, Any] = {
            "migration": {"name": "m", "functions": ["f"], "from": "gemini", "to": "openrouter"},
            "app": {"path": "app"},
            "environments": {
                "prod": {
                    "project_ref": REF, "api_url": platform.url, "url": platform.url,
                    "access_token": "${TOKEN_OF_PLATFORM}",
                },
            },
            "providers": {
                name: {"kind": name, "model": f"{name}-1", "url": each.url, "key": f"${{SECRET_{name.upper()}}}"}
                for name, each in providers.items()
            },
            "secrets": {
                "LONELY": {},
                **{f"SECRET_{name.upper()}": {"provider": name} for name in providers},
            },
        }  # fmt: skip
        config["providers"]["silent"] = {"kind": "none", "model": "x"}
        yield World(tmp_path, platform, providers, config)


def verbs(context: Context) -> None:
    """What every verb that concerns keys or providers does with them; failures do not matter here."""
    calls: list[Callable[[], object]] = [
        lambda: secret.verify(context),
        lambda: secret.set_all(context, lambda _: True, lambda _: "typed-by-hand-0123456789"),
        context.check_provider,
        lambda: context.provider.key(),
        lambda: context.provider.activity(),
        lambda: context.provider.credits(),
    ]
    for call in calls:
        try:
            call()
        except CutoverError:
            continue


def test_each_key_stays_with_its_provider(world: World) -> None:
    """Whatever the verb: a listener sees the key of its own provider, and no other secret of the project."""
    verbs(world.context())
    for name, key in world.keys.items():
        assert world.providers[name].holds(key), f"{name} was never asked"
        assert world.strangers(key, name) == []
    assert world.strangers("a-secret-without-a-provider") == []
    assert not any(each.holds("sbp_") for each in world.providers.values())


def test_lonely_secret_goes_nowhere(world: World) -> None:
    world.config["secrets"] = {"LONELY": {}}
    world.config["migration"] |= {"from": None, "to": None}
    states = secret.verify(world.context()).secrets
    assert [(each.name, each.provider_ok) for each in states] == [("LONELY", None)]
    assert [name for name, each in world.providers.items() if each.requests] == []


def test_kind_none_is_never_asked(world: World) -> None:
    world.config["secrets"] = {"LONELY": {"provider": "silent"}}
    world.config["migration"] |= {"from": "silent", "to": "silent"}
    (state,) = secret.verify(world.context()).secrets
    assert state.provider_ok is None
    assert world.context().check_provider() == []
    assert [name for name, each in world.providers.items() if each.requests] == []


@pytest.mark.parametrize(
    "change,path,words",
    [
        ({"secrets": {"LONELY": {"provider": "stripe"}}}, "secrets.LONELY.provider", "there is no provider stripe"),
        ({"secrets": {"LONELY": {"provider": "opnai"}}}, "secrets.LONELY.provider", "did you mean openai?"),
        ({"secrets": {"LONELY": {"provider": ""}}}, "secrets.LONELY.provider", "there is no provider"),
        ({"secrets": {"LONELY": {"provider": "OpenAI"}}}, "secrets.LONELY.provider", "did you mean openai?"),
        ({"migration": MOVED | {"to": "opnrouter"}}, "migration.to", "did you mean openrouter?"),
        ({"migration": MOVED | {"from": "gemni"}}, "migration.from", "did you mean gemini?"),
        ({"provider": {"model": "x"}}, "provider", "is now providers: {NAME:"),
        ({"providers": {"p": {"kind": "stripe"}}}, "providers.p.kind", "one of openrouter, openai, anthropic,"),
        ({"providers": {"p": {"key": "x"}}}, "providers.p", "key would never be used: set kind"),
        ({"providers": {"p": {"kind": "none", "url": "https://x.example"}}}, "providers.p", "url would never be used"),
        ({"providers": {"p": {"kind": "gemini", "management_key": "x"}}}, "providers.p", "no management_key"),
        ({"providers": {"p": {"kind": "openai", "url": "http://x.example"}}}, "providers.p.url", "https://"),
    ],
)  # fmt: skip
def test_wrong_name_is_an_error_of_the_config(world: World, change: dict[str, Any], path: str, words: str) -> None:
    """Nothing is guessed and nothing is sent."""
    world.config |= change
    with pytest.raises(ConfigError) as caught:
        world.context()
    rows = [row for row in caught.value.message.splitlines() if f" {path}: " in row]
    assert rows and words in rows[0], caught.value.message
    assert [name for name, each in world.providers.items() if each.requests] == []


def test_only_the_named_provider_is_asked(world: World) -> None:
    """A secret of one provider and migration.to of another: each sees its own key alone."""
    for name in KINDS:
        for each in world.providers.values():
            each.requests.clear()
        world.config["secrets"] = {"LONELY": {"provider": name}}
        world.config["migration"] |= {"from": None, "to": None}
        secret.verify(world.context())
        seen = [other for other, each in world.providers.items() if each.requests]
        assert seen == [name]
        assert world.providers[name].holds("a-secret-without-a-provider")


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_key_and_model_are_proven(world: World, kind: str) -> None:
    """200 is a good key; 401 (400 for Gemini) a refused one; 404 a model that is gone; 500 says nothing of either."""
    world.config["migration"] |= {"from": None, "to": kind}
    provider = world.providers[kind]
    assert world.context().check_provider() == []
    provider.answers[f"/models/{kind}-1"] = (404, {"error": {"message": "no such model"}})
    (gone,) = world.context().check_provider()
    assert (gone.kind, gone.severity, f"{kind}-1" in gone.problem) == ("no_model", "error", True)
    refusal = (400, {"error": {"details": [{"reason": "API_KEY_INVALID"}]}}) if kind == "gemini" else (401, {})
    provider.answers["/models"] = provider.answers[f"/models/{kind}-1"] = refusal
    (refused,) = world.context().check_provider()
    assert (refused.kind, refused.severity) == ("unknown_key", "error")
    provider.answers["/models"] = (500, {})
    (unclear,) = world.context().check_provider()
    assert (unclear.kind, unclear.severity) == ("unreachable", "warning")


def test_origin_is_checked_as_a_warning(world: World) -> None:
    """A rollback goes back to it; its problem does not stop a deploy."""
    world.config["migration"] |= {"from": "openai", "to": "anthropic"}
    world.providers["openai"].answers["/models/openai-1"] = (404, {})
    (found,) = world.context().check_provider()
    assert (found.severity, found.for_rollback, found.problem.startswith("a rollback needs openai: ")) == (
        "warning",
        True,
        True,
    )


def test_origin_without_a_key_is_not_asked(world: World) -> None:
    world.config["migration"] |= {"from": "openai", "to": "anthropic"}
    world.config["providers"]["openai"]["key"] = "${NOT_SET_ANYWHERE}"
    (found,) = world.context().check_provider()
    assert (found.kind, found.severity, "NOT_SET_ANYWHERE" in found.evidence) == ("key_absent", "warning", True)
    assert world.providers["openai"].requests == []


def test_sandbox_never_asks_a_real_provider(world: World) -> None:
    """Kinds with a stand-in are asked there, with the sandbox's keys; others are not asked at all."""
    config = world.context().config
    running = {
        "url": world.platform.url, "api_url": world.platform.url, "project_ref": REF, "access_token": "t",
        "anon_key": "a", "user_email": "e", "user_password": "p", "openrouter_key": "sandbox-openrouter",
        "openrouter_management_key": "sandbox-manager", "google_keys": ["sandbox-google"],
    }  # fmt: skip
    own = environment.embedded(config, "sandbox", running)
    assert {name: bool(each.url) for name, each in own.providers.items()} == {
        "openrouter": True, "openai": False, "anthropic": False, "gemini": True, "silent": False,
    }  # fmt: skip
    for access in own.providers.values():
        proofs.check_key(access, Secret("sandbox-key"), config, VirtualClock().now(), Retry(VirtualClock()))
    assert [name for name, each in world.providers.items() if each.requests] == []


def test_address_with_an_unset_variable_is_not_asked(world: World) -> None:
    world.config["providers"]["openai"]["url"] = "https://${NOT_SET_ANYWHERE}/v1"
    world.config["migration"] |= {"from": None, "to": "openai"}
    context = world.context()
    assert context.environment.providers["openai"].url == ""
    (found,) = context.check_provider()
    assert (found.kind, found.severity, "NOT_SET_ANYWHERE" in found.evidence) == ("key_absent", "warning", True)


@pytest.mark.parametrize("kind", sorted(PROOFS))
@pytest.mark.parametrize("criterion,need", [("provider_sees_requests", "usage"), ("budget", "usage")])
def test_unmeasurable_criterion_is_refused(world: World, kind: str, criterion: str, need: str) -> None:
    """When the config is loaded, not four minutes after going live."""
    name = "silent" if kind == "none" else kind
    world.config["migration"] |= {"from": None, "to": name}
    world.config["criteria"] = {criterion: {}}
    if need in PROOFS[kind]:
        world.context()
        return
    with pytest.raises(ConfigError, match=rf"criteria\.{criterion}: cannot be measured: .*kind {kind}"):
        world.context()


def test_no_redirect_is_followed(world: World) -> None:
    """A provider that points elsewhere does not get our key sent there."""
    access = replace(world.context().environment.providers["openai"], url=world.platform.url)
    elsewhere = world.providers["anthropic"]
    world.platform.answers["/models"] = (307, {"location": f"{elsewhere.url}/models"})
    proofs.check_key(access, Secret("k" * 20), world.context().config, VirtualClock().now(), Retry(VirtualClock()))
    assert (len(world.platform.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize(("days", "kind", "target", "origin"), [
    (31, None, None, None),
    (30, "model_expires", "warning", "warning"),
    (1, "model_expires", "warning", "warning"),
    (0, "model_expired", "error", "warning"),
    (-40, "model_expired", "error", "warning"),
])  # fmt: skip
def test_announced_end_of_a_model(
    tmp_path: Path, days: int, kind: str | None, target: str | None, origin: str | None
) -> None:
    """`ends` is told a month before, for both ends of a migration; only the new one's end stops a deploy."""
    clock = VirtualClock()
    day = f"{clock.now() + timedelta(days=days):%Y-%m-%d}"
    ending = {"kind": "none", "model": "old-1", "ends": day, "successor": "next-2"}
    for side, severity in (("to", target), ("from", origin)):
        config = {
            "migration": {**MOVED, side: "p"},
            "app": {"path": "app"},
            "environments": {"local": {"url": "http://localhost"}},
            "providers": {"p": ending},
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        found = proofs.ageing(load.load(tmp_path), clock.now())
        assert [(one.kind, one.severity) for one in found] == ([(kind, severity)] if kind else [])
        for one in found:
            assert "old-1" in one.problem and f"providers.p.ends is {day}. From then on next-2 answers." == one.evidence


@pytest.mark.parametrize("more", [{"ends": "tomorrow"}, {"ends": "2026-13-01"}, {"successor": "x"}])
def test_end_of_a_model_is_a_day(tmp_path: Path, more: dict[str, str]) -> None:
    """A day that is none, or a successor without one, is a mistake of config.yaml."""
    config = {
        "migration": MOVED, "app": {"path": "app"}, "environments": {"local": {"url": "http://localhost"}},
        "providers": {"p": {"kind": "none", "model": "m", **more}},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match="ends"):
        load.load(tmp_path)
