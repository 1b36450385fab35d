"""Sends through the Evolution API and looks up in its records whether a message was sent.

Requests go to the configured base URL, or to the same path of another origin that the operator allowed, because each
carries the key. `outcome.py` decides what the answers prove.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote, urlsplit

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import CannotTell, NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Unknown
from actors.ports import MaySend, at_any_time
from actors.text import plain_text
from daemon.gateways.evolution.outcome import (
    CLOCK_TOLERANCE_SECONDS,
    classify,
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

        `CannotTell` when the page limit ends the search before `since_ms` is reached: absence is not proven.
        """
        since_seconds = since_ms // 1000
        records: list[object] = []
        for page in range(1, MAX_PAGES + 1):
            latest = await self._records(conversation, origin, page)
            records += latest
            if len(latest) < PAGE_RECORDS or _reaches(latest, since_seconds - CLOCK_TOLERANCE_SECONDS):
                message_id = sent_id(records, conversation.contact, text, since_seconds, known_ids)
                return RecordFound(message_id) if message_id else NoRecord()
        message_id = sent_id(records, conversation.contact, text, since_seconds, known_ids)
        return RecordFound(message_id) if message_id else CannotTell()

    async def _records(self, conversation: Conversation, origin: str, page: int) -> list[object]:
        where = {"key": {"remoteJid": _jid(conversation.contact)}}
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
        return records

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


def _jid(contact: str) -> str:
    return contact if "@" in contact else f"{contact}@s.whatsapp.net"


def _reaches(records: list[object], since_seconds: int) -> bool:
    """Whether this page goes back to `since_seconds`, so that later pages hold older records only."""
    moments = [moment for moment in map(timestamp_of, records) if moment is not None]
    return bool(moments) and min(moments) < since_seconds
