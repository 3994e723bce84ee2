"""The shortcut gives what the pattern itself gives, by the engine that both run on."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from datetime import timedelta

import pytest

from migration.config import logsql, signals
from migration.config.settings import Price
from migration.config.signals import Pattern
from migration.costs import shortcut, usage_query
from migration.rehearsal.logstore import LogStore
from tests.support.logs import NOON, USAGE, row

NAMES = ("input", "output", "cached", "cost", "total", "reasoning")
FORMS = (
    r"^\[[^\]]+\] in=(?P<input>[\d,_]+) out=(?P<output>[\d,_]+)",
    r"^in=(?P<input>\d+) out=(?P<output>\d+)$",
    r"^usage: (?P<input>\d+)/(?P<output>\d+)( \$(?P<cost>[\d.]+))?",
    r"^Tokens: (?P<total>[\d,]+) in all, cost: \$(?P<cost>\S+)",
    r'^"usage":\{"in":(?P<input>\d+),"out":(?P<output>\d{1,9}),?(?:"cost":(?P<cost>[\d.eE+-]+))?\}$',
    r"^a(?:b(?P<input>\d+)(?:c(?P<output>\d+))?)?;(?P<cost>[\d_]*)",
    r"^(?P<input>[\d_]+),(?P<output>\d+)",
    r"^\[\S+ (?:in(?P<input>\d{1,6}) )?(?:reasoning=(?P<reasoning>[\d,_]+)\s+)?",
    r"^x(?:a(?P<cached>\d))?(?:b(?P<cost>\d))?(?:c(?P<total>\d))?(?:d(?P<output>\d)(?:e(?P<input>\d)(?:f\d)?)?)?",
    r"^cost é\.\{ (?P<cost>[\d.]+) [^}]*\}",
)
AMBIGUOUS = {
    "a comma may belong to either": r"^(?P<input>[\d,]+),?(?P<output>[\d,]+)",
    "any text before a number": r"^.*(?P<cost>[\d.]+)",
    "a group that may begin like what follows": r"^(?:a\d+)?a(?P<input>\d+)",
    "a choice": r"^(?:in|input)=(?P<input>\d+)",
    "few characters first": r"^\D+?(?P<input>\d+)",
    "a flag": r"(?i)^in=(?P<input>\d+)",
    "a repeated group": r"^(?:a )+(?P<input>\d+)",
    "a class by name": r"^[[:alpha:]]+(?P<input>\d+)",
    "a letter beyond ASCII in a set": r"^[aé]+(?P<input>\d+)",
    "a border of a word": r"^\bin=(?P<input>\d+)",
    "a text with tabs": r"^in=(?P<input>[^;]+);",
}


def test_shipped_pattern_is_shortened() -> None:
    found = shortcut.shortcut(USAGE, signals.order(USAGE, *NAMES))
    assert found is not None and found.bare
    assert found.pattern.count(")?") == shortcut.MOST_OPTIONAL


@pytest.mark.filterwarnings("ignore:Possible nested set")  # Python's word on a class by name
@pytest.mark.parametrize("pattern", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_unproven_pattern_is_left_alone(pattern: str) -> None:
    assert shortcut.shortcut(pattern, signals.order(pattern, *NAMES)) is None


@pytest.mark.parametrize("pattern", [USAGE, *FORMS])
def test_same_groups_as_the_pattern(pattern: str, store: LogStore) -> None:
    """On lines that match, nearly match, and do not: with the engine's compiler and without."""
    assert differing(store, random.Random(pattern), pattern, 400) == []


def test_same_groups_with_random_patterns(store: LogStore) -> None:
    assert walked(store, range(90), 200) >= 8


@pytest.mark.long
def test_same_groups_with_many_random_patterns(store: LogStore) -> None:
    assert walked(store, range(100, 2_100), 400) >= 300


@pytest.mark.usefixtures("emptied")
def test_same_sums_without_the_shortcut(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole query, over lines of every kind, of functions that were asked for and that were not."""
    chance = random.Random(5)
    messages = [*lines(chance, USAGE, 300), *("busy, retrying", "\x1b[33m[req-000001]\x1b[0m plain")]
    rows = [row(text, n, function_id=chance.choice(("id-a", "id-b", "id-c"))) for n, text in enumerate(messages)]
    edge = {"function_id": "id-a", "response__status_code": "503", "request__method": "POST"}
    store.append([*rows, row("POST", 9, source="function_edge_logs", **edge)])
    store.flush()
    span = (NOON, NOON + timedelta(hours=1))
    usage, retry = Pattern("usage", USAGE, ()), Pattern("retry", "(?i)retry", ())
    price = Price(input=0.6, cached_input=0.15, output=2.5)

    def sums() -> list[dict[str, object]]:
        found = store.query(usage_query.window(["id-a", "id-b"], usage, retry, price, NOON, span), *span)
        return sorted(({**each, "sizes": sorted(each["sizes"])} for each in found), key=lambda each: each["function"])

    quick = sums()
    monkeypatch.setattr(usage_query, "shortcut", lambda *_: None)
    assert sums() == quick
    assert sum(int(str(each["lines"])) for each in quick) > 20


def walked(store: LogStore, seeds: Sequence[int], count: int) -> int:
    """How many of the random patterns had a shortcut."""
    shortened = 0
    for seed in seeds:
        chance = random.Random(seed)
        pattern = anything(chance)
        if shortcut.shortcut(pattern, signals.order(pattern, *NAMES)):
            shortened += 1
            assert differing(store, chance, pattern, count) == [], (seed, pattern)
    return shortened


def differing(store: LogStore, chance: random.Random, pattern: str, count: int) -> list[object]:
    """Lines for which the shortcut and the pattern differ; some must be read by the shortcut, some by neither."""
    names = signals.order(pattern, *NAMES)
    found = shortcut.shortcut(pattern, names)
    assert found is not None
    slow = logsql.groups(signals.portable(signals.capturing(pattern, *names)), "line")
    bare = "arrayMap(x -> replaceAll(replaceAll(x, ',', ''), '_', ''), {})".format
    short = f"replaceRegexpOne(line, {logsql.literal(found.pattern)}, {logsql.literal(found.replacement)})"
    quick = f"splitByChar('\t', short, {len(names)})"
    wrong = []
    texts = lines(chance, pattern, count)
    for least in (0, 1_000_000):
        answer = store.execute(
            f"SELECT sum(quick), sum(empty(slow)), toJSONString(groupArrayIf((line, a, b), quick and a != b)) FROM ("
            f"SELECT arrayJoin([{', '.join(map(logsql.literal, texts))}]) AS line, {short} AS short, "
            f"length(short) != length(line) AS quick, {slow} AS slow, {quick if found.bare else bare(quick)} AS a, "
            f"{bare('slow')} AS b) SETTINGS min_count_to_compile_regular_expression = {least} FORMAT TSVRaw"
        )
        by_shortcut, unmatched, differ = answer.split("\t")
        assert int(by_shortcut) > 0, f"{pattern}: the shortcut reads {by_shortcut} of {len(texts)}"
        assert int(unmatched) > count / 20 or re.search(pattern, ""), f"{pattern}: reads every line"
        wrong += json.loads(differ)
    return wrong


def lines(chance: random.Random, pattern: str, count: int) -> list[str]:
    """Lines of the pattern, and the same ones spoiled."""
    items, _ = shortcut.PatternReader(signals.portable(pattern).removeprefix("(?-s)")).whole()
    good = ["".join(map(lambda item: expanded(chance, item), items)) for _ in range(count)]  # noqa: C417
    return [
        text if chance.random() < 0.4 else spoiled(chance, text + chance.choice(("", " tail", "\n"))) for text in good
    ]


def expanded(chance: random.Random, item: shortcut.Item) -> str:
    if isinstance(item, shortcut.Group):
        skipped = item.optional and chance.random() < 0.3
        return "" if skipped else "".join(expanded(chance, each) for each in item.items)
    if item.characters == {shortcut.NOT_ASCII}:
        return item.text
    usual = [chr(code) for code in item.characters if 32 <= code < 127] or [chr(min(item.characters))]
    digits = [each for each in usual if each.isdigit()] or usual
    times = chance.randint(item.least, item.least + 4) if item.repeated else 1
    return "".join(chance.choice(usual if chance.random() < 0.1 else digits) for _ in range(min(times, 9)))


def spoiled(chance: random.Random, text: str) -> str:
    """One to three small changes anywhere in it."""
    for _ in range(chance.randint(1, 3)):
        at, to = sorted(chance.randint(0, len(text)) for _ in range(2))
        strange = chance.choice(
            (",", "_", "1", "0.5", " ", "\n", "\t", "é", "💰", "\x1b[0m", "\\1", "]", "}", "'", '"', "nan")
        )
        text = chance.choice(
            (
                text[:at] + strange + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + strange + text[at + 1 :],
                text[:to] + text[at:to] + text[to:],
                text[:at] + text[to:],
            )
        )
    return text


def anything(chance: random.Random) -> str:
    """A pattern of random pieces; some are ambiguous."""
    names = chance.sample(NAMES, chance.randint(1, 5))
    if not {"input", "output", "cost"} & set(names):
        names.append("cost")
    start = chance.choice((r"\[[^\]]+\] ", r"\w+: ", "", r"[^{]*\{", r"\[\S+ ", "💰 "))
    fields = [field(chance, name) for name in names]
    if chance.random() < 0.4:
        fields[-2:] = [f"(?:{''.join(fields[-2:])})?"]
    end = chance.choice(("", r"\}", "$", r"\s*;", "!"))
    return f"^{start}{''.join(fields)}{end}"


def field(chance: random.Random, name: str) -> str:
    value = chance.choice((r"[\d,_]+", r"\d+", r"[\d.,]+", r"[^ ;]+", r"\d{1,6}", r"[\d.]*", r"\S+", r"[\d_]+"))
    after = chance.choice((" ", r"\s+", ",? ", ";", " ;"))
    label = ("c" if name == "cached" else "$" if name == "cost" else name) + chance.choice(("=", ": ", ":", ""))
    text = f"{re.escape(label)}(?P<{name}>{value}){after}"
    return f"(?:{text})?" if chance.random() < 0.5 else text
