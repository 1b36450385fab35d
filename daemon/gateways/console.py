"""The gateway of the first run: prints replies instead of sending them.

It shows texts, since that is the point of a console, but not the contact.
"""

from __future__ import annotations

import sys

import trio

from actors.errors import MajlisError
from actors.identity import Conversation
from actors.outcome import CannotTell, NotSent, SendEvidence, SendOutcome, Sent
from actors.ports import Gateway, MaySend, at_any_time
from actors.text import shown_text
from daemon.gateways.kind import GatewayKind, GatewaySettings, KnownSends, Tools
from daemon.ingress.inbound import Parse
from daemon.web.client import HttpClient
from daemon.web.finding import Finding


class ConsoleGateway:
    """Writes each reply to standard output, whatever origin a reply is for."""

    def __init__(self) -> None:
        # One writer thread: replies stay whole, and a reader that stopped reading blocks no event loop.
        self._writer = trio.CapacityLimiter(1)

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        block = _block(conversation, text)
        try:
            may_send()
        except MajlisError:
            return NotSent("lease_ended", "hold")
        try:
            await trio.to_thread.run_sync(_write, block, limiter=self._writer)
        except (OSError, ValueError):  # a closed pipe, a closed stream
            return NotSent("console_closed", "hold")
        return Sent("")

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        return CannotTell()


def _block(conversation: Conversation, text: str) -> str:
    digits = conversation.contact.partition("@")[0]
    masked = f"…{digits[-2:]}" if len(digits) > 4 else "…"
    lines = shown_text(text).replace("\n", "\n    ")
    return f"{shown_text(conversation.instance)} → {masked}\n    {lines}\n"


def _write(block: str) -> None:
    stream = sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(block.encode(encoding, "replace").decode(encoding))
    stream.flush()


class Console(GatewayKind[GatewaySettings]):
    name = "console"
    settings = GatewaySettings

    def parser(self, settings: GatewaySettings) -> Parse:
        # The first webhooks are those of Evolution: replies are printed until its address and key are set.
        from daemon.gateways.evolution.payload import parse_webhook  # not loaded by every command

        return parse_webhook

    def sender(self, settings: GatewaySettings, tools: Tools) -> Gateway:
        return ConsoleGateway()

    async def check(
        self,
        settings: GatewaySettings,
        instance: str,
        http: HttpClient,
        sends: KnownSends | None,
        connected_to: str = "",
    ) -> list[Finding]:
        return [Finding("ok", "replies are printed, not sent")]
