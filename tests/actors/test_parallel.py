from __future__ import annotations

import pytest
import trio

from actors.errors import StaleEpoch
from actors.parallel import Lookup, safe_with_defaults


async def _value(value: object, seconds: float = 0.0) -> object:
    await trio.sleep(seconds)
    if isinstance(value, Exception):
        raise value
    return value


async def test_all_run_at_once_and_each_has_its_outcome(autojump_clock: trio.abc.Clock) -> None:
    results = await safe_with_defaults(
        {
            "good": Lookup(lambda: _value("x", 1), None, 3),
            "slow": Lookup(lambda: _value("never", 60), "default", 2),
            "broken": Lookup(lambda: _value(ValueError("a secret")), 0, 3),
        }
    )
    assert trio.current_time() == pytest.approx(2)
    assert (results["good"].value, results["good"].outcome) == ("x", "ok")
    assert (results["slow"].value, results["slow"].outcome) == ("default", "timed_out")
    assert (results["broken"].value, results["broken"].outcome) == (0, "failed")
    assert results["broken"].error == "ValueError"
    assert results["good"].took_ms == pytest.approx(1000)


async def test_losing_ownership_is_not_a_default() -> None:
    """I5: work under an old epoch stops."""
    with pytest.raises(StaleEpoch):
        await safe_with_defaults({"one": Lookup(lambda: _value(StaleEpoch("x")), None, 1)})
