"""How the path of a webhook is read: forgivingly, because a slip in it would lose messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def after_webhook(segments: Sequence[str]) -> tuple[str, ...] | None:
    """What a webhook's path names after the word `webhook`, runs of slashes being one; None: it is another route."""
    names = tuple(filter(None, segments))
    return names[1:] if names and names[0].lower() == "webhook" else None
