"""Sends through the Evolution API and looks up in its records whether a message was sent.

Requests go to the configured base URL, or to the same path of another origin that the operator allowed, because each
carries the key. `outcome.py` decides what the answers prove.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from urllib.parse import quote, urlsplit

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import CannotTell, NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Unknown
from actors.ports import MaySend, at_any_time
from actors.text import plain_text
from daemon.gateways.evolution.outcome import (
    classify,
    evidence_from,
    records_in,
    sent_id,
    timestamp_of,
)
from daemon.web.answer import HttpAnswer
from daemon.web.client import NOT_ALLOWED, DeliveryUnknown, HttpClient, HttpFailed, NotDelivered

MAX_SEND_BODY_BYTES = 256 * 1024
MAX_FIND_BODY_BYTES = 8 * 1024 * 1024
"""Records may hold thumbnails and quoted messages."""

PAGE_RECORDS = 50
MAX_PAGES = 10


class EvolutionGateway:
    """One Evolution server with its key; serves any number of its instances.

    Args:
      http: a client that keeps no connections: if a kept one dies at that moment, a send on it looks as if it had
        arrived.
      base_url: the server's origin, with a path if it is served under one.
      timeout_seconds: for one whole call.
      allowed_origins: the origins, besides the base URL's own, that a call may name. Any other is ignored, and the
        call goes to the base URL.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        base_url: str,
        api_key: str,
        timeout_seconds: float = 30.0,
        allowed_origins: Collection[str] = (),
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        path = urlsplit(self._base_url).path
        self._other_urls = {origin: f"{origin}{path}" for origin in allowed_origins}
        self._headers = {"apikey": api_key}
        self._timeout_seconds = timeout_seconds

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
        body = {"number": conversation.contact, "text": text, "linkPreview": False}
        try:
            answer = await self._post(
                "/message/sendText", conversation.instance, origin, body, MAX_SEND_BODY_BYTES, may_send
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
        `CannotTell` when the page limit ends the search before `since_ms` is reached: absence is not proven.
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
        """Records under `jid`, the moment from which on they are evidence, and whether they go back to it."""
        records: list[object] = []
        from_seconds = sys.maxsize
        for page in range(1, MAX_PAGES + 1):
            latest, date_seconds = await self._records(conversation, jid, origin, page)
            records += latest
            from_seconds = min(from_seconds, evidence_from(since_ms / 1000, time.time(), date_seconds))
            if len(latest) < PAGE_RECORDS or _reaches(latest, from_seconds):
                return records, from_seconds, True
        return records, from_seconds, False

    async def _records(
        self, conversation: Conversation, jid: str, origin: str, page: int
    ) -> tuple[list[object], float | None]:
        """One page of records, newest first, and what the gateway's clock showed."""
        where = {"key": {"remoteJid": jid}}
        body = {"where": where, "page": page, "offset": PAGE_RECORDS}
        try:
            answer = await self._post(
                "/chat/findMessages", conversation.instance, origin, body, MAX_FIND_BODY_BYTES
            )
        except HttpFailed as failure:
            raise GatewayHeld(f"the gateway's records cannot be asked: {failure.reason}") from None
        records = records_in(answer.json()) if 200 <= answer.status < 300 else None
        if records is None:
            raise GatewayHeld(f"the gateway's records cannot be read: it answered {answer.status}")
        return records, answer.date_seconds

    async def _post(
        self,
        route: str,
        instance: str,
        origin: str,
        body: dict[str, object],
        max_body_bytes: int,
        may_send: MaySend = at_any_time,
    ) -> HttpAnswer:
        # Dots are escaped too: an instance called ".." would otherwise climb to another route.
        name = quote(instance, safe="").replace(".", "%2E")
        url = f"{self._other_urls.get(origin, self._base_url)}{route}/{name}"
        return await self._http.post_json(
            url, body, self._headers, self._timeout_seconds, max_body_bytes, may_send
        )


def _jids(contact: str) -> tuple[str, ...]:
    """How the records may name the contact: as WhatsApp does, or on the EVOLUTION channel as we wrote it."""
    return (contact,) if "@" in contact else (f"{contact}@s.whatsapp.net", contact)


def _reaches(records: list[object], since_seconds: int) -> bool:
    """Whether this page goes back to `since_seconds`, so that later pages hold older records only."""
    moments = [moment for moment in map(timestamp_of, records) if moment is not None]
    return bool(moments) and min(moments) < since_seconds
