"""`.env` beside tasks.py: values for ${NAME} in config.yaml, never in git."""

from __future__ import annotations

from pathlib import Path

from .errors import ConfigError


def read(root: Path) -> dict[str, str]:
    """Names and values of `.env`, {} without one; values stand as they are written, nothing is expanded."""
    from dotenv import dotenv_values

    path = root / ".env"
    if not path.exists():
        return {}
    try:
        found = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f".env cannot be read: {error}", "save it as UTF-8 text, readable by you") from None
    return {name: value for name, value in found.items() if value is not None}
