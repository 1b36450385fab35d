"""Where a payload goes once it is read: messages to the mirror, take-overs to the ledger, identity links to memory.

An edit or a deletion is a message to the mirror too, in the conversation of the one that it is about. What a message is
(aside, or not taken in at all) is decided here, by the instance's settings; that it arrived late can be seen only here.

The webhook door opens before the stores run. Until they do, it refuses whatever must be durable, and the gateway sends
that again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec
import trio

from actors.amendments import DELETION, EDIT
from actors.crash_points import reach
from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from actors.instance import Terms
from actors.messages import Message, Receipt, WindowPolicy
from actors.modes import heard
from daemon.ingress.answers import ITEMS_AT_A_TIME
from daemon.ingress.begun import Outcomes
from daemon.ingress.identity_links import KnownLinks
from daemon.ingress.inbound import Amendment, LateFailure, Link, OwnMessage, Typing
from daemon.ingress.lately import Lately


class Behind(NamedTuple):
    """What is behind the door once the stores run."""

    append: Callable[[Message, WindowPolicy], Awaitable[Receipt]]
    """Makes one message durable, within a bounded time."""
    append_all: Callable[[Sequence[tuple[Message, WindowPolicy]]], Awaitable[Sequence[Receipt | Exception]]]
    """Makes several durable together, in their order; returns one outcome per message."""
    post: Callable[[Sequence[tuple[Message, WindowPolicy]], Callable[[Outcomes], None]], None]
    """The same for a few, without a task that waits: the outcomes are handed on when all are known."""
    conversation_of: Callable[[Amendment], Awaitable[Conversation | str]]
    """Where the message is that was edited or deleted, or why that changes nothing."""
    take_over: Callable[[OwnMessage, Sequence[int]], Awaitable[bool]]
    fail_later: Callable[[LateFailure], Awaitable[None]]
    flush: Callable[[Conversation], bool]
    """Closes a conversation's window now; returns False when it is not active here."""
    number_learned: Callable[[], None]
    typing: Callable[[Conversation, bool], None]
    """Told of every customer who types or stops; nothing where the conversation is not active here."""


REACTION = "reaction"
UNKNOWN_TYPE = "unknown_type"
EDITS_OFF = "edits_off"
"""Why something is not taken in."""

MAX_EDITS = 1_000
"""Of the latest ones it is known when they were made."""


class DurableInbox:
    """Implements `daemon.ingress.webhooks.Inbox` over the running parts.

    Args:
      behind: None until the stores run.
      window: the window policy of an instance.
      terms: what an instance's settings say.
      wall: Unix seconds.
    """

    def __init__(
        self,
        links: KnownLinks,
        behind: Callable[[], Behind | None],
        window: Callable[[str], WindowPolicy],
        terms: Callable[[str], Terms],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._links = links
        self._behind = behind
        self._window = window
        self._terms = terms
        self._wall = wall
        self._made_at = Lately[int](MAX_EDITS)

    def heard(self, messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[str]]:
        """The messages as they are to be stored, and why each of the others is not.

        What was found in the gateway's records was judged there.
        """
        now, kept, ignored = self._wall(), list[Message](), list[str]()
        for message in messages:
            terms = self._terms(message.instance)
            if message.kind == "unknown" and terms.context.unknown_types == "ignore":
                ignored.append(UNKNOWN_TYPE)
            elif message.aside != REACTION or terms.context.reactions == "context":
                kept.append(_aged(message, terms, now))
            elif terms.context.reactions == "answer":
                kept.append(_aged(msgspec.structs.replace(message, aside=""), terms, now))
            else:
                ignored.append(REACTION)
        return kept, ignored

    async def accept(self, message: Message) -> Receipt:
        """Make one message durable. When this returns, its conversation already has it."""
        behind = self._open()
        reach("request_read")
        message = self._heard_now(message)
        receipt = await behind.append(message, self._window(message.instance))
        reach("appended")
        return receipt

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]:
        """Make the messages of one payload durable together, in their order; returns one outcome per message."""
        behind = self._open()
        appends: list[tuple[Message, WindowPolicy]] = []
        for message in messages:
            reach("request_read")
            resolved = self._heard_now(message)
            appends.append((resolved, self._window(resolved.instance)))
            if len(appends) % ITEMS_AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
        outcomes = await behind.append_all(appends)
        reach("appended")
        return outcomes

    def post(self, messages: Sequence[Message], settled: Callable[[Outcomes], None]) -> None:
        """As `accept_all`, for a few messages and without a task that waits; `settled` gets the outcomes."""
        behind = self._behind()
        if behind is None:
            settled([MirrorUnavailable("starting") for _ in messages])
            return
        appends: list[tuple[Message, WindowPolicy]] = []
        for message in messages:
            reach("request_read")
            resolved = self._heard_now(message)
            appends.append((resolved, self._window(resolved.instance)))

        def appended(outcomes: Outcomes) -> None:
            reach("appended")
            settled(outcomes)

        behind.post(appends, appended)

    def _heard_now(self, message: Message) -> Message:
        """In the conversation it belongs to, and by the mode of this moment, whichever door it came through."""
        return heard(self._links.resolved(message), self._terms(message.instance).mode)

    def learn(self, link: Link) -> None:
        """Learn a LID's phone number. What waits or was refused under the LID moves to the phone's conversation now."""
        is_news = self._links.learn(link.instance, link.lid, link.phone)
        behind = self._behind()
        if is_news and behind is not None:
            behind.flush(Conversation(link.instance, link.lid))
            behind.number_learned()

    def typing(self, typing: Typing) -> None:
        """Have an open window wait for somebody who types. It is a hint: what nobody can use now is forgotten."""
        behind = self._behind()
        if behind is None or not self._window(typing.instance).typing_seconds:
            return
        phone = self._links.phone_of(typing.instance, typing.contact)
        behind.typing(Conversation(typing.instance, phone or typing.contact), typing.is_typing)

    async def amend(self, amendment: Amendment) -> str:
        """Make durable that a message was edited or deleted; returns why that changes nothing, or nothing."""
        behind, terms = self._open(), self._terms(amendment.instance)
        if not terms.context.edits:
            return EDITS_OFF
        found = await behind.conversation_of(amendment)
        if isinstance(found, str):
            return found
        message = Message(
            *found,
            amendment.id,
            amendment.text,
            amendment.sent_at,
            kind=DELETION if amendment.deleted else EDIT,
            amends=amendment.target,
        )
        message = _aged(message, terms, self._wall())
        receipt = await self.accept(message)
        if self._is_made_again(amendment, receipt):
            await self.accept(msgspec.structs.replace(message, id=f"{message.id}/{amendment.made_at}"))
        return ""

    def _is_made_again(self, amendment: Amendment, receipt: Receipt) -> bool:
        """Whether a change that is known by its id was made once more: somebody went back to a text he had left."""
        known = self._made_at.get(amendment.instance, amendment.id)
        if amendment.made_at and (known is None or not receipt.duplicate):
            self._made_at.note(amendment.instance, amendment.id, amendment.made_at)
        return receipt.duplicate and known is not None and amendment.made_at > known

    async def take_over(self, own: OwnMessage, wrote: Sequence[int] = ()) -> bool:
        """The business wrote in a conversation: silence Majlis there, durably, if a person did.

        `wrote`: when the customer wrote what is about to be accepted; Unix seconds.
        """
        return await self._open().take_over(own, wrote)

    async def fail_later(self, failure: LateFailure) -> None:
        """Make durable that a message which the gateway had confirmed failed, if it is ours."""
        await self._open().fail_later(failure)

    def _open(self) -> Behind:
        behind = self._behind()
        if behind is None:
            raise MirrorUnavailable("starting")
        return behind


def _aged(message: Message, terms: Terms, now: float) -> Message:
    """The message, set aside if it was old when it arrived. A time of 0 is unknown; a clock ahead of ours is no age."""
    is_old = message.sent_at and now - message.sent_at > terms.max_age_seconds
    if not is_old or message.aside or message.swept:
        return message
    return msgspec.structs.replace(message, aside="backlog")
