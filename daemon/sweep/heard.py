"""Which messages of the gateway's records the ledger knows already, by id."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from actors.identity import Conversation
from actors.triage import ESCALATION, FALLBACK
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

MAX_IDS = 1_000
"""So many are asked for at once."""

# OFFSET 0: one look into the index for each id, also by a plan that was made when the tables were empty.
_HEARD = """
    SELECT DISTINCT h.message_id AS id
    FROM unnest($2::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT message_id, conversation_key FROM majlis_heard WHERE message_id = asked.id OFFSET 0) h
    WHERE starts_with(h.conversation_key, $1)
"""

_OURS = """
    SELECT o.id
    FROM unnest($2::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT gateway_message_id AS id, turn_id FROM majlis_outbox WHERE gateway_message_id = asked.id OFFSET 0) o
    CROSS JOIN LATERAL (SELECT instance FROM majlis_turns WHERE id = o.turn_id OFFSET 0) t
    WHERE t.instance = $1
    UNION
    SELECT n.id
    FROM unnest($2::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT gateway_message_id AS id, instance FROM majlis_notices
        WHERE gateway_message_id = asked.id OFFSET 0) n
    WHERE n.instance = $1
"""

# What says nothing to the matter answers nothing: the customer still waits.
_ANSWERS = """
    SELECT o.id, CASE WHEN t.provider = ANY ($3::text[]) THEN 0 ELSE t.until END AS until
    FROM unnest($2::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT gateway_message_id AS id, turn_id FROM majlis_outbox WHERE gateway_message_id = asked.id OFFSET 0) o
    CROSS JOIN LATERAL (
        SELECT instance, provider, (
            SELECT max(least((m.value ->> 'sent_at')::numeric, 1e12))::bigint
            FROM jsonb_array_elements(messages) AS m (value)) AS until
        FROM majlis_turns WHERE id = o.turn_id OFFSET 0) t
    WHERE t.instance = $1 AND t.until IS NOT NULL
    UNION ALL
    SELECT n.id, 0
    FROM unnest($2::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT gateway_message_id AS id, instance FROM majlis_notices
        WHERE gateway_message_id = asked.id OFFSET 0) n
    WHERE n.instance = $1
    UNION ALL
    SELECT b.id, 0
    FROM unnest($2::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT message_id AS id, sender, verdict FROM majlis_own_messages
        WHERE instance = $1 AND message_id = asked.id OFFSET 0) b
    WHERE b.verdict <> 'silence' AND NOT (b.sender = 'agent' AND b.verdict = 'history')
"""


class Heard:
    """What was heard, and what we said. Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def heard(self, instance: str, ids: Collection[str]) -> frozenset[str]:
        """Those of these customers' messages that a turn of the instance has heard, in whatever conversation.

        What still waits in the mirror is not among them: the mirror knows it by itself.
        """
        any_contact = Conversation(instance, "").key
        return await self._known(_HEARD, any_contact, ids)

    async def ours(self, instance: str, ids: Collection[str]) -> frozenset[str]:
        """Those of these messages that Majlis itself sent: parts of replies, and notices."""
        return await self._known(_OURS, instance, ids)

    async def answers(self, instance: str, ids: Collection[str]) -> Mapping[str, int]:
        """Up to when those of these messages that no person of the business wrote answer what the customer said.

        Of a reply of ours, that is the time of the last message that it heard. 0: it answers nothing, as a notice, a
        fallback or an escalated message; as a greeting, an announcement, a reminder of other software, a command.
        """
        found = dict[str, int]()
        for some in _asked(ids):
            rows = await self._db.fetch(_ANSWERS, storable(instance), [*some], [ESCALATION, FALLBACK])
            found.update((original, row["until"]) for row in rows for original in some[row["id"]])
        return found

    async def _known(self, sql: str, where: str, ids: Collection[str]) -> frozenset[str]:
        found = set[str]()
        for some in _asked(ids):
            rows = await self._db.fetch(sql, storable(where), [*some])
            found.update(original for row in rows for original in some[row["id"]])
        return frozenset(found)


def _asked(ids: Collection[str]) -> Iterator[dict[str, list[str]]]:
    """The ids as they are stored, each with those it stands for."""
    left = iter(ids)
    while some := list(islice(left, MAX_IDS)):
        stored: dict[str, list[str]] = {}
        for one in some:
            stored.setdefault(storable(one), []).append(one)
        yield stored
