"""Cutover's verbs. Each one parses, calls and leaves; `inv --help VERB` shows its flags."""

from __future__ import annotations

from typing import Any

from invoke.tasks import task

from migration import cli

ENV = {"env": "environment of config.yaml; without it prod", "json": "one JSON object on stdout, prose on stderr"}
YES = {"yes": "do not ask"}


def verb(**help: str) -> Any:  # noqa: A002
    """An Invoke task without one-letter flags: two verbs would give the same letter two meanings."""
    return task(auto_shortflags=False, help={name.replace("_", "-"): text for name, text in {**ENV, **help}.items()})


@task(
    auto_shortflags=False,
    help={"keep": "leave the sandbox's folder", "report": "write report.json there", "json": ENV["json"]},
)
def rehearse(_, keep=False, report="", json=False):  # type: ignore[no-untyped-def]
    """Carry the whole migration through on a fresh sandbox, with a fault drill and a rollback."""
    cli.run("rehearse", json=json, keep=keep, report=report)


@task(
    auto_shortflags=False,
    help={"port": "0 takes a free one", "fresh": "forget the last state", "json": ENV["json"]},
)
def sandbox(_, port="54999", fresh=False, json=False):  # type: ignore[no-untyped-def]
    """Run the local stand-in for everything hosted, until Ctrl-C."""
    cli.run("sandbox", json=json, port=port, fresh=fresh)


@verb()
def init(_, env="prod", json=False):  # type: ignore[no-untyped-def]
    """Write .env, asking only for what is missing."""
    cli.run("init", env=env, json=json)


@verb(set="upload the configured secrets from .env or a hidden prompt", **YES)
def secret(_, env="prod", json=False, set=False, yes=False):  # type: ignore[no-untyped-def]  # noqa: A002
    """Prove that each configured secret is there, is the right one, and is accepted."""
    cli.run("secret", env=env, json=json, set_=set, yes=yes)


@verb(only="these functions, separated by commas", diff="show the lines that would change")
def plan(_, env="prod", json=False, only="", diff=False):  # type: ignore[no-untyped-def]
    """Show what a deploy would change, and why."""
    cli.run("plan", env=env, json=json, only=only, diff=diff)


@verb(
    plan="confirm the plan of this hash",
    only="these functions, separated by commas",
    no_gate="prove nothing afterwards",
    wait="wait this long for the lock, e.g. 10m",
    lift_hold="why a rolled-back change may go live again",
    **YES,
)
def deploy(_, env="prod", json=False, yes=False, plan="", only="", no_gate=False, wait="", lift_hold=""):  # type: ignore[no-untyped-def]
    """Make the change live, prove it, and put back what was live if the proof fails."""
    cli.run(
        "deploy", env=env, json=json, yes=yes, plan=plan, only=only, no_gate=no_gate, wait=wait, lift_hold=lift_hold
    )


@verb(
    env="environment of config.yaml; without it local",
    case="only the case of this name",
    junit="write a JUnit file there",
)
def smoke(_, env="local", json=False, case="", junit=""):  # type: ignore[no-untyped-def]
    """Send the smoke cases and check every answer."""
    cli.run("smoke", env=env, json=json, case=case, junit=junit)


@verb(
    max_requests="stop after so many requests",
    max_cost="stop at so many dollars",
    concurrency="requests at once",
    **YES,
)
def soak(_, env="prod", json=False, yes=False, max_requests="", max_cost="", concurrency=""):  # type: ignore[no-untyped-def]
    """Repeat requests until the success rate is statistically settled."""
    cli.run("soak", env=env, json=json, yes=yes, max_requests=max_requests, max_cost=max_cost, concurrency=concurrency)


@verb(
    function="these functions, separated by commas",
    since="a duration back, or a time",
    until="a duration back, or a time",
    follow="go on as new lines come",
    grep="lines that hold this text",
    signal="lines of this signal of config.yaml",
    level="error, warn or info",
    request="the whole story of one request",
    limit="at most so many lines",
    explain="show what the usage pattern takes from real lines",
)
def logs(  # type: ignore[no-untyped-def]
    _, env="prod", json=False, function="", since="1h", until="", follow=False, grep="", signal="", level="",
    request="", limit="", explain=False,
):  # fmt: skip
    """Read the logs of the functions: any span, or as they come."""
    cli.run(
        "logs", env=env, json=json, function=function, since=since, until=until, follow=follow, grep=grep,
        signal=signal, level=level, request=request, limit=limit, explain=explain,
    )  # fmt: skip


@verb(since="a duration back, or a time", by="day, function or hour")
def costs(_, env="prod", json=False, since="24h", by="day"):  # type: ignore[no-untyped-def]
    """Spend from the logs, against the provider's own figure, projected, against the budget."""
    cli.run("costs", env=env, json=json, since=since, by=by)


@verb(since="a duration back, or a time", junit="write a JUnit file there")
def checks(_, env="prod", json=False, since="", junit=""):  # type: ignore[no-untyped-def]
    """Judge the success criteria, with evidence."""
    cli.run("checks", env=env, json=json, since=since, junit=junit)


@verb(
    to="make the code of this deployment live again; base: the code from before the first one",
    scope="functions or commit",
    restore_only="leave git alone",
    no_push="do not push the revert",
    wait="wait this long for the lock, e.g. 10m",
    without_lock="go on without the lock, for this reason",
    **YES,
)
def rollback(  # type: ignore[no-untyped-def]
    _, env="prod", json=False, yes=False, to="", scope="", restore_only=False, no_push=False, wait="",
    without_lock=None,
):  # fmt: skip
    """Put back what was live, then make git agree, then prove that the old code answers."""
    cli.run(
        "rollback", env=env, json=json, yes=yes, to=to, scope=scope, restore_only=restore_only, no_push=no_push,
        wait=wait, without_lock=without_lock,
    )  # fmt: skip


@verb(limit="show so many deployments")
def status(_, env="prod", json=False, limit="5"):  # type: ignore[no-untyped-def]
    """Show what is live, who deployed it, and whether anything is half done."""
    cli.run("status", env=env, json=json, limit=limit)


@verb(limit="show so many deployments; 1 shows the newest in full", note="add a note to the ledger")
def history(_, env="prod", json=False, limit="20", note=None):  # type: ignore[no-untyped-def]
    """Show the ledger of deployments."""
    cli.run("history", env=env, json=json, limit=limit, note=note)


@task(positional=["id"], auto_shortflags=False, help={**ENV, **YES, "id": "the lock's id, as `inv status` shows it"})
def unlock(_, id, env="prod", json=False, yes=False):  # type: ignore[no-untyped-def]  # noqa: A002
    """Take a lock away, by its id; recorded."""
    cli.run("unlock", env=env, json=json, id=id, yes=yes)


@verb(fix="run the safe remedies, one by one, after asking", **YES)
def doctor(_, env="prod", json=False, fix=False, yes=False):  # type: ignore[no-untyped-def]
    """Find out why it does not work: cause, evidence, and the command that mends it."""
    cli.run("doctor", env=env, json=json, fix=fix, yes=yes)
