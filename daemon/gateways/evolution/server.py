"""One Evolution server with its key: how it is addressed, and how a page of its records is asked for.

Every request carries the key, so it goes to the configured base URL, or to the same path of another origin that the
operator allowed, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from actors.ports import MaySend, at_any_time
from daemon.gateways.evolution.outcome import records_in
from daemon.gateways.lenient import integer
from daemon.web.answer import HttpAnswer, dig
from daemon.web.client import HttpClient

KEY_FAILS_STATUS = 500
"""How a filter by key ends where the server keeps its data in MySQL: it names the path in the key as Postgres wants it
(`fetchMessages`, 2.2.0 to 2.4.0-rc2)."""


class FoundRecords(NamedTuple):
    """One page of records."""

    status: int
    records: list[object] | None
    """Newest first, in any order within a second; None: the answer is not one of records."""
    pages: int | None
    """How many pages the server says there are."""
    date_seconds: float | None
    """What its clock showed as it answered."""


class EvolutionServer:
    """Args:
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

    async def post(
        self,
        route: str,
        instance: str,
        body: Mapping[str, object],
        max_body_bytes: int,
        origin: str = "",
        may_send: MaySend = at_any_time,
    ) -> HttpAnswer:
        """Raises `HttpFailed`."""
        # Dots are escaped too: an instance called ".." would otherwise climb to another route.
        name = quote(instance, safe="").replace(".", "%2E")
        url = f"{self._other_urls.get(origin, self._base_url)}{route}/{name}"
        return await self._http.post_json(
            url, body, self._headers, self._timeout_seconds, max_body_bytes, may_send
        )

    async def find_messages(
        self,
        instance: str,
        where: Mapping[str, object],
        page: int,
        size: int,
        max_body_bytes: int,
        origin: str = "",
    ) -> FoundRecords:
        """One page of `size` records. Raises `HttpFailed`."""
        body = {"where": where, "page": page, "offset": size}
        answer = await self.post("/chat/findMessages", instance, body, max_body_bytes, origin)
        told = answer.json() if 200 <= answer.status < 300 else None
        pages = integer(dig(told, "messages", "pages"))
        return FoundRecords(answer.status, records_in(told), pages, answer.date_seconds)
