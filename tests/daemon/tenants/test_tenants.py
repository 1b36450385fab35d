"""Instances over a real Postgres: added, changed, given back, removed; each change is one version."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.errors import Conflict, LedgerUnavailable, Missing
from daemon.controls.run_time import RunTimeRows
from daemon.ledger.rows import FlagRow
from daemon.tenants.rows import SqlChange
from tests.daemon.tenants.conftest import BY, Node, Nodes


async def test_a_new_instance_is_one_version_and_known_everywhere(nodes: Nodes) -> None:
    here, there, world = nodes
    await here.changes.look()
    await there.changes.look()
    done = await here.tenants.add(
        "shop",
        {
            "prompt": "You sell شاي.",
            "batching.window_seconds": "5",
            "flags.cache": False,
            "escalation.keywords": '["manager", "مدير"]',
            "model": "big",
            "mode": "off",
        },
        BY,
        "first customer",
    )
    assert done.version == 1
    await there.changes.look()
    for node in (here, there):
        assert "shop" in node.known and node.live.window("shop").window_seconds == 5
        assert node.live.terms("shop").mode == "off" and not node.flags.of("shop").cache
        assert node.told == [(frozenset({"shop"}), frozenset({"shop"}))] and "shop" in node.forgotten
        assert node.live.for_instance("shop").responder.providers[0].model == "big"
    record = await world.lookups.instance("shop")
    assert (record.rule, record.system_prompt, record.escalation_enabled) == ("", "You sell شاي.", True)
    assert record.escalation_keywords == ("manager", "مدير")
    ((version, changes),) = await here.tenants.history("shop", 10)
    assert (version.made_by, version.what, version.why) == (BY, "add", "first customer")
    assert {one.key for one in changes} == {
        *("prompt", "batching.window_seconds", "flags.cache", "escalation.keywords", "mode", "active"),
        *("escalation.enabled", "responder.providers.0.model", "escalation.threshold"),
    }
    for name in ("shop", "Shop", "demo"):
        with pytest.raises(Conflict, match=r"exists already|differs in case alone"):
            await here.tenants.add(name, {}, BY)
    for name in ("", " x", "a\nb", "x" * 129, "a/b"):
        with pytest.raises(Conflict, match=r"name must|at most 128"):
            await here.tenants.add(name, {}, BY)


async def test_a_change_reads_and_judges_that_instance_alone(nodes: Nodes) -> None:
    """With hundreds of instances a change would take half a second otherwise."""
    here, there, _ = nodes
    await here.tenants.add("shop", {"batching.window_seconds": 5, "flags.cache": False}, BY)
    await here.tenants.change("demo", {"batching.window_seconds": 5}, (), BY)
    await there.changes.look()
    read: list[RunTimeRows] = []

    async def note(reading: RunTimeRows) -> None:
        await trio.lowlevel.checkpoint()
        read.append(reading)

    for node in (here, there):
        node.run_time.follow(note)
        before, terms = node.live.for_instance("demo"), node.live.terms("demo")
        if node is here:
            await here.tenants.change("shop", {"batching.window_seconds": 6}, ["flags.cache"], BY)
        else:
            await there.changes.look()
        assert node.live.window("shop").window_seconds == 6 and node.flags.of("shop").cache
        assert node.live.for_instance("demo") is before and node.live.terms("demo") is terms
        (reading,) = read
        assert reading.buckets is not None and len(reading.buckets) == 1
        await node.changes.look()
        assert read == [reading], "nothing changed, nothing is read"
        read.clear()


async def test_what_is_read_in_parts_is_what_is_read_whole(nodes: Nodes) -> None:
    """Also what is gone."""
    here, there, world = nodes
    for name in ("shop", "demo", "acme"):
        await world.records.set_setting(f"instance:{name}", "batching.window_seconds", 5, "")
        await world.records.set_flag(FlagRow(f"instance:{name}", "cache", False))
    await here.changes.look()
    await world.records.clear_setting("instance:shop", "batching.window_seconds")
    await world.records.clear_flag("instance:demo", "cache")
    await world.records.clear_setting("instance:acme", "batching.window_seconds")
    await world.records.clear_flag("instance:acme", "cache")
    await here.changes.look()
    await there.run_time.refresh()
    for node in (here, there):
        windows = [node.live.window(name).window_seconds for name in ("shop", "demo", "acme")]
        assert (windows, [node.flags.of(name).cache for name in ("shop", "demo", "acme")]) == (
            [8, 5, 3],
            [False, True, True],
        )


async def test_all_of_a_change_comes_into_force_in_one_moment(nodes: Nodes) -> None:
    """A turn that begins meanwhile has the old settings, flags and row, or the new ones."""
    here, there, _ = nodes
    await here.tenants.add("shop", {"batching.window_seconds": 5, "flags.cache": True}, BY)
    await there.changes.look()
    change = {"prompt": "New.", "batching.window_seconds": 6, "flags.cache": False}
    seen = set[tuple[float, bool, bool]]()

    async def watch(node: Node, changed: trio.Event) -> None:
        node.forgotten.clear()
        while True:
            seen.add(
                (
                    node.live.window("shop").window_seconds,
                    node.flags.of("shop").cache,
                    "shop" in node.forgotten,
                )
            )
            if len(seen) > 1:
                changed.set()
            await trio.lowlevel.checkpoint()

    for node in (here, there):
        seen.clear()
        async with trio.open_nursery() as nursery:
            changed = trio.Event()
            nursery.start_soon(watch, node, changed)
            if node is here:
                await here.tenants.change("shop", change, (), BY)
            else:
                await there.changes.look()
            with trio.fail_after(60):
                await changed.wait()
            nursery.cancel_scope.cancel()
        assert seen == {(5, True, False), (6, False, True)}, "old or new, and both were seen"


async def test_one_wrong_key_changes_nothing_and_every_fault_is_named(nodes: Nodes) -> None:
    here, _, world = nodes
    before = await here.tenants.state("demo")
    with pytest.raises(Conflict) as refused:
        await here.tenants.change(
            "demo",
            {
                "prompt": "good",
                "batching.window_seconds": -1,
                "batching.windw_seconds": 5,
                "escalation.threshold": "many",
                "flags.cach": True,
                "gateway.api_key": "s3cret-key",
                "webhook_url": "ftp://user:s3cret-key@x",
            },
            ["hours"],
            BY,
        )
    lines = str(refused.value).splitlines()
    assert len(lines) == 7 and "s3cret-key" not in str(refused.value)
    for words in (
        "batching.window_seconds: must be greater than 0; it is -1",
        "did you mean batching.window_seconds",
        "escalation.threshold: must be a whole number; it is 'many'",
        "flags.cach: there is no such feature flag; allowed: parallel",
        "gateway.api_key: secrets of instances cannot be stored here yet",
        "webhook_url: must be an http:// or https:// address",
        "hours: is not set for this instance",
    ):
        assert any(words in line for line in lines), (words, lines)
    assert await here.tenants.state("demo") == before
    assert (await world.lookups.instance("demo")).system_prompt is None
    with pytest.raises(Missing, match="There is no instance called nobody"):
        await here.tenants.change("nobody", {"prompt": "x"}, (), BY)
    with pytest.raises(Conflict, match="max_messages: must be at most max_batch_messages"):
        await here.tenants.change("demo", {"batching.max_messages": 60}, (), BY)
    await here.tenants.change(
        "demo", {"batching.max_messages": 60, "batching.max_batch_messages": 60}, (), BY
    )


async def test_what_fits_no_more_for_want_of_a_wrong_one_is_not_named(nodes: Nodes) -> None:
    here, _, _ = nodes
    provider = {"kind": "openai", "base_url": "no address", "model": "small"}
    wanted = {f"responder.providers.0.{key}": value for key, value in provider.items()}
    with pytest.raises(Conflict) as refused:
        await here.tenants.change("demo", wanted, (), BY)
    assert str(refused.value).splitlines() == [
        "responder.providers.0.base_url: must be an http:// or https:// address; it is 'no address'"
        " (from majlis instance set)"
    ]


async def test_a_version_is_given_back_whole(nodes: Nodes) -> None:
    here, _, world = nodes
    await here.tenants.change("demo", {"prompt": "one", "batching.window_seconds": 5}, (), BY)
    first = await here.tenants.state("demo")
    same = await here.tenants.change("demo", {"prompt": "one"}, (), BY)
    assert (same.version, same.differences) == (first.version, ())
    await here.tenants.change(
        "demo", {"prompt": "two", "flags.cache": "off", "active": False}, ["batching.window_seconds"], BY
    )
    assert (await world.lookups.instance("demo")).rule == "inactive_instance"
    done = await here.tenants.restore("demo", None, BY)
    again = await here.tenants.state("demo")
    assert again.state == first.state and again.version == done.version == first.version + 2
    assert (await world.lookups.instance("demo")).rule == ""
    assert here.live.window("demo").window_seconds == 5 and here.flags.of("demo").cache
    await here.tenants.restore("demo", 1, BY)
    assert (await here.tenants.state("demo")).state.settings == {}
    with pytest.raises(Missing, match="demo has no version 77"):
        await here.tenants.restore("demo", 77, BY)


async def test_a_removed_instance_is_inactive_unknown_and_comes_back_when_it_is_added(nodes: Nodes) -> None:
    here, there, world = nodes
    await here.tenants.add("shop", {"prompt": "one", "hours": ["sun-thu 09:00-22:00"]}, BY)
    await there.changes.look()
    with pytest.raises(Conflict, match=r"demo is declared in config\.yaml"):
        await here.tenants.remove("demo", BY)
    await here.tenants.remove("shop", BY)
    await there.changes.look()
    for node in (here, there):
        assert "shop" not in node.known and node.live.for_instance("shop").hours == ()
    assert (await world.lookups.instance("shop")).rule == "inactive_instance"
    assert not await world.records.knows_instance("shop")
    assert [one.instance for one in await here.tenants.list()] == ["acme", "demo"]
    with pytest.raises(Missing):
        await here.tenants.change("shop", {"prompt": "x"}, (), BY)
    rows = await world.rows("SELECT count(*) AS rows FROM whatsapp_instances WHERE instance_name = 'shop'")
    done = await here.tenants.add("shop", {"prompt": "two"}, BY)
    assert done.version == 3 and rows == await world.rows(
        "SELECT count(*) AS rows FROM whatsapp_instances WHERE instance_name = 'shop'"
    )
    record = await world.lookups.instance("shop")
    assert (record.rule, record.system_prompt) == ("", "two")
    await here.tenants.remove("shop", BY)
    await here.tenants.restore("shop", 1, BY)
    assert here.live.for_instance("shop").hours == ("sun-thu 09:00-22:00",) and "shop" in here.known
    await here.tenants.remove("shop", BY)
    await world.rows("UPDATE whatsapp_instances SET is_active = true WHERE instance_name = 'shop'")
    await there.changes.look()
    assert "shop" in there.known, "their own software switched it on again"


async def test_of_two_changes_at_once_none_is_lost(nodes: Nodes) -> None:
    """Each is judged on top of the other; the restored version is not overwritten by what was planned before."""
    here, there, _ = nodes
    first = (await here.tenants.state("demo")).version
    async with trio.open_nursery() as nursery:
        for turn, node in enumerate((here, there) * 3):
            key = f"takeover.commands.{'resume' if turn % 2 else 'pause'}"
            nursery.start_soon(node.tenants.change, "demo", {key: f"#{turn}", "prompt": f"p{turn}"}, (), BY)
    told = await here.tenants.history("demo", 10)
    assert [version.version for version, _ in told if version.version > first] == list(
        range(first + 6, first, -1)
    )
    stale = await here.rows.change("demo", first, SqlChange(columns={"prompt": "stale"}), BY, "", "change")
    assert stale is None and (await here.tenants.state("demo")).state.columns["prompt"] != "stale"


async def test_a_change_that_is_stored_is_a_success_although_postgres_goes_away(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 and an audit entry `failed` would lie about it; the poll puts it in force later."""
    here, there, _ = nodes
    change = here.rows.change

    async def away(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("postgres_unreachable")

    async def stored(*arguments: Any) -> int | None:
        number = await change(*arguments)
        monkeypatch.setattr(here.rows, "version", away)
        monkeypatch.setattr(here.rows, "marks", away)
        return number

    monkeypatch.setattr(here.rows, "change", stored)
    done = await here.tenants.change("demo", {"prompt": "kept"}, (), BY)
    assert [(one.key, one.after) for one in done.differences] == [("prompt", "kept")]
    assert (await there.tenants.state("demo")).version == done.version
