"""Facts as data: what `figures.json` holds, and all that the page and the Markdown take their numbers from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from msgspec import structs

from checks import stats
from checks.evidence import Evidence, Missing, Spend, Traffic, together
from checks.table import cost_per_request, difference, valid_of_delivered
from migration.base.command import Chain, Command, Do, Shell, Steps, inv
from migration.base.gate import gate
from migration.base.numbers import count
from migration.base.plain import plain, timed
from migration.costs.report import CostReport
from migration.ledger.deployments import UNDONE
from migration.report import plan_document
from migration.report.gather import ReportFacts, UnmeasuredPart
from migration.report.prompts import PromptCounts

Figures = dict[str, Any]
SCHEMA = "cutover/figures/1"
# What shows the evidence of a criterion, by its name: a verb and its flags; others are shown by `checks`.
_SHOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "no_503": ("logs", {"grep": "503"}),
    "cost_logged": ("logs", {"signal": "usage"}),
    "no_errors_in_logs": ("logs", {"level": "error"}),
    "cost_per_request": ("costs", {"by": "hour"}),
    "budget": ("costs", {"by": "day"}),
    "provider_sees_requests": ("costs", {"by": "day"}),
    "unchanged": ("plan", {"diff": True}),
    "answers_work": ("smoke", {}),
}


class Label(str):
    """What a person does, or what stands above the command below it: no command itself."""

    __slots__ = ()


def figures(facts: ReportFacts) -> Figures:
    """Every section, each with what was measured of it or why not (`missing`)."""
    migration = facts.config.migration
    own = {
        "schema": SCHEMA,
        "env": facts.environment,
        "written_at": facts.until,
        "since": facts.since,
        "until": facts.until,
        "migration": {
            "name": migration.name,
            "from": migration.from_,
            "to": migration.to,
            "functions": migration.functions,
            "unchanged": migration.unchanged,
        },
        "live": _live(facts),
        "checks": _checks(facts),
        "comparison": _comparison(facts),
        "traffic": _traffic(facts),
        "costs": _costs(facts),
        "reliability": _reliability(facts),
        "prompts": _prompts(facts),
        "deployments": _deployments(facts),
        "watch": _watch(facts),
        "feedback": _feedback(facts),
    }
    data: Figures = _texts(plain(own))
    data = _texts(timed(data))
    data["verdict"] = _texts(_verdict(data))
    data["plan"] = _texts(timed(plain(plan_document.items(facts, data))))
    data["missing"] = list(_missing(data))
    return data


def records(rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Records of the ledger as data, secrets masked."""
    return [_texts(timed(plain(one))) for one in rows]


def _texts(value: Any) -> Any:
    """Steps as they are typed, and every text safe to show."""
    if isinstance(value, Do):
        return Label(gate(str(value)))
    if isinstance(value, Label):
        return value
    if isinstance(value, Command | Chain | Shell | Steps):
        return gate(str(value))
    if isinstance(value, dict):
        return {key: _texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_texts(inner) for inner in value]
    return gate(value) if isinstance(value, str) else value


def _unmeasured(part: UnmeasuredPart) -> Figures:
    return {"missing": part.why, "how": list(part.how)}


def _since(facts: ReportFacts) -> str:
    """The beginning as a flag takes it."""
    return f"{facts.since.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _live(facts: ReportFacts) -> Figures:
    status = facts.status
    if isinstance(status, UnmeasuredPart):
        return _unmeasured(status)
    newest = facts.history.deployments if not isinstance(facts.history, UnmeasuredPart) else ()
    live = next((row for row in newest if row["live"]), None)
    undone = next((row for row in newest if row["outcome"] in UNDONE), None) if live is None else None
    about = live or undone or {}
    later = newest[: newest.index(live)] if live else ()
    restored = next((row for row in later if row["outcome"] == "restored"), None)
    return {
        "message": status.message,
        "functions": status.functions,
        "deployment": live["id"] if live else None,
        "by": about.get("id"),
        "kind": about.get("kind"),
        "who": about.get("who"),
        "since": about.get("ended") or about.get("at"),
        "restored": {"at": restored["ended"] or restored["at"], "after": restored["id"]} if restored else None,
        "revision": about.get("revision"),
        "interrupted": status.exit_code == 5,
        "lock": status.lock,
        "holds": len(status.holds),
        "notes": status.notes,
        "next": list(status.next),
        "command": inv("status"),
    }


def _checks(facts: ReportFacts) -> Figures:
    judged = facts.checks
    if isinstance(judged, UnmeasuredPart):
        return _unmeasured(judged)
    criteria = [
        {**plain(one), "evidence": [*one.evidence], "command": _shows(facts, one.name), "settle": list(one.settle)}
        for one in judged.criteria
    ]
    counts = {name: sum(one["verdict"] == name for one in criteria) for name in ("pass", "fail", "inconclusive")}
    return {
        "verdict": judged.verdict,
        "window": judged.window,
        "criteria": criteria,
        "counts": counts,
        "deciding": sum(not one["advisory"] for one in criteria),
        "silent": _silent(facts, judged.evidence),
        "provider": judged.provider,
        "table": judged.table,
        "command": inv("checks", since=_since(facts)),
    }


def _shows(facts: ReportFacts, name: str) -> Command:
    verb, flags = _SHOWS.get(name, ("checks", {}))
    if verb in ("plan", "smoke"):  # they look at the code and at the functions, not at a time
        return inv(verb, env=facts.environment, **flags)
    return inv(verb, since=_since(facts), **flags)


def _silent(facts: ReportFacts, evidence: Evidence | None) -> list[str]:
    """Functions of the migration that no request reached since their deployment; none where that was not read."""
    if evidence is None or isinstance(evidence.traffic, Missing):
        return []
    reached = {part.function for part in evidence.traffic if part.requests}
    return [slug for slug in facts.config.migration.functions if slug not in reached]


def _comparison(facts: ReportFacts) -> Figures:
    if isinstance(facts.checks, UnmeasuredPart):
        return _unmeasured(facts.checks)
    evidence = facts.checks.evidence
    if evidence is None:
        return {"missing": "the criteria gathered no evidence", "how": [inv("checks")]}
    before, after = together(evidence.before), together(evidence.traffic)
    return {
        "rows": facts.checks.table,
        "success": _shares((before.successes, before.trials), (after.successes, after.trials)),
        "time": {"before": _times(before), "after": _times(after)},
        "cost": {"before": _mean(evidence.spend_before), "after": _mean(evidence.spend)},
        "quality": _shares(valid_of_delivered(evidence.artifacts_before), valid_of_delivered(evidence.artifacts)),
        "why": list(_reasons(evidence)),
        "command": inv("checks", since=_since(facts)),
    }


def _share(pair: tuple[int, int]) -> Figures | None:
    if not pair[1]:
        return None
    interval = stats.exact(*pair)
    return {"good": pair[0], "of": pair[1], "share": interval.estimate, "low": interval.low, "high": interval.high}


def _shares(before: tuple[int, int], after: tuple[int, int]) -> Figures:
    """Two shares with their exact intervals, and the difference in points with Newcombe's."""
    shares: Figures = {"before": _share(before), "after": _share(after), "points": None}
    if before[1] and after[1]:
        low, middle, high = difference(before, after)
        shares["points"] = {"low": low * 100, "middle": middle * 100, "high": high * 100}
    return shares


def _times(traffic: Traffic) -> Figures | None:
    if not traffic.seconds:
        return None
    return {name: stats.quantile(traffic.seconds, share) for name, share in (("p50", 0.5), ("p95", 0.95))}


def _mean(spend: Spend | Missing) -> Figures | None:
    """USD of one success with its interval; None where nothing was measured."""
    cost = cost_per_request(spend)
    if isinstance(spend, Missing) or cost is None:
        return None
    bounded = abs(cost.high) < float("inf")
    return {
        "mean": cost.estimate,
        "low": max(cost.low, 0.0) if bounded else None,
        "high": cost.high if bounded else None,
        "requests": spend.lines,
    }


def _reasons(evidence: Evidence) -> Iterator[str]:
    """Why a column of the comparison is empty."""
    parts = {
        "before": evidence.before,
        "cost before": evidence.spend_before,
        "quality before": evidence.artifacts_before,
        "after": evidence.traffic,
        "cost after": evidence.spend,
        "quality after": evidence.artifacts,
    }
    yield from (f"{name}: {part.why}" for name, part in parts.items() if isinstance(part, Missing))


def _traffic(facts: ReportFacts) -> Figures:
    traffic = facts.traffic
    if isinstance(traffic, UnmeasuredPart):
        return {**_unmeasured(traffic), "marks": list(_marks(facts))}
    points = [[one.at, one.answers, one.failed, one.p95] for one in traffic.points]
    missing = (
        {}
        if points
        else {
            "missing": "no function of the migration was called in this time",
            "how": [inv("smoke", env=facts.environment)],
        }
    )
    return {
        "step": traffic.step,
        "answers": traffic.answers,
        "failed": traffic.failed,
        "points": points,
        "columns": ["at", "answers", "failed", "p95"],
        "marks": list(_marks(facts)),
        "command": inv("checks", since=_since(facts)),
        **missing,
    }


def _marks(facts: ReportFacts) -> Iterator[Figures]:
    """What happened in the time that is shown: deployments, rollbacks, alerts; the watch from one time to another."""
    rows = facts.history.deployments if not isinstance(facts.history, UnmeasuredPart) else ()
    for row in rows:
        at = row["ended"] or row["at"]
        if _inside(facts, at):
            yield {
                "at": at,
                "kind": row["kind"],
                "text": f"{row['kind']} {row['id']}: {row['outcome'] or 'no outcome'}",
            }
    watch = facts.watch
    if isinstance(watch, Mapping):
        for one in watch["sent"]:
            if _inside(facts, one["at"].isoformat()):
                yield {"at": one["at"], "kind": "alert", "text": one["title"]}
        until = watch["ended_at"] or min(watch["until"], facts.until)
        if until > facts.since:
            yield {
                "at": max(watch["started"], facts.since),
                "to": until,
                "kind": "watch",
                "text": f"watch {watch['watch']}: {watch['verdict']}",
            }


def _inside(facts: ReportFacts, at: str) -> bool:
    return bool(at) and facts.since <= datetime.fromisoformat(at) <= facts.until


def _costs(facts: ReportFacts) -> Figures:
    costs = facts.costs
    if isinstance(costs, UnmeasuredPart):
        return _unmeasured(costs)
    data: Figures = plain(costs)
    data["cumulative"] = [round(each, 9) for each in accumulate(row.cost or 0 for row in costs.rows)]
    data["tokens_per_request"] = costs.tokens.total / costs.lines if costs.lines else None
    price = facts.config.target.price if facts.config.target else None
    data["price"] = structs.asdict(price) if price else None
    data["volumes"] = [
        {"name": name, "per_day": volume.per_day, "month": volume.cost}
        for name, volume in costs.projection.volumes.items()
    ]
    data["command"] = inv("costs", since=_since(facts), by=costs.by)
    if not costs.lines:
        data |= {"missing": "no usage line was logged in this time", "how": [inv("smoke", env=facts.environment)]}
    return data


def _reliability(facts: ReportFacts) -> Figures:
    """What an avoided failure costs: the price of one more request, over how many fewer of them fail.

    The usage lines of a period tell of the new code alone only where the old code wrote none: else each end counts its
    own versions' lines.
    """
    checks, costs = facts.checks, facts.costs
    if isinstance(checks, UnmeasuredPart) or isinstance(costs, UnmeasuredPart) or checks.evidence is None:
        return {"missing": "success or cost was not measured", "how": [inv("checks"), inv("costs")]}
    before, after = together(checks.evidence.before), together(checks.evidence.traffic)
    if not before.trials or not after.trials:
        lacking = "before" if not before.trials else "after"
        how = [inv("rehearse")] if not before.trials else [inv("smoke", env=facts.environment)]
        return {"missing": f"the success rate {lacking} the migration was not measured", "how": how}
    old, own = _mean(checks.evidence.spend_before), _mean(checks.evidence.spend)
    new = own["mean"] if old and own else costs.per_request.mean
    if new is None:
        return {"missing": "no request has a cost yet", "how": [inv("smoke", env=facts.environment)]}
    gain = after.successes / after.trials - before.successes / before.trials
    extra = new - (old["mean"] if old else 0.0)
    rows = [_volume(name, volume.per_day, gain, extra) for name, volume in costs.projection.volumes.items()]
    warning, critical = costs.budget.warning, costs.budget.critical
    return {
        "gain": gain,
        "extra": extra,
        "old_cost_measured": old is not None,
        "per_failure_avoided": extra / gain if gain > 0 else None,
        "volumes": rows,
        "limits": [
            {"name": name, "usd": usd, "per_day": usd / 30 / new if new > 0 else None}
            for name, usd in (("warning", warning), ("critical", critical))
        ],
    }


def _volume(name: str, per_day: int, gain: float, extra: float) -> Figures:
    """A month of 30 days at a volume of requests a day."""
    return {"name": name, "per_day": per_day, "avoided": per_day * 30 * gain, "month": per_day * 30 * extra}


def _prompts(facts: ReportFacts) -> Figures:
    prompts: PromptCounts | UnmeasuredPart = facts.prompts
    if isinstance(prompts, UnmeasuredPart):
        return _unmeasured(prompts)
    mean = facts.costs.per_request.mean if isinstance(facts.costs, CostReport) else None
    return {
        "prompts": prompts.prompts,
        "different": prompts.different,
        "repeated": prompts.repeated,
        "share": prompts.repeated / prompts.prompts if prompts.prompts else None,
        "saved": prompts.repeated * mean if mean is not None else None,
        "command": inv("logs", signal="prompt", since=_since(facts)),
    }


def _deployments(facts: ReportFacts) -> Figures:
    if isinstance(facts.history, UnmeasuredPart):
        return _unmeasured(facts.history)
    rows = [_timeline(row) for row in facts.history.deployments if _inside(facts, row["ended"] or row["at"])]
    older = len(facts.history.deployments) - len(rows)
    ends = [
        {"id": row["id"], "kind": row["kind"], "good": row["outcome"] in UNDONE} for row in facts.history.deployments
    ]
    return {"rows": rows, "older": older, "all": ends, "command": inv("history"), "message": facts.history.message}


def _timeline(row: Mapping[str, Any]) -> Figures:
    """One deployment with its steps: seconds of work and of waiting, the latter None where it was not recorded."""
    steps = [
        {
            "name": one.get("name"),
            "seconds": one.get("seconds") or 0.0,
            "waited": one.get("waited"),
            "detail": one.get("detail") or "",
        }
        for one in row["steps"]
    ]
    waits = [one["waited"] for one in steps]
    seconds = sum(one["seconds"] for one in steps)
    waited = sum(each or 0.0 for each in waits) if steps and None not in waits else None
    return {
        **row,
        "steps": steps,
        "seconds": seconds,
        "waited": waited,
        "command": inv("history", limit="1") if row.get("live") else inv("history"),
    }


def _watch(facts: ReportFacts) -> Figures:
    if isinstance(facts.watch, UnmeasuredPart):
        return _unmeasured(facts.watch)
    if facts.watch is None:
        return {"missing": "the live deployment was not watched", "how": [inv("watch")]}
    return {**plain(facts.watch), "command": inv("watch", resume=True)}


def _feedback(facts: ReportFacts) -> Figures:
    rows: Sequence[Mapping[str, Any]] = facts.history.notes if not isinstance(facts.history, UnmeasuredPart) else ()
    ratings = [int(one["rating"]) for one in rows if one.get("rating")]
    how = [inv("history", note="what users say", rating="4")]
    figures_: Figures = {
        "notes": [dict(one) for one in rows],
        "ratings": len(ratings),
        "mean": sum(ratings) / len(ratings) if ratings else None,
    }
    return figures_ if ratings else {**figures_, "missing": "no note in the ledger has a rating", "how": how}


def _verdict(data: Mapping[str, Any]) -> Figures:
    """The first thing to read: a word, one sentence, and what to do next."""
    live, checks, watch, name = data["live"], data["checks"], data["watch"], data["migration"]["name"]
    where = data["env"]
    next_ = list(live.get("next") or live.get("how") or ())
    if live.get("interrupted"):
        return _word("interrupted", f"A deployment of {name} in {where} was interrupted", live["message"], next_)
    if "missing" in live:
        return _word("inconclusive", f"{name} in {where} could not be read", live["missing"], next_)
    if "missing" in data["deployments"]:
        return _word("inconclusive", f"{name} in {where} could not be read", data["deployments"]["missing"], next_)
    if not live["deployment"]:
        back = live["by"] is not None
        title = f"{name} was rolled back in {where}" if back else f"{name} is not deployed to {where}"
        return _word("rolled back" if back else "not deployed", title, live["message"], next_)
    if "missing" in checks:
        text = f"The criteria were not judged: {checks['missing']}"
        return _word("inconclusive", f"{name} is live in {where}, not proven", text, list(checks["how"]))
    titles = {"pass": "works", "fail": "does not meet its criteria", "inconclusive": "is live, not settled"}
    word = "fail" if watch.get("verdict") == "fail" and checks["verdict"] == "pass" else checks["verdict"]
    steps = [*next_, *_settling(checks, word)] if word == "fail" else next_ or _settling(checks, word)
    return _word(word, f"{name} {titles[word]} in {where}", _judged(checks, watch), list(dict.fromkeys(steps)))


def _word(word: str, title: str, sentence: str, steps: list[str]) -> Figures:
    return {"word": word, "title": title, "sentence": sentence, "next": steps}


def _judged(checks: Mapping[str, Any], watch: Mapping[str, Any]) -> str:
    counts = checks["counts"]
    open_ = [one["label"] or one["name"].replace("_", " ") for one in checks["criteria"] if one["verdict"] != "pass"]
    text = f"{counts['pass']} of {len(checks['criteria'])} criteria passed"
    text += f"; open: {', '.join(open_)}" if open_ else ""
    text += f". No request has reached {', '.join(checks['silent'])} yet" if checks["silent"] else ""
    alarms = len(watch.get("alarms") or ())
    return f"{text}. The watch has raised {count(alarms, 'alarm')}." if alarms else f"{text}."


def _settling(checks: Mapping[str, Any], word: str) -> list[str]:
    """What failed, and the way back; else the first few commands that open criteria name."""
    if word == "fail":
        watched = [] if checks["verdict"] == "fail" else [str(inv("watch", once=True))]
        back = Label("to take it back:"), str(inv("rollback"))
        return [*(watched or [str(inv("checks"))]), *back]
    verbs = dict.fromkeys(verb for one in checks["criteria"] if one["verdict"] != "pass" for verb in one["settle"])
    return [str(inv(verb, env=None)) for verb in verbs][:2] or (
        [] if checks["verdict"] == "pass" else [str(inv("checks"))]
    )


def _missing(data: Mapping[str, Any]) -> Iterator[Figures]:
    """What the page says was not measured, in one list."""
    for name, part in data.items():
        if isinstance(part, Mapping) and part.get("missing"):
            yield {"part": name, "why": part["missing"], "how": part.get("how") or []}
