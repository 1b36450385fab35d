"""The server against every kind of `hostile_requests`: nothing doubtful is handled, and every connection ends."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from daemon.web.http1 import Request, Response, json_response
from tests.daemon.web.http1.hostile_requests import INNER, KINDS, LIMITS, Handled, Kind
from tests.daemon.web.http1.support import answers_in, in_rounds, read_all, serving_in_memory, serving_pairs

LONGEST_SECONDS = LIMITS.idle_seconds + 10
INNER_HANDLED: Handled = ("POST", "/inner", b"smuggled")


@pytest.mark.parametrize("name", KINDS)
async def test_a_hostile_request(name: str, autojump_clock: trio.testing.MockClock) -> None:
    """I8, I9: the answers, what the handler saw, and that neither a task nor a byte stays behind."""
    await _is_well(KINDS[name], rounds=False)


@pytest.mark.parametrize("name", KINDS)
async def test_a_hostile_request_in_rounds(name: str, autojump_clock: trio.testing.MockClock) -> None:
    """The same of the server that reads many connections in one task."""
    await _is_well(KINDS[name], rounds=True)


async def _is_well(kind: Kind, rounds: bool) -> None:
    handled: list[Handled] = []
    errors: list[BaseException] = []

    async def note(request: Request) -> Response:
        handled.append((request.method, request.path, request.body))
        return json_response(200, {})

    serving = (
        serving_pairs(in_rounds(note), note, LIMITS, errors)
        if rounds
        else serving_in_memory(note, LIMITS, errors)
    )
    async with serving as (server, listener):
        client = listener.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send, client, kind)
            with trio.fail_after(LONGEST_SECONDS):
                answers = answers_in(await read_all(client))
            nursery.cancel_scope.cancel()
        await trio.sleep(LIMITS.linger_seconds + 1)
        assert (server.counters.connections, server.bodies.held) == (0, 0)
    assert [answer.status for answer in answers] == [*kind.statuses, *[200] * kind.goes_on]
    assert handled == [*kind.handled, *[INNER_HANDLED] * kind.goes_on]
    if any(answer.status >= 400 for answer in answers):
        assert answers[-1].headers["connection"] == "close"
    assert not errors


async def _send(stream: trio.abc.Stream, kind: Kind) -> None:
    assert isinstance(stream, trio.StapledStream | trio.SocketStream)
    try:
        for piece in kind.pieces:
            if isinstance(piece, float):
                await trio.sleep(piece)
            else:
                await stream.send_all(piece)
        if kind.then == "inner":
            await stream.send_all(INNER)
        if kind.then != "silence":
            await stream.send_eof()
    except trio.BrokenResourceError:
        pass  # the server had heard enough
