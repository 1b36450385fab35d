"""One message's whole life, by its id."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
import trio

from actors.counted import ActorView, Phase
from actors.errors import Conflict, LedgerUnavailable, Missing, Unavailable
from actors.identity import Conversation
from actors.lookups import Span
from actors.messages import Message, Waiting
from daemon.ledger.rows import OwnMessageRow, Pause
from daemon.ledger.stored_turns import DeadLetterRow, StoredTurn
from daemon.mirror.arrivals import Arrival
from daemon.operate import message_life
from daemon.operate.explain import Explainer
from tests.support.operators import Operators

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
    """Memory, mirror and ledger, with what each knows of a message."""

    def __init__(self, started: bool = True) -> None:
        self.operators = Operators(started=started)
        self.mirror = self.operators.mirror
        self.turns: tuple[StoredTurn, ...] = ()
        self.ledger_is_away = False
        self.pause: Pause | None = None
        self.own: tuple[OwnMessageRow, ...] = ()
        around = self.operators
        self.explainer = Explainer(
            around.settings,
            around.health,
            cast(Any, around.actors),
            cast(Any, self),
            cast(Any, around.mirror),
            cast(Any, self),
            around.feed,
        )
        self.explain = self.explainer.explain

    def remembers(self, *views: ActorView) -> None:
        self.operators.actors.show(*views)

    # It stands in for the ledger's stored turns, and for the pauses.

    async def turns_of(self, message_id: str, instance: str | None) -> tuple[StoredTurn, ...]:
        await trio.lowlevel.checkpoint()
        if self.ledger_is_away:
            raise LedgerUnavailable("postgres_unreachable")
        return tuple(turn for turn in self.turns if instance in (None, turn.instance))

    async def own_messages(self, message_id: str, instance: str | None) -> tuple[OwnMessageRow, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(one for one in self.own if one.id == message_id and instance in (None, one.instance))

    def of(self, instance: str) -> Pause | None:
        return self.pause


async def test_a_message_in_memory_is_explained_by_the_state_of_its_actor() -> None:
    world = World()
    world.remembers(view(SHOP, "idle"), view(ACME, "waiting", "M0", "M1"))
    found = await world.explain("M1", None)
    assert (found.state, found.seconds_left, found.instance) == ("waiting", 4.0, "acme")
    world.pause = Pause("acme", NOON, None)
    found = await world.explain("M1", None)
    assert (found.state, found.seconds_left) == (
        "holding",
        None,
    ) and "majlis resume --instance acme" in found.why


async def test_a_waiting_replay_is_explained_with_its_original() -> None:
    world = World()
    letter = DeadLetterRow(3, "overloaded", "", NOON, NOON, None)
    world.turns = (stored_turns(state="dead", letter=letter),)
    world.remembers(view(ACME, "waiting", "dead-3-M1"))
    found = await world.explain("dead-3-M1", None)
    assert (found.message, found.state, found.letters) == ("M1", "waiting", [3])
    assert [step.what for step in found.steps] == ["arrived", "window closed", "dead letter", "retried"]


async def test_without_the_ledger_only_messages_in_memory_are_explained() -> None:
    """Operators ask most when Postgres is away. How messages that are not in memory ended, only the ledger knows."""
    world = World()
    world.ledger_is_away = True
    world.remembers(view(ACME, "holding", "M1"))
    assert (await world.explain("M1", None)).state == "holding"
    world.mirror.arrivals = [Arrival(ACME, 5, 1_767_268_800_000, message(ACME, "M0"))]
    with pytest.raises(LedgerUnavailable):
        await world.explain("M0", None)


async def test_the_message_of_a_retried_dead_letter_is_no_longer_dead() -> None:
    """Its replay waits outside this daemon's memory: at another daemon, or being frozen at this moment."""
    world = World()
    world.turns = (stored_turns(state="dead", letter=DeadLetterRow(3, "overloaded", "", NOON, NOON, None)),)
    found = await world.explain("M1", None)
    assert found.state == "elsewhere" and "dead retry" not in found.why


async def test_a_message_that_came_once_more_ended_as_it_did_the_first_time() -> None:
    """Also while its turn is unfinished, which no conversation may know of."""
    world = World()
    world.turns = (stored_turns(), stored_turns(state="suppressed"))
    assert (await world.explain("M1", None)).state == "answered"
    world.turns = (stored_turns(state="moved"), stored_turns(state="suppressed"))
    assert (await world.explain("M1", None)).state == "suppressed"
    world.turns = (stored_turns(state="answered"),)
    found = await world.explain("M1", None)
    assert (found.state, "has begun" in found.why) == ("elsewhere", True)


async def test_a_message_that_only_the_mirror_knows_is_found() -> None:
    world = World()
    world.mirror.arrivals = [Arrival(ACME, 5, 1_767_268_800_000, message(ACME, "M1"))]
    found = await world.explain("M1", None)
    assert found.state == "elsewhere" and found.steps[0].at == "2026-01-01T12:00:00.000Z"
    with pytest.raises(Missing, match=r"No message …34 is known"):
        world.mirror.arrivals = []
        await world.explain("5511900001234", None)
    with pytest.raises(Unavailable, match="not ready yet"):
        await World(started=False).explain("5511900001234", None)


async def test_an_id_of_two_instances_is_a_conflict_and_the_end_is_known_without_the_mirror() -> None:
    world = World()
    world.mirror.is_away = True
    world.turns = (stored_turns(ACME), stored_turns(SHOP))
    with pytest.raises(Conflict, match="Messages of acme and shop"):
        await world.explain("M1", None)
    assert (await world.explain("M1", "shop")).state == "answered"


def test_every_end_is_explained_in_a_sentence() -> None:
    dropped = DeadLetterRow(3, "overloaded", "", NOON, None, NOON)
    ends = {
        "suppressed": message_life.ended(stored_turns(state="suppressed")),
        "moved": message_life.ended(stored_turns(state="moved")),
        "dead": message_life.ended(
            stored_turns(state="dead", letter=DeadLetterRow(3, "x", "", NOON, None, None))
        ),
        "dropped": message_life.ended(stored_turns(state="dead", letter=dropped)),
    }
    assert {name: end.state if end else None for name, end in ends.items()} == {name: name for name in ends}
    assert message_life.ended(stored_turns(state="started")) is None
    for phase, state in (
        ("parked", "parked"),
        ("retrying", "retrying"),
        ("queued", "queued"),
        ("idle", "elsewhere"),
    ):
        assert message_life.waits(view(ACME, cast(Phase, phase)), True, "").state == state
    assert message_life.waits(view(ACME, "answering"), False, "").state == "queued"


async def test_what_was_found_in_the_gateways_records_says_so_and_why_it_was_not_answered() -> None:
    """I2: whatever became of the messages that it came with."""
    world = World()
    for swept, state, end, why in (
        ("missed", "done", "answered", "answered"),
        ("too_old", "done", "suppressed", "too old when it was found"),
        ("already_answered", "dead", "suppressed", "the business wrote in the chat after it"),
        ("too_old", "started", "elsewhere", "has begun"),
    ):
        turn = stored_turns(state=state)
        found = msgspec.structs.replace(turn.messages[0], swept=swept)
        world.turns = (msgspec.structs.replace(turn, messages=(found,)),)
        told = await world.explain("M1", None)
        assert (told.swept, told.state, why in told.why) == (swept, end, True)
        at = datetime.fromtimestamp(found.sent_at, UTC)
        assert [step.detail for step in told.steps if step.what == "found later"] == [
            f"{message_life.FOUND}; sent at {at:%Y-%m-%d %H:%M:%S} UTC"
        ]
    # Heard by a webhook first, found once more by a mirror that had lost it: it is what it was.
    world.turns = (stored_turns(),)
    world.mirror.arrivals = [Arrival(ACME, 5, 1_767_268_800_000, found)]
    told = await world.explain("M1", None)
    assert (told.swept, told.state) == ("", "answered")


async def test_what_majlis_said_itself_is_no_responders_answer() -> None:
    """I3: an escalated turn is done, and nobody answered the question yet."""
    world = World()
    world.turns = (msgspec.structs.replace(stored_turns(), rule="escalated"),)
    why = (await world.explain("M1", None)).why
    assert why.startswith("answered by rule escalated 0.0 s after its burst began: a person was asked for")


async def test_what_its_writer_did_to_a_message_is_said() -> None:
    """I2: whoever asks why nobody answered sees what was edited, deleted, or too old."""
    world = World()
    done, dead = (
        stored_turns(),
        stored_turns(state="dead", letter=DeadLetterRow(3, "too_old", "", NOON, None, None)),
    )
    said = done.messages[0]
    edit = msgspec.structs.replace(said, id="E", kind="edit", amends=said.id, text="", aside="edit")
    deletion = msgspec.structs.replace(edit, id="D", kind="deletion", aside="deletion")

    async def told(id: str, turn: StoredTurn, *messages: Message) -> tuple[str, str, set[str]]:
        world.turns = (msgspec.structs.replace(turn, messages=messages),)
        found = await world.explain(id, None)
        return found.state, found.why, {f"{step.what}: {step.detail}" for step in found.steps}

    state, _, steps = await told(said.id, done, said, edit)
    assert state == "answered" and "edited: by its writer, with message E" in steps
    state, why, steps = await told("E", done, said, edit)
    assert state == "suppressed" and "with its new text" in why and f"edit: edits message {said.id}" in steps
    deleted = msgspec.structs.replace(said, aside="deleted", text="")
    state, why, steps = await told(said.id, done, deleted, deletion)
    assert state == "suppressed" and "deleted it before" in why
    assert "deleted: by its writer, with message D" in steps
    old = msgspec.structs.replace(said, aside="backlog")
    assert (await told(said.id, done, old))[0] == "suppressed"
    state, why, steps = await told(said.id, dead, old)
    assert (state, "majlis dead retry 3" in why) == ("dead", True)
    assert any(step.startswith("old: it was older than ingress.max_age_seconds") for step in steps)
    album = msgspec.structs.replace(said, kind="album", album=said.id, album_size=8)
    assert "album: announces an album of 8" in (await told(said.id, done, album))[2]


def test_the_time_of_an_answer_does_not_include_providers_that_failed_before() -> None:
    waterfall = (
        Span("history", "lookups", 0, 3, "ok"),
        Span("first", "responder", 4, 9_000, "failed", "overloaded"),
        Span("main", "responder", 9_004, 1_200, "ok"),
    )
    turn = msgspec.structs.replace(stored_turns(), waterfall=waterfall, answered_at=NOON)
    steps = {step.what: step.detail for step in message_life.steps(None, (turn,), "M1", None)}
    assert (
        steps["reply stored"] == "by main in 1,200 ms, 1 tokens in, 2 out, after first: overloaded, 9,000 ms"
    )


@pytest.mark.parametrize(
    ("sender", "verdict", "why"),
    [
        ("person", "silence", "a person of the business wrote it: Majlis is silent from then on"),
        ("person", "greeting", "automatic: greeting within 3 s of the first message"),
        ("person", "announcement", "automatic: same text to 5 chats"),
        ("person", "listed", "automatic: one of takeover.automatic_texts"),
        ("program", "history", "sent by other software: told to the model"),
        ("agent", "silence", "an agent in Chatwoot wrote it: Majlis is silent from then on"),
        ("person", "resume", "command of staff: Majlis answers again"),
        ("person", "stale", "command of staff, older than what was done since: not obeyed"),
    ],
)
async def test_a_message_of_the_business_says_what_it_was_taken_for(
    sender: str, verdict: str, why: str
) -> None:
    world = World()
    world.own = (OwnMessageRow("G1", "acme", "5511900000001", sender, verdict, NOON, NOON, 5),)
    found = await world.explain("G1", None)
    assert (found.state, found.why, found.steps[-1].detail) == ("of_business", why, why)


async def test_two_instances_may_know_one_message_of_the_business() -> None:
    world = World()
    world.own = tuple(
        OwnMessageRow("G1", name, "5511900000001", "person", "silence", NOON, NOON)
        for name in ("acme", "shop")
    )
    with pytest.raises(Conflict, match="--instance acme"):
        await world.explain("G1", None)
    assert (await world.explain("G1", "shop")).instance == "shop"
