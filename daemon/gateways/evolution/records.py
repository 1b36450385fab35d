"""Reads the gateway's records (`findMessages`) of a range of time.

Laws of this file:
1. A record has the shape of a webhook's `data`, and is read by the same parser.
2. The filter by time is a wish: version 2.2.0 has none, and all ignore it where one of its two ends is missing. So each
   record is compared again. What the server says of its pages may only lead to one page more, never to one less.
3. A page that is too large is read in smaller ones; a single record that is too large is counted and passed over.
4. A reaction is read like any message, and is context of the next one as ever. An edit or a deletion is left out: the
   gateway writes an edit into the record of the message itself, and keeps no record of a deletion.
5. Nothing depends on a filter by key: over MySQL the server fails on it, and then all records are read.

As its source shows it (2.2.3 to 2.4.0-rc2, `fetchMessages` of channel.service and of whatsapp.baileys.service): filters
are joined by AND, a false one is none, times are ISO and cut to seconds. The order is by `messageTimestamp` alone, so
within one second by nothing. Groups and the status feed are among the records. On the Baileys channel a record is
written before its webhook leaves and keeps the key as WhatsApp gave it, thus the LID beside the number; on the others
it is written after the webhook, and on WHATSAPP-BUSINESS media are only recorded if they go to S3.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from actors.identity import is_playground, phone_number
from actors.messages import Message
from daemon.gateways.evolution.message import read_item
from daemon.gateways.evolution.outcome import newest_first
from daemon.gateways.evolution.server import KEY_FAILS_STATUS, EvolutionServer
from daemon.gateways.evolution.times import sent_at
from daemon.gateways.kind import RecordsPage, RecordsUnavailable
from daemon.gateways.lenient import JsonObject, mapping, text
from daemon.ingress.inbound import Amendment, Ignored, Link, OwnMessage
from daemon.web.answer import dig
from daemon.web.client import HttpFailed

SIZES = (50, 10, 1)
"""Records on a page; the smaller ones are for pages that are too large."""
MAX_PAGE_BYTES = 2 * 1024 * 1024
"""Read in one go, and nothing else runs meanwhile."""
MAX_RECORD_BYTES = 8 * 1024 * 1024
"""For a page of one record: media may be stored with it."""
LAST_SECOND = 2**31 - 1
"""In 2038: the gateway keeps times in 32 bits, and a filter that needs more makes its database fail."""


@dataclass
class _Read:
    """One page of `SIZES[0]` records, in however many requests it was read."""

    records: list[object] = field(default_factory=list)
    unread: int = 0
    pages: int | None = None
    """As the server counts them, in pages of that size."""
    ahead_seconds: float | None = None

    @property
    def count(self) -> int:
        return len(self.records) + self.unread


class EvolutionRecords:
    """Implements `RecordsReader` for every instance of one server."""

    def __init__(self, server: EvolutionServer) -> None:
        self._server = server
        self._filters_by_key = True

    async def page(
        self,
        instance: str,
        since_seconds: int,
        until_seconds: int,
        number: int,
        before_each: Callable[[], Awaitable[None]],
        own_only: bool = False,
    ) -> RecordsPage:
        """See `RecordsReader`."""
        where: JsonObject = {
            "messageTimestamp": {"gte": _moment(since_seconds), "lte": _moment(until_seconds)}
        }
        found = _Read()
        if own_only and self._filters_by_key:
            try:
                await self._read(found, instance, where | {"key": {"fromMe": True}}, number, before_each)
            except RecordsUnavailable as failure:
                if failure.reason != f"answered_{KEY_FAILS_STATUS}" or number > 1:  # page 1 had the filter
                    raise
                found = _Read()
                await self._read(found, instance, where, number, before_each)
                self._filters_by_key = False
        else:
            await self._read(found, instance, where, number, before_each)
        return _page(instance, found, since_seconds, until_seconds, number)

    async def _read(
        self,
        found: _Read,
        instance: str,
        where: JsonObject,
        number: int,
        before_each: Callable[[], Awaitable[None]],
        level: int = 0,
    ) -> int:
        """Add one page of `SIZES[level]` records; returns how many there were."""
        await before_each()
        size = SIZES[level]
        is_single = level == len(SIZES) - 1
        limit = MAX_RECORD_BYTES if is_single else MAX_PAGE_BYTES
        try:
            answer = await self._server.find_messages(instance, where, number, size, limit)
        except HttpFailed as failure:
            if failure.reason != "too_large":
                raise RecordsUnavailable(failure.reason, everyone=True) from None
            if is_single:
                found.unread += 1
                return 1
        else:
            if answer.records is None:
                reason = f"answered_{answer.status}" if 100 <= answer.status < 600 else "answered_nonsense"
                raise RecordsUnavailable(reason, everyone=answer.status in (502, 503, 504))
            if answer.date_seconds is not None:
                found.ahead_seconds = answer.date_seconds - time.time()
            if level == 0:
                found.pages = answer.pages
            found.records += answer.records[:size]
            return len(answer.records[:size])
        times, before = size // SIZES[level + 1], found.count
        for part in range((number - 1) * times + 1, number * times + 1):
            if not await self._read(found, instance, where, part, before_each, level + 1):
                break
        return found.count - before


def _page(instance: str, found: _Read, since: int, until: int, number: int) -> RecordsPage:
    messages: list[Message] = []
    own: list[OwnMessage] = []
    moments: list[int] = []
    for record in newest_first(found.records):
        item = mapping(record)
        moment = sent_at(item.get("messageTimestamp"))
        if moment:
            moments.append(moment)
        if not since <= moment <= until:
            continue
        read = read_item(instance, _as_delivered(item))
        if isinstance(read, Ignored | Amendment) or is_playground(read.contact):
            continue
        if isinstance(read, Message):
            messages.append(read)
        else:
            own.append(read)
    links = {Link(instance, item.lid, item.contact): None for item in messages if item.lid}
    first = found.records[0] if found.records else None
    return RecordsPage(
        messages=tuple(messages),
        own=tuple(own),
        links=tuple(links),
        more=_goes_on(found, moments, since, number),
        ignores_time=any(not since <= moment <= until for moment in moments),
        clock_ahead_seconds=found.ahead_seconds,
        unread=found.unread,
        marker=text(dig(first, "key", "id")),
        oldest=min(moments, default=0),
        count=found.pages or 0 if found.count >= SIZES[0] else 0,
    )


def _goes_on(found: _Read, moments: list[int], since: int, number: int) -> bool:
    """Whether the next page may hold records of the range."""
    if not found.count or (moments and min(moments) < since):
        return False
    return found.count >= SIZES[0] or (found.pages is not None and number < found.pages)


def _as_delivered(item: JsonObject) -> JsonObject:
    """The record as a webhook would have brought it."""
    if text(item.get("pushName")).isdecimal():
        # For whoever has no name `fetchMessages` puts in a number, of a group's member or of the quoted author.
        item = {**item, "pushName": None}
    # On the EVOLUTION channel the other side is named as somebody wrote the number, `+966 50 …` too.
    key = mapping(item.get("key"))
    named = text(key.get("remoteJid"))
    digits = None if "@" in named else phone_number(named[:32])
    return item if digits is None else {**item, "key": {**key, "remoteJid": digits}}


def _moment(seconds: int) -> str:
    moment = datetime.fromtimestamp(min(max(seconds, 0), LAST_SECOND), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
