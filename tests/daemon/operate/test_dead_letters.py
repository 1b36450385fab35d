"""Dead letters put back and dropped, by several operators at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
import trio

from actors.errors import ConversationFull, MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Message, Receipt
from daemon.ledger.rows import DeadLetter
from daemon.observe.feed import EventFeed
from daemon.operate import Conflict
from daemon.operate.dead_letters import DeadLetters

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Kept:
    """What the ledger keeps of letters, in memory."""

    def __init__(self, *contacts: str) -> None:
        self.letters = {
            number: DeadLetter(
                id=number, turn_id=number, conversation=Conversation("acme", contact), batch_number=1,
                reason="overloaded", detail="", attempts=3, created_at=NOON, retried_at=None, dropped_at=None,
                messages=(Message("acme", contact, f"M{number}", "hello", 1_000),),
            )
            for number, contact in enumerate(contacts, 1)
        }  # fmt: skip

    def change(self, number: int, **fields: object) -> None:
        self.letters[number] = msgspec.structs.replace(self.letters[number], **fields)

    async def dead_letters(self, limit: int, with_retried: bool = False) -> tuple[DeadLetter, ...]:
        await trio.lowlevel.checkpoint()
        found = [one for one in self.letters.values() if one.retried_at is None and one.dropped_at is None]
        return tuple(reversed(found))

    async def dead_letter(self, number: int) -> DeadLetter | None:
        await trio.lowlevel.checkpoint()
        return self.letters.get(number)

    async def mark_retried(self, number: int) -> bool:
        await trio.lowlevel.checkpoint()
        self.change(number, retried_at=NOON)
        return True


class Scene:
    """`meanwhile` is called when the first message is appended; `fails` says what becomes of one."""

    def __init__(self, *contacts: str) -> None:
        self.kept = Kept(*contacts)
        self.appended: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.fails: dict[str, Exception] = {}
        self.letters = DeadLetters(
            cast(Any, self.kept), self._append, lambda _: "label", EventFeed(strict=True)
        )

    async def _append(self, message: Message) -> Receipt:
        await trio.lowlevel.checkpoint()
        if not self.appended:
            self.meanwhile()
        if message.contact in self.fails:
            raise self.fails[message.contact]
        self.appended.append(message.id)
        return cast(Receipt, None)


async def test_all_open_letters_go_back_in_their_order() -> None:
    scene = Scene("1", "2", "3")
    scene.kept.change(2, dropped_at=NOON)
    assert await scene.letters.retry_all() == 2
    assert scene.appended == ["dead-1-M1", "dead-3-M3"]


async def test_what_others_do_meanwhile_stops_nothing_and_is_heeded() -> None:
    """Another operator puts one back and drops another: the first is not put back again, the second not at all."""
    scene = Scene("1", "2", "3", "4")

    def meanwhile() -> None:
        scene.kept.change(2, retried_at=NOON)
        scene.kept.change(3, dropped_at=NOON)

    scene.meanwhile = meanwhile
    assert await scene.letters.retry_all() == 2
    assert scene.appended == ["dead-1-M1", "dead-4-M4"]


async def test_a_full_conversation_keeps_its_letter_and_nobody_elses() -> None:
    scene = Scene("1", "2")
    scene.fails = {"1": ConversationFull("full")}
    assert await scene.letters.retry_all() == 1
    assert scene.appended == ["dead-2-M2"] and scene.kept.letters[1].retried_at is None
    scene.fails = {"1": MirrorUnavailable("away")}
    with pytest.raises(MirrorUnavailable):
        await scene.letters.retry_all()


async def test_a_dropped_letter_can_be_put_back_by_its_number_once() -> None:
    scene = Scene("1")
    scene.kept.change(1, dropped_at=NOON)
    await scene.letters.retry(1)
    with pytest.raises(Conflict, match="was retried at"):
        await scene.letters.retry(1)
