"""Sets where an Evolution API posts an instance's events, and pairs its phone (2.2.3 to 2.4.0).

The laws of this file:
1. `webhook/find` answers `null` for an instance without a webhook, and for one that is not loaded as well: nothing is
   believed of it before `connectionState` has named a state.
2. `webhook/set` keeps what it is not given, so every field is given, the headers too. A webhook cannot be deleted: none
   at all is one that is switched off, without an address and without headers.
3. The key goes to the configured address and nowhere else, and nothing that the gateway answers is shown.
"""

from __future__ import annotations

from typing import cast, get_args
from urllib.parse import urlencode

from daemon.gateways.evolution.identity import number_of
from daemon.gateways.evolution.payload import OF_TYPING, PROBE, WANTED_EVENTS
from daemon.gateways.evolution.questions import (
    ALWAYS_OPEN,
    NoWebhookRead,
    Questions,
    refused,
    unreachable,
    webhook_of,
)
from daemon.gateways.lenient import integer
from daemon.gateways.webhook_setup import Pairing, Phone, PhoneStanding, SetupFailed, Webhook
from daemon.web.answer import HttpAnswer, dig
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.finding import Finding

CALL_SECONDS = 5.0
"""For one question. The gateway answers from its memory and its database: whoever takes longer is under load."""
PAIR_SECONDS = 12.0
"""It waits 2 s by itself while a connection begins."""
MAX_CODE_CHARS = 1_024
"""WhatsApp's have about 240; a QR code has room for 4,296."""
_SWITCHED_OFF = Webhook(url="", enabled=False)


class EvolutionSetup:
    """Implements `WebhookSetup`."""

    def __init__(self, http: HttpClient, base_url: str, api_key: str) -> None:
        self._http = http
        self._base_url = base_url
        self._api_key = api_key

    async def examine(self, instance: str) -> PhoneStanding:
        asked = self._ask(instance)
        try:
            answer = await asked.state()
        except HttpFailed as failure:
            return PhoneStanding(finding=unreachable(failure))
        if (trouble := refused(answer)) is not None:
            return PhoneStanding(finding=trouble)
        phone = _phone(dig(answer.json(), "instance", "state"))
        known = await asked.listed(instance)
        constant = known.channel in ALWAYS_OPEN
        channel = f" ({known.channel})" if known.channel else ""
        return PhoneStanding(
            finding=Finding("ok", f"reachable, the key is right, the instance is there{channel}"),
            is_known=True,
            phone=phone,
            number=number_of(known.owner),
            can_pair=phone != "open" and not constant,
        )

    async def read(self, instance: str) -> Webhook | None:
        asked = self._ask(instance)
        try:
            if (trouble := refused(await asked.state())) is not None:
                raise SetupFailed(f"The webhook cannot be read: {trouble.detail}.")
            found = webhook_of(await asked.webhook())
        except HttpFailed as failure:
            raise SetupFailed(f"The webhook cannot be read: {failure}.") from None
        except NoWebhookRead as failure:
            raise SetupFailed(f"The webhook cannot be read: {failure}.") from None
        return None if found is None or found == _SWITCHED_OFF else found

    async def write(self, instance: str, webhook: Webhook | None) -> None:
        shall = webhook or _SWITCHED_OFF
        body: dict[str, object] = {
            "webhook": {
                "enabled": shall.enabled,
                "url": shall.url,
                "headers": shall.headers,
                "byEvents": shall.by_events,
                "base64": shall.base64,
                "events": list(shall.events),
            }
        }
        asked = self._ask(instance)
        try:
            answer = await asked.post(f"/webhook/set/{asked.name}", body)
        except HttpFailed as failure:
            raise SetupFailed(f"Whether the webhook was set is not known: {failure}.") from None
        if not 200 <= answer.status < 300:
            raise SetupFailed(f"The webhook was not set: {_why(answer)}.")

    def wanted(self, url: str, headers: dict[str, str], base64: bool, typing: bool) -> Webhook:
        events = (*WANTED_EVENTS, OF_TYPING) if typing else WANTED_EVENTS
        return Webhook(url=url, events=events, base64=base64, headers=dict(headers))

    def question(self, instance: str, nonce: str) -> dict[str, object]:
        return {"event": PROBE, "instance": instance, "data": {"nonce": nonce}}

    async def pair(self, instance: str, number: str = "") -> Pairing:
        asked = self._ask(instance, PAIR_SECONDS)
        query = f"?{urlencode({'number': number})}" if number else ""
        try:
            answer = await asked.get(f"/instance/connect/{asked.name}{query}")
        except HttpFailed as failure:
            raise SetupFailed(f"The gateway gives no QR code: {failure}.") from None
        said = answer.json()
        if answer.status != 200 or not isinstance(said, dict) or said.get("error"):
            raise SetupFailed(f"The gateway gives no QR code: {_why(answer)}.")
        inner = dig(said, "instance")
        state = dig(inner, "state") or dig(inner, "status")
        code = said.get("qrcode") if isinstance(said.get("qrcode"), dict) else said
        return Pairing(
            phone=_phone(state) if inner is not None else "connecting",
            code=_short(dig(code, "code")),
            pairing_code=_short(dig(code, "pairingCode")),
            count=integer(dig(code, "count")) or 0,
        )

    async def write_to_itself(self, instance: str, number: str, text: str) -> None:
        asked = self._ask(instance)
        body: dict[str, object] = {"number": number, "text": text, "linkPreview": False}
        try:
            answer = await asked.post(f"/message/sendText/{asked.name}", body)
        except HttpFailed as failure:
            raise SetupFailed(f"Whether the test message was sent is not known: {failure}.") from None
        if not 200 <= answer.status < 300:
            raise SetupFailed(f"The test message was not sent: the gateway answered {answer.status}.")

    def _ask(self, instance: str, seconds: float = CALL_SECONDS) -> Questions:
        return Questions(self._http, self._base_url, self._api_key, instance, seconds)


def _phone(state: object) -> Phone:
    return cast(Phone, state) if state in get_args(Phone) else "unknown"


def _short(value: object) -> str:
    """A code has no spaces and no line breaks: whatever has is none."""
    is_code = isinstance(value, str) and len(value) <= MAX_CODE_CHARS and value.isprintable()
    return str(value) if is_code else ""


def _why(answer: HttpAnswer) -> str:
    """Its words may hold addresses and tokens, so only what is known of its answers is said."""
    if (trouble := refused(answer)) is not None and answer.status in (401, 403, 404):
        return trouble.detail
    if dig(answer.json(), "code") == "LICENSE_REQUIRED":
        return "it waits for its licence to be activated"
    if answer.status == 400:
        return "it answered 400, so it takes this address, one of the events or a header for invalid"
    if answer.status >= 500:
        return f"it answered {answer.status}; the instance may not be loaded, see the gateway's log"
    return f"it answered {answer.status}"
