"""What exists only once the stores run: asked for early, filled in once."""

from __future__ import annotations

from typing import cast

import pytest
import trio

from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.operate import AdminApi
from daemon.operate.call import Caller
from daemon.run.late import Late
from daemon.run.lifecycle import AdminDoor
from daemon.web.http1 import Peer, Request, Response


class Api:
    """Says how it was asked."""

    async def handle(self, _request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        return Response(200, b"by the kernel's word")

    async def answer(self, _request: Request, caller: Caller) -> Response:
        await trio.lowlevel.checkpoint()
        return Response(200, caller.origin.encode())


def test_a_part_is_none_until_the_whole_is_there() -> None:
    late: Late[str] = Late()
    size = late.part(len)
    assert (late.value, size()) == (None, None)
    late.fill("four")
    assert (late.value, size()) == ("four", 4)


def test_it_is_filled_once() -> None:
    late: Late[str] = Late()
    late.fill("first")
    with pytest.raises(RuntimeError):
        late.fill("second")
    assert late.value == "first"


async def test_the_admin_door_answers_starting_until_there_is_an_api() -> None:
    """On the socket as for the dashboard, with the reasons that readiness has."""
    feed = EventFeed(strict=True)
    late: Late[AdminApi] = Late()
    door = AdminDoor(Health(feed), lambda: late.value)
    request = Request("GET", "/v1/status", ("v1", "status"), {}, {}, b"", Peer("unix", 1, 0, 0, ()))
    caller = Caller("admin", origin="dashboard", session="a")
    for response in (await door.handle(request), await door.answer(request, caller)):
        assert response.status == 503
        assert b'"reason":"starting"' in response.body and b"Majlis is starting." in response.body
    late.fill(cast(AdminApi, Api()))
    assert (await door.handle(request)).body == b"by the kernel's word"
    assert (await door.answer(request, caller)).body == b"dashboard"
