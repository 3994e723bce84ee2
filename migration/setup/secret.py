"""`inv secret`: is the key that the functions use present, the right one, and accepted? Its value is never shown.

`--set` sends exactly the secrets that differ, reads them back, and waits until functions see them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from migration.base.command import Do, Steps, chain, inv
from migration.base.errors import Failed, Refused, ServiceFailed
from migration.base.finding import Finding
from migration.base.numbers import dollars
from migration.base.retry import Retry
from migration.base.secrets_type import Secret
from migration.clients.openrouter_errors import KEYS
from migration.clients.supabase_types import SecretDigest, same
from migration.config.pattern import search
from migration.config.settings import SecretSettings
from migration.context import Context
from migration.providers.proofs import KeyProof, ageing, check_key
from migration.setup.warm import workers

# https://supabase.com/docs/guides/functions/secrets
RESERVED = re.compile(r"SUPABASE_.*|SB_REGION|SB_EXECUTION_ID|DENO_DEPLOYMENT_ID")
SET = inv("secret", set=True)
SPENT = frozenset({"key_limit", "no_credit"})  # a good key without money: it may be set, calls fail until it is paid
LONGEST = 24_576  # characters that the platform accepts
SEEN = 60.0  # seconds in which a new value must be listed
Confirm = Callable[[str], bool]
Ask = Callable[[str], str]


@dataclass(frozen=True)
class SecretState:
    """One secret. None means unknown: `matches` without a local value or with a digest of another form, `provider_ok`
    without a provider or without an answer from it. Money in USD."""

    name: str
    present: bool
    matches: bool | None
    format_ok: bool | None
    provider_ok: bool | None
    updated_at: str | None = None
    label: str = ""
    limit: float | None = None
    remaining: float | None = None
    reset: str | None = None
    expires_at: datetime | None = None
    free_tier: bool | None = None
    detail: str = ""
    findings: tuple[Finding, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        return self.present and False not in (self.matches, self.format_ok, self.provider_ok)

    @property
    def proven(self) -> bool:
        """Whether it is known to be ours, and its provider could be reached. Else a deploy may go on."""
        return self.matches is not None and not any(each.kind == "unreachable" for each in self.findings)


@dataclass(frozen=True)
class SecretResult:
    """The state of every secret; `uploaded` names what `--set` sent."""

    secrets: tuple[SecretState, ...]
    next: tuple[Steps, ...] = ()
    uploaded: tuple[str, ...] = ()
    message: str = ""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 with a wrong secret, 4 with one that could not be proven, else 0."""
        if not all(each.ok for each in self.secrets):
            return 1
        return 0 if all(each.proven for each in self.secrets) else 4


def verify(context: Context) -> SecretResult:
    """Every configured secret: listed, equal by digest, of its format, accepted by its provider. Changes nothing."""
    listed = {each.name: each for each in context.supabase.secrets()} if context.config.secrets else {}
    states = tuple(_state(context, name, each, listed.get(name)) for name, each in context.config.secrets.items())
    bad = [each for each in states if not (each.ok and each.proven)]
    fixes = dict.fromkeys(finding.fix for each in bad for finding in each.findings)
    notes: tuple[str, ...] = ()
    if not context.environment.embedded:
        notes = tuple(_spending(context, each) for each in states if each.label)
        notes += tuple(f"{one.problem}: {one.evidence}" for one in ageing(context.config, context.clock.now()))
    return SecretResult(states, tuple(fixes), message=_unproven(states), notes=notes)


def set_all(context: Context, confirm: Confirm, ask: Ask | None = None) -> SecretResult:
    """Upload the configured secrets that differ, and no other; read them back; wait until functions see them.

    Values come from `.env`, or from `ask` (hidden input), never from an argument. Refused before anything is sent
    when one has no value, a wrong form, or a provider that refuses it.
    """
    before = {each.name: each for each in context.supabase.secrets()}
    values = {name: _value(context, name, ask) for name in context.config.secrets}
    changed = {name: value for name, value in values.items() if same(before.get(name), value, None) is not True}
    for name, value in changed.items():
        _check_sendable(context, name, value)
    if not changed:
        return replace(verify(context), message="Every secret has this value already; nothing was sent.")
    if not confirm(f"Set {', '.join(changed)} in {context.environment.name}"):
        raise Refused("Not confirmed: no secret was sent.", SET)
    context.environment.secrets.update(changed)
    context.observer.step("set", detail=", ".join(changed))
    context.supabase.set_secrets(changed)
    _read_back(context, changed)
    context.observer.done("set", detail=", ".join(changed))
    message = f"Set {', '.join(changed)}. {_await_functions(context, changed)}"
    return replace(verify(context), uploaded=tuple(changed), message=message)


def changed_at(context: Context, names: Iterable[str]) -> datetime | None:
    """When the newest of these secrets was set, by the platform's clock; None where it does not say."""
    wanted = set(names)
    moments = [_moment(each.updated_at) for each in context.supabase.secrets() if each.name in wanted]
    return max((moment for moment in moments if moment), default=None)


def ask_provider(context: Context, settings: SecretSettings, value: Secret) -> KeyProof:
    """What the provider that the secret names says of this value. Without a name the value goes nowhere."""
    access = context.environment.providers.get(settings.provider or "")
    if access is None:
        return KeyProof()
    return check_key(access, value, context.config, context.clock.now(), Retry(context.clock))


def _unproven(states: Iterable[SecretState]) -> str:
    """What a question mark means, in words."""
    names = [each.name for each in states if each.ok and not each.proven]
    if not names:
        return ""
    present = "It is present" if len(names) == 1 else "They are present"
    return f"Not proven: the value of {', '.join(names)} in the project. {present}, which is enough to deploy."


def _state(context: Context, name: str, settings: SecretSettings, listed: SecretDigest | None) -> SecretState:
    local = context.environment.secrets.get(name)
    matches = same(listed, local, settings.sha256) if listed else None
    shaped = shape(settings, local)
    state = SecretState(name, listed is not None, matches, shaped, None, listed.updated_at if listed else None)
    findings = list(_problems(state, listed, bool(local or settings.sha256), _LocalValue.of(context, name)))
    if local and settings.provider:
        proof = ask_provider(context, settings, local)
        findings += [replace(each, subject=name) for each in proof.findings]
        state = _with_key(state, proof)
    problems = "; ".join(dict.fromkeys(each.problem for each in findings))
    return replace(state, detail=problems or state.detail, findings=tuple(findings))


def _with_key(state: SecretState, proof: KeyProof) -> SecretState:
    info = proof.info
    if info is None:
        return replace(state, provider_ok=proof.accepted, detail=proof.note)
    left = "no limit of its own"
    if info.limit is not None:
        left = f"{dollars(info.remaining or 0, 2)} of {dollars(info.limit, 2)} left"
    return replace(
        state, provider_ok=proof.accepted, label=info.label, limit=info.limit, remaining=info.remaining,
        reset=info.reset, expires_at=info.expires_at, free_tier=info.free_tier, detail=f"{info.label}, {left}",
    )  # fmt: skip


def _spending(context: Context, state: SecretState) -> str:
    """The key's own limit beside `budget`: it holds when ours only warns."""
    budget = context.config.budget
    warning, critical = (dollars(limit, 2) for limit in (budget.monthly_warning, budget.monthly_critical))
    ours = f"budget: warning at {warning}, critical at {critical} a month"
    if state.limit is None:
        return f"{state.name} has no spending limit: set one for {state.label} at {KEYS} ({ours})."
    window = f"{state.reset} limit" if state.reset else "limit, never reset,"
    left = f", {dollars(state.remaining, 2)} left" if state.remaining is not None else ""
    return f"{state.name}: {window} of {dollars(state.limit, 2)}{left} ({ours})."


_SANDBOX = "the sandbox's own value"


@dataclass(frozen=True)
class _LocalValue:
    """Where the value of a secret comes from on this machine, in words, and how to put another one there."""

    source: str
    correct: Do

    @classmethod
    def of(cls, context: Context, name: str) -> _LocalValue:
        """The environment, else `.env`, else its digest in config.yaml; on the sandbox, which reads none of them, its
        own or that of `rehearsal.variables`."""
        if not context.environment.embedded:
            if os.environ.get(name):
                return cls("the environment", Do(f"set the right {name} in the environment, which counts before .env:"))
            here = name in context.environment.secrets
            return cls(".env" if here else "its sha256 in config.yaml", Do(f"put the right {name} into .env:"))
        key, file = f"rehearsal.variables.{name}", context.config.file.name
        given = name in context.config.rehearsal.variables
        return cls(key if given else _SANDBOX, Do(f"give a value of that form in {key} of {file}:"))


def _problems(
    state: SecretState, listed: SecretDigest | None, comparable: bool, local: _LocalValue
) -> Iterator[Finding]:
    """What is wrong with a secret before its provider is asked; `comparable`: there is something to compare with."""
    name = state.name
    if RESERVED.fullmatch(name):
        fix = Steps((Do(f"use another name than {name} in config.yaml and in the functions:"), SET))
        yield Finding("reserved", f"{name} is a reserved name of the platform", "it cannot be set", fix, subject=name)
    if state.format_ok is False:  # first: what has another form is not sent
        problem, why = f"{name} in {local.source} has another form", "it does not match the format in config.yaml"
        if local.source == _SANDBOX:
            problem = f"{local.source} of {name} has another form"
        yield Finding("format", problem, why, Steps((local.correct, SET)), subject=name)
    if listed is None:
        why, fix = "the project's list of secrets does not have it", Steps((chain(SET, inv("deploy")),))
        yield Finding("absent", f"{name} is not set in the project", why, fix, subject=name)
    elif state.matches is None and comparable:
        why, fix = f"the list shows {listed.digest[:12]!r}…, which is not a SHA-256", Steps((inv("smoke"),))
        yield Finding("opaque", f"{name} in the project cannot be compared", why, fix, "warning", name)
    if not comparable:
        why = "neither the environment nor .env has a value, and config.yaml has no sha256 of it"
        problem, fix = f"{name} has no local value to compare", Steps((inv("init"),))
        yield Finding("no_local", problem, why, fix, "warning" if listed else "error", name)
    if state.matches is False and listed is not None:
        why = f"the digests differ (set on the platform {listed.updated_at or 'at an unknown time'})"
        yield Finding(
            "differs", f"{name} on the platform differs from {local.source}", why, Steps((SET,)), subject=name
        )


def shape(settings: SecretSettings, local: Secret | None) -> bool | None:
    """Whether a local value has the configured form; None where there is nothing to compare."""
    if not local or settings.format is None:
        return None
    return search(settings.format, local.reveal()) is not None


def _value(context: Context, name: str, ask: Ask | None) -> Secret:
    local = context.environment.secrets.get(name)
    if local:
        return local
    typed = ask(f"{name} (hidden):") if ask else ""
    if not typed:
        raise Refused(f"{name} has no value: nothing was sent.", Do(f"set {name} in .env:"), inv("init"), SET)
    return Secret(typed)


def _check_sendable(context: Context, name: str, value: Secret) -> None:
    """Refused when the platform or the provider would not accept the value, or when it is plainly mistyped."""
    settings, text = context.config.secrets[name], value.reveal()
    reasons = [
        "its name is reserved by the platform" if RESERVED.fullmatch(name) else "",
        "it begins or ends with white space" if text != text.strip() else "",
        f"it is longer than {LONGEST} characters" if len(text) > LONGEST else "",
        f"it does not match {settings.format}" if shape(settings, value) is False else "",
    ]
    reason = next(filter(None, reasons), "")
    if reason:
        raise Refused(f"{name} was not sent: {reason}", _LocalValue.of(context, name).correct, SET)
    proof = ask_provider(context, settings, value)
    bad = next((each for each in proof.findings if each.severity == "error" and each.kind not in SPENT), None)
    if bad:
        raise Refused(f"{name} was not sent: {bad.problem}", bad.fix, evidence=bad.evidence)


def _read_back(context: Context, values: Mapping[str, Secret]) -> None:
    """Wait until the list shows the new digests; Failed when it does not."""
    end = context.clock.monotonic() + SEEN
    while True:
        listed = {each.name: each for each in context.supabase.secrets()}
        stale = [
            name for name, value in values.items() if name not in listed or same(listed[name], value, None) is False
        ]
        if not stale:
            return
        if context.clock.monotonic() > end:
            raise Failed(f"Sent {', '.join(stale)}, but the list still shows the old digest.", inv("secret"))
        context.clock.sleep(1.0)


def _await_functions(context: Context, values: Mapping[str, Secret]) -> str:
    """Whether functions already answer from workers that started after the change, by the logs: nothing is sent."""
    wanted = set(context.config.migration.functions)
    try:
        functions = [each for each in context.supabase.functions() if each.slug in wanted]
        since = changed_at(context, values)
    except ServiceFailed as error:
        return f"Could not check whether functions already use it ({error.message})."
    if not functions or since is None:
        return "Functions deployed from now on will use it."
    try:
        left = [each.slug for each in workers(context, functions, since) if each.state != "new"]
    except ServiceFailed as error:
        return f"Could not check whether functions already use it ({error.message})."
    if not left:
        return "The functions answer from workers that started after the change."
    warm = f"Warm workers of {', '.join(left)} may keep the old value for some minutes"
    return f"{warm}; {inv('doctor')} shows it."


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
