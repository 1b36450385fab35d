"""The system that had an instance's webhooks before: records what is forwarded to it, and misbehaves on demand."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from queue import SimpleQueue
from typing import Literal, Self

from tests.support.http_faults import Exchange, FaultServer, Request
from tests.support.patience import PATIENCE_SECONDS

OldFault = Literal["answer", "hang", "reset"]
KEPT_BYTES = 64 * 1024
"""Of a body; of a larger one its digest alone."""


@dataclass(frozen=True)
class Came:
    path: str
    headers: dict[str, str]
    body: bytes
    """Empty, where it is large."""
    sha256: str
    status: int
    """What it was answered; 0: nothing."""

    @property
    def id(self) -> str:
        """Of the message in it."""
        return str(json.loads(self.body)["data"]["key"]["id"])


class OldSystem(FaultServer):
    """Answers 200 unless ordered otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[Came] = []
        """All requests, including those answered with an error."""
        self._orders: list[tuple[OldFault, int, dict[str, str]]] = []

    def order(
        self, *statuses: int, fault: OldFault = "answer", headers: dict[str, str] | None = None
    ) -> None:
        """Answer the next requests with these statuses or faults."""
        with self.lock:
            self._orders += [(fault, status, headers or {}) for status in statuses]

    def taken(self, path: str | None = None) -> list[Came]:
        """What it took, in its order; `path`: there."""
        with self.lock:
            return [one for one in self.came if 200 <= one.status < 300 and path in (None, one.path)]

    def wait_for(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Came]:
        self.wait_until(lambda: len(self.came) >= count, f"{count} webhooks came", timeout_seconds)
        with self.lock:
            return list(self.came)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        with self.changed:
            fault, status, headers = self._orders.pop(0) if self._orders else ("answer", 200, {})
            body = request.body if len(request.body) <= KEPT_BYTES else b""
            digest = hashlib.sha256(request.body).hexdigest()
            answered = status if fault == "answer" else 0
            self.came.append(Came(request.path, dict(request.headers), body, digest, answered))
            self.changed.notify_all()
        if fault == "hang":
            await exchange.hang()
        elif fault == "reset":
            exchange.reset()
        else:
            await exchange.answer(status, b'{"ok": true}', headers)


class AnsweringOldSystem(OldSystem):
    """Answers each customer's message once through the gateway, in order, and hands on what it gets if it is told to.

    Args:
      gateway, key: where it sends, and with what.
      secret: what each webhook must have in the header `x-old-key`.
    """

    def __init__(self, gateway: str, key: str, secret: str) -> None:
        super().__init__()
        self.refused = 0
        """Webhooks without the secret."""
        self.strange: list[str] = []
        """Events that it never asked for."""
        self.hands_on_to = ""
        """An address; empty: nowhere."""
        self._gateway = gateway
        self._key = key
        self._secret = secret
        self._known: set[str] = set()
        self._work: SimpleQueue[bytes | None] = SimpleQueue()

    @contextmanager
    def at_work(self) -> Iterator[Self]:
        """Serve and answer."""
        worker = threading.Thread(target=self._run, name="old system", daemon=True)
        with self.running():
            worker.start()
            yield self
            self._work.put(None)
            worker.join(PATIENCE_SECONDS)
            assert not worker.is_alive(), "the old system is stuck"

    async def handle(self, request: Request, exchange: Exchange) -> None:
        if request.headers.get("x-old-key") != self._secret:
            self.refused += 1
            await exchange.answer(401, b"")
            return
        is_down = bool(self._orders)
        event = json.loads(request.body)
        if event["event"] != "messages.upsert":
            self.strange.append(event["event"])
        elif not is_down and (said := event["data"]["key"]["id"]) not in self._known:
            self._known.add(said)
            self._work.put(request.body)
        await super().handle(request, exchange)

    def _run(self) -> None:
        while (body := self._work.get()) is not None:
            if to := self.hands_on_to:
                assert post(to, body, {}) == 200
            data = json.loads(body)["data"]
            number = data["key"]["remoteJid"].partition("@")[0]
            answer = {"number": number, "text": f"Old: {data['message']['conversation']}"}
            url = f"{self._gateway}/message/sendText/{json.loads(body)['instance']}"
            assert post(url, json.dumps(answer).encode(), {"apikey": self._key}) == 201


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status; 0: no answer."""
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except (OSError, HTTPException):
        return 0
