"""Plays the script: posts every message at its time, over a few connections, and retries as the gateway would.

Rules of this file:
1. Messages are posted at their times whatever the daemon does. Latency is counted from when a message was due, so a
   daemon that stalls cannot hide it.
2. What is to come is kept in one heap: one entry per customer, and the messages of bursts in progress. There is no task
   per customer, and nothing grows with the length of the play.
3. There are few connections. When all are busy, messages wait for one, and that time counts as well.
"""

from __future__ import annotations

import heapq
import random
import time
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import trio

from actors.text import shown_text
from daemon.simulate.books import Books
from daemon.simulate.payloads import webhook
from daemon.simulate.script import Script, ScriptLine
from daemon.simulate.webhooks import Target, Unanswered, WebhookClient, WebhookResponse

HOLD_SECONDS = 1.0
"""How long a send is held open for the message that arrives during it."""
QUIET_SECONDS = 1.0
"""How long to keep listening after everything is answered, to catch duplicate replies."""
MAX_ATTEMPTS = 10
REFUSED_FOR_GOOD = frozenset({400, 401, 403, 404, 422})
"""Statuses after which Evolution does not retry."""
_FIRST_DELAY_SECONDS, _MAX_DELAY_SECONDS, _JITTER = 5.0, 300.0, 0.2
_LOOK_SECONDS = 0.1
_MAX_TROUBLE_CHARS = 40


class Extent(msgspec.Struct, frozen=True):
    """How much is played; exactly one of the two is set."""

    messages: int | None = None
    seconds: float | None = None


class Retries:
    """When the gateway delivers a webhook again. Pure.

    Args:
      scale: the factor on Evolution's own delays (5 s, doubling, at most 300 s).
    """

    def __init__(self, scale: float, seed: int) -> None:
        self._scale = scale
        self._chance = random.Random(f"{seed}/retries")

    def delay_seconds(self, attempt: int, status: int | None) -> float | None:
        """The delay after a failed attempt.

        Args:
          attempt: the number of the attempt, from 1.
          status: the status of the response; None if there was none.

        Returns:
          The delay in seconds; None if the gateway gives the message up.
        """
        if attempt >= MAX_ATTEMPTS or status in REFUSED_FOR_GOOD:
            return None
        nominal = min(_FIRST_DELAY_SECONDS * float(2 ** (attempt - 1)), _MAX_DELAY_SECONDS)
        return nominal * self._scale * self._chance.uniform(1 - _JITTER, 1 + _JITTER)


class _WebhookDelivery(NamedTuple):
    line: ScriptLine
    said_at: float
    failed_attempts: int = 0
    is_repeat: bool = False


class _NextBurst(NamedTuple):
    customer: int
    number: int


class Destination(NamedTuple):
    """Where the messages go, and as whose."""

    target: Target
    connections: int
    """Kept open to the target, as the gateway does."""
    instance: str
    server_url: str
    """Of the gateway, as its payloads name it."""


class Play:
    """One play; `run` may be called once."""

    def __init__(
        self,
        *,
        script: Script,
        books: Books,
        customers: int,
        extent: Extent,
        destination: Destination,
        mark: str,
        retries: Retries,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self.began = trio.current_time()
        self.halfway = trio.Event()
        self._began_wall = time.time()
        self._script = script
        self._books = books
        self._customers = customers
        self._extent = extent
        self._destination = destination
        self._path = f"/webhook/{quote(destination.instance, safe='')}"
        self._mark = mark
        self._retries = retries
        self._quiet_seconds = quiet_seconds
        self._heap: list[tuple[float, int, _WebhookDelivery | _NextBurst]] = []
        self._order = 0
        self._planned = 0
        self._under_way = 0
        self._pushed = trio.Event()
        self._interjections: dict[int, ScriptLine] = {}
        self._arrivals: dict[tuple[int, int], trio.Event] = {}

    @property
    def progress(self) -> float:
        """The part of the play that has begun, 0 to 1."""
        if self._extent.messages is not None:
            return min(1.0, self._planned / self._extent.messages)
        return min(1.0, (trio.current_time() - self.began) / (self._extent.seconds or 1.0))

    async def run(self) -> None:
        """Play until everything is answered, or the time to wait for answers is over."""
        for customer in range(self._customers):
            begins = self.began + self._script.begins_after_seconds(customer)
            self._push(begins, _NextBurst(customer, 0))
        send, receive = trio.open_memory_channel[tuple[float, _WebhookDelivery]](0)
        async with trio.open_nursery() as nursery:
            for number in range(self._destination.connections):
                nursery.start_soon(self._deliver, receive.clone(), name=f"connection {number}")
            nursery.start_soon(self._conduct, send)
            await self._wait_for_the_end()
            nursery.cancel_scope.cancel()

    async def answering(self, customer: int) -> None:
        """Called while a reply to this customer is sent. Some customers write again then, and the send waits for it."""
        line = self._interjections.pop(customer, None)
        if line is None or not self._take(1):
            return
        arrived = self._arrivals[customer, line.serial] = trio.Event()
        now = trio.current_time()
        self._push(now, _WebhookDelivery(line, now))
        try:
            with trio.move_on_after(HOLD_SECONDS):
                await arrived.wait()
        finally:
            del self._arrivals[customer, line.serial]

    # --- scheduling ---

    def _push(self, due: float, what: _WebhookDelivery | _NextBurst) -> None:
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, what))
        self._pushed.set()

    def _take(self, wanted: int) -> int:
        """Reserve up to `wanted` messages of the extent; returns how many may be sent."""
        left = wanted if self._extent.messages is None else min(wanted, self._extent.messages - self._planned)
        left = 0 if self._is_planned else left
        self._planned += left
        return left

    @property
    def _is_planned(self) -> bool:
        return self.progress >= 1.0

    async def _conduct(self, send: trio.MemorySendChannel[tuple[float, _WebhookDelivery]]) -> None:
        """Pass each message to a connection at its time."""
        while True:
            self._pushed = trio.Event()
            due = self._heap[0][0] if self._heap else trio.current_time() + _LOOK_SECONDS
            with trio.move_on_at(due):
                await self._pushed.wait()
                continue
            while self._heap and self._heap[0][0] <= trio.current_time():
                due, _, what = heapq.heappop(self._heap)
                if isinstance(what, _NextBurst):
                    self._begin(what, due)
                else:
                    self._under_way += 1
                    await send.send((due, what))

    def _begin(self, what: _NextBurst, due: float) -> None:
        burst = self._script.burst(*what)
        lines = burst.lines[: self._take(len(burst.lines))]
        for line in lines:
            said_at = due + line.after_seconds
            self._push(said_at, _WebhookDelivery(line, said_at))
            if line.repeat_after_seconds is not None:
                self._books.repeated += 1
                self._push(
                    said_at + line.repeat_after_seconds, _WebhookDelivery(line, said_at, is_repeat=True)
                )
        if not self._is_planned:
            if burst.interjection is not None:
                self._interjections[what.customer] = burst.interjection
            self._push(due + burst.next_after_seconds, _NextBurst(what.customer, what.number + 1))

    async def _wait_for_the_end(self) -> None:
        answered_at: float | None = None
        while True:
            await trio.sleep(_LOOK_SECONDS)
            now = trio.current_time()
            if self.progress >= 0.5:
                self.halfway.set()
            if not self._is_planned or self._under_way or self._has_deliveries():
                answered_at = None
            elif self._books.waiting:
                if self._books.is_out_of_patience(now):
                    return
                answered_at = None
            else:
                answered_at = answered_at or now
                if now - answered_at >= self._quiet_seconds:
                    return

    def _has_deliveries(self) -> bool:
        """Whether messages are still to be posted. Bursts that have not begun when the play is over are dropped."""
        while self._heap and isinstance(self._heap[0][2], _NextBurst):
            heapq.heappop(self._heap)
        return bool(self._heap)

    # --- delivery ---

    async def _deliver(self, receive: trio.MemoryReceiveChannel[tuple[float, _WebhookDelivery]]) -> None:
        async with WebhookClient(self._destination.target) as client:
            async for due, delivery in receive:
                await self._attempt(client, due, delivery)
                self._under_way -= 1

    async def _attempt(self, client: WebhookClient, due: float, delivery: _WebhookDelivery) -> None:
        line, status = delivery.line, None
        if not (line.first_delivery_lost and delivery.failed_attempts == 0 and not delivery.is_repeat):
            answer = await self._post(client, delivery)
            status = answer.status if answer is not None else None
            if status is not None and 200 <= status < 300:
                now = trio.current_time()
                self._books.acknowledge(line.customer, line.serial, now, now - due)
                self._arrived(line)
                return
            self._books.trouble(_description(answer))
        delay_seconds = self._retries.delay_seconds(delivery.failed_attempts + 1, status)
        if delay_seconds is not None:
            again = delivery._replace(failed_attempts=delivery.failed_attempts + 1)
            self._push(trio.current_time() + delay_seconds, again)
        elif not delivery.is_repeat:
            self._books.give_up(line.customer, line.serial)
            self._arrived(line)

    async def _post(self, client: WebhookClient, delivery: _WebhookDelivery) -> WebhookResponse | None:
        """Post once; returns the daemon's response, or None if there was none."""
        line = delivery.line
        said_at = int(self._began_wall + delivery.said_at - self.began)
        self._books.post(line.customer, line.serial, said_at, trio.current_time())
        body = webhook(self._destination.instance, self._mark, line, said_at, self._destination.server_url)
        try:
            return await client.post(self._path, body)
        except Unanswered:
            return None

    def _arrived(self, line: ScriptLine) -> None:
        event = self._arrivals.get((line.customer, line.serial))
        if event is not None:
            event.set()


def _description(answer: WebhookResponse | None) -> str:
    """`no answer`, or the status and the daemon's reason for it."""
    if answer is None:
        return "no answer"
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        document = None
    reason = document.get("reason") if isinstance(document, dict) else None
    words = f"{answer.status} {reason}" if isinstance(reason, str) else str(answer.status)
    return shown_text(words)[:_MAX_TROUBLE_CHARS].replace("\n", " ")
