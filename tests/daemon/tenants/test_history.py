"""What versions tell and files export of what SQL by hand has written. Pure."""

from __future__ import annotations

from daemon.config import load
from daemon.controls.live_settings import LiveSettings
from daemon.tenants.history import differences, exported
from daemon.tenants.plan import restored
from daemon.tenants.rows import State

LIVE = LiveSettings(load(None, ["instances.demo={}"], {}))
IN_CLEAR = State(
    there=True,
    settings={"gateway.api_key": "sk-1", "gateway.apikey": "sk-2", "reply.max_parts": 2, "mode": None},
)


def test_a_secret_that_sql_wrote_in_clear_is_in_no_answer() -> None:
    """Nor is one whose key is misspelt; neither is written again by giving a version back."""
    told = differences(State(there=True), IN_CLEAR)
    assert {one.key: one.secret for one in told} == {
        "gateway.api_key": True,
        "gateway.apikey": True,
        "reply.max_parts": False,
        "mode": False,
    }
    assert next(one.after for one in told if one.key == "mode") == "null", "it was set"
    assert exported(IN_CLEAR) == {"reply.max_parts": 2, "mode": None, "active": True}
    then = State(there=True, settings={"gateway.api_key": "sk-1", "reply.max_parts": 2})
    back = restored(State(there=True), then, lambda values: LIVE.tried("demo", values))
    assert back.settings == {"reply.max_parts": 2}
