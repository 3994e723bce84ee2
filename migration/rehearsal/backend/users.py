"""The users of the sandbox's project: the one of the smoke cases, those of `rehearsal.users`, and who is created.

users:
  smoke: {app_metadata: {plan: pro}}              # the user whom smoke cases sign in as
  ada@example.com: {password: correct-horse, id: <UUID>, app_metadata: {}, user_metadata: {}, claims: {org: 7}}

`claims` are further ones in the token, as a custom access token hook adds them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migration.base import durable
from migration.rehearsal.identity import Identity
from migration.rehearsal.mistake import SettingError, unknown

SMOKE = "smoke"
SINCE = "2026-01-01T00:00:00Z"
_KEYS = frozenset({"password", "id", "phone", "role", "app_metadata", "user_metadata", "claims"})
_PROVIDER = {"provider": "email", "providers": ["email"]}
_NAMES = uuid.UUID("8b2f2f0c-5a0e-4d6f-9a55-1b2f0a9d7c11")  # an id that follows from an address


@dataclass
class User:
    """One user. `banned` is the moment until which it may not sign in, empty for none."""

    id: str
    email: str = ""
    password: str = ""
    phone: str = ""
    role: str = "authenticated"
    app_metadata: dict[str, Any] = field(default_factory=dict)
    user_metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    confirmed: bool = True
    anonymous: bool = False
    created: str = SINCE
    updated: str = SINCE

    def shown(self) -> dict[str, Any]:
        """As GoTrue shows a user: never the password."""
        confirmed = self.created if self.confirmed and not self.anonymous else None
        about = {"sub": self.id, "email": self.email, "email_verified": self.confirmed, "phone_verified": False}
        linked = {
            "identity_id": self.id, "id": self.id, "user_id": self.id, "identity_data": about, "provider": "email",
            "last_sign_in_at": self.updated, "created_at": self.created, "updated_at": self.updated,
            "email": self.email,
        }  # fmt: skip
        return {
            "id": self.id, "aud": "authenticated", "role": self.role, "email": self.email, "phone": self.phone,
            "email_confirmed_at": confirmed, "confirmed_at": confirmed, "last_sign_in_at": self.updated,
            "app_metadata": {} if self.anonymous else _PROVIDER | self.app_metadata,
            "user_metadata": self.user_metadata, "identities": [linked] if self.email else [],
            "created_at": self.created, "updated_at": self.updated, "is_anonymous": self.anonymous,
        }  # fmt: skip

    def payload(self) -> dict[str, Any]:
        """What its token says of it."""
        shown = self.shown()
        names = ("email", "phone", "app_metadata", "user_metadata", "role", "is_anonymous")
        return {"sub": self.id, "aud": "authenticated", **{name: shown[name] for name in names}, **self.claims}


class Users:
    """All users, in the order in which they came. Changes are written to `path`."""

    def __init__(self, identity: Identity, settings: Mapping[str, Any], path: Path) -> None:
        self.path = path
        self._seeds = _seeds(identity, settings)
        self.known: dict[str, User] = {}
        self.reset(keep=True)

    def reset(self, keep: bool = False) -> None:
        """The users of the settings; `keep` those who were created, and what was changed of the others."""
        saved = _saved(self.path) if keep else {}
        self.known = {}
        for user in self._seeds:
            before = saved.pop(user.id, None)
            unchanged = before is not None and before["seed"] == asdict(user)
            if before is None or before["user"] is not None or not unchanged:
                self.known[user.id] = User(**(before["user"] if before and unchanged else asdict(user)))
        for each in saved.values():
            if each["seed"] is None and each["user"] is not None:
                self.known[each["user"]["id"]] = User(**each["user"])

    def save(self) -> None:
        seeds = {user.id: asdict(user) for user in self._seeds}
        whole = {
            key: {"seed": seeds.get(key), "user": asdict(self.known[key]) if key in self.known else None}
            for key in [*seeds, *(key for key in self.known if key not in seeds)]
        }
        durable.write(self.path, json.dumps(whole, ensure_ascii=False).encode(), sync=False)

    def by_email(self, email: str) -> User | None:
        return next((user for user in self.known.values() if email and user.email == email.lower()), None)

    def add(self, given: Mapping[str, Any]) -> User:
        moment = now()
        user = User(str(given.get("id") or uuid.uuid4()), created=moment, updated=moment)
        user.confirmed = bool(given.get("email_confirm", True))
        self.known[user.id] = user
        return self.change(user, given)

    def change(self, user: User, given: Mapping[str, Any]) -> User:
        """Take over what GoTrue lets an update name; metadata is merged, and null removes a key of it."""
        for name in ("password", "phone", "role"):
            if given.get(name):
                setattr(user, name, str(given[name]))
        if given.get("email"):
            user.email, user.anonymous = str(given["email"]).lower(), False
        for name in ("app_metadata", "user_metadata"):
            merged = {**getattr(user, name), **(given.get(name) or {})}
            setattr(user, name, {key: value for key, value in merged.items() if value is not None})
        user.updated = now()
        self.save()
        return user

    def remove(self, user: User) -> None:
        self.known.pop(user.id, None)
        self.save()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seeds(identity: Identity, settings: Mapping[str, Any]) -> list[User]:
    if not isinstance(settings, Mapping):
        raise SettingError(("users",), "should be a mapping of email addresses to users")
    own = User(identity.user_id, identity.user_email, identity.user_password)
    return [_seed(SMOKE, settings.get(SMOKE), own)] + [
        _seed(email, about, User(str(uuid.uuid5(_NAMES, email.lower())), email.lower()))
        for email, about in settings.items()
        if email != SMOKE
    ]


def _seed(name: str, about: Any, user: User) -> User:
    if not isinstance(about or {}, Mapping) or (name != SMOKE and "@" not in name):
        raise SettingError(("users", name), f"should be {SMOKE} or an email address, with keys and values")
    if other := set(about or {}) - _KEYS:
        raise unknown(("users", name, min(other)), sorted(_KEYS))
    for key, value in (about or {}).items():
        wanted = key in ("app_metadata", "user_metadata", "claims")
        if isinstance(value, Mapping) is not wanted:
            kind = "keys and values" if wanted else "text"
            raise SettingError(("users", name, key), f"should be {kind}, got {value}")
        setattr(user, key, dict(value) if isinstance(value, Mapping) else str(value))
    return user


def _saved(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text())
        return {key: {"seed": each["seed"], "user": each["user"]} for key, each in saved.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
