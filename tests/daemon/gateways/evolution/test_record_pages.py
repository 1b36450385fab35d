"""The gateway's records as the sweep reads them, with their oddities."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio

from daemon.gateways.evolution.records import SIZES, EvolutionRecords
from daemon.gateways.evolution.server import EvolutionServer
from daemon.gateways.kind import RecordsPage, RecordsUnavailable
from daemon.ingress.inbound import Link
from daemon.web.client import HttpClient
from tests.support.gateway_server import FakeEvolution

PHONE = "5511900000001"
NOW = 1_785_100_000


@pytest.fixture
def server() -> Iterator[FakeEvolution]:
    with FakeEvolution().running() as fake:
        yield fake


class Reading:
    def __init__(self, server: FakeEvolution, http: HttpClient) -> None:
        known = EvolutionServer(http, base_url=server.url, api_key=server.api_key, timeout_seconds=5)
        self._reader = EvolutionRecords(known)
        self.requests = 0

    async def page(
        self, number: int = 1, since: int = NOW - 600, until: int = NOW, own_only: bool = False
    ) -> RecordsPage:
        return await self._reader.page("demo", since, until, number, self._count, own_only)

    async def _count(self) -> None:
        self.requests += 1
        await trio.lowlevel.checkpoint()


@pytest.fixture
async def reading(server: FakeEvolution) -> AsyncIterator[Reading]:
    async with HttpClient() as http:
        yield Reading(server, http)


def ids(page: RecordsPage) -> tuple[list[str], list[str]]:
    return [message.id for message in page.messages], [own.id for own in page.own]


def jid(name: str, **more: object) -> dict[str, Any]:
    return {"key": {"remoteJid": name, "fromMe": False, "id": "X", **more}}


async def test_customers_and_the_business_are_told_apart(server: FakeEvolution, reading: Reading) -> None:
    """Newest first; groups, the playground's customers and what says nothing are not there."""
    server.record("demo", PHONE, "hello", from_me=False, at=NOW - 300, id="A", pushName="Guest")
    server.record("demo", PHONE, "yes?", from_me=True, at=NOW - 200, id="P")
    server.record("demo", PHONE, "well", from_me=False, at=NOW - 100, id="B")
    server.record("demo", PHONE, "early", from_me=False, at=NOW - 601)
    server.record("demo", PHONE, "late", from_me=False, at=NOW + 1)
    server.record("other", PHONE, "elsewhere", from_me=False, at=NOW - 100)
    server.record("demo", "12036@g.us", "to a group", from_me=False, at=NOW - 100)
    server.record("demo", "999123456789012", "played", from_me=False, at=NOW - 100)
    server.record("demo", PHONE, "", from_me=False, at=NOW - 100, message={}, messageStubType=2)
    edit = {"protocolMessage": {"type": 14, "key": {"id": "A"}, "editedMessage": {"conversation": "hi"}}}
    server.record("demo", PHONE, "", from_me=False, at=NOW - 100, message=edit)
    page = await reading.page()
    assert ids(page) == (["B", "A"], ["P"])
    assert (page.messages[1].text, page.messages[1].sent_at, page.messages[1].push_name) == (
        "hello",
        NOW - 300,
        "Guest",
    )
    assert (page.more, page.ignores_time, reading.requests) == (False, False, 1)
    assert ids(await reading.page(own_only=True)) == ([], ["P"])


async def test_a_reaction_in_the_records_is_nothing_to_answer(
    server: FakeEvolution, reading: Reading
) -> None:
    """It is context of what comes next, however late it is found. So is the album of a picture kept."""
    thumb = {"reactionMessage": {"key": {"id": "A"}, "text": "👍"}}
    server.record("demo", PHONE, "", from_me=False, at=NOW - 300, id="R", message=thumb)
    server.record("demo", PHONE, "", from_me=True, at=NOW - 200, id="S", message=thumb)
    album = {"messageAssociation": {"associationType": "MEDIA_ALBUM", "parentMessageKey": {"id": "ALBUM"}}}
    picture = {"messageContextInfo": album, "imageMessage": {}}
    server.record("demo", PHONE, "", from_me=False, at=NOW - 100, id="I", message=picture)
    page = await reading.page()
    assert ids(page) == (["I", "R"], [])
    assert [message.history_only for message in page.messages] == [False, True]
    assert page.messages[0].album == "ALBUM"


async def test_what_was_written_on_a_telephone_is_known(server: FakeEvolution, reading: Reading) -> None:
    """The gateway makes its own ids; some versions say of them that a telephone does."""
    for id, source in (
        ("AC9103D165AE397609A6A20D78FF248E", "android"),
        ("3A7103D165AE397609A6", "ios"),
        ("3EB0A3734AAE662297E335", "web"),
        ("3EB0A3734AAE662297E336", "android"),
        ("9103D165-AE39", "unknown"),
    ):
        server.record("demo", PHONE, "hello", from_me=True, at=NOW - 300, id=id, source=source)
    page = await reading.page()
    assert [own.id for own in page.own if own.on_phone] == [
        "3A7103D165AE397609A6",
        "AC9103D165AE397609A6A20D78FF248E",
    ]
    assert page.oldest == NOW - 300


async def test_a_person_behind_a_lid_is_linked(server: FakeEvolution, reading: Reading) -> None:
    server.record(
        "demo", PHONE, "oi", from_me=False, at=NOW, **jid("1685@lid", remoteJidAlt=f"{PHONE}@s.whatsapp.net")
    )
    page = await reading.page()
    assert (page.messages[0].contact, page.messages[0].lid) == (PHONE, "1685@lid")
    assert page.links == (Link("demo", "1685@lid", PHONE),)


@pytest.mark.parametrize("name", [PHONE, f"+{PHONE}", "+55 11 90000-0001", f"{PHONE}@s.whatsapp.net"])
async def test_every_channel_names_the_same_contact(
    server: FakeEvolution, reading: Reading, name: str
) -> None:
    """The EVOLUTION channel keeps the number as somebody wrote it."""
    server.record("demo", PHONE, "oi", from_me=True, at=NOW, **jid(name, fromMe=True))
    assert [own.contact for own in (await reading.page()).own] == [PHONE]


async def test_pages_go_on_until_the_range_is_read(server: FakeEvolution, reading: Reading) -> None:
    for number in range(2 * SIZES[0]):
        server.record("demo", PHONE, "oi", from_me=False, at=NOW - number, id=f"M{number}")
    first, second, third = [await reading.page(number) for number in (1, 2, 3)]
    assert [page.more for page in (first, second, third)] == [True, True, False]
    assert [page.count for page in (first, second, third)] == [2, 2, 0]
    assert ids(first)[0] + ids(second)[0] == [f"M{number}" for number in range(2 * SIZES[0])]
    assert len({first.marker, second.marker}) == 2
    assert third.messages == ()


async def test_a_version_that_ignores_the_time_is_noticed(server: FakeEvolution, reading: Reading) -> None:
    """Its records are compared all the same, and reading ends where the range does."""
    server.ignores_time = True
    for number in range(3 * SIZES[0]):
        server.record("demo", PHONE, "oi", from_me=False, at=NOW + 30 - number, id=f"M{number}")
    pages = [await reading.page(number, since=NOW - 50) for number in (1, 2)]
    assert [page.ignores_time for page in pages] == [True, True]
    assert [page.more for page in pages] == [True, False]
    found = [id for page in pages for id in ids(page)[0]]
    assert found == [f"M{number}" for number in range(30, 81)]


async def test_records_of_one_second_come_in_the_order_in_which_they_were_written(
    server: FakeEvolution, reading: Reading
) -> None:
    """I3: the gateway's own order says nothing there, its own ids do."""
    for number in (0, 1, 2):
        server.record("demo", PHONE, "oi", from_me=False, at=NOW, id=f"M{number}")
    page = await reading.page()
    assert (ids(page)[0], page.oldest) == (["M2", "M1", "M0"], NOW)


async def test_a_number_is_no_name(server: FakeEvolution, reading: Reading) -> None:
    """`findMessages` names those without a name by a number, which may be the business's."""
    server.record("demo", PHONE, "oi", from_me=False, at=NOW, pushName="168500000001")
    assert (await reading.page()).messages[0].push_name == ""


async def test_a_server_that_cannot_filter_by_key_is_read_without(
    server: FakeEvolution, reading: Reading
) -> None:
    """I1, I8: over MySQL. It is asked so once, and a failure that has another cause changes nothing."""
    server.record("demo", PHONE, "yes?", from_me=True, at=NOW, id="P")
    server.order("find_500", times=2)
    with pytest.raises(RecordsUnavailable):
        await reading.page(own_only=True)
    assert ids(await reading.page(own_only=True)) == ([], ["P"])
    assert "key" in server.finds[-1]["where"]
    server.is_on_mysql = True
    with pytest.raises(RecordsUnavailable):
        await reading.page(2, own_only=True)
    for _ in range(2):
        assert ids(await reading.page(own_only=True)) == ([], ["P"])
    assert ["key" in asked["where"] for asked in server.finds] == [True, False, False]


async def test_a_page_that_is_too_large_is_read_in_smaller_ones(
    server: FakeEvolution, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I2: thumbnails must not hide messages. One record that is too large is counted, and the others are read."""
    monkeypatch.setattr("daemon.gateways.evolution.records.MAX_PAGE_BYTES", 20_000)
    monkeypatch.setattr("daemon.gateways.evolution.records.MAX_RECORD_BYTES", 40_000)
    for number in range(60):
        more = (
            {"padding": "x" * 30_000} if number == 33 else {"padding": "x" * 50_000} if number == 41 else {}
        )
        server.record("demo", PHONE, "oi", from_me=False, at=NOW - number, id=f"M{number}", **more)
    first, second = await reading.page(1), await reading.page(2)
    assert ids(first)[0] == [f"M{number}" for number in range(50) if number != 41]
    assert (first.unread, first.more) == (1, True)
    assert ids(second)[0] == [f"M{number}" for number in range(50, 60)]
    assert reading.requests <= 1 + 5 + 20 + 1


async def test_the_gateways_clock_is_told(server: FakeEvolution, reading: Reading) -> None:
    server.clock_skew_seconds = 3_600
    ahead = (await reading.page()).clock_ahead_seconds
    assert ahead is not None
    assert 3_595 < ahead < 3_605
    server.shows_date = False
    assert (await reading.page()).clock_ahead_seconds is None


async def test_a_gateway_that_cannot_be_asked(server: FakeEvolution, reading: Reading) -> None:
    """I8: and whether others of its instances need not be tried either."""
    server.order("find_503")
    with pytest.raises(RecordsUnavailable) as away:
        await reading.page()
    assert (away.value.reason, away.value.everyone) == ("answered_503", True)
    server.order("find_garbage")
    with pytest.raises(RecordsUnavailable) as garbage:
        await reading.page()
    assert (garbage.value.reason, garbage.value.everyone) == ("answered_200", False)
    server.order("find_reset")
    with pytest.raises(RecordsUnavailable) as reset:
        await reading.page()
    assert reset.value.everyone
    server.instances = frozenset({"other"})
    with pytest.raises(RecordsUnavailable) as unknown:
        await reading.page()
    assert (unknown.value.reason, unknown.value.everyone) == ("answered_404", False)


async def test_nonsense_in_the_records_is_passed_over(server: FakeEvolution, reading: Reading) -> None:
    for value in (None, "x", -1, 1e300, {"low": 1}):
        server.record("demo", PHONE, "oi", from_me=False, at=NOW, message=value, key=value)
    server.record("demo", PHONE, "oi", from_me=False, at=NOW, id="A")
    began = time.process_time()
    assert ids(await reading.page(since=0, until=2**40)) == (["A"], [])
    assert time.process_time() - began < 5
