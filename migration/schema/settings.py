"""The shape of config.yaml: one model a section, every unknown key refused. The file itself is the manual."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from migration.schema.cases import SmokeCase
from migration.schema.environments import Auth, EnvironmentSettings
from migration.schema.fields import Address, Duration, Hidden, Place, Ref, Regex, Section, Share, Slug, Span


class Migration(Section):
    name: str
    functions: list[Slug] = Field(min_length=1)
    unchanged: list[Slug] = []

    @model_validator(mode="after")
    def _apart(self) -> Migration:
        both = sorted(set(self.functions) & set(self.unchanged))
        if both:
            raise ValueError(f"{', '.join(both)} cannot be both in functions and in unchanged")
        return self


class App(Section):
    path: str = Field(min_length=1)
    base: str | None = None
    remote: Ref = "origin"
    branch: Ref = "main"
    ledger: Ref = "refs/cutover"

    @field_validator("ledger")
    @classmethod
    def _apart(cls, value: str) -> str:
        """Refs of its own: never the branches and tags that people use."""
        if not re.match(r"refs/(?!(heads|tags|remotes)$)", value):
            raise ValueError("should begin with refs/, as refs/cutover or refs/heads/cutover do")
        return value

    @model_validator(mode="after")
    def _free(self) -> App:
        branch = f"refs/heads/{self.branch}"
        if f"{branch}/".startswith(f"{self.ledger}/") or self.ledger.startswith(f"{branch}/"):
            raise ValueError(f"ledger {self.ledger} is in the way of the branch {self.branch}")
        return self


class SecretSettings(Section):
    provider: str | None = None
    format: Regex | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class Price(Section):
    input: float = Field(ge=0)
    cached_input: float = Field(ge=0)
    output: float = Field(ge=0)


class Provider(Section):
    name: Literal["openrouter"] = "openrouter"
    model: str
    url: Address = "https://openrouter.ai/api/v1"
    key: Hidden | None = None
    management_key: Hidden | None = None
    price: Price


class Signal(Section):
    pattern: Regex
    functions: list[Slug] | None = None


class Marker(Section):
    header: str


class Gate(Section):
    delay: Duration = 20.0
    within: Span = 600.0
    regions: list[str] = []
    marker: Marker | None = None
    inconclusive: Literal["keep", "restore"] = "keep"


class Criterion(Section):
    """What a criterion may be told; which of these it reads, its own description says."""

    at_least: float | None = None
    at_most: float | None = None
    reject: float | None = None
    baseline: float | None = None
    p50: Span | None = None
    p95: Span | None = None
    p99: Span | None = None
    mean: float | None = None
    requests: int | None = Field(default=None, ge=0)
    function: Slug | None = None
    expected: dict[Literal["before", "after"], str] = {}
    gate: bool | None = None
    advisory: bool = False
    failures: int = Field(default=0, ge=0)
    in_a_row: int = Field(default=1, ge=1)
    errors: int = Field(default=4, ge=0)


CRITERIA = (
    "artifacts_work",
    "no_503",
    "cost_logged",
    "provider_sees_requests",
    "no_errors_in_logs",
    "chat_unchanged",
    "images_unchanged",
    "success_rate",
    "response_time",
    "cost_per_artifact",
    "code_quality",
    "budget",
)


class Criteria(BaseModel):
    """`window` and `files` are ours, every other key is the name of a criterion."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Criterion] = Field(init=False)
    window: Span = 3600.0
    files: list[str] = []

    @property
    def named(self) -> dict[str, Criterion]:
        return dict(self.__pydantic_extra__ or {})


class Soak(Section):
    accept: Share = 0.99
    reject: Share = 0.95
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    beta: float = Field(default=0.05, gt=0, lt=0.5)
    max_requests: int = Field(default=300, ge=1)
    max_cost: float = Field(default=2.0, gt=0)
    max_time: Span = 1800.0
    concurrency: int = Field(default=4, ge=1, le=64)
    case: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Soak:
        if self.reject >= self.accept:
            raise ValueError("reject must be lower than accept")
        return self


class Budget(Section):
    monthly_warning: float = Field(default=10.0, ge=0)
    monthly_critical: float = Field(default=50.0, ge=0)
    volumes: dict[str, int] = {}


class Rollback(Section):
    scope: Literal["functions", "commit"] = "functions"


class Rehearsal(Section):
    import_map: str | None = None
    providers: dict[str, Any] = {}
    variables: dict[str, str | int] = {}
    database: Any = None
    logs: dict[str, Any] = {}
    edge: dict[str, Any] = {}
    management: dict[str, Any] = {}


class Config(Section):
    migration: Migration
    app: App
    environments: dict[Place, EnvironmentSettings] = Field(min_length=1)
    secrets: dict[str, SecretSettings] = {}
    auth: Auth = Auth()
    provider: Provider | None = None
    signals: dict[str, Signal] = {}
    smoke: list[SmokeCase] = []
    gate: Gate = Gate()
    criteria: Criteria = Criteria()
    soak: Soak = Soak()
    budget: Budget = Budget()
    rollback: Rollback = Rollback()
    watch: dict[str, Any] = {}
    e2e: dict[str, Any] = {}
    rehearsal: Rehearsal = Rehearsal()
    folder: Path = Path()
    file: Path = Path("config.yaml")

    @field_validator("signals", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """A signal may be its pattern alone."""
        if not isinstance(value, dict):
            return value
        return {name: {"pattern": found} if isinstance(found, str) else found for name, found in value.items()}

    @field_validator("secrets")
    @classmethod
    def _secret_names(cls, value: dict[str, SecretSettings]) -> dict[str, SecretSettings]:
        for name in value:
            if name.startswith("SUPABASE_") or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"{name} cannot be a secret's name: letters, digits and _, not starting SUPABASE_")
        return value

    @field_validator("smoke")
    @classmethod
    def _names(cls, value: list[SmokeCase]) -> list[SmokeCase]:
        names = [case.name for case in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two cases are named {', '.join(twice)}")
        return value
