"""Whether what is posted to an address arrives at this Majlis: found out by asking it. See `Witness`.

The laws of this file:
1. No token goes to an address that was not proven: it is asked without one first.
2. Then it is asked with the token, as the gateway will show it: that it leads here does not say that the token arrives.

Where the instance has a key of JWTs in the place of a token, a token is what is made with it.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from typing import NamedTuple

import trio

from daemon.gateways.webhook_setup import WebhookSetup
from daemon.ingress import jwt
from daemon.ingress.witness import Witness, question
from daemon.operate.checks import Check
from daemon.operate.connect_checks import shown_address
from daemon.web.answer import dig
from daemon.web.client import HttpClient, HttpFailed, NotDelivered

PROBE_SECONDS = 4.0
MAX_PROBE_BYTES = 64 * 1024
ARRIVAL_SECONDS = 2.0
"""How long a question may take to arrive after a proxy has answered by itself."""
IN_FORCE_SECONDS = 3.0
"""How long a token that was just made may take to open the door on every daemon."""


class AtGateway(NamedTuple):
    """What an instance's gateway shows to the door. Nothing in it: that is not known."""

    token: str = ""
    jwt_key: str = ""
    """In the place of a token."""

    @property
    def is_known(self) -> bool:
        return bool(self.token or self.jwt_key)

    @property
    def headers(self) -> dict[str, str]:
        """Of its webhook, as the gateway is told."""
        return {"jwt_key": self.jwt_key} if self.jwt_key else {"apikey": self.token}

    def shown(self, now: float) -> dict[str, str]:
        """The headers that come here then."""
        return {"authorization": f"Bearer {jwt.made(self.jwt_key, now)}"} if self.jwt_key else self.headers


class WayFound(NamedTuple):
    check: Check
    leads_here: bool
    """Proven without a token: one may go there."""
    is_refused: bool = False
    """The token alone was refused."""


class WayHere:
    """From an address to this Majlis. Args: setup: knows what a question looks like at the instance's gateway."""

    def __init__(self, http: HttpClient, witness: Witness, setup: WebhookSetup, instance: str) -> None:
        self._http = http
        self._witness = witness
        self._setup = setup
        self._instance = instance

    async def prove(self, url: str, shows: AtGateway, patient: bool) -> WayFound:
        """Whether what is posted there arrives here, and the token with it. Without a token, the former alone.

        `patient`: the token was made just now, and may not be known everywhere yet.
        """
        nonce = secrets.token_hex(16)
        asking = {"apikey": question(nonce)}
        without = await self._ask(url, asking, nonce, self._witness.prove("", nonce), with_token=False)
        if not without.leads_here or not shows.is_known:
            return without
        until = trio.current_time() + (IN_FORCE_SECONDS if patient else 0.0)
        while True:
            nonce = secrets.token_hex(16)
            shown, proof = shows.shown(time.time()), self._witness.prove(self._instance, nonce)
            found = await self._ask(url, shown, nonce, proof, with_token=True)
            if not found.is_refused or trio.current_time() >= until:
                return found._replace(leads_here=True)
            await trio.sleep(0.25)

    async def _ask(
        self, url: str, headers: Mapping[str, str], nonce: str, expected: str, with_token: bool
    ) -> WayFound:
        at = shown_address(url)
        body = self._setup.question(self._instance, nonce)
        with self._witness.expecting(nonce) as arrived:
            try:
                answer = await self._http.post_json(url, body, headers, PROBE_SECONDS, MAX_PROBE_BYTES)
            except HttpFailed as failure:
                if not isinstance(failure, NotDelivered) and await _within(ARRIVAL_SECONDS, arrived):
                    return _reached(at, "its answer is lost")
                return _not_reached(f"{at} does not answer from here: {failure}")
            proof = dig(answer.json(), "proof")
            if isinstance(proof, str) and expected and hmac.compare_digest(proof.encode(), expected.encode()):
                return _reached(at)
            if await _within(0.0 if answer.status in (401, 403) else ARRIVAL_SECONDS, arrived):
                return _reached(at, f"something before it answers {answer.status} by itself")
            return _by_status(at, answer.status, with_token)


async def _within(seconds: float, event: trio.Event) -> bool:
    with trio.move_on_after(seconds):
        await event.wait()
    return event.is_set()


def _reached(at: str, how: str = "") -> WayFound:
    detail = f"what is posted to {at} arrives here"
    if not how:
        return WayFound(Check(name="way", state="ok", detail=detail), True)
    advice = (
        "Have it answer only with Majlis' own answer: what it acknowledges by itself may be lost on the way."
    )
    return WayFound(Check(name="way", state="warning", detail=f"{detail}; {how}", advice=advice), True)


def _not_reached(detail: str, is_refused: bool = False) -> WayFound:
    advice = (
        "Correct the address, or what stands before Majlis. If the gateway reaches it and this machine cannot, "
        "go on with --force: the next event proves it."
    )
    return WayFound(Check(name="way", state="problem", detail=detail, advice=advice), False, is_refused)


def _by_status(at: str, status: int, with_token: bool) -> WayFound:
    """What an answer without our proof means."""
    if status in (401, 403) and with_token:
        return _not_reached(f"{at} refuses the token (it answered {status})", is_refused=True)
    if 200 <= status < 300:
        return _not_reached(f"something answers {status} at {at} that is not this Majlis")
    return _not_reached(f"{at} answers {status}, and nothing arrived here")
