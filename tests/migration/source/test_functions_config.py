"""config.toml means what it means to the Supabase CLI, and what the CLI refuses is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import Refused
from migration.source import functions_config
from migration.source.functions_config import Project, Settings

REF = "abcdefghijklmnopqrst"


def _plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")


def _settings(tmp_path: Path, text: str, slug: str = "hello") -> Settings:
    _plant(tmp_path, {"supabase/config.toml": text})
    return functions_config.load(tmp_path, slug, Project(REF, tmp_path))


OPEN = "[functions.hello]\nverify_jwt = false\n"
OURS = f'[remotes.p]\nproject_id = "{REF}"\n[remotes.p.functions.hello]\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OPEN + OURS + "verify_jwt = true\n", Settings("hello", verify_jwt=True)),
        (OPEN + OURS.replace(REF, "z" * 20) + "verify_jwt = true\n", Settings("hello", verify_jwt=False)),
        (OPEN + OURS.replace(REF, "env(PID)") + "verify_jwt = true\n", Settings("hello", verify_jwt=False)),
        (OPEN + OURS + 'import_map = "./a.json"\n', Settings("hello", verify_jwt=False, import_map="./a.json")),
        (OPEN + OURS + 'entrypoint = "./b.ts"\n', Settings("hello", verify_jwt=False, entrypoint="./b.ts")),
        (OPEN + OURS + "enabled = false\n", Settings("hello", verify_jwt=False, enabled=False)),
        (OURS + "verify_jwt = false\n", Settings("hello", verify_jwt=False)),
        (
            '[functions.hello]\nstatic_files = ["./a"]\nimport_map = "./x"\n'
            + OURS
            + 'static_files = []\nimport_map = ""',
            Settings("hello", import_map=""),
        ),
    ],
)
def test_a_remote_lies_over_the_functions(
    text: str, expected: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row was deployed with the real CLI 3.1.0 and is what it sent."""
    monkeypatch.setenv("PID", REF)
    assert _settings(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OURS + OURS.replace("remotes.p", "remotes.q"), "remotes p and q have the same project_id"),
        ('[remotes.p]\nproject_id = "short"', "remotes.p.project_id must be a project ref"),
        ("[remotes.p.functions.hello]\nverify_jwt = false", "remotes.p.project_id must be a project ref"),
        ("remotes = 3", "every remote must be a table"),
        (f'[remotes.p]\nproject_id = "{REF}"\nfunctions = 3', "remotes.p.functions must be a table"),
        (OURS + 'verify_jwt = "no"', ":4: remotes.p.functions.hello.verify_jwt must be true or false"),
        ("[functions]\nverify_jwt = true", ": functions.verify_jwt must be a table"),
        ('[functions.hello]\nverify_jwt = "false"', "must be true or false"),
        (
            '[functions.hello]\nverify_jwt = "env(NOT_SET)"',
            ":2: functions.hello.verify_jwt is env(NOT_SET), and NOT_SET is",
        ),
        ('[functions.hello]\nverify_jwt = "env(MAYBE)"', "must be true or false"),
        ('[functions.hello]\nverify_jwt = "env( TRUE )"', "must be true or false"),
        ("[functions.hello]\nverify_jwt = 0", "must be true or false"),
        ('[functions.hello]\nstatic_files = ["a\\u0000b"]', "must be a list of paths"),
        ('[functions.hello]\nentrypoint = "a\\u0000b"', "must be a path in quotes"),
        ("a = " + "[" * 3000 + "]" * 3000, "supabase/config.toml"),
        ("a = " + "1" * 5000, "supabase/config.toml"),
    ],
)
def test_a_config_that_the_cli_refuses(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guess could open a function to everyone."""
    monkeypatch.setenv("MAYBE", "maybe")
    monkeypatch.setenv("TRUE", "true")
    with pytest.raises(Refused) as caught:
        _settings(tmp_path, text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".env": "X=false"}, False),
        ({".env": "X=true", "supabase/.env": "X=false"}, True),
        ({".env": "X=true", "supabase/.env.local": "X=false"}, True),
        ({".env.local": "export X='false' # c", ".env": "X=true"}, False),
        ({".env.development": "X=true", ".env.local": "X=false"}, False),
        ({"supabase/.env.development.local": "X=F"}, False),
        ({"supabase/functions/.env": "X=false", ".env": "X=1"}, True),
    ],
)
def test_env_values_come_from_the_files_that_the_cli_reads(
    files: dict[str, str], expected: bool, tmp_path: Path
) -> None:
    """The app's folder before supabase/, and there the most special name first."""
    _plant(tmp_path, files)
    assert _settings(tmp_path, '[functions.hello]\nverify_jwt = "env(X)"').verify_jwt is expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"./functions/hello/*.txt,./functions/hello/*.md"', ("./functions/hello/*.txt", "./functions/hello/*.md")),
        ('"./functions/hello/*.txt"', ("./functions/hello/*.txt",)),
        ('""', ()),
        ('["env(GLOB)"]', ("./a,./b",)),
        ('"env(GLOB)"', ("./a", "./b")),
        ('["./a,./b"]', ("./a,./b",)),
    ],
)
def test_static_files_as_one_text(
    written: str, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One text with commas is a list; a comma within a list is part of a path."""
    monkeypatch.setenv("GLOB", "./a,./b")
    assert _settings(tmp_path, f"[functions.hello]\nstatic_files = {written}\n").static_files == expected


def test_a_byte_order_mark_is_not_an_error(tmp_path: Path) -> None:
    """Windows editors write it."""
    (tmp_path / "supabase").mkdir()
    (tmp_path / "supabase/config.toml").write_bytes(b"\xef\xbb\xbf" + OPEN.encode())
    assert functions_config.load(tmp_path, "hello").verify_jwt is False


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[functions.hello]\nverify-jwt = false\n", ":2: functions.hello.verify-jwt is not a setting"),
        ('["functions.hello"]\nverify_jwt = false\n', "functions.hello is not a setting"),
        ("[functions.hello]\nVerify_JWT = false\n", "functions.hello.Verify_JWT is not a setting"),
        (OURS + "regions = []\n", ":4: remotes.p.functions.hello.regions is not a setting"),
        ("[function.hello]\nverify_jwt = false\n", "function is not a setting"),
    ],
)
def test_an_unknown_key_is_a_warning(text: str, key: str, tmp_path: Path) -> None:
    """As the CLI warns: a mistyped key leaves the function as it is, without a trace."""
    found = _settings(tmp_path, text)
    assert found.verify_jwt is None
    assert key in found.warnings[0]
    assert _settings(tmp_path, "[functions.hello.env]\nA = 'b'\n").warnings == ()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[!a].html", "!-^bc"), ("[^a].html", "!-^bc"), ("[^a-b].html", "!-^c"), ("[a^].html", "^a"),
        ("[a!].html", "!a"), ("[!^a].html", "!-bc"), ("[^^].html", "!-abc"), ("[!].html", "!-^abc"),
    ],
)  # fmt: skip
def test_sets_of_a_static_pattern(pattern: str, expected: str, tmp_path: Path) -> None:
    """What the real CLI 3.1.0 uploads of the same files."""
    for name in "!-^abc":
        (tmp_path / f"{name}.html").touch()
    assert "".join(path.stem for path in functions_config.match(tmp_path, pattern)) == expected
