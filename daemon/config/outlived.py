"""Settings that are still honoured and have a better one by now. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.config.schema import Settings


def outlived(settings: Settings) -> Iterator[str]:
    """What an operator should change, each a sentence."""
    if settings.turn.concurrency is not None:
        yield (
            f"turn.concurrency ({settings.turn.concurrency}) bounds whole turns, waits for an answer included: with "
            "a slow model it leaves few per second. Take it out, and set max_in_flight of a provider that takes fewer "
            "calls at once; turn.work bounds what is opened and stored at once."
        )
