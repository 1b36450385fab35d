"""What the doctor finds out about an instance of an Evolution API."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import trio

from daemon.gateways.evolution import examination
from daemon.gateways.evolution.examination import clock_finding, examine
from daemon.gateways.evolution.payload import WANTED_EVENTS
from daemon.ledger.rows import LastSends
from daemon.web.client import HttpClient
from daemon.web.finding import Finding
from tests.support.gateway_server import Channel, FakeEvolution, Fault
from tests.support.http_faults import Exchange, Request

PHONE = "5511900001095"


class OddEvolution(FakeEvolution):
    """After `connectionState`, every answer is `body`; None: there is none."""

    body: bytes | None = b""
    state: object = "open"

    async def handle(self, request: Request, exchange: Exchange) -> None:
        if "connectionState" in request.path:
            await exchange.answer_json(200, {"instance": {"state": self.state}})
        elif self.body is None:
            await exchange.hang()
        else:
            await exchange.answer(200, self.body)


@pytest.fixture
def gateway() -> Iterator[FakeEvolution]:
    with FakeEvolution().running() as gateway:
        yield gateway


@pytest.fixture
def odd() -> Iterator[OddEvolution]:
    with OddEvolution().running() as gateway:
        yield gateway


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient() as http:
        yield http


async def ask(
    http: HttpClient, gateway: FakeEvolution, sends: LastSends | None = None, by_webhook: bool = True
) -> Sequence[Finding]:
    return await examine(http, gateway.url, gateway.api_key, "a/b", sends, by_webhook)


def sent(gateway: FakeEvolution, count: int = 3) -> tuple[str, ...]:
    """Our last sends, the newest first."""
    return tuple(gateway.deliver("a/b", PHONE, "hello", recorded=True).id for _ in range(count))[::-1]


async def topics(
    http: HttpClient, gateway: FakeEvolution, sends: LastSends | None = None, by_webhook: bool = True
) -> list[str]:
    """Of all findings but the first, which is well."""
    first, *others = await ask(http, gateway, sends, by_webhook)
    assert first.state == "ok" and not first.topic
    assert all(finding.state == "warning" and finding.advice for finding in others)
    return [finding.topic for finding in others]


async def test_an_instance_that_is_well_is_one_line(gateway: FakeEvolution, http: HttpClient) -> None:
    [finding] = await ask(http, gateway)
    assert finding == Finding("ok", "connected (WHATSAPP-BAILEYS)")
    [finding] = await ask(http, gateway, LastSends(ids=sent(gateway), sent=3))
    assert finding.detail == "connected (WHATSAPP-BAILEYS); last 3 replies: none failed; keeps records"
    [finding] = await ask(http, gateway, LastSends())
    assert "records: not known yet" in finding.detail


async def test_a_gateway_without_records_is_told(gateway: FakeEvolution, http: HttpClient) -> None:
    """Without them an unknown send cannot be proven. That it recorded other things proves nothing."""
    gateway.keeps_records = False
    assert await topics(http, gateway, LastSends(ids=sent(gateway), sent=3)) == ["records"]
    gateway.record("a/b", PHONE, "before", from_me=False, at=int(time.time()))
    assert await topics(http, gateway, LastSends(ids=sent(gateway), sent=3)) == ["records"]
    gateway.channel = "evolution"  # it asks no setting whether it may keep them
    _, told = await ask(http, gateway, LastSends(ids=sent(gateway), sent=3))
    assert told.topic == "records" and "log" in told.advice and "DATABASE_SAVE" not in told.advice
    gateway.channel = "baileys"
    gateway.keeps_records = True  # one of the last is recorded: the other was an accident
    assert await topics(http, gateway, LastSends(ids=("LOST", *sent(gateway, 1)), sent=2)) == []


@pytest.mark.parametrize("fault", ["find_503", "find_garbage", "find_reset"])
async def test_records_that_cannot_be_read_prove_nothing(
    gateway: FakeEvolution, http: HttpClient, fault: Fault
) -> None:
    gateway.keeps_records = False
    gateway.record("a/b", PHONE, "before", from_me=False, at=int(time.time()))
    gateway.order(fault)
    assert await topics(http, gateway, LastSends(ids=sent(gateway), sent=3)) == []


@pytest.mark.parametrize(("channel", "name"), [("business", "WHATSAPP-BUSINESS"), ("evolution", "EVOLUTION")])
async def test_a_state_that_never_changes_is_judged_by_the_last_sends(
    gateway: FakeEvolution, http: HttpClient, channel: Channel, name: str
) -> None:
    """These channels say `open` whatever happens."""
    gateway.channel = channel

    async def said(sends: LastSends | None) -> tuple[str, str]:
        first, *_ = await ask(http, gateway, sends)
        assert first.detail.startswith(f"open, as {name} always says; ")
        return first.state, first.detail

    assert "only a running Majlis knows" in (await said(None))[1]
    state, words = await said(LastSends())
    assert state == "ok" and "no reply sent for a day" in words
    state, words = await said(LastSends(sent=9, failed=1, reason="window_closed"))
    assert state == "ok" and "last 10 replies: 1 failed (window_closed)" in words
    assert (await said(LastSends(sent=1, failed=2, reason="bad_key")))[0] == "warning"
    assert (await said(LastSends(failed=2, reason="not_on_whatsapp")))[0] == "warning"
    assert (await said(LastSends(failed=20, reason="bad_key")))[0] == "problem"


async def test_the_channel_that_mixes_customers_up_is_told(gateway: FakeEvolution, http: HttpClient) -> None:
    gateway.channel = "business"
    _, told = await ask(http, gateway)
    assert told.topic == "channel" and "mixes customers up" in told.detail
    assert "WHATSAPP-BAILEYS" in told.advice and "Meta's own API" in told.advice


@pytest.mark.parametrize(
    ("webhook", "said"),
    [
        (None, "no webhook that is switched on"),
        ({"enabled": False, "events": []}, "no webhook that is switched on"),
        ({"enabled": True, "events": ["MESSAGES_UPDATE"]}, "leaves out MESSAGES_UPSERT"),
        ({"enabled": True, "events": ["MESSAGES_UPSERT"]}, "leaves out MESSAGES_UPDATE"),
        (
            {"enabled": True, "events": ["MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE"]},
            "leaves out some of",
        ),
        ({"enabled": True, "events": []}, ""),
        ({"enabled": True, "events": None}, ""),
    ],
)
async def test_what_is_missing_in_the_webhook(
    gateway: FakeEvolution, http: HttpClient, webhook: dict[str, object] | None, said: str
) -> None:
    gateway.webhook = webhook
    _, *others = await ask(http, gateway)
    assert [said in finding.detail for finding in others] == ([True] if said else [])
    assert await topics(http, gateway, by_webhook=False) == []


async def test_a_webhook_that_is_no_longer_the_one_that_was_set(
    gateway: FakeEvolution, http: HttpClient
) -> None:
    async def said(url: str) -> list[str]:
        found = await examine(http, gateway.url, gateway.api_key, "a/b", None, True, url)
        return [finding.detail for finding in found[1:]]

    assert gateway.webhook is not None
    assert await said(str(gateway.webhook["url"])) == []
    (told,) = await said("https://majlis.example/webhook/a%2Fb")
    assert "no longer the one" in told
    gateway.webhook["enabled"] = False
    (told,) = await said(str(gateway.webhook["url"]))
    assert "switched off, or gone" in told


def test_the_events_that_are_set_are_those_that_the_doctor_wants() -> None:
    assert set(examination.WANTED) <= set(WANTED_EVENTS)


async def test_a_clock_that_is_far_off(gateway: FakeEvolution, http: HttpClient) -> None:
    for skew, words in ((-600, "10 min behind ours"), (8_000, "2 h ahead of ours")):
        gateway.clock_skew_seconds = skew
        _, told = await ask(http, gateway)
        assert told.topic == "clock" and words in told.detail
    gateway.shows_date = False
    assert await topics(http, gateway) == []


@pytest.mark.parametrize(
    ("date", "is_told"),
    [(None, False), (1_000.0, False), (939.0, False), (938.0, True), (1_065.0, False), (1_066.0, True)],
)
def test_the_time_that_the_answer_took_is_no_difference(date: float | None, is_told: bool) -> None:
    """Asked at 1000, answered at 1005; the date has no fraction, so it may be a second later than it says."""
    assert bool(clock_finding(date, 1_000.0, 1_005.0)) == is_told


async def test_nothing_more_is_asked_of_a_gateway_that_refuses(
    gateway: FakeEvolution, http: HttpClient
) -> None:
    gateway.instances = frozenset({"other"})
    [finding] = await ask(http, gateway)
    assert finding.unknown_instance
    [finding] = await examine(http, gateway.url, "wrong", "a/b", None, True)
    assert finding.detail == "the key is refused" and not finding.unknown_instance
    await trio.to_thread.run_sync(gateway.down)
    [finding] = await ask(http, gateway)
    assert finding.state == "problem" and "gateway.base_url" in finding.advice


class Unlicensed(FakeEvolution):
    async def handle(self, request: Request, exchange: Exchange) -> None:
        refusal = {"error": "service not activated", "code": "LICENSE_REQUIRED", "register_url": "https://e"}
        await exchange.answer_json(503, refusal)


async def test_a_licence_that_is_missing_is_named(http: HttpClient) -> None:
    with Unlicensed().running() as gateway:
        [finding] = await ask(http, gateway)
    assert finding.state == "problem" and "licence" in finding.detail and "/manager" in finding.advice


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"[null, 1]",
        b'{"records": 1}',
        b'[{"name": "a/b", "integration": [1]}]',
        b"1" * 9_999,
    ],
)
async def test_no_answer_makes_it_fail(odd: OddEvolution, http: HttpClient, body: bytes) -> None:
    odd.body = body
    first, *_ = await ask(http, odd, LastSends(ids=("A",), sent=1))
    assert first.state == "ok" and first.detail.startswith("connected; ")


async def test_a_state_that_nobody_knows_is_not_shown(odd: OddEvolution, http: HttpClient) -> None:
    odd.state = "\x1b[31m" * 1_000
    first, *_ = await ask(http, odd)
    assert (first.state, first.detail) == ("problem", "the phone is in an unknown state")


async def test_one_that_falls_silent_is_left_after_its_time(
    odd: OddEvolution, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All questions share one time limit, and what was learned until then is told."""
    monkeypatch.setattr(examination, "DOCTOR_SECONDS", 0.3)
    odd.body = None
    started = trio.current_time()
    first, *_ = await ask(http, odd, LastSends(ids=("A", "B", "C"), sent=3))
    assert first.state == "ok" and trio.current_time() - started < 5


async def test_no_secret_of_the_gateway_is_shown(gateway: FakeEvolution, http: HttpClient) -> None:
    """I11: the list holds tokens, and the address of a webhook may hold a key."""
    gateway.channel, gateway.keeps_records = "business", False
    assert gateway.webhook is not None
    gateway.webhook = {**gateway.webhook, "events": []}
    assert "secret" not in str(
        await ask(http, gateway, LastSends(ids=sent(gateway), failed=3, reason="bad_key"))
    )
