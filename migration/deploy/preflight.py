"""Before anything changes: is the code committed and pushed, are the secrets there, does the provider serve us?"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from migration.base.errors import Refused
from migration.base.finding import Finding
from migration.base.parallel import begin, every
from migration.deploy.plan import Plan

if TYPE_CHECKING:
    from migration.context import Context


def check(context: Context, made: Plan) -> None:
    """Refused with everything that stands in the way at once; what is only doubtful is a warning."""
    context.observer.step("preflight")
    context.repository, context.config  # noqa: B018 - made once, before threads ask for them
    tasks: list[Callable[[], list[Finding]]] = [
        lambda: list(_unsaved(context, made)),
        lambda: list(_unpushed(context, made)),
        lambda: list(_secrets(made)),
        lambda: _provider(context),
    ]
    findings = [finding for found in every(tasks, lambda task: task()) for finding in found]
    for finding in findings:
        if finding.severity == "warning":
            context.observer.warn(f"{finding.problem}: {finding.evidence}")
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        text = "\n".join(f"{each.problem}: {each.evidence}" for each in errors)
        raise Refused(text, errors[0].fix, findings=[each.as_json() for each in errors])
    context.observer.done("preflight")


def _unsaved(context: Context, made: Plan) -> Iterator[Finding]:
    """Function files that the revision does not have as they are here."""
    repository = context.repository
    paths = sorted({path for item in made.changes for path in item.source.files})
    looked = begin([lambda: repository.dirty([*paths, "supabase/config.toml"]),
                    lambda: repository.blobs(made.revision, paths), lambda: repository.hashed(paths)])  # fmt: skip
    changed, known, here = looked()
    unknown = [path for path in paths if path not in known]
    foreign = _foreign(context, made.revision, unknown) if unknown else []
    dirty = [path for path in (*changed, *unknown) if path not in foreign]
    hidden = [path for path, blob in here.items() if known.get(path, blob) != blob and path not in changed]
    if hidden:
        problem = "function files differ from the commit, and git was told not to look"
        names = shlex.join(hidden)
        look = " && ".join(
            _git(context, f"update-index --no-{bit} {names}") for bit in ("skip-worktree", "assume-unchanged")
        )
        yield Finding("hidden", problem, f"{_some(hidden)} (skip-worktree or assume-unchanged)", look)
    if foreign:
        problem = "files of a submodule cannot be part of a function's source"
        why = "a rollback could not take them back in git; copy them into the app and commit them"
        yield Finding("submodule", problem, f"{_some(foreign)} ({why})", _git(context, "submodule status"))
    if dirty:
        names = shlex.join(dict.fromkeys(dirty))
        steps = [_git(context, command) for command in (f"add -- {names}", f"commit -- {names}", "push")]
        yield Finding("dirty", "function files are not committed", _some(dirty), " && ".join(steps))


def _foreign(context: Context, revision: str, paths: list[str]) -> list[str]:
    """Those of the paths that lie in a submodule: committed there, and not here."""
    folders = context.repository.submodules(revision)
    return [path for path in paths if any(path.startswith(f"{folder}/") for folder in folders)]


def _some(paths: list[str]) -> str:
    once = list(dict.fromkeys(paths))
    return ", ".join(once[:5]) + (f" and {len(once) - 5} more" if len(once) > 5 else "")


def _git(context: Context, command: str) -> str:
    return f"git -C {shlex.quote(str(context.app))} {command}"


def _unpushed(context: Context, made: Plan) -> Iterator[Finding]:
    if not context.ledger.shared:
        shown = "ledger and lock stay here"
        yield Finding("no_remote", "the app has no git remote", shown, _git(context, "remote --verbose"), "warning")
    elif not _published(context, made.revision):
        where = f"{made.revision[:9]} is not in {context.remote}/{context.config.app.branch}"
        yield Finding("unpushed", "the revision is not pushed", where, _git(context, "push"))


def _published(context: Context, revision: str) -> bool:
    """Whether the remote's branch contains the revision; the ledger has just heard where that branch is."""
    repository, remote, branch = context.repository, context.remote, context.config.app.branch
    tip = (context.ledger.remote_refs or {}).get(f"refs/heads/{branch}") or repository.tracked(remote, branch)
    if tip in (None, revision):
        return tip == revision
    repository.bring(remote, f"refs/heads/{branch}", str(tip))
    return repository.is_ancestor(revision, str(tip))


def _secrets(made: Plan) -> Iterator[Finding]:
    for secret in made.secrets:
        if not secret["present"]:
            yield Finding(
                "secret_absent", "a secret is missing", secret["name"], "inv secret --set", subject=secret["name"]
            )
        elif secret["matches"] is False:
            told = f"{secret['name']} on the platform is another value than yours"
            yield Finding("secret_differs", "a secret differs", told, "inv secret --set", subject=secret["name"])


def _provider(context: Context) -> list[Finding]:
    if context.config.provider is None:
        return []

    return context.check_provider()
