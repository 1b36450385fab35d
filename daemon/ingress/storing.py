"""Makes what was in a payload durable, and answers with the result.

The laws of this file:
1. 200 only after the mirror accepted every message of the payload (I1). If one of several fails, the whole answer is
   503; the gateway sends all of them again, and those already stored are recognised as duplicates.
2. What was edited or deleted is durable before 200 as well, but after the customers' messages, which it may be about.
   Then come what the business wrote, and the word of the gateway that a message of ours failed after all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import msgspec
import trio

from actors.errors import (
    AmendedMessageUnknown,
    ConversationFull,
    MirrorUnavailable,
    Overloaded,
    Unavailable,
)
from actors.messages import Message, Receipt
from daemon.ingress.answers import ITEMS_AT_A_TIME, Answers
from daemon.ingress.begun import MAX_POSTED, Outcomes, Unfinished, WebhookBegun, finished
from daemon.ingress.counters import IngressCounters
from daemon.ingress.inbound import Amendment, Ignored, Inbound, LateFailure, Link, OwnMessage, Typing
from daemon.web.http1 import Response

ACK_SECONDS = 5.0
"""For all messages of one payload together."""


class Inbox(Protocol):
    """Takes what was in a payload."""

    def heard(self, messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[str]]:
        """The messages as they are to be accepted, and why each of the others is not taken in."""

    async def accept(self, message: Message) -> Receipt:
        """Make one message durable, within a bounded time. Cancelling it undoes nothing.

        Raises:
          Unavailable: the mirror is away (`MirrorUnavailable`).
          Overloaded: a limit is reached.
        """

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]:
        """Make several durable together, in their order; returns one outcome per message: see `accept`."""

    async def amend(self, amendment: Amendment) -> str:
        """Make durable that a message was edited or deleted; returns why that changes nothing, or nothing.

        Raises:
          AmendedMessageUnknown: the message may be on its way.
          Unavailable: the mirror or the ledger is away.
          Overloaded: a limit is reached.
        """

    async def take_over(self, own: OwnMessage) -> bool:
        """Make durable that a person speaks in a conversation; False when that changes nothing. May be repeated.

        Raises:
          Unavailable: the ledger is away.
        """

    async def fail_later(self, failure: LateFailure) -> None:
        """Make durable that a confirmed message of ours failed; any other is none of our business. May be repeated.

        Raises:
          Unavailable: the ledger is away.
        """

    def learn(self, link: Link) -> None:
        """Learn a link. Neither waits nor raises: a link is a hint, and the next message brings it again."""

    def typing(self, typing: Typing) -> None:
        """A customer types, or does so no more. Neither waits nor raises, and stores nothing."""


class Storing:
    def __init__(self, inbox: Inbox, answers: Answers, counters: IngressCounters) -> None:
        self._inbox = inbox
        self._answers = answers
        self._counters = counters

    def begin(self, inbound: Inbound) -> WebhookBegun:
        """Make the messages durable, in their order, and answer with the result."""
        if max(len(inbound.links), len(inbound.ignored)) > ITEMS_AT_A_TIME:
            return Unfinished(partial(self._store_many, inbound))
        for link in inbound.links:
            self._inbox.learn(link)
        return self._begin(inbound)

    async def _store_many(self, inbound: Inbound) -> Response:
        for number, link in enumerate(inbound.links, 1):
            self._inbox.learn(link)
            if number % ITEMS_AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
        return await finished(self._begin(inbound))

    def _begin(self, inbound: Inbound) -> WebhookBegun:
        if inbound.typing is not None:
            self._inbox.typing(inbound.typing)
        messages, ignored = self._inbox.heard(inbound.messages)
        rest = partial(self._store, inbound, messages, ignored)
        if inbound.amendments or inbound.own or inbound.failures or len(inbound.ignored) > ITEMS_AT_A_TIME:
            return Unfinished(rest)
        if not messages:
            return self._answer(inbound, messages, ignored, ())
        if len(messages) > MAX_POSTED:
            return Unfinished(rest)
        return Unfinished(rest, messages, partial(self._answer, inbound, messages, ignored))

    def _answer(
        self, inbound: Inbound, messages: Sequence[Message], ignored: Sequence[str], outcomes: Outcomes
    ) -> Response:
        """Where messages are all there was."""
        for outcome in outcomes:
            if isinstance(outcome, Unavailable | Overloaded):
                return self._again(outcome)
            if isinstance(outcome, Exception):
                raise outcome
        duplicates = sum(isinstance(outcome, Receipt) and outcome.duplicate for outcome in outcomes)
        inbound = _kept(inbound, messages, ignored)
        self._answers.note_ignored(inbound.ignored)
        return self._answers.stored(inbound, duplicates, 0)

    async def _store(self, inbound: Inbound, messages: Sequence[Message], ignored: Sequence[str]) -> Response:
        unheeded: Sequence[str] = ()
        try:
            receipts = await self._accept_all(messages)
            if inbound.amendments:
                unheeded, unknown = await self._amend_all(inbound.amendments)
            else:
                unknown = None
            if inbound.own:
                await self._take_over_all(inbound.own)
            if inbound.failures:
                await self._fail_all(inbound.failures)
            if unknown is not None:
                raise unknown
        except (trio.TooSlowError, Unavailable, Overloaded) as error:
            return self._again(error)
        inbound = _kept(inbound, messages, (*ignored, *unheeded))
        for start in range(0, len(inbound.ignored), ITEMS_AT_A_TIME):
            self._answers.note_ignored(inbound.ignored[start : start + ITEMS_AT_A_TIME])
            await trio.lowlevel.checkpoint()
        amended = len(inbound.amendments) - len(unheeded)
        return self._answers.stored(inbound, sum(receipt.duplicate for receipt in receipts), amended)

    def _again(self, error: Exception) -> Response:
        """It could not be made durable now."""
        match error:
            case trio.TooSlowError():
                reason = "ack_timeout"
            case MirrorUnavailable():
                reason = "mirror_unavailable"
            case AmendedMessageUnknown():
                reason = "amended_message_unknown"
            case Unavailable():
                reason = "unavailable"
            case ConversationFull():
                reason = "conversation_full"
            case _:
                reason = "overloaded"
        return self._answers.again(reason)

    async def _accept_all(self, messages: Sequence[Message]) -> list[Receipt]:
        # Nearly always one; `Inbox.accept` bounds its own wait, and a second deadline would cost as much again.
        if len(messages) == 1:
            return [await self._inbox.accept(messages[0])]
        if not messages:
            return []
        receipts = []
        with trio.fail_after(ACK_SECONDS):
            for outcome in await self._inbox.accept_all(messages):
                if isinstance(outcome, Exception):
                    raise outcome
                receipts.append(outcome)
        return receipts

    async def _amend_all(
        self, amendments: Sequence[Amendment]
    ) -> tuple[Sequence[str], AmendedMessageUnknown | None]:
        """Make them durable, in their order; returns why some change nothing, and whether some are to come again.

        These hold up none of the others, nor what else is in the payload: only its answer.
        """
        found, unknown = list[str](), None
        with trio.fail_after(ACK_SECONDS):
            for amendment in amendments:
                try:
                    found.append(await self._inbox.amend(amendment))
                except AmendedMessageUnknown as error:
                    unknown = error
        self._counters.amended += found.count("")
        return [reason for reason in found if reason], unknown

    async def _take_over_all(self, own: Sequence[OwnMessage]) -> None:
        with trio.fail_after(ACK_SECONDS):
            for message in own:
                self._counters.take_overs += await self._inbox.take_over(message)

    async def _fail_all(self, failures: Sequence[LateFailure]) -> None:
        with trio.fail_after(ACK_SECONDS):
            for failure in failures:
                await self._inbox.fail_later(failure)


def _kept(inbound: Inbound, messages: Sequence[Message], unwanted: Sequence[str]) -> Inbound:
    """What was made of it: `unwanted` says why something was not taken in."""
    if not unwanted:
        return inbound
    ignored = (*inbound.ignored, *map(Ignored, unwanted))
    return msgspec.structs.replace(inbound, messages=tuple(messages), ignored=ignored)
