"""The made-up project: keys, tokens and a user that nobody else has, kept for as long as its folder is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from migration.base.errors import Refused

from .files import write_json
from .types import Identity

_ISSUED, _EXPIRES = 1_700_000_000, 2_200_000_000
_FILE = "identity.json"
_SAFE = string.ascii_letters + string.digits


def load(folder: Path) -> Identity:
    """The identity of this state folder, made at the first call. Refused when its file is damaged."""
    path = folder / _FILE
    if path.exists():
        return _read(path)
    made = create()
    write_json(path, asdict(made))
    return made


def create() -> Identity:
    ref = _letters(20)
    jwt_secret = _text(48)
    return Identity(
        project_ref=ref,
        access_token="sbp_" + secrets.token_hex(20),
        anon_key=sign(_claims(ref, "anon"), jwt_secret),
        service_role_key=sign(_claims(ref, "service_role"), jwt_secret),
        publishable_key=f"sb_publishable_{_text(22)}_{_text(8)}",
        secret_key=f"sb_secret_{_text(22)}_{_text(8)}",
        jwt_secret=jwt_secret,
        user_id=str(uuid.uuid4()),
        user_email=f"smoke-{_letters(6)}@sandbox.example",
        user_password=_text(24),
        openrouter_key="sk-or-v1-" + secrets.token_hex(32),
        openrouter_management_key="sk-or-v1-" + secrets.token_hex(32),
        google_keys=tuple("AIza" + _text(35) for _ in range(10)),
    )


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """A JWT signed with HS256."""
    head = _encoded({"alg": "HS256", "typ": "JWT"})
    signed = f"{head}.{_encoded(claims)}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(digest)}"


def _read(path: Path) -> Identity:
    try:
        found = json.loads(path.read_text())
        found["google_keys"] = tuple(found["google_keys"])
        return Identity(**{each.name: found[each.name] for each in fields(Identity)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path} is damaged ({error}): delete the folder of the sandbox and start it again") from None


def _claims(ref: str, role: str) -> dict[str, Any]:
    return {"iss": "supabase", "ref": ref, "role": role, "iat": _ISSUED, "exp": _EXPIRES}


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _letters(count: int) -> str:
    return _drawn(string.ascii_lowercase, count)


def _text(count: int) -> str:
    return _drawn(_SAFE, count)


def _drawn(alphabet: str, count: int) -> str:
    choose: Callable[[str], str] = secrets.choice
    return "".join(choose(alphabet) for _ in range(count))
