"""How much of Redis each instance takes: measured in small steps, told when a whole walk is done."""

from __future__ import annotations

from urllib.parse import quote

from actors.messages import WindowPolicy
from daemon.mirror import sizes
from daemon.mirror.sizes import InstanceSizes
from tests.support.mirrors import fenced_mirror, message, real_store

POLICY = WindowPolicy(8.0, 5, 50, 1_000)


async def test_the_memory_of_each_instance_is_measured_in_steps(fresh_redis_url: str) -> None:
    async with real_store(fresh_redis_url) as store:
        mirror = await fenced_mirror(store)
        for number in range(300):
            await mirror.append(message(number, contact=f"5511{number}"), POLICY)
        for number in range(30):
            await mirror.append(message(number, instance="a: c/{me}", contact=f"5511{number}"), POLICY)
        found, steps = InstanceSizes(store), 1
        while not await found.step():
            assert found.latest is None, "half of a walk says nothing"
            steps += 1
        assert steps > 330 * 3 / sizes.KEYS_AT_A_TIME / 2, "a step is bounded"
        assert found.latest is not None and set(found.latest) == {"demo", "a: c/{me}"}
        assert {name: size.conversations for name, size in found.latest.items()} == {
            "demo": 300,
            "a: c/{me}": 30,
        }
        demo, other = found.latest["demo"].bytes, found.latest["a: c/{me}"].bytes
        assert 300 * 300 < demo < 300 * 5_000 and other < demo < 15 * other
        assert found.shared_bytes > 0
        assert quote("a: c/{me}", safe="") in str(await store.command("KEYS", "*state:*5511*")), (
            "as it is stored"
        )
        earlier = found.latest
        await store.command("FLUSHALL")
        while not await found.step():
            assert found.latest is earlier
        assert found.latest == {}
