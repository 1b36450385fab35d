"""The feed: one emit becomes a log line, a count and a tail event, and never disturbs the emitter."""

from __future__ import annotations

import ast
import io
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog
import trio

from actors.identity import Conversation
from actors.ports import Feed
from daemon.observe import logs
from daemon.observe.events import EVENTS
from daemon.observe.feed import MAX_REASONS, EventFeed, Wanted

ROOT = Path(__file__).parents[3]
WHO = Conversation("acme", "5511999990012")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    writer = logs.configure("debug", "json", stream)
    yield stream
    writer.close()
    structlog.reset_defaults()


def made_feed(kept_events: int = 0) -> EventFeed:
    feed = EventFeed(strict=True, kept_events=kept_events)
    feed.set_install_id("test install")
    return feed


@pytest.fixture
def feed() -> EventFeed:
    return made_feed()


def lines(stream: io.StringIO, count: int) -> list[dict[str, object]]:
    """The first `count` lines, once the writer thread has written them."""
    for _ in range(1000):
        found = stream.getvalue().splitlines()
        if len(found) >= count:
            return [json.loads(line) for line in found[:count]]
        time.sleep(0.01)
    raise AssertionError(f"only {stream.getvalue()!r} was written")


def _emitted(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("emit", "_emit")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def _sources() -> list[Path]:
    return [path for folder in ("actors", "daemon") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_what_strangers_cause_at_will_has_one_line_a_minute_for_each_reason(log: io.StringIO) -> None:
    """I8: counted, and seen by tails, every time; the next line says how many were left out."""
    now = [1000.0]
    feed = EventFeed(strict=True, now=lambda: now[0])
    tail = feed.tail()
    for at, reason in ((0, "a"), (1, "a"), (2, "b"), (59, "a"), (60, "a"), (61, "a"), (300, "a"), (301, "b")):
        now[0] = 1000.0 + at
        feed.emit("webhook.refused", reason=reason, instance="shop")
    feed.emit("daemon.stopped")
    shown = [(line.get("reason"), line.get("left_out")) for line in lines(log, 6)]
    assert shown == [("a", None), ("b", None), ("a", 2), ("a", 1), ("b", None), (None, None)]
    assert feed.reasons("webhook.refused") == {"a": 6, "b": 2}
    assert feed.seq == 9 and not tail.closed


def test_every_event_that_the_code_emits_is_in_the_catalogue() -> None:
    unknown = {(path.name, name) for path in _sources() for name in _emitted(path) if name not in EVENTS}
    assert unknown == set()


def test_the_catalogue_lists_no_event_that_is_never_emitted() -> None:
    """Its name stands somewhere in the code, if only in a condition beside the emit."""
    written = {
        node.value
        for path in _sources()
        if path.name != "events.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    }
    assert [name for name in EVENTS if name not in written] == []


def test_the_catalogue_says_what_each_event_means() -> None:
    for name, event in EVENTS.items():
        assert name.count(".") == 1 and event.meaning and event.level in logs.LEVELS


async def test_an_emit_becomes_a_line_a_count_and_a_tail_event(feed: EventFeed, log: io.StringIO) -> None:
    as_port: Feed = feed
    tail = feed.tail()
    as_port.emit("turn.done", WHO, batch=2)
    label = WHO.label("test install")
    (line,) = lines(log, 1)
    expected = {"event": "turn.done", "level": "info", "conversation": label, "instance": "acme", "batch": 2}
    assert expected.items() <= line.items()
    assert expected.items() <= (await tail.receive()).items()
    assert feed.counters == {"turn.done": 1}
    tail.close()


async def test_no_phone_number_or_text_leaves_in_any_form(feed: EventFeed, log: io.StringIO) -> None:
    """I11."""
    tail = feed.tail()
    feed.emit("turn.dead", WHO, detail=f"no account for {WHO.contact}", text="canary", to=WHO)
    shown = f"{lines(log, 1)} {await tail.receive()} {feed.counters}"
    assert WHO.contact not in shown and "canary" not in shown


async def test_a_value_cannot_forge_an_event_in_a_tail(feed: EventFeed, log: io.StringIO) -> None:
    tail = feed.tail()
    feed.emit("message.ignored", Conversation("a\n00:00 forged\x1b[2J", "1"), kind="b\nc")
    event = await tail.receive()
    assert (event["instance"], event["kind"]) == ("a⏎00:00 forged[2J", "b⏎c")


def test_before_the_install_is_known_every_label_is_a_dash() -> None:
    assert EventFeed().label(WHO) == "-"


def test_an_unknown_event_is_refused_in_tests_and_a_warning_in_production(
    feed: EventFeed, log: io.StringIO
) -> None:
    with pytest.raises(ValueError, match=r"turn\.forgotten"):
        feed.emit("turn.forgotten")
    EventFeed().emit("turn.forgotten", WHO)
    (line,) = lines(log, 1)
    assert line["level"] == "warning" and line["unknown_event"] is True


def test_reasons_are_counted_apart_and_their_number_is_bounded(feed: EventFeed, log: io.StringIO) -> None:
    for index in range(MAX_REASONS + 10):
        feed.emit("message.ignored", reason=f"reason-{index}")
    feed.emit("message.ignored", reason="reason-0")
    reasons = feed.reasons("message.ignored")
    assert reasons["reason-0"] == 2 and reasons["other"] == 10
    assert len(reasons) == MAX_REASONS + 1
    assert feed.reasons("message.refused") == {}


async def test_a_slow_tail_is_dropped_with_a_last_event_and_the_others_go_on(
    feed: EventFeed, log: io.StringIO
) -> None:
    """I8: a full queue has a named policy."""
    slow, quick = feed.tail(max_events=2), feed.tail(max_events=10)
    for _ in range(5):
        feed.emit("turn.done", WHO)
    seen = [event["event"] async for event in slow]
    assert seen == ["turn.done", "turn.done", "tail.dropped"]
    assert [(await quick.receive())["event"] for _ in range(5)] == ["turn.done"] * 5


async def test_a_closed_tail_gets_nothing_and_disturbs_no_other(feed: EventFeed, log: io.StringIO) -> None:
    tail = feed.tail()
    await tail.aclose()
    feed.emit("turn.done", WHO)
    with pytest.raises(trio.ClosedResourceError):
        await tail.receive()


def test_every_event_is_numbered_with_or_without_a_tail(log: io.StringIO) -> None:
    feed, other = EventFeed(), EventFeed()
    feed.emit("turn.done", WHO)
    feed.emit("message.accepted", WHO)
    assert (feed.seq, other.seq) == (2, 0)
    assert feed.boot != other.boot


async def test_a_tail_may_begin_with_kept_events(log: io.StringIO) -> None:
    feed = made_feed(kept_events=3)
    for batch in range(5):
        feed.emit("turn.done", WHO, batch=batch)
    with closing(feed.tail(after=3)) as tail, closing(feed.tail()) as later:
        feed.emit("turn.done", WHO, batch=5)
        seen = [await tail.receive() for _ in range(3)]
        assert [(event["seq"], event["batch"]) for event in seen] == [(4, 3), (5, 4), (6, 5)]
        assert (await later.receive())["seq"] == 6


def test_a_gap_is_known_even_if_no_event_is_kept(feed: EventFeed, log: io.StringIO) -> None:
    feed.emit("turn.done")
    assert feed.gap(feed.boot, 1) is None and feed.gap(feed.boot, 0) == "too_old"


def test_a_gap_in_the_kept_events_is_known(log: io.StringIO) -> None:
    feed = made_feed(kept_events=3)
    for _ in range(10):
        feed.emit("turn.done")  # the numbers 1 to 10; 8, 9 and 10 are kept
    assert [feed.gap(feed.boot, after) for after in (6, 7, 10, 11)] == ["too_old", None, None, "restarted"]
    assert feed.gap("an earlier life", 10) == "restarted"


async def test_a_tail_gets_only_what_it_wants_and_the_rest_does_not_fill_it(
    feed: EventFeed, log: io.StringIO
) -> None:
    other = Conversation("other", WHO.contact)
    wanted = Wanted(
        instances=frozenset({"acme"}), conversations=frozenset({feed.label(WHO)}), kinds=frozenset({"turn"})
    )
    with closing(feed.tail(max_events=1, wanted=wanted)) as tail:
        for _ in range(3):
            feed.emit("turn.done", other)
            feed.emit("part.sent", WHO)
            feed.emit("turn.done", Conversation("acme", "another"))
            feed.emit("turn.done")
        feed.emit("turn.done", WHO, batch=1)
        assert (await tail.receive())["batch"] == 1


async def test_an_exception_is_not_kept(log: io.StringIO) -> None:
    """I11: its message may quote a text, and its frames hold any value."""
    feed = made_feed(kept_events=10)
    feed.emit("daemon.crashed", exc_info=ValueError("canary"))
    with closing(feed.tail(after=0)) as tail:
        assert (await tail.receive())["exc_info"] == "ValueError"
