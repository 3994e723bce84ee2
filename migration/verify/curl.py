"""A smoke case as a line for the shell: the same request by hand, with names in place of secrets."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from migration.base.secrets_type import Secret, mask

ANON, USER, TOKEN = "$SUPABASE_ANON_KEY", "$USER_TOKEN", "$TOKEN"


def line(url: str, method: str, auth: str | Secret, headers: Mapping[str, str], body: Any) -> str:
    """A curl command; `$NAME` stands for a key or token, and the caller's shell fills it in from the names of .env.

    For a signed-in user the line signs in first, as the smoke case did.
    """
    words = ["curl", "-i", "-X", method, shlex.quote(url)]
    words += [f'-H "{name}: {value}"' for name, value in _credentials(auth).items()]
    content = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    sent = {**({} if body is None else {"Content-Type": content}), **headers}
    words += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in sent.items()]
    if body is not None:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        words.append(f"--data-raw {shlex.quote(text)}")
    first = [_sign_in(url)] if auth == "user" else []
    return mask(" ".join([*first, *words]))


def _sign_in(url: str) -> str:
    """Sets USER_TOKEN to the access token in the answer."""
    address = shlex.quote(f"{url.partition('/functions/v1/')[0]}/auth/v1/token?grant_type=password")
    user = r'"{\"email\": \"$SMOKE_USER_EMAIL\", \"password\": \"$SMOKE_USER_PASSWORD\"}"'
    asked = f'curl -s {address} -H "apikey: {ANON}" -H "Content-Type: application/json" -d {user}'
    return f"""USER_TOKEN=$({asked} | sed -n 's/.*"access_token" *: *"\\([^"]*\\)".*/\\1/p');"""


def _credentials(auth: str | Secret) -> dict[str, str]:
    if auth == "none":
        return {}
    bearer = TOKEN if isinstance(auth, Secret) else USER if auth == "user" else ANON
    return {"apikey": ANON, "Authorization": f"Bearer {bearer}"}
