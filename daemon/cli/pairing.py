"""The QR code of a phone, shown until it is paired. A code is worth an account of WhatsApp."""

from __future__ import annotations

import sys
import time

from daemon.cli import waiting
from daemon.cli.client import AdminClient, Failure, view
from daemon.cli.render import display
from daemon.operate.connection_views import QrView
from daemon.operate.qr import lines

PAIR_SECONDS = 180.0
"""How long a code is shown: by then the gateway has stopped making new ones."""
_CLEAR = "\x1b[H\x1b[2J"


def pair(client: AdminClient, path: str, phone: str) -> None:
    """Show the code until the phone is paired; Ctrl-C ends it, and the webhook stays set."""
    if not sys.stdout.isatty():
        display("The phone is not paired: see its QR code in a terminal, or on the instance's page.")
        return
    until, shown = time.monotonic() + PAIR_SECONDS, ""
    while time.monotonic() < until:
        now = view(client.get(f"{path}/qr", {"phone": phone or None}), QrView)
        if now.phone == "open":
            sys.stdout.write(_CLEAR if shown else "")
            display("the phone is paired")
            return
        if now.code and now.code != shown:
            code = f"\nor type {now.pairing_code}" if now.pairing_code else ""
            sys.stdout.write(
                _CLEAR
                + "\n".join(lines(now.code))
                + f"\nScan it: WhatsApp, Linked devices, Link a device.{code}\n"
            )
            sys.stdout.flush()
            shown = now.code
        waiting.moment()
    raise Failure("the phone was not paired; repeat the command for new codes")
