"""Forwarding what waits: a real Postgres, and an old system that fails on request. I1, I2: nothing taken in is lost."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from pydantic import SecretStr

from actors.errors import Overloaded
from daemon.config import PassthroughSettings
from daemon.forwarding.attempt import MAX_TRIES
from daemon.forwarding.forwarder import Forwarder, Outside
from daemon.forwarding.spool import Spools
from daemon.forwarding.store import ForwardStore, Queue
from daemon.forwarding.taking import Taking, hop_name, is_among
from daemon.ingress.forwards import HOPS_HEADER, Came, Parcel
from daemon.observe.feed import EventFeed
from daemon.web.client import HttpClient
from tests.support import patience
from tests.support.ledgers import LedgerWorld, open_world
from tests.support.old_system import OldSystem

INSTALL = "install-1"
PLENTY = 1 << 30


class Room:
    """What takes in and what forwards, of one daemon; `another` is a second one on the same ledger."""

    def __init__(self, world: LedgerWorld, http: HttpClient, directory: Path, node: str = "one") -> None:
        self.world, self.http, self.directory = world, http, directory
        self.store = ForwardStore(world.db, node)
        self.feed = EventFeed(strict=True)
        self.feed.set_install_id(INSTALL)
        self.settings: dict[str, PassthroughSettings] = {}
        self.removed: set[str] = set()
        self.held: dict[str, str] = {}
        self.bounds = (PLENTY, PLENTY)
        around = Outside(
            settings=lambda name: self.settings.get(name, PassthroughSettings()),
            exists=self._exists,
            hop=lambda: hop_name(INSTALL),
            held=lambda name: self.held.get(name, ""),
            draw=lambda: 0.5,
        )
        self.forwarder = Forwarder(self.store, http, around, self.feed, poll_seconds=0.05)
        self.spools = Spools(directory, PLENTY)
        self.taking = Taking(
            store=lambda: self.store,
            spools=self.spools,
            is_passed=lambda _name: True,
            is_anyone=lambda: True,
            is_wanted=lambda name, event: is_among(
                event, self.settings.get(name, PassthroughSettings()).events
            ),
            bounds=lambda _name: self.bounds,
            nudge=self.forwarder.nudge,
            feed=self.feed,
        )

    async def _exists(self, instance: str) -> bool:
        await trio.lowlevel.checkpoint()
        return instance not in self.removed

    def send_to(self, old: OldSystem, instance: str = "acme", **more: Any) -> None:
        url = SecretStr(f"{old.url}/{instance}")
        self.settings[instance] = PassthroughSettings(url=url, **more)

    async def take(self, body: bytes, instance: str = "acme", event: str = "messages.upsert") -> None:
        headers = {"content-type": "application/json", "apikey": "DOOR", "x-event-type": "messages.upsert"}
        headers["x-instance-name"] = "مقهى".encode().decode("latin-1")  # as the door reads it
        await self.taking.take(Parcel(instance, event, body, Came(headers)))

    async def take_large(self, body: bytes, thinned: bytes = b"") -> None:
        spool = self.taking.keep()
        assert spool is not None
        for start in range(0, len(body), 100_000):
            await spool.write(body[start : start + 100_000])
        try:
            await self.taking.take(Parcel("acme", "messages.upsert", thinned, Came({}, spool)))
        finally:
            spool.close()

    async def until_empty(self, instance: str = "acme") -> None:
        with trio.fail_after(patience.PATIENCE_SECONDS):
            while any(queue.waiting for queue in await self.store.queues(instance)):  # noqa: ASYNC110 - as patience
                await trio.sleep(0.02)

    async def until_failed(self, times: int) -> None:
        await patience.until(lambda: self.feed.counters["forward.failed"] == times)

    async def let_come_due(self) -> None:
        """Let the time until the next attempt pass."""
        await self.world.db.fetch("UPDATE majlis_forward_queues SET due_at = now()")
        self.forwarder.nudge()

    async def queue(self, instance: str = "acme") -> Queue:
        [queue] = await self.store.queues(instance)
        return queue

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.forwarder.run)
            yield
            nursery.cancel_scope.cancel()


@pytest.fixture
def old() -> Iterator[OldSystem]:
    with OldSystem().running() as server:
        yield server


@pytest.fixture
async def room(migrated_postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_world(migrated_postgres_dsn, 8) as world, HttpClient() as http:
        yield Room(world, http, tmp_path / "spool")


def payload(number: int, token: str | None = "INSTANCE-TOKEN", text: str = "hi") -> bytes:
    document = {
        "event": "messages.upsert",
        "data": {"key": {"id": f"M{number}"}, "text": text},
        "apikey": token,
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


async def wait_for(old: OldSystem, count: int) -> list[Any]:
    return await trio.to_thread.run_sync(old.wait_for, count)


async def test_webhooks_arrive_in_order_as_they_came(room: Room, old: OldSystem) -> None:
    """Each byte, the token too, which the database never sees; and what the old system needs to know them by."""
    room.send_to(old, api_key=SecretStr("INSTANCE-TOKEN"), headers={"apikey": SecretStr("OLD-TOKEN")})
    tricky = payload(0, text='{"apikey": "x"} "apikey":"y" مرحبا')
    bodies = [tricky, *(payload(number) for number in range(1, 40)), b"no JSON at all"]
    for body in bodies:
        await room.take(body)
    stored = str(await room.world.rows("SELECT encode(bytes, 'escape') FROM majlis_forward_pieces"))
    kept = str(await room.world.rows("SELECT headers FROM majlis_forwards"))
    assert "INSTANCE-TOKEN" not in stored and "DOOR" not in kept
    async with room.running():
        came = await wait_for(old, len(bodies))
        await room.until_empty()
    assert [one.body for one in came] == bodies
    first = came[0].headers
    assert first["apikey"] == "OLD-TOKEN" and first["x-event-type"] == "messages.upsert"
    assert first["x-instance-name"] == "مقهى"
    assert first[HOPS_HEADER] == hop_name(INSTALL) and came[0].path == "/acme"
    assert not await room.world.rows("SELECT FROM majlis_forwards")  # nothing of it is kept


async def test_without_the_token_the_field_is_null_as_the_gateway_has_it(room: Room, old: OldSystem) -> None:
    room.send_to(old, by_events=True, headers={"jwt_key": SecretStr("K")})
    await room.take(payload(1))
    async with room.running():
        [came] = await wait_for(old, 1)
    assert came.body == payload(1, token=None)
    assert came.path == "/acme/messages-upsert"
    _, claims, _ = came.headers["authorization"].removeprefix("Bearer ").split(".")
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["app"] == "evolution"
    assert "jwt_key" not in came.headers


async def test_a_body_with_media_arrives_whole(room: Room, old: OldSystem) -> None:
    room.send_to(old, api_key=SecretStr("T"))
    media = base64.b64encode(os.urandom(3_000_000)).decode()
    document = {"event": "messages.upsert", "data": {"message": {"base64": media}}, "apikey": "T"}
    body = json.dumps(document).encode()
    thinned = json.dumps({**document, "data": {}}).encode()
    await room.take_large(body, thinned)
    await room.take_large(body)  # too much was left for a parser: its end shows where the token was
    [(pieces,), *_] = [
        tuple(row.values()) for row in await room.world.rows("SELECT count(*) FROM majlis_forward_pieces")
    ]
    assert pieces == 2 * (len(body) // (1024 * 1024) + 1)
    async with room.running():
        came = await wait_for(old, 2)
        await room.until_empty()
    assert [one.sha256 for one in came] == 2 * [hashlib.sha256(body).hexdigest()]
    assert room.spools.held == 0


@pytest.mark.parametrize("fault", ["reset", 503, 302, 500])
async def test_what_does_not_arrive_is_tried_again_before_the_next(
    room: Room, old: OldSystem, fault: Any
) -> None:
    room.send_to(old)
    if fault == "reset":
        old.order(0, fault="reset")
    else:
        old.order(fault, headers={"retry-after": "40", "location": f"{old.url}/elsewhere"})
    await room.take(payload(1))
    await room.take(payload(2))
    async with room.running():
        await wait_for(old, 1)
        await patience.until(lambda: room.feed.counters["forward.failed"] == 1)
        rests = await room.world.db.value(
            "SELECT extract(epoch FROM due_at - now())::float8 FROM majlis_forward_queues"
        )
        assert (30 if fault == 503 else 3) < rests <= 40  # Retry-After, else the first delay of the gateway
        await room.let_come_due()
        await wait_for(old, 3)
        await room.until_empty()
    assert [one.id for one in old.came] == ["M1", "M1", "M2"]
    assert {one.path for one in old.came} == {"/acme"}


async def test_what_is_refused_or_never_arrives_is_dead_and_the_next_goes_on(
    room: Room, old: OldSystem
) -> None:
    room.send_to(old)
    old.order(404)
    await room.take(payload(1))
    await room.take(payload(2))
    async with room.running():
        await wait_for(old, 2)
        await room.until_empty()
        [dead] = await room.store.listed(None, dead=True, limit=10)
        assert (dead.reason, dead.tries, dead.size) == ("answered_404", 1, len(payload(1, "")) - 2)
        assert await room.store.retry(dead.id) == 1
        room.forwarder.nudge()
        await wait_for(old, 3)
        await room.until_empty()
        old.order(*[503] * MAX_TRIES)
        await room.take(payload(3))
        for attempt in range(1, MAX_TRIES):
            await wait_for(old, 3 + attempt)
            await room.until_failed(attempt)
            await room.let_come_due()
        await patience.until(lambda: room.feed.counters["forward.dead"] == 2)
    [dead] = await room.store.listed(None, dead=True, limit=10)
    assert (dead.reason, dead.tries) == ("answered_503", MAX_TRIES)
    assert await room.store.drop(dead.id) == "acme" and await room.store.drop(dead.id) is None
    assert not await room.store.queues()  # the counts are what the rows are


async def test_a_slow_address_delays_no_other_instance(room: Room, old: OldSystem) -> None:
    room.send_to(old, "slow")
    room.send_to(old, "quick")
    old.order(0, fault="hang")
    await room.take(payload(1), "slow")
    async with room.running():
        await wait_for(old, 1)
        await room.take(payload(2), "quick")
        await wait_for(old, 2)
        await room.until_empty("quick")
        assert (await room.queue("slow")).waiting == 1


async def test_two_daemons_forward_for_an_instance_one_at_a_time(room: Room, old: OldSystem) -> None:
    other = Room(room.world, room.http, room.directory, "two")
    for one in (room, other):
        one.send_to(old)
    for number in range(30):
        await (room if number % 2 else other).take(payload(number))
    async with room.running(), other.running():
        await wait_for(old, 30)
        await room.until_empty()
    assert [one.id for one in old.came] == [f"M{number}" for number in range(30)]


async def test_another_daemon_goes_on_when_the_lease_ends_and_the_same_at_once(
    room: Room, old: OldSystem
) -> None:
    """A daemon that was killed in the middle: what it had begun is sent again, nothing is left out."""
    await room.take(payload(1))
    await room.take(payload(2))
    assert await room.store.claim((), 9) == ["acme"]
    other = Room(room.world, room.http, room.directory, "two")
    assert not await other.store.claim((), 9)
    assert not await room.store.claim(("acme",), 9)
    assert await room.store.claim((), 9) == ["acme"]  # after a restart
    await room.world.db.fetch("UPDATE majlis_forward_queues SET held_until = now()")
    assert await other.store.claim((), 9) == ["acme"]
    assert not await room.store.hold("acme")
    first, second = await room.store.next("acme", 9, PLENTY)
    assert not await room.store.sent(
        "acme", first.id
    )  # it did arrive, whoever says so, but the next is not ours
    other.send_to(old)
    async with other.running():
        await wait_for(old, 1)
        await other.until_empty()
    assert [one.id for one in old.came] == ["M2"]
    assert second.id > first.id


async def test_what_may_wait_is_bounded_for_each_instance_and_in_all(room: Room) -> None:
    size = len(payload(1, "")) - 2
    room.bounds = (2 * size, 3 * size)
    await room.take(payload(1))
    await room.take(payload(2))
    with pytest.raises(Overloaded):
        await room.take(payload(3))
    await room.take(payload(3), "other")
    with pytest.raises(Overloaded):
        await room.take(payload(4), "other")
    with pytest.raises(Overloaded):
        await room.take_large(payload(5), payload(5))
    assert [(queue.instance, queue.waiting_bytes) for queue in await room.store.queues()] == [
        ("acme", 2 * size),
        ("other", size),
    ]
    assert not await room.world.rows("SELECT FROM majlis_forwards WHERE state = 'arriving'")


async def test_without_an_address_it_waits_and_of_a_removed_instance_it_is_dead(
    room: Room, old: OldSystem
) -> None:
    room.removed.add("gone")
    await room.take(payload(1))
    await room.take(payload(2), "gone")
    await room.take(payload(3), "gone")
    async with room.running():
        await patience.until(lambda: room.feed.reasons("forward.failed").get("no_address") == 1)
        await patience.until(lambda: room.feed.counters["forward.dead"] == 1)
        room.send_to(old)
        await room.let_come_due()
        await wait_for(old, 1)
        await room.until_empty()
    assert [one.reason for one in await room.store.listed("gone", dead=True, limit=9)] == 2 * [
        "instance_removed"
    ]
    await room.world.db.fetch("UPDATE majlis_forwards SET dead_at = now() - interval '31 days'")
    assert await room.store.forget() == 2
    assert not await room.store.queues()


async def test_while_it_is_held_nothing_is_forwarded_and_no_attempt_is_used_up(
    room: Room, old: OldSystem
) -> None:
    room.send_to(old)
    room.held["acme"] = "its passthrough.api_key cannot be opened"
    await room.take(payload(1))
    async with room.running():

        async def is_held() -> bool:
            return [one.reason for one in await room.store.listed("acme", dead=False, limit=9)] == [
                "instance_held"
            ]

        with trio.fail_after(patience.PATIENCE_SECONDS):
            while not await is_held():  # noqa: ASYNC110 - as patience
                await trio.sleep(0.02)
        assert old.taken() == [] and [one.tries for one in await room.store.listed("acme", False, 9)] == [0]
        room.held.clear()
        await room.let_come_due()
        await wait_for(old, 1)


def test_a_webhook_that_was_forwarded_already_is_known(tmp_path: Path) -> None:
    feed = EventFeed(strict=True)
    feed.set_install_id(INSTALL)
    taking = Taking(
        store=lambda: None,
        spools=Spools(tmp_path, 0),
        is_passed=lambda _name: True,
        is_anyone=lambda: True,
        is_wanted=lambda _name, _event: True,
        bounds=lambda _name: (0, 0),
        nudge=lambda _name: None,
        feed=feed,
    )
    assert taking.comes_round(hop_name(INSTALL))
    assert taking.comes_round(f"{hop_name('another')}, {hop_name(INSTALL)}")
    assert not taking.comes_round(hop_name("another"))
    assert taking.comes_round(", ".join(["another"] * 9))
