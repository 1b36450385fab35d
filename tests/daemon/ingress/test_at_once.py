"""Webhooks without a task for each: whatever comes, what is answered, counted and told is as with one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio

from actors.errors import ConversationFull, MirrorUnavailable, Overloaded
from actors.messages import Message, Receipt
from daemon.ingress.access import SharedToken
from daemon.ingress.answers import Readiness
from daemon.ingress.at_once import WebhooksAtOnce
from daemon.ingress.begun import MAX_POSTED
from daemon.web.http1 import Finish, Peer, Request, Response
from tests.daemon.ingress.test_webhooks import Room, edit_of, item, payload

MANY = [item(f"M{number}") for number in range(MAX_POSTED + 1)]
BODIES = {
    "a message": payload(item("A")),
    "one twice": payload(item("A"), item("B"), item("A")),
    "many": payload(*MANY),
    "many that are ignored": payload(*[item(f"M{number}", fromMe=True) for number in range(200)]),
    "unwanted": payload(item("UNWANTED")),
    "wanted and not": payload(item("UNWANTED"), item("A")),
    "of the business": payload(item("A", fromMe=True)),
    "an edit": edit_of("somebody's"),
    "an edit of nobody's": edit_of("nobody's"),
    "another event": payload(item("A"), event="presence.update"),
    "unreadable": b"{",
    "large": payload({**item("A"), "x": "x" * 40_000}),
    "of another": payload(item("A"), instance="other"),
}


class Told:
    """What one door was asked, and all that it said and did."""

    def __init__(self, failure: Exception | None = None, readiness: Readiness = Readiness(True)) -> None:  # noqa: B008
        self.room = Room(SharedToken(["token"]), "demo", "other")
        self.room.readiness = readiness
        self.room.unwanted.add("UNWANTED")
        self.failure = failure
        self.errors: list[str] = []
        self.posted = 0

        async def fail(_message: Message) -> None:
            if failure is not None:
                raise failure

        self.room.before_accept = fail

    def post(
        self, messages: Sequence[Message], settled: Callable[[Sequence[Receipt | Exception]], None]
    ) -> None:
        """As the group commit: the outcomes come later, and all together."""
        self.posted += 1
        outcomes: list[Receipt | Exception] = []
        for message in messages:
            duplicate = message in self.room.accepted
            self.room.accepted += [] if duplicate or self.failure else [message]
            outcomes.append(self.failure or Receipt(duplicate, 1, 0, 8000, 0, 1, False))
        settled(outcomes)

    async def at_once(self, request: Request) -> Response:
        answers: list[Response] = []
        door = WebhooksAtOnce(self.room.ingress, self.post, lambda error: self.errors.append(repr(error)))
        rest: Finish | None = door(request, answers.append)
        if rest is not None:
            assert not answers
            return await rest()
        (answer,) = answers
        return answer

    @property
    def said(self) -> object:
        room, counters = self.room, self.room.ingress.counters
        counted = (
            counters.acked,
            counters.duplicates,
            counters.ignored,
            counters.refused,
            counters.unauthorized,
        )
        done = (room.accepted, room.taken_over, room.amended, room.quarantined)
        return counted, done, room.events


async def alike(
    request: Request,
    failure: Exception | None = None,
    readiness: Readiness = Readiness(True),  # noqa: B008
) -> Told:
    one, other = Told(failure, readiness), Told(failure, readiness)
    answers = await one.room.ingress.handle(request), await other.at_once(request)
    assert answers[0] == answers[1]
    assert one.said == other.said
    return other


def webhook(body: bytes, token: str = "token", path: str = "/webhook/demo", method: str = "POST") -> Request:
    return Request(method, path, tuple(path.split("/")[1:]), {}, {"apikey": token}, body, Peer("192.0.2.1"))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_webhook_is_answered_alike(body: bytes) -> None:
    await alike(webhook(body))


@pytest.mark.parametrize("failure", [MirrorUnavailable("away"), ConversationFull("full"), Overloaded("much")])
async def test_what_is_not_durable_is_503_either_way(failure: Exception) -> None:
    """I1."""
    told = await alike(webhook(BODIES["one twice"]), failure)
    assert told.posted == 1 and told.room.ingress.counters.acked == 0


async def test_other_requests_are_answered_alike() -> None:
    for request in (
        webhook(BODIES["a message"], "wrong"),
        webhook(BODIES["a message"], path="/webhook"),
        webhook(BODIES["a message"], path="//WebHook/demo//messages-upsert/"),
        webhook(BODIES["a message"], path="/webhook/demo/a/b"),
        webhook(BODIES["a message"], path="/nowhere"),
        webhook(b"", path="/health/ready", method="GET"),
        webhook(b"", method="GET"),
    ):
        await alike(request)
    for readiness in (Readiness(False, ("redis",)), Readiness(True, draining=True)):
        await alike(webhook(BODIES["a message"]), readiness=readiness)


async def test_a_message_alone_needs_no_task() -> None:
    for body in ("a message", "one twice", "another event", "unwanted"):
        told = Told()
        answers: list[Response] = []
        door = WebhooksAtOnce(told.room.ingress, told.post, lambda _error: None)
        assert door(webhook(BODIES[body]), answers.append) is None and len(answers) == 1


async def test_what_can_never_be_stored_is_500_and_ends_nothing() -> None:
    """I9: it is told in a task of the group commit."""
    told = Told(ValueError("not valid Unicode"))
    await trio.lowlevel.checkpoint()
    answer = await told.at_once(webhook(BODIES["a message"]))
    assert answer.status == 500 and len(told.errors) == 1
