"""What a person sees when the daemon is ready: where it listens, and a command to paste."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from actors.messages import WindowPolicy
from daemon.config import Settings

_PAYLOAD = (
    """{"event":"messages.upsert","data":{"key":{"remoteJid":"5511999990000@s.whatsapp.net","fromMe":false,"""
    """"id":"'"$(date +%s%N)"'"},"pushName":"You","message":{"conversation":"hello at '"$(date +%T)"'"},"""
    """"messageType":"conversation","messageTimestamp":'"$(date +%s)"'}}"""
)


def show(
    settings: Settings,
    window_of: Callable[[str], WindowPolicy],
    listen: str,
    dashboard: str,
    warnings: Sequence[str],
) -> None:
    """Print it to standard output, where the console gateway prints its replies as well.

    `dashboard`: a line about it; empty: none. `warnings`: what an operator should know, each a sentence.
    """
    instance = next(iter(settings.instances), "demo")
    window = window_of(instance)
    command = _command()
    seconds = window.lasts_seconds
    wait = f"{seconds:g} second{'' if seconds == 1 else 's'} after the {'last' if window.kind == 'quiet' else 'first'}"
    reached, at = f"http://{listen}", ""
    if listen.startswith("unix:"):
        reached, at = "http://localhost", f" --unix-socket {listen.removeprefix('unix:')}"
    token = " -H 'apikey: <your token>'" if settings.ingress.auth.mode_in_force == "token" else ""
    sys.stdout.write(
        f"\nMajlis is ready: {f'{listen}, ' if at else reached}/webhook/<instance>\n\n"
        f"Paste this line three times, quickly; one answer comes {wait}:\n\n"
        f"curl -sS{at} {reached}/webhook/{instance}{token} -H 'content-type: application/json' -d '{_PAYLOAD}'\n\n"
        + (f"{dashboard}\n\n" if dashboard else "")
        + f"In another terminal: `{command} status`, `{command} actors`, `{command} tail`. Ctrl-C stops it.\n\n"
        + "".join(f"Warning: {warning}\n\n" for warning in warnings)
    )
    sys.stdout.flush()


def _command() -> str:
    """How to call majlis from here: by its name if the shell finds it, else by its path."""
    if shutil.which("majlis") is not None:
        return "majlis"
    beside = Path(sys.executable).with_name("majlis")
    return os.path.relpath(beside) if beside.exists() else "majlis"
