"""The shipped steps on the sample app in the sandbox: before, after, and with each fault that users met."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from migration import context as contexts
from migration.base import secrets_type
from migration.base.progress import Observer
from migration.config import load as configuration
from migration.context import Context
from migration.e2e import e2e
from migration.e2e.result import E2eResult
from migration.rehearsal import sandbox
from migration.rehearsal.running import Running
from migration.source import reader
from tests.migration.e2e.conftest import kept_files, kinds
from tests.support.project import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.long
FUNCTIONS = ("generate-artifact", "generate-artifact-fix")
Edit = Callable[[str], str]


@dataclass
class Studio:
    """The sandbox with the sample app, and the shipped steps."""

    running: Running
    folder: Path
    browser: Any

    def context(self, edit: Edit = lambda text: text) -> Context:
        """A fresh context; `edit` changes the section e2e of the shipped config.yaml."""
        text = (ROOT / "config.yaml").read_text(encoding="utf-8")
        start, end = text.index("\ne2e:\n"), text.index("\n# The sandbox: what")
        file = self.folder / "config.yaml"
        file.write_text(text[:start] + edit(text[start:end]) + text[end:], encoding="utf-8")
        return contexts.attach(self.folder, configuration.load(self.folder, file), self.folder / "sandbox", Observer())

    def put(self, revision: str = "head", edits: Mapping[str, Edit] | None = None) -> None:
        """Make the migrated functions of `base` or `head` live, with these files edited."""
        context = self.context()
        at = sandbox.noted(self.folder / "sandbox")[revision]
        for source in reader.reader(context).at(at, FUNCTIONS).values():
            upload = source.upload()
            files = [(path, _edited(path, data, edits or {})) for path, data in upload.files]
            context.supabase.deploy(replace(upload, files=files))

    def providers(self, **programs: Any) -> None:
        self.running._ask("POST", "providers", programs)

    def run(self, edit: Edit = lambda text: text) -> E2eResult:
        """One run; whatever it shows, no file that it kept holds a secret in any form."""
        result = e2e.run(self.context(edit), e2e.E2eOptions(browser=self.browser))
        leaks = {name: secrets_type.found(data.decode("latin-1")) for name, data in kept_files(result)}
        assert {name: found for name, found in leaks.items() if found} == {}
        return result

    def served(self, name: str, edit: Edit) -> None:
        """Change a file of the page as the sandbox serves it."""
        path = Path(sandbox.noted(self.folder / "sandbox")["app"]) / "web" / name
        path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")


def _edited(path: str, data: bytes, edits: Mapping[str, Edit]) -> bytes:
    edit = next((edit for name, edit in edits.items() if path.endswith(name)), None)
    if edit is None:
        return data
    text = edit(data.decode())
    assert text != data.decode(), path
    return text.encode()


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("studio")
    config = configuration.load(ROOT)
    quick: dict[str, Any] = {"gemini": {"pro": {}, "flash": {}, "image": {}}, "openrouter": {}}
    config = structs.replace(config, rehearsal=structs.replace(config.rehearsal, providers=quick, deno="own"))
    with sandbox.boot(folder, config, folder / "sandbox", Observer()) as running:
        yield running, folder


@pytest.fixture
def studio(booted: tuple[Running, Path], chromium: Browser) -> Iterator[Studio]:
    found = Studio(*booted, chromium)
    yield found
    found.running.heal()
    found.running._ask("DELETE", "providers")
    context = found.context()
    context.repository.git("checkout", "--quiet", "--force", "HEAD")


def quicker(text: str) -> str:
    """The steps with less patience."""
    return text.replace("timeout: 60s", "timeout: 4s")


def made(code: str) -> Edit:
    """generate-artifact with an answer of its own."""
    line = "const artifactCode = extractArtifact(answer, type, prompt);"
    wrapped = f'<artifact type="application/vnd.ant.react" title="Weather">\\n{code}\\n</artifact>'
    return lambda text: text.replace(line, f"{line}\n  return {{ success: true, artifactCode: `{wrapped}` }};")


BLANK = {"generate-artifact/index.ts": made("export default function A() { return null; }")}
THROWS = {"generate-artifact/index.ts": made('export default function A() { throw new Error("no data"); }')}
UNFIXED = {"generate-artifact-fix/index.ts": lambda text: text.replace("extractCode(answer)", "code")}
UNPRICED = {"openrouter-client.ts": lambda text: text.replace("if (body?.usage) logUsage(body.usage, log);", "")}
OTHER = {"openrouter-client.ts": lambda text: text.replace("Answered by ${body.model}", "Answered by x/other")}
EXPIRED = """    - {name: let the session expire, evaluate: "() => { const key = 'artifact-studio.session';
      localStorage.setItem(key, JSON.stringify({ access_token: 'eyJhbGciOiJIUzI1NiJ9.e30.x' })); return true; }"}
    - {name: press Fix"""


def test_new_code_passes(studio: Studio) -> None:
    """The shipped steps: each function call is found in the logs, routed, priced, and by the model that was asked."""
    studio.put()
    result = studio.run()
    assert result.exit_code == 0, (result.why, [step for step in result.steps if not step.ok])
    assert [(call.function, call.routed, call.cost_logged) for call in result.calls] == [
        ("generate-artifact", True, True), ("generate-artifact-fix", True, True), ("generate-image", None, None),
    ]  # fmt: skip
    assert {call.model for call in result.calls[:2]} == {"moonshotai/kimi-k2-thinking"}


def test_old_code_fails(studio: Studio) -> None:
    """Works in the browser, and the logs show the old route: said of each call."""
    studio.put("base")
    result = studio.run()
    assert kinds(result) == ["routed", "routed"] and all(step.ok for step in result.steps), result.problems


@pytest.mark.parametrize(
    ("edits", "kind", "words"),
    [
        (BLANK, "blank", 'the heading "Weather" in the frame "Artifact" is not there: the frame "Artifact" is blank'),
        (THROWS, "exceptions", "no data"),
        (UNFIXED, "not_fixed", r"the error of step 9 \(break it\) is back: .*Unexpected token"),
        (UNPRICED, "cost_logged", "generate-artifact logged no cost"),
        (OTHER, "model", "generate-artifact was answered by x/other, not by moonshotai/kimi-k2-thinking"),
    ],
    ids=["blank", "throws", "unfixed", "unpriced", "other model"],
)
def test_fault_of_the_code(studio: Studio, edits: Mapping[str, Edit], kind: str, words: str) -> None:
    studio.put(edits=edits)
    result = studio.run(quicker)
    assert set(kinds(result)) == {kind}, result.problems
    assert re.search(words, result.problems[0].message)
    assert len(result.problems) == (2 if kind in ("cost_logged", "model") else 1)  # said of both functions


def test_503_on_the_third_call(studio: Studio) -> None:
    """The picture's model is overloaded: the artifact and its fix worked."""
    studio.put()
    studio.providers(gemini={"image": {"sequence": ["503", "503"]}})
    result = studio.run(quicker)
    assert kinds(result) == ["unavailable"] and "generate-image answered 503" in result.problems[0].message
    assert [step.ok for step in result.steps] == [True] * 17 + [False] and result.steps[-1].cause


def test_provider_hangs(studio: Studio) -> None:
    studio.put()
    studio.providers(openrouter={"latency": [30, 30]})
    result = studio.run(quicker)
    assert kinds(result) == ["slow"] and "generate-artifact has not answered for" in result.problems[0].message


def test_session_expires(studio: Studio) -> None:
    studio.put()
    result = studio.run(lambda text: quicker(text).replace("    - {name: press Fix", EXPIRED))
    assert kinds(result) == ["session"] and "generate-artifact-fix answered 401" in result.problems[0].message


def test_button_is_renamed(studio: Studio) -> None:
    studio.put()
    studio.served("index.html", lambda text: text.replace(">Fix</button>", ">Repair</button>"))
    result = studio.run(quicker)
    assert kinds(result) == ["not_found"], result.problems
    assert result.problems[0].message.startswith('the button "Fix": not there; there is')
    assert '"Repair"' in result.problems[0].message
    failed = next(step for step in result.steps if step.ok is False)
    assert any('button "Repair"' in line for line in failed.there) and Path(failed.screenshot).exists()


def test_font_is_slow(studio: Studio) -> None:
    """Everything works, and the font is named."""
    studio.put()
    studio.running.fault("site", "delay", slug="/vendor/inter.woff2", ms=2500)
    result = studio.run(lambda text: text.replace("other: 3s", "other: 2s"))
    assert all(step.ok for step in result.steps) and kinds(result) == ["slow"], result.problems
    assert "/vendor/inter.woff2 took 2." in result.problems[0].message
