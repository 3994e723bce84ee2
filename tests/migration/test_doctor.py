"""Each trouble of the runbook is made by a fault, found by doctor, mended by the command it prints, and then gone."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stamina

from migration import deploy, doctor, secret_set, source
from migration.code import functions_config
from migration.common.finding import Finding
from migration.common.secrets_type import Secret
from migration.context import Context
from migration.doctor import Diagnosis
from migration.errors import Refused
from migration.repo import hold
from migration.report.sink import plain
from tests.support import repos
from tests.support.clinic import KIMI, MODEL, NAME, SPEAKER, Clinic, clinic
from tests.support.project import ROOT
from tests.support.scene import index

ARTIFACT = 'Token usage: { input: %d, cached: %d, output: %d, reasoning: %d, total: %d, estimatedCost: "$%s" }'


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
    stamina.set_testing(False)
    shared.running.heal()
    shared.ask("DELETE", "/_sandbox/providers")


def heal(found: Clinic) -> None:
    app = found.scene.app
    head = found.notes.setdefault("head", repos.git(app, "rev-parse", "HEAD"))
    repos.git(app, "reset", "--quiet", "--hard", head)
    repos.git(app, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    refs = repos.git(app, "for-each-ref", "--format=%(refname)", "refs/cutover").split()
    for name in refs:
        repos.git(app, "update-ref", "-d", name)
    shared = repos.git(app, "ls-remote", "origin", "refs/cutover/*").split()[1::2]
    if shared:
        repos.git(app, "push", "--quiet", "origin", "--delete", *shared)
    found.reset()
    found.set_key()
    there(found, "other")
    ship(found)


def mended(found: Clinic) -> None:
    """The test leaves everything as it was: the next one need not begin anew."""
    found.notes["spoilt"] = False


def renew(found: Clinic) -> None:
    """Deploy another version, as the remedy of what the last one logged: doctor reads the live version alone."""
    found.notes["made"] = found.notes.get("made", 0) + 1
    files = {index(slug): f"{KIMI}// {found.notes['made']}\n" for slug in ("alpha", "beta")}
    found.scene.commit(files, "Another version")
    ship(found)
    mended(found)


def agree(_: Any) -> bool:
    return True


def ship(found: Clinic, **more: Any) -> None:
    result = deploy.run(found.context(), yes=True, gate=False, **more)
    assert result.exit_code == 0, result


def there(found: Clinic, slug: str, verify_jwt: bool = False) -> None:
    """Deploy what the app holds by another road than ours, as the platform's own CLI would."""
    context = found.context()
    context.supabase.deploy(source.read(context.app, slug, context.state).upload(verify_jwt))


def look(found: Clinic, *names: str, context: Context | None = None) -> dict[str, Finding]:
    """What doctor finds with these probes, with all of them when none is named."""
    probes = {name: doctor.PROBES[f"the {name}"] for name in names} or doctor.PROBES
    return {each.kind: each for each in doctor.examine(context or found.context(), probes)}


def say(found: Clinic, *lines: str, slug: str = "alpha", expect: int = 1) -> None:
    """Have a function log these lines, and wait until the logs hold them."""
    context = found.context()
    assert context.edge.call(slug, json=list(lines)).ok
    until(lambda: count(context, lines[0]) >= expect)


def count(context: Context, text: str) -> int:
    from migration.logbook import logsql
    from migration.logbook.logquery import LogReader

    now = context.clock.now()
    where = logsql.contains(text[:60])
    from datetime import timedelta

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


# The key


def test_a_missing_key_is_found_and_set(sick: Clinic) -> None:
    sick.context().supabase.unset_secrets([NAME])
    found = look(sick, "secrets and the provider")["absent"]
    assert (found.severity, found.fix) == ("error", "inv secret --set && inv deploy")
    secret_set.set_all(sick.context(), confirm=agree)
    ship(sick)
    assert look(sick) == {}
    mended(sick)


def test_a_key_missing_in_env_is_found(sick: Clinic) -> None:
    found = look(sick, "secrets and the provider", context=sick.context(secrets={}))
    assert found["no_local"].fix == "inv init"
    assert look(sick, "secrets and the provider") == {}
    mended(sick)


def test_another_key_in_the_project_is_found_and_replaced(sick: Clinic) -> None:
    sick.set_key("sk-or-v1-" + "e" * 64)
    assert look(sick, "secrets and the provider")["differs"].fix == "inv secret --set"
    secret_set.set_all(sick.context(), confirm=agree)
    assert look(sick, "secrets and the provider") == {}
    mended(sick)


@pytest.mark.parametrize(
    ("trouble", "mend", "kind"),
    [
        ({"key": {"disabled": True}}, {}, "disabled_key"),
        ({"key": {"expires_at": "2026-01-01T00:00:00Z"}}, {}, "expired_key"),
        ({"dead_key": True}, {}, "unknown_key"),
        ({"key": {"limit": 0}}, {"key": {"limit": 100}}, "key_limit"),
        ({"credit": 0}, {"credit": 100}, "no_credit"),
        ({"models": {MODEL: {"endpoints": 0}}}, {}, "no_endpoints"),
        ({"models": {MODEL: {"listed": False}}}, {}, "no_model"),
        ({"listed_price": {"output": 8}}, {}, "price_drift"),
    ],
)
def test_what_the_provider_refuses_is_told_apart(
    sick: Clinic, trouble: dict[str, Any], mend: dict[str, Any], kind: str
) -> None:
    sick.programs(trouble)
    assert set(look(sick, "secrets and the provider")) == {kind}
    sick.programs(mend)
    assert look(sick, "secrets and the provider") == {}
    mended(sick)


def test_a_key_of_the_wrong_kind_is_found(sick: Clinic) -> None:
    sick.set_key(sick.management_key)
    found = look(sick, "secrets and the provider", context=sick.context(secrets={NAME: sick.management_key}))
    assert found["wrong_kind"].severity == "error"
    secret_set.set_all(sick.context(), confirm=agree)
    assert look(sick, "secrets and the provider") == {}
    mended(sick)


@pytest.mark.parametrize(
    ("status", "said", "problem"),
    [(401, "User not found.", "not known"),
     pytest.param(402, "Insufficient credits.", "credit", marks=pytest.mark.long),
     pytest.param(403, "Key limit exceeded (total limit).", "limit is used up", marks=pytest.mark.long)],
)  # fmt: skip
def test_refusals_are_read_from_the_functions_own_lines(sick: Clinic, status: int, said: str, problem: str) -> None:
    """Even where nobody here has the key: the functions log what the provider answered them."""
    say(sick, f"❌ Failed: OpenRouter {status}: {said}")
    found = look(sick, "logs", context=sick.context(secrets={}))[f"logged_{status}"]
    assert problem in found.problem and said in found.evidence
    renew(sick)
    assert f"logged_{status}" not in look(sick, "logs")


def test_a_function_without_its_key_is_found(sick: Clinic) -> None:
    say(sick, f"❌ Failed: {NAME} not configured")
    assert look(sick, "logs")["not_configured"].fix == "inv secret --set && inv deploy"
    renew(sick)
    assert look(sick, "logs") == {}


# The functions


def test_a_missing_function_is_found_and_deployed(sick: Clinic) -> None:
    sick.context().supabase.delete("beta")
    found = look(sick, "functions")["missing"]
    assert (found.subject, found.fix) == ("beta", "inv deploy")
    ship(sick)
    assert look(sick, "functions") == {}
    mended(sick)


def listed(found: Clinic, slug: str, **changed: Any) -> None:
    """The platform's list says so of this function from now on."""
    rows = [dict(each.raw) for each in found.context().supabase.functions()]
    body = [row | changed if row["slug"] == slug else row for row in rows]
    found.running.fault("list", "json", body=body, times=0)


def test_an_inactive_function_is_found(sick: Clinic) -> None:
    listed(sick, "beta", status="THROTTLED")
    assert "THROTTLED" in look(sick, "functions")["inactive"].problem
    sick.running.heal()
    assert look(sick, "functions") == {}
    mended(sick)


def test_a_deploy_by_another_road_is_found_and_taken_back(sick: Clinic) -> None:
    """Drift is shown with both versions and the diff; the printed hash accepts what the plan shows."""
    context = sick.context()
    strange = source.read(context.app, "alpha", context.state)
    changed = {path: data + b"// by hand\n" for path, data in strange.files.items()}
    context.supabase.deploy(type(strange)(**{**vars(strange), "files": changed}).upload(False))
    found = look(sick, "functions")["drifted"]
    assert "// by hand" in found.evidence
    hashed = re.search(r"inv deploy --plan (\w+)", found.fix)
    assert hashed
    ship(sick, plan_hash=hashed[1])
    assert look(sick, "functions") == {}
    mended(sick)


def test_code_that_is_not_deployed_is_found(sick: Clinic) -> None:
    sick.scene.commit({index("alpha"): f"{KIMI}// more {time.monotonic()}\n"}, "More")
    assert look(sick, "functions")["undeployed"].severity == "warning"
    ship(sick)
    assert look(sick, "functions") == {}
    mended(sick)


def test_a_flipped_verify_jwt_is_found_and_set_right(sick: Clinic) -> None:
    """What config.toml writes is what must be deployed: an open door is told as one."""
    sick.scene.commit({"supabase/config.toml": 'project_id = "test"\n[functions.alpha]\nverify_jwt = true\n'}, "Shut")
    assert functions_config.load(sick.scene.app, "alpha").verify_jwt is True
    ship(sick)
    listed(sick, "alpha", verify_jwt=False)
    assert "anyone may call it" in look(sick, "functions")["verify_jwt"].problem
    sick.running.heal()
    assert "verify_jwt" not in look(sick, "functions")
    mended(sick)


def test_a_function_that_must_not_change_is_found_and_restored(sick: Clinic) -> None:
    """In git by the diff and the git command, which really restores it; on the platform by the diff as well."""
    sick.scene.commit({index("other"): "// touched\n" + SPEAKER}, "Touch other")
    there(sick, "other")
    found = look(sick, "functions")
    assert "// touched" in found["unchanged"].evidence and "// touched" in found["unchanged_live"].evidence
    shell, _, deploys = found["unchanged"].fix.rpartition(" && ")
    assert deploys.startswith("supabase functions deploy other ")
    subprocess.run(["sh", "-c", shell], check=True, env={**repos.QUIET, "PATH": "/usr/bin:/bin"}, capture_output=True)
    there(sick, "other")
    assert look(sick, "functions") == {}
    mended(sick)


def test_an_old_version_that_answers_is_found(sick: Clinic) -> None:
    sick.scene.commit({index("alpha"): KIMI + "// two\n"}, "Two")
    ship(sick)
    sick.running.fault("route", "stale", slug="alpha", times=0)
    assert "stale" in look(sick, "logs")
    sick.running.heal()
    assert "stale" not in look(sick, "logs")
    mended(sick)


# The logs


def test_the_old_route_is_found_where_the_new_one_is_wanted(sick: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration.diagnosis.traffic.SETTLING", 0)
    say(sick, "🔑 Using GOOGLE_KEY_3 (10 in the pool)")
    found = look(sick, "logs")["old_route"]
    assert "GOOGLE_KEY_3" in found.evidence and "the live one" in found.evidence
    renew(sick)
    assert look(sick, "logs") == {}
    mended(sick)


def test_a_failing_log_endpoint_is_a_finding_not_an_end(sick: Clinic) -> None:
    stamina.set_testing(True)
    sick.running.fault("logs", "status", status=403, body={"message": "Forbidden"}, times=0)
    found = doctor.run(sick.context())
    kinds = {each.kind for each in found.findings}
    assert "logs" in kinds and found.exit_code == 4
    sick.running.heal()
    assert look(sick, "logs") == {}
    mended(sick)


def test_a_near_rate_limit_is_found(sick: Clinic) -> None:
    say(sick, "🔁 Retry 1 of 2 in 700 ms: OpenRouter 429: Provider returned error")
    assert "met 429" in look(sick, "logs")["rate_limit"].evidence
    renew(sick)


# The workers


def test_a_warm_worker_that_keeps_the_old_key_is_found(tmp_path: Any) -> None:
    """Where workers keep their environment, the secret changed and the function still answers from before it."""
    with clinic(tmp_path, edge={"warm_secrets": True}) as cold:
        cold.set_key("sk-or-v1-" + "d" * 64)
        there(cold, "other")
        cold.scene.commit({index(slug): KIMI for slug in ("alpha", "beta")}, "Speak")
        deploy.run(cold.context(secrets={}, provider_key=Secret(cold.key)), yes=True, gate=False)
        for slug in ("alpha", "beta"):
            cold.context().edge.options(slug)
        cold.set_key()
        assert look(cold, "workers")["warm"].fix == "inv deploy"
        assert deploy.run(cold.context(), yes=True, gate=False).exit_code == 0
        for slug in ("alpha", "beta"):
            cold.context().edge.options(slug)
        assert look(cold, "workers") == {}


def test_a_host_that_cannot_carry_the_lock_is_found_when_fixing(sick: Clinic) -> None:
    """The host refuses refs of our kind; trying that writes, so only `--fix` does."""
    hook = sick.scene.folder / "remote.git" / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        '#!/bin/sh\ncase "$1" in refs/cutover/*) echo "refs of this kind are not allowed" >&2; exit 1;; esac\n'
    )
    hook.chmod(0o755)
    try:
        assert "refs" not in {each.kind for each in doctor.run(sick.context()).findings}
        found = {each.kind: each for each in doctor.run(sick.context(), fix=lambda _: False).findings}
        assert "app.ledger" in found["refs"].fix or "app.ledger" in found["refs"].evidence
    finally:
        hook.unlink()


# The costs


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
        (ARTIFACT % (1000, 900, 500, 100, 1500, "0.0200"), 1, "a higher price than configured", "provider.price"),
    ],
)
def test_high_costs_are_explained_by_their_largest_share(
    sick: Clinic, line: str, attempts: int, first: str, fix: str
) -> None:
    """Four artifacts; the largest share of the spend comes first, and the fix is the runbook's for it."""
    context = sick.context()
    for slug in ("alpha", "beta", "alpha", "beta"):
        assert context.edge.call(slug, json=[line] * attempts).ok
    until(lambda: count(context, "Token usage") >= 4 * attempts)
    until(lambda: "costs" in look(sick, "costs"))
    found = look(sick, "costs")["costs"]
    share = re.search(r"of \$[\d.]+: \d+% ([^$]+)", found.evidence)
    assert share and share[1].startswith(first), found.evidence
    assert fix in found.fix
    renew(sick)


# The ledger


@pytest.mark.long
def test_an_interrupted_deployment_is_found_and_finished(sick: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    from migration.errors import CutoverError

    sick.scene.commit({index(slug): KIMI + "// half\n" for slug in ("alpha", "beta")}, "Half")
    sick.running.fault("activate", "status", status=500, times=0)
    monkeypatch.setattr("migration.release.recorder.Recording.outcome", lambda *_: None)
    from migration.release.staging import Pace

    quick = Pace(upload=5, retry=0.2, activate=0.5, wait=0.05, longest=0.1)
    with contextlib.suppress(CutoverError):
        deploy.run(sick.context(), yes=True, gate=False, pace=quick)
    monkeypatch.undo()
    sick.running.heal()
    found = look(sick, "ledger")["interrupted"]
    hashed = re.search(r"inv deploy --plan (\w+)", found.fix)
    assert found.severity == "error" and "inv rollback" in found.fix and hashed
    ship(sick, plan_hash=hashed[1])
    assert look(sick, "ledger") == {}
    mended(sick)


def test_a_hold_is_found_and_lifted(sick: Clinic) -> None:
    """The record is the one that a rollback writes before it restores."""
    context = sick.context()
    live = context.ledger.history().live
    assert live is not None
    intent = {"deployment": "20261122-120000-abcd", "kind": "rollback", "revision": live.revision, "functions": []}
    context.ledger.append({"record": "intent", **intent, "hold": hold.make(live)})
    context.ledger.append({"record": "outcome", "deployment": intent["deployment"], "outcome": "rolled_back"})
    found = look(sick, "ledger")["hold"]
    assert "--lift-hold" in found.fix and found.severity == "warning"
    hold.lift(context.ledger, context.ledger.history(), "it is good now")
    assert "hold" not in look(sick, "ledger")
    mended(sick)


def test_a_lock_whose_owner_is_gone_is_found_and_taken_by_fix(sick: Clinic) -> None:
    dead_owner(sick)
    found = look(sick, "ledger")["stale_lock"]
    assert found.safe and found.fix.startswith("inv unlock ")
    fixed = doctor.run(sick.context(), fix=agree)
    assert [each["problem"] for each in fixed.fixed] == [found.problem]
    assert look(sick, "ledger") == {}
    mended(sick)


def dead_owner(found: Clinic) -> None:
    """A process that took the lock and was killed."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.support.repos import ledger, lock\n"
        "lock(ledger(Path(sys.argv[1]))).take('deploying')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(found.scene.app)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -9


def test_records_that_never_left_are_found_and_pushed(sick: Clinic) -> None:
    context = sick.context()
    record = context.ledger.stamp({"record": "note", "text": "late"})
    context.ledger.emergency.save(record)
    found = look(sick, "ledger")["unpushed"]
    assert found.safe
    doctor.run(sick.context(), fix=agree)
    assert look(sick, "ledger") == {}
    assert record["id"] in {each["id"] for each in sick.context().ledger.records()}


def test_a_remote_that_is_gone_is_found(sick: Clinic) -> None:
    stamina.set_testing(True)
    url = repos.git(sick.scene.app, "remote", "get-url", "origin")
    repos.git(sick.scene.app, "remote", "set-url", "origin", f"{url}-gone")
    found = look(sick, "ledger")
    assert "ledger_offline" in found
    repos.git(sick.scene.app, "remote", "set-url", "origin", url)
    assert look(sick, "ledger") == {}
    mended(sick)


# Itself


def test_fixing_asks_for_each_and_takes_no_for_an_answer(sick: Clinic) -> None:
    context = sick.context()
    (context.root / ".env").write_text("X=1\n")
    (context.root / ".env").chmod(0o644)
    asked: list[str] = []

    def no(what: str) -> bool:
        asked.append(what)
        return False

    refused = doctor.run(context, fix=no)
    assert len(asked) == 1 and "chmod 600 .env" in asked[0] and refused.fixed == ()
    assert "env_exposed" in {each.kind for each in refused.findings}
    assert doctor.run(context, fix=agree).findings == ()
    (context.root / ".env").unlink()
    mended(sick)


def test_one_probe_that_cannot_look_does_not_stop_the_others(sick: Clinic) -> None:
    stamina.set_testing(True)
    sick.running.fault("secrets_list", "status", status=403, body={"message": "no"}, times=0)
    sick.programs({"credit": 0})
    found = doctor.run(sick.context())
    assert any(each.kind == "unmeasured" and "403" in each.evidence for each in found.findings)
    assert found.exit_code == 4
    mended(sick)


def test_an_environment_without_a_project_is_refused(sick: Clinic) -> None:
    with pytest.raises(Refused, match="project_ref"):
        doctor.run(sick.context(project_ref=None))
    mended(sick)


def test_the_result_is_plain_data(sick: Clinic) -> None:
    sick.programs({"credit": 0})
    data = plain(doctor.run(sick.context()))
    assert {"problem", "evidence", "fix", "severity"} <= set(data["findings"][0])
    assert isinstance(doctor.run(sick.context()), Diagnosis)
    mended(sick)
