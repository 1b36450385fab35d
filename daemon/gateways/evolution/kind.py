"""Evolution API as a kind of gateway."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence

from actors.ports import Feed, Gateway
from daemon.gateways.kind import (
    GatewayKind,
    GatewaySettings,
    InstanceFeed,
    KnownSends,
    ProxyDoor,
    Receive,
    RecordsReader,
    Tools,
)
from daemon.gateways.webhook_setup import WebhookSetup
from daemon.ingress.inbound import Parse
from daemon.schema.fields import Flag, Misfit, Secret, Visible, web_address
from daemon.web.client import HttpClient
from daemon.web.finding import Finding

RECORDS_SECONDS = 15.0
"""For one page of records: whoever takes longer is under load, and the sweep may come later."""


class EvolutionSettings(GatewaySettings):
    base_url: Visible | None = None
    api_key: Secret | None = None
    ask_typing: Flag = False

    @property
    def server(self) -> tuple[str, str]:
        """Address and key."""
        assert (
            self.base_url is not None and self.api_key is not None
        )  # `misfits` refused settings without them
        return self.base_url, self.api_key.get_secret_value()


class Evolution(GatewayKind[EvolutionSettings]):
    name = "evolution"
    settings = EvolutionSettings
    has_feed = True
    knows_instances = True
    sets_webhooks = True

    def misfits(self, settings: EvolutionSettings, door: ProxyDoor) -> Iterator[Misfit]:
        missing = "must be set for kind evolution"
        yield from web_address(("base_url",), settings.base_url, missing)
        if settings.api_key is None:
            yield Misfit(("api_key",), None, missing)

    def instance_misfits(
        self, settings: EvolutionSettings, instance: str, door: ProxyDoor
    ) -> Iterator[Misfit]:
        # A comma ends the name of a socket.io namespace, and the namespace is the instance's name.
        if settings.feed == "websocket" and "," in instance:
            yield Misfit(("feed",), settings.feed, "must be webhook for an instance with a comma in its name")

    def parser(self, settings: EvolutionSettings) -> Parse:
        from daemon.gateways.evolution.payload import parse_webhook  # not loaded by every command

        return parse_webhook

    def sender(self, settings: EvolutionSettings, tools: Tools) -> Gateway:
        from daemon.gateways.evolution.client import EvolutionGateway  # not loaded by every command

        base_url, api_key = settings.server
        return EvolutionGateway(
            tools.http,
            base_url=base_url,
            api_key=api_key,
            timeout_seconds=settings.timeout_seconds,
            allowed_origins=settings.allowed_origins,
            asks_typing=settings.ask_typing,
        )

    def records(self, settings: EvolutionSettings, http: HttpClient) -> RecordsReader:
        from daemon.gateways.evolution.records import EvolutionRecords  # not loaded by every command
        from daemon.gateways.evolution.server import EvolutionServer

        base_url, api_key = settings.server
        seconds = min(settings.timeout_seconds, RECORDS_SECONDS)
        return EvolutionRecords(
            EvolutionServer(http, base_url=base_url, api_key=api_key, timeout_seconds=seconds)
        )

    async def check(
        self,
        settings: EvolutionSettings,
        instance: str,
        http: HttpClient,
        sends: KnownSends | None,
        connected_to: str = "",
    ) -> Sequence[Finding]:
        from daemon.gateways.evolution.examination import examine  # not loaded by every command

        base_url, api_key = settings.server
        by_webhook = settings.feed == "webhook"
        return await examine(http, base_url, api_key, instance, sends, by_webhook, connected_to)

    def webhook_setup(self, settings: EvolutionSettings, http: HttpClient) -> WebhookSetup:
        from daemon.gateways.evolution.setup import EvolutionSetup  # not loaded by every command

        return EvolutionSetup(http, *settings.server)

    def feed(
        self, settings: EvolutionSettings, instance: str, receive: Receive, events: Feed, tls: ssl.SSLContext
    ) -> InstanceFeed:
        from daemon.gateways.evolution.feed import (
            EvolutionFeed,
        )  # loads a WebSocket library that few installs need

        base_url, api_key = settings.server
        return EvolutionFeed(base_url, api_key, instance, receive, events, tls)
