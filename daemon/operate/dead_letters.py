"""Dead letters: turns that ran out of attempts or were refused. They are listed, retried or dropped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.errors import Conflict, ConversationFull, Missing
from actors.identity import Conversation
from actors.messages import Message, Receipt
from actors.ports import Feed
from daemon.controls.replays import put_back
from daemon.ledger.records import Records
from daemon.ledger.rows import DeadLetter
from daemon.operate.call import AdminCall, iso
from daemon.operate.letters import AskedInVain, asked_in_vain, customer_got, had_answer, happened
from daemon.operate.parameters import DEFAULT_LIMIT, MAX_ID, MUST_BE, Limit, Parameters, Reveal
from daemon.operate.route import Route
from daemon.operate.turns import MessageView, message_view
from daemon.web.http1 import Response, json_response

MAX_RETRIED = 10_000
"""How many dead letters are retried at the same time."""

DeadLetterNumber = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_ID,
        description="The number of a dead letter.",
        extra={MUST_BE: "the number of a dead letter; see `majlis dead list`"},
    ),
]


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    conversation: str
    instance: str
    contact: str
    batch: int
    reason: str
    detail: str = ""
    tries: int = 0
    buried_at: str
    retried_at: str | None = None
    dropped_at: str | None = None
    what: str = ""
    """The reason as a sentence; empty: it is not known."""
    got: str = ""
    """What of the reply reached the customer, as a sentence."""
    asked: list[AskedInVain] = []
    """The providers that were asked in vain."""
    cost: float = 0.0
    """Of all attempts, in the currency of the providers' prices."""
    messages: list[MessageView] = []


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    open: int
    letters: list[DeadLetterView]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    retried: int
    """How many dead letters are queued to be answered."""


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    dropped: int
    """The number of the dead letter. It is kept, and no longer open."""


class DeadLettersQuery(Parameters, frozen=True, kw_only=True):
    all: Annotated[bool, Meta(description="Include those already retried or dropped.")] = False
    limit: Limit = DEFAULT_LIMIT
    reveal: Reveal = False


class OneDeadLetter(Parameters, frozen=True, kw_only=True):
    id: DeadLetterNumber


class ShowDeadLetter(OneDeadLetter, frozen=True, kw_only=True):
    reveal: Reveal = False


class DeadLetters:
    """`append` makes one message durable, as if it had just arrived. Every method may raise `Unavailable`."""

    def __init__(
        self,
        records: Records,
        append: Callable[[Message], Awaitable[Receipt]],
        label: Callable[[Conversation], str],
        feed: Feed,
    ) -> None:
        self._records = records
        self._append = append
        self._label = label
        self._feed = feed

    async def page(self, limit: int, include_ended: bool) -> DeadLetterPage:
        """The latest first."""
        letters = await self._records.dead_letters(limit, include_ended)
        opened = await self._records.open_dead_letters()
        return DeadLetterPage(open=opened, letters=[self._view(letter) for letter in letters])

    async def show(self, number: int) -> DeadLetterView:
        """Raises: Missing."""
        return self._view(await self._find(number))

    async def retry(self, number: int) -> None:
        """Append its messages again, under new ids: they open a window like any other burst.

        Appending is deduplicated: repeating the command after a crash in the middle duplicates nothing.

        Raises:
          Missing: no dead letter has this number.
          Conflict: it has already been retried.
        """
        letter = await self._find(number)
        if letter.retried_at is not None:
            raise Conflict(f"Dead letter {number} was already retried at {iso(letter.retried_at)}.")
        await self._put_back(letter)

    async def retry_all(self) -> int:
        """Retry every open dead letter; returns how many there were.

        Skips those that someone else retries or drops meanwhile. A full conversation keeps its dead letter and delays
        no other.
        """
        listed, put_back = await self._records.dead_letters(MAX_RETRIED), 0
        for number in reversed([letter.id for letter in listed]):
            letter = await self._find(number)
            if letter.retried_at is None and letter.dropped_at is None:
                with suppress(ConversationFull):
                    await self._put_back(letter)
                    put_back += 1
        return put_back

    async def drop(self, number: int) -> None:
        """Close it without an answer; it is kept. Raises: Missing, Conflict when it was already retried or dropped."""
        letter = await self._find(number)
        if letter.retried_at is not None:
            raise Conflict(f"Dead letter {number} was already retried at {iso(letter.retried_at)}.")
        if letter.dropped_at is not None or not await self._records.mark_dropped(letter.id):
            raise Conflict(f"Dead letter {number} was already dropped.")
        self._feed.emit("dead.dropped", letter.conversation, letter=letter.id, messages=len(letter.messages))

    async def _put_back(self, letter: DeadLetter) -> None:
        await put_back(letter, self._append, self._records, self._feed)

    async def _find(self, number: int) -> DeadLetter:
        letter = await self._records.dead_letter(number)
        if letter is None:
            raise Missing(f"There is no dead letter {number}: see `majlis dead list`.")
        return letter

    def _view(self, letter: DeadLetter) -> DeadLetterView:
        return DeadLetterView(
            id=letter.id,
            conversation=self._label(letter.conversation),
            instance=letter.conversation.instance,
            contact=letter.conversation.contact,
            batch=letter.batch_number,
            reason=letter.reason,
            detail=letter.detail,
            tries=letter.attempts,
            buried_at=iso(letter.created_at),
            retried_at=iso(letter.retried_at) if letter.retried_at else None,
            dropped_at=iso(letter.dropped_at) if letter.dropped_at else None,
            what=happened(letter.reason, had_answer(letter.provider)),
            got=customer_got(letter.parts, letter.provider),
            asked=asked_in_vain(letter.failures),
            cost=letter.cost_micros / 1_000_000,
            messages=[message_view(message) for message in letter.messages],
        )


async def _list(letters: DeadLetters, call: AdminCall, asked: DeadLettersQuery) -> Response:
    """Dead letters, the latest first."""
    return await call.answer(await letters.page(asked.limit, asked.all), "dead letters")


async def _show(letters: DeadLetters, call: AdminCall, asked: ShowDeadLetter) -> Response:
    """One dead letter with its messages."""
    return await call.answer(await letters.show(asked.id), f"dead letter {asked.id}")


async def _retry(letters: DeadLetters, call: AdminCall, asked: OneDeadLetter) -> Response:
    """Retry one dead letter: its messages are queued again in their conversation."""
    await call.audit("dead.retry", f"dead letter {asked.id}")
    await letters.retry(asked.id)
    return json_response(200, Retried(retried=1))


async def _drop(letters: DeadLetters, call: AdminCall, asked: OneDeadLetter) -> Response:
    """Close one dead letter without answering it. It is kept, and no longer counts as open."""
    await call.audit("dead.drop", f"dead letter {asked.id}")
    await letters.drop(asked.id)
    return json_response(200, Dropped(dropped=asked.id))


async def _retry_all(letters: DeadLetters, call: AdminCall, asked: Parameters) -> Response:
    """Retry every open dead letter."""
    await call.audit("dead.retry_all", "dead letters")
    return json_response(200, Retried(retried=await letters.retry_all()))


ROUTES = (
    Route("GET", "/v1/dead", DeadLetters, _list, "read", DeadLetterPage, DeadLettersQuery),
    Route("GET", "/v1/dead/{id}", DeadLetters, _show, "read", DeadLetterView, ShowDeadLetter),
    Route("POST", "/v1/dead/retry-all", DeadLetters, _retry_all, "operate", Retried),
    Route("POST", "/v1/dead/{id}/retry", DeadLetters, _retry, "operate", Retried, OneDeadLetter),
    Route("POST", "/v1/dead/{id}/drop", DeadLetters, _drop, "operate", Dropped, OneDeadLetter),
)
