"""Who may call a function: the gateway's check of a bearer token, as hosted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from .types import Identity

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
    """What the token says it is signed with; None when it is no JWT."""
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
