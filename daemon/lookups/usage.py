"""How much of its limits has the contact used, how much the instance?"""

from __future__ import annotations

import msgspec

from actors.facts import Usage
from actors.ports import Question
from daemon.ledger.wire import storable
from daemon.lookups.spec import LookupSpec, Means

_SQL = """
    WITH at AS (
        SELECT now() - interval '1 minute' AS minute_ago, now() AT TIME ZONE 'UTC' AS utc
    ), contact AS (
        SELECT count(*) AS turns, min(answered_at) AS oldest FROM majlis_turns
        WHERE conversation_key = $1 AND rule = '' AND answered_at > now() - interval '1 minute'
    ), instance AS (
        SELECT count(*) AS turns, min(answered_at) AS oldest FROM majlis_turns
        WHERE instance = $2 AND rule = '' AND answered_at > now() - interval '1 minute'
    )
    SELECT contact.turns AS contact_turns,
           coalesce(extract(epoch FROM contact.oldest - minute_ago), 0)::float8 AS contact_wait_seconds,
           instance.turns AS instance_turns,
           coalesce(extract(epoch FROM instance.oldest - minute_ago), 0)::float8 AS instance_wait_seconds,
           coalesce(used.input_tokens + used.output_tokens, 0) AS tokens_today,
           coalesce(used.cost_micros, 0) AS cost_micros_today,
           extract(epoch FROM date_trunc('day', utc) + interval '1 day' - utc)::float8 AS day_wait_seconds
    FROM at CROSS JOIN contact CROSS JOIN instance
    LEFT JOIN majlis_usage used ON used.instance = $2 AND used.day = utc::date
"""


async def _run(means: Means, question: Question) -> Usage:
    conversation = question.batch.conversation
    rows = await means.db.fetch(_SQL, storable(conversation.key), storable(conversation.instance))
    return msgspec.convert(rows[0], Usage)


def _nothing_is_limited(question: Question) -> bool:
    terms = question.terms
    limits = (
        terms.turns_per_minute_per_contact,
        terms.turns_per_minute,
        terms.tokens_per_day,
        terms.cost_per_day_micros,
    )
    return all(limit is None for limit in limits)


LOOKUP = LookupSpec("usage", _run, skip=_nothing_is_limited)
