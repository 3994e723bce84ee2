"""What the sandbox gives a secret: what `rehearsal` says, a key of the stand-in, else a value of the form asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from migration.config import load, madeup

RUNNING = {"openrouter_key": "sk-or-v1-0", "google_keys": ["AIza0"], "keys": {"openai": "sk-proj-0"}, "jwt_secret": "j"}
FORMATS = [
    "^sk_", r"^sk_(live|test)_[A-Za-z0-9]{24,}$", r"^whsec_[A-Za-z0-9+/=]{32}$", r"^\d{6}$", r"^gsk_[^-]{10}$",
    r"^\S+@\S+\.\w+$", "^[0-9a-f]{8}-[0-9a-f]{4}$", r"(?i)^SG\.[\w-]{22}\.[\w-]{43}$", "^[^a]$", r"[^\w]{30}",
    "^postgres(ql)?://[^:]+:[^@]+@.+$", r"\Ax\w*\Z", "secret",
]  # fmt: skip


def config(folder: Path, secrets: dict[str, Any], rehearsal: str = "{}") -> Any:
    lines = [f"  {name}: {value}" for name, value in secrets.items()]
    (folder / "config.yaml").write_text(
        "migration: {name: m, functions: [a], to: groq}\napp: {path: ., base: HEAD}\n"
        "environments: {sandbox: {embedded: true}}\n"
        "providers:\n  groq: {kind: openai, model: m, url: https://api.groq.com/openai/v1}\n"
        "secrets:\n" + "\n".join(lines) + f"\nrehearsal: {rehearsal}\n"
    )
    return load.load(folder)


@pytest.mark.parametrize("pattern", FORMATS)
def test_a_format_is_met(pattern: str) -> None:
    made = madeup.formed("NAME", pattern, "key", "seed")
    assert re.search(pattern, made) and made.isprintable() and made == made.strip()


@pytest.mark.parametrize("pattern", [r"x\by", "^$", r"^a\b\Bb$"])
def test_no_value_for_a_format_that_none_can_be_made_for(pattern: str) -> None:
    """The stand-in's key stays, and `inv secret` says that its form is another one."""
    assert madeup.formed("NAME", pattern, "key", "seed") == "key"


def test_every_process_makes_the_same_value() -> None:
    """`inv secret` compares what another process set; sets have another order in each."""
    code = f"from migration.config.madeup import formed; print([formed('N', p, '', 's') for p in {FORMATS!r}])"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "12"
    }
    assert len(seen) == 1


def test_which_value_wins(tmp_path: Path) -> None:
    """`rehearsal.variables`, then a key of the stand-in, then what has the form."""
    secrets = {"A": "{format: ^sk_}", "B": "{provider: groq}", "C": "{provider: groq, format: ^gsk_}", "D": "{}"}
    made = config(tmp_path, secrets, "{variables: {A: mine, PORT: 1}, keys: {gemini: [D]}}")
    values = {name: madeup.value(made, name, RUNNING | {"given": {"D": "AIza7"}}) for name in secrets}
    assert (values["A"], values["B"], values["C"][:4], values["D"]) == ("mine", "sk-proj-0", "gsk_", "AIza7")
    assert madeup.formats(made)["C"] == {"kind": "openai", "format": "^gsk_"}
    assert madeup.formats(made)["D"]["kind"] == "gemini"
