"""What an Evolution API is asked about an instance, within one time limit, and how its answers are read.

Nothing of it changes anything. What the gateway answers is judged and never shown: it holds tokens, addresses with
keys, and texts.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

import trio

from daemon.gateways.webhook_setup import Webhook
from daemon.web.answer import HttpAnswer, dig
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.finding import MAX_DOCTOR_BYTES, Finding

BAILEYS, BUSINESS, EVOLUTION = "WHATSAPP-BAILEYS", "WHATSAPP-BUSINESS", "EVOLUTION"
ALWAYS_OPEN = (BUSINESS, EVOLUTION)
"""On these channels `connectionState` says `open` whatever happens, until the instance is logged out; there is no
`connection.update`, and records are kept whatever the settings say (their services at 2.2.3 to 2.4.0-rc2)."""
_MAX_NUMBER_CHARS = 64

_LICENCE = Finding(
    "problem",
    "it waits for its licence to be activated, and sends nothing",
    "Open the gateway's /manager and activate it there: versions from 2.4 on need that once.",
)


class Listed(NamedTuple):
    """What the gateway's list says of an instance."""

    channel: str = ""
    """Empty: not known."""
    records: int | None = None
    """How many messages of it are recorded."""
    owner: str = ""
    """The JID of its phone."""


class Questions:
    """One gateway and one instance, asked within one time limit."""

    def __init__(self, http: HttpClient, base_url: str, api_key: str, instance: str, seconds: float) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._headers = {"apikey": api_key}
        # Dots are escaped too: an instance called ".." would otherwise climb to another route.
        self.name = quote(instance, safe="").replace(".", "%2E")
        self._deadline = trio.current_time() + seconds

    async def get(self, route: str) -> HttpAnswer:
        """Raises `HttpFailed`."""
        return await self._http.get(
            f"{self._base_url}{route}", self._headers, self._remaining(), MAX_DOCTOR_BYTES
        )

    async def post(self, route: str, body: dict[str, object]) -> HttpAnswer:
        """Raises `HttpFailed`."""
        return await self._http.post_json(
            f"{self._base_url}{route}", body, self._headers, self._remaining(), MAX_DOCTOR_BYTES
        )

    async def document(self, route: str, body: dict[str, object] | None = None) -> object:
        """The decoded answer; None when there is none. With a body it is a POST."""
        try:
            answer = await (self.get(route) if body is None else self.post(route, body))
        except HttpFailed:
            return None
        return answer.json() if 200 <= answer.status < 300 else None

    async def state(self) -> HttpAnswer:
        """Of the phone; see `refused`. Raises `HttpFailed`."""
        return await self.get(f"/instance/connectionState/{self.name}")

    async def webhook(self) -> HttpAnswer:
        """Where its events go; see `webhook_of`. Raises `HttpFailed`."""
        return await self.get(f"/webhook/find/{self.name}")

    async def listed(self, instance: str) -> Listed:
        """Nothing is known where the key may not read the list."""
        found = await self.document(f"/instance/fetchInstances?instanceName={self.name}")
        for entry in found if isinstance(found, list) else ():
            if dig(entry, "name") == instance:
                channel, records = dig(entry, "integration"), dig(entry, "_count", "Message")
                owner = dig(entry, "ownerJid")
                return Listed(
                    channel if isinstance(channel, str) and channel in (BAILEYS, BUSINESS, EVOLUTION) else "",
                    records if isinstance(records, int) else None,
                    owner[:_MAX_NUMBER_CHARS] if isinstance(owner, str) else "",
                )
        return Listed()

    def _remaining(self) -> float:
        return max(0.0, self._deadline - trio.current_time())


def unreachable(failure: HttpFailed) -> Finding:
    advice = "Check gateway.base_url, and that the gateway runs and can be reached from here."
    return Finding("problem", str(failure), advice)


def refused(answer: HttpAnswer) -> Finding | None:
    """Why nothing more can be asked about the instance, by what `connectionState` answered."""
    status, document = answer.status, answer.json()
    if status in (401, 403):
        advice = "Set gateway.api_key to the gateway's global key or the instance's token."
        return Finding("problem", "the key is refused", advice)
    if status == 404:
        advice = "Create the instance at the gateway, or correct its name under instances."
        return Finding("problem", "no such instance", advice, unknown_instance=True)
    if dig(document, "code") == "LICENSE_REQUIRED":
        return _LICENCE
    if status != 200 or not isinstance(dig(document, "instance", "state"), str):
        advice = "Check the gateway's log; the instance may not be loaded."
        return Finding("problem", f"status {status}, no state", advice)
    return None


class NoWebhookRead(Exception):
    """What the gateway answered is no webhook, and not that there is none."""


def webhook_of(answer: HttpAnswer) -> Webhook | None:
    """What `webhook/find` says; None: nothing stands there. Raises `NoWebhookRead`."""
    if answer.status != 200:
        raise NoWebhookRead(f"it answered {answer.status}")
    if answer.body.strip() in (b"", b"null"):
        return None
    found = answer.json()
    if not isinstance(found, dict) or found.keys().isdisjoint(("enabled", "url")):
        raise NoWebhookRead("its answer cannot be read")
    url, events, headers = found.get("url"), found.get("events"), found.get("headers")
    # Absent or null is what the gateway's own defaults are; versions name two fields differently.
    by_events = found.get("webhookByEvents", found.get("byEvents"))
    base64 = found.get("webhookBase64", found.get("base64"))
    return Webhook(
        url=url if isinstance(url, str) else "",
        enabled=found.get("enabled") is not False,
        events=tuple(map(str, events)) if isinstance(events, list) else (),
        by_events=by_events is True,
        base64=base64 is True,
        headers=headers if isinstance(headers, dict) else {},
    )
