"""Dead letters retried and dropped, also by several operators at once."""

from __future__ import annotations

import pytest

from actors.errors import Conflict, ConversationFull, MirrorUnavailable, Missing
from actors.identity import Conversation
from actors.lookups import FailedCall
from actors.messages import Answer, Message, Receipt, Spent
from actors.outcome import Sent
from actors.ports import Reply
from daemon.operate.dead_letters import DeadLetters
from tests.support.ledgers import DEMO, batch, new_token
from tests.support.operators import Operators


async def buried(operators: Operators, *contacts: str) -> list[int]:
    """The numbers of dead letters, one for each contact, the oldest first."""
    ledger = operators.world.ledger
    for contact in contacts:
        conversation = Conversation("demo", contact)
        turn = await ledger.begin(batch("hello", conversation=conversation, id_prefix=f"M{contact}-"), 1)
        await ledger.bury(turn, 1, "overloaded", "")
    letters = (await operators.letters.page(100, include_ended=False)).letters
    return [letter.id for letter in reversed(letters)]


async def test_a_dead_letter_says_who_was_asked_and_what_the_customer_got(operators: Operators) -> None:
    ledger = operators.world.ledger
    turn = await ledger.begin(batch("hello"), 1)
    call = FailedCall(
        provider="main", reason="too_large", attempt=1, at_ms=1_000, took_ms=2, spent=Spent(5, 6, 7_000)
    )
    await ledger.spend(turn, 1, "0-1", call.spent, (call,))
    await ledger.answer(
        turn, 1, Reply(Answer("later", "fallback"), ("later",), "fallback", dead_reason="too_large")
    )
    await ledger.claim(turn, 1, 0, False, new_token())
    await ledger.settle(turn, 1, 0, Sent("g"))
    await ledger.bury(turn, 1, "too_large", "")
    [letter] = (await operators.letters.page(1, include_ended=False)).letters
    assert (letter.what, letter.got, letter.cost, letter.tries) == (
        "the provider's answer was too large to be read",
        "the customer got the fallback message",
        0.007,
        1,
    )
    assert [(one.provider, one.calls, one.reason) for one in letter.asked] == [("main", 1, "too_large")]
    held = await ledger.begin(batch("later", number=2), 1)
    await ledger.bury(held, 1, "held_too_long", "connection_closed")
    assert (await operators.letters.show(letter.id + 1)).tries == 0, "no attempt was made of it"
    explained = await operators.explainer.explain(f"{DEMO.contact}-1-0", None)
    assert "the customer got the fallback message" in explained.why
    assert [step.detail for step in explained.steps if step.what == "asked in vain"] == [
        "main: too_large, 2 ms, attempt 1"
    ]


def appended(operators: Operators) -> list[str]:
    return [message.id for message in operators.appended]


async def test_all_open_dead_letters_are_retried_in_their_order(operators: Operators) -> None:
    first, second, third = await buried(operators, "1", "2", "3")
    await operators.letters.drop(second)
    assert await operators.letters.retry_all() == 2
    assert appended(operators) == [f"dead-{first}-M1-0", f"dead-{third}-M3-0"]
    page = await operators.letters.page(100, include_ended=True)
    assert page.open == 0 and [bool(letter.retried_at) for letter in page.letters] == [True, False, True]


async def test_dead_letters_that_others_retry_or_drop_meanwhile_are_skipped(operators: Operators) -> None:
    """Another operator retries one and drops another: the first is not retried twice, the second not at all."""
    first, second, third, fourth = await buried(operators, "1", "2", "3", "4")
    put_back: list[str] = []

    async def append(message: Message) -> Receipt:
        if not put_back:
            await operators.records.mark_retried(second)
            await operators.records.mark_dropped(third)
        put_back.append(message.id)
        return Receipt(False, 1, 0, 0, 0, 1, False)

    letters = DeadLetters(operators.records, append, operators.feed.label, operators.feed)
    assert await letters.retry_all() == 2
    assert put_back == [f"dead-{first}-M1-0", f"dead-{fourth}-M4-0"]


async def test_a_full_conversation_keeps_its_dead_letter_and_delays_no_other(operators: Operators) -> None:
    first, second = await buried(operators, "1", "2")
    operators.append_fails = {"1": ConversationFull("full")}
    assert await operators.letters.retry_all() == 1
    assert appended(operators) == [f"dead-{second}-M2-0"]
    assert (await operators.letters.show(first)).retried_at is None
    operators.append_fails = {"1": MirrorUnavailable("away")}
    with pytest.raises(MirrorUnavailable):
        await operators.letters.retry_all()


async def test_a_dropped_dead_letter_can_be_retried_by_its_number_once(operators: Operators) -> None:
    (only,) = await buried(operators, "1")
    await operators.letters.drop(only)
    with pytest.raises(Conflict, match="was already dropped"):
        await operators.letters.drop(only)
    await operators.letters.retry(only)
    with pytest.raises(Conflict, match="was already retried at"):
        await operators.letters.retry(only)
    with pytest.raises(Missing, match=f"no dead letter {only + 1}"):
        await operators.letters.show(only + 1)
