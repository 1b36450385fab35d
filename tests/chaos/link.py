"""A network between a daemon and a store that can hang, break, and lose answers.

Unix sockets on both sides, bytes in between. All links of a run live in one thread with a Trio loop of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import trio

from tests.support.patience import PATIENCE_SECONDS

CHUNK_BYTES = 65_536
POLL_SECONDS = 0.02

Mode = Literal["open", "hanging", "broken"]


class Link:
    """One link. `mode` and `lose_answers` may be set from any thread.

    `hanging`: connections succeed, and nothing passes. `broken`: connections are closed at once. `lose_answers`: how
    many answers of the store, from now on, are swallowed together with their connection.
    """

    def __init__(self, path: Path, store: Path) -> None:
        self.path = path
        self.mode: Mode = "open"
        self.lose_answers = 0
        self._store = store

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry connections until cancelled."""
        with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listening:
            await listening.bind(str(self.path))
            listening.listen(128)
            task_status.started()
            await trio.serve_listeners(self._carry, [trio.SocketListener(listening)])

    async def _carry(self, client: trio.SocketStream) -> None:
        async with client:
            if self.mode == "broken":
                return
            with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                async with (
                    await trio.open_unix_socket(str(self._store)) as store,
                    trio.open_nursery() as both,
                ):
                    both.start_soon(self._pump, client, store, both.cancel_scope, False)
                    both.start_soon(self._pump, store, client, both.cancel_scope, True)
                    both.start_soon(self._break, both.cancel_scope)

    async def _pump(
        self, source: trio.SocketStream, target: trio.SocketStream, both: trio.CancelScope, answers: bool
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(CHUNK_BYTES):
                while self.mode == "hanging":  # noqa: ASYNC110 - `mode` is set from another thread
                    await trio.sleep(POLL_SECONDS)
                if answers and self.lose_answers > 0:
                    self.lose_answers -= 1
                    break
                await target.send_all(data)
        both.cancel()

    async def _break(self, both: trio.CancelScope) -> None:
        while self.mode != "broken":  # noqa: ASYNC110 - as above
            await trio.sleep(POLL_SECONDS)
        both.cancel()


@contextmanager
def running(*links: Link) -> Iterator[None]:
    """Carry the links' connections inside the block."""
    up, stop, failures = threading.Event(), trio.Event(), []
    tokens: list[trio.lowlevel.TrioToken] = []

    async def main() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        async with trio.open_nursery() as nursery:
            for link in links:
                await nursery.start(link.serve)
            up.set()
            await stop.wait()
            nursery.cancel_scope.cancel()

    def run() -> None:
        try:
            trio.run(main)
        except Exception as error:  # the run must not go on as if nothing had happened
            failures.append(error)

    thread = threading.Thread(target=run, name="links", daemon=True)
    thread.start()
    assert up.wait(PATIENCE_SECONDS), "the links did not come up"
    try:
        yield
    finally:
        with suppress(trio.RunFinishedError):
            tokens[0].run_sync_soon(stop.set)
        thread.join(PATIENCE_SECONDS)
    assert not failures, failures
