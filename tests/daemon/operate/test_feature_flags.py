"""Feature flags, switched by operators."""

from __future__ import annotations

import pytest

from actors.errors import Conflict, Missing
from tests.support.operators import Operators


async def test_a_flag_is_set_for_instances_that_exist(operators: Operators) -> None:
    with pytest.raises(Missing, match="no instance called acm"):
        await operators.flags.set("cache", False, "acm", "uid 7")
    page = await operators.flags.set("cache", False, "demo", "uid 7")
    (cache,) = [flag for flag in page.flags if flag.flag == "cache"]
    assert cache.effective and [(one.instance, one.value, one.set) for one in cache.instances] == [
        ("demo", False, True)
    ]
    assert not operators.stored_flags.of("demo").cache
    with pytest.raises(Conflict, match="cache is not set for this daemon"):
        await operators.flags.clear("cache", None, "uid 7")
    await operators.flags.clear("cache", "demo", "uid 7")
    assert operators.stored_flags.of("demo").cache
