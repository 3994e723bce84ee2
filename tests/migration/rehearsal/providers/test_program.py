from __future__ import annotations

import pytest

from migration.rehearsal.providers.program import BadProgram, Dice, parse


def fates(values: dict[str, object], requests: int) -> list[str]:
    dice = Dice(parse(values))
    return [dice.turn(str(number)).outcome for number in range(requests)]


def test_a_program_repeats() -> None:
    """The same program gives the n-th request the same fate and the same wait, whenever it runs."""
    values = {"error_rate": {503: 0.4, "length": 0.1}, "latency": [0.1, 0.3], "seed": 7}
    first, second = Dice(parse(values)), Dice(parse(values))
    assert [first.turn() for _ in range(50)] == [second.turn() for _ in range(50)]
    assert fates(values, 200) != fates(values | {"seed": 8}, 200)


def test_a_program_keeps_its_rates() -> None:
    """Of two thousand requests about the asked share meets each outcome."""
    seen = fates({"error_rate": {503: 0.4, "length": 0.1}, "seed": 1}, 2000)
    assert 0.36 < seen.count("503") / 2000 < 0.44
    assert 0.08 < seen.count("length") / 2000 < 0.12


def test_an_even_program_keeps_its_rate_in_a_short_rehearsal() -> None:
    """Every block of twenty requests holds exactly the asked share, in an order of its own."""
    seen = fates({"error_rate": {503: 0.25}, "even": True, "seed": 3}, 60)
    blocks = [seen[at : at + 20] for at in (0, 20, 40)]
    assert [block.count("503") for block in blocks] == [5, 5, 5]
    assert len({tuple(block) for block in blocks}) == 3


def test_an_overload_outlasts_retries() -> None:
    """A refused request is refused again until the burst is over; another request draws its own fate meanwhile."""
    dice = Dice(parse({"sequence": ["ok"], "error_rate": {503: 0.5}, "burst": 2, "even": True, "seed": 7}))
    assert dice.turn("first").outcome == "ok"
    calls = [(dice.turn(name).outcome, dice.turn(name).outcome) for name in map(str, range(20))]
    assert ("503", "ok") not in calls
    dice = Dice(parse({"error_rate": {503: 1.0}, "burst": 3}))
    for _ in range(3):
        assert dice.turn("a").outcome == "503"
    assert dice.drawn == 1
    assert (dice.turn("b").outcome, dice.drawn) == ("503", 2)


def test_a_sequence_comes_first() -> None:
    assert fates({"sequence": [503, "length", "ok"], "error_rate": {402: 1}}, 4) == ["503", "length", "ok", "402"]


def test_latency_follows_its_distribution() -> None:
    """A pair is uniform within its ends; p50 and p95 describe a log-normal."""
    dice = Dice(parse({"latency": [0.1, 0.2]}))
    assert all(0.1 <= dice.turn().seconds <= 0.2 for _ in range(100))
    dice = Dice(parse({"latency": {"p50": 1, "p95": 3}, "seed": 2}))
    waits = sorted(dice.turn().seconds for _ in range(4000))
    assert waits[2000] == pytest.approx(1, rel=0.1)
    assert waits[3800] == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"errorrate": {}}, "errorrate"),
        ({"error_rate": {"lenght": 0.1}}, "lenght"),
        ({"error_rate": {503: 0.7, 429: 0.7}}, "at most 1"),
        ({"error_rate": {503: "often"}}, "often"),
        ({"latency": {"p50": 1}}, "p95"),
        ({"sequence": ["no"]}, "no"),
    ],
)
def test_a_bad_program_is_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(BadProgram, match=named):
        parse(values)
