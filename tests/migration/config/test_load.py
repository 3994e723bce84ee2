"""config.yaml is its own manual, and a mistake in it is told by file, line and path, all of them at once."""

from __future__ import annotations

import re
import time
import warnings
from pathlib import Path

import pytest

from migration.base.errors import ConfigError
from migration.base.secrets_type import Secret
from migration.config import load
from migration.config.settings import Config

ROOT = Path(__file__).parents[3]
SMALL = """\
migration:
  name: m
  functions: [a]
app:
  path: app
environments:
  prod:
    project_ref: abcdefghijklmnopqrst
    url: "https://{project_ref}.supabase.co"
    access_token: "${TOKEN_FOR_TEST}"
"""


def _load(folder: Path, text: str) -> Config:
    (folder / "config.yaml").write_text(text)
    return load.load(folder)


def _mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text)
    return caught.value.message.splitlines()


def test_the_shipped_file_is_valid() -> None:
    shipped = load.load(ROOT)
    assert shipped.migration.functions == ["generate-artifact", "generate-artifact-fix"]
    assert shipped.target is not None and shipped.target.price is not None
    assert shipped.target.price.input == 0.60


def test_every_key_of_the_shipped_file_has_a_comment_on_its_line_or_above_its_block() -> None:
    lines = (ROOT / "config.yaml").read_text().splitlines()
    bare = []
    for number, line in enumerate(lines):
        key = re.match(r"^(  )?([a-z_0-9A-Z]+):", line)
        if not key or "#" in line:
            continue
        block = next((n for n in range(number, -1, -1) if n == 0 or not lines[n - 1].strip()), 0)
        if not any(row.strip().startswith("#") for row in lines[block : number + 1]):
            bare.append(line)
    assert bare == []


def test_all_mistakes_come_at_once_each_with_file_line_and_path(tmp_path: Path) -> None:
    text = SMALL.replace("functions: [a]", "functions: a\n  funktions: [b]") + "soak:\n  max_requests: NO\ngates: {}\n"
    found = _mistakes(tmp_path, text)
    assert any(row.startswith("config.yaml:3:3: migration.functions:") for row in found)
    assert any(
        row.startswith("config.yaml:4:3: migration.funktions: unknown key; did you mean functions?") for row in found
    )
    assert any(row.startswith("config.yaml:13:3: soak.max_requests:") and "'NO'" in row for row in found)
    assert any("gates: unknown key; did you mean gate?" in row for row in found)


@pytest.mark.parametrize(
    "first",
    [
        "gates: {}", "soak: {max_requests: NO}", "soak: {accept: 0.9}", "budget: {monthly: 3}",
        "providers: {p: {kind: opnai}}", "smoke: [{name: x}]", "environment: {}",
    ],
)  # fmt: skip
def test_no_mistake_hides_another(tmp_path: Path, first: str) -> None:
    """Of another section, whose names nothing has; and a mistake has no consequences that are none."""
    names = "criteria: {no_505: {}, no_503: {at_least: many}}\nwatch: {tolerate: {no_such: 0.1}}\n"
    found = [line.split(": ", 2)[1] for line in _mistakes(tmp_path, f"{SMALL}{first}\n{names}")]
    others = ["criteria.no_505", "criteria.no_503.at_least", "watch.tolerate.no_such"]
    assert found[-3:] == others and len(found) in (4, 5) and all(one.startswith(first[:4]) for one in found[:-3])


def test_a_doubled_key_is_a_mistake_and_names_the_first(tmp_path: Path) -> None:
    assert _mistakes(tmp_path, SMALL + "soak: {accept: 0.99, accept: 0.98}\n") == [
        "config.yaml:11:22: soak.accept: is written twice (first in line 11)"
    ]


def test_a_missing_name_is_said(tmp_path: Path) -> None:
    assert "config.yaml:1:1: migration.name: is missing" in _mistakes(tmp_path, SMALL.replace("  name: m\n", ""))


@pytest.mark.parametrize(
    "text,words",
    [
        ("a: [1", "not valid YAML"),
        (
            "a:\n  b: [1\nc: 2\n",
            ":3:2: not valid YAML: while parsing a flow sequence that begins in line 2,",
        ),
        ("\tmigration: 1", "not valid YAML"),
        ("- just\n- a list\n", "expected keys and values"),
        ("", "expected keys and values"),
        ("a: &x [1]\nb: *x\n", "aliases are not allowed"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: " + "[" * 300_000, "nested more than 100 deep"),  # libyaml itself would die of it
        ("- " * 300_000, "nested more than 100 deep"),
    ],
)
def test_broken_files_are_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in row for row in _mistakes(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(ConfigError, match=r"cannot be read|not valid YAML"):
        load.load(tmp_path)


def test_no_file_names_the_way_to_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load.load(tmp_path)
    assert "CUTOVER_CONFIG" in caught.value.hint


def test_cutover_config_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.yaml").write_text(SMALL)
    monkeypatch.setenv("CUTOVER_CONFIG", "other.yaml")
    assert load.load(tmp_path).file.name == "other.yaml"


def test_a_value_comes_from_the_environment_before_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("TOKEN_FOR_TEST=from-the-file\n")
    (tmp_path / ".env").chmod(0o600)
    assert _load(tmp_path, SMALL).environments["prod"].access_token == Secret("from-the-file")
    monkeypatch.setenv("TOKEN_FOR_TEST", "from-the-shell")
    assert _load(tmp_path, SMALL).environments["prod"].access_token == Secret("from-the-shell")


def test_a_variable_without_value_is_an_error_only_for_who_needs_it(tmp_path: Path) -> None:
    token = _load(tmp_path, SMALL).environments["prod"].access_token
    assert load.missing(token) == ["TOKEN_FOR_TEST"]
    with pytest.raises(ConfigError, match="TOKEN_FOR_TEST is not set, and deploy needs it"):
        load.need(token, "environments.prod.access_token", "deploy")


def test_two_dollars_are_one() -> None:
    assert load.fill("$$5 and $${NAME}", {"NAME": "x"}) == "$5 and ${NAME}"


def test_yaml_surprises_stay_text(tmp_path: Path) -> None:
    found = _load(tmp_path, SMALL + "app2: 1\n".replace("app2: 1\n", "budget: {volumes: {NO: 1, light: 2}}\n"))
    assert found.budget.volumes == {"NO": 1, "light": 2}
    assert any("'24:00' is not a duration" in row for row in _mistakes(tmp_path, SMALL + "gate: {delay: 24:00}\n"))


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("auth: {anon_key: !env KEY}", "auth.anon_key: the tag !env is not read"),  # else KEY itself would be sent
        ("soak: !vault {case: x}", "soak: the tag !vault is not read"),
        ("watch: {notify: !reference [a, b]}", "watch.notify: the tag !reference is not read"),
        ("providers:\n  ? [a, b]\n  : {kind: gemini}", "providers.?: a key should be text"),
        ("soak: {max_cost: 1e400}", "soak.max_cost: should be a number, got '1e400'"),
        ("budget: {volumes: {light: -5}}", "budget.volumes.light: should be at least 0, got -5"),
        ("auth:\n  anon_key: ${DIGITS_FOR_TEST}", 'auth.anon_key: should be text: put it in quotes, best as "${NAME}"'),
    ],
)
def test_what_would_mean_something_else(
    tmp_path: Path, line: str, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tags, keys of several parts, numbers without end, volumes below nothing (they gave a negative spend), and digits
    in a variable that stands without quotes."""
    monkeypatch.setenv("DIGITS_FOR_TEST", "12345678")
    found = _mistakes(tmp_path, f"{SMALL}{line}\n")
    assert any(mistake in row for row in found) and "ScalarNode" not in "".join(found) and "12345678" not in found[0]


def test_the_usage_pattern_must_name_its_groups(tmp_path: Path) -> None:
    rows = _mistakes(tmp_path, SMALL + 'signals: {usage: "^in (?P<total>.*)"}\n')
    words = "has none of the named groups input, output, total, cost: write (?P<input>…)"
    assert rows == [f"config.yaml:11:11: signals.usage: {words}"]


def test_a_pattern_that_the_log_engine_cannot_run_is_refused_at_load(tmp_path: Path) -> None:
    [row] = _mistakes(tmp_path, SMALL + 'signals: {retry: "a(?=b)"}\n')
    assert row.startswith("config.yaml:11:11: signals.retry.pattern: uses (?=, which RE2 does not know (no lookaround")


def test_a_criterion_that_does_not_exist_is_named_with_the_likely_one(tmp_path: Path) -> None:
    rows = _mistakes(tmp_path, SMALL + "criteria: {sucess_rate: {at_least: 0.9}}\n")
    assert rows == [
        "config.yaml:11:12: criteria.sucess_rate: there is no criterion of this name; did you mean success_rate?"
    ]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("app", "ledger", "../.."), ("app", "ledger", "cutover"), ("app", "ledger", "refs/heads"),
        ("app", "ledger", "refs/heads/main"), ("app", "ledger", '""'), ("app", "branch", '""'),
        ("app", "branch", "a b"), ("app", "branch", "-x"), ("app", "remote", "--upload-pack=x"), ("app", "path", '""'),
        ("app", "path", '"a\\0b"'),
        ("environments.prod", "api_url", "api.supabase.com"), ("environments.prod", "api_url", "http://["),
        ("environments.prod", "api_url", '"http://a b/"'), ("environments.prod", "api_url", "ftp://host"),
        ("environments.prod", "api_url", "http://127.0.0.1:99999"),
    ],
)  # fmt: skip
def test_what_neither_git_nor_http_can_use_is_refused_with_its_line(
    tmp_path: Path, section: str, key: str, value: str
) -> None:
    first = {"app": "  path: app\n", "environments.prod": "    project_ref: abcdefghijklmnopqrst\n"}[section]
    indent = " " * (len(first) - len(first.lstrip()))
    changed = f"{indent}{key}: {value}\n"
    text = SMALL.replace(first, changed if key == "path" else first + changed)
    number = text[: text.index(changed)].count("\n") + 1
    said = _mistakes(tmp_path, text)
    assert said and all(line.startswith("config.yaml:") and section in line for line in said)
    assert any(f"config.yaml:{number}:" in line or line.split(": ")[1] == section for line in said)


@pytest.mark.parametrize("value", ["refs/cutover", "refs/heads/cutover", "refs/heads/team/main-ledger"])
def test_a_ledger_beside_the_branches_is_accepted(tmp_path: Path, value: str) -> None:
    assert _load(tmp_path, SMALL.replace("  path: app\n", f"  path: app\n  ledger: {value}\n")).app.ledger == value


@pytest.mark.parametrize(
    "ref", ["vznhbocnuykdmjvujak", "ABCDEFGHIJKLMNOPQRST", "abcdefghijklmnopqrs1", "", "sbp_" + "0" * 40]
)
def test_a_project_ref_of_another_form_is_told_without_showing_it(tmp_path: Path, ref: str) -> None:
    """A token that was put there by mistake must not come out again."""
    found = _mistakes(tmp_path, SMALL.replace("abcdefghijklmnopqrst", f'"{ref}"'))
    words = "should be the twenty lower-case letters of the dashboard's address"
    assert found == [f"config.yaml:8:5: environments.prod.project_ref: {words}"]


def test_a_project_ref_may_wait_for_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged once it has a value; environments without a project have none."""
    text = SMALL.replace("abcdefghijklmnopqrst", '"${REF_FOR_TEST}"') + "  local: {url: http://localhost:54321}\n"
    assert _load(tmp_path, text).environments["local"].project_ref is None
    monkeypatch.setenv("REF_FOR_TEST", "my-project")
    assert "environments.prod.project_ref" in _mistakes(tmp_path, text)[0]
    monkeypatch.setenv("REF_FOR_TEST", "abcdefghijklmnopqrst")
    assert _load(tmp_path, text).environments["prod"].project_ref == "abcdefghijklmnopqrst"


def test_how_the_logs_are_asked_is_the_environments_own(tmp_path: Path) -> None:
    text = SMALL + "    logs: {per_minute: 0, patience: 2s}\n"
    own = _load(tmp_path, text).environments["prod"].logs
    assert (own.per_minute, own.patience) == (0, 2.0)
    assert "environments.prod.logs.per_minute" in _mistakes(tmp_path, text.replace("0, p", "-1, p"))[0]


_CASE = "smoke: [{name: a, function: a, %s}]\n"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("gate: {within: 0s}\n", "gate.within"),
        (_CASE % "timeout: 0", "smoke.0.timeout"),
        (_CASE % "expect: {max_seconds: 0}", "smoke.0.expect.max_seconds"),
        ("criteria: {window: 0}\n", "criteria.window"),
        ("criteria: {response_time: {p95: 0}}\n", "criteria.response_time.p95"),
        ("soak: {max_time: 0m}\n", "soak.max_time"),
    ],
)
def test_a_time_that_must_pass_is_longer_than_nothing(tmp_path: Path, text: str, path: str) -> None:
    [found] = _mistakes(tmp_path, SMALL + text)
    assert found.endswith(f"{path}: must be longer than 0 seconds")


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        "-5s",
        ".inf",
        "1e400",
        pytest.param("9" * 10_000, id="nines"),
        pytest.param(f'"{"1s" * 5_000}"', id="long"),
    ],
)
def test_a_duration_that_is_none_is_told_at_once_and_in_one_line(tmp_path: Path, value: str) -> None:
    began = time.monotonic()
    [found] = _mistakes(tmp_path, SMALL + f"gate: {{delay: {value}}}\n")
    assert "gate.delay: " in found and "use for example 30s" in found and len(found) < 200
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("[[]", "can be read in two ways: possible nested set at position 1; write a backslash before it"),
        ("a[b--c]", "can be read in two ways: possible set difference at position 3"),
        ("(", "is not a regular expression: missing ), unterminated subpattern at position 0"),
    ],
)
def test_a_pattern_that_python_warns_of_is_a_mistake_like_any_other(tmp_path: Path, pattern: str, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [found] = _mistakes(tmp_path, SMALL + f"signals: {{failure: '{pattern}'}}\n")
    assert words in found


@pytest.mark.parametrize("name", ["a/b", "pro d", "a..b", "x.lock", "-x", "a:b", "'a~1'", "a;b", "größe", "a" * 61])
def test_an_environment_whose_name_git_cannot_carry_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    bare = name.strip("'")
    found = [row for row in _mistakes(tmp_path, SMALL.replace("prod:", f"{name}:", 1)) if "names a git ref" in row]
    assert len(found) == 1 and found[0].startswith("config.yaml:7:3:") and f"environments.{bare}:" in found[0]


@pytest.mark.parametrize("written", ["45397e1", "0123456", "1234567", "1e5", "true", "1.0"])
def test_revision_that_is_a_number_to_yaml_wants_quotes(tmp_path: Path, written: str) -> None:
    """A short revision of digits and one e is a number in YAML; the message shows it as it was written."""
    (row,) = _mistakes(tmp_path, SMALL.replace("path: app", f"path: app\n  base: {written}"))
    assert row.startswith("config.yaml:7:9: app.base: ") or "app.base: " in row
    assert f"YAML reads {written} as another kind: put it in quotes" in row
    assert _load(tmp_path, SMALL.replace("path: app", f'path: app\n  base: "{written}"')).app.base == written


def test_pattern_that_is_a_number_wants_quotes(tmp_path: Path) -> None:
    assert any("in quotes" in row for row in _mistakes(tmp_path, SMALL + "signals: {failure: 1e5}\n"))


@pytest.mark.parametrize(
    "address,good",
    [
        ("https://api.example.com", True), ("http://localhost:54321", True), ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True), ("http://x.localhost", True), ("http://127.8.9.1", True),
        ("http://api.supabase.com", False), ("http://192.168.1.5", False), ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False), ("http://0.0.0.0:1", False), ("http://2130706433", False),
        ("http://[::ffff:8.8.8.8]", False), ("HTTP://x.example", False), ("ftp://localhost", False),
    ],
)  # fmt: skip
def test_keys_never_travel_in_clear(tmp_path: Path, address: str, good: bool) -> None:
    """HTTPS outside this machine, for the Management API, the project, and every provider."""
    text = SMALL.replace('"https://{project_ref}.supabase.co"', f"'{address}'") + (
        f"providers: {{p: {{kind: openai, url: '{address}'}}}}\n"
    )
    text = text.replace("access_token", f"api_url: '{address}'\n    access_token")
    if good:
        assert _load(tmp_path, text).environments["prod"].api_url == address
        return
    paths = [row.split(": ")[1] for row in _mistakes(tmp_path, text)]
    assert set(paths) == {"environments.prod.url", "environments.prod.api_url", "providers.p.url"}
