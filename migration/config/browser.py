"""The section `e2e` of config.yaml: the page, what a user does on it, and what must hold meanwhile."""

import re
from pathlib import PurePath
from typing import Annotated, Any, Literal

from msgspec import UNSET, field

from migration.base.numbers import few
from migration.config.builder import (
    Address,
    Amount,
    Count,
    EnvironmentName,
    Filled,
    Hidden,
    Positive,
    Regex,
    Section,
    Span,
    filled,
)
from migration.config.cases import UserCredentials

Role = Literal[
    "alert", "alertdialog", "article", "banner", "button", "cell", "checkbox", "columnheader", "combobox",
    "complementary", "contentinfo", "dialog", "figure", "form", "grid", "gridcell", "group", "heading", "img",
    "link", "list", "listbox", "listitem", "log", "main", "menu", "menubar", "menuitem", "menuitemcheckbox",
    "menuitemradio", "meter", "navigation", "option", "paragraph", "progressbar", "radio", "radiogroup", "region",
    "row", "rowheader", "search", "searchbox", "separator", "slider", "spinbutton", "status", "switch", "tab",
    "table", "tablist", "tabpanel", "textbox", "timer", "toolbar", "tooltip", "tree", "treeitem",
]  # fmt: skip
ACTIONS = ("goto", "sign_in", "fill", "upload", "click", "press", "wait", "expect", "evaluate", "screenshot")
_FINDERS = ("role", "text", "label", "placeholder", "test_id", "selector")
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def _file(value: str) -> str:
    """The name of a screenshot, which becomes a file's."""
    if not _NAMED.fullmatch(value):
        raise ValueError("should be letters, digits, - and _: it names a file")
    return value


FileName = Annotated[str, _file]


class Locator(Section):
    """One element as a user sees it. A plain text looks for that text."""

    short = "text"
    role: Role | None = None
    name: str | None = None
    text: str | None = None
    label: str | None = None
    placeholder: str | None = None
    test_id: str | None = None
    selector: str | None = None
    exact: bool = False
    nth: Count | None = None
    frame: str | None = None

    def __post_init__(self) -> None:
        if len(self.finders) > 1:
            raise ValueError(f"has {' and '.join(self.finders)}: one of them says where to look")
        if self.name is not None and self.role is None:
            raise ValueError("name goes with role, as in {role: button, name: Send}")
        if not self.finders and not self.optional:
            raise ValueError(f"needs one of {', '.join(_FINDERS)}")

    @property
    def finders(self) -> list[str]:
        return [name for name in _FINDERS if getattr(self, name) is not None]

    @property
    def optional(self) -> bool:
        """Whether no element at all means the page, or the frame."""
        return False

    def __str__(self) -> str:
        """As a sentence names it: `the button "Send" in the frame "Artifact"`."""
        where = f' in the frame "{self.frame}"' if self.frame else ""
        which = f" number {self.nth + 1}" if self.nth is not None else ""
        if not self.finders:
            return f'the frame "{self.frame}"' if self.frame else "the page"
        kind = self.finders[0]
        value = getattr(self, kind)
        if kind == "role":
            return f"the {value}{f' {chr(34)}{self.name}{chr(34)}' if self.name is not None else ''}{which}{where}"
        words = {"label": "the field", "placeholder": "the field that shows", "test_id": "the test id"}.get(
            kind, f"the {kind}"
        )
        return f'{words} "{value}"{which}{where}'


class Whole(Locator):
    """All of the page, or of a frame."""

    @property
    def optional(self) -> bool:
        return True


class Fill(Locator):
    """`value` is typed as it is, `{{unique}}` in it is new in every run; `secret` is typed and never shown."""

    value: str | None = None
    secret: Hidden | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.value is None) == (self.secret is None):
            raise ValueError("needs value, or secret for what must not be shown")


class FileUpload(Locator):
    """Files for a field that takes some, or for what an element asks for when it is clicked; paths are relative to
    config.yaml."""

    file: Filled | list[Filled] = []

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.file:
            raise ValueError("needs file: a path relative to the folder of config.yaml")

    @property
    def files(self) -> list[str]:
        return [self.file] if isinstance(self.file, str) else self.file


class Press(Section):
    """A key by its name (Enter, Escape, Control+A), at an element or where the focus is."""

    short = "key"
    key: Filled
    at: Locator | None = None


class Wait(Locator):
    """Until an element is there, or gone; or for so long."""

    short = "seconds"
    seconds: Span | None = None
    gone: bool = False

    @property
    def optional(self) -> bool:
        return self.seconds is not None


class PageExpect(Locator):
    """What an element is or holds. Without an element: the page, or the frame."""

    contains: str | list[str] = []
    matches: Regex | None = None
    value: str | None = None
    count: Count | None = None
    absent: bool = False
    rendered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.absent and (self.contains or self.matches or self.value is not None or self.count or self.rendered):
            raise ValueError("absent cannot be combined: what is not there has no properties")
        if not self.finders and not (self.contains or self.matches or self.rendered):
            raise ValueError(f"needs one of {', '.join(_FINDERS)}, or contains, matches, rendered for the whole page")

    @property
    def optional(self) -> bool:
        return True

    @property
    def texts(self) -> list[str]:
        return [self.contains] if isinstance(self.contains, str) else self.contains


class Evaluate(Section):
    """JavaScript whose value must be true, or what `equals` says."""

    short = "script"
    script: Filled
    frame: str | None = None
    equals: Any = UNSET


class Screenshot(Section):
    """A picture of the page or of one element. Blank is a failure, and so is one that does not differ."""

    short = "called"
    called: FileName
    of: Locator | None = None
    frame: str | None = None
    differs_from: str | None = None
    like: str | None = None
    accessible: bool = True

    def __post_init__(self) -> None:
        if self.of is not None and self.frame is not None:
            raise ValueError("has of and frame: put the frame into of")


class SignIn(Section):
    """The form by which `auth.user`, or `user`, signs in: `open` shows it, `until` is there once it is done."""

    open: Locator | None = None
    email: Locator = Locator(label="Email")
    password: Locator = Locator(label="Password")
    submit: Locator = Locator(role="button", name="Sign in")
    until: Locator | None = None
    user: UserCredentials | None = None


class Allow(Section):
    """Patterns of what this step provokes on purpose; none of it counts until the next step that acts."""

    exceptions: list[Regex] = []
    console_errors: list[Regex] = []
    failed_requests: list[Regex] = []


class PageStep(Section):
    """One thing that a user does or sees. Exactly one of ACTIONS; `costs` is true or USD, `timeout` in seconds."""

    name: str = ""
    goto: str | None = None
    sign_in: SignIn | None = None
    fill: Fill | None = None
    upload: FileUpload | None = None
    click: Locator | None = None
    press: Press | None = None
    wait: Wait | None = None
    expect: PageExpect | None = None
    evaluate: Evaluate | None = None
    screenshot: Screenshot | None = None
    timeout: Span | None = None
    costs: bool | Amount = False
    allow: Allow = Allow()

    def __post_init__(self) -> None:
        actions = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(actions) != 1:
            got = f"it has {' and '.join(actions)}" if actions else "it has none"
            raise ValueError(f"needs exactly one of {', '.join(ACTIONS)}; {got}")

    @property
    def action(self) -> str:
        return next(name for name in ACTIONS if getattr(self, name) is not None)

    @property
    def acts(self) -> bool:
        """Whether it changes something on the page, so that what follows is its effect."""
        return self.action not in ("wait", "expect", "screenshot")

    @property
    def types_secret(self) -> bool:
        return self.sign_in is not None or (self.fill is not None and self.fill.secret is not None)

    def __str__(self) -> str:
        what: Any = getattr(self, self.action)
        if self.name:
            return self.name
        if isinstance(what, Press):
            return f"press {what.key}"
        if isinstance(what, Evaluate | Screenshot | SignIn):
            return {"evaluate": "evaluate", "screenshot": f"screenshot {getattr(what, 'called', '')}"}.get(
                self.action, "sign in"
            )
        if isinstance(what, FileUpload):
            return f"upload {few([PurePath(one).name for one in what.files])} to {what}"
        if isinstance(what, Wait) and what.seconds is not None:
            return f"wait {what.seconds:g}s"
        if isinstance(what, PageExpect) and what.absent:
            return f"expect no {str(what).removeprefix('the ')}"
        return f"{self.action} {what}"


class Limit(Section):
    """How many are tolerated, and patterns of those that do not count."""

    short = "at_most"
    at_most: Count = 0
    ignore: list[Regex] = []


class Slow(Section):
    """Seconds after which an answer is slow: of a function, and of anything else that the page loads."""

    function: Span = 30.0
    other: Span = 3.0
    at_most: Count = 0
    ignore: list[Regex] = []


class Accessibility(Section):
    """Violations of axe's rules from this impact on, in what the screenshots show; `ignore` names rules."""

    impact: Literal["minor", "moderate", "serious", "critical"] = "serious"
    at_most: Count = 0
    ignore: list[str] = []


class Calls(Section):
    """What the log rows of each function call of the page must show, where the environment has logs."""

    routed: bool = True
    cost_logged: bool = True
    model: bool = True
    within: Span = 60.0


class Watched(Section):
    """What a person at the page would not see."""

    console_errors: Limit = Limit()
    exceptions: Limit = Limit()
    failed_requests: Limit = Limit()
    unavailable: Limit = Limit()
    slow: Slow = Slow()
    accessibility: Accessibility = Accessibility()
    calls: Calls = Calls()


class Viewport(Section):
    width: Positive = 1280
    height: Positive = 800


class E2e(Section):
    """`url`: the page, one for all environments or by environment; the sandbox serves its own (`rehearsal.site`)."""

    steps: Annotated[list[PageStep], filled]
    url: Address | dict[EnvironmentName, Address] | None = None
    timeout: Span = 10.0
    viewport: Viewport = Viewport()
    watched: Watched = field(default=Watched(), name="expect")

    def __post_init__(self) -> None:
        taken: set[str] = set()
        for number, step in enumerate(self.steps, 1):
            shot = step.screenshot
            if shot is None:
                continue
            for other in (shot.differs_from, shot.like):
                if other is not None and other not in taken:
                    raise ValueError(
                        f"step {number} compares with the screenshot {other}, which no step before it takes"
                    )
            if shot.called in taken:
                raise ValueError(f"two screenshots are called {shot.called}")
            taken.add(shot.called)
