"""A realtime listener on a real socket, with a list as mirror, and its clients. Every wait is bounded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket

from actors.messages import Message, Receipt
from daemon.gateways.couriers import Couriers
from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.access import open_door
from daemon.ingress.answers import Readiness
from daemon.ingress.inbound import Amendment
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress
from daemon.observe.feed import EventFeed
from daemon.realtime.clients import Client, Clients
from daemon.realtime.server import Admission, RealtimeServer
from daemon.realtime.session import SessionLimits
from tests.support.patience import PATIENCE_SECONDS, until
from tests.support.payloads import upsert

Document = dict[str, object]

PROXY = Client(
    name="proxy",
    tokens=("proxy-token", "new-token"),
    instances=frozenset({"demo"}),
    may_push=True,
    may_watch=False,
    delivers=lambda: True,
)
WATCHER = Client(name="watcher", tokens=("watch",), instances=None, may_push=False, may_watch=True)
DEMO_WATCHER = Client(
    name="demo-watcher",
    tokens=("watch-demo",),
    instances=frozenset({"demo"}),
    may_push=False,
    may_watch=True,
)


class Talk:
    """One client's side of a connection."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self.socket = socket

    async def say(self, kind: str, **fields: object) -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            await self.socket.send_message(json.dumps({"type": kind, **fields}))

    async def hear(self, kind: str) -> Document:
        """The next frame, which must be of this type."""
        with trio.fail_after(PATIENCE_SECONDS):
            document: Document = json.loads(await self.socket.get_message())
        assert document["type"] == kind, document
        return document

    async def push(self, push_id: object, message_id: str = "A", instance: str = "demo") -> Document:
        payload = upsert(instance, "5511900001095", "oi", message_id, 1785100386)
        await self.say("push", id=push_id, payload=payload)
        return await self.hear("ack")

    async def watch(self, **fields: object) -> Document:
        await self.say("watch", **fields)
        return await self.hear("watching")

    async def events(self, count: int) -> list[Document]:
        return [await self.hear("event") for _ in range(count)]

    async def closed(self) -> tuple[int, str | None]:
        """Hear on until the connection ends; how it ended."""
        with trio.fail_after(PATIENCE_SECONDS):
            while True:
                try:
                    await self.socket.get_message()
                except ConnectionClosed as closed:
                    assert closed.reason is not None
                    return closed.reason.code, closed.reason.reason


class Door:
    """The realtime server with everything behind it."""

    def __init__(
        self,
        clients: Sequence[Client] = (PROXY, WATCHER, DEMO_WATCHER),
        admission: Admission | None = None,
        limits: SessionLimits | None = None,
        replay_events: int = 100,
        couriers: Couriers | None = None,
    ) -> None:
        self.feed = EventFeed(strict=True, kept_events=replay_events)
        self.feed.set_install_id("test install")
        self.accepted: list[Message] = []
        self.before_accept: Callable[[Message], Awaitable[None]] | None = None
        self.readiness = Readiness(True)
        self.quarantined: list[str] = []
        self.couriers = couriers or Couriers()
        self.serving = 0
        self.errors: list[BaseException] = []
        self.port = 0
        self.ingress = Ingress(
            reader=Reader(parse_webhook),
            inbox=self,
            readiness=lambda: self.readiness,
            quarantine=self._quarantine,
            authorize=open_door,
        )
        self.counters = self.ingress.counters
        self.server = RealtimeServer(
            Clients(clients),
            receive=self.ingress.receive,
            feed=self.feed,
            couriers=self.couriers,
            on_serving=self._on_serving,
            on_error=lambda _server, error: self.errors.append(error),
            admission=admission,
            limits=limits,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Door]:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: self.server.serve(listeners, task_status=task_status))
            yield self
            nursery.cancel_scope.cancel()
        assert self.errors == []

    @asynccontextmanager
    async def talk(self, token: str | None, path: str = "/v1", **headers: str) -> AsyncIterator[Talk]:
        """Open a connection; with a token, its `hello` has been received and is kept in `hello`."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with open_websocket(
            "127.0.0.1", self.port, path, use_ssl=False, extra_headers=extra, disconnect_timeout=2
        ) as socket:
            talk = Talk(socket)
            if token is not None:
                await talk.hear("hello")
            yield talk

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition)

    async def accept(self, message: Message) -> Receipt:
        if self.before_accept is not None:
            await self.before_accept(message)
        await trio.lowlevel.checkpoint()
        duplicate = message in self.accepted
        if not duplicate:
            self.accepted.append(message)
        return Receipt(duplicate, 1, 0, 8000, 0, 1, False)

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]:
        outcomes: list[Receipt | Exception] = []
        for message in messages:
            try:
                outcomes.append(await self.accept(message))
            except Exception as error:
                outcomes.append(error)
        return outcomes

    def heard(self, messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[str]]:
        return messages, ()

    async def amend(self, amendment: Amendment) -> str:
        return ""

    async def take_over(self, own: object) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    async def fail_later(self, failure: object) -> None:
        await trio.lowlevel.checkpoint()

    def learn(self, link: object) -> None:
        pass

    def typing(self, typing: object) -> None:
        pass

    async def _quarantine(self, body: bytes, reason: str) -> None:
        await trio.lowlevel.checkpoint()
        self.quarantined.append(reason)

    def _on_serving(self) -> None:
        self.serving += 1


class Proxy:
    """A proxy that follows the protocol: it sends each key once, and can report what it sent."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, str, str]] = {}
        """Key → instance, contact, text."""

    async def run(self, talk: Talk, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await talk.say("serve", finds=True)
        await talk.hear("serving")
        task_status.started()
        while True:
            order = json.loads(await talk.socket.get_message())
            what = (order["instance"], order["contact"], order["text"])
            if order["type"] == "deliver":
                self.sent.setdefault(order["key"], what)
                await talk.say("outcome", key=order["key"], outcome="sent", message_id=f"M{order['key']}")
            elif order["type"] == "find":
                ids = [f"M{key}" for key, sent in self.sent.items() if sent == what]
                new = [one for one in ids if one not in order["known_ids"]]
                found = {"evidence": "found", "message_id": new[0]} if new else {"evidence": "not_found"}
                await talk.say("evidence", id=order["id"], **found)

    def times(self, text: str) -> int:
        return sum(sent[2] == text for sent in self.sent.values())
