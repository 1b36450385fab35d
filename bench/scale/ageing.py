"""Gives conversations a past: their latest turn is copied many times, with all that belongs to it, by SQL.

Columns are copied as they are found, so a table may change without a change here, but for those that tell one turn
from another. The indexes that hold no rule are dropped meanwhile and made again, and nothing is written to disk before
the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

_TABLES = ("majlis_turns", "majlis_outbox", "majlis_heard", "whatsapp_messages", "whatsapp_ai_interactions")
_AGED = """
    CREATE TEMP TABLE aged AS
    SELECT (SELECT max(id) FROM majlis_turns) + row_number() OVER (ORDER BY g DESC, seed.id) AS id,
           seed.id AS seed, seed.conversation_key AS key, g,
           interval '1 day' + g * interval '1 minute' AS age
    FROM (SELECT DISTINCT ON (contact) id, conversation_key FROM majlis_turns
          WHERE contact LIKE $1 || '%' AND state = 'done' ORDER BY contact, id DESC) AS seed
    CROSS JOIN generate_series(1, $2::int) AS g
"""
_TURN = {
    "id": "aged.id",
    "batch_number": "s.batch_number - 86400000 - aged.g * 60000",
    "text_hash": "md5(aged.id::text)",
    "message_ids": "ARRAY['old-' || aged.id]",
    "messages": "jsonb_set(s.messages, '{0,id}', to_jsonb('old-' || aged.id))",
    "created_at": "s.created_at - aged.age",
    "opened_at": "s.opened_at - aged.age",
    "answered_at": "s.answered_at - aged.age",
    "finished_at": "s.finished_at - aged.age",
    "window_ended_at": "s.window_ended_at - aged.age",
}
_PART = {
    "turn_id": "aged.id",
    "gateway_message_id": "'OLD' || aged.id || '-' || s.part",
    "claimed_at": "s.claimed_at - aged.age",
    "last_claimed_at": "s.last_claimed_at - aged.age",
    "settled_at": "s.settled_at - aged.age",
}
_MESSAGES = """
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT s.conversation_id::bigint, who.sender, 'words of the ' || aged.g || 'th turn before',
           who.prefix || aged.id, s.created_at - aged.age
    FROM aged JOIN majlis_turns s ON s.id = aged.seed
    CROSS JOIN (VALUES ('user', 'old-'), ('assistant', 'OLD')) AS who (sender, prefix)
"""
_HEARD = (
    "INSERT INTO majlis_heard (message_id, conversation_key, turn_id) SELECT 'old-' || id, key, id FROM aged"
)


async def age(sockets: str, prefix: str, turns: int) -> None:
    """Give each contact whose number begins so, and who had an answer, this many earlier turns."""
    connection = await asyncpg.connect(host=sockets, user="majlis", database="majlis", command_timeout=3600)
    try:
        await connection.execute(
            "SET session_replication_role = replica; SET synchronous_commit = off; "
            "SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'"
        )
        indexes = await _drop_indexes(connection)
        await connection.execute(_AGED, prefix, turns)
        await _copy(connection, "majlis_turns", "s.id = aged.seed", _TURN)
        await _copy(connection, "majlis_outbox", "s.turn_id = aged.seed", _PART)
        await connection.execute(_HEARD)
        await connection.execute(_MESSAGES)
        await connection.execute(
            "SELECT setval(pg_get_serial_sequence('majlis_turns', 'id'), (SELECT max(id) FROM majlis_turns))"
        )
        for index in indexes:
            await connection.execute(index)
        for table in _TABLES:
            if await connection.fetchval("SELECT to_regclass($1)", table):
                await connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
        await connection.execute("CHECKPOINT")
    finally:
        connection.terminate()


async def _drop_indexes(connection: asyncpg.Connection) -> list[str]:
    """The statements that make them again."""
    found = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index "
        "WHERE indrelid = ANY (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) AND NOT indisunique",
        _TABLES,
    )
    for index in found:
        await connection.execute(f"DROP INDEX {index['name']}")
    return [index["definition"] for index in found]


async def _copy(connection: asyncpg.Connection, table: str, join: str, instead: Mapping[str, str]) -> None:
    """Copy the seed's rows of a table for each aged turn."""
    rows = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped",
        table,
    )
    names = [row["attname"] for row in rows]
    values = ", ".join(instead.get(name, f's."{name}"') for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    await connection.execute(
        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE "
        f"SELECT {values} FROM aged JOIN {table} s ON {join} ORDER BY aged.id"
    )
