"""The section `rehearsal.edge` is read as strictly as the rest of the config."""

from __future__ import annotations

from typing import Any

import pytest

from migration.base.errors import Refused
from migration.rehearsal.options import Limits


def test_without_the_section_the_edge_is_as_strict_as_the_hosted_one() -> None:
    assert Limits.of({}) == Limits()
    assert (Limits().idle_timeout, Limits().cpu_limit, Limits().memory) == (150, 2, 256)


def test_each_limit_can_be_set() -> None:
    assert Limits.of({"edge": {"idle_timeout": 5, "warm_secrets": True}}) == Limits(5, warm_secrets=True)


@pytest.mark.parametrize(
    ("edge", "said"),
    [
        ({"idel": 1}, "rehearsal.edge.idel: unknown key: one of"),
        ({"idle": "1"}, "rehearsal.edge.idle: should be a number"),
        ({"idle": True}, "rehearsal.edge.idle: should be a number"),
        ({"new_keys": 1}, "rehearsal.edge.new_keys: should be true or false"),
    ],
)
def test_a_mistake_in_it_is_refused_by_name(edge: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        Limits.of({"edge": edge})
