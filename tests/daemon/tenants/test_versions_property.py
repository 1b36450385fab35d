"""Whatever is changed, and whichever version is given back: the state is that of the version."""

from __future__ import annotations

from functools import partial

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.errors import Conflict
from daemon.tenants.rows import State
from tests.daemon.tenants.conftest import BY, Node
from tests.support.ledgers import open_world

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30
)
VALUES = {
    "prompt": TEXT,
    "active": st.booleans(),
    "escalation.enabled": st.booleans(),
    "escalation.threshold": st.integers(1, 9),
    "escalation.keywords": st.lists(TEXT.filter(bool), max_size=3),
    "escalation.message": TEXT,
    "webhook_url": st.sampled_from(["https://a.example/x", "http://b.example"]),
    "batching.window_seconds": st.floats(0.5, 60),
    "limits.turns_per_minute": st.none() | st.integers(1, 100),
    "takeover.automatic_texts": st.lists(TEXT.filter(str.strip), max_size=2),
    "model": TEXT.filter(str.strip),
    "flags.cache": st.booleans(),
    "mode": st.sampled_from(["live", "shadow", "off"]),
}
CHANGE = st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), min_size=1, max_size=4).flatmap(
    lambda keys: st.fixed_dictionaries({key: VALUES[key] for key in keys})
)
UNSET = st.sampled_from(sorted(VALUES))
SQL = st.sampled_from(
    [
        "UPDATE whatsapp_instances SET escalation_threshold = escalation_threshold + 1, escalated_message = NULL",
        "UPDATE whatsapp_ai_config SET is_active = NOT is_active, system_prompt = 'sql ' || system_prompt",
        "DELETE FROM majlis_settings WHERE key = 'batching.window_seconds'",
        "DELETE FROM whatsapp_ai_config",
    ]
)
STEP = (
    st.tuples(st.just("change"), CHANGE) | st.tuples(st.just("unset"), UNSET) | st.tuples(st.just("sql"), SQL)
)
STEPS = st.lists(STEP | st.tuples(st.just("restore"), st.integers(0, 99)), min_size=2, max_size=8)


def without_place(state: State) -> tuple[object, ...]:
    return state.there, state.columns, state.settings, state.flags


def in_force(node: Node, name: str) -> tuple[object, ...]:
    return node.live.for_instance(name), node.live.terms(name), node.live.window(name), node.flags.of(name)


async def walk(dsn: str, all_steps: list[list[tuple[str, object]]]) -> None:
    async with open_world(dsn) as world:
        node = Node(world, "node-a")
        tenants = node.tenants
        for place, steps in enumerate(all_steps):
            name = f"shop {place}"
            await tenants.add(name, {}, BY)
            known = {1: (await tenants.state(name)).state}
            for what, argument in steps:
                try:
                    if what == "change":
                        assert isinstance(argument, dict)
                        await tenants.change(name, argument, (), BY)
                    elif what == "unset":
                        await tenants.change(name, {}, [str(argument)], BY)
                    elif what == "sql":
                        await world.rows(str(argument))
                    else:
                        assert isinstance(argument, int)
                        version = sorted(known)[argument % len(known)]
                        await tenants.restore(name, version, BY)
                        now = (await tenants.state(name)).state
                        assert without_place(now) == without_place(known[version]), (steps, version)
                except Conflict as refused:
                    assert "Nothing is changed" not in str(refused), "refused before it is tried"
                last = await tenants.state(name)
                known[last.version] = last.state
            for version, state in known.items():
                kept = await node.rows.version(name, version)
                assert kept is not None and kept.state == state, "a version never changes"
            await node.changes.look()
            assert node.live.tried(name, ()) is not None and not node.stored.left_out
            whole = Node(world, "node-b")
            await whole.run_time.refresh()
            for one in node.live.names | whole.live.names:
                assert in_force(node, one) == in_force(whole, one), (
                    "what is read in parts is what is read whole"
                )


drawn: list[list[tuple[str, object]]] = []


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def draw(steps: list[tuple[str, object]]) -> None:
    drawn.append(steps)


def test_any_sequence_of_changes_and_restores_gives_the_state_of_that_version(
    migrated_postgres_dsn: str,
) -> None:
    """One database for all examples: each has an instance of its own."""
    drawn.clear()
    draw()
    trio.run(partial(walk, migrated_postgres_dsn, drawn))
