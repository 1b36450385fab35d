"""The gateways' own feeds, as the settings name them."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.ports import Feed
from daemon.config import load
from daemon.gateways.evolution.kind import Evolution, EvolutionSettings
from daemon.gateways.kind import FeedView, InstanceFeed, Receive
from daemon.observe.feed import EventFeed
from daemon.run.gateway_feeds import GatewayFeeds
from daemon.web.http1 import Response, json_response

EVOLUTION = {"kind": "evolution", "base_url": "http://127.0.0.1:9", "api_key": "k", "feed": "websocket"}


class OnePayload:
    """A feed that brings one payload and then nothing."""

    def __init__(self, instance: str, receive: Receive) -> None:
        self._instance = instance
        self._receive = receive

    async def run(self) -> None:
        await self._receive(b"payload")
        await trio.sleep_forever()

    def give_up(self) -> None:
        pass

    def view(self) -> FeedView:
        return FeedView(instance=self._instance, connected=True, received=1, connections=1, note="no replay")


async def test_what_a_feed_brings_is_taken_for_its_own_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is read by the parser of that instance's gateway, whatever the default gateway is."""

    def feed(
        kind: Evolution,
        settings: EvolutionSettings,
        instance: str,
        receive: Receive,
        events: Feed,
        tls: ssl.SSLContext,
    ) -> InstanceFeed:
        return OnePayload(instance, receive)

    monkeypatch.setattr(Evolution, "feed", feed)
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"instances": {"demo": {}, "tower": {"gateway": EVOLUTION}}}))
    taken: list[tuple[bytes, str]] = []

    async def receive(body: bytes, instance: str) -> Response:
        await trio.lowlevel.checkpoint()
        taken.append((body, instance))
        return json_response(200, {})

    feeds = GatewayFeeds(load(config, environment={}), EventFeed(), receive, lambda part, error: None)
    with trio.fail_after(5):
        async with feeds.open():
            await trio.testing.wait_all_tasks_blocked()
    assert taken == [(b"payload", "tower")]
    assert [(view.instance, view.note) for view in feeds.views()] == [("tower", "no replay")]
