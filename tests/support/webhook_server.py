"""A webhook of the business: records what it receives, and misbehaves on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.support.http_faults import Exchange, FaultServer, Request
from tests.support.patience import PATIENCE_SECONDS

WebhookFault = Literal["answer", "hang", "reset"]


@dataclass(frozen=True)
class Posted:
    id: str
    document: object
    path: str
    """With its query."""
    headers: Mapping[str, str]
    body: bytes


class FakeWebhook(FaultServer):
    """Answers 204 unless ordered otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Posted] = []
        """All requests, including those answered with an error."""
        self._orders: list[tuple[WebhookFault, int, dict[str, str]]] = []

    def order(
        self, *statuses: int, fault: WebhookFault = "answer", headers: dict[str, str] | None = None
    ) -> None:
        """Answer the next posts with these statuses or faults."""
        with self.lock:
            self._orders += [(fault, status, headers or {}) for status in statuses]

    def wait_for(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Posted]:
        self.wait_until(lambda: len(self.posted) >= count, f"{count} posts came", timeout_seconds)
        with self.lock:
            return list(self.posted)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        with self.changed:
            self.posted.append(
                Posted(
                    request.headers.get("majlis-notice-id", ""),
                    request.json(),
                    request.path,
                    request.headers,
                    request.body,
                )
            )
            fault, status, headers = self._orders.pop(0) if self._orders else ("answer", 204, {})
            self.changed.notify_all()
        if fault == "hang":
            await exchange.hang()
        elif fault == "reset":
            exchange.reset()
        else:
            await exchange.answer(status, b"", headers)
