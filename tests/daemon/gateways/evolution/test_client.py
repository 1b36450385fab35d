"""The Evolution gateway against a server that behaves, and misbehaves, like it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import CannotTell, NoRecord, NotSent, RecordFound, SendOutcome, Sent, Unknown
from daemon.gateways.evolution.client import MAX_PAGES, PAGE_RECORDS, EvolutionGateway
from daemon.web.client import HttpClient
from tests.support.gateway_server import Channel, FakeEvolution, FindFault, SendFault
from tests.support.http_faults import Exchange, FaultServer, Request
from tests.support.patience import PATIENCE_SECONDS

TIMEOUT_SECONDS = PATIENCE_SECONDS
SHORT_SECONDS = 1.0
GUEST = Conversation("demo", "5511900001095")
NONE_KNOWN: frozenset[str] = frozenset()


class PathServer(FaultServer):
    """Remembers the requests."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    async def handle(self, request: Request, exchange: Exchange) -> None:
        self.paths.append(request.path)
        await exchange.answer(404, b"")


@pytest.fixture
def server() -> Iterator[FakeEvolution]:
    with FakeEvolution().running() as fake:
        yield fake


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient() as client:
        yield client


def gateway_at(server: FakeEvolution, http: HttpClient, seconds: float = TIMEOUT_SECONDS) -> EvolutionGateway:
    return EvolutionGateway(http, base_url=f"{server.url}/", api_key=server.api_key, timeout_seconds=seconds)


def now_ms() -> int:
    return int(time.time() * 1000)


async def test_a_send_reaches_the_phone_under_the_id_it_reports(
    server: FakeEvolution, http: HttpClient
) -> None:
    outcome = await gateway_at(server, http).send(GUEST, "مرحبا\nبك")
    (sent,) = server.deliveries
    assert outcome == Sent(sent.id)
    assert (sent.instance, sent.number, sent.text) == ("demo", GUEST.contact, "مرحبا\nبك")


async def test_a_lid_contact_is_addressed_by_its_jid(server: FakeEvolution, http: HttpClient) -> None:
    gateway, guest = gateway_at(server, http), Conversation("demo", "168500006331@lid")
    since_ms = now_ms()
    assert isinstance(await gateway.send(guest, "hello"), Sent)
    assert isinstance(await gateway.find(guest, "hello", since_ms, NONE_KNOWN), RecordFound)


@pytest.mark.parametrize("instance", ["a b/c", "..", "ünï", "x?y#z", "%2e"])
async def test_an_instance_name_cannot_change_the_route(
    server: FakeEvolution, http: HttpClient, instance: str
) -> None:
    """I12."""
    assert isinstance(await gateway_at(server, http).send(Conversation(instance, "1"), "hello"), Sent)
    assert server.deliveries[0].instance == instance


async def test_an_allowed_origin_takes_the_place_of_the_configured_one(
    server: FakeEvolution, http: HttpClient
) -> None:
    """With the same path and key, for the send and for the search of the records."""
    with FakeEvolution().running() as other:
        gateway = EvolutionGateway(
            http, base_url=server.url, api_key=server.api_key, allowed_origins=(other.url,)
        )
        since_ms = now_ms()
        sent = await gateway.send(GUEST, "there", origin=other.url)
        assert sent == Sent(other.deliveries[0].id)
        assert await gateway.find(GUEST, "there", since_ms, NONE_KNOWN, other.url) == RecordFound(
            sent.message_id
        )
        assert await gateway.find(GUEST, "there", since_ms, NONE_KNOWN) == NoRecord()
        await gateway.send(GUEST, "here", origin="http://127.0.0.1:9")
        assert (server.texts(), other.texts()) == (["here"], ["there"])


async def test_an_allowed_origin_keeps_the_configured_path(server: FakeEvolution, http: HttpClient) -> None:
    with PathServer().running() as other:
        gateway = EvolutionGateway(
            http, base_url=f"{server.url}/api/v2/", api_key="key", allowed_origins=(other.url,)
        )
        await gateway.send(GUEST, "hello", origin=other.url)
        assert other.paths == ["/api/v2/message/sendText/demo"]


async def test_text_is_cleaned_before_it_leaves(server: FakeEvolution, http: HttpClient) -> None:
    """I6: the gateway stores after sending, and its database refuses NUL: the send would look failed."""
    gateway = gateway_at(server, http)
    await gateway.send(GUEST, "a\x00b\ud800c\r\nd")
    assert server.texts() == ["abc\nd"]
    assert await gateway.send(GUEST, " \x00 ") == NotSent("empty_text", "refuse")
    assert len(server.sends) == 1


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("connection_closed", NotSent("connection_closed", "hold")),
        ("not_on_whatsapp", NotSent("not_on_whatsapp", "refuse")),
        ("instance_missing", NotSent("unknown_instance_at_gateway", "hold")),
        ("instance_not_loaded", NotSent("instance_not_loaded", "hold")),
        ("never_connected", NotSent("instance_not_loaded", "hold")),
        ("meta_error", NotSent("meta_190", "hold")),
        ("no_id_before_send", Unknown("accepted_without_id")),
        ("unauthorized", NotSent("bad_key", "hold")),
        ("licence_503", NotSent("licence_required", "hold")),
        ("rate_limited", NotSent("rate_limited", "hold", 7.0)),
        ("redirect", NotSent("redirected", "hold")),
        ("plain_503", Unknown("gateway_answered_503")),
        ("plain_502_after_send", Unknown("gateway_answered_502")),
        ("prisma_400_after_send", Unknown("sent_but_unrecorded", may_resend=False)),
        ("garbage", Unknown("accepted_without_id")),
        ("reset_before_send", Unknown("connection_broken")),
        ("reset_after_send", Unknown("connection_broken")),
    ],
)
async def test_each_fault_has_the_outcome_that_is_proven(
    server: FakeEvolution, http: HttpClient, fault: SendFault, outcome: SendOutcome
) -> None:
    """I6: `not_sent` only when nothing was delivered, and never a second message."""
    server.order(fault)
    assert await gateway_at(server, http).send(GUEST, "hello") == outcome
    if isinstance(outcome, NotSent):
        assert server.deliveries == []
    assert len(server.sends) == 1


@pytest.mark.parametrize("fault", ["timeout_before_send", "timeout_after_send"])
async def test_a_send_without_an_answer_is_unknown(
    server: FakeEvolution, http: HttpClient, fault: SendFault
) -> None:
    """I6."""
    server.order(fault)
    assert await gateway_at(server, http, SHORT_SECONDS).send(GUEST, "hello") == Unknown("timed_out")


async def test_a_wrong_key_is_reported(server: FakeEvolution, http: HttpClient) -> None:
    gateway = EvolutionGateway(http, base_url=server.url, api_key="wrong", timeout_seconds=TIMEOUT_SECONDS)
    assert await gateway.send(GUEST, "hello") == NotSent("bad_key", "hold")
    with pytest.raises(GatewayHeld):
        await gateway.find(GUEST, "hello", 0, NONE_KNOWN)


async def test_a_gateway_that_is_down_is_proven_not_to_have_sent(
    server: FakeEvolution, http: HttpClient
) -> None:
    """I6: and it sends again as soon as it is up."""
    gateway = gateway_at(server, http)
    await trio.to_thread.run_sync(server.down)
    assert await gateway.send(GUEST, "hello") == NotSent("unreachable", "hold")
    with pytest.raises(GatewayHeld):
        await gateway.find(GUEST, "hello", 0, NONE_KNOWN)
    await trio.to_thread.run_sync(server.up)
    assert isinstance(await gateway.send(GUEST, "hello"), Sent)
    assert server.texts() == ["hello"]


@pytest.mark.parametrize(
    "fault",
    ["timeout_after_send", "reset_after_send", "plain_502_after_send", "garbage", "no_id_after_send"],
)
async def test_the_records_show_a_send_of_unknown_outcome(
    server: FakeEvolution, http: HttpClient, fault: SendFault
) -> None:
    """I6: evidence spares the resend."""
    patient, since_ms = gateway_at(server, http), now_ms()
    gateway = gateway_at(server, http, SHORT_SECONDS) if fault == "timeout_after_send" else patient
    server.order(fault)
    assert isinstance(await gateway.send(GUEST, "hello"), Unknown)
    await trio.to_thread.run_sync(server.wait_for_deliveries, 1)
    assert await patient.find(GUEST, "hello", since_ms, NONE_KNOWN) == RecordFound(server.deliveries[0].id)


async def test_the_records_do_not_show_a_message_that_was_never_sent(
    server: FakeEvolution, http: HttpClient
) -> None:
    """I6."""
    gateway, since_ms = gateway_at(server, http), now_ms()
    server.order("reset_before_send")
    await gateway.send(GUEST, "hello")
    assert await gateway.find(GUEST, "hello", since_ms, NONE_KNOWN) == NoRecord()


async def test_an_id_that_a_reply_owns_is_not_evidence_for_another(
    server: FakeEvolution, http: HttpClient
) -> None:
    """I6: the same words said twice are two messages."""
    gateway, since_ms = gateway_at(server, http), now_ms()
    first = await gateway.send(GUEST, "hello")
    assert isinstance(first, Sent)
    known = frozenset({first.message_id})
    assert await gateway.find(GUEST, "hello", since_ms, known) == NoRecord()
    second = await gateway.send(GUEST, "hello")
    assert isinstance(second, Sent)
    assert await gateway.find(GUEST, "hello", since_ms, known) == RecordFound(second.message_id)


@pytest.mark.parametrize("skew", [-3600, -601, 601, 3600])
@pytest.mark.parametrize("channel", ["baileys", "evolution"])
async def test_a_gateway_whose_clock_is_off_shows_the_send_and_no_older_one(
    server: FakeEvolution, http: HttpClient, skew: int, channel: Channel
) -> None:
    """I6: neither is a recorded reply sent twice, nor an older one with the same words taken for it."""
    server.channel, server.clock_skew_seconds = channel, skew
    gateway, since_ms = gateway_at(server, http), now_ms()
    by_hand = int(time.time()) + skew - 30
    server.record("demo", GUEST.contact, "hello", from_me=True, at=by_hand, id="BY-HAND")
    assert await gateway.find(GUEST, "hello", since_ms, NONE_KNOWN) == NoRecord()
    server.order("reset_after_send")
    assert isinstance(await gateway.send(GUEST, "hello"), Unknown)
    await trio.to_thread.run_sync(server.wait_for_deliveries, 1)
    assert await gateway.find(GUEST, "hello", since_ms, NONE_KNOWN) == RecordFound(server.deliveries[0].id)


async def test_a_gateway_that_does_not_show_its_clock_may_be_minutes_off(
    server: FakeEvolution, http: HttpClient
) -> None:
    """I6."""
    server.shows_date, server.clock_skew_seconds = False, -590
    gateway, since_ms = gateway_at(server, http), now_ms()
    sent = await gateway.send(GUEST, "hello")
    assert isinstance(sent, Sent)
    assert await gateway.find(GUEST, "hello", since_ms, NONE_KNOWN) == RecordFound(sent.message_id)


async def test_equal_texts_in_a_row_are_told_apart_by_their_order(
    server: FakeEvolution, http: HttpClient
) -> None:
    """I4, I6: three sends within one second, none answered."""
    gateway, since_ms, known = gateway_at(server, http), now_ms(), NONE_KNOWN
    for _ in range(3):
        server.order("reset_after_send")
        await gateway.send(GUEST, "hello")
    for sent in await trio.to_thread.run_sync(server.wait_for_deliveries, 3):
        assert await gateway.find(GUEST, "hello", since_ms, known) == RecordFound(sent.id)
        known |= {sent.id}
    assert await gateway.find(GUEST, "hello", since_ms, known) == NoRecord()


async def test_records_are_read_back_over_pages(server: FakeEvolution, http: HttpClient) -> None:
    """I6: evidence is found even if the contact has written much since."""
    at = int(time.time())
    wanted = server.record("demo", GUEST.contact, "hello", from_me=True, at=at)
    for index in range(2 * PAGE_RECORDS):
        server.record("demo", GUEST.contact, f"chatter {index}", from_me=False, at=at + 1)
    found = await gateway_at(server, http).find(GUEST, "hello", at * 1000, NONE_KNOWN)
    assert found == RecordFound(wanted)


async def test_reading_stops_at_records_older_than_the_send(server: FakeEvolution, http: HttpClient) -> None:
    """I8: a long history is not read to its end, and its old words are no evidence."""
    at = int(time.time())
    server.record("demo", GUEST.contact, "hello", from_me=True, at=at - 10_000)
    for index in range(3 * PAGE_RECORDS):
        server.record("demo", GUEST.contact, f"old {index}", from_me=False, at=at - 5000)
    before = server.connections
    assert await gateway_at(server, http).find(GUEST, "hello", at * 1000, NONE_KNOWN) == NoRecord()
    assert server.connections - before == 2, "one page under each name of the contact"


async def test_absence_is_not_claimed_where_two_pages_share_a_second(
    server: FakeEvolution, http: HttpClient
) -> None:
    """I6: the gateway orders its records differently for each page, so the send may be on neither."""
    at = int(time.time())
    gateway = gateway_at(server, http)
    for index in range(PAGE_RECORDS + 1):
        server.record("demo", GUEST.contact, f"chatter {index}", from_me=False, at=at + index)
    assert await gateway.find(GUEST, "hello", at * 1000, NONE_KNOWN) == NoRecord()
    server.record("demo", GUEST.contact, "more", from_me=False, at=at + 1)
    assert await gateway.find(GUEST, "hello", at * 1000, NONE_KNOWN) == CannotTell()


async def test_a_gateway_that_cannot_filter_by_key_is_asked_without(
    server: FakeEvolution, http: HttpClient
) -> None:
    """I6: over MySQL. What others were told is no evidence."""
    gateway, since_ms = gateway_at(server, http), now_ms()
    server.is_on_mysql = True
    server.record("demo", "5511900002222", "hello", from_me=True, at=int(time.time()))
    assert await gateway.find(GUEST, "hello", since_ms, NONE_KNOWN) == NoRecord()
    server.order("reset_after_send")
    await gateway.send(GUEST, "hello")
    await trio.to_thread.run_sync(server.wait_for_deliveries, 1)
    assert await gateway.find(GUEST, "hello", since_ms, NONE_KNOWN) == RecordFound(server.deliveries[0].id)


async def test_absence_is_not_claimed_beyond_the_page_limit(server: FakeEvolution, http: HttpClient) -> None:
    """I6, I8."""
    at = int(time.time())
    for index in range(MAX_PAGES * PAGE_RECORDS):
        server.record("demo", GUEST.contact, f"chatter {index}", from_me=False, at=at)
    assert await gateway_at(server, http).find(GUEST, "hello", at * 1000, NONE_KNOWN) == CannotTell()


@pytest.mark.parametrize("fault", ["find_503", "find_garbage", "find_reset"])
async def test_records_that_cannot_be_read_hold_the_reply(
    server: FakeEvolution, http: HttpClient, fault: FindFault
) -> None:
    """I6: a failed lookup is not absence."""
    server.order(fault)
    with pytest.raises(GatewayHeld) as held:
        await gateway_at(server, http).find(GUEST, "hello", 0, NONE_KNOWN)
    assert GUEST.contact not in str(held.value)


async def test_a_gate_holds_a_send_between_phone_and_answer(server: FakeEvolution, http: HttpClient) -> None:
    """The server's own gate, on which crash tests rely."""
    gate = server.gate("after_send", when=lambda text: text == "hello")
    outcomes: list[SendOutcome] = []

    async def send() -> None:
        outcomes.append(await gateway_at(server, http).send(GUEST, "hello"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.to_thread.run_sync(gate.wait_arrived)
        assert isinstance(await gateway_at(server, http).send(GUEST, "another"), Sent)
        assert (server.texts(), outcomes) == (["hello", "another"], [])
        gate.release()
    assert outcomes == [Sent(server.deliveries[0].id)]


async def test_faults_affect_only_the_texts_they_are_set_for(server: FakeEvolution, http: HttpClient) -> None:
    """The server's own orders, on which other tests rely."""
    gateway = gateway_at(server, http)
    server.order("connection_closed", times=1, when=lambda text: "two" in text)
    server.order("slow", seconds=0.01, when=lambda text: text == "one")
    outcomes = [await gateway.send(GUEST, text) for text in ("one", "two", "two")]
    assert [type(outcome) for outcome in outcomes] == [Sent, NotSent, Sent]
    assert server.texts(GUEST.contact) == ["one", "two"]
    assert len(server.wait_for_deliveries(2)) == 2
