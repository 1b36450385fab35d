"""The webhook routes, over a real socket, with a list in place of the mirror."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import pytest
import trio
import trio.testing

from actors.errors import (
    AmendedMessageUnknown,
    ConversationFull,
    LedgerUnavailable,
    MirrorUnavailable,
    Overloaded,
)
from actors.messages import Message, Receipt
from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.access import Authorize, SharedToken, open_door
from daemon.ingress.answers import Readiness
from daemon.ingress.counters import IngressObservers
from daemon.ingress.inbound import Amendment, Inbound, LateFailure, Link, OwnMessage, Parse, Typing
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.payloads import LARGE_BODY_BYTES
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress
from daemon.web.http1 import Limits, Peer, Request, Response
from tests.daemon.web.http1.support import read_answer, serving, serving_in_memory


def item(message_id: str, **key: object) -> dict[str, object]:
    return {
        "key": {"remoteJid": "5511900001095@s.whatsapp.net", "fromMe": False, "id": message_id, **key},
        "message": {"conversation": "oi"},
        "messageType": "conversation",
        "messageTimestamp": 1785100386,
    }


def payload(*items: dict[str, object], event: str = "messages.upsert", instance: str = "demo") -> bytes:
    data: object = items[0] if len(items) == 1 else items
    return msgspec.json.encode({"event": event, "instance": instance, "data": data, "apikey": "secret"})


class Room:
    """Everything behind the ingress: a list as the mirror, and faults that a test can set."""

    def __init__(self, authorize: Authorize = open_door, *known: str, parse: Parse = parse_webhook) -> None:
        self.accepted: list[Message] = []
        self.links: list[Link] = []
        self.typed: list[Typing] = []
        self.taken_over: list[OwnMessage] = []
        self.failed_later: list[LateFailure] = []
        self.amended: list[Amendment] = []
        self.ledger_is_away = False
        self.before_take_over: Callable[[OwnMessage], Awaitable[None]] | None = None
        self.unwanted: set[str] = set()
        self.quarantined: list[tuple[bytes, str]] = []
        self.readiness = Readiness(True)
        self.before_accept: Callable[[Message], Awaitable[None]] | None = None
        self.events: list[tuple[str, object]] = []
        self.types: list[object] = []
        """Of the events that have one."""
        self.known = KnownInstances(known)
        self.ingress = Ingress(
            reader=Reader(parse, known=self.known),
            inbox=self,
            readiness=lambda: self.readiness,
            quarantine=self.quarantine,
            authorize=authorize,
            observers=IngressObservers(self.note),
        )

    def note(self, event: str, **fields: object) -> None:
        self.events.append((event, fields.get("reason")))
        self.types += [fields["type"]] if "type" in fields else []

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
        kept = [message for message in messages if message.id not in self.unwanted]
        return kept, ["reaction"] * (len(messages) - len(kept))

    async def amend(self, amendment: Amendment) -> str:
        await trio.lowlevel.checkpoint()
        if amendment.target == "nobody's":
            raise AmendedMessageUnknown("not here yet")
        self.amended.append(amendment)
        return "own_edit" if amendment.target == "ours" else ""

    async def take_over(self, own: OwnMessage) -> bool:
        if self.before_take_over is not None:
            await self.before_take_over(own)
        await trio.lowlevel.checkpoint()
        news = own not in self.taken_over
        self.taken_over.append(own)
        return news

    async def fail_later(self, failure: LateFailure) -> None:
        if self.ledger_is_away:
            raise LedgerUnavailable("away")
        await trio.lowlevel.checkpoint()
        self.failed_later.append(failure)

    def learn(self, link: Link) -> None:
        self.links.append(link)

    def typing(self, typing: Typing) -> None:
        self.typed.append(typing)

    async def quarantine(self, body: bytes, reason: str) -> None:
        self.quarantined.append((body, reason))
        await trio.lowlevel.checkpoint()

    async def ask(self, method: str, *segments: str, body: bytes = b"", **headers: str) -> Response:
        path = "/" + "/".join(segments)
        return await self.ingress.handle(Request(method, path, segments, {}, headers, body, Peer("test")))


def document(response: Response) -> dict[str, object]:
    return msgspec.json.decode(response.body, type=dict[str, object])


async def test_a_repeated_webhook_is_200_and_stored_once() -> None:
    """I1: the same webhook again is 200 too, and kept once."""
    room = Room()
    first = await room.ask("POST", "webhook", "demo", body=payload(item("A")))
    again = await room.ask("POST", "webhook", "demo", "messages-upsert", body=payload(item("A")))
    assert (first.status, document(first)["status"], document(first)["ids"]) == (200, "accepted", ["A"])
    assert (again.status, document(again)["status"]) == (200, "duplicate")
    assert [message.id for message in room.accepted] == ["A"]
    assert (room.ingress.counters.acked, room.ingress.counters.duplicates) == (1, 1)


async def test_several_messages_keep_their_order() -> None:
    """I4."""
    room = Room()
    await room.ask("POST", "webhook", "demo", body=payload(item("B")))
    answer = await room.ask(
        "POST", "webhook", "demo", body=payload(item("A"), item("B"), item("C", fromMe=True))
    )
    said = document(answer)
    assert (said["status"], said["accepted"], said["duplicates"]) == ("accepted", 1, 1)
    assert (said["ids"], said["ignored"]) == (["A", "B"], ["own_message"])
    assert room.ingress.counters.ignored == {"own_message": 1}
    assert room.events == [("message.ignored", "own_message")]


async def test_a_payload_with_nothing_to_store_is_ignored_by_reason() -> None:
    room = Room()
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A"), event="presence.update"))
    assert (answer.status, document(answer)["status"]) == (200, "ignored")
    assert document(answer)["ignored"]
    assert room.accepted == []


async def test_who_types_is_told_at_once_and_leaves_no_event() -> None:
    """Law 10, and the feed keeps what matters: it is told every few seconds."""
    room = Room()
    jid = "5511900001095@s.whatsapp.net"
    told = {
        "event": "presence.update",
        "instance": "demo",
        "data": {"id": jid, "presences": {jid: {"lastKnownPresence": "composing"}}},
    }
    answer = await room.ask("POST", "webhook", "demo", body=msgspec.json.encode(told))
    assert (answer.status, document(answer)["ignored"]) == (200, ["presence"])
    assert room.typed == [Typing("demo", "5511900001095", True)]
    assert room.ingress.counters.ignored == {"presence": 1}
    assert room.events == []


async def test_the_number_of_an_instance_is_learned_from_those_who_have_the_token() -> None:
    """Law 12: at an open door anybody could call a customer one of ours, and a tenant those of all others."""
    document = {
        "event": "connection.update",
        "instance": "demo",
        "data": {"state": "open", "wuid": "573180000737@s.whatsapp.net"},
    }
    body = msgspec.json.encode(document)
    for authorize, learned in ((open_door, {}), (SharedToken(["t"]), {"demo": "573180000737"})):
        room = Room(authorize, "demo")
        assert (await room.ask("POST", "webhook", "demo", body=body, apikey="t")).status == 200
        assert room.known.numbers_seen() == learned
    room = Room(open_door, "demo")
    await room.ingress.receive(body, "demo", allows=lambda instance: instance == "demo")
    assert room.known.numbers_seen() == {}


async def test_a_connection_of_the_instance_is_told() -> None:
    """It causes a sweep: what came while it was away may never be delivered."""
    room = Room()
    for state in ("connecting", "close", "open"):
        document = {
            "event": "connection.update",
            "instance": "demo",
            "data": {"instance": "demo", "state": state},
        }
        assert (await room.ask("POST", "webhook", "demo", body=msgspec.json.encode(document))).status == 200
    assert [event for event, _ in room.events].count("gateway.connected") == 1


@pytest.mark.parametrize(
    "segments", [("webhook",), ("webhook", ""), ("webhook", "other"), ("webhook", "other", "")]
)
async def test_the_instance_of_the_path_wins(segments: tuple[str, ...]) -> None:
    room = Room()
    assert (await room.ask("POST", *segments, body=payload(item("A")))).status == 200
    assert room.accepted[0].instance == ("other" if "other" in segments else "demo")


async def test_identity_links_of_a_payload_are_learned() -> None:
    """I2: a later message of the LID finds its phone."""
    room = Room()
    body = payload(item("A", remoteJid="168500006331@lid", remoteJidAlt="5583900007777@s.whatsapp.net"))
    assert (await room.ask("POST", "webhook", "demo", body=body)).status == 200
    assert [(link.instance, link.lid, link.phone) for link in room.links] == [
        ("demo", "168500006331@lid", "5583900007777")
    ]


async def test_a_message_of_the_business_is_recorded_and_not_answered() -> None:
    """It is counted once, however often the gateway sends it."""
    room = Room()
    body = payload(item("A", fromMe=True))
    for _ in range(2):
        answer = await room.ask("POST", "webhook", "demo", body=body)
        said = document(answer)
        assert (answer.status, said["status"], said["ignored"]) == (200, "ignored", ["own_message"])
    assert [(own.contact, own.id, own.text) for own in room.taken_over] == [("5511900001095", "A", "oi")] * 2
    assert (room.accepted, room.ingress.counters.take_overs) == ([], 1)


async def test_a_payload_that_mentions_a_forbidden_instance_is_403() -> None:
    """Also where only one of its messages does: a gateway may put several instances into one payload."""
    room = Room()
    mine, other = (Message(name, "5511900001095", "A", "oi", 1785100386) for name in ("demo", "other"))
    inbound = Inbound("demo", "letters", messages=(mine, other))
    room.ingress = Ingress(
        reader=Reader(lambda body, instance, event: inbound),
        inbox=room,
        readiness=lambda: room.readiness,
        quarantine=room.quarantine,
        authorize=open_door,
    )
    answer = await room.ingress.receive(b"{}", allows=lambda instance: instance == "demo")
    assert answer.status == 403 and room.accepted == []
    answer = await room.ingress.receive(b"{}", allows=lambda instance: True)
    assert answer.status == 200 and room.accepted == [mine, other]


async def test_a_take_over_that_is_not_durable_is_503_but_the_customers_messages_are_kept() -> None:
    """I1: the ledger is away; the mirror is not, and only what the business wrote needs the ledger."""
    room = Room()

    async def away(_own: OwnMessage) -> None:
        await trio.lowlevel.checkpoint()
        raise LedgerUnavailable("postgres_unreachable")

    room.before_take_over = away
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A", fromMe=True), item("B")))
    assert (answer.status, document(answer)["reason"]) == (503, "unavailable")
    assert [message.id for message in room.accepted] == ["B"]
    assert (await room.ask("POST", "webhook", "demo", body=payload(item("C")))).status == 200
    room.before_take_over = None
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A", fromMe=True), item("B")))
    assert (answer.status, document(answer)["status"], len(room.taken_over)) == (200, "duplicate", 1)


async def test_a_later_failure_is_durable_before_200() -> None:
    """I9: the gateway posts it again until we have it."""
    room = Room()
    body = payload({"keyId": "3EB0", "status": "FAILED", "fromMe": False}, event="messages.update")
    room.ledger_is_away = True
    assert (await room.ask("POST", "webhook", body=body)).status == 503
    room.ledger_is_away = False
    assert (await room.ask("POST", "webhook", body=body)).status == 200
    assert room.failed_later == [LateFailure("demo", ("3EB0",), "failed")]


def edit_of(target: str, words: str = "new") -> bytes:
    data = {"key": {"id": target, "fromMe": True}, "editedMessage": {"conversation": words}}
    return msgspec.json.encode({"event": "messages.edited", "instance": "demo", "data": data})


async def test_what_is_ignored_says_what_it_was() -> None:
    """The type is foreign: it is in the event, cleaned, and in no label."""
    room = Room()
    odd = item("A")
    odd["message"] = {"pinInChatMessage": {}}
    await room.ask("POST", "webhook", body=payload(odd))
    unknown = {"event": "future\n.event{x}", "instance": "demo", "data": {}}
    await room.ask("POST", "webhook", body=msgspec.json.encode(unknown))
    assert room.types == ["pinInChatMessage", "future.eventx"]
    assert set(room.ingress.counters.ignored) == {"protocol_message", "no_event"}


async def test_a_take_over_that_hangs_is_503(autojump_clock: trio.testing.MockClock) -> None:
    """I8."""
    room = Room()

    async def hang(_own: OwnMessage) -> None:
        await trio.sleep_forever()

    room.before_take_over = hang
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A", fromMe=True)))
    assert (answer.status, document(answer)["reason"]) == (503, "ack_timeout")
    assert trio.current_time() == pytest.approx(5)


@pytest.mark.parametrize(
    ("segments", "body"),
    [
        (("webhook", "demo"), b"{"),
        (("webhook", "demo"), b""),
        (("webhook", "demo"), b"[" * 20_000),
        (("webhook", "demo"), b"\xff\xfe{\0}\0"),
        (("webhook", " ", "messages-upsert"), payload(item("A"))),
        (("webhook", "x" * 129), payload(item("A"))),
        (("webhook",), payload(item("A"), instance="")),
        (("webhook",), payload(item("A"), instance="x" * 129)),
    ],
)
async def test_an_unreadable_payload_is_400_and_quarantined(segments: tuple[str, ...], body: bytes) -> None:
    room = Room()
    answer = await room.ask("POST", *segments, body=body)
    assert answer.status == 400
    assert room.quarantined == [(body, document(answer)["reason"])]
    assert (room.ingress.counters.unreadable, room.accepted) == (1, [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MirrorUnavailable(), "mirror_unavailable"),
        (LedgerUnavailable(), "unavailable"),
        (ConversationFull(), "conversation_full"),
        (Overloaded(), "overloaded"),
    ],
)
async def test_a_failed_append_is_503_for_the_whole_payload(error: Exception, reason: str) -> None:
    """I1: the retry finds the first one to be a duplicate."""
    room = Room()

    async def fail_second(message: Message) -> None:
        await trio.lowlevel.checkpoint()
        if message.id == "B":
            raise error

    room.before_accept = fail_second
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A"), item("B")))
    assert (answer.status, document(answer)["reason"]) == (503, reason)
    assert int(answer.headers["Retry-After"]) > 0
    assert room.ingress.counters.acked == 0
    room.before_accept = None
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A"), item("B")))
    assert (answer.status, [message.id for message in room.accepted]) == (200, ["A", "B"])


async def test_an_append_that_hangs_is_503(autojump_clock: trio.testing.MockClock) -> None:
    """I1, I8: no 200, and no wait without end. (Of one message alone, `accept` bounds the wait: see GroupCommit.)"""
    room = Room()

    async def hang(_message: Message) -> None:
        await trio.sleep_forever()

    room.before_accept = hang
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A"), item("B")))
    assert (answer.status, document(answer)["reason"]) == (503, "ack_timeout")
    assert trio.current_time() == pytest.approx(5)


@pytest.mark.parametrize(
    ("readiness", "reason"),
    [
        (Readiness(False, ("aof_off",)), "not_ready"),
        (Readiness(True, draining=True), "draining"),
        (Readiness(False, draining=True), "draining"),
    ],
)
async def test_while_not_ready_webhooks_get_503(readiness: Readiness, reason: str) -> None:
    """I13, I15: nothing is accepted, nothing is lost: the gateway asks again."""
    room = Room()
    room.readiness = readiness
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A")))
    assert (answer.status, document(answer)["reason"], room.accepted) == (503, reason, [])
    assert room.ingress.counters.refused == {reason: 1}
    assert "Retry-After" in answer.headers
    health = await room.ask("GET", "health", "ready")
    assert (health.status, (await room.ask("GET", "health", "live")).status) == (503, 200)
    assert set(readiness.reasons) <= set(msgspec.json.decode(health.body)["reasons"])


async def test_a_payload_that_would_not_come_again_is_stored_during_a_drain() -> None:
    """A gateway's feed repeats nothing: what it brings during a stop waits for the next start."""
    room = Room()
    room.readiness = Readiness(True, draining=True)
    answer = await room.ingress.receive(payload(item("A")), "demo", comes_again=False)
    assert (answer.status, len(room.accepted)) == (200, 1)


async def test_each_route_answers_its_methods() -> None:
    room = Room()
    assert (await room.ask("GET", "health", "ready")).status == 200
    assert (await room.ask("HEAD", "health", "live")).status == 200
    assert (await room.ask("POST", "health", "live")).status == 405
    assert (await room.ask("GET", "webhook", "demo")).headers["Allow"] == "POST"
    assert (await room.ask("POST", "webhook", "demo", "a", "b")).status == 404
    assert (await room.ask("GET", "")).status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"apikey": "wrong"}, 401),
        ({"apikey": ""}, 401),
        ({"apikey": "schlüssel, schlüssel"}, 401),
        ({"authorization": "Basic old"}, 401),
        ({"authorization": "old"}, 401),
        ({"apikey": "old"}, 200),
        ({"apikey": "new"}, 200),
        ({"authorization": "Bearer new"}, 200),
        ({"authorization": "bearer  old"}, 200),
        ({"apikey": "wrong", "authorization": "Bearer old"}, 200),
    ],
)
async def test_a_webhook_needs_a_valid_token(headers: dict[str, str], status: int) -> None:
    """I11: and the answer does not repeat the token."""
    room = Room(SharedToken(["old", "new"]))
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A")), **headers)
    assert answer.status == status
    assert room.ingress.counters.unauthorized == (status == 401)
    assert len(room.accepted) == (status == 200)


@pytest.mark.parametrize("tokens", [[], [""], ["good", ""]])
def test_an_empty_token_is_refused(tokens: list[str]) -> None:
    """I15."""
    with pytest.raises(ValueError, match="token"):
        SharedToken(tokens)


def posted(body: bytes) -> bytes:
    return b"POST /webhook/d%%C3%%A9mo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


async def test_a_webhook_over_a_real_socket_is_acknowledged() -> None:
    room = Room()
    async with serving(room.ingress.handle) as served:
        answers = await served.say(posted(payload(item("A"))) * 2)
    assert [answer.document["status"] for answer in answers] == ["accepted", "duplicate"]
    assert room.accepted[0].instance == "démo"


async def test_without_the_token_a_webhook_is_refused_before_its_body_comes() -> None:
    """I8, I11: a stranger costs a head, and no more."""
    room = Room(SharedToken(["good"]))
    body = payload(item("A"))
    head = b"POST /webhook/demo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\napikey: %b\r\n\r\n"
    limits = Limits(body_seconds=2)
    async with serving(room.ingress.handle, limits, gate=room.ingress.gate) as served:
        for key, sent, status in ((b"", b"", 401), (b"bad", body[:1], 401), (b"good", body, 200)):
            async with await served.connect() as stream:
                await stream.send_all(head % (len(body), key) + sent)
                assert (await read_answer(stream)).status == status
    assert room.ingress.counters.unauthorized == 2


async def test_no_byte_before_the_acceptor_returned() -> None:
    """I1: the first byte of the 200 leaves after the append."""
    room = Room()
    entered, proceed = trio.Event(), trio.Event()

    async def wait(_message: Message) -> None:
        entered.set()
        await proceed.wait()

    room.before_accept = wait
    async with serving_in_memory(room.ingress.handle) as (_, listener):
        client = listener.connect()
        await client.send_all(posted(payload(item("A"))))
        await entered.wait()
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.1) as nothing_came:
            await client.receive_some(1)
        assert nothing_came.cancelled_caught
        proceed.set()
        assert (await read_answer(client)).status == 200
    assert len(room.accepted) == 1


async def test_the_same_webhook_twenty_times_at_once() -> None:
    """I1: all are 200 and one entry is kept."""
    room = Room()
    statuses: list[object] = []
    async with serving(room.ingress.handle) as served, trio.open_nursery() as nursery:

        async def once() -> None:
            (answer,) = await served.say(posted(payload(item("A"))))
            statuses.append(answer.document["status"])

        for _ in range(20):
            nursery.start_soon(once)
    assert sorted(map(str, statuses)) == ["accepted", *["duplicate"] * 19]


async def test_between_two_large_bodies_others_have_their_turn() -> None:
    """Ten that take 0.1 s each, at once, must not stop the loop for a second."""
    turns_of_others = 0
    seen = []

    def parse(body: bytes, instance: str | None, event: str | None) -> Inbound:
        seen.append(turns_of_others)
        return parse_webhook(body, instance, event)

    room = Room()
    room.ingress = Ingress(
        reader=Reader(parse),
        inbox=room,
        readiness=lambda: room.readiness,
        quarantine=room.quarantine,
        authorize=open_door,
    )
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(partial(room.ask, "POST", "webhook", body=b"[" * LARGE_BODY_BYTES + b"["))
        while len(seen) < 10:
            await trio.lowlevel.checkpoint()
            turns_of_others += 1
    # Of the tasks that are due at the same time any may run first, so every other one is compared.
    assert all(later > earlier for earlier, later in zip(seen, seen[2:], strict=False)), seen


def changes(*amendments: Amendment) -> Room:
    """A room behind a gateway that tells of these with every webhook."""

    def parse(body: bytes, instance: str | None, event: str | None) -> Inbound:
        inbound = parse_webhook(body, instance, event)
        return msgspec.structs.replace(inbound, amendments=amendments)

    return Room(parse=parse)


async def test_an_edit_is_durable_before_200_and_after_the_messages() -> None:
    """I1: also when it comes again; what changes nothing says why."""
    room = changes(Amendment("demo", "E", "A", text="new"), Amendment("demo", "F", "ours", text="new"))
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A")))
    assert (answer.status, document(answer)["status"], document(answer)["ignored"]) == (
        200,
        "accepted",
        ["own_edit"],
    )
    assert ([message.id for message in room.accepted], len(room.amended)) == (["A"], 2)
    assert (room.ingress.counters.acked, room.ingress.counters.amended) == (1, 1)
    again = await room.ask("POST", "webhook", "demo", body=payload(item("A")))
    assert document(again)["status"] == "accepted"


async def test_an_edit_of_what_is_not_here_yet_comes_again() -> None:
    """I1: never 4xx, never 200."""
    room = changes(Amendment("demo", "E", "nobody's", text="new"))
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A")))
    assert (answer.status, document(answer)["reason"]) == (503, "amended_message_unknown")
    assert ("retry-after", "5") in {(name.lower(), value) for name, value in answer.headers.items()}


async def test_an_edit_that_is_early_holds_up_nothing_else() -> None:
    """I1, law 13: each repeat would meet the same one first, and what follows it would come too late."""
    room = changes(Amendment("demo", "E", "nobody's", text="new"), Amendment("demo", "F", "A", text="new"))
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A"), item("B", fromMe=True)))
    assert (answer.status, document(answer)["reason"]) == (503, "amended_message_unknown")
    assert ([one.id for one in room.amended], len(room.taken_over)) == (["F"], 1)


async def test_edits_are_taken_for_allowed_instances_alone() -> None:
    room = changes(Amendment("other", "E", "A", text="new"))
    answer = await room.ingress.receive(payload(item("A")), "demo", allows=lambda name: name == "demo")
    assert (answer.status, room.amended) == (403, [])


async def test_what_an_instance_does_not_want_is_ignored_by_reason() -> None:
    room = Room()
    room.unwanted.add("A")
    answer = await room.ask("POST", "webhook", "demo", body=payload(item("A"), item("B")))
    said = document(answer)
    assert (said["accepted"], said["ids"], said["ignored"]) == (1, ["B"], ["reaction"])
    assert room.ingress.counters.ignored == {"reaction": 1}
