"""The settings of an instance. Every turn begins with them, so they are cached for a while.

An existing database may keep them in columns of other types than ours; a value without a meaning counts as missing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.instance import InstanceRecord
from daemon.ledger.shared_columns import count, flag, text, words
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

_SQL = "SELECT majlis_instance_record($1)"


async def instance_record(db: Postgres, name: str) -> InstanceRecord:
    return read_record(msgspec.json.decode(await db.value(_SQL, storable(name))))


def read_record(row: dict[str, Any]) -> InstanceRecord:
    """Interpret the values of a database row. Pure; never fails."""
    return InstanceRecord(
        rule=text(row.get("rule")),
        system_prompt=text(row.get("system_prompt")) or None,
        escalation_enabled=flag(row.get("escalation_enabled")),
        escalation_threshold=count(row.get("escalation_threshold")) or InstanceRecord().escalation_threshold,
        escalation_keywords=words(row.get("escalation_keywords")),
        escalated_message=text(row.get("escalated_message")),
        fallback_message=text(row.get("fallback_message")),
        knowledge_files=count(row.get("knowledge_files")),
        knowledge_version=count(row.get("knowledge_version")),
    )
