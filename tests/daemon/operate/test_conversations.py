"""What operators see and do, over a real ledger; the actors are a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from actors.actor import ActorView, Phase
from actors.errors import LedgerUnavailable, Unavailable
from actors.identity import Conversation
from actors.lookups import Span
from actors.messages import Answer
from actors.ports import Reply, Turn
from daemon.config import load
from daemon.controls.feature_flags import StoredFlags
from daemon.controls.pauses import PauseBoard
from daemon.controls.takeovers import Takeovers
from daemon.ingress.webhooks import IngressCounters
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.operate import Conflict, NotFound
from daemon.operate.control import DaemonControl
from daemon.operate.control_views import PAUSED
from daemon.operate.conversations import PAUSE_SECONDS, DaemonOperations
from daemon.operate.status import MAX_STRANGERS
from daemon.responders.breaker import ProviderView
from tests.daemon.operate.fake_library import FakeLibrary
from tests.support.ledgers import DEMO, LedgerWorld, batch, open_world

CONFIG = "instances: {demo: {takeover: {pause_seconds: 600}}, silent: {takeover: {pause_seconds: 0}}}"
ANSWER = Answer("hello", "main", "small", 800, 60, 412_000, True, ("name",), 0.75)
WATERFALL = (Span("history", "lookups", 1.0, 2.5, "ok"),)


class ListedActors:
    """The supervisor as operations see it."""

    def __init__(self) -> None:
        self.active: dict[Conversation, ActorView] = {}
        self.flushed: list[Conversation] = []

    def add(self, conversation: Conversation, phase: Phase, why: str = "") -> None:
        self.active[conversation] = ActorView(conversation, phase, (), None, 0, 0, None, why)

    def views(self) -> Sequence[ActorView]:
        return list(self.active.values())

    def view(self, conversation: Conversation) -> ActorView | None:
        return self.active.get(conversation)

    def phases(self) -> Counter[str]:
        return Counter(view.phase for view in self.views())

    def open_windows(self) -> int:
        return 0

    def flush(self, conversation: Conversation) -> bool:
        self.flushed.append(conversation)
        return True


class Nothing:
    """Owns no partition."""

    def fenced(self) -> dict[int, int]:
        return {}


class Desk:
    """The operations and what is around them."""

    def __init__(self, world: LedgerWorld, config: Path) -> None:
        settings = load(config, environment={})
        self.world = world
        self.feed = EventFeed(strict=True)
        self.feed.set_install_id("test install")
        self.actors = ListedActors()
        self.forgotten = 0
        self.board = StoredFlags(world.records, settings, "node-a", self.feed)
        self.pauses = PauseBoard(world.records, self.feed)
        self.stopped = trio.Event()
        pause_seconds = lambda name: settings.for_instance(name).takeover.pause_seconds  # noqa: E731
        nobody = cast(Any, None)
        health = self.health = Health(self.feed)
        health.report("redis", ("Redis cannot be reached.",))  # its part of the status is zeros then
        self.operations = DaemonOperations(
            settings=settings,
            node_id="node-a",
            health=health,
            supervisor=cast(Any, self.actors),
            ownership=cast(Any, Nothing()),
            survey=nobody,
            library=FakeLibrary(),
            insight=nobody,
            control=DaemonControl(
                settings=settings,
                records=world.records,
                supervisor=cast(Any, self.actors),
                pauses=self.pauses,
                feed=self.feed,
                stop=self.stopped.set,
            ),
            pauses=self.pauses,
            records=world.records,
            board=self.board,
            counters=IngressCounters(),
            append=nobody,
            pause=Takeovers(world.db, self.board, pause_seconds, self.feed).pause,
            forget=self._forget,
            label=self.feed.label,
            listen="127.0.0.1:0",
            feed=self.feed,
            providers=lambda: (ProviderView(name="main", state="closed", calls=3),),
            doctor=nobody,
            realtime=lambda: None,
        )

    def _forget(self) -> None:
        self.forgotten += 1


@pytest.fixture
async def desk(fresh_postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "own.yaml").write_text(CONFIG)
    async with open_world(fresh_postgres_dsn) as world:
        await world.records.register_instances(["silent"])
        desk = Desk(world, tmp_path / "own.yaml")
        desk.health.started()
        yield desk


async def answered(desk: Desk, escalation: str = "") -> Turn:
    turn = await desk.world.ledger.begin(batch("how much is it"), 1)
    return await desk.world.ledger.answer(
        turn, 1, Reply(ANSWER, ("hello",), escalation=escalation, spans=WATERFALL)
    )


async def test_a_turn_is_shown_with_what_it_took(desk: Desk) -> None:
    turn = await answered(desk)
    shown = await desk.operations.turn(turn.id)
    assert (shown.conversation, shown.contact) == (desk.feed.label(DEMO), DEMO.contact)
    assert (shown.turn.provider, shown.turn.cost, shown.turn.confidence) == ("main", 0.412, 0.75)
    assert shown.waterfall == list(WATERFALL)
    assert (shown.messages[0].text, shown.messages[0].sent_at) == (
        "how much is it",
        "1970-01-01T00:16:40.000Z",
    )
    with pytest.raises(NotFound):
        await desk.operations.turn(turn.id + 1)


async def test_a_pause_is_seen_and_ended_by_name_and_by_label(desk: Desk) -> None:
    paused = await desk.operations.pause(DEMO, None)
    label = desk.feed.label(DEMO)
    shown = await desk.operations.conversation(label)
    assert shown.state == "absent" and shown.taken_over is not None
    assert shown.taken_over.until == paused.until and paused.conversation == label
    (silent,) = await desk.operations.silent()
    assert (silent.conversation, silent.taken_over) == (label, shown.taken_over)
    seconds = await desk.world.db.value(
        "SELECT extract(epoch FROM until - started_at)::int FROM majlis_takeovers"
    )
    assert seconds == 600, "as long as the instance's settings say"
    resumed = await desk.operations.resume(label)
    assert (resumed.escalated, resumed.taken_over, resumed.state) == (False, True, "")
    assert desk.feed.reasons("conversation.handed_back") == {}
    assert desk.feed.counters["conversation.handed_back"] == 1
    with pytest.raises(Conflict, match="nothing to resume"):
        await desk.operations.resume(DEMO)


async def test_a_pause_lasts_as_long_as_was_asked(desk: Desk) -> None:
    await desk.operations.pause(DEMO, 5_000)
    assert await desk.world.db.value("SELECT until > now() + interval '4900 s' FROM majlis_takeovers")


async def test_a_pause_that_is_shorter_than_the_standing_one_says_so(desk: Desk) -> None:
    """In a conversation the longer one stays; that of an instance is replaced, and what stood is told."""
    first = await desk.operations.pause(DEMO, 5_000)
    shorter = await desk.operations.pause(DEMO, 60)
    assert (first.stood, shorter.stood, shorter.until) == (False, True, first.until)
    assert (await desk.operations.pause(DEMO, 6_000)).stood is False
    control = desk.operations.control
    endless = await control.pause("demo", None)
    assert (endless.until, endless.stood_until) == ("", None)
    assert (timed := await control.pause("demo", 60)).stood_until == ""
    assert (await control.pause("demo", 30)).stood_until == timed.until
    assert (await control.pause(None, 30)).stood_until is None
    assert [pause.stood_until for pause in (await desk.operations.status()).pauses] == [None, None]


async def test_where_nobody_heeds_a_silence_the_listing_says_so(desk: Desk) -> None:
    """With its switch off, Majlis answers all the same."""
    await answered(desk, escalation="asks_for_human")
    await desk.operations.pause(DEMO, 60)
    for flag in ("takeover", "escalation"):
        await desk.operations.set_flag(flag, False, "demo")
    [listed] = await desk.operations.silent()
    assert listed.taken_over and not listed.taken_over.heeded
    assert listed.escalated and not listed.escalated.heeded
    await desk.operations.set_flag("takeover", True, "demo")
    shown = await desk.operations.conversation(DEMO)
    assert shown.taken_over and shown.taken_over.heeded
    assert shown.escalated and not shown.escalated.heeded


async def test_a_pause_that_nobody_would_heed_is_refused(desk: Desk) -> None:
    """The switch is off where `takeover.pause_seconds` is 0; with it on, a pause lasts four hours."""
    silent = Conversation("silent", DEMO.contact)
    with pytest.raises(Conflict, match="majlis flags set takeover on --instance silent"):
        await desk.operations.pause(silent, None)
    await desk.operations.set_flag("takeover", True, "silent")
    await desk.operations.pause(silent, None)
    left = await desk.world.db.value("SELECT extract(epoch FROM until - now())::int FROM majlis_takeovers")
    assert PAUSE_SECONDS - 60 < left <= PAUSE_SECONDS
    with pytest.raises(NotFound):
        await desk.operations.pause(Conversation("nobody", DEMO.contact), 60)


async def test_an_escalation_is_seen_and_ended(desk: Desk) -> None:
    await answered(desk, escalation="asks_for_human")
    shown = await desk.operations.conversation(DEMO)
    assert shown.escalated is not None and shown.escalated.why == "asks_for_human"
    assert (await desk.operations.resume(DEMO)).escalated
    assert (await desk.operations.conversation(DEMO)).escalated is None


@pytest.mark.parametrize("phase", ["parked", "holding"])
async def test_resume_wakes_what_rests(desk: Desk, phase: Phase) -> None:
    desk.actors.add(DEMO, phase)
    assert (await desk.operations.resume(DEMO)).state == phase
    assert desk.actors.flushed == [DEMO]
    assert desk.feed.counters["conversation.handed_back"] == 0


async def test_a_flush_of_an_instance_wakes_what_rests_there_alone(desk: Desk) -> None:
    resting = [Conversation("demo", f"55119999900{place:02}") for place in range(4)]
    for conversation, phase in zip(resting, ("holding", "parked", "idle", "answering"), strict=True):
        desk.actors.add(conversation, cast(Phase, phase))
    desk.actors.add(Conversation("silent", "5511999990099"), "retrying")
    flushed = await desk.operations.control.flush("demo")
    assert (flushed.instance, flushed.conversations, flushed.messages) == ("demo", 2, 0)
    assert desk.actors.flushed == resting[:2]
    assert (await desk.operations.control.flush(None)).conversations == 3
    with pytest.raises(NotFound, match="no instance called nobody"):
        await desk.operations.control.flush("nobody")


async def test_resume_of_a_conversation_ends_no_pause_of_its_instance(desk: Desk) -> None:
    """It would be told that it goes on, and it does not."""
    desk.actors.add(DEMO, "holding", PAUSED)
    await desk.operations.control.pause("demo", None)
    with pytest.raises(Conflict, match="`majlis resume --instance demo`"):
        await desk.operations.resume(DEMO)
    await desk.operations.control.resume("demo")
    await desk.operations.control.pause(None, None)
    with pytest.raises(Conflict, match="`majlis resume --all`"):
        await desk.operations.resume(DEMO)
    assert desk.actors.flushed == []


@pytest.mark.parametrize("phase", ["waiting", "answering", "idle"])
async def test_resume_hurries_nobody(desk: Desk, phase: Phase) -> None:
    desk.actors.add(DEMO, phase)
    with pytest.raises(Conflict):
        await desk.operations.resume(DEMO)
    await desk.operations.pause(DEMO, 60)
    assert (await desk.operations.resume(DEMO)).state == ""
    assert desk.actors.flushed == []


async def test_a_flag_is_set_for_instances_that_exist(desk: Desk) -> None:
    with pytest.raises(NotFound, match="no instance called acm"):
        await desk.operations.set_flag("cache", False, "acm")
    await desk.operations.set_flag("cache", False, "demo")
    assert not desk.board.of("demo").cache
    with pytest.raises(Conflict, match="cache is not set for this daemon"):
        await desk.operations.clear_flag("cache", None)
    await desk.operations.clear_flag("cache", "demo")
    assert desk.board.of("demo").cache


async def test_reload_forgets_and_reads_anew(desk: Desk) -> None:
    await desk.world.db.fetch("INSERT INTO majlis_flags VALUES ('instance:demo', 'parallel', false)")
    assert desk.board.of("demo").parallel
    assert (await desk.operations.reload()).flags == 1
    assert not desk.board.of("demo").parallel and desk.forgotten == 1
    assert desk.feed.counters["settings.reloaded"] == 1


async def test_cost_is_summed_up(desk: Desk) -> None:
    await answered(desk)
    await desk.world.db.fetch(
        "INSERT INTO majlis_usage (instance, day, answers, cost_micros)"
        " VALUES ('shop', (now() AT TIME ZONE 'UTC')::date, 2, 88000)"
    )
    report = await desk.operations.cost(None, 7)
    assert (report.answers, report.cost, report.input_tokens) == (3, 0.5, 800)
    assert [(row.instance, row.cost) for row in report.rows] == [("demo", 0.412), ("shop", 0.088)]
    assert (await desk.operations.cost("shop", 7)).cost == 0.088


async def test_the_status_tells_what_needs_attention(desk: Desk) -> None:
    await answered(desk, escalation="asks_for_human")
    await desk.operations.pause(DEMO, 60)
    for rule in ("duplicate", "duplicate", "escalated"):
        desk.feed.emit("turn.suppressed", DEMO, rule=rule)
    desk.feed.emit("turn.answered", DEMO, provider="cache")
    desk.feed.emit("turn.answered", DEMO, provider="main")
    desk.feed.emit("limit.reached", DEMO, reason="cost_per_day", policy="fallback")
    status = await desk.operations.status()
    assert (status.taken_over, status.escalated, status.notices_waiting) == (1, 1, 0)
    assert status.suppressed_by_rule == {"duplicate": 2, "escalated": 1}
    assert status.cache_hits == 1 and status.limits_reached == {"cost_per_day": 1}
    assert [(one.name, one.state, one.calls) for one in status.providers] == [("main", "closed", 3)]


async def test_the_status_is_readable_without_postgres(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(hand_back_seconds: float) -> object:
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("postgres_unreachable")

    await desk.operations.pause(DEMO, 60)
    monkeypatch.setattr(desk.world.records, "attention", away)
    assert (await desk.operations.status()).taken_over == 0


async def test_the_status_names_instances_that_nobody_knows(desk: Desk) -> None:
    """Anybody may write a name into a webhook's path: only so many are told apart."""
    for name in ("ghost", "ghost", *(f"typo-{number}" for number in range(MAX_STRANGERS + 5))):
        stranger = Conversation(name, DEMO.contact)
        desk.feed.emit("turn.suppressed", stranger, turn=1, rule="unknown_instance")
    desk.feed.emit("turn.suppressed", DEMO, turn=1, rule="duplicate")
    found = (await desk.operations.status()).unknown_instances
    assert (found["ghost"], found["typo-0"], found["(others)"]) == (2, 1, 6)
    assert len(found) == MAX_STRANGERS + 1 and "demo" not in found


async def test_what_is_not_there_yet_is_not_said_to_be_unknown(desk: Desk, tmp_path: Path) -> None:
    """Before the end of the start, memory is empty and labels are not made: nobody can say what there is not."""
    desk = Desk(desk.world, tmp_path / "own.yaml")
    for look in (desk.operations.conversation, desk.operations.flush, desk.operations.resume):
        for ref in (DEMO, "0123456789"):
            with pytest.raises(Unavailable, match="not ready yet"):
                await look(ref)
    desk.health.started()
    with pytest.raises(NotFound, match="Nothing is known of"):
        await desk.operations.conversation(DEMO)
    with pytest.raises(NotFound, match="No active conversation is labelled"):
        await desk.operations.conversation("0123456789")


async def test_a_postgres_that_is_known_to_hang_is_not_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take its time-outs, and the status is wanted just then."""
    asked: list[float] = []

    async def hangs(hand_back_seconds: float) -> object:
        asked.append(hand_back_seconds)
        await trio.sleep_forever()

    monkeypatch.setattr(desk.world.records, "attention", hangs)
    desk.health.report("postgres", ("Postgres cannot be used now.",))
    with trio.fail_after(20):
        assert (await desk.operations.status()).stores["postgres"] == "Postgres cannot be used now."
    assert asked == []
