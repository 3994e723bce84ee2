"""Which price applies to the model that a usage line names, and which figures of the costs have no source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from migration.config.settings import PROOFS, Config, Price, ProviderSettings
from migration.config.signals import Pattern
from migration.providers.live import means

UNNAMED = "(not named)"


@dataclass(frozen=True)
class Unsourced:
    """A figure that nothing reports, and why."""

    figure: str
    why: str


class Prices:
    """The prices of config.yaml by model; `target`: that of the provider which migration.to names."""

    def __init__(self, config: Config, target: Price) -> None:
        self.target = target
        self.model = config.target.listed if config.target else ""
        self.known = {
            each.listed: each.price for each in config.providers.values() if each.price is not None and each.listed
        }

    def of(self, model: str) -> Price:
        """The price of a model; that of `target` for one without a price, and for a line that names none."""
        name = self._named(model)
        return self.known[name] if name else self.target

    def priced(self, model: str) -> bool:
        return bool(self._named(model))

    def _named(self, model: str) -> str:
        """The configured model that this name means: the longest that it begins with, apart from a build."""
        names = [name for name in self.known if means(model, name)]
        return max(names, key=len, default="")


def unsourced(
    provider: tuple[str, ProviderSettings], usage: Pattern, billed: bool, logged: bool, models: Iterable[str],
    prices: Prices,
) -> tuple[Unsourced, ...]:  # fmt: skip
    """The figures of a report that nothing reports. `models`: those that usage lines name, "" where one names none."""
    name, settings = provider
    figures = []
    if "usage" not in PROOFS[settings.kind]:
        figures.append(Unsourced("billed", f"{name} is of kind {settings.kind}, which reports no spend of a key"))
    elif not billed:
        figures.append(Unsourced("billed", f"{name} did not say what it charged in these days"))
    groups = usage.regex.groupindex
    if not logged:
        why = "no usage line names one" if "cost" in groups else "signals.usage has no group cost"
        figures.append(Unsourced("as logged", why))
    if "model" not in groups:
        words = f"signals.usage has no group model, so every line counts as {prices.model or name}"
        figures.append(Unsourced("model", words))
    bare = sorted({each for each in models if each and not prices.priced(each)})
    if bare:
        words = f"no provider of config.yaml with this model has a price: counted at that of {prices.model or name}"
        figures += [Unsourced(f"price of {each}", words) for each in bare]
    return tuple(figures)
