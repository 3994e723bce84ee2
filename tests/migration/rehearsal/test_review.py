"""Mistakes in the section `rehearsal` are found without starting a sandbox, all at once, with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from migration.base.errors import ConfigError
from migration.base.progress import Observer
from migration.config import yamlfile
from migration.rehearsal import rehearse, review, sandbox
from migration.setup import config
from tests.support.project import ROOT

HEAD = (
    "migration: {name: m, functions: [alpha]}\napp: {path: app}\n"
    "environments: {sandbox: {embedded: true}}\nrehearsal:\n"
)


def written(folder: Path, section: str) -> Path:
    (folder / "app").mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(HEAD + "".join(f"  {line}\n" for line in section.splitlines()))
    return folder


@pytest.mark.parametrize(
    ("section", "where", "problem"),
    [
        ("hosts: {a.com: gone.yaml}", "config.yaml:5:11", "rehearsal.hosts.a.com: cannot read "),
        ("hosts: {a.com: {answers: [{file: gone.png}]}}", "config.yaml:5:11", "rehearsal.hosts.a.com: cannot read "),
        ("hosts: {a.com: {}, A.com: {}}", "config.yaml:5:11", "a.com is declared 2 times: keep one"),
        ("hosts: {A.com: {}}", "config.yaml:5:11", "should be written as a.com"),
        ("hosts: {'https://a.com': {}}", "config.yaml:5:11", "should be a host alone, as api.stripe.com"),
        ("hosts: {'*.a.com': {}}", "config.yaml:5:11", "should be a host alone, as api.stripe.com"),
        ("hosts: {a.com: {answers: 5}}", "config.yaml:5:11", "answers takes mappings of "),
        ("hosts: {a.com: {answers: [{headers: 5}]}}", "config.yaml:5:11", "headers must be a mapping"),
        ("hosts: {a.com: {answers: [{file: 5}]}}", "config.yaml:5:11", "cannot read "),
        ("hosts: {a.com: text.yaml}", "config.yaml:5:11", "cannot read "),
        ("providers: {openai: {error_rat: 1}}", "config.yaml:5:15", "rehearsal.providers.openai: "),
        ("providers: {closed: {}}", "config.yaml:5:15", "unknown provider 'closed': one of "),
        ("edge: {idel: 1}", "config.yaml:5:10", "rehearsal.edge.idel: unknown key"),
        ("management: {harsh: 1}", "config.yaml:5:16", "rehearsal.management.harsh: should be true or false"),
        ("logs: {dely: 1}", "config.yaml:5:10", "rehearsal.logs.dely: unknown key"),
        ("logs: {delay: soon}", "config.yaml:5:10", "rehearsal.logs.delay: should be a number"),
        ("backend: localhost:54321", "config.yaml:5:3", "rehearsal.backend: should be the address of a local stack"),
        ("database: {tables: {a: 5}}", "config.yaml:5:23", "should be a list of rows"),
        ("users: {ada: {}}", "config.yaml:5:11", "should be smoke or an email address"),
        ("storage: {a: {files: {x.png: gone.png}}}", "config.yaml:5:13", "rehearsal.storage.a: cannot read "),
        ("storage: {a: {file_size_limit: big}}", "config.yaml:5:17", "should be a number of bytes, or as 20MB"),
        ("site: web", "config.yaml:5:3", "rehearsal.site: there is no folder web in the app"),
        ("import_map: gone.json", "config.yaml:5:3", "rehearsal.import_map: "),
    ],
)
def test_each_mistake_names_its_line(tmp_path: Path, section: str, where: str, problem: str) -> None:
    """`inv config` finds what the sandbox would refuse at its start."""
    (tmp_path / "text.yaml").write_bytes(b"\xff\xfe\x00")
    problems = config.run(written(tmp_path, section), review.mistakes).problems
    assert [each["where"].rpartition("/")[2] for each in problems][:1] == [where]
    assert problem in problems[0]["problem"]


def test_folder_of_a_missing_app(tmp_path: Path) -> None:
    """Where the app is not there, that is the mistake, and not the folder which it therefore lacks too."""
    root = written(tmp_path, "site: web")
    (root / "app").rmdir()
    assert config.run(root, review.mistakes).problems == ()


def test_all_are_found_at_once(tmp_path: Path) -> None:
    section = "hosts: {a.com: gone.yaml, b.com: {answer: []}}\nedge: {idel: 1, memory: much}\nusers: {ada: {}}"
    result = config.run(written(tmp_path, section), review.mistakes)
    assert (len(result.problems), result.exit_code) == (5, 2)
    assert result.config["rehearsal"]["edge"]["memory"] == "much"


def test_mistakes_of_other_sections_hide_none(tmp_path: Path) -> None:
    """All at once, in the order of the file: of a section with a mistake in one of its keys the others count too."""
    root = written(tmp_path, "hosts: {a.com: gone.yaml}\ndeno: newest\nsite: web\nedges: {}\n")
    (root / "config.yaml").write_text((root / "config.yaml").read_text() + "soak: {accept: 2}\nsook: 1\n")
    wanted = [
        ("config.yaml:5:11", "rehearsal.hosts.a.com: cannot read "),
        ("config.yaml:6:3", "rehearsal.deno: should be a version"),
        ("config.yaml:7:3", "rehearsal.site: there is no folder web in the app"),
        ("config.yaml:8:3", "rehearsal.edges: unknown key; did you mean edge?"),
        ("config.yaml:9:8", "soak.accept: should be"),
        ("config.yaml:10:1", "sook: unknown key; did you mean soak?"),
    ]
    problems = config.run(root, review.mistakes).problems
    assert [each["where"].rpartition("/")[2] for each in problems] == [where for where, _ in wanted]
    assert all(words in each["problem"] for each, (_, words) in zip(problems, wanted, strict=True))


@pytest.mark.parametrize(
    "begin",
    [
        lambda root: rehearse.run(root, Observer()),
        lambda root: sandbox.run(root, Observer(), 0, fresh=False, ready=lambda _: None),
    ],
)
def test_sandbox_and_rehearsal_name_them_all(tmp_path: Path, begin: Callable[[Path], object]) -> None:
    """Before anything is cloned or started."""
    root = written(tmp_path, "hosts: {a.com: gone.yaml}\nsite: web")
    (root / "config.yaml").write_text((root / "config.yaml").read_text() + "sook: 1\n")
    with pytest.raises(ConfigError) as caught:
        begin(root)
    assert [line.split(": ")[1] for line in caught.value.message.splitlines()] == [
        "rehearsal.hosts.a.com", "rehearsal.site", "sook"
    ]  # fmt: skip
    assert not (root / ".cutover").exists()


def test_a_section_without_mistakes_passes(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"1")
    (tmp_path / "stub.yaml").write_text("answers: [{json: {made: 2026-01-01}}, {file: logo.png}]\n")
    section = (
        "hosts: {a.com: stub.yaml, 'localhost:8080': {latency: 0.1}}\nusers: {smoke: {claims: {org: 7}}}\n"
        "storage: {a: {files: {l.png: logo.png}, file_size_limit: 20MB}}\nlogs: {delay: 1, quote_counts: true}\n"
        "database: {tables: {notes: [{id: 1, made: 2026-01-01}]}}\nedge: {memory: 128}"
    )
    assert config.run(written(tmp_path, section), review.mistakes).problems == ()


def test_the_shipped_section_passes() -> None:
    assert review.mistakes(yamlfile.read(ROOT / "config.yaml").data, ROOT) == []
