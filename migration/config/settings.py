"""The shape of config.yaml: one struct a section, every unknown key refused. The file itself is the manual."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import field

from migration.base.secrets_type import Secret
from migration.config.browser import E2e
from migration.config.builder import (
    OPEN,
    Address,
    Amount,
    Count,
    Duration,
    EnvironmentName,
    Filled,
    Hidden,
    Positive,
    ProjectRef,
    Ref,
    Regex,
    Risk,
    Section,
    Share,
    Slug,
    Span,
    above,
    at_least,
    at_most,
    below,
    filled,
    loopback,
)
from migration.config.cases import SmokeCase, UserCredentials


def _ledger(value: str) -> str:
    """Refs apart from the branches and tags that people use."""
    if not re.match(r"refs/(?!(heads|tags|remotes)$)", value):
        raise ValueError("should begin with refs/, as refs/cutover or refs/heads/cutover do")
    return value


def _secret(name: str) -> str:
    if name.startswith("SUPABASE_") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("cannot be a secret's name: letters, digits and _, not starting SUPABASE_")
    return name


def _day(value: str) -> str:
    """A day of the calendar, as `2026-12-01`."""
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"should be a day such as 2026-12-01, got {value}") from None
    return value


def _digest(value: str) -> str:
    """The value is not shown when it is wrong: it may be the secret itself."""
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("should be a SHA-256, 64 digits and letters a to f")
    return value


OWN_DENO = "own"


def _deno(value: str) -> str:
    """A version as npm knows it, or the one that comes with Cutover."""
    if value != OWN_DENO and not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise ValueError(f"should be a version such as 2.1.4, or {OWN_DENO}; got {value}")
    return value


def _distinct(cases: list[SmokeCase]) -> list[SmokeCase]:
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two cases are named {', '.join(twice)}")
    return cases


# Verbs that can answer an item of the plan document. `report`: shown by the report itself; `person`: by no verb.
ANSWERS = (
    "secret", "plan", "deploy", "smoke", "soak", "logs", "costs", "checks", "watch", "rollback", "history", "e2e",
    "rehearse", "report", "person",
)  # fmt: skip


class PlanItem(Section):
    """One item of the plan document: its first line (from 1), its words, and what answers it. `by`: a verb, `person`,
    or a name below `criteria`, `smoke`, `signals` or `secrets`, as `criteria.no_503`; of several, all must hold."""

    line: Positive
    text: Filled
    by: Filled | Annotated[list[Filled], filled]

    @property
    def answers(self) -> list[str]:
        return [self.by] if isinstance(self.by, str) else self.by


class Migration(Section):
    name: str
    functions: Annotated[list[Slug], filled]
    unchanged: list[Slug] = []
    from_: str | None = field(name="from", default=None)
    to: str | None = None
    plan: Filled | None = None
    items: list[PlanItem] = []

    def __post_init__(self) -> None:
        both = sorted(set(self.functions) & set(self.unchanged))
        if both:
            raise ValueError(f"{', '.join(both)} cannot be both in functions and in unchanged")


class AppSettings(Section):
    path: Filled
    base: str | None = None
    remote: Ref = "origin"
    branch: Ref = "main"
    ledger: Annotated[Ref, _ledger] = "refs/cutover"

    def __post_init__(self) -> None:
        branch = f"refs/heads/{self.branch}"
        if f"{branch}/".startswith(f"{self.ledger}/") or self.ledger.startswith(f"{branch}/"):
            raise ValueError(f"ledger {self.ledger} is in the way of the branch {self.branch}")


class Auth(Section):
    anon_key: Hidden | None = None
    user: UserCredentials | None = None


class LogSettings(Section):
    """Limits of reading the hosted logs: queries `per_minute` (0: no limit); `patience` in seconds. `source`, or a
    plain value: the lines of `supabase functions serve` where there is no project, a file or a command."""

    short = "source"
    source: Filled | None = None
    per_minute: Count = 8
    patience: Duration = 180.0


class EnvironmentSettings(Section):
    project_ref: ProjectRef | None = None
    api_url: Address = "https://api.supabase.com"
    url: Address | None = None
    access_token: Hidden | None = None
    confirm: bool = False
    auth: Auth | None = None
    logs: LogSettings = LogSettings()
    embedded: bool = False

    def __post_init__(self) -> None:
        if not self.embedded and self.url is None:
            raise ValueError("needs a url (or embedded: true for the sandbox)")


class SecretSettings(Section):
    provider: str | None = None
    format: Regex | None = None
    sha256: Annotated[str, _digest] | None = None


class Price(Section):
    input: Amount
    cached_input: Amount
    output: Amount


ProviderKind = Literal["openrouter", "openai", "anthropic", "gemini", "none"]
ProofKind = Literal["key", "model", "price", "credit", "usage"]
# What each kind of provider can prove; `migration.providers` has how. `usage`: what it booked on our key.
PROOFS: dict[str, frozenset[ProofKind]] = {
    "openrouter": frozenset({"key", "model", "price", "credit", "usage"}),
    "openai": frozenset({"key", "model"}),
    "anthropic": frozenset({"key", "model"}),
    "gemini": frozenset({"key", "model"}),
    "none": frozenset(),
}
# What a criterion needs from the provider that the migration moves to.
NEEDS: dict[str, ProofKind] = {"provider_sees_requests": "usage", "budget": "usage"}
_ADDRESSES = {
    "openrouter": "https://openrouter.ai/api/v1",
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
}
# Routing suffixes belong to a request, not to the list of models: https://openrouter.ai/docs/model-variants
_ROUTING = re.compile(r"(:(nitro|floor|exacto|online))+$")


class ProviderSettings(Section):
    """A service that the functions call. Its key goes to its own address and to no other.

    `ends`: the first day on which `model` is shut down or routed to another one, `successor`, where that is announced.
    """

    kind: ProviderKind = "none"
    model: str | None = None
    url: Address | None = None
    key: Hidden | None = None
    management_key: Hidden | None = None
    price: Price | None = None
    ends: Annotated[str, _day] | None = None
    successor: str | None = None

    def __post_init__(self) -> None:
        if self.successor and not self.ends:
            raise ValueError("successor needs ends: the day from which it answers")
        given = [name for name in ("url", "key", "management_key") if getattr(self, name) is not None]
        if self.kind == "none" and given:
            raise ValueError(f"{', '.join(given)} would never be used: set kind (one of {', '.join(_ADDRESSES)})")
        if self.management_key is not None and self.kind != "openrouter":
            raise ValueError(f"kind {self.kind} has no management_key: only openrouter has one")

    @property
    def address(self) -> str:
        """Where it is asked; empty for kind none, which is never asked."""
        return self.url or _ADDRESSES.get(self.kind, "")

    @property
    def listed(self) -> str:
        """The model's name in the provider's list and on its bill."""
        name = self.model or ""
        return _ROUTING.sub("", name) if self.kind == "openrouter" else name


class Signal(Section):
    short = "pattern"
    pattern: Regex
    functions: list[Slug] | None = None


class Marker(Section):
    header: str


class Gate(Section):
    probe: Literal["auto", "options", "smoke", "marker"] = "auto"
    delay: Duration = 20.0
    within: Span = 600.0
    regions: list[str] = []
    marker: Marker | None = None
    inconclusive: Literal["keep", "restore"] = "keep"
    e2e: bool = False


_ONE_LOOK = "is no longer read: `inv checks` judges one look, and `inv watch` judges many of them"


class CriterionSettings(Section):
    """The options of all criteria; each criterion's docstring says which of them it reads."""

    moved = dict.fromkeys(("failures", "in_a_row", "errors"), _ONE_LOOK)

    label: str = ""
    at_least: float | None = None
    at_most: float | None = None
    reject: float | None = None
    baseline: float | None = None
    p50: Span | None = None
    p95: Span | None = None
    p99: Span | None = None
    mean: float | None = None
    max: Annotated[float, above(0)] | None = None
    requests: Count | None = None
    function: Slug | None = None
    expected: dict[Literal["before", "after"], str] = {}
    gate: bool | None = None
    advisory: bool = False


CRITERIA = (
    "answers_work",
    "no_503",
    "cost_logged",
    "provider_sees_requests",
    "no_errors_in_logs",
    "unchanged",
    "success_rate",
    "response_time",
    "cost_per_request",
    "code_quality",
    "budget",
)


class Criteria(Section):
    """`window` and `files`; every other key is the name of a criterion."""

    further = CriterionSettings
    inner = ("named",)
    moved = {
        "artifacts_work": "is now answers_work",
        "cost_per_artifact": "is now cost_per_request",
        "chat_unchanged": "is now part of unchanged, which judges every function of migration.unchanged",
        "images_unchanged": "is now part of unchanged, which judges every function of migration.unchanged",
    }
    window: Span = 3600.0
    files: list[str] = []
    named: dict[str, CriterionSettings] = {}


class Soak(Section):
    accept: Share = 0.99
    reject: Share = 0.95
    alpha: Risk = 0.05
    beta: Risk = 0.05
    max_requests: Positive = 300
    max_cost: Annotated[float, above(0)] = 2.0
    max_time: Span = 1800.0
    concurrency: Annotated[Positive, at_most(64)] = 4
    case: str | None = None

    def __post_init__(self) -> None:
        if self.reject >= self.accept:
            raise ValueError("reject must be lower than accept")


class Budget(Section):
    monthly_warning: Amount = 10.0
    monthly_critical: Amount = 50.0
    volumes: dict[str, Count] = {}


class Rollback(Section):
    scope: Literal["functions", "commit"] = "functions"


# What a watch tests, and the largest share that may fail where `watch.tolerate` names none.
TOLERATED = {
    "success_rate": 0.01,
    "no_503": 0.01,
    "response_time": 0.05,
    "no_errors_in_logs": 0.01,
    "cost_logged": 0.01,
    "cost_per_request": 0.05,
    "unchanged": 0.01,
}
# Notifiers of Apprise that send over plain HTTP, and what they are called with TLS.
_CLEAR = {"http": "https", "json": "jsons", "xml": "xmls", "form": "forms"}
_NOTIFIER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/\s?#@]*@)?(\[[^\]\s]*\]|[^/\s?#:]*)[^\s]*")


def _notifier(value: Secret) -> Secret:
    """The URL of a notifier, as Apprise writes it. It holds a token, so no mistake shows it; what its service needs is
    checked when a watch begins. https://github.com/caronc/apprise/wiki"""
    text = value.reveal()
    if OPEN in text:
        return value
    match = _NOTIFIER.fullmatch(text)
    if not match:
        raise ValueError('is not the URL of a notifier, such as "slack://…", best a ${NAME} from .env (not shown here)')
    scheme, host = match[1].lower(), match[2].strip("[]")
    if scheme in _CLEAR and not loopback(host):
        secure = _CLEAR[scheme]
        raise ValueError(f"should begin with {secure}://: alerts would travel in clear ({scheme}:// is for localhost)")
    return value


class AutoRollback(Section):
    """`rounds`: for how many rounds an alarm must have stood."""

    rounds: Positive = 3


class WatchProbes(Section):
    """Smoke cases with `probe: true`, sent every so often (seconds) while they cost no more than `max_cost` USD."""

    every: Span = 1800.0
    max_cost: Annotated[float, above(0)] = 1.0


class WatchSettings(Section):
    """`for`, `every` and `repeat` in seconds; `tolerate`: the largest share that may fail, by criterion."""

    for_: Span = field(name="for", default=86400.0)
    every: Annotated[Span, at_least(30)] = 300.0
    notify: list[Annotated[Hidden, _notifier]] = []
    repeat: Annotated[Span, at_least(300)] = 14400.0
    tolerate: dict[str, Annotated[float, above(0), below(1)]] = {}
    auto_rollback: AutoRollback = AutoRollback()
    probes: WatchProbes | None = None

    def limit(self, criterion: str) -> float:
        """The largest share that may fail."""
        return self.tolerate.get(criterion, TOLERATED[criterion])


class Baseline(Section):
    """What a rehearsal must see of the code before the migration: by status, the least and most share of `calls`."""

    calls: Positive = 20
    e2e: Literal["pass", "fail"] | None = None
    statuses: dict[str, list[Share]] = {}

    def __post_init__(self) -> None:
        for status, shares in self.statuses.items():
            if not status.isdecimal() or len(shares) != 2 or shares[0] > shares[1]:
                raise ValueError(f'statuses needs a status and two shares, as in "503": [0.25, 0.75], got {status}')


class Rehearsal(Section):
    import_map: str | None = None
    baseline: Baseline = Baseline()
    keys: dict[str, list[str]] = {}
    providers: dict[str, Any] = {}
    hosts: dict[str, Any] = {}
    site: Any = None
    deno: Annotated[str, _deno] | None = None
    variables: dict[str, str | int] = {}
    database: Any = None
    users: dict[str, Any] = {}
    storage: dict[str, Any] = {}
    backend: Any = None
    logs: dict[str, Any] = {}
    edge: dict[str, Any] = {}
    management: dict[str, Any] = {}


class Config(Section):
    inner = ("folder", "file")
    moved = {
        "provider": "is now providers: {NAME: {kind: openrouter, model: …, key: …}}, with migration.to: NAME",
    }
    migration: Migration
    app: AppSettings
    environments: Annotated[dict[EnvironmentName, EnvironmentSettings], filled]
    providers: dict[Slug, ProviderSettings] = {}
    secrets: dict[Annotated[str, _secret], SecretSettings] = {}
    auth: Auth = Auth()
    signals: dict[str, Signal] = {}
    smoke: Annotated[list[SmokeCase], _distinct] = []
    gate: Gate = Gate()
    criteria: Criteria = Criteria()
    soak: Soak = Soak()
    budget: Budget = Budget()
    rollback: Rollback = Rollback()
    watch: WatchSettings = WatchSettings()
    e2e: E2e | None = None
    rehearsal: Rehearsal = Rehearsal()
    folder: Path = Path()
    file: Path = Path("config.yaml")

    @property
    def target(self) -> ProviderSettings | None:
        """The provider that the migration moves to."""
        return self.providers.get(self.migration.to or "")

    @property
    def source(self) -> ProviderSettings | None:
        """The provider that the code before calls; where the migration keeps it or names none, the one it moves to."""
        return self.providers.get(self.migration.from_ or self.migration.to or "")
