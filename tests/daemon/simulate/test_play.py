"""The play against a small fake daemon that works correctly, or fails on demand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import msgspec
import trio

from daemon.gateways.evolution.payload import parse_webhook
from daemon.simulate.books import Books
from daemon.simulate.gateway import GatewaySide
from daemon.simulate.play import Extent, Play, Retries
from daemon.simulate.report import Report, report_of
from daemon.simulate.script import Script, Shares
from daemon.simulate.webhooks import Target
from daemon.web.http1 import HttpServer, Limits, Peer, Request, Response, json_response, open_tcp_listeners
from tests.support.patience import PATIENCE_SECONDS

CUSTOMERS, MESSAGES = 10, 40
QUIET = Shares(duplicates=0, late=0, media=0.3, during_answer=0)


@dataclass
class SmallDaemon:
    """Answers each message separately, shortly after its 200, those of a customer in order of arrival."""

    instance: str = "demo"
    refuses: int = 0
    """The first so many webhooks get 503."""
    loses: int = 0
    doubles: int = 0
    seen: set[str] = field(default_factory=set)
    held: int = 0
    """Messages that arrived while a reply was being sent."""
    gateway: GatewaySide | None = None
    nursery: trio.Nursery | None = None
    sending: set[str] = field(default_factory=set)
    answered: dict[str, trio.Event] = field(default_factory=dict)
    """For each customer: the newest message is."""

    async def handle(self, request: Request) -> Response:
        if self.refuses:
            self.refuses -= 1
            return json_response(503, {"status": "retry", "reason": "overloaded"})
        assert request.segments == ("webhook", self.instance)
        (message,) = parse_webhook(request.body, self.instance, None).messages
        self.held += message.contact in self.sending
        if message.id not in self.seen:
            self.seen.add(message.id)
            assert self.nursery is not None
            if self.loses:
                self.loses -= 1
            else:
                before, after = self.answered.get(message.contact), trio.Event()
                self.answered[message.contact] = after
                text = f"Heard 1: {message.text}"
                self.nursery.start_soon(self._answer, message.contact, text, before, after)
        return json_response(200, {"status": "accepted"})

    async def _answer(self, contact: str, text: str, before: trio.Event | None, after: trio.Event) -> None:
        assert self.gateway is not None
        if before is not None:
            await before.wait()
        times, self.doubles = 1 + bool(self.doubles), max(0, self.doubles - 1)
        await trio.sleep(0.01)
        body = json.dumps({"number": contact, "text": text}).encode()
        path = ("message", "sendText", self.instance)
        for _ in range(times):
            self.sending.add(contact)
            await self.gateway.handle(Request("POST", "/" + "/".join(path), path, {}, {}, body, Peer("test")))
            self.sending.discard(contact)
        after.set()


async def played(daemon: SmallDaemon, shares: Shares = QUIET) -> Report:
    # Only what is lost on purpose is waited for in vain.
    books = Books("m", patience_seconds=3.0 if daemon.loses else PATIENCE_SECONDS)
    server = HttpServer(daemon.handle, Limits())
    listeners = await open_tcp_listeners("127.0.0.1:0")
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    play = Play(
        script=Script(1, CUSTOMERS, 200.0, shares),
        books=books,
        customers=CUSTOMERS,
        extent=Extent(messages=MESSAGES),
        target=Target(url),
        instance=daemon.instance,
        mark="m",
        retries=Retries(0.01, 1),
        connections=4,
        server_url=url,
        quiet_seconds=0.3,
    )
    daemon.gateway = GatewaySide(daemon.instance, CUSTOMERS, books, play.answering)
    with trio.fail_after(2 * PATIENCE_SECONDS):
        async with trio.open_nursery() as daemon.nursery:
            await daemon.nursery.start(lambda task_status: server.serve(listeners, task_status=task_status))
            await play.run()
            daemon.nursery.cancel_scope.cancel()
    assert play.halfway.is_set()
    assert play.progress == 1.0
    return report_of(books, trio.current_time(), seed=1, customers=CUSTOMERS, seconds=1.0)


def counts(report: Report) -> tuple[int, int, int]:
    return report.sent, report.acknowledged, report.answered


async def test_all_is_well() -> None:
    report = await played(SmallDaemon())
    assert report.is_faultless
    assert counts(report) == (MESSAGES, MESSAGES, MESSAGES)
    assert report.replies == MESSAGES
    assert not report.troubles


async def test_an_instance_with_any_name() -> None:
    """Including a space or a slash."""
    report = await played(SmallDaemon(instance="Möbel & Co/1"))
    assert report.is_faultless
    assert not report.troubles


async def test_a_loss_is_found() -> None:
    report = await played(SmallDaemon(loses=2))
    assert (report.lost, report.doubled) == (2, 0)
    assert counts(report) == (MESSAGES, MESSAGES, MESSAGES - 2)
    assert report.examples


async def test_a_double_is_found() -> None:
    report = await played(SmallDaemon(doubles=3))
    assert (report.lost, report.doubled) == (0, 3)


async def test_refused_messages_are_retried() -> None:
    """A 503 delays a message and does not lose it."""
    report = await played(SmallDaemon(refuses=7))
    assert report.is_faultless
    assert counts(report) == (MESSAGES, MESSAGES, MESSAGES)
    assert dict(report.troubles) == {"503 overloaded": 7}


async def test_second_deliveries_and_lost_first_deliveries() -> None:
    """If every message is delivered twice and every first delivery is lost, each is still answered once."""
    daemon = SmallDaemon()
    report = await played(daemon, msgspec.structs.replace(QUIET, duplicates=1, late=1))
    # The small daemon answers each message by itself: it promises no order.
    assert not (report.lost or report.given_up or report.doubled), report
    assert report.repeated == MESSAGES
    assert report.ack.count == 2 * MESSAGES
    assert len(daemon.seen) == MESSAGES


async def test_some_write_during_the_answer() -> None:
    """The daemon is still sending a reply when the next message comes."""
    daemon = SmallDaemon()
    report = await played(daemon, msgspec.structs.replace(QUIET, during_answer=1))
    assert report.is_faultless
    assert counts(report) == (MESSAGES, MESSAGES, MESSAGES)
    assert daemon.held >= CUSTOMERS / 2
