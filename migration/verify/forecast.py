"""What a gate comes to, from config.yaml alone: a plan says it before anything of the gate is loaded or sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migration.base.numbers import at_most, count, few

if TYPE_CHECKING:
    from migration.config.settings import Config

MOST = 3  # times that one request of a gate is sent
_UNIT = 0.005  # USD a request, without cost_per_request in config.yaml


@dataclass(frozen=True)
class GateForecast:
    """What a gate of these functions may send and cost at most, and what it can decide. `steps`: in a browser."""

    requests: int
    cost: float
    unproven: tuple[str, ...] = ()
    unmeasurable: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    steps: int = 0
    steps_cost: float = 0.0

    def lines(self) -> Iterator[str]:
        """For `plan`: sentences for a person."""
        yield f"The gate sends at most {count(self.requests, 'request')}, {at_most(self.cost)}."
        if self.steps:
            cost = at_most(self.steps_cost)
            yield f"Then it drives the {count(self.steps, 'step')} of e2e in a browser, at most {cost}."
        if self.unproven:
            have, they = ("has", "it answers") if len(self.unproven) == 1 else ("have", "they answer")
            names = few(self.unproven, 5)
            yield f"{names} {have} no smoke case: the gate cannot prove that {they}, and ends inconclusive."
        if self.unsent:
            names, are = few(self.unsent, 5), "it is" if len(self.unsent) == 1 else "they are"
            lists = "neither in migration.functions nor in migration.unchanged"
            yield f"The gate sends no smoke case of {names}: {are} {lists}."
        yield from self.unmeasurable


def forecast(config: Config, slugs: Collection[str]) -> GateForecast:
    """What the gate of a deploy of `slugs` comes to. Raises nothing."""
    gate = config.gate
    sent = [case for case in config.smoke if case.when != "before"]
    cases = [case for case in sent if case.function in slugs]
    untouched = [case for case in sent if case.function in config.migration.unchanged]
    carried = {*config.migration.functions, *config.migration.unchanged}
    further = max(len(gate.regions) - 1, 0) * len({case.function for case in cases})
    paid = [case for case in cases if all(200 <= status < 300 for status in case.expect.statuses)]
    most = 1 if gate.probe == "options" else MOST
    unproven = () if gate.probe == "options" else sorted(set(slugs) - {case.function for case in cases})
    return GateForecast(
        most * (len(cases) + further) + 2 * len(untouched),
        most * (len(paid) + further) * unit(config),
        tuple(unproven),
        tuple(unmeasurable(config)),
        tuple(dict.fromkeys(case.function for case in sent if case.function not in carried)),
        len(config.e2e.steps) if gate.e2e and config.e2e else 0,
        steps_cost(config) if gate.e2e else 0.0,
    )


def unmeasurable(config: Config) -> Iterator[str]:
    """Why criteria of config.yaml cannot be measured with what else it says; empty when all can."""
    functions, unchanged = config.migration.functions, config.migration.unchanged
    cases = [case for case in config.smoke if case.function in functions and case.when != "before"]
    artifacts = any(case.expect.artifact or case.expect.code for case in cases)
    usage = "" if "usage" in config.signals else "there is no signals.usage"
    own = config.criteria.named.get("unchanged")
    alone = own.function if own else None
    lacks = {
        "cost_logged": usage,
        "cost_per_request": usage,
        "answers_work": "" if cases else "there is no smoke case of migration.functions",
        "code_quality": "" if artifacts else "no smoke case of migration.functions expects an artifact",
        "unchanged": "" if unchanged else "migration.unchanged names no function",
    }
    if alone and alone not in unchanged:
        lacks["unchanged"] = f"{alone} is not in migration.unchanged"
    for name in config.criteria.named:
        if lacks.get(name):
            yield f"criteria.{name} cannot be measured: {lacks[name]}"


def unit(config: Config) -> float:
    """USD that one request is taken to cost: the limit of cost_per_request."""
    limit = config.criteria.named.get("cost_per_request")
    return (limit.mean or limit.at_most or _UNIT) if limit else _UNIT


def steps_cost(config: Config) -> float:
    """USD that the steps of `e2e` may cost at most: what they say, and for `costs: true` the limit of one request."""
    steps = config.e2e.steps if config.e2e else []
    return sum(unit(config) if step.costs is True else float(step.costs) for step in steps)
