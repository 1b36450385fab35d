"""What operators see of the inside: one message's life, the page of `majlis top`, the tasks, the settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing

from actors.actor import ActorView, Phase
from actors.errors import LedgerUnavailable, MirrorUnavailable, Unavailable
from actors.fairness import FairSlots
from actors.identity import Conversation
from actors.lookup import Span
from actors.messages import Message, Waiting
from daemon.config import Settings, load
from daemon.config.in_force import in_force
from daemon.ledger.rows import Pause
from daemon.ledger.stored_turns import DeadLetterRow, StoredTurn
from daemon.mirror.arrivals import Arrival
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.readiness import Health
from daemon.operate import Conflict, NotFound, shown
from daemon.operate import explain as story
from daemon.operate import task_tree as tasks
from daemon.operate.control_views import PAUSED
from daemon.operate.inspect import DaemonInsight
from daemon.operate.inspect_views import TaskView

ACME = Conversation("acme", "5511900000001")
SHOP = Conversation("shop", "5511900000002")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def message(conversation: Conversation, name: str) -> Message:
    return Message(conversation.instance, conversation.contact, name, "hello", 1_000)


def view(
    conversation: Conversation = ACME, phase: Phase = "waiting", *names: str, left: float | None = 4.0
) -> ActorView:
    waiting = tuple(Waiting(seq, seq, message(conversation, name)) for seq, name in enumerate(names, 1))
    return ActorView(conversation, phase, waiting, None, 0, 0, left, "window open")


def stored_turns(
    conversation: Conversation = ACME, state: str = "done", letter: DeadLetterRow | None = None
) -> StoredTurn:
    return StoredTurn(
        id=7, conversation_key=conversation.key, instance=conversation.instance, batch_number=1, why="timeout",
        state=state, rule="duplicate" if state == "suppressed" else "", failed_attempts=0, moved_to="",
        messages=(message(conversation, "M1"),), message_ids=("M1",), provider="main", model=None, input_tokens=1,
        output_tokens=2, cost_micros=0, confidence=None, waterfall=(), opened_at=NOON, created_at=NOON,
        answered_at=None, finished_at=NOON, parts=(), dead_letter=letter,
    )  # fmt: skip


class World:
    """A daemon's inside, with what its stores would say."""

    def __init__(self, started: bool = True) -> None:
        self.views: list[ActorView] = []
        self.turns: tuple[StoredTurn, ...] = ()
        self.arrivals: list[Arrival] = []
        self.mirror_is_away = False
        self.ledger_is_away = False
        self.pause: Pause | None = None
        self.feed = EventFeed(strict=True)
        self.feed.set_install_id("test install")
        self.health = Health(self.feed)
        if started:
            self.health.started()
        world = self

        class Actors:
            def views(self) -> list[ActorView]:
                return world.views

            def view(self, conversation: Conversation) -> ActorView | None:
                return next((one for one in world.views if one.conversation == conversation), None)

            def phases(self) -> Counter[str]:
                return Counter(one.phase for one in world.views)

        class Turns:
            async def turns_of(self, message_id: str, instance: str | None) -> tuple[StoredTurn, ...]:
                await trio.lowlevel.checkpoint()
                if world.ledger_is_away:
                    raise LedgerUnavailable("postgres_unreachable")
                return tuple(turn for turn in world.turns if instance in (None, turn.instance))

        class Mirror:
            async def find(self, message_id: str, instance: str | None) -> list[Arrival]:
                await trio.lowlevel.checkpoint()
                return world.arrivals

            async def arrival(self, conversation: Conversation, message_id: str) -> Arrival | None:
                await trio.lowlevel.checkpoint()
                if world.mirror_is_away:
                    raise MirrorUnavailable("away")
                return None

        class Pauses:
            def of(self, instance: str) -> Pause | None:
                return world.pause

            def standing(self) -> tuple[Pause, ...]:
                return (world.pause,) if world.pause else ()

        self.insight = DaemonInsight(
            settings=Settings(),
            node_id="node-a",
            health=self.health,
            supervisor=cast(Any, Actors()),
            slots=FairSlots(50),
            fenced=dict,
            stored_turns=cast(Any, Turns()),
            arrivals=cast(Any, Mirror()),
            pauses=cast(Any, Pauses()),
            latencies=Latencies(self.feed),
            feed=self.feed,
            providers=list,
            alerts=list,
        )


async def test_a_message_in_memory_waits_for_what_its_actor_waits_for() -> None:
    world = World()
    world.views = [view(SHOP, "idle"), view(ACME, "waiting", "M0", "M1")]
    found = await world.insight.explain("M1", None)
    assert (found.state, found.seconds_left, found.instance) == ("waiting", 4.0, "acme")
    world.pause = Pause("acme", NOON, None)
    found = await world.insight.explain("M1", None)
    assert (found.state, found.seconds_left) == (
        "holding",
        None,
    ) and "majlis resume --instance acme" in found.why


async def test_a_replay_that_waits_is_told_with_its_original() -> None:
    world = World()
    letter = DeadLetterRow(3, "overloaded", "", NOON, NOON, None)
    world.turns = (stored_turns(state="dead", letter=letter),)
    world.views = [view(ACME, "waiting", "dead-3-M1")]
    found = await world.insight.explain("dead-3-M1", None)
    assert (found.message, found.state, found.letters) == ("M1", "waiting", [3])
    assert [step.what for step in found.steps] == ["arrived", "window closed", "dead letter", "put back"]


async def test_without_the_ledger_what_waits_is_explained_and_nothing_is_guessed() -> None:
    """Just when Postgres is away somebody asks why. Of what waits in no memory, only the ledger knows the end."""
    world = World()
    world.ledger_is_away = True
    world.views = [view(ACME, "holding", "M1")]
    assert (await world.insight.explain("M1", None)).state == "holding"
    world.arrivals = [Arrival(ACME, 5, 1_767_268_800_000, message(ACME, "M0"))]
    with pytest.raises(LedgerUnavailable):
        await world.insight.explain("M0", None)


async def test_a_letter_that_was_put_back_is_given_up_no_more() -> None:
    """Its replay waits where no memory here shows it, at another daemon or frozen this moment."""
    world = World()
    world.turns = (stored_turns(state="dead", letter=DeadLetterRow(3, "overloaded", "", NOON, NOON, None)),)
    found = await world.insight.explain("M1", None)
    assert found.state == "elsewhere" and "dead retry" not in found.why


async def test_what_only_the_mirror_knows_is_found_there() -> None:
    world = World()
    world.arrivals = [Arrival(ACME, 5, 1_767_268_800_000, message(ACME, "M1"))]
    found = await world.insight.explain("M1", None)
    assert found.state == "elsewhere" and found.steps[0].at == "2026-01-01T12:00:00.000Z"
    with pytest.raises(NotFound, match=r"No message …34 is known"):
        world.arrivals = []
        await world.insight.explain("5511900001234", None)
    with pytest.raises(Unavailable, match="not ready yet"):
        await World(started=False).insight.explain("5511900001234", None)


async def test_one_id_of_two_instances_must_be_told_apart_and_a_mirror_away_hides_no_end() -> None:
    world = World()
    world.mirror_is_away = True
    world.turns = (stored_turns(ACME), stored_turns(SHOP))
    with pytest.raises(Conflict, match="Messages of acme and shop"):
        await world.insight.explain("M1", None)
    assert (await world.insight.explain("M1", "shop")).state == "answered"


def test_every_end_is_told_in_a_sentence() -> None:
    dropped = DeadLetterRow(3, "overloaded", "", NOON, None, NOON)
    ends = {
        "suppressed": story.ended(stored_turns(state="suppressed")),
        "moved": story.ended(stored_turns(state="moved")),
        "dead": story.ended(stored_turns(state="dead", letter=DeadLetterRow(3, "x", "", NOON, None, None))),
        "dropped": story.ended(stored_turns(state="dead", letter=dropped)),
    }
    assert {name: end.state if end else None for name, end in ends.items()} == {name: name for name in ends}
    assert story.ended(stored_turns(state="started")) is None
    for phase, state in (
        ("parked", "parked"),
        ("retrying", "retrying"),
        ("queued", "queued"),
        ("idle", "elsewhere"),
    ):
        assert story.waits(view(ACME, cast(Phase, phase)), True, "").state == state
    assert story.waits(view(ACME, "answering"), False, "").state == "queued"


def test_an_answer_is_not_charged_with_the_time_of_who_failed_before() -> None:
    waterfall = (
        Span("history", "lookups", 0, 3, "ok"),
        Span("first", "responder", 4, 9_000, "failed", "overloaded"),
        Span("main", "responder", 9_004, 1_200, "ok"),
    )
    turn = msgspec.structs.replace(stored_turns(), waterfall=waterfall, answered_at=NOON)
    steps = {step.what: step.detail for step in story.steps("M1", None, (turn,))}
    assert (
        steps["reply stored"] == "by main in 1,200 ms, 1 tokens in, 2 out, after first: overloaded, 9,000 ms"
    )


async def test_top_shows_one_page_of_ten_thousand() -> None:
    """Sorted by the daemon; what is idle is not shown; labels are made for the page alone."""
    world = World()
    world.views = [
        view(Conversation("acme", str(place)), "idle" if place % 2 else "waiting", "M", left=float(place))
        for place in range(10_000)
    ]
    world.views[9_998] = view(SHOP, "parked", left=None)
    page = await world.insight.top("urgency", None, 0, 20)
    assert (page.active, page.matching, len(page.rows)) == (10_000, 5_000, 20)
    assert [row.state for row in page.rows[:2]] == ["parked", "waiting"] and page.rows[
        1
    ].closes_in_seconds == 0
    second = await world.insight.top("left", "acme", 20, 20)
    assert [row.closes_in_seconds for row in second.rows] == [float(place) for place in range(40, 80, 2)]
    assert second.rows[0].window_seconds == 8.0 and page.phases["idle"] == 5_000


async def test_latencies_are_those_of_late() -> None:
    world = World()
    for took_ms in range(1, 2_001):
        world.feed.emit("turn.done", ACME, took_ms=took_ms)
    (turn,) = (await world.insight.top("urgency", None, 0, 1)).latencies
    assert (turn.what, turn.count, turn.p50_ms, turn.max_ms) == ("turn", 500, 1_751.0, 2_000.0)


def test_the_end_of_a_pause_is_no_time_that_is_left() -> None:
    held = ActorView(ACME, "holding", (), None, 0, 0, 3_600.0, PAUSED)
    assert shown.actor_view(held, "label").closes_in_seconds is None


async def test_the_tree_names_tasks_and_places_and_no_contact() -> None:
    async def wait() -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for place in range(30):
            nursery.start_soon(wait, name=f"conversation/{Conversation('acme', f'55119{place:08}').key}")
        nursery.start_soon(wait, name="due poll")
        await trio.testing.wait_all_tasks_blocked()
        page = tasks.tree(lambda conversation: conversation.contact[-2:], limit=5)
        nursery.cancel_scope.cancel()
    flat = _flat(page.tree)
    named = [name for name in flat if name.startswith("conversation/")]
    assert len(named) == 5 and page.tasks > 31 and not any("5511" in name for name in flat)
    assert "due poll" in flat and flat["due poll"].startswith("tests/daemon/operate/test_inspect.py:")


def _flat(task: TaskView) -> Mapping[str, str]:
    found = {task.task: task.at}
    for child in task.children:
        found |= _flat(child)
    return found


def test_every_value_in_force_has_its_origin_and_no_secret_is_told(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "redis: {url: 'redis://:very-secret@host/0'}\n"
        "responder: {providers: [{name: a, kind: openai, base_url: 'http://x', model: m, api_key: very-secret}]}\n"
        "instances: {acme: {batching: {window_seconds: 2}}}\n"
    )
    settings = load(
        file,
        ["turn.max_tries=5"],
        {"MAJLIS_DRAIN_SECONDS": "7", "MAJLIS_RESPONDER__PROVIDERS__0__MODEL": "large"},
    )
    rows = {row.key: row for row in in_force(settings)}
    assert not any("very-secret" in row.value for row in rows.values())
    assert {key: (rows[key].value, rows[key].origin) for key in rows if rows[key].origin != "default"} == {
        "redis.url": ("****", str(file)),
        "turn.max_tries": ("5", "--set"),
        "drain_seconds": ("7.0", "environment MAJLIS_DRAIN_SECONDS"),
        "responder.providers.0.name": ("a", str(file)),
        "responder.providers.0.kind": ("openai", str(file)),
        "responder.providers.0.base_url": ("http://x", str(file)),
        "responder.providers.0.api_key": ("****", str(file)),
        "responder.providers.0.model": ("large", "environment MAJLIS_RESPONDER__PROVIDERS__0__MODEL"),
        "instances.acme.batching.window_seconds": ("2.0", str(file)),
    }
    assert rows["postgres.dsn"].value == "embedded"
    assert settings == load(
        file, ["turn.max_tries=5", "drain_seconds=7", "responder.providers.0.model=large"], {}
    )
