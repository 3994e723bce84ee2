"""Before anything changes: is the code committed and pushed, are the secrets there, does the provider serve us?"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from migration.code import graph, importmap
from migration.common.finding import Finding
from migration.common.parallel import every
from migration.errors import Refused
from migration.plan import Item, Plan

if TYPE_CHECKING:
    from migration.context import Context

_SECONDS = 60


def check(context: Context, made: Plan) -> None:
    """Refused with everything that stands in the way at once; what is only doubtful is a warning."""
    context.observer.step("preflight")
    context.repository, context.config  # noqa: B018 - made once, before threads ask for them
    tasks: list[Callable[[], list[Finding]]] = [
        lambda: list(_git(context, made)),
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


def _git(context: Context, made: Plan) -> Iterator[Finding]:
    repository, app = context.repository, context.config.app
    paths = sorted({path for item in made.changes for path in item.source.files})
    known = repository.blobs(made.revision, paths)
    dirty = [*repository.dirty([*paths, "supabase/config.toml"]), *(path for path in paths if path not in known)]
    if dirty:
        shown = ", ".join(list(dict.fromkeys(dirty))[:5])
        yield Finding("dirty", "function files are not committed", shown, "git commit, then git push")
    remote = "origin" if context.environment.embedded else app.remote
    if remote not in repository.remotes():
        if not repository.remotes():
            yield Finding(
                "no_remote", "the app has no git remote", "ledger and lock stay here", "git remote add", "warning"
            )
        return
    tip = repository.tracked(remote, app.branch)
    if tip != made.revision and (tip is None or not repository.is_ancestor(made.revision, tip)):
        where = f"{made.revision[:9]} is not in {remote}/{app.branch}"
        yield Finding("unpushed", "the revision is not pushed", where, "git push")


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
    from migration import provider

    return provider.preflight(context)


class TypeCheck:
    """`deno check` over the functions whose imports are all local, beside everything else: it only ever warns.

    One process for all that share an import map. `asked`: a person will decide with its help; else it must not get
    in the way.
    """

    def __init__(self, context: Context, items: tuple[Item, ...], asked: bool) -> None:
        self.context, self.asked = context, asked
        groups: dict[str, list[Item]] = {}
        for item in items:
            if item.source.local:
                groups.setdefault(item.source.import_map, []).append(item)
        self.running = [self._start(path, group) for path, group in groups.items()]

    def _start(self, path: str, items: list[Item]) -> subprocess.Popen[str]:
        app = self.context.app.resolve()
        options = graph.map_options(importmap.load(app / path) if path else None, self.context.state)
        entrypoints = [str(app / item.source.entrypoint) for item in items]
        argv = [graph.deno(), "check", "--quiet", "--no-lock", *options, *entrypoints]
        env = graph.environment(self.context.state / "deno")
        child = subprocess.Popen(
            argv, env=env, cwd=app, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        if not self.asked:
            _stand_back(child.pid)
        return child

    def wait(self, seconds: float) -> None:
        """Let it come to an end, for somebody who is about to decide."""
        for child in self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)

    def tell(self) -> None:
        """Warn of what was found so far, and end what still runs."""
        for child in self.running:
            if child.poll() is None:
                child.kill()
                child.communicate()
            elif child.returncode:
                lines = [line.strip() for line in child.communicate()[1].splitlines() if line.strip()]
                self.context.observer.warn(f"deno check does not pass: {'; '.join(lines[:2])}")
        self.running = []


def _stand_back(pid: int) -> None:
    """Only idle time is for it: nobody waits for a type check that only warns."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
