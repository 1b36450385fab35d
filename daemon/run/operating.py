"""What operators look through and steer by, put together; and who they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daemon.config import Settings
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.readiness import Health
from daemon.operate import AlertView, shown
from daemon.operate.control import DaemonControl
from daemon.operate.inspect import DaemonInsight
from daemon.operate.levels import LEVELS, Levels, gid_of
from daemon.run.engine import Parts

_MODES = {"owner": 0o600, "group": 0o660, "everyone": 0o666}


def levels(settings: Settings) -> Levels:
    """Raises: NobodyThere."""
    return Levels({level: getattr(settings.admin.levels, level) for level in LEVELS})


def admin_access(settings: Settings) -> tuple[int, int | None]:
    """Mode and group of the admin socket. Raises: NobodyThere."""
    admin = settings.admin
    return _MODES[admin.open_to], gid_of(admin.group, "admin.group") if admin.group is not None else None


def insight(
    settings: Settings,
    node_id: str,
    feed: EventFeed,
    health: Health,
    parts: Parts,
    alerts: Callable[[], Sequence[AlertView]],
    latencies: Latencies,
) -> DaemonInsight:
    providers = parts.answering.responder.views
    return DaemonInsight(
        settings=settings,
        node_id=node_id,
        health=health,
        supervisor=parts.supervisor,
        slots=parts.slots,
        fenced=parts.ownership.fenced,
        stored_turns=parts.stored_turns,
        arrivals=parts.arrivals,
        pauses=parts.answering.pauses,
        latencies=latencies,
        feed=feed,
        providers=lambda: [shown.provider_view(one) for one in providers()],
        alerts=alerts,
    )


def control(settings: Settings, feed: EventFeed, parts: Parts, stop: Callable[[], None]) -> DaemonControl:
    return DaemonControl(
        settings=settings,
        records=parts.records,
        supervisor=parts.supervisor,
        pauses=parts.answering.pauses,
        feed=feed,
        stop=stop,
    )
