"""The system that had an instance's webhooks before: records what is forwarded to it, and misbehaves on demand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

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
