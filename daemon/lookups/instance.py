"""The settings of an instance. Every turn begins with them, so they are cached for a while.

An existing database may keep them in columns of other types than ours. They are interpreted here, and a value without
a meaning counts as missing.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from actors.instance import InstanceRecord
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

_SQL = "SELECT majlis_instance_record($1)"

_BETWEEN_KEYWORDS = re.compile(r'[,،;؛\n{}"]')

_YES = frozenset({"true", "t", "yes", "on", "1"})


async def instance_record(db: Postgres, name: str) -> InstanceRecord:
    return read_record(msgspec.json.decode(await db.value(_SQL, storable(name))))


def read_record(row: dict[str, Any]) -> InstanceRecord:
    """Interpret the values of a database row. Pure; never fails."""
    return InstanceRecord(
        rule=_text(row.get("rule")),
        system_prompt=_text(row.get("system_prompt")) or None,
        escalation_enabled=_flag(row.get("escalation_enabled")),
        escalation_threshold=_count(row.get("escalation_threshold")) or InstanceRecord().escalation_threshold,
        escalation_keywords=_keywords(row.get("escalation_keywords")),
        escalated_message=_text(row.get("escalated_message")),
        fallback_message=_text(row.get("fallback_message")),
        knowledge_files=_count(row.get("knowledge_files")),
        knowledge_version=_count(row.get("knowledge_version")),
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _flag(value: Any) -> bool:
    return str(value).strip().lower() in _YES


def _count(value: Any) -> int:
    """A positive whole number; otherwise 0."""
    try:
        return max(int(float(value)), 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _keywords(value: Any) -> tuple[str, ...]:
    """From a list, or from text: a JSON list, a Postgres array, or words separated by commas or newlines."""
    words = value
    if isinstance(value, str):
        try:
            words = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            words = None
        if not isinstance(words, list):
            words = _BETWEEN_KEYWORDS.split(value)
    if not isinstance(words, list):
        return ()
    return tuple(dict.fromkeys(word for word in map(_text, words) if word))
