"""Evolution API as a kind of gateway."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from actors.ports import Feed, Gateway
from daemon.gateways.kind import (
    GatewayKind,
    GatewaySettings,
    InstanceFeed,
    ProxyDoor,
    Receive,
    RecordsReader,
    Tools,
)
from daemon.ingress.inbound import Parse
from daemon.schema.fields import Misfit, Secret, web_address
from daemon.web.answer import dig
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.finding import DOCTOR_SECONDS, MAX_DOCTOR_BYTES, Finding

RECORDS_SECONDS = 15.0
"""For one page of records: whoever takes longer is under load, and the sweep may come later."""


class EvolutionSettings(GatewaySettings):
    base_url: str | None = None
    api_key: Secret | None = None

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
        )

    def records(self, settings: EvolutionSettings, http: HttpClient) -> RecordsReader:
        from daemon.gateways.evolution.records import EvolutionRecords  # not loaded by every command
        from daemon.gateways.evolution.server import EvolutionServer

        base_url, api_key = settings.server
        seconds = min(settings.timeout_seconds, RECORDS_SECONDS)
        return EvolutionRecords(
            EvolutionServer(http, base_url=base_url, api_key=api_key, timeout_seconds=seconds)
        )

    async def check(self, settings: EvolutionSettings, instance: str, http: HttpClient) -> Finding:
        base_url, api_key = settings.server
        url = f"{base_url.rstrip('/')}/instance/connectionState/{quote(instance, safe='')}"
        try:
            answer = await http.get(url, {"apikey": api_key}, DOCTOR_SECONDS, MAX_DOCTOR_BYTES)
        except HttpFailed as failure:
            advice = "Check gateway.base_url, and that the gateway runs and can be reached from here."
            return Finding("problem", str(failure), advice)
        return _connection(answer.status, dig(answer.json(), "instance", "state"))

    def feed(
        self, settings: EvolutionSettings, instance: str, receive: Receive, events: Feed
    ) -> InstanceFeed:
        from daemon.gateways.evolution.feed import (
            EvolutionFeed,
        )  # loads a WebSocket library that few installs need

        base_url, api_key = settings.server
        return EvolutionFeed(base_url, api_key, instance, receive, events)


def _connection(status: int, state: object) -> Finding:
    if status in (401, 403):
        advice = "Set gateway.api_key to the gateway's global key or the instance's token."
        return Finding("problem", "the key is refused", advice)
    if status == 404:
        advice = "Create the instance at the gateway, or correct its name under instances."
        return Finding("problem", "no such instance", advice, unknown_instance=True)
    if status != 200 or not isinstance(state, str):
        advice = "Check the gateway's log; the instance may not be loaded."
        return Finding("problem", f"status {status}, no state", advice)
    if state != "open":
        advice = "Connect the instance at the gateway (scan its QR code)."
        return Finding("problem", f"the phone is {state}", advice)
    return Finding("ok", "connected")
