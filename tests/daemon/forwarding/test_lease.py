"""Two daemons that forward for one instance, of which one stands still: on the mock clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import trio
from pydantic import SecretStr
from trio.testing import MockClock

from daemon.config import PassthroughSettings
from daemon.forwarding.forwarder import Forwarder, Outside
from daemon.forwarding.store import LEASE_SECONDS
from daemon.web.answer import HttpAnswer
from daemon.web.client import HttpClient
from tests.support.forwards import ForwardRows, MemoryForwards
from tests.support.memory import MemoryFeed

BODIES = [b"first", b"second", b"third"]


class StandingStill(HttpClient):
    """The first that posts does not see its answer before its lease is over: a host that was paused."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    async def post_pieces(
        self,
        url: str,
        pieces: AsyncGenerator[bytes, None],
        headers: Mapping[str, bytes],
        deadline_seconds: float,
    ) -> HttpAnswer:
        async with aclosing(pieces):
            self.came.append(b"".join([piece async for piece in pieces]))
        if len(self.came) == 1:
            await trio.sleep(LEASE_SECONDS + 15)
        return HttpAnswer(200, {}, b"")


async def _exists(_instance: str) -> bool:
    await trio.lowlevel.checkpoint()
    return True


async def test_a_daemon_that_stood_still_beyond_its_lease_leaves_the_rest_to_another(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """What it had posted is posted again, by the other one; nothing that came later arrives twice."""
    rows, http = ForwardRows(), StandingStill()
    around = Outside(
        settings=lambda _: PassthroughSettings(url=SecretStr("http://old.example.com")),
        exists=_exists,
        hop=lambda: "hop",
    )
    stores = [MemoryForwards(rows, node) for node in ("one", "two")]
    for body in BODIES:
        await stores[0].take("acme", "", {}, [], -1, body, (1 << 30, 1 << 30))
    for store in stores:
        await nursery.start(Forwarder(store, http, around, MemoryFeed()).run)
    await trio.sleep(2 * LEASE_SECONDS)
    assert http.came == [BODIES[0], *BODIES]
    assert not rows.of("waiting")
