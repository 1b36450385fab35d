"""Tells the business what happened: staff by WhatsApp through the gateway, software by webhook.

Laws of this file:
1. A notice is told at least once. It stays in the ledger until its arrival is known; where that cannot be known (a
   timeout, a daemon killed in the middle) it is told again. A webhook gets the notice's id in `Majlis-Notice-Id`.
2. A peer that is away burns no try: it is waited for, the longer the rarer, `MAX_AGE_SECONDS` at the most. Tries are
   for what may have arrived and for what was refused. What is given up stays in the ledger, and an event says so.
3. A target is told one notice at a time, in their order: one that is away keeps its own waiting, and takes one of the
   `MAX_CONCURRENT` places for one call now and then. WhatsApp and webhooks have places of their own.
4. Several daemons share the work: a notice is held under a lease that is longer than any call.
5. Neither a target nor a body is ever in an event.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

import trio

from actors.conversation import JITTER
from actors.errors import LedgerUnavailable, MajlisError
from actors.identity import Conversation, canonical_contact
from actors.outcome import NotSent, Sent, Unknown
from actors.ports import Feed, Gateway
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres, Row
from daemon.web.answer import HttpAnswer, readable_json
from daemon.web.client import DeliveryUnknown, HttpClient, NotDelivered

NoticeKind = Literal["whatsapp", "webhook"]
KINDS: tuple[NoticeKind, ...] = ("whatsapp", "webhook")

MAX_CONCURRENT = 8
"""Notices of one kind under way at once, each to another target."""
POLL_SECONDS = 5.0
"""The backstop for retries that come due and for notices that another daemon stored."""
FORGET_SECONDS = 3_600.0
FORGET_ROWS = 500
WEBHOOK_SECONDS = 10.0
WHATSAPP_SECONDS = 60.0
LEASE_SECONDS = 90.0
MAX_ANSWER_BYTES = 64 * 1024

FIRST_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 600.0
MAX_AGE_SECONDS = 86_400.0
MAX_TRIES = 20
MAX_REFUSALS = 3
"""An operator may be mending the address or its key at this moment; later it is no use."""

ID_HEADER = "Majlis-Notice-Id"
_AWAY_STATUSES = frozenset({408, 425, 429})


class NoticeResult(NamedTuple):
    """What became of one try. `doubtful`: it may have arrived. `refused`: it did, and is not wanted there."""

    fate: Literal["sent", "away", "doubtful", "refused"]
    reason: str = ""
    retry_after_seconds: float | None = None


def next_delay_seconds(told: NoticeResult, tries: int, age_seconds: float, draw: float) -> float | None:
    """How long to wait before the next try; None to give up.

    Args:
      tries: those that burnt a try, this one included.
      age_seconds: since the notice was stored.
      draw: a uniform random number in [0, 1).
    """
    if tries >= (MAX_REFUSALS if told.fate == "refused" else MAX_TRIES):
        return None
    delay = min(max(age_seconds / 2, FIRST_DELAY_SECONDS), MAX_DELAY_SECONDS) * (1 + JITTER * (2 * draw - 1))
    delay = max(delay, told.retry_after_seconds or 0.0)
    return delay if age_seconds + delay <= MAX_AGE_SECONDS else None


class Notifier:
    """Sends the notices that the ledger holds.

    Args:
      http: a client for nothing else: a webhook that answers slowly keeps its connections.
    """

    def __init__(
        self,
        db: Postgres,
        gateway: Gateway,
        http: HttpClient,
        feed: Feed,
        *,
        poll_seconds: float = POLL_SECONDS,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._db = db
        self._gateway = gateway
        self._http = http
        self._feed = feed
        self._poll_seconds = poll_seconds
        self._draw = draw
        self._wake = {kind: trio.Event() for kind in KINDS}
        self._under_way: Counter[NoticeKind] = Counter()

    def nudge(self) -> None:
        """Notices were stored: look now."""
        for wake in self._wake.values():
            wake.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send what is due, for ever. Cancelled in the middle of a call, it leaves that notice to be told again."""
        async with trio.open_nursery() as nursery:
            for kind in KINDS:
                nursery.start_soon(self._serve, kind, name=f"notices/{kind}")
            nursery.start_soon(self._forget, name="notices/forget")
            task_status.started()

    async def _serve(self, kind: NoticeKind) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                # The event first, then the look: what is stored in between is not missed.
                self._wake[kind] = wake = trio.Event()
                for notice in await self._claim(kind, MAX_CONCURRENT - self._under_way[kind]):
                    self._under_way[kind] += 1
                    nursery.start_soon(self._tell, kind, notice)
                with trio.move_on_after(self._poll_seconds):
                    await wake.wait()

    async def _claim(self, kind: NoticeKind, limit: int) -> list[Row]:
        sql = (
            "SELECT *, extract(epoch FROM now() - created_at)::float8 AS age_seconds"
            " FROM majlis_claim_notices($1, $2, $3)"
        )
        try:
            return await self._db.fetch(sql, kind, limit, LEASE_SECONDS) if limit else []
        except LedgerUnavailable:
            pass  # the watch over the stores says so
        except MajlisError as error:
            self._problem(error)
        return []

    async def _tell(self, kind: NoticeKind, notice: Row) -> None:
        try:
            told = await (self._whatsapp(notice) if kind == "whatsapp" else self._webhook(notice))
        except Exception as error:  # a bug, in one notice: the others are told all the same
            self._problem(error)
            told = NoticeResult("doubtful", "crashed")
        try:
            await self._settle(notice, told)
        except LedgerUnavailable:
            pass  # the lease passes, and it is told again
        except MajlisError as error:
            self._problem(error)
        self._under_way[kind] -= 1
        self._wake[kind].set()

    async def _settle(self, notice: Row, told: NoticeResult) -> None:
        tries = notice["tries"] + (told.fate != "away")
        fields = {
            "notice": notice["id"],
            "kind": notice["kind"],
            "instance": notice["instance"],
            "tries": tries,
        }
        if told.fate == "sent":
            await self._db.fetch("SELECT majlis_notice_sent($1)", notice["id"])
            self._feed.emit("notice.sent", **fields)
            return
        delay = next_delay_seconds(told, tries, notice["age_seconds"], self._draw())
        await self._db.fetch(
            "SELECT majlis_notice_failed($1, $2, $3, $4, $5)",
            notice["id"],
            notice["due_at"],
            storable(told.reason),
            told.fate != "away",
            delay,
        )
        self._feed.emit("notice.given_up" if delay is None else "notice.failed", reason=told.reason, **fields)

    async def _whatsapp(self, notice: Row) -> NoticeResult:
        to = Conversation(notice["instance"], canonical_contact(notice["target"]))
        with trio.move_on_after(WHATSAPP_SECONDS):
            match await self._gateway.send(to, notice["body"], key=f"notice.{notice['id']}"):
                case Sent() | Unknown(may_resend=False):
                    return NoticeResult("sent")
                case NotSent(reason, "refuse"):
                    return NoticeResult("refused", reason)
                case NotSent(reason, _, retry_after_seconds):
                    return NoticeResult("away", reason, retry_after_seconds)
                case Unknown(reason):
                    return NoticeResult("doubtful", reason)
        return NoticeResult("doubtful", "timed_out")

    async def _webhook(self, notice: Row) -> NoticeResult:
        headers = {ID_HEADER: str(notice["id"])}
        document = readable_json(notice["body"].encode())
        try:
            answer = await self._http.post_json(
                notice["target"], document, headers, WEBHOOK_SECONDS, MAX_ANSWER_BYTES
            )
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
            except LedgerUnavailable:
                pass
            except MajlisError as error:
                self._problem(error)
            await trio.sleep(FORGET_SECONDS)

    def _problem(self, error: Exception) -> None:
        # The class alone: its text may quote a target.
        self._feed.emit("daemon.problem", part="notices", error=type(error).__name__)


def _webhook_answered(answer: HttpAnswer) -> NoticeResult:
    """A redirect is refused like any other answer that is no 2xx: nothing is ever sent to where it points."""
    status, reason = answer.status, f"answered_{answer.status}"
    if 200 <= status < 300:
        return NoticeResult("sent")
    if status >= 500 or status in _AWAY_STATUSES:
        return NoticeResult("away", reason, answer.retry_after_seconds)
    return NoticeResult("refused", reason)
