"""Cutover's verbs. Each one parses, calls and leaves; `inv --help VERB` shows its flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from migration.cli import dispatch, verbs

JSON = {"json": "one JSON object on stdout, prose on stderr"}
ENV = {"env": "environment of config.yaml; without it prod", **JSON}
YES = {"yes": "do not ask"}


def verb(*positional: str, **help: str) -> Callable[[Callable[..., None]], Any]:  # noqa: A002
    """An Invoke task without one-letter flags: two verbs would give the same letter two meanings."""
    texts = {name.replace("_", "-"): text for name, text in help.items()}
    return task(auto_shortflags=False, positional=list(positional), help=texts)


@verb(keep="leave the sandbox's folder", report="write report.json there", **JSON)
def rehearse(_: Context, keep: bool = False, report: str = "", json: bool = False) -> None:
    """Carry the whole migration through on a fresh sandbox, with a fault drill and a rollback."""
    dispatch.run(verbs.rehearse, json, keep=keep, report=report)


@verb(port="0 takes a free one", fresh="forget the last state", **JSON)
def sandbox(_: Context, port: str = "54999", fresh: bool = False, json: bool = False) -> None:
    """Run the local stand-in for everything hosted, until Ctrl-C."""
    dispatch.run(verbs.sandbox, json, port=port, fresh=fresh)


@verb(**ENV)
def init(_: Context, env: str = "prod", json: bool = False) -> None:
    """Write .env, asking only for what is missing."""
    dispatch.run(verbs.init, json, env=env)


@verb(set="upload the configured secrets from .env or a hidden prompt", **YES, **ENV)
def secret(_: Context, set: bool = False, yes: bool = False, env: str = "prod", json: bool = False) -> None:  # noqa: A002
    """Prove that each configured secret is there, is the right one, and is accepted."""
    dispatch.run(verbs.secret, json, env=env, upload=set, yes=yes)


@verb(only="these functions, separated by commas", diff="show the lines that would change", **ENV)
def plan(_: Context, only: str = "", diff: bool = False, env: str = "prod", json: bool = False) -> None:
    """Show what a deploy would change, and why."""
    dispatch.run(verbs.plan, json, env=env, only=only, diff=diff)


@verb(
    plan="confirm the plan of this hash",
    only="these functions, separated by commas",
    no_gate="prove nothing afterwards",
    wait="wait this long for the lock, e.g. 10m",
    lift_hold="why a rolled-back change may go live again",
    **YES,
    **ENV,
)
def deploy(
    _: Context,
    yes: bool = False,
    plan: str = "",
    only: str = "",
    no_gate: bool = False,
    wait: str = "",
    lift_hold: str = "",
    env: str = "prod",
    json: bool = False,
) -> None:
    """Make the change live, prove it, and put back what was live if the proof fails."""
    flags = verbs.DeployFlags(yes, plan, only, no_gate, wait, lift_hold)
    dispatch.run(verbs.deploy, json, flags, env=env)


@verb(
    case="only the case of this name",
    junit="write a JUnit file there",
    env="environment of config.yaml; without it local",
    **JSON,
)
def smoke(_: Context, case: str = "", junit: str = "", env: str = "local", json: bool = False) -> None:
    """Send the smoke cases and check every answer."""
    dispatch.run(verbs.smoke, json, env=env, case=case, junit=junit)


@verb(
    max_requests="stop after so many requests",
    max_cost="stop at so many dollars",
    concurrency="requests at once",
    **YES,
    **ENV,
)
def soak(
    _: Context,
    yes: bool = False,
    max_requests: str = "",
    max_cost: str = "",
    concurrency: str = "",
    env: str = "prod",
    json: bool = False,
) -> None:
    """Repeat requests until the success rate is statistically settled."""
    flags = verbs.SoakFlags(yes, max_requests, max_cost, concurrency)
    dispatch.run(verbs.soak, json, flags, env=env)


@verb(
    function="these functions, separated by commas",
    since="a duration back, or a time",
    until="a duration back, or a time",
    follow="go on as new lines come",
    grep="lines that hold this text",
    signal="lines of this signal of config.yaml",
    level="error, warn or info",
    request="the whole story of one request",
    limit="maximum number of lines",
    explain="show what the usage pattern takes from real lines",
    **ENV,
)
def logs(
    _: Context,
    function: str = "",
    since: str = "1h",
    until: str = "",
    follow: bool = False,
    grep: str = "",
    signal: str = "",
    level: str = "",
    request: str = "",
    limit: str = "",
    explain: bool = False,
    env: str = "prod",
    json: bool = False,
) -> None:
    """Read the logs of the functions: any span, or as they come."""
    flags = verbs.LogFlags(function, since, until, follow, grep, signal, level, request, limit, explain)
    dispatch.run(verbs.logs, json, flags, env=env)


@verb(since="a duration back, or a time", by="day, function or hour", **ENV)
def costs(_: Context, since: str = "24h", by: str = "day", env: str = "prod", json: bool = False) -> None:
    """Spend from the logs, against the provider's own figure, projected, against the budget."""
    dispatch.run(verbs.costs, json, env=env, since=since, by=by)


@verb(since="a duration back, or a time", junit="write a JUnit file there", **ENV)
def checks(_: Context, since: str = "", junit: str = "", env: str = "prod", json: bool = False) -> None:
    """Judge the success criteria, with evidence."""
    dispatch.run(verbs.checks, json, env=env, since=since, junit=junit)


@verb(
    to="make the code of this deployment live again; base: the code from before the first one",
    scope="functions or commit",
    restore_only="leave git alone",
    no_push="do not push the revert",
    wait="wait this long for the lock, e.g. 10m",
    without_lock="go on without the lock, for this reason",
    **YES,
    **ENV,
)
def rollback(
    _: Context,
    yes: bool = False,
    to: str = "",
    scope: str = "",
    restore_only: bool = False,
    no_push: bool = False,
    wait: str = "",
    without_lock: str | None = None,
    env: str = "prod",
    json: bool = False,
) -> None:
    """Put back what was live, then make git agree, then prove that the old code answers."""
    flags = verbs.RollbackFlags(yes, to, scope, restore_only, no_push, wait, without_lock)
    dispatch.run(verbs.rollback, json, flags, env=env)


@verb(limit="number of deployments to show", **ENV)
def status(_: Context, limit: str = "5", env: str = "prod", json: bool = False) -> None:
    """Show what is live, who deployed it, and whether anything is half done."""
    dispatch.run(verbs.status, json, env=env, limit=limit)


@verb(limit="number of deployments to show; 1 shows the newest in full", note="add a note to the ledger", **ENV)
def history(_: Context, limit: str = "20", note: str | None = None, env: str = "prod", json: bool = False) -> None:
    """Show the ledger of deployments."""
    dispatch.run(verbs.history, json, env=env, limit=limit, note=note)


@verb("id", id="the lock's id, as `inv status` shows it", **YES, **ENV)
def unlock(_: Context, id: str, yes: bool = False, env: str = "prod", json: bool = False) -> None:  # noqa: A002
    """Take a lock away, by its id; recorded."""
    dispatch.run(verbs.unlock, json, env=env, lock=id, yes=yes)


@verb(fix="run the safe remedies, one by one, after asking", **YES, **ENV)
def doctor(_: Context, fix: bool = False, yes: bool = False, env: str = "prod", json: bool = False) -> None:
    """Find out why it does not work: cause, evidence, and the command that mends it."""
    dispatch.run(verbs.doctor, json, env=env, fix=fix, yes=yes)
