"""Mode `passthrough`, put together: what takes webhooks in at the door, and what forwards them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from daemon.config import Settings
from daemon.controls.live_settings import LiveSettings
from daemon.forwarding.forwarder import MAX_AT_ONCE, Forwarder, Outside
from daemon.forwarding.spool import Spools
from daemon.forwarding.store import ForwardStore
from daemon.forwarding.taking import Taking, hop_name, is_among
from daemon.observe.feed import EventFeed
from daemon.stores.postgres import Postgres
from daemon.web.client import HttpClient
from daemon.web.tls import tls_context

SPOOLED_BODIES = 4
"""So many of the largest webhooks may be on their way in at once, where they are to be forwarded whole."""


class Forwarding:
    """Forwards, where the stores run."""

    def __init__(
        self,
        settings: Settings,
        live: LiveSettings,
        db: Postgres,
        node_id: str,
        exists: Callable[[str], Awaitable[bool]],
        held: Callable[[str], str],
        feed: EventFeed,
    ) -> None:
        """`exists` says whether there is such an instance; `held` why Majlis holds one."""
        self.store = ForwardStore(db, node_id)
        self._http = HttpClient(max_connections=MAX_AT_ONCE, tls=tls_context(settings.tls.ca_file))
        around = Outside(
            settings=lambda instance: live.for_instance(instance).passthrough,
            exists=exists,
            hop=lambda: hop_name(feed.install_id),
            held=held,
        )
        self._forwarder = Forwarder(self.store, self._http, around, feed)

    def nudge(self, instance: str = "") -> None:
        """Something waits to be forwarded, of this instance or of any."""
        self._forwarder.nudge(instance)

    async def start(self, work: trio.Nursery) -> None:
        await work.start(self._forwarder.run)

    async def aclose(self) -> None:
        await self._http.aclose()


def taking(
    settings: Settings, live: LiveSettings, feed: EventFeed, forwarding: Callable[[], Forwarding | None]
) -> Taking:
    """Takes in webhooks, for the door; `forwarding` returns None until the stores run."""

    def store() -> ForwardStore | None:
        found = forwarding()
        return None if found is None else found.store

    def nudge(instance: str) -> None:
        if (found := forwarding()) is not None:
            found.nudge(instance)

    return Taking(
        store=store,
        spools=Spools(settings.data_dir / "spool", SPOOLED_BODIES * settings.ingress.max_media_bytes),
        is_passed=lambda instance: live.terms(instance).mode == "passthrough",
        is_anyone=lambda: any(one.mode == "passthrough" for one in live.every()),
        is_wanted=lambda instance, event: is_among(event, live.for_instance(instance).passthrough.events),
        bounds=lambda instance: (
            live.for_instance(instance).passthrough.max_waiting_bytes,
            settings.ingress.max_forwards_bytes,
        ),
        nudge=nudge,
        feed=feed,
    )
