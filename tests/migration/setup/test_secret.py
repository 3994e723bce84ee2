from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from migration.base.errors import Failed, Refused
from migration.base.secrets_type import Secret
from migration.cli.sink import one_line
from migration.clients.edge import Purpose
from migration.clients.http import Answer, Http
from migration.deploy import plan
from migration.setup import secret
from migration.setup.secret import SecretResult, SecretState
from tests.support import sources
from tests.support.clinic import NAME, SPEAKER, Clinic, clinic
from tests.support.retries import repeating
from tests.support.scene import index
from tests.support.typist import typing

ODD = ('it\'s "quoted" # $HOME ${X} \\n', "a\r\nb", "snow ☃ and 🔑", "a  b", "x=y`z`!")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic")) as made:
        yield made


@pytest.fixture
def sick(shared: Clinic) -> Iterator[Clinic]:
    yield shared
    repeating(True)
    shared.reset()


def agree(_: str) -> bool:
    return True


def typed(result: SecretResult) -> list[str]:
    return [str(step) for step in result.next]


def verify(found: Clinic, **changed: Any) -> SecretState:
    (state,) = secret.verify(found.context(**changed)).secrets
    return state


def test_the_right_key_is_proven_without_being_shown(sick: Clinic) -> None:
    """Present, equal by digest, of its form, accepted by its provider; no output holds a part of it that matters."""
    sick.set_key()
    found = secret.verify(sick.context())
    (state,) = found.secrets
    assert (state.present, state.matches, state.format_ok, state.provider_ok, found.exit_code) == (
        True,
        True,
        True,
        True,
        0,
    )
    assert sick.key not in one_line(found) + repr(found)
    assert sick.key[20:60] not in one_line(found) + repr(found)


def test_a_missing_secret_fails(sick: Clinic) -> None:
    found = secret.verify(sick.context())
    assert (found.secrets[0].present, found.exit_code) == (False, 1)
    assert typed(found) == ["inv secret --set && inv deploy"]


def test_another_value_is_told_by_digest(sick: Clinic) -> None:
    sick.set_key("sk-or-v1-" + "f" * 64)
    state = verify(sick)
    assert (state.matches, state.ok) == (False, False)


def test_a_digest_of_another_form_is_unknown_not_different(sick: Clinic) -> None:
    sick.set_key()
    rows = [{"name": NAME, "value": "v2:opaque", "updated_at": "2026-11-01T00:00:00Z"}]
    sick.running.fault("secrets_list", "json", body=rows)
    found = secret.verify(sick.context())
    (state,) = found.secrets
    assert (state.present, state.matches, state.ok, found.exit_code) == (True, None, True, 4)
    assert typed(found)[0].startswith("inv smoke")
    sick.running.fault("secrets_list", "json", body=rows)
    (planned,) = plan.make(sick.context()).secrets
    assert planned["matches"] is None, "a deploy is not refused for it"


def test_without_a_local_value_present_is_enough(sick: Clinic) -> None:
    """As in CI: equality is not proven, and the result says so and what to type; a configured digest proves it."""
    sick.set_key()
    found = secret.verify(sick.context(secrets={}))
    (state,) = found.secrets
    assert (state.matches, state.provider_ok, state.ok, found.exit_code) == (None, None, True, 4)
    assert "Not proven" in found.message and "enough to deploy" in found.message and typed(found) == ["inv init"]
    context = sick.context(secrets={})
    settings = context.config.secrets[NAME]
    for text, expected in ((sick.key, True), ("another", False)):
        digest = hashlib.sha256(text.encode()).hexdigest()
        known = structs.replace(context.config, secrets={NAME: structs.replace(settings, sha256=digest)})
        found = secret.verify(replace(context, config=known))
        assert (found.secrets[0].matches, found.exit_code) == (expected, 0 if expected else 1)


def test_the_providers_word_is_part_of_the_proof(sick: Clinic) -> None:
    sick.set_key()
    sick.programs({"key": {"limit": 7, "limit_reset": "weekly", "expires_at": "2031-01-01T00:00:00Z"}})
    state = verify(sick)
    assert (state.limit, state.reset, state.free_tier) == (7.0, "weekly", False)
    assert state.expires_at is not None and state.label.startswith("sk-or-v1-")
    sick.programs({"dead_key": True})
    assert verify(sick).provider_ok is False
    sick.programs({})
    repeating(False)
    unasked = secret.verify(sick.context(provider_url="http://127.0.0.1:9"))
    assert (unasked.secrets[0].provider_ok, unasked.exit_code, typed(unasked)) == (None, 4, ["inv doctor"])


def test_spending_limit_stands_beside_budget(sick: Clinic) -> None:
    """The key's own limit holds where ours only warns; a key without one is told apart, with where to set it."""
    sick.set_key()
    sick.programs({"key": {"limit": 40, "limit_reset": "monthly"}})
    (note,) = secret.verify(sick.context()).notes
    ours = "(budget: warning at $10.00, critical at $50.00 a month)."
    assert note == f"{NAME}: monthly limit of $40.00, $40.00 left {ours}"
    sick.programs({})
    (note,) = secret.verify(sick.context()).notes
    assert note.startswith(f"{NAME} has no spending limit: set one for ") and note.endswith(ours)
    assert secret.verify(sick.context(secrets={})).notes == ()


def test_setting_sends_exactly_the_configured_secrets(sick: Clinic) -> None:
    """The others on the platform stay; what is equal already is not sent again."""
    sick.context().supabase.set_secrets({"OTHER": Secret("stays")})
    before = {each.name: each.digest for each in sick.context().supabase.secrets()}
    asked: list[str] = []
    done = secret.set_all(sick.context(), confirm=lambda what: not asked.append(what))  # type: ignore[func-returns-value]
    after = {each.name: each.digest for each in sick.context().supabase.secrets()}
    assert (done.uploaded, done.exit_code, asked) == ((NAME,), 0, [f"Set {NAME} in prod"])
    assert after == before | {NAME: hashlib.sha256(sick.key.encode()).hexdigest()}
    sent = len(sick.running.history(operation="secrets_set"))
    again = secret.set_all(sick.context(), confirm=agree)
    assert (again.uploaded, len(sick.running.history(operation="secrets_set"))) == ((), sent)


def test_any_value_reaches_the_function_unchanged(sick: Clinic) -> None:
    """Quotes, spaces, #, $, line ends and Unicode: typed at `inv init`, from there in `.env`, sent by the real verb."""
    names = {f"ODD_{number}": value for number, value in enumerate(ODD)}
    listed = ", ".join(f'"{name}"' for name in names)
    deploy(sick, f"Deno.serve(() => Response.json([{listed}].map((name) => Deno.env.get(name))));\n")
    with typing(sick) as typist:
        typist.config["secrets"] = {name: {} for name in names}
        typist.save()
        typist.answers = names
        assert typist.type(["inv", "init"]) == 0, typist.said
        assert typist.type(["inv", "secret", "--set"]) == 0, typist.said
        assert typist.type(["inv", "secret"]) == 0, typist.said
    assert sick.context().edge.call("alpha", purpose=Purpose.SMOKE, json={}).json() == list(ODD)


def deploy(found: Clinic, text: str, slug: str = "alpha") -> None:

    found.scene.commit({index(slug): text}, f"Change {slug}")
    context = found.context()
    context.supabase.deploy(sources.read(context.app, slug, context.state).upload(False))


def test_a_hidden_prompt_stands_in_for_a_missing_value(sick: Clinic) -> None:
    done = secret.set_all(sick.context(secrets={}), confirm=agree, ask=lambda _: sick.key)
    assert (done.uploaded, done.exit_code) == ((NAME,), 0)
    with pytest.raises(Refused, match="no value"):
        secret.set_all(sick.context(secrets={}), confirm=agree)


@pytest.mark.parametrize(
    ("value", "why"),
    [("not a key", "does not match"), ("sk-or-v1-x\n", "white space"), ("sk-or-v1-" + "x" * 25_000, "longer"),
     ("sk-or-v1-" + "0" * 64, "is unknown")],
)  # fmt: skip
def test_a_bad_value_is_refused_before_anything_is_sent(sick: Clinic, value: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        secret.set_all(sick.context(secrets={NAME: value}), confirm=agree)
    assert sick.running.history(operation="secrets_set") == []


def test_what_is_not_confirmed_is_not_sent(sick: Clinic) -> None:
    with pytest.raises(Refused, match="Not confirmed"):
        secret.set_all(sick.context(), confirm=lambda _: False)
    assert sick.running.history(operation="secrets_set") == []


def test_an_upload_that_does_not_arrive_fails(sick: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is read again after the upload; the old digest there is a failure, not a success."""
    sick.set_key("sk-or-v1-" + "f" * 64)
    monkeypatch.setattr(secret, "SEEN", 0.0)
    monkeypatch.setattr("migration.clients.supabase.Supabase.set_secrets", lambda *_: None)
    with pytest.raises(Failed, match="old digest"):
        secret.set_all(sick.context(), confirm=agree)


def test_warm_workers_are_named(sick: Clinic) -> None:
    """After an upload nothing is sent to a function: the logs say which workers began before."""
    for slug in ("alpha", "beta"):
        deploy(sick, SPEAKER, slug)
        sick.context().edge.call(slug, purpose=Purpose.PROBE, method="OPTIONS", auth="none")
    context = sick.context()
    done = secret.set_all(context, confirm=agree)
    assert "Warm workers of alpha, beta may keep the old value" in done.message
    assert not context.edge.sent


@pytest.mark.parametrize("name", ["SB_REGION", "SUPABASE_URL"])
def test_a_name_of_the_platforms_own_is_told(name: str) -> None:
    assert secret.RESERVED.fullmatch(name)
    assert not secret.RESERVED.fullmatch(NAME)


@pytest.mark.long
@pytest.mark.parametrize("how", ["hang", "trickle"])
def test_silent_provider(sick: Clinic, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A provider that never answers, or a byte at a time, is named within a bound over all tries; nothing is proven."""
    request = Http.request

    def hasty(own: Http, *args: Any, deadline: float | None = None, **more: Any) -> Answer:
        return request(own, *args, deadline=min(deadline or 0.8, 0.8), **more)

    more = {"hold": 3.0} if how == "hang" else {"bytes": 1, "ms": 600}
    sick.running.fault("openrouter", how, times=0, **more)
    monkeypatch.setattr(Http, "request", hasty)
    began = time.monotonic()
    state = verify(sick)
    sick.running.heal()
    assert time.monotonic() - began < 90
    assert state.provider_ok is not True and "cannot reach openrouter" in state.detail, state


def test_sandbox_says_where_its_value_comes_from(sick: Clinic) -> None:
    """The sandbox never reads .env: a form that its value has not is corrected in `rehearsal.variables`."""
    sick.set_key()
    context = sick.context(secrets={NAME: "other"}, embedded=True)
    state = verify_in(context)
    assert f"the sandbox's own value of {NAME} has another form" in state.detail
    assert f"{NAME} on the platform differs from the sandbox's own value" in state.detail
    assert any(f"rehearsal.variables.{NAME} of config.yaml" in step for step in typed(secret.verify(context)))
    with pytest.raises(Refused) as refused:
        secret.set_all(context, agree)
    assert ".env" not in str(refused.value) + " ".join(map(str, refused.value.steps)) + state.detail
    given = structs.replace(context.config.rehearsal, variables={NAME: "other"})
    context.config = structs.replace(context.config, rehearsal=given)
    assert f"{NAME} in rehearsal.variables.{NAME} has another form" in verify_in(context).detail


def test_where_the_local_value_comes_from(sick: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of the environment counts before `.env`: correcting `.env` would change nothing, and is not proposed."""
    sick.set_key()
    state = verify_in(sick.context(secrets={NAME: "other"}))
    assert f"{NAME} in .env has another form" in state.detail
    monkeypatch.setenv(NAME, "other")
    context = sick.context(secrets={NAME: "other"})
    state = verify_in(context)
    assert f"{NAME} in the environment has another form" in state.detail
    assert f"{NAME} on the platform differs from the environment" in state.detail
    assert f"set the right {NAME} in the environment" in typed(secret.verify(context))[0]
    sick.unset(NAME)
    first, second = typed(secret.verify(context))[:2]
    assert first.startswith(f"set the right {NAME}") and second == "inv secret --set && inv deploy"
    sick.set_key()
    monkeypatch.delenv(NAME)
    context = sick.context(secrets={})
    settings = structs.replace(context.config.secrets[NAME], sha256="0" * 64)
    context.config = structs.replace(context.config, secrets={NAME: settings})
    assert f"{NAME} on the platform differs from its sha256 in config.yaml" in verify_in(context).detail


def verify_in(context: Any) -> SecretState:
    (state,) = secret.verify(context).secrets
    return state
