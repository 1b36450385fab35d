"""The settings of an instance: read from columns of any type, and cached for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LedgerUnavailable
from actors.instance import InstanceRecord
from daemon.lookups import PostgresLookups
from daemon.lookups.instance import instance_record, read_record
from tests.support.ledgers import LedgerWorld, open_world


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def test_an_instance_without_settings_has_the_defaults(world: LedgerWorld) -> None:
    assert await instance_record(world.db, "demo") == InstanceRecord()
    assert await instance_record(world.db, "nobody") == InstanceRecord(rule="unknown_instance")
    await world.rows("UPDATE whatsapp_instances SET is_active = false")
    assert (await instance_record(world.db, "demo")).rule == "inactive_instance"


async def test_all_settings_of_an_instance_are_read(world: LedgerWorld) -> None:
    await world.rows(
        "UPDATE whatsapp_instances SET escalation_enabled = true, escalation_threshold = 2,"
        " escalation_keywords = ARRAY['manager', 'المدير'], escalated_message = 'wait', fallback_message = 'sorry'"
    )
    await world.rows(
        "INSERT INTO whatsapp_ai_config (whatsapp_instance_id, is_active, system_prompt, created_at)"
        " SELECT id, active, prompt, now() - age FROM whatsapp_instances, (VALUES"
        " (true, 'older', interval '2 days'), (NULL, 'newest active', interval '1 day'),"
        " (false, 'switched off', interval '0'), (true, 'undated', NULL)) AS config (active, prompt, age)"
    )
    await world.rows("INSERT INTO majlis_knowledge_versions (instance, version, files) VALUES ('demo', 7, 3)")
    assert await instance_record(world.db, "demo") == InstanceRecord(
        system_prompt="newest active",
        escalation_enabled=True,
        escalation_threshold=2,
        escalation_keywords=("manager", "المدير"),
        escalated_message="wait",
        fallback_message="sorry",
        knowledge_files=3,
        knowledge_version=7,
    )


@pytest.mark.parametrize(
    ("column_type", "stored"),
    [
        ("text[]", "{manager,talk to me}"),
        ("varchar(40)[]", "{manager,talk to me}"),
        ("jsonb", '["manager", "talk to me"]'),
        ("json", '["manager", "talk to me"]'),
        ("text", "manager, talk to me"),
        ("text", "manager\n\ntalk to me\n"),
        ("text", '["manager", "talk to me"]'),
        ("text", '{manager,"talk to me"}'),
        ("varchar(80)", "manager،talk to me"),
    ],
)
async def test_keywords_may_be_of_any_type(world: LedgerWorld, column_type: str, stored: str) -> None:
    await world.rows("ALTER TABLE whatsapp_instances DROP COLUMN escalation_keywords")
    await world.rows(f"ALTER TABLE whatsapp_instances ADD COLUMN escalation_keywords {column_type}")
    await world.rows(f"UPDATE whatsapp_instances SET escalation_keywords = '{stored}'")
    record = await instance_record(world.db, "demo")
    assert record.escalation_keywords == ("manager", "talk to me")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"escalation_enabled": "yes", "escalation_threshold": "2"},
            InstanceRecord(escalation_enabled=True, escalation_threshold=2),
        ),
        (
            {"escalation_enabled": 1, "escalation_threshold": 4.0},
            InstanceRecord(escalation_enabled=True, escalation_threshold=4),
        ),
        ({"escalation_enabled": "no", "escalation_threshold": 0}, InstanceRecord()),
        ({"escalation_threshold": -1, "escalation_keywords": {"a": 1}}, InstanceRecord()),
        (
            {"escalation_threshold": "many", "escalation_keywords": [1, None, " ", "a", "a"]},
            InstanceRecord(escalation_keywords=("a",)),
        ),
        ({"escalation_keywords": "911"}, InstanceRecord(escalation_keywords=("911",))),
        ({"system_prompt": " ", "escalated_message": None, "fallback_message": 3}, InstanceRecord()),
    ],
)
def test_a_meaningless_value_counts_as_missing(row: dict[str, Any], expected: InstanceRecord) -> None:
    assert read_record(row) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8
)


@given(st.dictionaries(st.sampled_from(InstanceRecord.__struct_fields__), values))
def test_no_row_is_unreadable(row: dict[str, Any]) -> None:
    record = read_record(row)
    assert record.escalation_threshold > 0
    assert all(record.escalation_keywords)


async def test_a_hundred_concurrent_turns_read_once(world: LedgerWorld) -> None:
    asked = 0
    fetch = world.db.fetch

    async def counted(*args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return await fetch(*args, **options)

    world.db.fetch = counted  # type: ignore[method-assign]
    lookups = PostgresLookups(world.db)
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(lookups.instance, "demo")
    assert asked == 1
    assert lookups.known_instance("demo") == await lookups.instance("demo")
    assert asked == 1


async def test_settings_change_with_a_reload(world: LedgerWorld) -> None:
    lookups = PostgresLookups(world.db)
    assert (await lookups.instance("demo")).escalated_message == ""
    await world.rows("UPDATE whatsapp_instances SET escalated_message = 'wait'")
    assert (await lookups.instance("demo")).escalated_message == ""
    lookups.forget()
    assert lookups.known_instance("demo") is None
    assert (await lookups.instance("demo")).escalated_message == "wait"


async def test_an_instance_set_up_meanwhile_is_read_at_once(world: LedgerWorld) -> None:
    """Its first turn must not combine the new rule with the old settings."""
    assert (await world.lookups.instance("late")).rule == "unknown_instance"
    await world.rows(
        "INSERT INTO whatsapp_instances (instance_name, escalation_enabled, is_active) VALUES ('late', true, false)"
    )
    assert (await world.lookups.instance("late")).rule == "inactive_instance"
    assert world.lookups.known_instance("late") is None
    await world.rows("UPDATE whatsapp_instances SET is_active = true WHERE instance_name = 'late'")
    record = await world.lookups.instance("late")
    assert (record.rule, record.escalation_enabled) == ("", True)


async def test_settings_are_unavailable_with_the_database(world: LedgerWorld) -> None:
    lookups = PostgresLookups(world.db, settings_cache_seconds=0)
    await lookups.instance("demo")
    await world.db.close()
    with pytest.raises(LedgerUnavailable):
        await lookups.instance("demo")
