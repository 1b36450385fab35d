"""Messages that the gateway confirmed, and reports as failed afterwards.

Laws of this file:
1. A report is durable when `report` returns, and may come any number of times, at any daemon, before or after the send
   itself is settled. It is a fact, so it needs no lease.
2. A part that failed makes its turn a dead letter, once the turn has ended. A notice that failed is given up. Neither
   is sent again by itself.
3. An id that is not ours changes nothing.
4. Nothing of a text or a contact is stored or reported with it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.identity import Conversation
from actors.ports import Feed
from daemon.ingress.inbound import LateFailure
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres


class _Found(msgspec.Struct, frozen=True):
    outcome: Literal["failed", "waits", "notice", "known", "unknown"]
    """`majlis_fail_later` says what they mean."""
    conversation_key: str = ""
    turn: int = 0
    part: int = 0
    notice: int = 0
    tries: int = 0


class LateFailures:
    def __init__(self, db: Postgres, feed: Feed) -> None:
        self._db = db
        self._feed = feed

    async def report(self, failure: LateFailure) -> None:
        """Record that a confirmed message failed, if it is ours.

        Raises:
          LedgerUnavailable: it is not durable; let the gateway post it again.
        """
        for message_id in failure.ids:
            found = await self._record(failure, message_id)
            if found.outcome == "unknown":
                # It is remembered by now. Our send may have been settled meanwhile, by a transaction that could not
                # see that: whichever of the two came second sees the other.
                found = await self._record(failure, message_id)
            if found.outcome != "unknown":
                self._announce(failure, found)
                return

    async def _record(self, failure: LateFailure, message_id: str) -> _Found:
        sql = "SELECT majlis_fail_later($1, $2, $3)"
        args = storable(failure.instance), storable(message_id), storable(failure.reason)
        return msgspec.json.decode(await self._db.value(sql, *args), type=_Found)

    def _announce(self, failure: LateFailure, found: _Found) -> None:
        if found.outcome in ("failed", "waits"):
            conversation = Conversation.from_key(found.conversation_key)
            self._feed.emit(
                "part.failed_later", conversation, turn=found.turn, part=found.part, reason=failure.reason
            )
        elif found.outcome == "notice":
            self._feed.emit(
                "notice.given_up",
                reason=failure.reason,
                notice=found.notice,
                kind="whatsapp",
                instance=failure.instance,
                tries=found.tries,
            )
