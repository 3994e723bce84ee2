"""Each problem of the plan document is made by a fault, found by doctor, fixed by what it prints, and then gone.

`Typist.mend` types what the finding prints, word for word, into the real tasks. Where the remedy begins outside of our
world (credit at the provider, another `.env`, code that must be mended), that step is done there first.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from migration.base.command import Do, chain, inv, sh, steps
from migration.base.errors import CutoverError, Refused
from migration.base.finding import Finding
from migration.base.plain import plain
from migration.clients.edge import Purpose
from migration.config import envfile, logsql
from migration.context import Context
from migration.deploy import deploy
from migration.inspect import doctor
from migration.logs.reader import LogReader
from tests.support import long, repos, sources
from tests.support.clinic import ARTIFACT, KIMI, MODEL, NAME, SPEAKER, Clinic, clinic
from tests.support.project import ROOT
from tests.support.retries import repeating
from tests.support.scene import index
from tests.support.typist import Elsewhere, Typist, commands, typing

OTHER_MODEL = "moonshotai/kimi-k2.6"
MENDED: dict[str, str] = {}


def mends(*kinds: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The test types the remedy of these kinds of findings; with a parameter `kind`, of the one that it names."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        MENDED.update(dict.fromkeys(kinds, test.__name__))
        test.__dict__["mends"] = kinds
        return test

    return mark


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with clinic(tmp_path_factory.mktemp("clinic")) as made:
        made.scene.commit({index(slug): KIMI for slug in ("alpha", "beta")}, "Speak")
        yield made


@pytest.fixture
def sick(shared: Clinic) -> Iterator[Clinic]:
    """Everything is deployed by `inv deploy`, the key is right: doctor finds nothing. Made anew once it is spoilt."""
    if shared.notes.pop("spoilt", True):
        heal(shared)
    shared.notes["spoilt"] = True
    yield shared
    repeating(True)
    shared.running.heal()
    shared.ask("DELETE", "/_sandbox/providers")


@pytest.fixture
def typist(sick: Clinic, request: pytest.FixtureRequest) -> Iterator[Typist]:
    began = time.monotonic()
    with typing(sick) as made:
        yield made
    given = getattr(request.node, "callspec", None)
    kind = given.params.get("kind") if given else None
    assert made.mended >= ({kind} if kind else set(request.function.mends)), "a remedy was not typed"
    if request.node.get_closest_marker("long"):
        told = {"mended by what it prints": "yes", "kind": " ".join(sorted(made.mended))}
        long.report("Doctor", request.node.name, 1, time.monotonic() - began, told)


def heal(found: Clinic) -> None:
    app = found.scene.app
    head = found.notes.setdefault("head", repos.git(app, "rev-parse", "HEAD"))
    repos.git(app, "reset", "--quiet", "--hard", head)
    repos.git(app, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    refs = repos.git(app, "for-each-ref", "--format=%(refname)", "refs/cutover").split()
    for name in refs:
        repos.git(app, "update-ref", "-d", name)
    shared = repos.git(app, "ls-remote", "origin", "refs/cutover/*", "refs/heads/cutover/*").split()[1::2]
    if shared:
        repos.git(app, "push", "--quiet", "origin", "--delete", *shared)
    found.reset()
    found.set_key()
    found.there("other")
    ship(found)


def mended(found: Clinic) -> None:
    """The test leaves everything as it was: the next one need not begin anew."""
    found.notes["spoilt"] = False


def another(found: Clinic) -> None:
    """Somebody mends the functions, commits and pushes."""
    found.notes["made"] = found.notes.get("made", 0) + 1
    found.scene.commit({index(slug): f"{KIMI}// {found.notes['made']}\n" for slug in ("alpha", "beta")}, "Mend")


def renew(found: Clinic) -> None:
    """Another version is live, which logged nothing yet: doctor reads the live version alone."""
    another(found)
    ship(found)
    mended(found)


def nothing() -> None:
    """The step elsewhere is advice that a test has no part in."""


def agree(_: Any) -> bool:
    return True


def ship(found: Clinic, **more: Any) -> None:
    result = deploy.run(found.context(), deploy.DeployOptions(yes=True, gate=False, **more))
    assert result.exit_code == 0, result


def look(found: Clinic, *names: str, context: Context | None = None) -> dict[str, Finding]:
    """What doctor finds with these probes, with all of them when none is named."""
    probes = {name: doctor.PROBES[f"the {name}"] for name in names} or doctor.PROBES
    return {each.kind: each for each in doctor.examine(context or found.context(), probes)}


def keys(typist: Typist) -> dict[str, Finding]:
    """What the next `inv doctor` finds out about secrets and the provider."""
    return look(typist.clinic, "secrets and the provider", context=typist.context())


def say(found: Clinic, *lines: str, slug: str = "alpha", expect: int = 1) -> None:
    """Have a function log these lines, and wait until the logs hold them."""
    context = found.context()
    assert context.edge.call(slug, purpose=Purpose.SMOKE, json=list(lines)).ok
    until(lambda: count(context, lines[0]) >= expect)


def count(context: Context, text: str) -> int:
    now = context.clock.now()
    where = logsql.contains(text[:60])
    return round(LogReader.of(context).scalar("count()", where, now - timedelta(hours=1), now + timedelta(minutes=1)))


def until(done: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def test_a_healthy_project_has_no_findings(sick: Clinic) -> None:
    found = doctor.run(sick.context())
    assert (found.findings, found.exit_code) == ((), 0)
    assert len(found.probes) == len(doctor.PROBES)
    mended(sick)


@pytest.mark.slow
@mends()
def test_fix_offers_a_test_message(sick: Clinic, typist: Typist, httpserver: HTTPServer) -> None:
    """It is asked about, sent to every notifier, and said where it went, without the token; one that cannot be used is
    a finding by its place in watch.notify."""
    httpserver.expect_request("/t0ken-0123456789").respond_with_data("ok")
    hook = f"json://127.0.0.1:{httpserver.port}/t0ken-0123456789"
    typist.config["watch"] = {"notify": ["${ALERT_URL}"]}
    typist.save()
    typist.env(**sick.values(), ALERT_URL=hook)
    assert typist.type(["inv", "doctor"]) == 0 and "test message" not in typist.said and not httpserver.log
    assert typist.type(["inv", "doctor", "--fix"]) == 0
    assert "watch.notify: sent a test message: JSON 1 (json://127.0.0.1) took it" in typist.said
    assert "t0ken-0123456789" not in typist.said
    assert ["PROD: test message" in request.get_data(as_text=True) for request, _ in httpserver.log] == [True]
    httpserver.clear()  # now it answers 500
    assert typist.type(["inv", "doctor", "--fix", "--yes"]) == 1 and "watch.notify: failed: " in typist.said
    typist.env(**sick.values(), ALERT_URL="slack://t0ken-0123456789")
    assert typist.type(["inv", "doctor"]) == 0
    assert "warning: inv watch cannot notify anyone" in typist.said and "t0ken" not in typist.said
    assert "watch.notify.0: Apprise knows no service of this URL" in typist.said
    typist.env(**sick.values())
    assert typist.type(["inv", "doctor"]) == 0 and "ALERT_URL is not set" in typist.said
    mended(sick)


def test_every_finding_has_a_test_that_types_its_remedy() -> None:
    """Read from the source: a new kind of finding without such a test fails here."""
    files = [
        *(ROOT / "migration/inspect").glob("*.py"),
        ROOT / "migration/setup/secret.py",
        *(file for file in (ROOT / "migration/providers").glob("*.py") if file.stem != "live"),  # offers no remedy
    ]
    known = {kind for file in [*files, ROOT / "migration/base/finding.py"] for kind in kinds(file)}
    assert len(known) > 40
    assert known == set(MENDED)


def kinds(file: Path) -> Iterator[str]:
    """The kinds that a module gives: what it calls Finding with, by name or by table."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Finding", "_covers"):
            first = node.args[2 if node.func.id == "_covers" else 0]
            if isinstance(first, ast.Constant):
                assert isinstance(first.value, str)
                yield first.value
            elif isinstance(first, ast.JoinedStr):  # logged_{status}
                yield from (f"{first.values[0].value}{status}" for status in (401, 402, 403))  # type: ignore[attr-defined]
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and node.targets[0].id == "_DEAD":  # type: ignore[attr-defined]
            yield from (key.value for key in node.value.keys)  # type: ignore[union-attr]


def test_first_way_is_typed() -> None:
    """Of a fix, the commands before the label of another way."""
    both = chain(inv("a", b="c d"), sh("git", "-C", "/x", "push"))
    fix = steps(Do("do this there"), both, Do("or to take it back:"), inv("rollback"))
    assert commands(fix) == [["inv", "a", "--b", "c d"], ["git", "-C", "/x", "push"]]


# The key


@mends("absent")
def test_a_missing_key_is_found_and_set(sick: Clinic, typist: Typist) -> None:
    sick.unset(NAME)
    found = look(sick, "secrets and the provider")["absent"]
    assert (found.severity, str(found.fix)) == ("error", "inv secret --set && inv deploy")
    typist.mend(found)
    assert look(sick) == {}
    mended(sick)


@mends("no_local")
def test_a_key_missing_in_env_is_found_and_asked_for(sick: Clinic, typist: Typist) -> None:
    typist.env(**{name: value for name, value in sick.values().items() if name != NAME})
    found = keys(typist)
    assert set(found) == {"no_local"}, "one missing value is one finding"
    typist.answers = {NAME: sick.key}
    typist.mend(found["no_local"])
    assert keys(typist) == {} and envfile.exposed(typist.root) == ""
    mended(sick)


@mends("key_absent")
def test_a_key_of_the_provider_that_nobody_here_has_is_asked_for(sick: Clinic, typist: Typist) -> None:
    typist.config["providers"]["openrouter"]["key"] = "${KEY_FOR_LOOKING}"
    typist.save()
    found = keys(typist)["key_absent"]
    assert found.severity == "warning", "CI deploys without it"
    typist.answers = {"KEY_FOR_LOOKING": sick.key}
    typist.mend(found)
    assert keys(typist) == {}
    mended(sick)


@mends("format")
def test_a_mistyped_key_is_found_before_anything_is_sent(sick: Clinic, typist: Typist) -> None:
    typist.env(**{**sick.values(), NAME: "my password"})
    typist.mend(keys(typist)["format"], lambda: typist.env(**sick.values()))
    assert keys(typist) == {}
    mended(sick)


@pytest.mark.long
@mends("reserved")
def test_a_name_of_the_platforms_own_is_found(sick: Clinic, typist: Typist) -> None:
    right = dict(typist.config["secrets"])
    typist.config["secrets"] = {"SB_REGION": {}}
    typist.save()
    found = keys(typist)["reserved"]

    def rename() -> None:
        typist.config["secrets"] = right
        typist.save()

    typist.mend(found, rename)
    assert keys(typist) == {}
    mended(sick)


@mends("differs")
def test_another_key_in_the_project_is_found_and_replaced(sick: Clinic, typist: Typist) -> None:
    sick.set_key("sk-or-v1-" + "e" * 64)
    typist.mend(look(sick, "secrets and the provider")["differs"])
    assert look(sick, "secrets and the provider") == {}
    mended(sick)


@mends("opaque")
def test_a_digest_that_cannot_be_compared_is_proven_by_use(sick: Clinic, typist: Typist) -> None:
    """The form of the digest is the platform's: the printed smoke test proves the key, and the form goes back."""
    rows = [{"name": NAME, "value": "v2:opaque", "updated_at": "2026-11-01T00:00:00Z"}]
    sick.running.fault("secrets_list", "json", body=rows, times=0)
    typist.mend(keys(typist)["opaque"])
    assert "4 of 4 cases passed" in typist.said
    sick.running.heal()
    assert keys(typist) == {}
    mended(sick)


@mends("unreachable")
def test_a_provider_out_of_reach_is_found(sick: Clinic, typist: Typist) -> None:
    """It comes back by itself; the printed command shows that it did."""
    repeating(False)
    typist.config["providers"]["openrouter"]["url"] = "http://127.0.0.1:9"
    typist.save()
    found = keys(typist)["unreachable"]
    typist.config = sick.settings()
    typist.save()
    typist.mend(found)
    assert keys(typist) == {}
    mended(sick)


def new_key(typist: Typist) -> None:
    """Make one on the provider's page, and put it into `.env`."""
    headers = {"Authorization": f"Bearer {typist.clinic.management_key}"}
    typist.clinic.programs({})
    made = typist.clinic.ask("POST", "/_openrouter/api/v1/keys", {"name": "another"}, headers)["key"]
    typist.env(**{**typist.clinic.values(), NAME: made})


def at_provider(**programs: Any) -> Callable[[Typist], Elsewhere]:
    """What a person changes on the provider's page: no command of ours can."""
    return lambda typist: functools.partial(typist.clinic.programs, programs)


def listed_model(typist: Typist) -> Elsewhere:
    """Choose a listed model in config.yaml, with its price, and in the functions; push."""

    def choose() -> None:
        listed = typist.clinic.ask("GET", "/_openrouter/api/v1/models")["data"]
        pricing = next(each["pricing"] for each in listed if each["id"] == OTHER_MODEL)
        each = {"input": "prompt", "cached_input": "input_cache_read", "output": "completion"}
        price = {name: round(float(pricing[theirs]) * 1e6, 6) for name, theirs in each.items()}
        typist.config["providers"]["openrouter"] |= {"model": OTHER_MODEL, "price": price}
        typist.save()
        another(typist.clinic)

    return choose


def listed_price(typist: Typist) -> Elsewhere:
    def write() -> None:
        typist.config["providers"]["openrouter"]["price"]["output"] = 8.0
        typist.save()

    return write


def new_one(typist: Typist) -> Elsewhere:
    return functools.partial(new_key, typist)


SOON = f"{time.strftime('%Y-%m-%d', time.gmtime(time.time() + 3 * 86400))}"
PROVIDER = [
    pytest.param({"key": {"disabled": True}}, at_provider(), "disabled_key"),
    pytest.param({"key": {"expires_at": "2026-01-01T00:00:00Z"}}, new_one, "expired_key"),
    pytest.param({"dead_key": True}, new_one, "unknown_key"),
    pytest.param({"key": {"expires_at": f"{SOON}T00:00:00Z"}}, new_one, "key_expires", marks=pytest.mark.long),
    pytest.param({"key": {"free_tier": True}}, at_provider(), "free_tier", marks=pytest.mark.long),
    pytest.param({"key": {"limit": 0}}, at_provider(key={"limit": 100}), "key_limit"),
    pytest.param({"key": {"limit": 3}}, at_provider(key={"limit": 100}), "key_limit_low", marks=pytest.mark.long),
    pytest.param({"credit": 0}, at_provider(credit=100), "no_credit", marks=pytest.mark.long),
    pytest.param({"credit": 3}, at_provider(credit=100), "low_credit", marks=pytest.mark.long),
    pytest.param({"listed_price": {"output": 8}}, listed_price, "price_drift", marks=pytest.mark.long),
    pytest.param({"models": {MODEL: {"listed": False}, OTHER_MODEL: {}}}, listed_model, "no_model",
                 marks=pytest.mark.long),
    pytest.param({"models": {MODEL: {"endpoints": 0}, OTHER_MODEL: {}}}, listed_model, "no_endpoints",
                 marks=pytest.mark.long),
    pytest.param({"models": {MODEL: {"expiration_date": "2026-01-01"}, OTHER_MODEL: {}}}, listed_model, "model_expired",
                 marks=pytest.mark.long),
    pytest.param({"models": {MODEL: {"expiration_date": SOON}, OTHER_MODEL: {}}}, listed_model, "model_expires",
                 marks=pytest.mark.long),
]  # fmt: skip


@pytest.mark.slow
@mends(*(str(each.values[2]) for each in PROVIDER))
@pytest.mark.parametrize(("trouble", "elsewhere", "kind"), PROVIDER)
def test_what_the_provider_refuses_is_told_apart(
    sick: Clinic, typist: Typist, trouble: dict[str, Any], elsewhere: Callable[[Typist], Elsewhere], kind: str
) -> None:
    sick.programs(trouble)
    found = keys(typist)
    assert set(found) == {kind}
    typist.mend(found[kind], elsewhere(typist))
    assert keys(typist) == {}
    sick.set_key()
    mended(sick)


@mends("wrong_kind")
def test_a_key_of_the_wrong_kind_is_found(sick: Clinic, typist: Typist) -> None:
    sick.set_key(sick.management_key)
    typist.env(**{**sick.values(), NAME: sick.management_key})
    found = keys(typist)["wrong_kind"]
    assert found.severity == "error"
    typist.mend(found, lambda: typist.env(**sick.values()))
    assert keys(typist) == {}
    mended(sick)


@pytest.mark.long
@mends("management_key")
def test_a_management_key_that_is_refused_is_found(sick: Clinic, typist: Typist) -> None:
    typist.env(**{**sick.values(), "OPENROUTER_MANAGEMENT_KEY": "sk-or-v1-" + "0" * 64})
    without = {name: value for name, value in sick.values().items() if name != "OPENROUTER_MANAGEMENT_KEY"}
    typist.mend(keys(typist)["management_key"], lambda: typist.env(**without))
    assert keys(typist) == {}
    mended(sick)


LOGGED = [
    (401, "User not found.", "is unknown", new_one, "logged_401"),
    pytest.param(402, "Insufficient credits.", "credit", at_provider(), "logged_402", marks=pytest.mark.long),
    pytest.param(403, "Key limit exceeded (total limit).", "limit is used up", at_provider(), "logged_403",
                 marks=pytest.mark.long),
]  # fmt: skip


@mends("logged_401", "logged_402", "logged_403")
@pytest.mark.parametrize(("status", "said", "problem", "elsewhere", "kind"), LOGGED)
def test_refusals_are_read_from_the_functions_own_lines(
    sick: Clinic, typist: Typist, status: int, said: str, problem: str, elsewhere: Callable[[Typist], Elsewhere],
    kind: str,
) -> None:  # fmt: skip
    """Even where nobody here has the key: the functions log what the provider answered them, until it serves again."""
    say(sick, f"❌ Failed: OpenRouter {status}: {said}")
    found = look(sick, "logs", context=sick.context(secrets={}))[kind]
    assert problem in found.problem and said in found.evidence
    typist.mend(found, elsewhere(typist))
    until(lambda: kind not in look(sick, "logs"))
    sick.set_key()
    mended(sick)


@mends("not_configured")
def test_a_function_without_its_key_is_found(sick: Clinic, typist: Typist) -> None:
    sick.unset(NAME)
    say(sick, f"❌ Failed: {NAME} not configured")
    found = look(sick, "logs")["not_configured"]
    assert str(found.fix) == "inv secret --set && inv deploy"
    typist.mend(found)
    assert look(sick, "logs") == {}
    mended(sick)


# The functions


@pytest.mark.slow
@mends("missing")
def test_a_missing_function_is_found_and_deployed(sick: Clinic, typist: Typist) -> None:
    """One of ours by our own verb, one that we leave alone by the platform's."""
    for slug in ("beta", "other"):
        sick.context().supabase.delete(slug)
        found = look(sick, "functions")["missing"]
        assert found.subject == slug
        typist.mend(found)
        assert look(sick, "functions") == {}
    mended(sick)


def listed(found: Clinic, slug: str, **changed: Any) -> None:
    """The platform's list says so of this function from now on."""
    found.running.fault("list", "patch", slug=slug, patch=changed, times=0)


@pytest.mark.long
@mends("inactive")
@pytest.mark.parametrize("status", ["REMOVED", "THROTTLED"])
def test_an_inactive_function_is_found(sick: Clinic, typist: Typist, status: str) -> None:
    """The stand-in knows ACTIVE alone: it says so again once the function is deployed, or the bill is paid."""
    listed(sick, "beta", status=status)
    found = look(sick, "functions")["inactive"]
    assert status in found.problem
    typist.mend(found, sick.running.heal if status == "THROTTLED" else None)
    sick.running.heal()
    assert look(sick, "functions") == {}
    mended(sick)


def strange(found: Clinic, slug: str) -> None:
    """Somebody deploys a change of their own by the dashboard."""
    context = found.context()
    own = sources.read(context.app, slug, context.state)
    changed = {path: data + b"// by hand\n" for path, data in own.files.items()}
    context.supabase.deploy(type(own)(**{**vars(own), "files": changed}).upload(False))


@pytest.mark.slow
@mends("drifted")
def test_a_deploy_by_another_road_is_found_and_taken_back(sick: Clinic, typist: Typist) -> None:
    """Drift is shown with both versions and the diff; the printed hash accepts what the plan shows."""
    strange(sick, "alpha")
    found = look(sick, "functions")["drifted"]
    assert "// by hand" in found.evidence and str(found.fix).startswith("inv plan --diff")
    typist.mend(found)
    assert look(sick, "functions") == {}
    mended(sick)


@mends("undeployed")
def test_code_that_is_not_deployed_is_found(sick: Clinic, typist: Typist) -> None:
    another(sick)
    found = look(sick, "functions")["undeployed"]
    assert found.severity == "warning"
    typist.mend(found)
    assert look(sick, "functions") == {}
    mended(sick)


def test_a_broken_checkout_hides_nothing_of_production(sick: Clinic) -> None:
    """A syntax error here is one finding; what runs there is judged all the same, and what is on hold is named."""
    strange(sick, "alpha")
    strange(sick, "other")
    (sick.scene.app / index("alpha")).write_text("Deno.serve(() => {\n  const = 1;\n});\n")
    result = doctor.run(sick.context())
    found = {each.kind: each for each in result.findings}
    assert set(found) == {"unmeasured", "drifted", "unchanged_live"} and result.exit_code == 1
    assert found["unmeasured"].problem == "the checkout could not be checked" and "2:" in found["unmeasured"].evidence
    assert "Cutover left v" in found["drifted"].evidence


@pytest.mark.slow
@mends("verify_jwt")
def test_a_flipped_verify_jwt_is_found_and_set_right(sick: Clinic, typist: Typist) -> None:
    """What config.toml writes is what must be deployed: an open door is told as one."""
    sick.scene.commit({"supabase/config.toml": 'project_id = "test"\n[functions.beta]\nverify_jwt = true\n'}, "Shut")
    ship(sick)
    own = sick.running
    headers = {"Authorization": f"Bearer {own.access_token}"}
    sick.ask("PATCH", f"/v1/projects/{own.project_ref}/functions/beta", {"verify_jwt": False}, headers)
    found = look(sick, "functions")["verify_jwt"]
    assert "anyone can call it" in found.problem
    typist.mend(found)
    assert look(sick, "functions") == {}


@mends("unchanged")
def test_a_function_that_must_not_change_is_found_and_restored(sick: Clinic, typist: Typist) -> None:
    """In git by the diff and exactly its files, whatever else is staged; on the platform as well."""
    sick.scene.commit({index("other"): "// touched\n" + SPEAKER}, "Touch other")
    sick.there("other")
    (sick.scene.app / "mine.txt").write_text("staged by somebody")
    repos.git(sick.scene.app, "add", "mine.txt")
    found = look(sick, "functions")
    assert "// touched" in found["unchanged"].evidence and "// touched" in found["unchanged_live"].evidence
    typist.mend(found["unchanged"])
    assert look(sick, "functions") == {}
    assert repos.git(sick.scene.app, "diff", "--cached", "--name-only") == "mine.txt"
    repos.git(sick.scene.app, "rm", "--quiet", "--force", "mine.txt")
    mended(sick)


@mends("unchanged_live")
def test_a_function_that_somebody_else_deployed_is_found_and_restored(sick: Clinic, typist: Typist) -> None:
    strange(sick, "other")
    found = look(sick, "functions")
    assert set(found) == {"unchanged_live"}
    typist.mend(found["unchanged_live"])
    assert look(sick, "functions") == {}
    mended(sick)


@pytest.mark.slow
@mends("stale")
def test_an_old_version_that_answers_is_found(sick: Clinic, typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what callers got: the platform comes to the new version by itself, so waiting is the remedy."""
    monkeypatch.setattr("migration.inspect.diagnose_traffic.SETTLED", timedelta())
    renew(sick)
    sick.running.fault("route", "stale", slug="alpha", times=0)
    sick.context().edge.call("alpha", purpose=Purpose.SMOKE, json=[])
    found = look(sick, "logs")["stale"]
    sick.running.heal()
    sick.context().edge.call("alpha", purpose=Purpose.SMOKE, json=[])
    typist.mend(found)
    assert "stale" not in look(sick, "logs", context=typist.context())
    mended(sick)


# The logs


@pytest.mark.slow
@mends("old_route")
def test_the_old_route_is_found_where_the_new_one_is_wanted(
    sick: Clinic, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migration.inspect.diagnose_traffic.SETTLING", 0)
    say(sick, "🔑 Using GOOGLE_KEY_3 (10 in the pool)")
    found = look(sick, "logs")["old_route"]
    assert "GOOGLE_KEY_3" in found.evidence and "the live version" in found.evidence
    typist.mend(found, lambda: another(sick))
    assert look(sick, "logs") == {}
    mended(sick)


@pytest.mark.long
@mends("old_route")
def test_the_old_route_of_a_version_that_should_be_gone_passes(
    sick: Clinic, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migration.inspect.diagnose_traffic.SETTLING", 0)
    renew(sick)
    sick.running.fault("route", "stale", slug="alpha", times=0)
    say(sick, "🔑 Using GOOGLE_KEY_4 (10 in the pool)")
    found = look(sick, "logs")["old_route"]
    sick.running.heal()
    assert "is live" in found.evidence
    typist.mend(found)
    assert look(sick, "logs", context=typist.context()) == {}
    renew(sick)


@mends("logs")
def test_a_failing_log_endpoint_is_a_finding_not_an_end(sick: Clinic, typist: Typist) -> None:
    repeating(False)
    sick.running.fault("logs", "status", status=403, body={"message": "Forbidden"}, times=0)
    run = doctor.run(sick.context())
    found = {each.kind: each for each in run.findings}["logs"]
    assert run.exit_code == 4
    typist.mend(found, sick.running.heal)
    assert look(sick, "logs") == {}
    mended(sick)


@mends("errors")
def test_calls_that_fail_are_found(sick: Clinic, typist: Typist) -> None:
    """What callers feel, though every probe of ours passes: the functions answer 503 and log why. That one of them was
    rate-limited on the way explains the others not."""
    failing = KIMI.replace('new Response("said")', 'new Response("busy", { status: 503 })')
    sick.scene.commit({index("alpha"): failing}, "Fail")
    ship(sick)
    for _ in range(4):
        sick.context().edge.call("alpha", json=["❌ Failed: OpenRouter 503: overloaded"], purpose=Purpose.SMOKE)
    limited = ["🔁 Retry 1 of 2 in 700 ms: OpenRouter 429: busy", "❌ Failed: OpenRouter 503: overloaded"]
    sick.context().edge.call("alpha", json=limited, purpose=Purpose.SMOKE)
    until(lambda: {"errors", "rate_limit"} <= set(look(sick, "logs")))
    found = look(sick, "logs")["errors"]
    assert found.severity == "error" and re.match(r"5 of \d+ calls failed", found.problem)
    assert "alpha 5 of 5; 5 × 503; 5 lines" in found.evidence and "overloaded" in found.evidence
    typist.mend(found)
    assert look(sick, "logs", context=typist.context()) == {}


@pytest.mark.slow
@mends("retries", "timeouts")
def test_retries_and_timeouts_are_findings(sick: Clinic, typist: Typist) -> None:
    """Callers still get their answers: warnings, each with its own lines."""
    renew(sick)
    say(sick, *["🔁 Retry 1 of 2 in 700 ms: OpenRouter 503: overloaded"] * 4)
    found = look(sick, "logs")
    assert set(found) == {"retries"} and found["retries"].severity == "warning"
    assert found["retries"].problem.startswith("the functions retried 4 times for 1 call in the last")
    assert "4 × 503; 4 lines" in found["retries"].evidence
    typist.mend(found["retries"])
    typist.ahead = 0.0
    renew(sick)
    say(sick, *["❌ Failed: TimeoutError: Signal timed out."] * 3)
    found = look(sick, "logs")
    assert set(found) == {"timeouts"} and "3 log lines" in found["timeouts"].problem
    assert "--grep TimeoutError" in str(found["timeouts"].fix)
    typist.mend(found["timeouts"], lambda: another(sick))
    assert look(sick, "logs", context=typist.context()) == {}
    mended(sick)


@pytest.mark.slow
@mends("rate_limit")
def test_a_near_rate_limit_is_found(sick: Clinic, typist: Typist) -> None:
    """Waiting is the remedy: what was said a quarter of an hour ago is no news."""
    say(sick, "🔁 Retry 1 of 2 in 700 ms: OpenRouter 429: Provider returned error")
    found = look(sick, "logs")["rate_limit"]
    assert "met 429" in found.evidence
    typist.mend(found, nothing)
    assert look(sick, "logs", context=typist.context()) == {}
    renew(sick)


@pytest.mark.slow
@mends("api_limit")
def test_a_near_limit_of_the_management_api_is_read_from_its_answers(sick: Clinic, typist: Typist) -> None:
    """Others of the account have used it up, not doctor's own few calls; with the next window it is gone."""
    rows = [dict(each.raw) for each in sick.context().supabase.functions()]
    said = {"x-ratelimit-limit": "120", "x-ratelimit-remaining": "9", "x-ratelimit-reset": "37"}
    sick.running.fault("list", "status", status=200, body=rows, headers=said, times=0)
    found = look(sick)["api_limit"]
    assert (found.subject, str(found.fix)) == ("GET /v1/projects/…/functions", "sleep 37 && inv doctor")
    assert "9 of 120 calls are left" in found.evidence
    sick.running.heal()
    typist.mend(found)
    assert look(sick) == {}
    mended(sick)


# The workers


@pytest.mark.slow
@mends("warm")
def test_a_warm_worker_that_keeps_the_old_key_is_found(tmp_path: Any) -> None:
    """Where workers keep their environment, the secret changed and the function still answers from before it."""
    with clinic(tmp_path, edge={"warm_secrets": True}) as cold, typing(cold) as typist:
        cold.set_key("sk-or-v1-" + "d" * 64)
        cold.there("other")
        cold.scene.commit({index(slug): KIMI for slug in ("alpha", "beta")}, "Speak")
        assert deploy.run(cold.context(secrets={}), deploy.DeployOptions(yes=True, gate=False)).exit_code == 0, (
            "nobody here needs the key"
        )
        for slug in ("alpha", "beta"):
            cold.context().edge.call(slug, purpose=Purpose.PROBE, method="OPTIONS", auth="none")
        cold.set_key()
        for slug in ("alpha", "beta"):
            cold.context().edge.call(slug, purpose=Purpose.PROBE, method="OPTIONS", auth="none")
        typist.mend(look(cold, "workers")["warm"])
        assert look(cold, "workers") == {}


@pytest.mark.slow
@mends("refs")
def test_a_host_that_cannot_carry_the_lock_is_found_when_fixing(sick: Clinic, typist: Typist) -> None:
    """The host refuses refs of our kind; trying that writes, so only `--fix` does."""
    with refusing(sick):
        assert "refs" not in {each.kind for each in doctor.run(sick.context()).findings}
        found = {each.kind: each for each in doctor.run(typist.context(), fix=lambda _: False).findings}["refs"]

        def elsewhere() -> None:
            typist.config["app"]["ledger"] = "refs/heads/cutover"
            typist.save()

        typist.mend(found, elsewhere)
        assert doctor.run(typist.context(), fix=lambda _: False).findings == ()


@contextlib.contextmanager
def refusing(found: Clinic) -> Iterator[None]:
    """The git host refuses refs of our own kind meanwhile."""
    hook = found.scene.folder / "remote.git" / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    said = "refs of this kind are not allowed"
    hook.write_text(f'#!/bin/sh\ncase "$1" in refs/cutover/*) echo "{said}" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    try:
        yield
    finally:
        hook.unlink()


# The costs


@pytest.mark.slow
@mends("costs")
@pytest.mark.parametrize(
    ("line", "attempts", "first", "fix"),
    [
        (ARTIFACT % (1000, 900, 700, 100, 1700, "0.0019"), 3, "retries (8 of 12", "inv logs --signal retry"),
        pytest.param(
            ARTIFACT % (1000, 900, 5000, 4500, 6000, "0.0127"),
            1,
            "thinking (18000 of 20000",
            "lower max_tokens",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ARTIFACT % (1000, 900, 5000, 100, 6000, "0.0127"),
            1,
            "long answers (4900 tokens",
            "raise temperature",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ARTIFACT % (30000, 0, 500, 100, 30500, "0.0193"),
            1,
            "cache misses (0 of 120000",
            "cache common prompts",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ARTIFACT % (1000, 900, 500, 100, 1500, "0.0200"),
            1,
            "a higher price than configured",
            "the provider's price",
            marks=pytest.mark.long,
        ),
    ],
)
def test_high_costs_are_explained_by_their_largest_share(
    sick: Clinic, typist: Typist, line: str, attempts: int, first: str, fix: str
) -> None:
    """Four artifacts; the largest share of the spend comes first, and the fix is the runbook's for it."""
    renew(sick)
    context = sick.context()
    for slug in ("alpha", "beta", "alpha", "beta"):
        assert context.edge.call(slug, purpose=Purpose.SMOKE, json=[line] * attempts).ok
    until(lambda: count(context, "Token usage") >= 4 * attempts)
    until(lambda: "costs" in look(sick, "costs"))
    found = look(sick, "costs")["costs"]
    share = re.search(r"of \$[\d.]+: \d+% ([^$]+)", found.evidence)
    assert share and share[1].startswith(first), found.evidence
    assert fix in str(found.fix)

    def elsewhere() -> None:
        typist.config["criteria"]["cost_per_request"]["mean"] = 0.03 if "price" in fix else 0.005
        typist.save()
        another(sick)

    typist.mend(found, elsewhere)
    assert look(sick, "costs", context=typist.context()) == {}
    renew(sick) if "price" in fix else mended(sick)


# The ledger


@pytest.mark.long
@mends("interrupted")
def test_an_interrupted_deployment_is_found_and_finished(
    sick: Clinic, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick.scene.commit({index(slug): KIMI + "// half\n" for slug in ("alpha", "beta")}, "Half")
    sick.running.fault("activate", "status", status=500, times=0)
    monkeypatch.setattr("migration.deploy.records.Recording.outcome", lambda *_: None)
    from migration.deploy.staging import Pace

    quick = Pace(upload=5, retry=0.2, limited=0.2, activate=0.5, wait=0.05, longest=0.1)
    with contextlib.suppress(CutoverError):
        deploy.run(sick.context(), deploy.DeployOptions(yes=True, gate=False, pace=quick))
    monkeypatch.undo()
    sick.running.heal()
    found = look(sick, "ledger")["interrupted"]
    assert found.severity == "error" and "inv rollback" in str(found.fix)
    typist.mend(found)
    assert look(sick, "ledger") == {}
    mended(sick)


@pytest.mark.long
@mends("hold")
def test_a_hold_is_found_and_lifted(sick: Clinic, typist: Typist) -> None:
    """After a rollback: the printed commands revert the revert, push, and deploy it again."""
    renew(sick)
    assert typist.type(["inv", "rollback"]) == 4, "live again; these functions have no line of their own to prove it"
    found = look(sick, "ledger")["hold"]
    assert "--lift-hold" in str(found.fix) and found.severity == "warning"
    typist.mend(found)
    assert look(sick, "ledger", "functions") == {}
    mended(sick)


@mends("stale_lock")
def test_a_lock_whose_owner_is_gone_is_found_and_taken(sick: Clinic, typist: Typist) -> None:
    dead_owner(sick)
    found = look(sick, "ledger")["stale_lock"]
    assert str(found.fix).startswith("inv unlock ")
    typist.mend(found)
    assert look(sick, "ledger") == {}
    mended(sick)


@pytest.mark.long
def test_a_lock_whose_owner_is_gone_is_taken_by_fix_which_asks(sick: Clinic) -> None:
    dead_owner(sick)
    found = look(sick, "ledger")["stale_lock"]
    fixed = doctor.run(sick.context(), fix=agree)
    assert found.safe and [each["problem"] for each in fixed.fixed] == [found.problem]
    assert look(sick, "ledger") == {}
    mended(sick)


def dead_owner(found: Clinic) -> None:
    """A process that took the lock and was killed."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.support.repos import ledger, lock\n"
        "lock(ledger(Path(sys.argv[1]))).acquire('deploying')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(found.scene.app)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -9


@mends("unpushed")
def test_records_that_never_left_are_found_and_pushed(sick: Clinic, typist: Typist) -> None:
    """Reading pushes them, too: they wait only while the host takes nothing."""
    context = sick.context()
    record = context.ledger.stamp({"record": "note", "text": "late"})
    context.ledger.emergency.save(record)
    with refusing(sick):
        found = look(sick, "ledger")["unpushed"]
    assert found.safe
    typist.mend(found)
    assert look(sick, "ledger") == {}
    assert record["id"] in {each["id"] for each in sick.context().ledger.records()}
    mended(sick)


@mends("ledger_offline")
def test_a_remote_that_is_gone_is_found(sick: Clinic, typist: Typist) -> None:
    repeating(False)
    url = repos.git(sick.scene.app, "remote", "get-url", "origin")
    repos.git(sick.scene.app, "remote", "set-url", "origin", f"{url}-gone")
    found = look(sick, "ledger")["ledger_offline"]
    typist.mend(found, lambda: repos.git(sick.scene.app, "remote", "set-url", "origin", url))
    assert look(sick, "ledger") == {}
    mended(sick)


# Itself


@mends("env_exposed")
def test_fixing_asks_for_each_and_takes_no_for_an_answer(sick: Clinic, typist: Typist) -> None:
    context = sick.context()
    (context.root / ".env").chmod(0o644)
    asked: list[str] = []

    def no(what: str) -> bool:
        asked.append(what)
        return False

    refused = doctor.run(context, fix=no)
    assert len(asked) == 1 and "chmod 600 .env" in asked[0]
    assert [(each["did"], each["ok"]) for each in refused.fixed] == [("not done: not confirmed", False)]
    assert refused.message == "Nothing was applied. 1 problem left: 1 not done (see above)."
    (found,) = refused.findings
    typist.mend(found)
    assert doctor.run(context).findings == ()
    (context.root / ".env").chmod(0o644)
    fixed = doctor.run(context, fix=agree)
    assert fixed.findings == () and fixed.message == "Applied 1 fix."
    mended(sick)


@mends("env_not_ignored")
def test_an_env_that_git_would_take_in_is_found(sick: Clinic, typist: Typist) -> None:
    repos.git(typist.root, "init", "--quiet")
    typist.mend(keys(typist)["env_not_ignored"])
    assert keys(typist) == {}
    assert ".env" in (typist.root / ".gitignore").read_text().split()
    shutil.rmtree(typist.root / ".git")
    mended(sick)


@mends("unmeasured")
def test_one_probe_that_cannot_look_does_not_stop_the_others(sick: Clinic, typist: Typist) -> None:
    repeating(False)
    sick.running.fault("secrets_list", "status", status=403, body={"message": "no"}, times=0)
    sick.running.fault("logs", "status", status=403, body={"message": "no"}, times=0)
    run = doctor.run(sick.context())
    found = {each.kind: each for each in run.findings}
    assert "403" in found["unmeasured"].evidence and "logs" in found
    assert run.exit_code == 4
    typist.mend(found["unmeasured"], sick.running.heal)
    assert look(sick) == {}
    mended(sick)


@mends("unmeasured")
def test_a_missing_token_is_one_finding(sick: Clinic, typist: Typist) -> None:
    """What keeps six probes from looking is one finding, with the command that asks for it; so is a refused one."""
    given = sick.values()
    typist.env(**{name: value for name, value in given.items() if name != "SUPABASE_ACCESS_TOKEN"})
    run = doctor.run(typist.context())
    assert [each.kind for each in run.findings] == ["unmeasured"] and run.exit_code == 4
    assert run.findings[0].problem.startswith("SUPABASE_ACCESS_TOKEN is not set")
    assert run.findings[0].evidence.startswith("not checked: the secrets and the provider, the functions, the logs")
    typist.answers = {"SUPABASE_ACCESS_TOKEN": given["SUPABASE_ACCESS_TOKEN"]}
    typist.mend(run.findings[0], nothing)
    typist.env(**given | {"SUPABASE_ACCESS_TOKEN": "sbp_" + "0" * 40})
    (refused,) = doctor.run(typist.context()).findings
    assert refused.problem == "the Management API answered 401: Unauthorized"
    typist.mend(refused, lambda: typist.env(**given))
    mended(sick)


def test_an_environment_without_a_project_is_refused(sick: Clinic) -> None:
    with pytest.raises(Refused, match="project_ref"):
        doctor.run(sick.context(project_ref=None))
    mended(sick)


def test_the_result_is_plain_data(sick: Clinic) -> None:
    sick.programs({"credit": 0})
    data = plain(doctor.run(sick.context()))
    assert {"problem", "evidence", "fix", "severity"} <= set(data["findings"][0])
    assert isinstance(doctor.run(sick.context()), doctor.DoctorResult)
    mended(sick)
