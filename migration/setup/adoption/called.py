"""The providers that an app's functions call, before and after, with the models that they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from migration.setup.adoption import code, gateways, imports, kinds
from migration.setup.adoption.app import App
from migration.setup.adoption.draft import Draft, Variable


@dataclass(frozen=True)
class Seen:
    """Where something was seen first."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Called:
    """A provider that functions call: its kind, where that was seen, and the address where it is not the kind's own."""

    name: str
    kind: str
    seen: Seen
    url: str = ""

    @property
    def host(self) -> str:
        return (urlsplit(self.url).hostname or "") if self.url else kinds.BY_NAME[self.kind].host


def by(app: App, slugs: Iterable[str], before: bool = False) -> dict[str, Called]:
    """Providers by name that the functions call: by host, by an address that speaks OpenAI's API, by package."""
    found: dict[str, Called] = {}
    for slug in slugs:
        texts = list(app.files(slug, before))
        named = [Called(kind.name, kind.name, Seen(file, line)) for path, text in texts
                 for host, file, line in code.hosts(path, text) if (kind := kinds.of_host(host))]  # fmt: skip
        named += [Called(gateways.name_of(base), "openai", Seen(file, line), base)
                  for path, text in texts for base, file, line in gateways.addresses(path, text)]  # fmt: skip
        if not named:  # a package's own host, unless the text names another
            named = [Called(kind.name, kind.speaks, Seen(each.file, each.line), kind.url) for path, text in texts
                     for each in code.imports(path, text)
                     if (kind := kinds.of_package(imports.package(each.address)))]  # fmt: skip
        for each in named:
            found.setdefault(each.name, each)
    return found


def of_key(variable: str, everyone: Mapping[str, Called]) -> str:
    """The provider at an address of its own whose key a variable is likely to hold; empty for none."""
    return next((each.name for each in everyone.values() if each.url and gateways.holds_key(each.name, variable)), "")


def fill(
    draft: Draft, app: App, moved: Sequence[str], new: Mapping[str, Called], old: Mapping[str, Called],
    variables: Sequence[str],
) -> None:  # fmt: skip
    """The sections of `providers`, and both ends of the migration where there is one answer."""
    added, gone = [name for name in new if name not in old], [name for name in old if name not in new]
    target = added[0] if len(added) == 1 else next(iter(new)) if len(new) == 1 else ""
    source = gone[0] if len(gone) == 1 else target if target in old else ""
    planned = draft.get("migration", "to")
    if planned and new and planned not in new:
        draft.notice(f"the plan moves to {planned}, but the functions call {', '.join(new)}")
    everyone = {**old, **new}
    for each in everyone.values():
        _provider(draft, each, _models(app, moved, each, everyone, before=each.name not in new), variables)
        if each.name in new and draft.get("providers", each.name, "price", "input") is None:
            draft.ask(
                ("providers", each.name, "price"),
                "USD per million tokens, as {input: …, cached_input: …, output: …}? Without it there are no costs",
            )
    if source:
        draft.set(("migration", "from"), source, f"what the code before calls: {old[source].seen}")
    if target:
        draft.set(("migration", "to"), target, f"what the code calls now: {new[target].seen}")
    elif len(new) > 1 and not planned:
        draft.ask(("migration", "to"), f"which provider does the migration move to: {', '.join(new)}?")


def _provider(draft: Draft, each: Called, models: Sequence[str], variables: Sequence[str]) -> None:
    at = ("providers", each.name)
    draft.set((*at, "kind"), each.kind, f"called in {each.seen}" + ("; it speaks OpenAI's API" if each.url else ""))
    if each.url:
        draft.set((*at, "url"), each.url, "its own address: the key goes there and nowhere else")
    known = draft.get(*at, "model")
    if known and models and known not in models:
        draft.notice(f"the plan names the model {known}, the code of the app {', '.join(models[:3])}")
    if models:
        others = f"; others: {', '.join(models[1:4])}" if models[1:] else ""
        draft.set((*at, "model"), models[0], f"named in the code{others}")
    elif known is None:
        draft.ask((*at, "model"), f"which model do the functions ask {each.name} for?")
    key = (
        next((name for name in variables if of_key(name, {each.name: each})), "")
        if each.url
        else kinds.key_of(kinds.BY_NAME[each.kind], variables)
    )
    if key:
        draft.set((*at, "key"), Variable(key), "optional: proves before a deploy that it accepts the key")


def _models(app: App, moved: Sequence[str], each: Called, everyone: Mapping[str, Called], before: bool) -> list[str]:
    """Models of a provider, by their names; all that the text names where nothing else is called."""
    texts = [(file, text) for slug in moved for file, text in app.files(slug, before)]
    ranked = sorted(texts, key=lambda pair: pair[0] != each.seen.file)  # those beside the call first
    models = list(dict.fromkeys(name for _, text in ranked for name in code.models(text)))
    here = {one.kind for one in everyone.values() if not one.url}
    if each.url:  # any name that is not of another provider's
        beside = [name for file, text in ranked if file == each.seen.file for name in code.models(text)]
        others = [kinds.BY_NAME[kind].models for kind in here]
        return beside or [name for name in models if not any(own.match(name) for own in others)]
    fitting = [name for name in models if kinds.BY_NAME[each.kind].models.match(name)]
    return fitting or (models if len(everyone) == 1 else [])
