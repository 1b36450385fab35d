"""Whether what is posted to an address arrives at this Majlis: found out by asking it. See `Witness`."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

import trio

from daemon.gateways.webhook_setup import WebhookSetup
from daemon.ingress.witness import Witness
from daemon.operate.checks import Check
from daemon.operate.connect_checks import shown_address
from daemon.web.answer import dig
from daemon.web.client import HttpClient, HttpFailed, NotDelivered

PROBE_SECONDS = 5.0
MAX_PROBE_BYTES = 64 * 1024
ARRIVAL_SECONDS = 2.0
"""How long a question may take to arrive after a proxy has answered by itself."""
IN_FORCE_SECONDS = 3.0
"""How long a token that was just made may take to open the door on every daemon."""


class WayHere:
    """From an address to this Majlis. Args: setup: knows what a question looks like at the instance's gateway."""

    def __init__(self, http: HttpClient, witness: Witness, setup: WebhookSetup, instance: str) -> None:
        self._http = http
        self._witness = witness
        self._setup = setup
        self._instance = instance

    async def prove(self, url: str, headers: Mapping[str, str], patient: bool) -> tuple[Check, bool]:
        """Whether what is posted there arrives here, by asking; and whether the token alone was refused.

        `patient`: the token was made just now, and may not be known everywhere yet.
        """
        until = trio.current_time() + (IN_FORCE_SECONDS if patient else 0.0)
        while True:
            check, refused = await self._ask(url, headers)
            if not refused or trio.current_time() >= until:
                return check, refused
            await trio.sleep(0.25)

    async def _ask(self, url: str, headers: Mapping[str, str]) -> tuple[Check, bool]:
        nonce, at = secrets.token_hex(16), shown_address(url)
        with self._witness.expecting(nonce) as arrived:
            try:
                answer = await self._http.post_json(
                    url, self._setup.question(self._instance, nonce), headers, PROBE_SECONDS, MAX_PROBE_BYTES
                )
            except HttpFailed as failure:
                if not isinstance(failure, NotDelivered) and await _within(ARRIVAL_SECONDS, arrived):
                    return _reached(at, "its answer is lost"), False
                return _not_reached(f"{at} does not answer from here: {failure}"), False
            proof = dig(answer.json(), "proof")
            expected = self._witness.prove(self._instance, nonce)
            if isinstance(proof, str) and expected and hmac.compare_digest(proof.encode(), expected.encode()):
                return _reached(at), False
            refused = answer.status in (401, 403)
            arrives = not refused and await _within(ARRIVAL_SECONDS, arrived)
            return _by_status(at, answer.status, arrives), refused


async def _within(seconds: float, event: trio.Event) -> bool:
    with trio.move_on_after(seconds):
        await event.wait()
    return event.is_set()


def _reached(at: str, how: str = "") -> Check:
    if not how:
        return Check(name="way", state="ok", detail=f"what is posted to {at} arrives here")
    advice = (
        "Have it answer only with Majlis' own answer: what it acknowledges by itself may be lost on the way."
    )
    return Check(
        name="way", state="warning", detail=f"what is posted to {at} arrives here; {how}", advice=advice
    )


def _not_reached(detail: str) -> Check:
    advice = (
        "Correct the address, or what stands before Majlis. If the gateway reaches it and this machine cannot, "
        "go on with --force."
    )
    return Check(name="way", state="problem", detail=detail, advice=advice)


def _by_status(at: str, status: int, arrives: bool) -> Check:
    """What an answer without our proof means."""
    if arrives:
        return _reached(at, f"something before it answers {status} by itself")
    if status in (401, 403):
        return _not_reached(f"{at} refuses the token (it answered {status})")
    if 200 <= status < 300:
        return _not_reached(f"something answers {status} at {at} that is not this Majlis")
    return _not_reached(f"{at} answers {status}, and nothing arrived here")
