"""How the path of a webhook is read: forgivingly, because a slip in it would lose messages. Pure."""

from __future__ import annotations


def after_webhook(segments: tuple[str, ...]) -> tuple[str, ...] | None:
    """What a webhook's path names after the word `webhook`, runs of slashes being one; None: it is another route."""
    if segments and segments[0] == "webhook" and "" not in segments:
        return segments[1:]  # nearly always
    names = tuple(filter(None, segments))
    return names[1:] if names and names[0].lower() == "webhook" else None
