"""How much of their limits the contact and the instance have used.

This lookup also writes: if a rate is limited and has room, the turn takes its place in the same statement. Checking
first and counting later would let a hundred concurrent turns through a gap for one.
"""

from __future__ import annotations

import msgspec

from actors.lookups import Usage
from actors.ports import Question
from daemon.ledger.wire import storable
from daemon.lookups.spec import LookupSpec, Means

_SQL = """
    WITH at AS (
        SELECT now() - interval '1 minute' AS minute_ago, now() AT TIME ZONE 'UTC' AS utc
    )
    SELECT p.contact_turns, p.instance_turns,
           extract(epoch FROM p.contact_oldest - minute_ago)::float8 AS contact_wait_seconds,
           extract(epoch FROM p.instance_oldest - minute_ago)::float8 AS instance_wait_seconds,
           coalesce(used.input_tokens + used.output_tokens, 0) AS tokens_today,
           coalesce(used.cost_micros, 0) AS cost_micros_today,
           coalesce(used.answers, 0) AS answers_today,
           extract(epoch FROM date_trunc('day', utc) + interval '1 day' - utc)::float8 AS day_wait_seconds,
           majlis_said_since($3, now() - make_interval(secs => least($6::float8, 1e9)), 'fallback') AS fallback_said
    FROM at
    LEFT JOIN LATERAL majlis_take_place($1, $2, $3, $4, $5) p ON $4::bigint IS NOT NULL OR $5::bigint IS NOT NULL
    LEFT JOIN majlis_usage used ON used.instance = $2 AND used.day = utc::date
"""


async def _run(means: Means, question: Question) -> Usage:
    conversation, terms = question.batch.conversation, question.terms
    [row] = await means.db.fetch(
        _SQL,
        question.turn.id,
        storable(conversation.instance),
        storable(conversation.key),
        terms.turns_per_minute_per_contact,
        terms.turns_per_minute,
        float(terms.escalated_repeat_seconds),
    )
    return msgspec.convert({name: value for name, value in row.items() if value is not None}, Usage)


def _nothing_is_limited(question: Question) -> bool:
    terms = question.terms
    limits = (
        terms.turns_per_minute_per_contact,
        terms.turns_per_minute,
        terms.tokens_per_day,
        terms.cost_per_day_micros,
        terms.cost_per_message_micros,
    )
    return all(limit is None for limit in limits)


LOOKUP = LookupSpec("usage", _run, skip=_nothing_is_limited)
