"""All alarms of a deployment are one message that leads with the worst; it is sent once, and none is lost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.base.secrets_type import register
from migration.watch import alerts
from migration.watch.model import Alarm, AlarmKind, AlarmSeverity, AlertBook, AlertMessage, Surroundings

START = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
HOUR = 3600.0
AROUND = Surroundings("prod", "20261127-1200-abc", "generate-artifact v8", (), "ann")


def alarm(
    criterion: str = "success_rate", severity: AlarmSeverity = "critical", cause: str = "answers",
    kind: AlarmKind = "test", function: str = "", summary: str = "",
) -> Alarm:  # fmt: skip
    words = summary or f"{criterion} is bad"
    return Alarm(criterion, severity, START, words, function, kind, cause, (f"evidence of {criterion}",), 31, 100, 0.01)


def minutes(n: float) -> datetime:
    return START + timedelta(minutes=n)


def deliver(book: AlertBook, at: datetime) -> tuple[AlertBook, list[AlertMessage]]:
    """What a healthy notifier takes."""
    taken = list(book.outbox)
    for one in taken:
        book = alerts.taken(book, one, at)
    return book, taken


def told(rounds: Sequence[Sequence[Alarm]], repeat: float = 4 * HOUR) -> list[list[AlertMessage]]:
    """The messages of rounds five minutes apart, all of them delivered at once."""
    book, found = AlertBook(), []
    for place, standing in enumerate(rounds):
        book, taken = deliver(alerts.observe(book, standing, AROUND, minutes(5 * place), repeat), minutes(5 * place))
        found.append(taken)
    return found


def test_one_message_leads_with_worst() -> None:
    """Three alarms of three causes are one message; the critical one is its title, whatever came first."""
    spend = alarm("spend", "warning", "spend", "threshold", summary="$12 of $10 this month")
    price = alarm("price", "warning", "provider", "fact", summary="the price went up")
    answers = alarm(summary="31% of answers fail")
    [[one]] = told([[spend, price, answers]])
    assert (one.kind, one.severity) == ("firing", "critical")
    assert one.title == "PROD: 31% of answers fail (and 2 more)"
    assert [one.text.index(part) for part in ("31% of answers", "the price", "$12 of")] == sorted(
        one.text.index(part) for part in ("31% of answers", "the price", "$12 of")
    )


def test_each_message_says_what_to_do() -> None:
    """What happened, the evidence, what is live, and the command, each in both forms."""
    [[one]] = told([[alarm(function="generate-artifact", summary="31% of answers fail")]])
    for form in (one.text, one.markdown):
        assert "Critical: 31% of answers fail (since 12:00:00Z)" in form
        assert "success_rate of generate-artifact: evidence of success_rate" in form
        assert "31 of 100 since then; 1% may fail" in form
        assert "Live: generate-artifact v8" in form and "Deployment 20261127-1200-abc by ann" in form
        assert "inv logs --function generate-artifact --since 2026-11-27T12:00Z --level error" in form
        assert "inv rollback" in form
    assert "**Critical: 31%" in one.markdown and "`inv rollback`" in one.markdown


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (alarm("spend", "warning", "spend", "threshold"), "inv costs --since 2026-11-27T12:00Z --by hour"),
        (alarm("model", "critical", "provider", "fact"), "inv secret"),
        (alarm("version", "critical", "version", "fact"), "inv status"),
        (alarm("logs", "warning", "logs", "no_data"), "inv doctor"),
        (alarm("unchanged", function="chat"), "inv logs --function chat --since 2026-11-27T12:00Z --level error"),
    ],
)
def test_command_fits_alarm(given: Alarm, command: str) -> None:
    [[one]] = told([[given]])
    assert f"  {command}" in one.text.splitlines()
    assert ("inv rollback" in one.text) is False


def test_commands_name_environment() -> None:
    book = alerts.observe(AlertBook(), [alarm()], replace(AROUND, environment="staging"), START, HOUR)
    assert "inv rollback --env staging" in book.outbox[0].text and book.outbox[0].title.startswith("STAGING: ")


def test_lesser_of_same_cause_is_inhibited() -> None:
    """Not a message of its own while the greater one stands; it fires when that one is over and it still stands."""
    storm, trickle = alarm("no_503", "critical"), alarm("response_time", "warning")
    first, second, third, fourth = told([[trickle], [trickle, storm], [storm, trickle], [trickle]])
    assert [one.title for one in first] == ["PROD: response_time is bad"]
    assert [one.title for one in second] == ["PROD: no_503 is bad"]
    assert "Same cause: response_time" in second[0].text and "Resolved" not in second[0].text
    assert third == []
    assert [one.kind for one in fourth] == ["firing"]
    assert "Resolved: no_503 is bad" in fourth[0].text and "Warning: response_time is bad" in fourth[0].text


def test_other_cause_is_not_inhibited() -> None:
    [[one]] = told([[alarm("no_503"), alarm("spend", "warning", "spend", "threshold"), alarm("version", cause="")]])
    assert all(text in one.text for text in ("no_503 is bad", "spend is bad", "version is bad"))


def test_equals_do_not_flap() -> None:
    """Two alarms of one cause and one severity: the one that people know of stays, whatever their order."""
    a, b = alarm("success_rate"), alarm("no_503")
    assert [len(one) for one in told([[b], [a, b], [b, a], [a, b]])] == [1, 0, 0, 0]


def test_silent_while_nothing_changes() -> None:
    """Sent once, and again after the interval, as `still`; then after another one."""
    sent = told([[alarm()]] * 97, repeat=4 * HOUR)  # eight hours
    assert [(place, one.kind) for place, each in enumerate(sent) for one in each] == [
        (0, "firing"), (48, "repeat"), (96, "repeat"),
    ]  # fmt: skip
    assert sent[48][0].title == "PROD: still: success_rate is bad"


def test_resolved_is_sent_once() -> None:
    sent = told([[alarm()], [], [], [alarm()], []])
    assert [[one.kind for one in each] for each in sent] == [["firing"], ["resolved"], [], ["firing"], ["resolved"]]
    assert sent[1][0].title == "PROD: resolved: success_rate is bad" and sent[1][0].severity == "good"


def test_one_of_two_resolved() -> None:
    """The message says which one is over and which one stands."""
    spend = alarm("spend", "warning", "spend", "threshold")
    sent = told([[alarm(), spend], [spend]])
    assert [one.kind for one in sent[1]] == ["resolved"]
    assert "Resolved: success_rate is bad" in sent[1][0].text and "Warning: spend is bad" in sent[1][0].text


def test_graver_than_before_is_news() -> None:
    assert [len(one) for one in told([[alarm(severity="warning")], [alarm(severity="critical")], [alarm()]])] == [
        1,
        1,
        0,
    ]


def test_no_traffic_is_never_sent() -> None:
    assert told([[alarm("traffic", "warning", "traffic", "no_traffic")]]) == [[]]


def test_an_action_is_never_resolved() -> None:
    """What a watch did by itself, or why it did not, is news once; it cannot be over."""
    done = alarm("rollback", cause="rollback", kind="action", summary="rolled back automatically")
    assert [[one.kind for one in each] for each in told([[alarm(), done], [alarm()], []])] == [
        ["firing"],
        [],
        ["resolved"],
    ]


def test_end_is_announced_once() -> None:
    """Also when nothing ever happened: silence would look like health. What still stands is named."""
    book = alerts.end(AlertBook(), AROUND, minutes(0), "all 7 criteria pass", ["288 rounds", "5,760 answers"])
    assert [one.kind for one in book.outbox] == ["end"] and book.outbox[0].severity == "good"
    assert "The watch has ended: all 7 criteria pass" in book.outbox[0].text and "5,760 answers" in book.outbox[0].text
    assert alerts.end(book, AROUND, minutes(1), "again", []) == book
    standing = alerts.observe(AlertBook(), [alarm()], AROUND, START, HOUR)
    ended = alerts.end(standing, AROUND, minutes(5), "1 alarm stands", [], "critical")
    assert "Stood at the end: success_rate is bad" in ended.outbox[-1].text and len(ended.outbox) == 2


def test_takeover_says_may_be_repeat() -> None:
    """A kill between sending and storing: the next run sends the same message, under its id, as perhaps a repeat."""
    book = alerts.claim(alerts.observe(AlertBook(), [alarm()], AROUND, START, HOUR), "run-1")
    assert [(one.opened, one.repeat) for one in book.outbox] == [("run-1", False)]
    again = alerts.claim(book, "run-2")
    assert [(one.id, one.opened, one.repeat) for one in again.outbox] == [(book.outbox[0].id, "run-2", True)]


def test_known_failure_is_no_repeat() -> None:
    """A notifier that certainly did not take it: the next try is the first that anyone sees."""
    book = alerts.claim(alerts.observe(AlertBook(), [alarm()], AROUND, START, HOUR), "run-1")
    failed = alerts.tried(book, book.outbox[0], ["Slack 1"], unknown=False, error="error=503")
    assert [(one.repeat, one.tries, one.error) for one in alerts.claim(failed, "run-1").outbox] == [
        (False, 1, "error=503")
    ]
    unsure = alerts.tried(book, book.outbox[0], ["Slack 1"], unknown=True, error="no answer within 20s")
    assert alerts.claim(unsure, "run-1").outbox[0].repeat


def test_book_survives_json() -> None:
    book = alerts.claim(alerts.observe(AlertBook(), [alarm()], AROUND, START, HOUR), "run-1")
    book, _ = deliver(book, minutes(1))
    book = alerts.observe(book, [], AROUND, minutes(5), HOUR)
    assert msgspec.json.decode(msgspec.json.encode(book), type=AlertBook) == book


def test_dead_notifier_keeps_all() -> None:
    """A day of changes that nothing took: a bounded outbox that still names each of them."""
    book = AlertBook()
    for place in range(60):
        standing = [alarm(summary=f"storm {place}")] if place % 2 == 0 else []
        book = alerts.claim(alerts.observe(book, standing, AROUND, minutes(5 * place), HOUR), "run")
        for one in book.outbox:
            book = alerts.tried(book, one, ["Slack 1"], False, "error=503")
    assert len(book.outbox) == alerts.WAITING and book.number == 60
    everything = "\n".join(one.title + one.text for one in book.outbox)
    assert all(re.search(rf"storm {place}\b", everything) for place in range(0, 60, 2))


def test_no_repeat_while_one_waits() -> None:
    book = alerts.observe(AlertBook(), [alarm()], AROUND, START, HOUR)
    for place in range(1, 60):
        book = alerts.observe(book, [alarm()], AROUND, minutes(5 * place), HOUR)
    assert [one.kind for one in book.outbox] == ["firing"]


HOSTILE = (
    "\x1b[2J\x07 @everyone <!channel> <@U123> [click](http://evil.test) **bold** `code` ::error::x sk-or-v1-"
    + "c0ffee" * 8
)


@pytest.mark.parametrize("place", ["summary", "evidence", "live", "who", "function"])
def test_hostile_text_is_text(place: str) -> None:
    """Text of a log line controls nothing: no escape, no mention, no link, no markup, no secret."""
    register("s3cr3t-of-the-app")
    evil = f"{HOSTILE} s3cr3t-of-the-app\nsecond line"
    one = alarm()
    around = AROUND
    if place in ("live", "who"):
        around = replace(AROUND, live=evil) if place == "live" else replace(AROUND, who=evil)
    else:
        made = {"summary": replace(one, summary=evil), "function": replace(one, function=evil)}
        one = made.get(place) or replace(one, evidence=(evil,))
    sent = alerts.observe(AlertBook(), [one], around, START, HOUR).outbox[0]
    for form in (sent.title, sent.text, sent.markdown):
        assert "\x1b" not in form and "\x07" not in form
        assert "@everyone" not in form and "<!channel>" not in form and "<@U" not in form and "](http" not in form
        assert "c0ffee" not in form and "s3cr3t-of-the-app" not in form
        assert "\nsecond line" not in form and not re.search(r"^\s*::error", form, re.MULTILINE)
    outside = re.sub(r"`[^`\n]*`", "", sent.markdown).replace("**", "", sent.markdown.count("**Critical") * 2)
    assert "**bold**" not in outside and "`code`" not in sent.markdown


def test_long_message_keeps_commands() -> None:
    """A chat takes 2,000 characters: evidence goes first, what to type stays."""
    many = [replace(alarm(f"c{n}", cause=f"cause {n}"), evidence=("x" * 500,) * 9) for n in range(12)]
    one = alerts.observe(AlertBook(), many, AROUND, START, HOUR).outbox[0]
    assert max(len(one.text), len(one.markdown)) <= 1800 and len(one.title) <= 160
    assert "(and 11 more)" in one.title


NAMES = ("success_rate", "no_503", "spend", "price")
CAUSES = {"success_rate": "answers", "no_503": "answers", "spend": "spend", "price": "provider"}
SCENES = st.lists(
    st.tuples(
        st.sets(st.sampled_from(NAMES)),
        st.sampled_from(["ok", "refused", "hangs", "killed before", "killed after"]),
        st.booleans(),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(SCENES)
def test_none_is_lost(scenes: list[tuple[set[str], str, bool]]) -> None:
    """Whatever fails, hangs or is killed when: once the notifier works, people know every alarm and what became of it;
    what reached them twice has the same id and says that it may."""
    stored = AlertBook()
    inbox: list[tuple[str, bool]] = []
    texts: dict[str, str] = {}
    scenes = [*scenes, (scenes[-1][0], "ok", False)]
    visible: set[str] = set()
    for place, (names, fate, takeover) in enumerate(scenes):
        standing = [alarm(name, cause=CAUSES[name]) for name in sorted(names)]
        visible |= {one.criterion for one in alerts.inhibited(stored, standing)[0]}
        claimed = alerts.claim(
            alerts.observe(stored, standing, AROUND, minutes(5 * place), HOUR), f"run-{place if takeover else 0}"
        )
        stored = claimed
        if fate == "killed before":
            continue
        after = claimed
        for one in claimed.outbox:
            if fate in ("ok", "hangs", "killed after"):
                inbox.append((one.id, one.repeat))
                texts[one.id] = one.title + one.text
            after = (
                alerts.tried(after, one, ["x"], fate == "hangs", fate) if fate in ("refused", "hangs")
                else alerts.taken(after, one, minutes(5 * place))
            )  # fmt: skip
        stored = claimed if fate == "killed after" else after
    assert stored.outbox == ()
    assert all(any(f"{name} is bad" in text for text in texts.values()) for name in visible)
    seen: set[str] = set()
    for id_, repeat in inbox:
        assert repeat or id_ not in seen
        seen.add(id_)
    last = alerts.observe(stored, [], AROUND, minutes(5 * len(scenes)), HOUR)
    assert {one.key for one in stored.notified} == set() or last.outbox[0].kind == "resolved"
