"""A dashboard on a real socket, the real admin interface without stores behind it, and a browser's side.

Every wait is bounded.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Message, Receipt, WindowPolicy
from daemon.dashboard.access import Access, LoginGrant
from daemon.dashboard.door import DashboardDoor, SessionView
from daemon.dashboard.guard import Guard
from daemon.dashboard.pages import Pages
from daemon.dashboard.playground import Playground
from daemon.gateways.evolution.payload import parse_webhook
from daemon.gateways.playground import Chats
from daemon.ingress.access import open_door
from daemon.ingress.answers import Readiness
from daemon.ingress.inbound import Amendment
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress
from daemon.operate.levels import Level
from daemon.web.http1 import HttpServer, Limits
from tests.support.operators import Operators
from tests.support.patience import PATIENCE_SECONDS

SECONDS = 2 * PATIENCE_SECONDS
"""Nothing here should take so long, also on a busy machine."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def document(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    @property
    def reason(self) -> object:
        """The reason of an error, which always has a sentence as well."""
        assert str(self.document["message"]), self
        return self.document["reason"]

    @property
    def cookie(self) -> str:
        """The cookie that a browser would send back."""
        return self.headers["set-cookie"].partition(";")[0]


class Behind:
    """The dashboard and everything behind it."""

    def __init__(self, limits: Limits | None = None, hosts: tuple[str, ...] = ()) -> None:
        self.seconds = 0.0
        self.operators = Operators()
        self.feed = self.operators.feed
        self.chats = Chats()
        self.accepted: list[Message] = []
        self.readiness = Readiness(True)
        self.mirror_is_away = False
        self.errors: list[BaseException] = []
        self.port = 0
        self._hosts = hosts
        self._limits = limits
        self.ingress = Ingress(
            reader=Reader(parse_webhook),
            inbox=self,
            readiness=lambda: self.readiness,
            quarantine=self._quarantine,
            authorize=open_door,
        )
        self.playground = Playground(
            self.chats,
            take=self.ingress.take,
            window=lambda _instance: WindowPolicy(window_seconds=2.0),
            label=self.feed.label,
            owns=lambda conversation: conversation.partition(4) == 3,
            knows=self._knows,
        )
        self.access = Access(60.0, 600.0, lambda: self.seconds, self.playground.leave)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Behind]:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        door = DashboardDoor(
            guard=Guard("127.0.0.1", self.port, self._hosts),
            pages=Pages(),
            access=self.access,
            admin=self.operators.api.answer,
            view=self._view,
            feed=self.feed,
            session_seconds=600.0,
            playground=lambda: self.playground,
        )
        self.server = HttpServer(door.handle, self._limits, lambda _, error: self.errors.append(error))
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                await nursery.start(self.server.serve, listeners)
                yield self
                nursery.cancel_scope.cancel()
        assert not self.errors

    async def log_in(self, level: Level = "operate", asked_by: str = "test") -> str:
        """Open a session; returns its cookie."""
        answer = await self.ask("POST", "/session", {"token": self.access.link(LoginGrant(level, asked_by))})
        assert answer.status == 200, answer
        return answer.cookie

    async def ask(
        self,
        method: str,
        target: str,
        body: object = None,
        cookie: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request as our own page sends it; `headers` override its headers."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            await stream.send_all(self.request(method, target, body, cookie, headers))
            received = b"".join([piece async for piece in stream])
        return read(received)

    def request(
        self,
        method: str,
        target: str,
        body: object = None,
        cookie: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        encoded = b"" if body is None else json.dumps(body).encode()
        host = f"127.0.0.1:{self.port}"
        sent = {"Host": host, "Connection": "close", "Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
        if method not in ("GET", "HEAD"):
            sent |= {"Origin": f"http://{host}", "Content-Type": "application/json"}
            sent["Content-Length"] = str(len(encoded))
        sent |= headers or {}
        lines = [
            f"{method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in sent.items() if value),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + encoded

    async def accept(self, message: Message) -> Receipt:
        await trio.lowlevel.checkpoint()
        if self.mirror_is_away:
            raise MirrorUnavailable("away")
        self.accepted.append(message)
        return Receipt(False, len(self.accepted), 0, 0, 0, 1, False)

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
        raise AssertionError("nobody takes over here")

    async def fail_later(self, failure: object) -> None:
        await trio.lowlevel.checkpoint()

    def learn(self, link: object) -> None:
        pass

    def typing(self, typing: object) -> None:
        pass

    async def _quarantine(self, body: bytes, reason: str) -> None:
        raise AssertionError(reason)

    async def _knows(self, instance: str) -> bool:
        await trio.lowlevel.checkpoint()
        return instance in ("demo", "other")

    async def _view(self, level: Level) -> SessionView:
        await trio.lowlevel.checkpoint()
        return SessionView(
            level=level,
            node="node-a",
            version="0.1.0",
            instances=["demo", "other"],
            playground=True,
            can_reveal=level == "admin",
        )


def read(received: bytes) -> Answer:
    """The answer of a connection that was closed after it."""
    head, _, body = received.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(status.split()[1]), headers, body)


def customer(answer: Answer) -> Conversation:
    """The conversation of a playground chat."""
    return Conversation(str(answer.document["instance"]), str(answer.document["contact"]))
