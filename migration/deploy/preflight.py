"""Before anything changes: is the code committed and pushed, are the secrets there, does the provider serve us?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from migration.base.command import Do, Shell, Steps, chain, inv, sh
from migration.base.errors import Refused
from migration.base.finding import Finding
from migration.base.numbers import few
from migration.base.parallel import begin, every
from migration.deploy import forward
from migration.deploy.plan import Plan

if TYPE_CHECKING:
    from migration.context import Context


def check(context: Context, plan: Plan) -> None:
    """Refused with everything that stands in the way at once; what is only doubtful is a warning."""
    context.observer.step("preflight")
    tasks: list[Callable[[], list[Finding]]] = [
        lambda: list(_unsaved(context, plan)),
        lambda: list(_unpushed(context, plan)),
        lambda: list(_secrets(plan)),
        lambda: _provider(context),
    ]
    findings = [finding for results in every(tasks, lambda task: task()) for finding in results]
    for finding in findings:
        if finding.severity == "warning":
            context.observer.warn(f"{finding.problem}: {finding.evidence}")
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        text = "\n".join(f"{each.problem}: {each.evidence}" for each in errors)
        raise Refused(text, errors[0].fix, findings=[each.as_json() for each in errors])
    context.observer.done("preflight")


def _unsaved(context: Context, plan: Plan) -> Iterator[Finding]:
    """Function files that the revision does not have as they are here."""
    repository = context.repository
    paths = sorted({path for item in plan.changes for path in item.source.tracked})
    looked = begin([lambda: repository.dirty([*paths, "supabase/config.toml"]),
                    lambda: repository.blobs(plan.revision, paths), lambda: repository.hashed(paths)])  # fmt: skip
    changed, known, here = looked()
    unknown = [path for path in paths if path not in known]
    foreign = _foreign(context, plan.revision, unknown) if unknown else []
    dirty = [path for path in (*changed, *unknown) if path not in foreign]
    hidden = [path for path, blob in here.items() if known.get(path, blob) != blob and path not in changed]
    if hidden:
        problem = "function files differ from the commit, and git is set to ignore that"
        bits = ("--no-skip-worktree", "--no-assume-unchanged")
        look = chain(*(_git(context, "update-index", bit, *hidden) for bit in bits))
        yield Finding("hidden", problem, f"{_some(hidden)} (skip-worktree or assume-unchanged)", Steps((look,)))
    if foreign:
        problem = "files of a submodule cannot be part of a function's source"
        why = "a rollback could not take them back in git; copy them into the app and commit them"
        yield Finding("submodule", problem, f"{_some(foreign)} ({why})", Steps((_git(context, "submodule", "status"),)))
    if dirty:
        names = list(dict.fromkeys(dirty))
        parts = [
            _git(context, "add", "--", *names),
            _git(context, "commit", "--", *names),
            forward.branch_push(context),
        ]
        save = chain(*(part for part in parts if part is not None))
        yield Finding("dirty", "function files are not committed", _some(dirty), Steps((save,)))


def _foreign(context: Context, revision: str, paths: list[str]) -> list[str]:
    """Those of the paths that lie in a submodule: committed there, and not here."""
    folders = context.repository.submodules(revision)
    return [path for path in paths if any(path.startswith(f"{folder}/") for folder in folders)]


def _some(paths: list[str]) -> str:
    return few(list(dict.fromkeys(paths)), 5)


def _git(context: Context, *words: str) -> Shell:
    return sh("git", "-C", str(context.app), *words)


def _unpushed(context: Context, plan: Plan) -> Iterator[Finding]:
    if not context.ledger.shared:
        effect, look = "ledger and lock stay on this machine", Steps((_git(context, "remote", "--verbose"),))
        yield Finding("no_remote", "the app has no git remote", effect, look, "warning")
    elif _lacks_branch(context):
        yield _no_branch(context)
    elif not _published(context, plan.revision):
        where = f"{plan.revision[:9]} is not in {context.remote}/{context.config.app.branch}"
        yield Finding("unpushed", "the revision is not pushed", where, Steps(forward.publish(context)))


def _lacks_branch(context: Context) -> bool:
    """Whether the remote, which the ledger has just read, does not have `app.branch`."""
    seen = context.ledger.remote_refs
    return seen is not None and f"refs/heads/{context.config.app.branch}" not in seen


def _no_branch(context: Context) -> Finding:
    """The remote has other branches or none: a plain `git push` would not make this one."""
    remote, branch = context.remote, context.config.app.branch
    steps = (
        Do("set app.branch in config.yaml to the branch that is deployed"),
        Do(f"or to make {branch} there:"),
        _git(context, "push", remote, f"HEAD:refs/heads/{branch}"),
    )
    return Finding("no_branch", f"{remote} has no branch {branch}", "app.branch of config.yaml names it", Steps(steps))


def _published(context: Context, revision: str) -> bool:
    """Whether the remote's branch contains the revision; reading the ledger has just shown where that branch is."""
    repository, remote, branch = context.repository, context.remote, context.config.app.branch
    tip = (context.ledger.remote_refs or {}).get(f"refs/heads/{branch}") or repository.tracked(remote, branch)
    if tip in (None, revision):
        return tip == revision
    repository.bring(remote, f"refs/heads/{branch}", str(tip))
    return repository.is_ancestor(revision, str(tip))


def _secrets(plan: Plan) -> Iterator[Finding]:
    upload = Steps((inv("secret", set=True),))
    for secret in plan.secrets:
        name = str(secret["name"])
        if not secret["present"]:
            yield Finding("secret_absent", "a secret is missing", name, upload, subject=name)
        elif secret["matches"] is False:
            evidence = f"{name} on the platform differs from yours"
            yield Finding("secret_differs", "a secret differs", evidence, upload, subject=name)


def _provider(context: Context) -> list[Finding]:
    return context.check_provider()
