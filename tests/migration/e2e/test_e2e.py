"""Two applications of other kinds: a form with a sign-up, and a chat that streams."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from migration.base.errors import ConfigError
from migration.config.browser import PageExpect, PageStep, Press
from migration.e2e import e2e
from migration.e2e.actions import Stage, StepFailure, perform
from migration.e2e.film import Film
from tests.migration.e2e.conftest import Make, kept_files, kinds
from tests.support.collector import Collector
from tests.support.pages import CHAT, FORM, HEAD, Answer, PageServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECRET = "correct-horse-battery-7731"
INVITE = "invitation-88421-xyz"
USER = f"auth: {{user: {{email: someone@company.example, password: {SECRET}}}}}"
JOIN = f"""
- goto: /
- fill: {{label: Email, value: "test+{{{{unique}}}}@example.com"}}
- fill: {{label: Password, secret: {SECRET}}}
- fill: {{label: Invitation, secret: {INVITE}}}
- click: I agree
- {{name: join, click: {{role: button, name: Sign up}}, costs: 0.25}}
- {{expect: {{role: status, matches: "Welcome, test\\\\+[0-9a-f]{{8}}@example.com"}}, timeout: 30s}}
- expect: {{role: button, name: Sign up, absent: true}}
- screenshot: joined
"""


def join(given: Any) -> Answer:
    import json

    return 200, "application/json", json.dumps({"email": given["email"]}).encode()


@pytest.mark.slow
def test_form_app_passes(chromium: Browser, make: Make, pages: PageServer) -> None:
    pages.pages["/"], pages.answers["/functions/v1/join"] = FORM, join
    result = e2e.run(make(JOIN), e2e.E2eOptions(browser=chromium))
    assert result.exit_code == 0, (result.why, result.steps)
    assert [(call.function, call.status, call.step) for call in result.calls] == [("join", 200, 6)]
    assert result.cost == 0.25 and not result.trace and not result.video


@pytest.mark.slow
def test_streaming_chat_passes(chromium: Browser, make: Make, pages: PageServer) -> None:
    """What comes piece by piece is waited for; the answer counts as ended when its last piece came."""

    def pieces() -> Iterator[bytes]:
        for word in ("Hello ", "from ", "a ", "stream"):
            time.sleep(0.1)
            yield word.encode()

    pages.pages["/"] = CHAT
    pages.answers["/functions/v1/chat"] = lambda _: (200, "text/plain", pieces())
    steps = """
- goto: /
- fill: {label: Message, value: Say hello}
- press: {key: Enter, at: {label: Message}}
- expect: Hello from a stream
- expect: {role: listitem, count: 2}
- evaluate: {script: "document.querySelectorAll('li').length", equals: 2}
- screenshot: {called: talk, of: {role: list, name: Messages}}
"""
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium))
    assert result.exit_code == 0, (result.why, result.steps)
    assert result.calls[0].seconds >= 0.35


@pytest.mark.slow
@pytest.mark.parametrize(("password", "invite"), [(SECRET, INVITE), ("hunter2", "correct-horse")])
def test_secrets_in_no_kept_file(password: str, invite: str, chromium: Browser, make: Make, pages: PageServer) -> None:
    """Trace, video and pictures of a run that fails after secrets, strong and weak, were typed, sent and shown."""
    pages.pages["/"], pages.answers["/functions/v1/join"] = FORM, lambda given: (
        200, "application/json", f'{{"email": "{given["code"]}", "echo": "{given["password"]}"}}'.encode()
    )  # fmt: skip
    steps = JOIN.replace("timeout: 30s", "timeout: 3s")  # the answer is never the one that is expected
    steps, user = (text.replace(SECRET, password).replace(INVITE, invite) for text in (steps, USER))
    result = e2e.run(make(steps, auth=user), e2e.E2eOptions(browser=chromium))
    assert result.exit_code == 1 and kinds(result) == ["expectation"]
    assert Path(result.trace).exists() and Path(result.video).exists()
    kept = dict(kept_files(result))
    assert any(b"[REDACTED]" in data for data in kept.values())
    for name, data in kept.items():
        assert not [one for one in (password, invite) if one.encode() in data], name
    assert password not in str(result) and invite not in str(result)


@pytest.mark.parametrize("there", [True, False])
def test_only_what_is_missing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """A browser on PATH is not to be installed again, because a package is missing."""
    from migration.base.errors import Refused
    from migration.e2e import browser

    monkeypatch.setattr(browser, "_PARTS", ("no_such_package",))
    monkeypatch.setattr(browser, "executable", lambda: "/usr/bin/chromium" if there else None)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(Refused, match="needs no_such_package") as refused:
        browser.ready()
    assert ("a browser is there" in refused.value.message) is there
    assert ("install chromium" in refused.value.hint) is not there


@pytest.mark.long
def test_video_shows_no_step_that_types_a_secret(chromium: Browser, make: Make, pages: PageServer) -> None:
    """The page is magenta while the invitation stands in its field: no frame is."""
    from PIL import Image, ImageSequence

    pages.pages["/"], pages.answers["/functions/v1/join"] = FORM, join
    steps = JOIN + "- click: {role: button, name: Not there}\n"
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium))
    assert kinds(result) == ["not_found"]
    with Image.open(result.video) as film:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]
    assert frames
    for frame in frames:
        raw = frame.tobytes()
        magenta = sum(raw[n] > 200 and raw[n + 1] < 80 and raw[n + 2] > 200 for n in range(0, len(raw), 3))
        assert magenta < 50


@pytest.mark.long
def test_picture_masks_what_it_shows(chromium: Browser, make: Make, pages: PageServer) -> None:
    """A secret that the page shows is a dark box in every screenshot; a field that holds one, too."""
    from PIL import Image

    pages.pages["/"] = FORM.replace('<h1>Join</h1>', f'<h1>Join</h1><p style="background:#0f0">{SECRET}</p>').replace(
        'id="email" type="email"', f'id="email" value="{INVITE}" style="background:#0f0"'
    )  # fmt: skip
    auth = f"auth: {{user: {{email: {INVITE}, password: {SECRET}}}}}"
    result = e2e.run(make("- goto: /\n- screenshot: {called: shown, accessible: false}", auth=auth),
                     e2e.E2eOptions(browser=chromium))  # fmt: skip
    assert result.exit_code == 0, result.why
    with Image.open(io.BytesIO(Path(result.screenshots[0]).read_bytes())) as picture:
        colours = {colour for count, colour in picture.convert("RGB").getcolors(2**24) or [] if count > 200}
    assert (0, 255, 0) not in colours


@pytest.mark.slow
def test_lists_dialogs_and_tabs(chromium: Browser, make: Make, pages: PageServer) -> None:
    """A list is chosen from, what a dialog asks is confirmed, and a tab that opens is where the next steps look."""
    pages.pages["/"] = f"""{HEAD}<body><main><h1>Shop</h1><label>Size <select><option value=s>Small<option value=l>Large
      </select></label><button onclick="said.textContent = confirm('Sure?')">Delete</button><p id=said role=status></p>
      <button onclick="window.open('/terms')">Terms</button></main>"""
    pages.pages["/terms"] = f"{HEAD}<body><main><h1>Terms</h1><button onclick='window.close()'>Close</button></main>"
    steps = """
- goto: /
- fill: {label: Size, value: Large}
- expect: {label: Size, value: l}
- click: {role: button, name: Delete}
- expect: {role: status, contains: "true"}
- click: {role: button, name: Terms}
- expect: {role: heading, name: Terms}
- click: {role: button, name: Close}
- expect: {role: heading, name: Shop}
"""
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium))
    assert result.exit_code == 0, (result.why, result.steps)


@pytest.mark.slow
def test_list_of_the_pages_own(chromium: Browser, make: Make, pages: PageServer) -> None:
    """Options that come after their list are waited for; of two with the same value the one that shows the text."""
    script = "setTimeout(() => document.querySelector('select').add(new Option('Other', '')), 500)"
    pages.pages["/"] = f"""{HEAD}<body><main><label>Plan <select><option value="">Any</option></select></label></main>
      <script>{script}</script>"""
    steps = """
- goto: /
- fill: {label: Plan, value: Other}
- evaluate: {script: "document.querySelector('select').selectedIndex", equals: 1}
"""
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium, record=False))
    assert result.exit_code == 0, (result.why, result.steps)


@pytest.mark.slow
def test_list_that_refuses(chromium: Browser, make: Make, pages: PageServer) -> None:
    """A list that is disabled is named within the step's own time, and a short secret that it lacks is not shown."""
    lists = "<label>Plan <select disabled><option>S</select></label><label>Code <select><option>S</select></label>"
    pages.pages["/"] = f"{HEAD}<body><main>{lists}</main>"
    words = {"label: Plan, value: S": "could not be filled within 1s: it is disabled",
             "label: Code, secret: 'a7'": 'has no option "[REDACTED]"; there is "S"'}  # fmt: skip
    for field, why in words.items():
        steps = f"- goto: /\n- {{fill: {{{field}}}, timeout: 1s}}"
        result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium, record=False))
        assert [one.message.partition(": ")[2] for one in result.problems] == [why]


UPLOADS = f"""{HEAD}<body><main><label>Photo <input type=file hidden></label><p id=one role=status></p>
  <button onclick="made.click()">Add files</button><p id=two role=note></p><button>Nothing</button></main><script>
  const tell = (field, place) => field.onchange = async () => place.textContent =
    (await Promise.all([...field.files].map(async (each) => each.name + "=" + await each.text()))).join();
  const made = Object.assign(document.createElement("input"), {{type: "file", multiple: true}});
  tell(document.querySelector("input"), one); tell(made, two);</script>"""


@pytest.mark.slow
def test_files_are_uploaded(chromium: Browser, make: Make, pages: PageServer) -> None:
    """To a hidden field by its label, and to what a button asks for; what takes none is named, with what to use."""
    pages.pages["/"] = UPLOADS
    steps = """
- goto: /
- upload: {label: Photo, file: data/a.txt}
- expect: {selector: "#one", contains: a.txt=first}
- upload: {role: button, name: Add files, file: [b.txt, data/a.txt]}
- expect: {selector: "#two", contains: "b.txt=second,a.txt=first"}
- {upload: {role: button, name: Nothing, file: b.txt}, timeout: 3s}
"""
    context = make(steps)
    (context.config.folder / "data").mkdir()
    (context.config.folder / "data" / "a.txt").write_text("first")
    (context.config.folder / "b.txt").write_text("second")
    result = e2e.run(context, e2e.E2eOptions(browser=chromium, record=False))
    assert [step.ok for step in result.steps] == [True] * 5 + [False], result.problems
    assert (
        'the button "Nothing": could not be given a file within 3s: a click on it asks for no file'
        in result.problems[0].message
    )


@pytest.mark.slow
def test_file_is_not_typed(chromium: Browser, make: Make, pages: PageServer) -> None:
    pages.pages["/"] = f"{HEAD}<body><main><label>Photo <input type=file></label></main>"
    steps = "- goto: /\n- {fill: {label: Photo, value: a.png}, timeout: 3s}"
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium, record=False))
    assert "a file is not typed: use the step upload" in result.problems[0].message


def test_missing_file_is_refused(make: Make) -> None:
    """Before a browser starts, with the step and the place that was looked at."""
    context = make("- goto: /\n- upload: {label: Photo, file: gone.png}")
    with pytest.raises(ConfigError) as caught:
        e2e.ready(context)
    where = context.config.folder / "gone.png"
    step = 'Step 2 of e2e (upload gone.png to the field "Photo")'
    assert caught.value.message == f"{step} uploads {where}, which is not there."


@pytest.mark.slow
def test_location_that_is_no_address(chromium: Browser, make: Make, pages: PageServer) -> None:
    """Whatever an answer's headers hold, the run goes on."""
    pages.pages["/"] = f"{HEAD}<body><main></main><script>fetch('/made').then(() => main.textContent = 'Made')</script>"
    pages.pages["/"] = pages.pages["/"].replace("<main>", "<main id=main>")
    pages.answers["/made"] = lambda _: (201, "text/plain\r\nLocation: http://[", b"")
    steps = "- goto: /\n- expect: Made"
    result = e2e.run(make(steps), e2e.E2eOptions(browser=chromium, record=False))
    assert result.exit_code == 0, (result.why, result.steps)


SHOP = f"{HEAD}<body><main><h1>Shop</h1><button onclick=\"window.open('/next')\">Open</button></main>"
CLOSES = {
    "a click": ("<button onclick='window.close()'>Close</button>", "- click: {role: button, name: Close}"),
    "a key": ("<button onkeydown='window.close()'>Close</button>",
              "- press: {key: Enter, at: {role: button, name: Close}}"),
    "a key anywhere": ("<script>onkeydown = () => window.close()</script>", "- press: {key: Escape}"),
    "a list": ("<label>Size <select onchange='window.close()'><option>S<option>L</select></label>",
               "- fill: {label: Size, value: L}"),
    "itself": ("<script>fetch('/end').then(() => window.close())</script>", "- wait: {role: heading, name: Shop}"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("how", CLOSES)
def test_tab_that_closes(how: str, chromium: Browser, make: Make, pages: PageServer) -> None:
    """What closes a tab has done its work, whether the browser tells of the click or of the end first."""
    body, step = CLOSES[how]
    pages.pages |= {"/": SHOP, "/next": f"{HEAD}<body><main><h1>Next</h1>{body}</main>"}
    opened = "- click: {role: button, name: Open}\n- expect: {role: heading, name: Next}"
    steps = f"- goto: /\n{opened}\n{step}\n- expect: {{role: heading, name: Shop}}\n"
    for _ in range(3):
        context, begins = make(steps), Begins("wait")
        pages.answers["/end"] = begins.answer
        context.observer = begins
        result = e2e.run(context, e2e.E2eOptions(browser=chromium))
        assert result.exit_code == 0, (result.why, result.steps)


class Begins(Collector):
    """Sets its event when a step of this kind begins."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.event = kind, threading.Event()

    def step(self, name: str, subject: str = "", detail: str = "") -> None:
        super().step(name, subject, detail)
        if detail.startswith(self.kind):
            self.event.set()

    def answer(self, _: Any) -> Answer:
        """An answer of the page's server that comes once the step has begun."""
        self.event.wait(60)
        return 200, "text/plain", b"now"


@pytest.mark.slow
def test_no_tab_is_left(chromium: Browser) -> None:
    """Where the last tab is closed (a browser's crash, a person at a headed run), a step says that, at once."""
    page = chromium.new_page()
    stage, film = Stage(page, "http://127.0.0.1", "1"), Film(page)
    page.close()
    film.begin()
    film.check()
    film.stop()
    for step in (PageStep(expect=PageExpect(text="A")), PageStep(press=Press(key="A"))):
        with pytest.raises(StepFailure, match="no tab is open any more"):
            perform(stage, step, 30)


@pytest.mark.parametrize(
    ("paid", "cost", "words"),
    [(0, 0.0, "3 steps; none costs money"), (1, 0.004, "3 steps, of which 1 costs money: at most $0.01"),
     (2, 0.0701, "3 steps, of which 2 cost money: at most $0.08")],
)  # fmt: skip
def test_cost_is_announced(paid: int, cost: float, words: str) -> None:
    """Never less than it may be."""
    assert e2e._offer(3, paid, cost) == words


def test_browser_missing_is_one_sentence(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2 and the command that installs it."""
    from migration.base.errors import Refused

    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CHROME_PATH", raising=False)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", "/nowhere")
    with pytest.raises(Refused) as refused:
        e2e.run(make("- goto: /"))
    assert refused.value.exit_code == 2 and len(refused.value.message.splitlines()) == 1
    assert re.search(r"uv sync --group e2e|install chromium", refused.value.hint)


@pytest.mark.long
def test_proposed_steps_pass(chromium: Browser, tmp_path: Path, pages: PageServer) -> None:
    """What `inv init --app` writes for an app with a page runs as it stands, at the port of its own script."""
    import json

    from migration import context as contexts
    from tests.support import adopted

    port = pages.url.rpartition(":")[2]
    package = {"devDependencies": {"vite": "5"}, "scripts": {"dev": f"vite --port {port}"}}
    page = f"{HEAD}<body><main><h1>My dashboards</h1></main></body></html>"
    pages.pages["/"] = page
    files = {"package.json": json.dumps(package), "index.html": page}
    app = adopted.app(tmp_path / "app", {**adopted.BEFORE, **files}, adopted.AFTER)
    adopted.run(tmp_path / "root", app)
    result = e2e.run(contexts.make(tmp_path / "root", "local"), e2e.E2eOptions(browser=chromium))
    assert result.exit_code == 0 and [step.ok for step in result.steps] == [True] * 3, result.why
