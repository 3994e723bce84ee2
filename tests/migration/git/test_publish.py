"""The git half of a rollback in every state of a repository: the functions' files go back, nothing else moves."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

import pytest

from migration.base import failpoint
from migration.base.command import inv
from migration.git import publish, revert
from migration.git.publish import Publication, RevertBranch, RevertResult
from migration.git.repository import Repository
from migration.git.revert import RevertRange
from tests.support.git_http import serve
from tests.support.repos import QUIET, alone, clone, commit, git, pair

pytestmark = pytest.mark.slow

ART, FIX, CHAT = (f"supabase/functions/{slug}/index.ts" for slug in ("artifact", "artifact-fix", "chat"))
SHARED = "supabase/functions/_shared/model.ts"
FILES = (ART, FIX, SHARED)
BEFORE = {ART: "a\nb\nc\nd\ne\nf\ng\n", FIX: "gemini fix\n", SHARED: "gemini\n", CHAT: "chat\n", "web/app.tsx": "web\n"}
AFTER = {ART: "a\nb\nc\nKIMI\ne\nf\ng\n", FIX: "kimi fix\n", SHARED: "kimi\n", CHAT: "chat too\n"}
AFTER["web/app.tsx"] = "web 2\n"


class Ground:
    """A remote and a clone with the code before, the migration, and what the tests need to know of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote, self.app = pair(folder)
        self.base = commit(self.app, BEFORE, "Before")
        self.revision = ""

    def migrate(self, files: dict[str, str | bytes | None] | None = None, subject: str = "Move to Kimi") -> str:
        self.revision = commit(self.app, files or {**AFTER}, subject)
        self.push()
        return self.revision

    def push(self) -> None:
        git(self.app, "push", "--quiet", "origin", "HEAD:refs/heads/main")

    def found(self, *files: str, whole: bool = False, folder: Path | None = None) -> RevertRange:
        repository = Repository(folder or self.app, QUIET)
        paths = files or FILES
        commits = revert.touching(repository, self.base, self.revision, paths)
        names = ("artifact", "artifact-fix")
        return RevertRange(self.base, self.revision, paths, commits, whole, names, "20261122-120000-abcd")

    def run(self, found: RevertRange | None = None, folder: Path | None = None, push: bool = True,
            remote: str | None = "origin", env: dict[str, str] | None = None) -> RevertResult:  # fmt: skip
        repository = Repository(folder or self.app, QUIET if env is None else env)
        range_ = found or self.found(folder=folder)
        return Publication(repository, range_, RevertBranch(remote, "main", push)).run(self.folder / "state")

    def tip(self) -> str:
        return git(self.remote, "rev-parse", "main")

    def file(self, path: str, revision: str = "main") -> str:
        return git(self.remote, "show", f"{revision}:{path}")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def typed(ended: RevertResult) -> list[str]:
    return [str(step) for step in ended.steps]


def state(folder: Path) -> str:
    """Everything that a rollback must not touch: index, working copy, branch, config."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.is_file() and (not inside.startswith(".git/") or inside in (".git/index", ".git/HEAD", ".git/config")):
            digest.update(inside.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest() + git(folder, "for-each-ref", "refs/heads") + git(folder, "stash", "list")


def test_the_functions_files_go_back_and_everything_else_stays(ground: Ground) -> None:
    ground.migrate({**AFTER, **{f"web/page{number}.tsx": "new\n" for number in range(50)}})
    before = state(ground.app)
    ended = ground.run()
    assert ended.state == "pushed" and ended.commit == ground.tip()
    assert git(ground.remote, "diff", "--name-only", ground.revision, "main").split() == sorted(FILES)
    for path in FILES:
        assert ground.file(path) == BEFORE[path].strip()
    assert ground.file(CHAT) == "chat too" and ground.file("web/app.tsx") == "web 2"
    assert state(ground.app) == before
    assert "pull --ff-only origin main" in typed(ended)[0]


def test_the_revert_is_one_commit_in_git_s_usual_words(ground: Ground) -> None:
    ground.migrate()
    ground.run()
    lines = git(ground.remote, "log", "-1", "--format=%B", "main").splitlines()
    assert lines[0] == 'Revert "Move to Kimi"'
    assert lines[2] == f"This reverts commit {ground.revision}, kept to the files of artifact, artifact-fix."
    assert git(ground.remote, "rev-parse", "main^") == ground.revision


def test_the_whole_commit_goes_back_when_that_is_asked_for(ground: Ground) -> None:
    ground.migrate()
    assert ground.run(ground.found(whole=True)).pushed
    assert git(ground.remote, "diff", "--name-only", ground.base, "main") == ""
    assert git(ground.remote, "log", "-1", "--format=%b", "main").startswith(f"This reverts commit {ground.revision}.")


@pytest.mark.parametrize("whole", [False, True])
def test_several_commits_in_the_range_go_back_together(ground: Ground, whole: bool) -> None:
    first = commit(ground.app, {ART: AFTER[ART]}, "Part one")
    commit(ground.app, {"web/other.tsx": "unrelated\n"}, "Unrelated")
    ground.migrate({FIX: AFTER[FIX], SHARED: AFTER[SHARED]}, "Part two")
    ended = ground.run(ground.found(whole=whole))
    assert ended.reverts == (ground.revision, first) and ended.pushed
    assert [ground.file(path) for path in FILES] == [BEFORE[path].strip() for path in FILES]
    assert ground.file("web/other.tsx") == "unrelated"
    assert git(ground.remote, "log", "-1", "--format=%s", "main") == 'Revert "Part two" and 1 more'


@pytest.mark.parametrize("whole", [False, True])
def test_a_merge_commit_as_the_migration_goes_back(ground: Ground, whole: bool) -> None:
    git(ground.app, "switch", "--quiet", "--create", "kimi")
    commit(ground.app, {ART: AFTER[ART]}, "On the branch")
    git(ground.app, "switch", "--quiet", "main")
    commit(ground.app, {"web/app.tsx": "meanwhile\n"}, "Meanwhile")
    ground.base = git(ground.app, "rev-parse", "HEAD")
    git(ground.app, "merge", "--quiet", "--no-ff", "--message", "Merge kimi", "kimi")
    ground.revision = git(ground.app, "rev-parse", "HEAD")
    ground.push()
    ended = ground.run(ground.found(whole=whole))
    assert ended.pushed and ended.reverts == (ground.revision,)
    assert ground.file(ART) == BEFORE[ART].strip() and ground.file("web/app.tsx") == "meanwhile"


def test_later_commits_to_other_lines_stay(ground: Ground) -> None:
    ground.migrate()
    commit(ground.app, {ART: AFTER[ART].replace("a\n", "A, later\n")}, "Later")
    ground.push()
    assert ground.run().pushed
    assert ground.file(ART) == BEFORE[ART].replace("a\n", "A, later\n").strip()


def test_later_commits_to_the_same_lines_conflict_and_leave_everything_as_it_was(ground: Ground) -> None:
    ground.migrate()
    commit(ground.app, {ART: AFTER[ART].replace("KIMI", "KIMI, but better")}, "Later")
    ground.push()
    before, tip = state(ground.app), ground.tip()
    ended = ground.run()
    assert ended.state == "conflict" and ended.conflicts == (ART,) and not ended.agrees
    assert state(ground.app) == before and ground.tip() == tip
    assert not list((ground.folder / "state" / "worktrees").iterdir())
    assert git(ground.app, "worktree", "list").count("\n") == 0
    assert any("checkout" in line and ART in line for line in typed(ended))


def test_the_commands_printed_after_a_conflict_do_it(ground: Ground) -> None:
    new = "supabase/functions/artifact/kimi.ts"
    ground.migrate({**AFTER, new: "kimi\n"})
    commit(ground.app, {ART: AFTER[ART].replace("KIMI", "KIMI, but better")}, "Later")
    ground.push()
    *lines, last = typed(ground.run(ground.found(*FILES, new)))
    for line in lines:
        git(ground.folder, *shlex.split(line)[1:])
    assert last == "inv rollback" and ground.run(ground.found(*FILES, new)).state == "already"
    assert ground.file(ART) == BEFORE[ART].strip()
    assert new not in git(ground.remote, "ls-tree", "-r", "--name-only", "main")


def test_reverting_twice_is_success(ground: Ground) -> None:
    ground.migrate()
    first = ground.run()
    second = ground.run()
    assert second.state == "already" and second.agrees and second.commit == first.commit == ground.tip()


def test_a_range_that_touched_none_of_the_files_needs_no_revert(ground: Ground) -> None:
    ground.migrate({"web/app.tsx": "web only\n"})
    tip = ground.tip()
    ended = ground.run()
    assert ended.state == "nothing" and ended.agrees and ground.tip() == tip


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_shallow_clone_is_deepened_and_loses_nothing(ground: Ground, depth: int, whole: bool) -> None:
    ground.migrate()
    shallow = clone(f"file://{ground.remote}", ground.folder / "shallow", f"--depth={depth}")
    found = RevertRange(ground.base, ground.revision, FILES, (ground.revision,), whole, ("artifact",), "d")
    assert ground.run(found, folder=shallow).pushed
    assert ground.file("README") == "app" and ground.file(ART) == BEFORE[ART].strip()


def test_a_shallow_clone_that_cannot_be_deepened_refuses(ground: Ground) -> None:
    ground.migrate()
    shallow = clone(f"file://{ground.remote}", ground.folder / "shallow", "--depth=1")
    found = RevertRange(ground.base, ground.revision, FILES, (ground.revision,), False, ("artifact",), "d")
    ended = ground.run(found, folder=shallow, remote=None)
    assert ended.state == "impossible" and "is not in this clone" in ended.message


def test_a_revert_that_would_delete_more_than_the_range_added_is_never_committed(ground: Ground) -> None:
    """A root commit reverted whole would delete every file; so would the boundary of a shallow clone."""
    ground.migrate()
    root = git(ground.app, "rev-list", "--max-parents=0", "HEAD")
    found = RevertRange(ground.base, ground.revision, FILES, (root,), True, ("artifact",), "d")
    tip = ground.tip()
    ended = ground.run(found)
    assert ended.state in ("impossible", "conflict") and ground.tip() == tip


@pytest.mark.parametrize("staged", [False, True])
def test_dirty_files_and_a_dirty_index_of_the_user_stay_as_they_are(ground: Ground, staged: bool) -> None:
    ground.migrate()
    (ground.app / "web/app.tsx").write_text("unsaved work\n")
    (ground.app / "new file.txt").write_text("untracked\n")
    if staged:
        git(ground.app, "add", "--all")
    before = state(ground.app)
    assert ground.run().pushed
    assert state(ground.app) == before


def test_a_detached_head_and_another_branch_checked_out_do_not_matter(ground: Ground) -> None:
    ground.migrate()
    for words in (("checkout", "--quiet", "--detach", ground.base), ("switch", "--quiet", "--create", "other")):
        git(ground.app, *words)
        before = state(ground.app)
        assert ground.run().agrees
        assert state(ground.app) == before
    assert ground.file(ART) == BEFORE[ART].strip()


def test_a_merge_in_progress_in_the_user_s_clone_goes_on_undisturbed(ground: Ground) -> None:
    ground.migrate()
    git(ground.app, "switch", "--quiet", "--create", "side", ground.base)
    commit(ground.app, {ART: "clash\n"}, "Clash")
    git(ground.app, "merge", "main", check=False)
    assert (ground.app / ".git/MERGE_HEAD").exists()
    before = state(ground.app)
    assert ground.run().pushed
    assert state(ground.app) == before and (ground.app / ".git/MERGE_HEAD").exists()


def test_it_works_from_a_linked_worktree(ground: Ground) -> None:
    ground.migrate()
    git(ground.app, "worktree", "add", "--quiet", "--detach", str(ground.folder / "linked"))
    assert ground.run(folder=ground.folder / "linked").pushed
    assert git(ground.app, "worktree", "list").count("\n") == 1


def test_submodules_are_left_alone(ground: Ground) -> None:
    inner = alone(ground.folder / "inner")
    git(ground.app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "vendor")
    ground.base = commit(ground.app, {}, "Add a submodule")
    git(ground.app, "config", "submodule.recurse", "true")
    ground.migrate()
    assert ground.run().pushed
    assert git(ground.remote, "diff", "--name-only", ground.revision, "main").split() == sorted(FILES)


def test_a_renamed_file_gets_its_name_and_text_back(ground: Ground) -> None:
    new = "supabase/functions/artifact/handler.ts"
    ground.migrate({ART: None, new: AFTER[ART]})
    assert ground.run(ground.found(ART, new)).pushed
    assert ground.file(ART) == BEFORE[ART].strip()
    assert new not in git(ground.remote, "ls-tree", "-r", "--name-only", "main")


def test_a_file_that_the_migration_added_goes_away_and_one_that_it_deleted_comes_back(ground: Ground) -> None:
    new = "supabase/functions/artifact/kimi.ts"
    ground.migrate({new: "kimi\n", FIX: None})
    assert ground.run(ground.found(new, FIX)).pushed
    names = git(ground.remote, "ls-tree", "-r", "--name-only", "main").split()
    assert new not in names and FIX in names


def test_line_endings_changed_later_do_not_stop_it(ground: Ground) -> None:
    ground.migrate()
    commit(ground.app, {ART: AFTER[ART].replace("\n", "\r\n")}, "Windows")
    ground.push()
    assert ground.run().pushed
    assert "KIMI" not in ground.file(ART) and "d" in ground.file(ART)


def test_names_with_spaces_brackets_and_other_alphabets_work(ground: Ground) -> None:
    odd = "supabase/functions/artifact/größe [1] *.ts"
    ground.base = commit(ground.app, {odd: "old\n"}, "Odd")
    ground.migrate({odd: "new\n", "supabase/functions/artifact/größe 1 x.ts": "stays\n"})
    assert ground.run(ground.found(odd)).pushed
    assert ground.file(odd) == "old" and ground.file("supabase/functions/artifact/größe 1 x.ts") == "stays"


def test_an_app_below_the_top_of_its_repository_works(ground: Ground) -> None:
    inside = {f"apps/one/{path}": text for path, text in BEFORE.items()}
    ground.base = commit(ground.app, inside, "Monorepo")
    ground.migrate({f"apps/one/{path}": text for path, text in AFTER.items()})
    folder = ground.app / "apps/one"
    assert ground.run(ground.found(folder=folder), folder=folder).pushed
    assert ground.file(f"apps/one/{ART}") == BEFORE[ART].strip() and ground.file(f"apps/one/{CHAT}") == "chat too"


@pytest.mark.parametrize(
    ("key", "value"),
    [("core.autocrlf", "true"), ("merge.ff", "only"), ("diff.noprefix", "true"), ("log.showSignature", "true"),
     ("filter.lfs.required", "true"), ("core.quotePath", "true"), ("merge.renames", "false")],
)  # fmt: skip
def test_the_user_s_settings_do_not_change_the_revert(ground: Ground, key: str, value: str) -> None:
    ground.base = commit(ground.app, {".gitattributes": "*.bin filter=lfs\n", "a.bin": "pointer\n"}, "Attributes")
    ground.migrate()
    git(ground.app, "config", "filter.lfs.smudge", "false")
    git(ground.app, "config", "filter.lfs.clean", "false")
    git(ground.app, "config", key, value)
    assert ground.run().pushed
    assert git(ground.remote, "diff", "--name-only", ground.revision, "main").split() == sorted(FILES)
    assert ground.file(ART) == BEFORE[ART].strip()


def test_failing_hooks_do_not_stop_it(ground: Ground) -> None:
    ground.migrate()
    for name in ("pre-commit", "commit-msg", "pre-push", "post-checkout", "prepare-commit-msg"):
        hook = ground.app / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    assert ground.run().pushed


def test_signing_without_a_key_is_told_and_does_not_stop_it(ground: Ground) -> None:
    ground.migrate()
    git(ground.app, "config", "commit.gpgsign", "true")
    git(ground.app, "config", "user.signingkey", "0123456789ABCDEF")
    ended = ground.run()
    assert ended.pushed and "not signed" in ended.message


def test_without_any_identity_the_revert_is_cutover_s(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.migrate()
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    assert ground.run(env={key: value for key, value in QUIET.items() if "CONFIG" in key}).pushed
    assert git(ground.remote, "log", "-1", "--format=%an/%cn", "main") == "Cutover/Cutover"


def test_with_an_identity_the_revert_is_the_user_s(ground: Ground) -> None:
    ground.migrate()
    ground.run()
    assert git(ground.remote, "log", "-1", "--format=%an/%cn", "main") == "Test/Test"


def _protect(ground: Ground, branches: str = "main") -> None:
    hook = ground.remote / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\ncase "$1" in refs/heads/{branches}) echo "protected branch" >&2; exit 1;; esac\n')
    hook.chmod(0o755)


def _late(ground: Ground, files: dict[str, str | bytes | None]) -> None:
    """Somebody's later commit on the protected branch."""
    (ground.remote / "hooks" / "update").unlink()
    commit(ground.app, files, "Later")
    ground.push()
    _protect(ground)


def test_a_protected_branch_gets_a_branch_for_review_and_the_next_step(ground: Ground) -> None:
    ground.migrate()
    _protect(ground)
    tip = ground.tip()
    ended = ground.run()
    assert ended.state == "review" and ended.branch == "cutover/rollback-20261122-120000-abcd"
    assert ground.tip() == tip and ground.file(ART, ended.branch) == BEFORE[ART].strip()
    request = f"open a pull request from {ended.branch} to main"
    assert typed(ended) == [request, "when it is merged:", "inv rollback"]


@pytest.mark.parametrize("moved", [False, True])
def test_a_revert_that_waits_for_review_is_found_again(ground: Ground, moved: bool) -> None:
    ground.migrate()
    _protect(ground)
    first = ground.run()
    if moved:
        _late(ground, {ART: AFTER[ART].replace("a\n", "A, later\n"), "web/app.tsx": "web 3\n"})
    second = ground.run()
    assert second == first and second.state == "review"
    assert git(ground.remote, "rev-parse", first.branch) == first.commit
    assert git(ground.app, "for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/main"


def test_a_revert_for_review_that_cannot_be_merged_any_more_gives_way_to_a_new_one(ground: Ground) -> None:
    ground.migrate()
    _protect(ground)
    first = ground.run()
    _late(ground, {ART: AFTER[ART].replace("\n", "\r\n")})
    second = ground.run()
    assert second.state == "review" and second.commit != first.commit and typed(second) == typed(first)
    assert git(ground.remote, "rev-parse", first.branch) == second.commit
    assert git(ground.remote, "rev-parse", f"{first.branch}^") == ground.tip()


def test_what_people_added_to_the_branch_for_review_stays(ground: Ground) -> None:
    ground.migrate()
    _protect(ground)
    first = ground.run()
    git(ground.app, "fetch", "--quiet", "origin", first.branch)
    git(ground.app, "switch", "--quiet", "--detach", "FETCH_HEAD")
    added = commit(ground.app, {"notes.txt": "as agreed\n"}, "What the review asked for")
    git(ground.app, "push", "--quiet", "origin", f"HEAD:refs/heads/{first.branch}")
    second = ground.run()
    assert (second.state, second.commit) == ("review", added)
    assert git(ground.remote, "rev-parse", first.branch) == added


def test_somebody_else_s_branch_of_that_name_is_left_alone(ground: Ground) -> None:
    ground.migrate()
    _protect(ground)
    name = "cutover/rollback-20261122-120000-abcd"
    theirs = commit(ground.app, {"web/app.tsx": "theirs\n"}, "Theirs")
    git(ground.app, "push", "--quiet", "origin", f"HEAD:refs/heads/{name}")
    ended = ground.run()
    assert ended.state == "local" and "was not made by Cutover" in ended.message
    assert git(ground.remote, "rev-parse", name) == theirs
    assert typed(ended)[0].endswith(f"push origin {ended.commit}:refs/heads/{name}-again")
    git(ground.folder, *shlex.split(typed(ended)[0])[1:])


def test_a_host_that_takes_no_branch_for_review_either_is_told_with_its_reason(ground: Ground) -> None:
    ground.migrate()
    _protect(ground, "*")
    ended = ground.run()
    assert ended.state == "local" and "could not go to origin for review: git push failed" in ended.message
    assert typed(ended)[0].endswith(f":refs/heads/{ended.branch}") and "when it is merged" in typed(ended)[1]


def test_a_revert_found_in_the_branch_is_named(ground: Ground) -> None:
    """Whoever made it, and whatever came later: it is what rolling forward has to revert."""
    ground.migrate()
    git(ground.app, "revert", "--no-edit", "HEAD")
    theirs = git(ground.app, "rev-parse", "HEAD")
    commit(ground.app, {"web/app.tsx": "later\n"}, "Later")
    ground.push()
    ended = ground.run()
    assert (ended.state, ended.commit, ended.revert) == ("already", theirs, theirs)


def test_a_branch_that_is_not_there_is_told_without_commands_that_cannot_work(ground: Ground) -> None:
    ground.migrate()
    target = RevertBranch("origin", "trunk", again=inv("rollback", env="staging"))
    ended = Publication(Repository(ground.app, QUIET), ground.found(), target).run(ground.folder / "state")
    assert ended.state == "impossible" and "has no branch trunk" in ended.message
    assert typed(ended)[-1] == "inv rollback --env staging"
    assert not any("trunk" in line or "switch" in line for line in typed(ended))


def test_after_a_conflict_the_later_commits_that_the_commands_take_away_are_named(ground: Ground) -> None:
    ground.migrate()
    clash = commit(ground.app, {ART: AFTER[ART].replace("KIMI", "KIMI, but better")}, "Later")
    commit(ground.app, {CHAT: "not one of these files\n"}, "Chat")
    fix = commit(ground.app, {FIX: "kimi fix, mended\n"}, "Fix")
    ground.push()
    ended = ground.run()
    assert f"also take away what {fix[:9]} and {clash[:9]} changed in these files" in ended.message


def test_without_a_remote_the_commands_for_doing_it_by_hand_close_the_record_too(ground: Ground) -> None:
    ground.migrate()
    commit(ground.app, {ART: AFTER[ART].replace("KIMI", "KIMI, but better")}, "Later")
    *lines, last = typed(ground.run(remote=None))
    for line in lines:
        for part in line.split(" && "):
            git(ground.folder, *shlex.split(part)[1:])
    assert last == "inv rollback" and ground.run(remote=None).state == "already"


@pytest.mark.parametrize(
    ("address", "command"),
    [
        ("git@github.com:acme/app.git", "gh pr create --base main --head {} --title 'Revert \"x\"' --body {}"),
        (
            "https://gitlab.com/acme/app.git",
            "glab mr create --target-branch main --source-branch {} --title 'Revert \"x\"' --description {} --yes",
        ),
    ],
)
def test_the_pull_request_step_is_in_the_host_s_words(ground: Ground, address: str, command: str) -> None:
    made = ground.revision = commit(ground.app, {}, 'Revert "x"')
    git(ground.app, "remote", "set-url", "origin", address)
    branch = RevertBranch("origin", "main")
    work = Publication(Repository(ground.app, QUIET), ground.found(), branch)
    told = str(work.in_review(made).steps[0])
    words = command.format("cutover/rollback-20261122-120000-abcd", "'Cutover-Rollback: 20261122-120000-abcd'")
    assert told == f"(cd {ground.app} && {words})"


def test_a_push_that_comes_second_is_made_again_on_the_new_tip(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.migrate()
    other = clone(ground.remote, ground.folder / "other")
    count = iter(range(2))

    def interfere(name: str) -> None:
        if name == "revert.push" and (number := next(count, None)) is not None:
            commit(other, {f"web/race{number}.tsx": "x\n"}, "Meanwhile")
            git(other, "push", "--quiet", "origin", "main")

    monkeypatch.setattr(publish, "failpoint", interfere)
    assert ground.run().pushed
    assert ground.file("web/race1.tsx") == "x" and ground.file(ART) == BEFORE[ART].strip()


def test_races_without_end_are_given_up(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.migrate()
    other = clone(ground.remote, ground.folder / "other")

    def interfere(name: str) -> None:
        if name == "revert.push":
            commit(other, {}, "Meanwhile")
            git(other, "push", "--quiet", "origin", "main")

    monkeypatch.setattr(publish, "failpoint", interfere)
    ended = ground.run()
    assert ended.state == "impossible" and "moved during each of 5 attempts" in ended.message


def test_an_unreachable_remote_leaves_the_commands_to_type(ground: Ground) -> None:
    ground.migrate()
    found = ground.found()
    ground.remote.rename(ground.folder / "gone.git")
    before = state(ground.app)
    ended = ground.run(found)
    assert ended.state == "impossible" and "origin" in ended.message and typed(ended)
    assert state(ground.app) == before


def test_a_token_that_may_read_but_not_push_keeps_the_revert_here(ground: Ground) -> None:
    ground.migrate()
    git(ground.remote, "config", "http.receivepack", "true")
    with serve(ground.folder) as (address, faults):
        git(ground.app, "remote", "set-url", "origin", f"{address}/remote.git")
        faults.deny = "push"
        ended = ground.run()
    assert ended.state == "local" and "not push" in ended.message
    assert git(ground.app, "rev-parse", ended.branch) == ended.commit
    assert typed(ended)[-1] == "inv rollback"
    assert f"push origin {ended.commit}:refs/heads/main" in typed(ended)[0]


def test_a_push_whose_answer_is_lost_counts_when_it_arrived(ground: Ground) -> None:
    ground.migrate()
    git(ground.remote, "config", "http.receivepack", "true")
    with serve(ground.folder) as (address, faults):
        git(ground.app, "remote", "set-url", "origin", f"{address}/remote.git")
        hook = ground.remote / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
        hook.chmod(0o755)
        ended = ground.run()
        assert faults.counts["well"]
    assert ended.pushed and ground.tip() == ended.commit


def test_without_a_remote_the_revert_waits_on_a_local_branch(tmp_path: Path) -> None:
    folder = alone(tmp_path / "app")
    base = commit(folder, BEFORE, "Before")
    revision = commit(folder, AFTER, "Move to Kimi")
    before = git(folder, "rev-parse", "main")
    found = RevertRange(base, revision, FILES, (revision,), False, ("artifact",), "d1")
    ended = Publication(Repository(folder, QUIET), found, RevertBranch(None, "main")).run(tmp_path / "state")
    assert ended.state == "local" and ended.branch == "cutover/rollback-d1"
    assert git(folder, "rev-parse", "main") == before
    git(folder, "merge", "--ff-only", "--quiet", ended.branch)
    assert (folder / ART).read_text() == BEFORE[ART]


def test_no_push_keeps_it_here(ground: Ground) -> None:
    ground.migrate()
    tip = ground.tip()
    ended = ground.run(push=False)
    assert ended.state == "local" and ground.tip() == tip and "push origin" in typed(ended)[0]


def test_a_branch_that_the_remote_does_not_have_is_named(ground: Ground) -> None:
    ground.migrate()
    target = RevertBranch("origin", "trunk")
    ended = Publication(Repository(ground.app, QUIET), ground.found(), target).run(ground.folder / "state")
    assert ended.state == "impossible" and "no branch trunk" in ended.message and "set app.branch" in str(ended.steps)


def test_the_failpoints_of_the_revert_are_visited(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.migrate()
    monkeypatch.setenv("CUTOVER_FAILPOINT", "revert.push=raise")
    monkeypatch.setattr(failpoint, "_visits", {})
    with pytest.raises(OSError, match="No space"):
        ground.run()
    monkeypatch.delenv("CUTOVER_FAILPOINT")
    assert ground.run().pushed
