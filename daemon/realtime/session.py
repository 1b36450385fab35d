"""One realtime connection: handles the client's frames and writes ours, and neither waits without bound.

Laws of this file:
1. A push is acknowledged only after the ingress acknowledged it: durable before `accepted`.
2. One task writes. A frame that takes longer than `write_seconds` to write, and events that pile up beyond
   `max_queued_events`, end the connection: a slow client is dropped with a reason, never waited for.
3. A frame that is withdrawn before it is written never leaves, and the lease is checked once more just before.
4. However the connection ends, every delivery in progress gets the outcome known by then.
5. What a client has no right to send is not parsed: of such a frame only its type is read, of a push its id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec
import trio
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection

from actors.outcome import SendEvidence, SendOutcome
from actors.ports import MaySend
from daemon.gateways.couriers import Couriers, Deliver, Find
from daemon.observe.feed import EventFeed, Tail, Wanted
from daemon.realtime import frames
from daemon.realtime.clients import Client
from daemon.realtime.deliveries import Deliveries
from daemon.web.http1 import BodyBytes, Limits, Response, json_response

MAX_WAITING_FRAMES = 16
"""Frames that wait for the writer; a task that has one more waits until there is room."""
RETRY_HEADERS = {"Retry-After": "5"}


class Ending(NamedTuple):
    """Why a connection ends: the close code of the WebSocket and a stable word."""

    code: int
    reason: str


GOODBYE = Ending(1000, "closed_by_client")
GOING_AWAY = Ending(1001, "going_away")
LOST = Ending(1006, "connection_lost")
TOO_BIG = Ending(1009, "frame_too_big")
FAILED = Ending(1011, "failed")
TOO_MANY = Ending(1013, "too_many_connections")
BAD_FRAME = Ending(4400, "bad_frame")
UNAUTHORIZED = Ending(4401, "wrong_or_missing_token")
FORBIDDEN = Ending(4403, "not_allowed")
SILENT = Ending(4408, "no_pong")
IDLE = Ending(4408, "idle")
TOO_SLOW = Ending(4413, "too_slow")


def how_ended(reason: CloseReason | None) -> Ending:
    """How the other side, or the WebSocket itself, ended the connection."""
    code = reason.code if reason is not None else LOST.code
    if code in (1000, 1001, 1005):
        return GOODBYE
    return TOO_BIG if code == TOO_BIG.code else LOST


class ReceivePush(Protocol):
    """Takes one payload as the ingress does, and answers as it does."""

    def __call__(
        self, body: bytes, instance: str | None, event: None, allows: Callable[[str], bool]
    ) -> Awaitable[Response]: ...


class SessionLimits(msgspec.Struct, frozen=True, kw_only=True):
    max_queued_events: int = 1_000
    max_pushes_in_flight: int = 64
    write_seconds: float = 10.0
    ping_seconds: float = 20.0
    pong_seconds: float = 20.0
    idle_seconds: float = 300.0
    close_seconds: float = 5.0
    bodies: BodyBytes = msgspec.field(default_factory=lambda: BodyBytes(Limits().max_bytes_in_flight))
    """What the pushes of all connections may hold, together with the webhooks."""


def _at_once() -> bool:
    return True


class _Outgoing(NamedTuple):
    text: str
    may_leave: Callable[[], bool]


class RealtimeSession:
    def __init__(
        self,
        socket: WebSocketConnection,
        client: Client,
        *,
        receive: ReceivePush,
        feed: EventFeed,
        couriers: Couriers,
        on_serving: Callable[[], None],
        limits: SessionLimits,
    ) -> None:
        self.client = client
        self.finds = False
        self.ending: Ending | None = None
        self.watching = False
        self.serving = False
        self._socket = socket
        self._receive = receive
        self._feed = feed
        self._couriers = couriers
        self._on_serving = on_serving
        self._bodies = limits.bodies
        self._limits = limits
        self._outgoing, self._to_write = trio.open_memory_channel[_Outgoing](MAX_WAITING_FRAMES)
        self._deliveries = Deliveries()
        self._allowed: frozenset[str] = frozenset()
        self._places = trio.Semaphore(limits.max_pushes_in_flight)
        self._work = trio.CancelScope()
        self._watch_scope = trio.CancelScope()
        self._last_frame_at = trio.current_time()
        self._torn = False

    async def run(self) -> Ending:
        """Serve the client until it leaves or has to; returns why."""
        async with trio.open_nursery() as nursery:
            written = trio.Event()
            nursery.start_soon(self._write, written, name="realtime writer")
            try:
                with self._work:
                    await self._live()
            except Exception:
                self.ending = self.ending or FAILED
                raise
            finally:
                self.ending = self.ending or GOING_AWAY
                self._couriers.leave(self.client.name, self)
                self._outgoing.close()
                self._deliveries.end()
                with trio.move_on_after(self._limits.close_seconds, shield=True):
                    await written.wait()
                    if not self._torn:
                        await self._socket.aclose(*self.ending)
                nursery.cancel_scope.cancel()
        return self.ending

    def end(self, ending: Ending) -> None:
        """Let the connection end; the first reason counts."""
        if self.ending is None:
            self.ending = ending
        self._work.cancel()

    # What the gateway asks: see `Courier`.

    def may_see(self, instance: str) -> bool:
        return self.client.may_see(instance)

    async def deliver(self, frame: Deliver, may_send: MaySend, seconds: float) -> SendOutcome:
        with self._deliveries.delivering(frame.key, may_send) as delivery:
            with trio.move_on_after(seconds):
                await self._send(frames.encoded(frame), delivery.may_leave)
                await delivery.settled.wait()
            return delivery.conclude()

    async def find(self, frame: Find, seconds: float) -> SendEvidence | None:
        with self._deliveries.asking(frame.id) as question:
            with trio.move_on_after(seconds):
                await self._send(frames.encoded(frame))
                await question.settled.wait()
            return question.evidence

    # The client's frames.

    async def _live(self) -> None:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self._keep_alive, name="realtime ping")
            await self._send(frames.encoded(self._hello()))
            while True:
                try:
                    frame = await self._socket.get_message()
                    # It may become a gateway while it is connected. Whoever was one may still answer for what it got.
                    self._allowed |= self.client.frames
                    said = frames.read(frame, self._allowed, lenient=self.client.may_push)
                except ConnectionClosed as closed:
                    self.end(how_ended(closed.reason))
                except frames.NotAllowed:
                    self.end(FORBIDDEN)
                except frames.BadFrame:
                    self.end(BAD_FRAME)
                else:
                    self._last_frame_at = trio.current_time()
                    await self._handle(said, tasks)
                await trio.lowlevel.checkpoint_if_cancelled()

    async def _handle(self, said: frames.ClientFrame, tasks: trio.Nursery) -> None:
        match said:
            case frames.Push():
                await self._places.acquire()
                refusal = self._refusal(said)
                if refusal is None:
                    tasks.start_soon(self._take, said, name="realtime push")
                else:  # the answer may have to wait; what was pushed does not
                    tasks.start_soon(self._refuse, refusal, name="realtime push")
            case frames.Watch():
                self._watch(said, tasks)
            case frames.Serve():
                self.finds, self.serving = said.finds, True
                self._couriers.join(self.client.name, self)
                await self._send(frames.encoded(frames.Serving()))
                self._on_serving()
            case frames.OutcomeFrame():
                self._deliveries.settle(said)
            case frames.EvidenceFrame():
                self._deliveries.answer(said)
            case frames.Auth():
                pass  # it was let in already

    def _refusal(self, push: frames.Push) -> str | None:
        """The answer to a push that is not taken; None: it now holds its bytes."""
        if not self.client.may_push:
            return frames.typed("ack", {"id": push.id, "status": "refused", "reason": "may_not_push"})
        if self._bodies.take(_size(push)):
            return None
        answer = {"status": "retry", "reason": "too_many_bytes_in_flight"}
        return _acknowledgement(push.id, json_response(503, answer, RETRY_HEADERS))

    async def _refuse(self, refusal: str) -> None:
        try:
            await self._send(refusal)
        finally:
            self._places.release()

    async def _take(self, push: frames.Push) -> None:
        try:
            answer = await self._receive(bytes(push.payload), push.instance, None, self.client.may_see)
            await self._send(_acknowledgement(push.id, answer))
        finally:
            self._bodies.give_back(_size(push))
            self._places.release()

    def _watch(self, watch: frames.Watch, tasks: trio.Nursery) -> None:
        """Follow the events from now on; a second `watch` replaces the first."""
        self._watch_scope.cancel()
        self._watch_scope = trio.CancelScope()
        gap = self._feed.gap(watch.boot, watch.after) if watch.after is not None else None
        after = self._feed.seq if watch.after is None else 0 if gap == "restarted" else watch.after
        tail = self._feed.tail(self._limits.max_queued_events, self._wanted(watch), after)
        self.watching = True
        first = frames.Watching(boot=self._feed.boot, after=after, resumed=gap is None, why=gap or "")
        tasks.start_soon(self._follow, tail, frames.encoded(first), self._watch_scope, name="realtime watch")

    def _wanted(self, watch: frames.Watch) -> Wanted:
        instances = None if watch.instances is None else frozenset(watch.instances)
        if self.client.instances is not None:
            instances = self.client.instances if instances is None else instances & self.client.instances
        conversations = None if watch.conversations is None else frozenset(watch.conversations)
        kinds = None if watch.kinds is None else frozenset(watch.kinds)
        return Wanted(instances=instances, conversations=conversations, kinds=kinds)

    async def _follow(self, tail: Tail, first: str, scope: trio.CancelScope) -> None:
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._drop_when_cut_off, tail)
                    await self._send(first)
                    async for event in tail:
                        await self._send(frames.typed("event", event))
                    nursery.cancel_scope.cancel()
        finally:
            tail.close()

    async def _drop_when_cut_off(self, tail: Tail) -> None:
        await tail.cut_off.wait()
        self.end(TOO_SLOW)

    # What is written.

    async def _send(self, text: str, may_leave: Callable[[], bool] = _at_once) -> None:
        try:
            await self._outgoing.send(_Outgoing(text, may_leave))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._deliveries.end()  # it ended meanwhile

    async def _write(self, written: trio.Event) -> None:
        try:
            async for outgoing in self._to_write:
                if self.ending is not None:
                    break
                if self._socket.closed is not None or not outgoing.may_leave():
                    continue  # never leaves. The reader notices a lost connection after the frames that came before
                with trio.move_on_after(self._limits.write_seconds) as writing, suppress(ConnectionClosed):
                    await self._socket.send_message(outgoing.text)
                if writing.cancelled_caught:
                    self._torn = True  # a part of the frame may have left: nothing can follow it
                    self.end(TOO_SLOW)
        finally:
            self._to_write.close()
            written.set()

    async def _keep_alive(self) -> None:
        while True:
            await trio.sleep(self._limits.ping_seconds)
            asked_at, answered = trio.current_time(), False
            with trio.move_on_after(self._limits.pong_seconds):
                try:
                    await self._socket.ping()
                    answered = True
                except ConnectionClosed:
                    # The reader notices it, too, and says why the connection ended.
                    await trio.sleep_forever()
            # The pong may be late behind many other frames: any frame proves that the client is there.
            if not answered and self._last_frame_at < asked_at:
                self.end(SILENT)
            busy = self.watching or self.serving
            if not busy and trio.current_time() - self._last_frame_at > self._limits.idle_seconds:
                self.end(IDLE)

    def _hello(self) -> frames.Hello:
        client = self.client
        return frames.Hello(
            client=client.name,
            boot=self._feed.boot,
            seq=self._feed.seq,
            instances=None if client.instances is None else sorted(client.instances),
            may_push=client.may_push,
            may_watch=client.may_watch,
            may_deliver=client.may_deliver,
        )


def _size(push: frames.Push) -> int:
    return len(memoryview(push.payload))


def _acknowledgement(push_id: int | str, answer: Response) -> str:
    """The answer that a webhook would get, as a frame. Where the push should come again, its status is `retry`."""
    document = {"id": push_id, **msgspec.json.decode(answer.body, type=dict[str, object])}
    if answer.status == 503:
        document["retry_after_seconds"] = int(answer.headers["Retry-After"])
    elif answer.status != 200:
        document["status"] = "refused"
    return frames.typed("ack", document)
