"""Webhooks of an instance in mode `passthrough`, at the door."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio

from actors.errors import LedgerUnavailable, Overloaded
from daemon.forwarding.taking import is_among
from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.access import open_door
from daemon.ingress.counters import IngressObservers
from daemon.ingress.forwards import HOPS_HEADER, Parcel
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress
from daemon.web.http1 import Peer, Request, Response
from tests.daemon.ingress.test_webhooks import Room, payload
from tests.support.payloads import upsert


class Other:
    """The other address, with a name for one instance."""

    def __init__(self) -> None:
        self.taken: list[Parcel] = []
        self.fails: Exception | None = None
        self.unwanted: frozenset[str] = frozenset()

    def wants(self, instance: str) -> bool:
        return instance == "passed"

    async def take(self, parcel: Parcel) -> bool:
        await trio.lowlevel.checkpoint()
        if self.fails is not None:
            raise self.fails
        if parcel.event in self.unwanted:
            return False
        self.taken.append(parcel)
        return True

    def comes_round(self, hops: str) -> bool:
        return hops == "us"


class Kept:
    """A large body, kept whole beside what is left of it."""

    async def write(self, piece: bytes) -> None:
        raise AssertionError("it was written before")

    def close(self) -> None:
        raise AssertionError("the server closes it")


class Passing(Room):
    def __init__(self) -> None:
        super().__init__(open_door, "passed", "live")
        self.other = Other()
        self.ingress = Ingress(
            reader=Reader(parse_webhook, known=self.known),
            inbox=self,
            readiness=lambda: self.readiness,
            quarantine=self.quarantine,
            authorize=open_door,
            observers=IngressObservers(self.note),
            forwards=self.other,
        )

    async def say(
        self, path: str, body: bytes, whole: Kept | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        segments = tuple(path.removeprefix("/").split("/"))
        request = Request("POST", path, segments, {}, headers or {}, body, Peer("127.0.0.1"), whole)
        return await self.ingress.handle(request)

    @property
    def is_untouched(self) -> bool:
        return not (self.accepted or self.links or self.taken_over or self.quarantined)


def message(instance: str) -> bytes:
    return payload(upsert(instance, "551190000", "hi", "A1", 1)["data"], instance=instance)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "body", "event"),
    [
        ("/webhook/passed", message("passed"), "messages.upsert"),
        ("/webhook", message("passed"), "messages.upsert"),
        ("/webhook/live", message("passed"), "messages.upsert"),
        ("/webhook/passed/presence-update", payload({}, event="", instance="passed"), "presence.update"),
        ("/webhook/passed", payload({}, event="never.heard.of", instance="passed"), "never.heard.of"),
        ("/webhook/passed/qrcode-updated", b"\xff no JSON", "qrcode.updated"),
        ("/webhook/passed/N0%20event", b"[]", ""),
    ],
)
async def test_whatever_is_for_it_is_handed_on_as_it_came(path: str, body: bytes, event: str) -> None:
    room = Passing()
    answer = await room.say(path, body, headers={"x-event-type": "anything"})
    assert (answer.status, answer.body) == (200, b'{"status":"forwarded"}')
    [parcel] = room.other.taken
    assert (parcel.instance, parcel.event, parcel.body) == ("passed", event, body)
    assert parcel.came.headers["x-event-type"] == "anything"
    assert room.is_untouched and room.ingress.counters.forwarded == 1


async def test_what_is_for_another_is_not() -> None:
    room = Passing()
    assert (await room.say("/webhook/passed", message("live"))).status == 200
    assert (await room.say("/webhook/live", b"no JSON")).status == 400
    assert len(room.accepted) == 1 and not room.other.taken


@pytest.mark.parametrize("failure", [LedgerUnavailable("away"), Overloaded("full")])
async def test_what_cannot_be_stored_comes_again(failure: Exception) -> None:
    """I1: no 2xx before it is durable."""
    room = Passing()
    room.other.fails = failure
    answer = await room.say("/webhook/passed", message("passed"))
    assert answer.status == 503 and "Retry-After" in answer.headers
    assert room.is_untouched


async def test_of_a_body_of_which_nothing_is_left_the_path_says_whose_it_is() -> None:
    room, whole = Passing(), Kept()
    assert (await room.say("/webhook/passed", b"", whole)).status == 200
    [parcel] = room.other.taken
    assert parcel.came.whole is whole
    answer = await room.say("/webhook/live", b"", whole)
    assert answer.status == 413 and room.ingress.counters.lost.by_reason == {"body_too_large": 1}
    assert room.is_untouched


async def test_what_was_forwarded_by_us_is_refused_for_good() -> None:
    room = Passing()
    answer = await room.say("/webhook/passed", message("passed"), headers={HOPS_HEADER: "us"})
    assert answer.status == 508 and not room.other.taken
    assert room.ingress.counters.lost.by_reason == {"forwarded_in_a_circle": 1}
    assert (await room.say("/webhook/passed", message("passed"), headers={HOPS_HEADER: "them"})).status == 200


async def test_what_the_other_system_does_not_have_goes_nowhere() -> None:
    """One that answers whatever comes would answer its own answers."""
    room = Passing()
    room.other.unwanted = frozenset({"send.message"})
    body = payload({}, event="send.message", instance="passed")
    answer = await room.say("/webhook/passed", body)
    assert (answer.status, answer.body) == (200, b'{"status":"ignored","ignored":["not_forwarded"]}')
    assert room.is_untouched and not room.other.taken and not room.ingress.counters.forwarded


def test_events_are_meant_however_they_are_spelled() -> None:
    for event in ("messages.upsert", "messages-upsert", "MESSAGES_UPSERT", ""):
        assert is_among(event, ["MESSAGES_UPSERT", "CALL"]) and is_among(event, [])
    assert not is_among("send.message", ["MESSAGES_UPSERT", "CALL"])
