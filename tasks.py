"""The verbs of Cutover, one task each. `inv --help VERB` shows the flags of one."""

from __future__ import annotations

from invoke.context import Context

from migration.cli import commandline, dispatch, verbs
from migration.cli.commandline import verb

commandline.install()

JSON = {"json": "print one JSON object on stdout, everything else on stderr"}
ENV = {"env": "environment of config.yaml (default: prod)", **JSON}
YES = {"yes": "skip the confirmation"}
ONLY = "only these functions, separated by commas"
WAIT = "wait this long for the lock, for example 10m"
SPAN = "a time, or how far back, for example 2h"
JUNIT = "write a JUnit file here"


@verb(changes=True, keep="keep the folder of the sandbox", report="write report.json here", **JSON)
def rehearse(_: Context, keep: bool = False, report: str = "", json: bool = False) -> None:
    """Carry out the whole migration on a fresh sandbox, with a fault drill and a rollback."""
    dispatch.run(verbs.rehearse, json, keep=keep, report=report)


@verb(changes=True, port="port to listen on; 0 for a free one", fresh="start from an empty state", **JSON)
def sandbox(_: Context, port: str = "54999", fresh: bool = False, json: bool = False) -> None:
    """Run the local stand-in for everything hosted until Ctrl-C."""
    dispatch.run(verbs.sandbox, json, port=port, fresh=fresh)


@verb(
    changes=True,
    app="write a config.yaml for the app in this folder",
    plan="write a config.yaml from the migration plan in this Markdown file",
    range="the commits of the migration, as A..B",
    ci="write a workflow that deploys, watches and rolls back, for this CI: github",
    **ENV,
)
def init(
    _: Context,
    app: str = "",
    plan: str = "",
    range: str = "",  # noqa: A002
    ci: str = "",
    env: str = "prod",
    json: bool = False,
) -> None:
    """Write .env, asking only for missing values; or config.yaml for an app of your own; or a workflow for CI."""
    dispatch.run(verbs.init, json, verbs.InitFlags(app, plan, range, ci), env=env)


@verb(**JSON)
def config(_: Context, json: bool = False) -> None:
    """Show the configuration as every verb reads it, secrets masked, and where each value comes from."""
    dispatch.run(verbs.config, json)


@verb(changes="set", set="upload the configured secrets from .env or a hidden prompt", **YES, **ENV)
def secret(_: Context, set: bool = False, yes: bool = False, env: str = "prod", json: bool = False) -> None:  # noqa: A002
    """Verify every configured secret: present, equal to the local value, accepted by its provider."""
    dispatch.run(verbs.secret, json, env=env, upload=set, yes=yes)


@verb(only=ONLY, diff="show the lines that would change", **ENV)
def plan(_: Context, only: str = "", diff: bool = False, env: str = "prod", json: bool = False) -> None:
    """Show what a deploy would change, and why."""
    dispatch.run(verbs.plan, json, env=env, only=only, diff=diff)


@verb(
    changes=True,
    plan="confirm the plan with this hash",
    only=ONLY,
    no_gate="skip smoke cases and criteria afterwards",
    wait=WAIT,
    lift_hold="deploy a rolled-back change again, for this reason",
    dry_run="check and show everything that comes before the lock; change nothing",
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
    dry_run: bool = False,
    env: str = "prod",
    json: bool = False,
) -> None:
    """Deploy the change, prove it, and restore the previous code if the proof fails."""
    flags = verbs.DeployFlags(yes, plan, only, no_gate, wait, lift_hold, dry_run)
    dispatch.run(verbs.deploy, json, flags, env=env)


@verb(
    changes=True,
    case="only the case with this name",
    junit=JUNIT,
    env="environment of config.yaml (default: local)",
    **JSON,
)
def smoke(_: Context, case: str = "", junit: str = "", env: str = "local", json: bool = False) -> None:
    """Send the smoke cases and check every answer."""
    dispatch.run(verbs.smoke, json, env=env, case=case, junit=junit)


@verb(
    changes=True,
    headed="show the browser",
    junit=JUNIT,
    env="environment of config.yaml (default: local)",
    **YES,
    **JSON,
)
def e2e(
    _: Context, yes: bool = False, headed: bool = False, junit: str = "", env: str = "local", json: bool = False
) -> None:
    """Drive the application as its users do, in a real browser."""
    dispatch.run(verbs.e2e, json, env=env, yes=yes, headed=headed, junit=junit)


@verb(
    changes=True,
    max_requests="stop after this many requests",
    max_cost="stop at this many dollars",
    concurrency="requests sent at the same time",
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
    """Repeat the smoke cases until the success rate is statistically settled."""
    flags = verbs.SoakFlags(yes, max_requests, max_cost, concurrency)
    dispatch.run(verbs.soak, json, flags, env=env)


@verb(
    function=ONLY,
    since=SPAN,
    until=SPAN,
    follow="keep printing new lines",
    grep="only lines with this text",
    signal="only lines of this signal of config.yaml",
    level="only this level: error, warn or info",
    request="only lines of this request or execution",
    limit="maximum number of lines",
    explain="show what the usage pattern matches in real lines",
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
    """Show the logs of the functions: any span, or live."""
    flags = verbs.LogFlags(function, since, until, follow, grep, signal, level, request, limit, explain)
    dispatch.run(verbs.logs, json, flags, env=env)


@verb(since=SPAN, by="group by day, function, hour or model", **ENV)
def costs(_: Context, since: str = "24h", by: str = "day", env: str = "prod", json: bool = False) -> None:
    """Show the spend: from logs, as billed by the provider, projected, against the budget."""
    dispatch.run(verbs.costs, json, env=env, since=since, by=by)


@verb(since=SPAN, junit=JUNIT, **ENV)
def checks(_: Context, since: str = "", junit: str = "", env: str = "prod", json: bool = False) -> None:
    """Evaluate the success criteria, with evidence."""
    dispatch.run(verbs.checks, json, env=env, since=since, junit=junit)


@verb(
    changes=True,
    once="one round, for cron and the like; does nothing where none is due",
    resume="resume the watch that is running; begin none",
    auto_rollback="roll back automatically if it fails and every guard holds; confirmed once, at the start",
    every="time between two rounds, for example 5m (default: watch.every)",
    **{"for": "how long, for example 24h (default: watch.for)"},
    **YES,
    **ENV,
)
def watch(
    _: Context,
    for_: str = "",
    every: str = "",
    once: bool = False,
    resume: bool = False,
    auto_rollback: bool = False,
    yes: bool = False,
    env: str = "prod",
    json: bool = False,
) -> None:
    """Check the live deployment again and again for hours, with a bounded chance of a false alarm."""
    flags = verbs.WatchFlags(for_, every, once, resume, auto_rollback, yes)
    dispatch.run(verbs.watch, json, flags, env=env)


@verb(
    changes=True,
    to="restore the code of this deployment; base: the code before the first one",
    scope="revert the functions' files (functions) or whole commits (commit)",
    restore_only="restore only; do not revert in git",
    no_push="do not push the revert",
    wait=WAIT,
    without_lock="proceed without the lock, for this reason",
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
    """Restore the previous code, revert the commit, and prove that the old code answers."""
    flags = verbs.RollbackFlags(yes, to, scope, restore_only, no_push, wait, without_lock)
    dispatch.run(verbs.rollback, json, flags, env=env)


@verb(limit="number of deployments to show", **ENV)
def status(_: Context, limit: str = "5", env: str = "prod", json: bool = False) -> None:
    """Show what is live, who deployed it, and whether a deployment is in progress or interrupted."""
    dispatch.run(verbs.status, json, env=env, limit=limit)


@verb(
    changes="note",
    limit="number of deployments to show",
    show="one deployment in full, by its id",
    source="the code of this function: as it is live, or with --show as that deployment sent it",
    note="add this note to the ledger",
    rating="with --note: what users think of what is live, 1 to 5",
    **ENV,
)
def history(
    _: Context,
    limit: str = "20",
    show: str = "",
    source: str = "",
    note: str | None = None,
    rating: str = "",
    env: str = "prod",
    json: bool = False,
) -> None:
    """Show the ledger of deployments, one of them, or the code of a function as it was."""
    flags = verbs.HistoryFlags(limit, show, source, note, rating)
    dispatch.run(verbs.history, json, flags, env=env)


@verb("id", changes=True, id="id of the lock, as `inv status` shows it", **YES, **ENV)
def unlock(_: Context, id: str, yes: bool = False, env: str = "prod", json: bool = False) -> None:  # noqa: A002
    """Break a lock by its id; recorded in the ledger."""
    dispatch.run(verbs.unlock, json, env=env, lock=id, yes=yes)


@verb(changes="fix", fix="apply the safe fixes, one by one, after asking", **YES, **ENV)
def doctor(_: Context, fix: bool = False, yes: bool = False, env: str = "prod", json: bool = False) -> None:
    """Diagnose problems: cause, evidence, and the command that fixes it."""
    dispatch.run(verbs.doctor, json, env=env, fix=fix, yes=yes)


@verb(
    since=SPAN,
    out="write here; a folder (with / at its end) gets figures.json, JUnit and the ledger's records too",
    markdown="write Markdown for a pull request, and the plan document with its boxes ticked beside it",
    **ENV,
)
def report(
    _: Context, since: str = "24h", out: str = "", markdown: bool = False, env: str = "prod", json: bool = False
) -> None:
    """Write one HTML file with what is live, whether it works, what it costs, and the evidence."""
    dispatch.run(verbs.report, json, env=env, since=since, to=out, markdown=markdown)
