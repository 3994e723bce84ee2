"""How strict the edge is: the section `rehearsal.edge`, with what the hosted platform does as the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from migration.base.errors import Refused


@dataclass(frozen=True)
class Limits:
    """Times in seconds.

    `idle_timeout`: without a byte from the function; `cpu_limit`: processor time in a loop; `memory`: MB of a worker;
    `boot_timeout`: until Deno.serve is called, remote imports included; `idle`: how long an unused worker stays;
    `new_keys`: whether publishable and secret keys pass as tokens; `warm_secrets`: whether running workers keep the
    values that they started with, as hosted ones do for minutes.
    """

    idle_timeout: float = 150.0
    cpu_limit: float = 2.0
    memory: int = 256
    boot_timeout: float = 60.0
    idle: float = 120.0
    new_keys: bool = True
    warm_secrets: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Limits:
        """From the section `rehearsal`; Refused for a key that is not known or a value of another kind."""
        given = settings.get("edge") or {}
        known = {field.name: type(field.default) for field in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise Refused(f"rehearsal.edge.{name} is not known.", f"Use one of {', '.join(known)}.")
            if isinstance(value, bool) != (known[name] is bool) or not isinstance(value, int | float):
                kind = "true or false" if known[name] is bool else "a number"
                raise Refused(f"rehearsal.edge.{name} must be {kind}.")
        return cls(**given)
