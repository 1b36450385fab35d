"""Sends through the Evolution API and looks up in its records whether a message was sent.

`server.py` knows where requests may go; `outcome.py` decides what the answers prove.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import CannotTell, NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Unknown
from actors.ports import MaySend, at_any_time
from actors.text import plain_text
from daemon.gateways.evolution.outcome import (
    classify,
    evidence_from,
    sent_id,
    timestamp_of,
)
from daemon.gateways.evolution.server import KEY_FAILS_STATUS, EvolutionServer, FoundRecords
from daemon.web.client import DeliveryUnknown, HttpClient, HttpFailed, NotDelivered
from daemon.web.progress import NOT_ALLOWED

MAX_SEND_BODY_BYTES = 256 * 1024
MAX_FIND_BODY_BYTES = 8 * 1024 * 1024
"""Records may hold thumbnails and quoted messages."""

PAGE_RECORDS = 50
MAX_PAGES = 10


SHORTEST_DELAY_MS = 1
"""The gateway asks WhatsApp to tell when a contact types only as it shows him that it types itself."""


class EvolutionGateway:
    """Serves any number of a server's instances. See `EvolutionServer` for the other arguments.

    Args:
      asks_typing: with each reply, ask to be told when its receiver types.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        base_url: str,
        api_key: str,
        timeout_seconds: float = 30.0,
        allowed_origins: Collection[str] = (),
        asks_typing: bool = False,
    ) -> None:
        self._asks_typing = asks_typing
        self._server = EvolutionServer(
            http,
            base_url=base_url,
            api_key=api_key,
            timeout_seconds=timeout_seconds,
            allowed_origins=allowed_origins,
        )

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        """One `sendText`. A failure of the gateway or the network raises nothing."""
        text = plain_text(text)
        if not text.strip():
            return NotSent("empty_text", "refuse")
        # linkPreview: without the false, newer versions fetch any URL in the text.
        body: dict[str, object] = {"number": conversation.contact, "text": text, "linkPreview": False}
        if self._asks_typing:
            body["delay"] = SHORTEST_DELAY_MS
        try:
            answer = await self._server.post(
                "/message/sendText", conversation.instance, body, MAX_SEND_BODY_BYTES, origin, may_send
            )
        except NotDelivered as failure:
            return NotSent("lease_ended" if failure.reason == NOT_ALLOWED else "unreachable", "hold")
        except DeliveryUnknown as failure:
            return Unknown(failure.reason)
        return classify(answer.status, answer.body, answer.retry_after_seconds)

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        """Read the contact's records, newest first, back to `since_ms`. Raises `GatewayHeld`.

        They are dated by the gateway's clock, so the moment is taken by that clock where the gateway shows it.
        `CannotTell` where absence is not proven: the page limit ends the search before `since_ms` is reached, or two
        pages share a second, whose records the gateway orders differently for each page, so that one is on neither.
        """
        evidence: SendEvidence = NoRecord()
        for jid in _jids(conversation.contact):
            records, from_seconds, is_all = await self._history(conversation, jid, since_ms, origin)
            message_id = sent_id(records, conversation.contact, text, from_seconds, known_ids)
            if message_id:
                return RecordFound(message_id)
            if not is_all:
                evidence = CannotTell()
        return evidence

    async def _history(
        self, conversation: Conversation, jid: str, since_ms: int, origin: str
    ) -> tuple[list[object], int, bool]:
        """Records under `jid`, the moment from which on they are evidence, and whether they are all since then."""
        where: Mapping[str, object] = {"key": {"remoteJid": jid}}
        records: list[object] = []
        from_seconds, is_torn = sys.maxsize, False
        for page in range(1, MAX_PAGES + 1):
            found = await self._page(conversation.instance, where, page, origin)
            if page == 1 and found.status == KEY_FAILS_STATUS:
                where = {}  # then the records of all contacts are read: only those of this one are evidence
                found = await self._page(conversation.instance, where, page, origin)
            latest = found.records
            if latest is None:
                raise GatewayHeld(f"the gateway's records cannot be read: it answered {found.status}")
            from_seconds = min(from_seconds, evidence_from(since_ms / 1000, time.time(), found.date_seconds))
            is_torn = is_torn or _shares_a_second(records, latest, from_seconds)
            records += latest
            if len(latest) < PAGE_RECORDS or _reaches(latest, from_seconds):
                return records, from_seconds, not is_torn
        return records, from_seconds, False

    async def _page(self, instance: str, where: Mapping[str, object], page: int, origin: str) -> FoundRecords:
        try:
            return await self._server.find_messages(
                instance, where, page, PAGE_RECORDS, MAX_FIND_BODY_BYTES, origin
            )
        except HttpFailed as failure:
            raise GatewayHeld(f"the gateway's records cannot be asked: {failure.reason}") from None


def _jids(contact: str) -> tuple[str, ...]:
    """How the records may name the contact: as WhatsApp does, or on the EVOLUTION channel as we wrote it."""
    return (contact,) if "@" in contact else (f"{contact}@s.whatsapp.net", contact)


def _reaches(records: list[object], since_seconds: int) -> bool:
    """Whether this page goes back to `since_seconds`, so that later pages hold older records only."""
    return min(_moments(records), default=since_seconds) < since_seconds


def _shares_a_second(before: list[object], page: list[object], since_seconds: int) -> bool:
    """Whether the page begins in the second with which the pages before it end, and which counts."""
    last, first = min(_moments(before), default=None), max(_moments(page), default=None)
    return last is not None and last == first and last >= since_seconds


def _moments(records: list[object]) -> list[int]:
    return [moment for moment in map(timestamp_of, records) if moment is not None]
