"""Sends notices to the business: to staff by WhatsApp through the gateway, to software by webhook.

Laws of this file:
1. A notice is delivered at least once. It stays in the ledger until its arrival is known; where that cannot be known (a
   timeout, a daemon killed in the middle) it is sent again. A webhook gets the notice's id in `Majlis-Notice-Id`.
2. A call that does not reach its target does not count as an attempt. It is repeated at growing intervals, for
   `MAX_AGE_SECONDS` at most. An attempt is a call that may have arrived, or that was refused. A notice that is given up
   stays in the ledger, and an event reports it.
3. A target gets one notice at a time, in their order: one that is away holds up its own notices only, and takes one of
   the `MAX_CONCURRENT` places for one call now and then. WhatsApp and webhooks have places of their own.
4. Any daemon on the database may send a notice: it is claimed under a lease that is longer than any call.
5. Neither a target nor a body is ever in an event.
6. What goes to a webhook with a secret is signed (`daemon/web/standard_webhooks.py`), anew at each attempt, with the
   notice's id, once for each of its secrets.
7. The address of a webhook is not in the ledger, because it may carry a key: a notice says which setting has it. Where
   that setting is empty the notice counts as away, for another daemon may be configured to send it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Literal, NamedTuple

import trio

from actors.backoff import JITTER
from actors.errors import MajlisError
from actors.identity import Conversation, canonical_contact
from actors.notices import REFERENCE
from actors.outcome import NotSent, Sent, Unknown
from actors.ports import Feed, Gateway
from daemon.config.schema import NoticeWebhook
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres, Row, is_only_away
from daemon.web.answer import HttpAnswer
from daemon.web.client import DeliveryUnknown, HttpClient, NotDelivered
from daemon.web.standard_webhooks import signed_headers

NoticeKind = Literal["whatsapp", "webhook"]
KINDS: tuple[NoticeKind, ...] = ("whatsapp", "webhook")

MAX_CONCURRENT = 8
"""Notices of one kind under way at once, each to another target."""
POLL_SECONDS = 5.0
"""The backstop for retries that come due and for notices that another daemon stored."""
CALM_AFTER_SECONDS = 60.0
"""Where there was none for so long, it is asked for half as often."""
FORGET_SECONDS = 3_600.0
FORGET_ROWS = 500
WEBHOOK_SECONDS = 10.0
WHATSAPP_SECONDS = 60.0
LEASE_SECONDS = 90.0

FIRST_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 600.0
MAX_AGE_SECONDS = 86_400.0
MAX_ATTEMPTS = 20
MAX_REFUSALS = 3
"""An operator may be correcting the address or its key just now; further attempts would be pointless."""

ID_HEADER = "Majlis-Notice-Id"
_AWAY_STATUSES = frozenset({408, 425, 429})


class NoticeResult(NamedTuple):
    """How one call ended. `doubtful`: it may have arrived. `refused`: it did, and is not wanted there."""

    outcome: Literal["sent", "away", "doubtful", "refused"]
    reason: str = ""
    retry_after_seconds: float | None = None
    message_id: str = ""
    """The gateway's, of a notice that it took."""


def next_delay_seconds(result: NoticeResult, attempts: int, age_seconds: float, draw: float) -> float | None:
    """How long to wait before the next call; None to give up.

    Args:
      attempts: the calls that count, this one included.
      age_seconds: since the notice was stored.
      draw: a uniform random number in [0, 1).
    """
    if attempts >= (MAX_REFUSALS if result.outcome == "refused" else MAX_ATTEMPTS):
        return None
    delay = min(max(age_seconds / 2, FIRST_DELAY_SECONDS), MAX_DELAY_SECONDS) * (1 + JITTER * (2 * draw - 1))
    delay = max(delay, result.retry_after_seconds or 0.0)
    return delay if age_seconds + delay <= MAX_AGE_SECONDS else None


class Notifier:
    """Sends the notices that the ledger holds.

    Args:
      http: a client for nothing else: a webhook that answers slowly keeps its connections.
      webhook: an instance's webhook by its reference; None where it is not configured.
      held: why Majlis holds an instance; empty: it does not. One that is held sends nothing.
    """

    def __init__(
        self,
        db: Postgres,
        gateway: Gateway,
        http: HttpClient,
        feed: Feed,
        webhook: Callable[[str, str], NoticeWebhook | None],
        held: Callable[[str], str] = lambda _: "",
        *,
        poll_seconds: float = POLL_SECONDS,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._http = http
        self._feed = feed
        self._at = webhook
        self._held = held
        self._poll_seconds = poll_seconds
        self._draw = draw
        self._wake = {kind: trio.Event() for kind in KINDS}
        self._under_way: Counter[NoticeKind] = Counter()

    def nudge(self) -> None:
        """Notices were stored: send them now."""
        for wake in self._wake.values():
            wake.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send what is due until cancelled. A notice whose call is cut short by that is sent again later."""
        async with trio.open_nursery() as nursery:
            for kind in KINDS:
                nursery.start_soon(self._serve, kind, name=f"notices/{kind}")
            nursery.start_soon(self._forget, name="notices/forget")
            task_status.started()

    async def _serve(self, kind: NoticeKind) -> None:
        last_at = trio.current_time() - CALM_AFTER_SECONDS
        async with trio.open_nursery() as nursery:
            while True:
                # A new event first, then the query: a notice that is stored in between is not missed.
                self._wake[kind] = wake = trio.Event()
                for notice in await self._claim(kind, MAX_CONCURRENT - self._under_way[kind]):
                    self._under_way[kind] += 1
                    last_at = trio.current_time()
                    nursery.start_soon(self._send, kind, notice)
                is_calm = trio.current_time() - last_at >= CALM_AFTER_SECONDS
                with trio.move_on_after(self._poll_seconds * (2 if is_calm else 1)):
                    await wake.wait()

    async def _claim(self, kind: NoticeKind, limit: int) -> list[Row]:
        sql = (
            "SELECT *, extract(epoch FROM now() - created_at)::float8 AS age_seconds"
            " FROM majlis_claim_notices($1, $2, $3, true)"
        )
        try:
            return await self._db.fetch(sql, kind, limit, LEASE_SECONDS) if limit else []
        except MajlisError as error:
            self._problem(error)
        return []

    async def _send(self, kind: NoticeKind, notice: Row) -> None:
        try:
            if self._held(notice["instance"]):
                result = NoticeResult("away", "instance_held")
            else:
                result = await (self._whatsapp(notice) if kind == "whatsapp" else self._webhook(notice))
        except Exception as error:  # a bug, met by one notice: the others are sent all the same
            self._problem(error)
            result = NoticeResult("doubtful", "crashed")
        try:
            await self._settle(notice, result)
        except MajlisError as error:
            self._problem(error)  # its lease expires, and it is sent again
        self._under_way[kind] -= 1
        self._wake[kind].set()

    async def _settle(self, notice: Row, result: NoticeResult) -> None:
        attempts = notice["tries"] + (result.outcome != "away")
        fields = {
            "notice": notice["id"],
            "kind": notice["kind"],
            "instance": notice["instance"],
            "tries": attempts,
        }
        if result.outcome == "sent":
            await self._db.fetch(
                "SELECT majlis_notice_sent($1, $2)", notice["id"], storable(result.message_id)
            )
            self._feed.emit("notice.sent", **fields)
            return
        delay = next_delay_seconds(result, attempts, notice["age_seconds"], self._draw())
        await self._db.fetch(
            "SELECT majlis_notice_failed($1, $2, $3, $4, $5)",
            notice["id"],
            notice["due_at"],
            storable(result.reason),
            result.outcome != "away",
            delay,
        )
        self._feed.emit(
            "notice.given_up" if delay is None else "notice.failed", reason=result.reason, **fields
        )

    async def _whatsapp(self, notice: Row) -> NoticeResult:
        to = Conversation(notice["instance"], canonical_contact(notice["target"]))
        with trio.move_on_after(WHATSAPP_SECONDS):
            match await self._gateway.send(to, notice["body"], key=f"notice.{notice['id']}"):
                case Sent(message_id):
                    return NoticeResult("sent", message_id=message_id)
                case Unknown(may_resend=False):
                    return NoticeResult("sent")
                case NotSent(reason, "refuse"):
                    return NoticeResult("refused", reason)
                case NotSent(reason, _, retry_after_seconds):
                    return NoticeResult("away", reason, retry_after_seconds)
                case Unknown(reason):
                    return NoticeResult("doubtful", reason)
        return NoticeResult("doubtful", "timed_out")

    async def _webhook(self, notice: Row) -> NoticeResult:
        target = notice["target"]
        # A daemon of the previous version stores the address itself.
        is_reference = target.startswith(REFERENCE)
        at = self._at(notice["instance"], target) if is_reference else NoticeWebhook(target)
        if at is None:
            return NoticeResult("away", "not_configured")
        identity, body = str(notice["id"]), notice["body"].encode()
        headers = {ID_HEADER: identity, "content-length": str(len(body))}
        headers |= signed_headers(at.signing_keys, identity, time.time(), body)
        sent = {name: value.encode() for name, value in headers.items()}
        try:
            answer = await self._http.post_pieces(at.url, _whole(body), sent, WEBHOOK_SECONDS)
        except NotDelivered as failure:
            return NoticeResult("refused" if failure.reason == "bad_request" else "away", failure.reason)
        except DeliveryUnknown as failure:
            return NoticeResult("doubtful", failure.reason)
        return _webhook_answered(answer)

    async def _forget(self) -> None:
        while True:
            try:
                while await self._db.value("SELECT majlis_forget_notices($1)", FORGET_ROWS) == FORGET_ROWS:
                    pass
            except MajlisError as error:
                self._problem(error)
            await trio.sleep(FORGET_SECONDS)

    def _problem(self, error: Exception) -> None:
        if not is_only_away(error):
            # Only the class: the error's text may quote a target.
            self._feed.emit("daemon.problem", part="notices", error=type(error).__name__)


async def _whole(body: bytes) -> AsyncGenerator[bytes, None]:
    """A signature holds for these bytes alone."""
    yield body


def _webhook_answered(answer: HttpAnswer) -> NoticeResult:
    """A redirect is refused like any other answer that is no 2xx: nothing is ever sent to where it points."""
    status, reason = answer.status, f"answered_{answer.status}"
    if 200 <= status < 300:
        return NoticeResult("sent")
    if status >= 500 or status in _AWAY_STATUSES:
        return NoticeResult("away", reason, answer.retry_after_seconds)
    return NoticeResult("refused", reason)
