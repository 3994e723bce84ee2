"""A function that config.yaml names and nothing has is a mistake with its place, not a case that is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.config import load
from migration.config.settings import Config
from migration.source import strays
from migration.verify.forecast import forecast
from tests.support import repos

ENTRY = "Deno.serve(() => new Response());\n"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`before` is there at the first commit, `summarize` and `_shared` are now, `elsewhere` by config.toml alone."""
    folder = repos.alone(tmp_path_factory.mktemp("strays"))
    path = "supabase/functions/{}/index.ts".format
    first = {path("before"): ENTRY, path("summarize"): ENTRY, path("_shared"): ENTRY}
    repos.commit(folder, first | {"supabase/config.toml": '[functions.elsewhere]\nentrypoint = "./src/main.ts"\n'})
    repos.commit(folder, {path("before"): None})
    return folder


def config(app: Path, **parts: str) -> Config:
    sections = {"smoke": "[]", "signals": "{}", "criteria": "{}"} | parts
    (app / "config.yaml").write_text(
        "migration: {name: m, functions: [alpha], unchanged: [beta]}\napp: {path: ., base: HEAD~1}\n"
        "environments: {sandbox: {embedded: true}}\n" + "".join(f"{name}: {text}\n" for name, text in sections.items())
    )
    return load.load(app)


def case(slug: str) -> str:
    return f"[{{name: one, function: {slug}}}]"


@pytest.mark.parametrize("slug", ["alpha", "beta", "summarize", "before", "elsewhere", "live"])
def test_a_known_function_is_no_mistake(app: Path, slug: str) -> None:
    """What migration names, what the app holds or held at app.base, what config.toml names, what is live."""
    assert strays.mistakes(config(app, smoke=case(slug)), app, {"live"}) == []


@pytest.mark.parametrize(
    ("part", "text", "path"),
    [
        ("smoke", case("summarise"), ("smoke", 0, "function")),
        ("signals", "{failure: {pattern: x, functions: [alpha, summarise]}}", ("signals", "failure", "functions", 1)),
        ("criteria", "{unchanged: {function: summarise}}", ("criteria", "unchanged", "function")),
    ],
)
def test_a_mistyped_function_is_named(app: Path, part: str, text: str, path: tuple[str | int, ...]) -> None:
    ((where, why),) = strays.mistakes(config(app, **{part: text}), app)
    assert where == path and why.endswith("; did you mean summarize?")


def test_an_app_that_is_not_here_has_no_mistakes(app: Path, tmp_path: Path) -> None:
    assert strays.mistakes(config(app, smoke=case("summarise")), tmp_path) == []


def test_a_base_that_a_shallow_clone_lacks_may_hold_any_function(app: Path, tmp_path: Path) -> None:
    """With `fetch-depth: 1` CI refused what a laptop deploys, because it cannot see what app.base held."""
    clone = repos.clone(f"file://{app}", tmp_path / "ci", "--depth=1")
    own = config(clone, smoke=case("before"))
    assert strays.mistakes(own, clone) == []


def test_a_plan_names_what_its_gate_does_not_send(app: Path) -> None:
    """A function of the app that the migration does not name: its cases are for `inv smoke`."""
    lines = list(forecast(config(app, smoke=case("summarize")), {"alpha"}).lines())
    assert any("no smoke case of summarize: it is neither in migration.functions" in line for line in lines)
