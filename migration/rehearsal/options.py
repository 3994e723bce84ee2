"""How strict, slow and large the stand-in platform is: `rehearsal.management` of config.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from migration.rehearsal.mistake import SettingError, unknown
from migration.rehearsal.multipart import LAYOUTS
from migration.rehearsal.operations import OPERATIONS

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", dict: "a mapping"}


@dataclass(frozen=True)
class PlatformOptions:
    """What the hosted platform does, by default.

    body_layout: how downloads name their files. harsh: a staged version is settled only by who knows its digest.
    bundle_check: Deno looks for what a bundler would refuse. tokens: further ones with their permissions.
    rate_limit: calls per `rate_seconds` by operation, `default` for the rest, 0 for no limit.
    latency: the least milliseconds an operation takes.
    """

    body_layout: str = LAYOUTS[0]
    harsh: bool = False
    bundle_check: bool = True
    bundle_megabytes: float = 20.0
    max_functions: int = 100
    region: str = "eu-central-1"
    tokens: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rate_limit: Mapping[str, int] = field(default_factory=dict)
    rate_seconds: float = 60.0
    latency: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> PlatformOptions:
        """SettingError when a key is unknown or a value is of another type."""
        known = {each.name: each for each in fields(cls)}
        for name, value in settings.items():
            if name not in known:
                raise unknown(("management", name), known)
            _typed(("management", name), value, _usual(cls(), name))
        options = cls(**settings)
        if options.body_layout not in LAYOUTS:
            raise SettingError(("management", "body_layout"), f"should be one of {', '.join(LAYOUTS)}")
        _operations("latency", options.latency, OPERATIONS)
        _operations("rate_limit", options.rate_limit, (*OPERATIONS, "default"))
        return options


def _usual(options: PlatformOptions, name: str) -> Any:
    return getattr(options, name)


def _typed(path: tuple[str, ...], value: Any, usual: Any) -> None:
    wanted = type(usual)
    fits = isinstance(value, (int, float) if wanted is float else Mapping if wanted is dict else wanted)
    if not fits or (isinstance(value, bool) and wanted is not bool):
        raise SettingError(path, f"should be {_WORDS[wanted]}")


def _operations(name: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    for operation, value in values.items():
        if operation not in known:
            raise unknown(("management", name, operation), known)
        _typed(("management", name, operation), value, 0.0)


@dataclass(frozen=True)
class Limits:
    """Times in seconds.

    `idle_timeout`: without a byte from the function; `cpu_limit`: processor time of a request; `memory`: MB;
    `tmp`: MB that /tmp takes; `wall_clock`: how long a worker lives; `log_events`: log lines of a request in 10 s (0
    for no limit of either); `boot_timeout`: until Deno.serve is called, remote imports included; `idle`: how long an
    unused worker stays;
    `new_keys`: whether publishable and secret keys pass as tokens; `warm_secrets`: whether running workers keep the
    values that they started with, as hosted ones do for minutes; `sync_reads`: whether `readFileSync` in a handler is
    warned about alone, as by `supabase functions serve` (useReadSyncFileAPI); `nested_calls`: how often functions
    may call functions in a minute of one chain of requests (0 for no limit).
    """

    idle_timeout: float = 150.0
    cpu_limit: float = 2.0
    memory: int = 256
    boot_timeout: float = 60.0
    idle: float = 120.0
    new_keys: bool = True
    warm_secrets: bool = False
    wall_clock: float = 400.0
    log_events: int = 100
    tmp: int = 512
    sync_reads: bool = False
    nested_calls: int = 5000

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Limits:
        """From the section `rehearsal`; SettingError for a key that is not known or a value of another kind."""
        given = settings.get("edge") or {}
        known = {field.name: type(field.default) for field in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise unknown(("edge", name), known)
            if isinstance(value, bool) != (known[name] is bool) or not isinstance(value, int | float):
                kind = "true or false" if known[name] is bool else "a number"
                raise SettingError(("edge", name), f"should be {kind}")
        return cls(**given)
