from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from migration.base.command import inv, steps
from migration.base.finding import Finding, worst_first
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients.openrouter import Model
from migration.config.settings import Price, ProviderSettings
from migration.providers import openrouter, proofs
from migration.providers.openrouter import Tokens
from tests.support.clinic import MODEL, Clinic, clinic
from tests.support.clock import VirtualClock
from tests.support.retries import repeating


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic")) as made:
        yield made


@pytest.fixture
def sick(shared: Clinic) -> Iterator[Clinic]:
    yield shared
    repeating(True)
    shared.reset()


def preflight(found: Clinic, **changed: Any) -> dict[str, Finding]:
    return {each.kind: each for each in found.context(**changed).check_provider()}


def test_a_healthy_provider_has_no_findings(sick: Clinic) -> None:
    assert preflight(sick) == {}


def test_an_unlisted_model_stops_a_deploy(sick: Clinic) -> None:
    sick.programs({"models": {MODEL: {"listed": False}}})
    assert [each.severity for each in preflight(sick).values()] == ["error"]
    assert MODEL in preflight(sick)["no_model"].problem


def test_a_model_without_endpoints_stops_a_deploy(sick: Clinic) -> None:
    sick.programs({"models": {MODEL: {"endpoints": 0}}})
    assert preflight(sick)["no_endpoints"].severity == "error"


@pytest.mark.parametrize(
    ("days", "kind", "severity"),
    [(-1, "model_expired", "error"), (9, "model_expires", "warning"), (190, None, None)],
)
def test_a_models_last_day_is_told_in_time(sick: Clinic, days: int, kind: str | None, severity: str | None) -> None:
    """Past is an error, within thirty days a warning, later nothing."""
    now = datetime.now(UTC)
    sick.programs({"models": {MODEL: {"expiration_date": f"{now + timedelta(days=days):%Y-%m-%d}"}}})
    clock = VirtualClock(now)
    found = [(each.kind, each.severity) for each in sick.context(clock=clock).check_provider() if each.subject == MODEL]
    expected = [(kind, severity)] if kind else []
    assert [each for each in found if each[0].startswith("model_")] == expected


def test_another_price_shows_both_and_the_monthly_bill(sick: Clinic) -> None:
    """1,234 + 567 tokens cost $0.0021579 as configured and $0.0059551 as listed; times 3,000 a month."""
    sick.programs({"listed_price": {"input": 1.15, "cached_input": 0.15, "output": 8.00}})
    found = preflight(sick)["price_drift"]
    assert found.severity == "warning"
    assert "configured $0.6 input, $0.15 cached, $2.5 output; listed $1.15, $0.15, $8 per million" in found.evidence
    assert "light $6.47 → $17.87" in found.evidence
    assert "heavy $129.47 → $357.31" in found.evidence


def test_a_cached_price_that_is_not_listed_is_no_drift() -> None:
    """Where no cached price is listed there is nothing to compare; cached input costs what input costs then."""
    pricing = {"prompt": "0.0000006", "completion": "0.0000025"}
    model = Model("m", pricing=pricing)
    price = Price(input=0.60, cached_input=0.15, output=2.50)
    assert list(openrouter.drift(price, model, Tokens(), {})) == []
    assert model.price is not None
    assert Tokens(1000, 400, 0).cost(model.price) == pytest.approx(0.0006)
    assert Tokens(1000, 400, 0).cost(price) == pytest.approx(0.00042)


def test_spent_credit_is_an_error_and_little_of_it_a_warning(sick: Clinic) -> None:
    sick.programs({"credit": 0})
    assert preflight(sick)["no_credit"].severity == "error"
    sick.programs({"credit": 3})
    low = preflight(sick)["low_credit"]
    assert (low.severity, "a day at medium (500 requests)" in low.problem) == ("warning", True)
    assert "light" not in low.problem
    sick.programs({"credit": 1})
    assert "does not cover even a soak" in preflight(sick)["low_credit"].problem


def test_a_keys_limit_is_watched_like_credit(sick: Clinic) -> None:
    sick.programs({"key": {"limit": 0, "limit_reset": "daily"}})
    spent = preflight(sick)["key_limit"]
    assert (spent.severity, "daily reset" in str(spent.fix)) == ("error", True)
    sick.programs({"key": {"limit": 3}})
    assert preflight(sick)["key_limit_low"].severity == "warning"


def test_the_free_tier_is_told(sick: Clinic) -> None:
    sick.programs({"key": {"free_tier": True}})
    assert preflight(sick)["free_tier"].severity == "warning"


def test_each_dead_key_is_told_apart(sick: Clinic) -> None:
    """One answer, 401; the account's own list says why. Without a management key it stays unknown, not wrong."""
    absent = preflight(sick, provider_key=Secret("sk-or-v1-" + "0" * 64))
    assert "the account lists no key" in absent["unknown_key"].evidence
    sick.key_is(disabled=True)
    assert "disabled" in preflight(sick)["disabled_key"].evidence
    assert set(preflight(sick, management_key=None)) == {"unknown_key"}
    sick.key_is(disabled=False)
    sick.programs({"key": {"expires_at": "2026-01-01T00:00:00Z"}})
    assert "expired 2026-01-01" in preflight(sick)["expired_key"].evidence
    sick.programs({"dead_key": True})
    assert "enabled" in preflight(sick)["unknown_key"].evidence
    wrong = preflight(sick, provider_key=Secret(sick.management_key))
    assert wrong["wrong_kind"].severity == "error"
    assert all(each.severity == "error" for each in wrong.values() if each.subject == "providers.openrouter.key")


def test_a_key_that_ends_soon_is_told(sick: Clinic) -> None:
    now = datetime.now(UTC)
    sick.programs({"key": {"expires_at": (now + timedelta(days=2)).isoformat()}})
    clock = VirtualClock(now)
    assert "key_expires" in {each.kind for each in sick.context(clock=clock).check_provider()}


def test_no_local_key_is_told_without_a_call(sick: Clinic) -> None:
    before = len(sick.running.history(operation="openrouter"))
    found = preflight(sick, secrets={})
    assert {kind: each.severity for kind, each in found.items()} == {"key_absent": "warning"}, "CI deploys without it"
    assert len(sick.running.history(operation="openrouter")) == before


def test_a_provider_out_of_reach_is_a_warning(sick: Clinic) -> None:
    repeating(False)
    found = preflight(sick, provider_url="http://127.0.0.1:9")
    assert [(each.kind, each.severity) for each in found.values()] == [("unreachable", "warning")]


def test_errors_come_before_warnings_and_each_once() -> None:
    fix = steps(inv("doctor"))
    warning, error = Finding("a", "p", "e", fix, "warning"), Finding("b", "p", "e", fix)
    assert worst_first([warning, error, warning]) == [error, warning]


@pytest.mark.parametrize("suffix", [":nitro", ":floor", ":exacto", ":online", ":nitro:online"])
def test_routing_suffix_is_no_other_model(sick: Clinic, suffix: str) -> None:
    """It belongs to the request; the list and the bill have the model without it."""
    found = sick.context()
    settings = structs.replace(found.config.providers["openrouter"], model=MODEL + suffix)
    assert settings.listed == MODEL
    access = replace(found.environment.providers["openrouter"], settings=settings)
    found.environment = replace(found.environment, providers={"openrouter": access})
    assert found.check_provider() == []


@pytest.mark.parametrize("suffix", [":free", ":thinking", ":nitr", ""])
def test_other_suffixes_are_models_of_their_own(suffix: str) -> None:
    assert ProviderSettings(kind="openrouter", model=f"a/b{suffix}").listed == f"a/b{suffix}"


@pytest.mark.parametrize(
    "key,kind",
    [({"limit": 0.1, "limit_reset": None}, None), ({"limit": 0.003}, "key_limit"), ({"limit": 0}, "key_limit")],
)
def test_key_that_cannot_pay_is_not_accepted(sick: Clinic, key: dict[str, Any], kind: str | None) -> None:
    """A rest that rounds to nothing pays for no request: the provider would answer 403."""
    sick.programs({"key": key})
    context = sick.context()
    access = context.environment.providers["openrouter"]
    proof = proofs.check_key(access, Secret(sick.key), context.config, context.clock.now(), Retry())
    assert proof.accepted is (kind is None)
    assert [each.kind for each in proof.findings if each.severity == "error"] == ([kind] if kind else [])


def test_account_without_credit_is_not_accepted(sick: Clinic) -> None:
    sick.programs({"credit": 0})
    context = sick.context()
    access = context.environment.providers["openrouter"]
    proof = proofs.check_key(access, Secret(sick.key), context.config, context.clock.now(), Retry())
    assert (proof.accepted, proof.findings[0].kind) == (False, "no_credit")
