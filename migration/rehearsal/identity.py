"""The sandbox's project: keys, tokens and a user of its own, and the gateway's check of who may call a function."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import jwt

from migration.base import durable
from migration.base.command import inv
from migration.base.errors import Refused

_ISSUED, _EXPIRES = 1_700_000_000, 2_200_000_000
_FILE = "identity.json"
_SAFE = string.ascii_letters + string.digits
KINDS = ("anthropic", "gemini", "openai", "openrouter")
_PREFIXES = {"openai": "sk-proj-", "anthropic": "sk-ant-api03-"}


@dataclass(frozen=True)
class Identity:
    """The made-up project: every key, token and user that the sandbox invents for itself."""

    project_ref: str
    access_token: str
    anon_key: str
    service_role_key: str
    publishable_key: str
    secret_key: str
    jwt_secret: str
    user_id: str
    user_email: str
    user_password: str
    openrouter_key: str
    openrouter_management_key: str
    google_keys: tuple[str, ...]
    organization: str = "sandbox"

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys of the stand-in of a provider; those of OpenAI and Anthropic follow from the project's secret."""
        if kind.startswith("gemini"):
            return self.google_keys
        return (
            (self.openrouter_key,) if kind == "openrouter" else (_PREFIXES.get(kind, "sk-sandbox-") + self._mark(kind),)
        )

    def _mark(self, name: str) -> str:
        return hmac.new(self.jwt_secret.encode(), name.encode(), hashlib.sha256).hexdigest()[:40]


def load(folder: Path) -> Identity:
    """The identity of this state folder, made at the first call. Refused when its file is damaged."""
    path = folder / _FILE
    if path.exists():
        return _read(path)
    identity = create()
    durable.write(path, (json.dumps(asdict(identity), indent=1) + "\n").encode())
    return identity


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


def keys(identity: Identity, names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Values for secrets that are keys of a provider's stand-in; the same name gets the same value at every start."""
    values: dict[str, str] = {}
    for provider, secrets_ in names.items():
        for number, name in enumerate(secrets_):
            pool = identity.keys(provider) if provider in KINDS else identity.keys(name)
            values[name] = pool[number % len(pool)]
    return values


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """A JWT signed with HS256."""
    head = _encoded({"alg": "HS256", "typ": "JWT"})
    signed = f"{head}.{_encoded(claims)}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(digest)}"


def _read(path: Path) -> Identity:
    try:
        saved = json.loads(path.read_text())
        saved["google_keys"] = tuple(saved["google_keys"])
        return Identity(**{each.name: saved[each.name] for each in fields(Identity)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path} is damaged: {error}", inv("sandbox", fresh=True)) from None


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


_ASYMMETRIC = ("ES256", "RS256")


@dataclass(frozen=True)
class Refusal:
    """An answer that the gateway gives in the function's place."""

    status: int
    code: str
    message: str


NO_HEADER = Refusal(401, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header")
FORMAT = Refusal(401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT")
SCHEME = Refusal(401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Auth header is not 'Bearer {token}'")
LEGACY = Refusal(401, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT")
ASYMMETRIC = Refusal(401, "UNAUTHORIZED_ASYMMETRIC_JWT", "Invalid JWT")


def check(identity: Identity, headers: Mapping[str, str], new_keys: bool = True) -> Refusal | None:
    """None when the caller may pass. `new_keys`: whether sb_publishable_… and sb_secret_… keys do, as today."""
    authorization, key = headers.get("authorization", ""), headers.get("apikey", "")
    if not authorization and not key:
        return NO_HEADER
    token = bearer(authorization) or key
    if not token:
        return SCHEME
    if token.startswith("sb_") and not _new(identity, token, headers) and key and key != token:
        token = key
    if token.startswith("sb_"):
        return None if new_keys and _new(identity, token, headers) else FORMAT
    return _verified(identity, token)


def bearer(authorization: str) -> str | None:
    words = authorization.split(" ")
    return words[1] if len(words) == 2 and words[0] == "Bearer" and words[1] else None


def algorithm(token: str) -> str | None:
    """The algorithm in the token's header; None when it is not a JWT."""
    try:
        named = jwt.get_unverified_header(token).get("alg")
    except jwt.PyJWTError:
        return None
    return named if isinstance(named, str) else None


def payload(identity: Identity, token: str) -> dict[str, Any]:
    """The verified claims; raises jwt.PyJWTError. Issuer and audience are not looked at, as hosted."""
    options = {"verify_aud": False, "verify_iss": False, "verify_iat": False, "verify_sub": False, "verify_jti": False}
    claims: dict[str, Any] = jwt.decode(token, identity.jwt_secret, algorithms=["HS256"], options=options)  # type: ignore[arg-type]
    return claims


def _verified(identity: Identity, token: str) -> Refusal | None:
    named = algorithm(token)
    if named is None:
        return FORMAT
    if named in _ASYMMETRIC:
        return ASYMMETRIC  # this project has no such key, so no such signature can be right
    if named != "HS256":
        return Refusal(401, "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM", f"Unsupported JWT algorithm {named}")
    try:
        payload(identity, token)
    except jwt.PyJWTError:
        return LEGACY
    return None


def _new(identity: Identity, token: str, headers: Mapping[str, str]) -> bool:
    """A key of this project; the secret one is refused to browsers."""
    if token == identity.secret_key:
        return not headers.get("user-agent", "").startswith("Mozilla/")
    return token == identity.publishable_key
