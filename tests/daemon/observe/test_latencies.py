"""How long things took lately."""

from __future__ import annotations

from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies


async def test_only_acknowledged_webhooks_have_a_time_to_acknowledge() -> None:
    latencies = Latencies(EventFeed(strict=True))
    for status, seconds in ((200, 0.002), (503, 5.0), (400, 0.1), (200, 0.004)):
        latencies.webhook(status, seconds)
    (told,) = latencies.views()
    assert (told.what, told.count, told.max_ms) == ("acknowledgement", 2, 4.0)
