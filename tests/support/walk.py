"""A walk through the states of an app, its branch, its ledger and its platform, along what Cutover prints.

Each step either does what people do (commit, deploy, roll back, deploy from elsewhere, lose a process), or types a
command that `plan` or `status` prints. What must hold after each is in `Walk.look` and `Walk.type`.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from migration.base import failpoint
from migration.base.clock import Clock
from migration.base.command import Chain, Command, Do, Shell, Step, inv
from migration.base.errors import CutoverError, Refused
from migration.clients.supabase_types import Upload
from migration.context import Context
from migration.deploy import deploy, plan, typecheck
from migration.deploy.deploy import DeployOptions
from migration.deploy.plan import Plan
from migration.deploy.result import DeployResult
from migration.deploy.staging import Pace
from migration.git.process import Done
from migration.git.repository import Repository
from migration.inspect import history, status
from migration.rollback import rollback
from migration.rollback.result import RollbackResult
from migration.rollback.rollback import RollbackOptions
from migration.verify import gate
from migration.verify.gate import GateResult
from tests.support import repos
from tests.support.collector import Collector
from tests.support.scene import Scene, index, text
from tests.support.unchecked import Unchecked

QUICK = Pace(upload=5.0, retry=5.0, activate=5.0, wait=0.02, longest=0.1)
KILLS = ("record.intent.after", "record.staged.after", "activate.send", "activate.sent", "deploy.send", "deploy.sent",
         "record.outcome", "record.outcome.after", "rollback.outcome", "rollback.outcome.after", "revert.push",
         "revert.pushed", "record.git")  # fmt: skip
OPERATIONS = ("change", "change", "commit", "colleague", "deploy", "deploy", "gate", "fix", "rollback", "rollback",
              "restore", "pull", "drift", "kill deploy", "kill rollback")  # fmt: skip


class Killed(BaseException):
    """The process is gone: nothing after this runs, apart from what gives the lock back (it would go stale)."""


def _die(_action: str, name: str) -> None:
    raise Killed(name)


_FIXED = {"remote", "config"}, {"--show-prefix", "--git-common-dir", "--is-shallow-repository"}
_READS = {"rev-parse", "diff", "diff-tree", "merge-base", "rev-list", "merge-tree", "ls-tree", "log", "show"}
_OBJECT = re.compile(r"\^?[0-9a-f]{40}(\^\{\w+\}|:.*)?|[0-9a-f]{40}\.{2,3}[0-9a-f]{40}")


class RecalledRepository(Repository):
    """Git is asked once for what cannot change: what it says of commits by their whole ids, and its settings. While
    `still` is there, once for what does not change meanwhile either."""

    answers: dict[tuple[str, ...], Done]
    still: dict[tuple[str, ...], Done] | None

    def run(self, *arguments: str, **how: Any) -> Done:
        lasts = not (how.get("stdin") or how.get("env") or how.get("at")) and _lasts(arguments)
        stands = self.still is not None and arguments[0] in ("ls-remote", "rev-parse", "cat-file")
        known = self.answers if lasts else self.still if stands and not how.get("at") else None
        if known is None:
            return super().run(*arguments, **how)
        asked = (*arguments, repr(how.get("stdin", "")))
        if asked not in known:
            done = super().run(*arguments, **how)
            if not done.ok and (done.code != 1 or arguments[0] == "rev-parse"):  # not here yet, fetched the next moment
                return done
            known[asked] = done
        return known[asked]


def _lasts(arguments: tuple[str, ...]) -> bool:
    verb, *rest = arguments
    if verb in _FIXED[0] or _FIXED[1] & set(rest):
        return True
    words = [word for word in rest[: rest.index("--")] if not word.startswith("-")] if "--" in rest else [
        word for word in rest if not word.startswith("-")]  # fmt: skip
    whole = bool(words) and all(_OBJECT.fullmatch(word) for word in words)
    return verb in _READS and whole and (verb != "diff" or len(words) > 1)


class Walk:
    """One walk over a scene; `done` are its steps so far, in words that `do` takes again."""

    def __init__(self, stage: Scene, patch: pytest.MonkeyPatch, seed: int = 0) -> None:
        self.stage, self.patch, self.random = stage, patch, random.Random(seed)
        self.other = repos.clone(stage.folder / "remote.git", stage.folder / "other")
        self.done: list[str] = []
        self.version = 1
        self._first = stage.context()
        self._answers: dict[tuple[str, ...], Done] = {}
        self._still: dict[tuple[str, ...], Done] | None = None
        self.ended: list[str] = []  # what the last deploy printed as next, where it did not succeed
        self._printed: tuple[Plan, list[Step | str]] | None = None  # since the last step
        patch.setattr(typecheck, "TypeCheck", Unchecked)
        patch.setattr(failpoint, "_act", _die)

    def context(self) -> Context:
        """As a new process would have it, apart from what git has said of commits before."""
        first = self._first
        found = Context(first.config, first.environment, first.root, first.app, Collector(), Clock())
        repository = RecalledRepository(found.app, repos.QUIET)
        repository.answers, repository.still = self._answers, self._still
        found.__dict__["repository"] = repository
        return found

    # What people do

    def step(self) -> None:
        """One random step: half of them follow what is printed."""
        if self.random.random() < 0.5:
            self.follow()
        else:
            operation = self.random.choice(OPERATIONS)
            if operation.startswith("kill"):
                operation += f" {self.random.choice(KILLS)}"
            self.do(operation)

    def do(self, operation: str) -> None:
        """Carry one out, whether it succeeds or is refused: what is printed afterwards must be right all the same."""
        self.done.append(operation)
        self._printed = None
        verb, _, rest = operation.partition(" ")
        with contextlib.suppress(CutoverError, subprocess.CalledProcessError):
            if verb == "kill":
                self._kill(*rest.split(" "))
            else:
                getattr(self, f"_{verb}")()
        self.look()

    def _change(self) -> None:
        self._commit()
        repos.git(self.stage.app, "push", "--quiet", "origin", "HEAD:refs/heads/main")

    def _commit(self) -> None:
        """A new version of one function or of both, not pushed."""
        repos.commit(self.stage.app, self._files(), f"Version {self.version}")

    def _colleague(self) -> None:
        """The same by someone else, on the branch."""
        repos.git(self.other, "fetch", "--quiet", "origin", "main")
        repos.git(self.other, "reset", "--quiet", "--hard", "FETCH_HEAD")
        repos.commit(self.other, self._files(), f"Version {self.version}")
        repos.git(self.other, "push", "--quiet", "origin", "HEAD:refs/heads/main")

    def _files(self, slugs: Sequence[str] = ()) -> dict[str, str | None]:
        self.version += 1
        slugs = slugs or self.random.choice([self.stage.functions, self.stage.functions[:1]])
        return {index(slug): text(self.version) for slug in slugs}

    def _deploy(self) -> None:
        self._shown(deploy.run(self.context(), DeployOptions(yes=True, gate=False, pace=QUICK)))

    def _gate(self) -> None:
        """A deploy whose gate fails."""
        self.patch.setattr(gate, "run", lambda *_, **__: GateResult("fail", "it answers 500", False, {}))
        self._shown(deploy.run(self.context(), DeployOptions(yes=True, pace=QUICK)))

    def _fix(self) -> None:
        """A gate fails, and a commit on top repairs it: what is printed first puts that live, and the revert comes
        second."""
        self._change()
        self._gate()
        self.look()
        repos.commit(self.stage.app, self._files(self.stage.functions), f"Version {self.version}")
        repos.git(self.stage.app, "push", "--quiet", "origin", "HEAD:refs/heads/main")
        newest = self.context().ledger.history().newest
        if newest is None or newest.outcome != "restored":
            return
        self._printed = None
        ways = [str(step) for step in self.look()[1]]
        forward = f"{self}: {ways}"
        assert ways[:2] == ["if this commit repairs it:", "inv deploy --lift-hold 'what was fixed'"], forward
        assert ways[2:] == ["to revert it in git:", "inv rollback"], forward
        self.type(inv("deploy", lift_hold="what was fixed"))

    def _shown(self, done: DeployResult) -> None:
        """What a deploy that did not succeed prints itself."""
        if done.exit_code and done.deployment.outcome != "unproven":
            self.ended = [str(step) for step in done.next]

    def _rollback(self) -> None:
        rollback.run(self.context(), RollbackOptions(pace=QUICK))

    def _restore(self) -> None:
        rollback.run(self.context(), RollbackOptions(pace=QUICK, restore_only=True))

    def _pull(self) -> None:
        repos.git(self.stage.app, "pull", "--quiet", "--ff-only", "origin", "main")

    def _drift(self) -> None:
        if not self.context().ledger.history().deployments:
            return  # what was live before Cutover came is what app.base holds
        slug = self.stage.functions[0]
        about = {"entrypoint_path": index(slug), "import_map_path": "", "static_patterns": [], "name": slug}
        self.version += 1
        self.context().supabase.deploy(Upload(slug, about, [(index(slug), text(f"foreign {self.version}").encode())]))

    def _kill(self, verb: str, where: str) -> None:
        self.patch.setenv("CUTOVER_FAILPOINT", f"{where}=die")
        self.patch.setattr(failpoint, "_visits", {})
        try:
            getattr(self, f"_{verb}")()
        except Killed:
            pass
        finally:
            self.patch.delenv("CUTOVER_FAILPOINT")

    # What must hold

    def look(self) -> tuple[Plan, list[Step | str]]:
        """`plan` and `status` answer, and print the same way forward. Nothing is read again before the next step."""
        if self._printed is None:
            self._still = {}
            try:
                self._printed = self._look()
            finally:
                self._still = None
        return self._printed

    def _look(self) -> tuple[Plan, list[Step | str]]:
        made, shown = plan.make(self.context()), status.run(self.context())
        ways = [str(step) for step in made.next]
        short = [way.partition(" --plan")[0] for way in ways]
        said = [str(step) for step in shown.next]
        listed = [str(step) for step in history.run(self.context()).next]
        assert not set(listed) - set(short), f"{self}: plan says {ways}, history {listed}"
        assert not set(self.ended) - set(short), f"{self}: plan says {ways}, the deploy itself {self.ended}"
        self.ended = []
        known = said in (["inv checks"], ["inv plan"]) or not set(said) - set(short)
        assert known, f"{self}: plan says {ways}, status {said}"
        return made, list(made.next)

    def follow(self) -> bool:
        """Type one of the printed ways; False where none is printed."""
        _, ways = self.look()
        commands = [step for step in ways if not isinstance(step, Do | str)]
        if not commands and any("rebase them" in str(step) for step in ways):  # the person gives way
            repos.git(self.stage.app, "fetch", "--quiet", "origin", "main")
            repos.git(self.stage.app, "reset", "--quiet", "--hard", "FETCH_HEAD")
            self._printed = None
            return True
        if not commands:
            return False
        changing = [one for one in commands if not (isinstance(one, Command) and one.verb in ("plan", "history"))]
        commands = changing or commands
        self.type(self.random.choice(commands))
        return True

    def type(self, step: Step) -> None:
        """A printed command is not refused, and puts nothing live that the branch has reverted."""
        self.done.append(f"$ {step}")
        self._printed = None
        parts = step.parts if isinstance(step, Chain) else (step,)
        for part in parts:
            try:
                self._typed(part)
            except (Refused, subprocess.CalledProcessError) as error:
                words = getattr(error, "stderr", "") or error
                raise AssertionError(f"{self}: {part} was refused: {words}") from error
            except CutoverError as error:
                raise AssertionError(f"{self}: {part} failed: {error}") from error
        if any(isinstance(part, Command) and part.verb == "deploy" for part in parts):
            self._not_reverted()
        self.look()

    def _typed(self, part: Command | Shell | Do) -> None:
        if isinstance(part, Shell):
            environment = {**os.environ, **repos.QUIET}
            subprocess.run(part.line, shell=True, check=True, cwd=self.stage.folder, env=environment,
                           capture_output=True, text=True)  # fmt: skip
        elif isinstance(part, Command):
            flags = dict(part.flags)
            _VERBS[part.verb](self, {name.replace("-", "_"): value for name, value in flags.items()})

    def _typed_deploy(self, flags: dict[str, Any]) -> None:
        options = DeployOptions(plan_hash=flags.get("plan"), lift_hold=flags.get("lift_hold"), gate=False, pace=QUICK)
        done = deploy.run(self.context(), options)
        assert done.exit_code == 0, f"{self}: inv deploy ended {done.exit_code}: {done.message}"

    def _typed_rollback(self, flags: dict[str, Any]) -> None:
        options = RollbackOptions(to=flags.get("to"), overwrites=True, pace=QUICK)
        result = rollback.run(self.context(), options)
        if result.revert and result.revert.state in ("conflict", "impossible"):
            self._by_hand(result)
            return
        assert result.exit_code in (0, 4), f"{self}: inv rollback ended {result.exit_code}: {result.message}"

    def _by_hand(self, result: RollbackResult) -> None:
        """Where git cannot revert by itself, the printed lines do it, in their order."""
        assert result.revert is not None
        for step in result.revert.steps:
            for part in step.parts if isinstance(step, Chain) else (step,):
                if isinstance(part, Shell):
                    self._typed(part)
        last = rollback.run(self.context(), RollbackOptions(pace=QUICK))
        lines = [str(step) for step in result.revert.steps]
        told = f"{self}: after {lines} for {result.message!r} it ended {last.exit_code}: {last.message}"
        assert last.exit_code in (0, 4), told

    def _typed_plan(self, _flags: dict[str, Any]) -> None:
        plan.make(self.context(), diff=True)

    def _not_reverted(self) -> None:
        for slug in self.stage.functions:
            live = self.live(slug)
            assert live not in self.reverted(slug), f"{self}: {slug} is live with {live!r}, which the branch reverted"

    def live(self, slug: str) -> str:
        files = self.context().supabase.body(slug).files
        return next(data.decode() for path, data in files.items() if path.endswith(f"{slug}/index.ts"))

    def reverted(self, slug: str) -> set[str]:
        """The texts of a function that a revert took off the branch, and that did not come back."""
        remote, path = self.stage.folder / "remote.git", index(slug)
        log = repos.git(remote, "log", "--first-parent", "--reverse", "--format=%H %s", "main", "--", path)
        gone: set[str] = set()
        current = ""
        for line in log.splitlines():
            commit, _, subject = line.partition(" ")
            now = repos.git(remote, "show", f"{commit}:{path}") + "\n"
            if subject.startswith(("Revert ", "Roll back")):
                gone.add(current)
            gone.discard(now)
            current = now
        return gone

    def finish(self) -> None:
        """Following what is printed comes to an end, with live, ledger and checkout in agreement."""
        for _ in range(10):
            if not self.follow():
                break
        made, ways = self.look()
        assert not [step for step in ways if not isinstance(step, Do | str)], f"{self}: no end: {ways}"
        assert not made.changes and not made.pending, f"{self}: nothing is printed and {made.changes} is left"

    def __str__(self) -> str:
        return "\n  ".join(["after", *self.done])


_VERBS: dict[str, Callable[[Walk, dict[str, Any]], object]] = {
    "deploy": Walk._typed_deploy,
    "rollback": Walk._typed_rollback,
    "plan": Walk._typed_plan,
    "status": lambda _walk, _flags: None,
    "history": lambda walk, flags: history.code(walk.context(), flags["source"]),
}
