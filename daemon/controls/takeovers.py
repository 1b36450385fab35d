"""A person of the business writes in a conversation: Majlis falls silent there. What a machine sent is history.

Laws of this file:
1. The take-over is durable when `begin` returns. Each turn checks for it, and so does every claim to send a part, so it
   applies at once and to every daemon. A part that was claimed a moment before is still sent.
2. A message that Majlis itself sent is no take-over, whichever way it comes back. One from before a hand-back is none.
3. The same message may come any number of times, and counts once.
4. Our own messages come back with every reply. Memory knows them; only what it does not know asks the ledger.
5. What no person typed silences nobody: a greeting, an announcement to many, a text that is listed as automatic. Nobody
   can tell by such a message alone. So a take-over is taken back as soon as its message is found out (031), at the
   latest before the next turn of the chat is decided.
6. In mode `shadow` the old system answers: what software sends, as far as anybody can tell, silences nobody, is kept
   beside what Majlis would have said, and no shared table is written. A person's message does what it does else.
7. A command of staff is obeyed, and never told to the model. One that comes late must not undo what was done since.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import trio

from actors.errors import MirrorUnavailable
from actors.identity import Conversation, number_forms
from actors.instance import Mode
from actors.ports import Feed, FlagSource
from actors.text import plain_text
from daemon.config.sections import TakeoverSettings
from daemon.controls.own_words import OwnVerdict, is_personal, verdict_on
from daemon.ingress.inbound import OwnMessage
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

MAX_PAUSE_SECONDS = 10 * 365 * 86_400.0
MAX_CONCURRENT = 4
"""Calls to the ledger at once: a phone that posts its backlog must not take the connections of the turns."""
CLOCK_TOLERANCE_SECONDS = 600.0
"""How far our clock may differ from the database's, which decides."""
HISTORY_SECONDS = 14 * 86_400.0
"""What other software sent longer ago is not stored: nobody could tell any more whether it was stored before."""

_SENDERS = {"person": "person", "chatwoot": "agent", "program": "program"}
_SQL = "SELECT majlis_heed_own($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
_IN_SHADOW = "SELECT majlis_heed_in_shadow($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"


class _Heeded(msgspec.Struct, frozen=True):
    """What was made of a message."""

    verdict: str
    seconds: float | None = None
    """How long Majlis is silent there now."""
    ended: int = 0
    """How many escalations and take-overs a command ended."""
    lifted: tuple[str, ...] = ()
    """Other chats of the instance that are no longer silent."""


class Takeovers:
    """Begins take-overs. They end after a while, or by `majlis_hand_back`."""

    def __init__(
        self,
        db: Postgres,
        flags: FlagSource,
        settings: Callable[[str], TakeoverSettings],
        feed: Feed,
        is_ours: Callable[[OwnMessage], bool],
        waiting: Callable[[Conversation], Awaitable[Sequence[int]]],
        hurry: Callable[[Conversation], object],
        mode: Callable[[str], Mode] = lambda _instance: "live",
    ) -> None:
        """
        Args:
          settings: gives each instance's, and `mode` its mode.
          is_ours: whether this daemon sends or has just sent the message; False says nothing.
          waiting: when the customer's messages that no turn has heard yet were written; Unix seconds. May raise
            `MirrorUnavailable`.
          hurry: wakes an actor that is parked or held.
        """
        self._db = db
        self._flags = flags
        self._settings = settings
        self._feed = feed
        self._is_ours = is_ours
        self._waiting = waiting
        self._hurry = hurry
        self._mode = mode
        self._places = trio.CapacityLimiter(MAX_CONCURRENT)

    async def begin(self, own: OwnMessage, wrote: Sequence[int] = ()) -> bool:
        """Heed what the business wrote: fall silent there, from the time of the message on, if a person wrote it.

        `wrote`: when the customer wrote what neither a turn nor the mirror has yet; Unix seconds.

        Returns whether Majlis is silent there because of it. It is not where take-over is off, the message is known,
        was sent by us or by a machine, the silence would be over already, or the instance is unknown.

        Raises:
          LedgerUnavailable: it is not durable; let the gateway post it again.
        """
        if self._is_ours(own):
            return False
        settings, conversation = self._settings(own.instance), Conversation(own.instance, own.contact)
        seconds = self._pause_seconds(own.instance, settings)
        verdict = verdict_on(own, settings)
        in_shadow = self._mode(own.instance) == "shadow"
        if in_shadow and verdict == "silence" and _may_be_software(own):
            verdict = "history"
        if verdict is None:
            self._feed.emit("message.of_business", conversation, verdict="ignored")
        if verdict == "silence" and not seconds and own.sender != "person":
            verdict = "history"  # where nobody takes over, the model is told what the customer was told
        heeds = verdict is not None and not self._changes_nothing(own, verdict, seconds)
        if not heeds and (not in_shadow or _is_old(own, HISTORY_SECONDS)):
            return False
        judged = verdict == "silence" and settings.automatic
        async with self._places:
            waiting = [*wrote, *await self._unheard(own)] if judged else []
            found = await self._db.value(
                _IN_SHADOW if in_shadow else _SQL,
                storable(own.instance),
                storable(own.contact),
                storable(own.lid),
                storable(own.id),
                storable(plain_text(own.text)),
                own.sent_at,
                seconds,
                "program" if in_shadow and _may_be_software(own) else _SENDERS[own.sender],
                verdict or "history",
                judged,
                judged and is_personal(own),
                waiting,
                *((heeds,) if in_shadow else ()),
            )
        return found is not None and self._tell(own, msgspec.json.decode(found, type=_Heeded))

    def _pause_seconds(self, instance: str, settings: TakeoverSettings) -> float:
        """0: no take-over there."""
        heeded = self._flags.of(instance).takeover
        return min(settings.pause_seconds, MAX_PAUSE_SECONDS) if heeded else 0.0

    def _changes_nothing(self, own: OwnMessage, verdict: OwnVerdict, seconds: float) -> bool:
        """Of a phone's backlog, most is too old: that spares the ledger a query for each message."""
        if verdict in ("silence", "pause") and not seconds:
            return True
        matters_seconds = seconds if verdict == "silence" else HISTORY_SECONDS
        return _is_old(own, matters_seconds)

    async def _unheard(self, own: OwnMessage) -> list[int]:
        """Without the mirror it is judged again when the customer's messages are there."""
        names = dict.fromkeys(name for name in (own.contact, own.lid) if name)
        try:
            return [
                sent_at
                for name in names
                for sent_at in await self._waiting(Conversation(own.instance, name))
                if sent_at > 0
            ]
        except MirrorUnavailable:
            return []

    def _tell(self, own: OwnMessage, heeded: _Heeded) -> bool:
        """Returns whether Majlis is silent."""
        conversation, by = Conversation(own.instance, own.contact), _SENDERS[own.sender]
        for contact in heeded.lifted:
            lifted = Conversation(own.instance, contact)
            self._feed.emit("conversation.take_over_lifted", lifted, by=heeded.verdict)
        if heeded.seconds is not None:
            return self._announce(conversation, heeded.seconds, "staff" if heeded.verdict == "pause" else by)
        self._feed.emit("message.of_business", conversation, verdict=heeded.verdict)
        if heeded.verdict == "resume":
            for contact in dict.fromkeys((*number_forms(own.contact), own.lid)):
                self._hurry(Conversation(own.instance, contact))
        if heeded.ended:
            self._feed.emit("conversation.handed_back", conversation, by="staff")
        return False

    async def take_over(self, conversation: Conversation, seconds: float) -> bool:
        """Fall silent for so long at the least, because an operator says so; False for an unknown instance.

        Raises:
          LedgerUnavailable: it is not durable.
        """
        instance, contact = map(storable, conversation)
        left = await self._db.value(
            "SELECT majlis_pause_for($1, $2, $3)", instance, contact, min(seconds, MAX_PAUSE_SECONDS)
        )
        return self._announce(conversation, left, "operator")

    def _announce(self, conversation: Conversation, left: float | None, by: str) -> bool:
        if left is None:
            return False
        self._feed.emit("conversation.taken_over", conversation, seconds=round(left), by=by)
        return True


def _may_be_software(own: OwnMessage) -> bool:
    """The gateway's records show what programs sent in the dress of WhatsApp Web."""
    return own.sender == "program" or (own.recorded and not own.on_phone)


def _is_old(own: OwnMessage, seconds: float) -> bool:
    return 0 < own.sent_at < time.time() - seconds - CLOCK_TOLERANCE_SECONDS
