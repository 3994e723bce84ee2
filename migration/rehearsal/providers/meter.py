"""Keys, credit and usage of the OpenRouter stand-in, counted exactly, in decimals."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

MILLION = Decimal(1_000_000)
PREFIX = "sk-or-v1-"


@dataclass(frozen=True)
class TokenPrice:
    """USD per million tokens."""

    input: Decimal = Decimal("0.60")
    cached_input: Decimal = Decimal("0.15")
    output: Decimal = Decimal("2.50")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TokenPrice:
        return cls(**{name: Decimal(str(value)) for name, value in values.items()})


@dataclass(frozen=True)
class Usage:
    """Tokens of one generation; completion includes reasoning, prompt includes cached."""

    prompt: int
    cached: int
    completion: int
    reasoning: int

    def input_cost(self, price: TokenPrice) -> Decimal:
        return ((self.prompt - self.cached) * price.input + self.cached * price.cached_input) / MILLION

    def output_cost(self, price: TokenPrice) -> Decimal:
        return self.completion * price.output / MILLION

    def cost(self, price: TokenPrice) -> Decimal:
        return self.input_cost(price) + self.output_cost(price)


@dataclass
class Key:
    """One API key; `hash` is deliberately no function of the value that a client could compute."""

    value: str
    name: str
    hash: str
    management: bool = False
    disabled: bool = False
    limit: float | None = None
    limit_reset: str | None = None
    include_byok_in_limit: bool = False
    free_tier: bool = False
    expires_at: str | None = None
    created_at: str = ""
    updated_at: str | None = None

    @property
    def label(self) -> str:
        body = self.value.removeprefix(PREFIX)
        return f"{PREFIX}{body[:3]}...{body[-3:]}"

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now


@dataclass
class SpendRow:
    """What one key spent on one model on one UTC day."""

    day: str
    key: str
    model: str
    usage: Decimal = Decimal(0)
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0

    def add(self, charge: SpendRow) -> None:
        self.usage += charge.usage
        self.requests += charge.requests
        self.prompt_tokens += charge.prompt_tokens
        self.completion_tokens += charge.completion_tokens
        self.reasoning_tokens += charge.reasoning_tokens

    def dump(self) -> dict[str, Any]:
        return asdict(self) | {"usage": str(self.usage)}

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> SpendRow:
        return cls(**(dict(saved) | {"usage": Decimal(saved["usage"])}))


def key(value: str, name: str, **given: Any) -> Key:
    return Key(value, name, hashlib.sha256(f"hash of {value}".encode()).hexdigest(), **given)


@dataclass
class Meter:
    """The account: keys, credit bought, and every cent spent; `clock` gives the aware UTC time.

    `delay` is how many seconds after its generation a charge is booked, and seen anywhere.
    """

    keys: list[Key]
    credit: Decimal = Decimal(100)
    delay: float = 0.0
    rows: dict[tuple[str, str, str], SpendRow] = field(default_factory=dict)
    waiting: list[tuple[datetime, SpendRow]] = field(default_factory=list)
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def find(self, value: str) -> Key | None:
        return next((each for each in self.keys if each.value == value), None)

    def by_hash(self, digest: str) -> Key | None:
        return next((each for each in self.keys if each.hash == digest), None)

    def create(self, name: str, **given: Any) -> Key:
        """A new key, alive at once."""
        record = key(PREFIX + secrets.token_hex(32), name, created_at=stamp(self.clock()), **given)
        self.keys.append(record)
        return record

    def charge(self, key: Key, model: str, usage: Usage, cost: Decimal) -> None:
        """One generation, for the row of today and this key once the delay is over."""
        now = self.clock()
        counts = (usage.prompt, usage.completion, usage.reasoning)
        self.waiting.append((now, SpendRow(now.date().isoformat(), key.hash, model, cost, 1, *counts)))

    def booked(self) -> Iterable[SpendRow]:
        """All rows, after what is due was added to them."""
        due = self.clock() - timedelta(seconds=self.delay)
        for at, charge in self.waiting:
            if at <= due:
                place = (charge.day, charge.key, charge.model)
                self.rows.setdefault(place, SpendRow(*place)).add(charge)
        self.waiting = [item for item in self.waiting if item[0] > due]
        return self.rows.values()

    def spent(self, key: Key | None = None, since: date | None = None) -> Decimal:
        """USD spent by this key (by all when None) since the start of this UTC day (ever when None)."""
        return sum((row.usage for row in self._rows(key, since)), Decimal(0))

    def _rows(self, key: Key | None, since: date | None) -> Iterable[SpendRow]:
        first = since.isoformat() if since else ""
        return (row for row in self.booked() if (key is None or row.key == key.hash) and row.day >= first)

    def window(self, reset: str | None) -> date | None:
        """First day of the running window: UTC day, Monday's week, calendar month; None for a lifetime limit."""
        today = self.clock().date()
        starts = {"daily": today, "weekly": today - timedelta(days=today.weekday()), "monthly": today.replace(day=1)}
        return starts.get(reset or "")

    def remaining(self, key: Key) -> Decimal | None:
        """What the key's own limit still allows; None without a limit."""
        if key.limit is None:
            return None
        return Decimal(str(key.limit)) - self.spent(key, self.window(key.limit_reset))

    def balance(self) -> Decimal:
        """Credit left in the account."""
        return self.credit - self.spent()

    def dump(self) -> dict[str, Any]:
        """Keys and rows as JSON; `load` takes it back."""
        rows = [row.dump() for row in self.booked()]
        waiting = [{"at": at.isoformat(), "row": charge.dump()} for at, charge in self.waiting]
        return {"keys": [asdict(each) for each in self.keys], "rows": rows, "waiting": waiting}

    def load(self, saved: Mapping[str, Any]) -> None:
        self.keys = [Key(**each) for each in saved["keys"]]
        rows = [SpendRow.load(each) for each in saved["rows"]]
        self.rows = {(row.day, row.key, row.model): row for row in rows}
        waiting = saved.get("waiting", ())
        self.waiting = [(datetime.fromisoformat(each["at"]), SpendRow.load(each["row"])) for each in waiting]

    def put(self, changed: Key, **values: Any) -> Key:
        """Replace a key by a changed copy of itself."""
        record = replace(changed, **values, updated_at=stamp(self.clock()))
        self.keys = [record if each.hash == changed.hash else each for each in self.keys]
        return record


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
