"""`inv secret --set`: send exactly the secrets that differ, read them back, wait until functions see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from migration.base.errors import Failed, Refused, ServiceFailed
from migration.base.secrets_type import Secret
from migration.clients.supabase_types import same
from migration.context import Context
from migration.setup.secret import RESERVED, SET, SecretResult, ask_provider, shape, verify
from migration.setup.warm import workers

LONGEST = 24_576  # characters that the platform takes
SEEN = 60.0  # seconds in which a new value must be listed
WARM = 30.0  # seconds to wait for functions to begin anew
PAUSE, PAUSE_HERE = 8.0, 0.5  # seconds between looks, where log queries are counted and where not
Confirm = Callable[[str], bool]
Ask = Callable[[str], str]


def set_all(context: Context, confirm: Confirm, ask: Ask | None = None) -> SecretResult:
    """Upload the configured secrets that differ, and no other; read them back; wait until functions see them.

    Values come from `.env`, or from `ask` (hidden input), never from an argument. Refused before anything is sent
    when one has no value, a wrong form, or a provider that does not know it.
    """
    before = {each.name: each for each in context.supabase.secrets()}
    values = {name: _value(context, name, ask) for name in context.config.secrets}
    changed = {name: value for name, value in values.items() if same(before.get(name), value, None) is not True}
    for name, value in changed.items():
        _acceptable(context, name, value)
    if not changed:
        return replace(verify(context), message="Every secret is set to this value already; nothing was sent.")
    if not confirm(f"Set {', '.join(changed)} in {context.environment.name}"):
        raise Refused("not confirmed: no secret was sent", "inv secret --set")
    context.environment.secrets.update(changed)
    context.observer.step("set", detail=", ".join(changed))
    context.supabase.set_secrets(changed)
    _read_back(context, changed)
    context.observer.done("set", detail=", ".join(changed))
    message = f"Set {', '.join(changed)}. {_seen(context, changed)}"
    return replace(verify(context), uploaded=tuple(changed), message=message)


def _value(context: Context, name: str, ask: Ask | None) -> Secret:
    local = context.environment.secrets.get(name)
    if local:
        return local
    typed = ask(f"{name} (hidden):") if ask else ""
    if not typed:
        raise Refused(f"{name} has no value: nothing was sent", f"set {name} in .env (inv init), then type: {SET}")
    return Secret(typed)


def _acceptable(context: Context, name: str, value: Secret) -> None:
    """Refused when the platform or the provider would not take it, or when it is plainly mistyped."""
    settings, text = context.config.secrets[name], value.reveal()
    wrong = shape(settings, value) is False
    reasons = [
        "its name is the platform's own" if RESERVED.fullmatch(name) else "",
        "it begins or ends with white space" if text != text.strip() else "",
        f"it is longer than {LONGEST} characters" if len(text) > LONGEST else "",
        f"it does not match {settings.format}" if wrong else "",
    ]
    reason = next(filter(None, reasons), "")
    if reason:
        raise Refused(f"{name} was not sent: {reason}", f"mend {name} in .env, then type: {SET}")
    if settings.provider:
        _, findings = ask_provider(context, value)
        bad = next((each for each in findings if each.severity == "error" and each.kind != "key_limit"), None)
        if bad:
            raise Refused(f"{name} was not sent: {bad.problem}", bad.fix, evidence=bad.evidence)


def _read_back(context: Context, values: Mapping[str, Secret]) -> None:
    """Until the list shows the new digests; Failed when it does not."""
    end = context.clock.monotonic() + SEEN
    while True:
        listed = {each.name: each for each in context.supabase.secrets()}
        stale = [
            name for name, value in values.items() if name not in listed or same(listed[name], value, None) is False
        ]
        if not stale:
            return
        if context.clock.monotonic() > end:
            raise Failed(f"{', '.join(stale)} was sent, and the list still shows the old digest", "inv secret")
        context.clock.sleep(1.0)


def _seen(context: Context, values: Mapping[str, Secret]) -> str:
    """Wait until the functions answer from workers that began after the change; say so when they do not."""
    wanted = set(context.config.migration.functions)
    try:
        functions = [each for each in context.supabase.functions() if each.slug in wanted]
        since = changed_at(context, list(values))
    except ServiceFailed as error:
        return f"Whether functions see it could not be asked ({error.message})."
    if not functions or since is None:
        return "Functions that are deployed from now on will see it."
    context.observer.step("warm", detail="waiting for functions to see the new value")
    end, pause = context.clock.monotonic() + WARM, PAUSE if context.environment.log_queries else PAUSE_HERE
    while True:
        try:
            left = [each.slug for each in workers(context, functions, since) if each.state != "new"]
        except ServiceFailed as error:
            return f"Whether functions see it could not be asked ({error.message})."
        if not left:
            return "The functions answer from workers that began after the change."
        if context.clock.monotonic() + pause > end:
            return f"Warm workers of {', '.join(left)} may keep the old value for some minutes; inv doctor tells."
        context.clock.sleep(pause)


def changed_at(context: Context, names: list[str]) -> datetime | None:
    """When the newest of these secrets was set, by the platform's clock; None where it does not say."""
    moments = [each.updated_at for each in context.supabase.secrets() if each.name in names and each.updated_at]
    found = [datetime.fromisoformat(each) for each in moments]
    return max((each if each.tzinfo else each.replace(tzinfo=UTC) for each in found), default=None)
