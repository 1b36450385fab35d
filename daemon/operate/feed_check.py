"""What `majlis doctor` says about the gateways' own feeds (`gateway.feed: websocket`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.gateways.kind import FeedView
from daemon.operate.checks import Check

NAMES_SHOWN = 3
ADVICE = (
    "The sweep finds what the gateway recorded meanwhile. Where a feed stays deaf, let the gateway serve WebSocket "
    "(`WEBSOCKET_ENABLED=true`), or use the webhook."
)


def feed_checks(feeds: Sequence[FeedView]) -> Iterator[Check]:
    """One check for all of them; none where nothing is heard by a feed."""
    if not feeds:
        return
    deaf = [f"{feed.instance} ({_why(feed)})" for feed in feeds if not feed.connected]
    lost = sum(feed.lost for feed in feeds)
    if not (deaf or lost):
        yield Check(name="gateway feeds", state="ok", detail=f"all hear their instance: {len(feeds)}")
        return
    more = " …" if len(deaf) > NAMES_SHOWN else ""
    detail = f"{len(feeds) - len(deaf)} of {len(feeds)} hear their instance"
    detail += f"; not: {', '.join(deaf[:NAMES_SHOWN])}{more}" if deaf else ""
    detail += f"; {lost} events were lost since the start" if lost else ""
    yield Check(name="gateway feeds", state="warning", detail=detail, advice=ADVICE)


def _why(feed: FeedView) -> str:
    return "waits for its first event" if feed.waiting else "not connected"
