from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from urllib.parse import quote

import pytest

from migration.base import secrets_type
from migration.base.secrets_type import MASK, Secret, cropped, mask, mask_typed, spare, typed
from migration.config.cases import SmokeCase
from migration.e2e import actions
from migration.rehearsal import stage

VALUE = 'canary-"é/+%-value-2718'


def test_a_secret_shows_a_mask_everywhere() -> None:
    secret = Secret(VALUE)
    assert {repr(secret), str(secret), f"{secret}", f"{secret:>3}", pickle.loads(pickle.dumps(secret)).reveal()} == {
        MASK
    }
    assert secret.reveal() == VALUE and secret == Secret(VALUE) and bool(secret) and not Secret("")


@pytest.mark.parametrize("form", ["raw", "url", "json", "ascii", "base64-0", "base64-1", "base64-2"])
def test_every_form_of_a_known_value_is_masked(form: str) -> None:
    Secret(VALUE)
    kind, _, skipped = form.partition("-")
    text = {
        "raw": VALUE,
        "url": quote(VALUE, safe=""),
        "json": json.dumps(VALUE, ensure_ascii=False),
        "ascii": json.dumps(VALUE),
        "base64": base64.b64encode(b"x" * int(skipped or 0) + VALUE.encode() + b"tail").decode(),
    }[kind]
    assert MASK in mask(f"before {text} after")


@pytest.mark.parametrize(
    "text", ["sbp_" + "a1" * 20, "sbp_oauth_" + "0f" * 20, "sk-or-v1-" + "ab" * 32, "sb_secret_" + "x" * 30,
             "https://user:password1@host/x"],
)  # fmt: skip
def test_what_looks_like_a_key_is_masked_without_being_known(text: str) -> None:
    assert MASK in mask(f"see {text} there") and text not in mask(text)


def test_short_values_do_not_eat_the_text() -> None:
    Secret("ab")
    assert mask("about a cab") == "about a cab"


@pytest.mark.parametrize("word", ["generate", "generate-artifact", "Sunshine", "FUNCTION", "function code", "12345678"])
def test_ordinary_words_stay_readable(word: str) -> None:
    """A secret that is a word, as in a test account, is masked where it stands as a value, and nowhere else."""
    Secret(word)
    assert mask(f"could not {word} it: {word}s") == f"could not {word} it: {word}s"
    assert word not in mask(f'{{"password": "{word}"}}') and word not in mask(f"?password={word}&x=1")
    assert "NAME" not in spare({"NAME": word}) and "OTHER" in spare({"OTHER": f"{word}s"})


@pytest.mark.parametrize("value", ["correct-horse-battery-staple", "generate1", "gEnErAtE", "a.person@example.com"])
def test_what_is_no_word_is_masked_everywhere(value: str) -> None:
    Secret(value)
    assert mask(f"x{value}y") == f"x{MASK}y"


@pytest.mark.parametrize("word", ["correct-horse", "hunter2", "geheim", "2468", "ab"])
def test_what_was_typed_is_masked(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short values and ordinary words too, in the forms in which a browser's trace holds them; numbers of JSON stay."""
    monkeypatch.setattr(secrets_type, "_typed", {})
    typed(word)
    escaped = json.dumps({"message": f'fill("{word}")', "body": json.dumps({"password": word})})
    shown = json.dumps({"text": f"Code\n{word}\non"}) if len(word) > 3 else ""
    for text in (escaped, shown, f'{{"value": "{word}"}}', f"?password={word}&x=1"):
        assert word not in mask_typed(text)
    assert mask_typed('{"time":2468.5,"at":2468,"box":[2468,1]}') == '{"time":2468.5,"at":2468,"box":[2468,1]}'
    assert mask_typed("about hunter24") == "about hunter24"


@pytest.mark.parametrize("crop", [lambda text: cropped(text, 120), actions._short, lambda text: stage._request(
    SmokeCase(name="a", function="a", body=text))])  # fmt: skip
def test_half_a_secret_is_not_shown(crop: Callable[[str], str]) -> None:
    """What is cut was masked before: of half a secret nothing would be recognised."""
    key = Secret("a-key-of-the-projects-own-4712")
    for before in range(60, 200, 7):
        assert "a-key" not in crop(f"{'x' * before} {key.reveal()} {'y' * 300}")
