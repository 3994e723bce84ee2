"""Settings of the stand-in are checked before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migration.base.errors import Refused
from migration.rehearsal.options import PlatformOptions
from migration.rehearsal.running import start


def test_without_settings_it_is_as_the_hosted_platform() -> None:
    usual = PlatformOptions.of({})
    assert (usual.harsh, usual.bundle_check, usual.bundle_megabytes, usual.rate_seconds) == (False, True, 20, 60)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"harhs": True}, "management.harhs: unknown key: one of"),
        ({"harsh": "yes"}, "harsh: should be true or false"),
        ({"max_functions": 1.5}, "max_functions: should be a whole number"),
        ({"max_functions": True}, "max_functions: should be a whole number"),
        ({"bundle_megabytes": "5"}, "bundle_megabytes: should be a number"),
        ({"body_layout": "zip"}, "body_layout: should be one of source, file-url, bare"),
        ({"latency": 500}, "latency: should be a mapping"),
        ({"latency": {"stge": 500}}, "latency.stge: unknown key"),
        ({"latency": {"stage": "fast"}}, "latency.stage: should be a number"),
        ({"rate_limit": {"defualt": 1}}, "rate_limit.defualt: unknown key"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        PlatformOptions.of(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"management": {"harhs": True}}, "rehearsal.management.harhs"), ({"providers": {"nobody": {}}}, "nobody")],
)
def test_a_sandbox_with_wrong_settings_does_not_start_and_says_why(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        start(tmp_path, settings=settings)
    assert not (tmp_path / "sandbox.json").exists()
