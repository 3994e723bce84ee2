"""Declared hosts: files beside config.yaml, and mistakes that are named before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.rehearsal import hosts


def test_a_file_holds_the_same(tmp_path: Path) -> None:
    """Names are relative to the file that names them; a body may lie in a file of its own."""
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "logo.svg").write_text("<svg/>")
    (tmp_path / "stubs" / "cdn.yaml").write_text("answers: [{path: /logo.svg, file: logo.svg}]\n")
    (answer,) = hosts.read(hosts.found({"cdn.example.com": "stubs/cdn.yaml"}, tmp_path))["cdn.example.com"].answers
    assert (answer.body, dict(answer.headers)) == (b"<svg/>", {"content-type": "image/svg+xml"})
    assert answer.fits("GET", "/logo.svg") and not answer.fits("GET", "/logo.png")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("gone.yaml", "gone.yaml: No such file"),
        (3, "must be a mapping with answers"),
        ({"answer": []}, ".answer: unknown key: one of answers"),
        ({"answers": ["/v1"]}, "answers takes mappings of"),
        ({"answers": [{"json": {}, "text": ""}]}, "one of json, text and file"),
        ({"answers": [{"status": 20}]}, "status must be a number from 200 to 599"),
        ({"answers": [{"file": "gone.png"}]}, "gone.png: No such file"),
        ({"answers": [], "error_rate": {"sometimes": 1}}, "unknown outcome 'sometimes'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, value: Any, why: str) -> None:
    with pytest.raises(Refused, match=r"rehearsal\.hosts\.api\.example\.com[.:]") as caught:
        hosts.read(hosts.found({"api.example.com": value}, tmp_path))
    assert why in caught.value.message
