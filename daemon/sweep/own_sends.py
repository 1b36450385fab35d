"""Our own replies, found in the gateway's records, settle the sends whose outcome is not known.

Laws of this file:
1. A record settles a part only by what `daemon/gateways/evidence.py` takes for evidence: contact, time, text, and an id
   that no other reply owns. The oldest part takes the oldest record.
2. It must also be from soon after the last claim. What was sent hours later, under the same words, a person sent: the
   reply did not arrive, and somebody copied it.
3. Nothing is undone: that a part was sent is recorded as a fact, which stands against whatever its turn says meanwhile.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import repeat

import msgspec

from actors.identity import Conversation
from actors.outcome import Sent
from actors.ports import Feed
from actors.send_facts import PartState, Proof
from daemon.gateways import evidence
from daemon.gateways.evidence import SentRecord
from daemon.ingress.inbound import OwnMessage
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres, Row
from daemon.sweep.heard import Heard

LATE_SECONDS = 600
"""How long after its last claim a message may still leave: a gateway that is slow to wake up works off its queue."""

MAX_TURNS = 50
"""So many of a conversation's latest turns are looked at, of those that were answered; of all, four times as many."""

MAX_KEYS = 500
"""So many conversations are asked for at once."""

_LINKS = """
    SELECT lid, phone FROM majlis_identities WHERE instance = $1 AND (lid = ANY ($2) OR phone = ANY ($2))
"""

# Of a part that waits to be sent again, the first send may have arrived. One that counts as sent without an id, by the
# gateway's word alone, takes its record, so that no other part does.
_UNSETTLED = """
    SELECT t.id AS turn_id, o.part, o.text, o.state, o.last_token AS token, t.conversation_key,
           extract(epoch FROM o.claimed_at)::float8 AS first_claim,
           extract(epoch FROM o.last_claimed_at)::float8 AS last_claim,
           extract(epoch FROM clock_timestamp())::float8 AS now
    FROM unnest($1::text[]) AS asked (key)
    CROSS JOIN LATERAL (
        SELECT newest.id, newest.conversation_key
        -- With a range of one the index of the conversation is the only one in this order.
        FROM (SELECT n.id, n.conversation_key, n.answered_at FROM majlis_turns n
              WHERE n.conversation_key >= asked.key AND n.conversation_key <= asked.key
              ORDER BY n.conversation_key DESC, n.batch_number DESC, n.revision DESC LIMIT 4 * $2::bigint) newest
        WHERE newest.answered_at IS NOT NULL LIMIT $2::bigint) t
    CROSS JOIN LATERAL (SELECT * FROM majlis_outbox WHERE turn_id = t.id OFFSET 0) o
    WHERE o.claimed_at IS NOT NULL AND o.last_claimed_at IS NOT NULL AND o.last_token <> ''
      AND (o.state IN ('sending', 'unknown') OR o.state = 'pending' AND o.resends > 0
           OR o.state = 'sent' AND o.gateway_message_id IS NULL)
"""


class OpenPart(msgspec.Struct, frozen=True):
    """A part of a reply whose message at the gateway is not known."""

    turn_id: int
    number: int
    conversation: Conversation
    text: str
    state: PartState
    token: str
    first_claim: float
    """Unix seconds, by our clock."""
    last_claim: float


class OwnSends:
    def __init__(
        self,
        db: Postgres,
        prove: Callable[[Proof], Awaitable[bool]],
        nudge: Callable[[Conversation], object],
        feed: Feed,
    ) -> None:
        """`prove` gives a fact to the ledger; `nudge` wakes a conversation that may have waited for it."""
        self._db = db
        self._heard = Heard(db)
        self._prove = prove
        self._nudge = nudge
        self._feed = feed

    async def settle(self, own: Sequence[OwnMessage], clock_ahead_seconds: float | None) -> frozenset[str]:
        """Settle what these messages prove; returns the ids of those that Majlis sent. Persons wrote the others.

        Args:
          own: the business's messages of one instance, newest first, as the gateway gives its records.
          clock_ahead_seconds: how far the gateway's clock is ahead of ours; None: it does not say.

        Raises:
          LedgerUnavailable: ask again later; what was proven is proven.
        """
        if not own:
            return frozenset()
        instance = own[0].instance
        ours = set(await self._heard.ours(instance, [message.id for message in own]))
        others = [message for message in own if message.id not in ours]
        if not others:
            return frozenset(ours)
        phones = await self._phones(instance, others)
        parts = await self._unsettled(instance, others, phones)
        for part, message_id in matches(parts, own, ours, phones, clock_ahead_seconds):
            if await self._prove(Proof(part.turn_id, part.number, part.token, Sent(message_id))):
                ours.add(message_id)
                self._tell(part)
        return frozenset(ours)

    def _tell(self, part: OpenPart) -> None:
        if part.state == "sent":
            return
        self._feed.emit(
            "part.reconciled",
            part.conversation,
            turn=part.turn_id,
            part=part.number,
            reason="found_in_records",
        )
        self._nudge(part.conversation)

    async def _phones(self, instance: str, own: Sequence[OwnMessage]) -> dict[str, str]:
        """The phone numbers of LIDs, as the records give them and as they were learned before."""
        names = {name for message in own for name in (message.contact, message.lid) if name}
        rows = await self._db.fetch(_LINKS, storable(instance), [storable(name) for name in names])
        told = {message.lid: message.contact for message in own if message.lid}
        return told | {row["lid"]: row["phone"] for row in rows}

    async def _unsettled(
        self, instance: str, own: Sequence[OwnMessage], phones: Mapping[str, str]
    ) -> list[OpenPart]:
        people = {phones.get(message.contact, message.contact) for message in own}
        names = people | {lid for lid, phone in phones.items() if phone in people}
        keys = [storable(Conversation(instance, name).key) for name in names]
        found = list[OpenPart]()
        for start in range(0, len(keys), MAX_KEYS):
            rows = await self._db.fetch(_UNSETTLED, keys[start : start + MAX_KEYS], MAX_TURNS)
            found += map(_open_part, rows, repeat(time.time()))
        return found


def _open_part(row: Row, now: float) -> OpenPart:
    # Two clocks that disagree give two moments; the wider span is the safe one.
    behind = now - row["now"]
    return OpenPart(
        row["turn_id"],
        row["part"],
        Conversation.from_key(row["conversation_key"]),
        row["text"],
        row["state"],
        row["token"],
        min(row["first_claim"], row["first_claim"] + behind),
        max(row["last_claim"], row["last_claim"] + behind),
    )


def matches(
    parts: Sequence[OpenPart],
    own: Sequence[OwnMessage],
    owned: Collection[str],
    phones: Mapping[str, str],
    clock_ahead_seconds: float | None,
) -> list[tuple[OpenPart, str]]:
    """Which of the business's messages, newest first, is which part's. Pure.

    Args:
      owned: ids that belong to other replies.
      phones: the phone numbers of LIDs.
    """
    records: dict[str, list[SentRecord]] = {}
    for one in own:
        person = phones.get(one.contact, one.contact)
        records.setdefault(person, []).append(SentRecord(one.id, one.sent_at, (person,), one.text))
    taken, found = set(owned), []
    for part in sorted(parts, key=lambda part: (part.first_claim, part.turn_id, part.number)):
        person = phones.get(part.conversation.contact, part.conversation.contact)
        record = evidence.oldest(
            records.get(person, ()),
            person,
            part.text,
            evidence.earliest(part.first_claim, clock_ahead_seconds),
            taken,
            _latest(part.last_claim, clock_ahead_seconds),
        )
        if record is not None:
            taken.add(record.id)
            found.append((part, record.id))
    return found


def _latest(last_claim: float, clock_ahead_seconds: float | None) -> int:
    """Until when a record may be that of a send, by the gateway's clock."""
    late_seconds = LATE_SECONDS + evidence.tolerance_seconds(clock_ahead_seconds)
    return math.ceil(last_claim + (clock_ahead_seconds or 0.0)) + late_seconds
