from __future__ import annotations

import pytest

from migration.base.finding import named


@pytest.mark.parametrize(
    "text,environment,wanted",
    [
        ("inv status", "prod", "inv status"),
        ("type: inv deploy (or inv rollback)", "eu", "type: inv deploy --env eu (or inv rollback --env eu)"),
        ("inv deploy --env eu --plan 1", "eu", "inv deploy --env eu --plan 1"),
        ("inv smoke", "prod", "inv smoke --env prod"),
        ("inv smoke", "local", "inv smoke"),
        ("set X in .env (inv init); inv sandbox --fresh; inv --help soak", "eu", None),
        ("inv status", "", "inv status"),
    ],
)
def test_commands_name_their_environment_unless_the_verb_means_it(text: str, environment: str, wanted: str) -> None:
    assert named(text, environment) == (wanted or text)
