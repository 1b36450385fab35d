"""The gateways' own feeds, as the settings in force name them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable

import pytest
import trio
import trio.testing

from actors.ports import Feed
from daemon.config import load
from daemon.config.run_time import RunTimeValue, for_daemon, for_instance
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.evolution.kind import Evolution, EvolutionSettings
from daemon.gateways.kind import FeedView, InstanceFeed, Receive
from daemon.ingress.known_instances import KnownInstances
from daemon.observe.feed import EventFeed
from daemon.run.gateway_feeds import GatewayFeeds
from daemon.web.http1 import Response, json_response

EVOLUTION = {"kind": "evolution", "base_url": "http://127.0.0.1:9", "api_key": "k", "feed": "websocket"}
TOWER = {"instances": {"demo": {}, "tower": {"gateway": EVOLUTION}}}


class OnePayload:
    """A feed that brings one payload and then nothing."""

    def __init__(self, instance: str, receive: Receive, address: str) -> None:
        self.address = address
        self.state = "made"
        self._instance = instance
        self._receive = receive

    async def run(self) -> None:
        self.state = "runs"
        try:
            await self._receive(b"payload")
            await trio.sleep_forever()
        finally:
            self.state = "ended"

    def give_up(self) -> None:
        assert self.state == "ended"
        self.state = "given up"

    def view(self) -> FeedView:
        return FeedView(instance=self._instance, connected=True, received=1, connections=1, note=self.address)


class Place:
    """Feeds, what they brought, and the settings that they follow."""

    def __init__(self, settings: object) -> None:
        assignments = [f"{key}={json.dumps(value)}" for key, value in dict(settings).items()]  # type: ignore[call-overload]
        self.live = LiveSettings(load(None, assignments, {}))
        self.known = KnownInstances(self.live.names)
        self.made: list[OnePayload] = []
        self.taken: list[tuple[bytes, str]] = []
        self.errors: list[BaseException] = []
        self.feeds = GatewayFeeds(
            self.live,
            self.known,
            EventFeed(),
            self.receive,
            lambda part, error: self.errors.append(error),
            None,
        )

    async def receive(self, body: bytes, instance: str) -> Response:
        await trio.lowlevel.checkpoint()
        self.taken.append((body, instance))
        return json_response(200, {})

    def set(self, instance: str, **keys: object) -> None:
        """All run-time settings of the instance's gateway; the other instances have none."""
        values = [RunTimeValue(f"gateway.{key}", value, "x", sealed=True) for key, value in keys.items()]
        for_all = for_daemon(self.live.configured, ())
        self.live.put(
            for_all, {instance: for_instance(self.live.configured, for_all.layer, instance, values)}
        )

    async def views(self) -> list[tuple[str, str]]:
        """Instance and address of each feed, when all has come to rest."""
        await trio.testing.wait_all_tasks_blocked()
        return [(view.instance, view.note) for view in self.feeds.views()]


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Place]:
    places: list[Place] = []

    def feed(
        kind: Evolution,
        settings: EvolutionSettings,
        instance: str,
        receive: Receive,
        events: Feed,
        tls: ssl.SSLContext,
    ) -> InstanceFeed:
        made = OnePayload(instance, receive, settings.base_url or "")
        places[-1].made.append(made)
        return made

    monkeypatch.setattr(Evolution, "feed", feed)

    def put(settings: object) -> Place:
        places.append(Place(settings))
        return places[-1]

    return put


async def test_what_a_feed_brings_is_taken_for_its_own_instance(placed: Callable[[object], Place]) -> None:
    """So it is read by the parser of that instance's gateway, whatever the default gateway is."""
    place = placed(TOWER)
    async with place.feeds.open():
        assert await place.views() == [("tower", "http://127.0.0.1:9")]
    assert place.taken == [(b"payload", "tower")]
    assert place.made[0].state == "given up"


async def test_a_feed_begins_ends_and_moves_with_the_settings(placed: Callable[[object], Place]) -> None:
    place = placed(TOWER)
    async with place.feeds.open():
        await place.views()
        place.set("demo", **EVOLUTION)
        assert await place.views() == [("demo", "http://127.0.0.1:9"), ("tower", "http://127.0.0.1:9")]
        tower = place.made[0]
        place.set("tower", base_url="http://127.0.0.1:8")
        assert await place.views() == [("tower", "http://127.0.0.1:8")]
        assert tower.state == "given up" and place.taken == [
            (b"payload", "tower"),
            (b"payload", "demo"),
            (b"payload", "tower"),
        ]
        place.set("tower", base_url="http://127.0.0.1:8", timeout_seconds=7, on_unresolved="hold")
        await place.views()
        assert len(place.made) == 3, "what a feed has no use for is no reason to end it"
        place.set("tower", feed="webhook")
        assert await place.views() == []
        place.set("tower", base_url="nowhere")
        assert await place.views() == [], "it is not known which gateway is meant"
        for number in range(100):
            place.set("tower", base_url=f"http://127.0.0.1:{number}")
        assert await place.views() == [("tower", "http://127.0.0.1:99")], "one at a time, the newest"
        assert len(place.made) <= 5
    assert {made.state for made in place.made} <= {"given up"} and not place.errors


async def test_where_all_have_a_feed_stored_instances_have_one_too(placed: Callable[[object], Place]) -> None:
    place = placed({"gateway": EVOLUTION, "instances": {"demo": {}}})
    async with place.feeds.open():
        assert await place.views() == [("demo", "http://127.0.0.1:9")]
        place.known.learn(["stored", "not, possible"])
        assert [name for name, _ in await place.views()] == ["demo", "stored"]
        place.known.learn([])
        assert [name for name, _ in await place.views()] == ["demo"]
