"""The project itself: pins, directions of imports, lengths, and what must not be committed."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import copy

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HEAVY = (
    "httpx",
    "httpcore",
    "rich",
    "msgspec",
    "jinja2",
    "dotenv",
    "migration.clients",
    "migration.config.load",
)


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _pins() -> dict[str, str]:
    rows = (row.split("==") for row in PROJECT["tool"]["uv"]["constraint-dependencies"])
    return {_name(name): version for name, version in rows}


def test_every_installed_package_is_pinned_to_the_version_that_is_installed() -> None:
    installed = {_name(found.metadata["Name"]): found.version for found in importlib.metadata.distributions()}
    assert {name: version for name, version in installed.items() if _pins().get(name) != version} == {}


def test_every_package_of_the_resolution_is_pinned_for_every_platform() -> None:
    lock = ROOT / "uv.lock"
    if not lock.exists():
        subprocess.run(["uv", "lock", "-q"], cwd=ROOT, check=True)
    packages = tomllib.loads(lock.read_text())["package"]
    resolved = {_name(row["name"]): row["version"] for row in packages if row["name"] != PROJECT["project"]["name"]}
    assert resolved == {name: _pins().get(name) for name in resolved}


def test_no_pin_is_left_over() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())["package"] if (ROOT / "uv.lock").exists() else []
    assert not lock or set(_pins()) <= {_name(row["name"]) for row in lock}


def test_a_production_install_carries_no_log_engine_and_no_web_server_and_its_verbs_work(tmp_path: Path) -> None:
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    subprocess.run(["uv", "sync", "-q", "--no-dev"], cwd=ROOT, env=environment, check=True)
    made = copy(tmp_path / "project")
    shutil.rmtree(made.folder / "migration" / "rehearsal")
    made.edit("path: migration/rehearsal/app", "path: .")
    python = str(tmp_path / "venv" / "bin" / "python")
    asked = ["chdb", "starlette", "uvicorn", "jwt", "pytest", "apprise", "requests", "httpx", "invoke", "deno"]
    code = f"import importlib.util as u; print([n for n in {asked} if u.find_spec(n)])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "['httpx', 'invoke', 'deno']"
    done = subprocess.run(
        [python, "-m", "invoke", "plan"], cwd=made.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "SUPABASE_ACCESS_TOKEN is not set" in done.stderr
    assert PROJECT["tool"]["uv"].get("default-groups") is None


def _modules(*folders: str) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def _imports(module: str, path: Path) -> Iterator[str]:
    """Absolute names of what a module imports, in function bodies too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _under(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def test_httpx_is_imported_in_one_module_only() -> None:
    users = [
        module
        for module, path in _modules("migration", "checks")
        if any(_under(n, "httpx") for n in _imports(module, path))
    ]
    assert users == ["migration.clients.http"]


def test_hints_name_keys_of_the_config() -> None:
    """Which variable holds a token or a key is up to config.yaml: a hint that names one is right for the shipped file
    alone."""
    sources = [path for path in (ROOT / "migration").rglob("*.py") if "rehearsal" not in path.parts]
    named = re.compile(r"\b(?:SUPABASE_ACCESS_TOKEN|SUPABASE_ANON_KEY|OPENROUTER_\w+|SMOKE_USER_\w+)[^\"\n]* in \.env")
    assert {path.name for path in sources if named.search(path.read_text())} <= {"fromapp.py", "fromplan.py"}


def test_listing_the_verbs_loads_nothing_heavy() -> None:
    code = "import sys, json, tasks; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = json.loads(done.stdout)
    assert [name for name in loaded if _under(name, *HEAVY)] == []


def test_every_error_we_define_stands_under_the_one_base() -> None:
    from migration.base.errors import CutoverError, Interrupted

    for module, path in _modules("migration", "checks"):
        if _under(module, "migration.rehearsal"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id in _BUILTIN for b in node.bases):
                assert (module, node.name) in _BASES
    assert issubclass(CutoverError, Exception) and not issubclass(Interrupted, Exception)


_BASES = {
    ("migration.base.errors", "CutoverError"),
    ("migration.base.errors", "Interrupted"),
    ("checks.criterion", "Unmeasured"),
}
_BUILTIN = {
    "Exception",
    "BaseException",
    "RuntimeError",
    "ValueError",
    "OSError",
    "KeyError",
    "TypeError",
    "LookupError",
}


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_committed_names_a_machine_or_a_registry() -> None:
    words = re.compile(
        r"(^|[^A-Za-z0-9_.])/(work|root|home/[a-z]+)/|pypi\.org|pythonhosted|registry\.npmjs|deb\.debian"
    )
    found = []
    for path in _tracked():
        if path == Path(__file__):
            continue
        text = path.read_text(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in words.finditer(text)]
    assert found == []


def test_the_lock_file_and_dotenv_stay_out_of_git() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "uv.lock", ".env", ".cutover/x"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ignored.stdout.split() == ["uv.lock", ".env", ".cutover/x"]


def test_every_test_file_mirrors_a_module() -> None:
    """`test_x.py` or `test_x_more.py` stands where `x.py` stands under migration."""
    alone = {
        "test_races.py",
        "test_served.py",
        "test_real_cli.py",
        "test_real_cli_logs.py",
        "test_real_cli_session.py",
        "test_recorded.py",
        "test_storm.py",
    }
    for path in sorted((ROOT / "tests" / "migration").rglob("test_*.py")):
        folder = ROOT / "migration" / path.parent.relative_to(ROOT / "tests" / "migration")
        names = {found.stem for found in folder.iterdir()}
        subject = path.stem.removeprefix("test_")
        mirrored = any(subject == name or subject.startswith(f"{name}_") for name in names)
        assert mirrored or path.name in alone, path.relative_to(ROOT)


def test_the_environment_of_tests_has_no_agent_variables_that_change_the_real_cli() -> None:
    assert os.environ.get("SUPABASE_API_MAX_RETRIES") is None
