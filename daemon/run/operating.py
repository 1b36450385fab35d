"""What operators see and do, put together; and who they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from actors.messages import Message, Receipt
from daemon.config import Settings
from daemon.config.sections import AdminSettings, IngressSettings
from daemon.ledger.rows import TableSize
from daemon.ledger.shadows import Shadows
from daemon.observe.alerts import Alerts
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.readiness import Health
from daemon.observe.target_watch import TargetWatch
from daemon.observe.vitals import Figures
from daemon.operate import AdminApi
from daemon.operate.actors import Actors
from daemon.operate.audit import LedgerAudit
from daemon.operate.audit_log import Audit
from daemon.operate.connect_look import ConnectDoor
from daemon.operate.connecting import Connecting
from daemon.operate.connections import ConnectionBoard, Left
from daemon.operate.control import Control
from daemon.operate.conversations import Conversations
from daemon.operate.cost import Costs
from daemon.operate.dead_letters import DeadLetters
from daemon.operate.declared import DeclaredInstances
from daemon.operate.directory import Directory
from daemon.operate.doctor import Doctor
from daemon.operate.drafts import Drafts
from daemon.operate.explain import Explainer
from daemon.operate.feature_flags import FlagBoard
from daemon.operate.forwards import ForwardDesk
from daemon.operate.instances import Instances
from daemon.operate.knowledge import KnowledgeFiles
from daemon.operate.kpi import Kpis
from daemon.operate.leases import LeaseTable
from daemon.operate.levels import LEVELS, Level, Levels, gid_of
from daemon.operate.login import DashboardLogin, LoginLink, Sessions
from daemon.operate.secrets import SealedSecrets
from daemon.operate.settings import SettingsInForce
from daemon.operate.shadow import ShadowBoard
from daemon.operate.status import Doors, Gauges, StatusReport, Watched
from daemon.operate.stop import Stop
from daemon.operate.tail import EventTail
from daemon.operate.takeovers import OperatorTakeovers
from daemon.operate.task_tree import TaskTree
from daemon.operate.tenants import InstanceBook
from daemon.operate.top import Top
from daemon.operate.turns import Turns
from daemon.operate.unanswered import Silencing
from daemon.run.engine import Parts
from daemon.sweep.view import SweepView

_MODES = {"owner": 0o600, "group": 0o660, "everyone": 0o666}


def levels(settings: Settings) -> Levels:
    """Raises: NobodyThere."""
    return Levels({level: getattr(settings.admin.levels, level) for level in LEVELS})


def admin_access(settings: Settings) -> tuple[int, int | None]:
    """Mode and group of the admin socket. Raises: NobodyThere."""
    return _access(settings.admin, "admin.group")


def ingress_access(settings: Settings) -> tuple[int, int | None]:
    """The same of the webhooks' socket file. Raises: NobodyThere."""
    return _access(settings.ingress, "ingress.group")


def _access(door: AdminSettings | IngressSettings, key: str) -> tuple[int, int | None]:
    return _MODES[door.open_to], gid_of(door.group, key) if door.group is not None else None


class Operating(NamedTuple):
    """The operators' side of a running daemon, and what others of its parts need of it."""

    api: AdminApi
    figures: Callable[[], Awaitable[Figures]]
    reload: Callable[[], Awaitable[object]]


def operating(
    settings: Settings,
    node_id: str,
    feed: EventFeed,
    health: Health,
    parts: Parts,
    *,
    doors: Doors,
    alerts: Alerts,
    sweep: Callable[[], SweepView | None],
    tables: Callable[[], Sequence[TableSize]],
    latencies: Latencies,
    typing: Callable[[], dict[str, int]],
    targets: TargetWatch,
    allowed: Levels,
    append: Callable[[Message], Awaitable[Receipt]],
    connect_door: ConnectDoor,
    new_link: Callable[[Level, str], LoginLink],
    sessions: Sessions,
    stop: Stop,
) -> Operating:
    """One object for each topic; `append` makes a message durable."""
    answering, supervisor, records, label = parts.answering, parts.supervisor, parts.records, feed.label
    looks = parts.desk_records  # what only looks: it waits for others of its kind, not they for it
    flags, pauses, fenced = answering.board, answering.pauses, parts.ownership.fenced
    watched = Watched(pauses.standing, answering.responder.views, alerts.views, sweep, tables, typing)
    live, run_time, forwarding = parts.live, answering.run_time, parts.forwarding
    directory = Directory(live, health, supervisor, looks, label)
    gauges = Gauges(live, health, supervisor, parts.ownership, parts.survey, looks, parts.permits)
    connecting = Connecting(live, records, parts.connections, parts.former, connect_door, parts.tenants)
    unanswered = Silencing(parts.connections, live)
    control = Control(settings, supervisor, run_time, pauses, feed, stop.ask, parts.forget)
    topics = (
        StatusReport(node_id, health, gauges, feed, watched, doors, stop),
        Actors(supervisor, label),
        Conversations(directory, supervisor, flags, settings, fenced, settings.partitions),
        OperatorTakeovers(
            live, directory, supervisor, records, flags, pauses, answering.takeovers.take_over, feed
        ),
        Turns(looks, parts.stored_turns, label),
        Drafts(answering.drafts, answering.responder.answer, records, label),
        Explainer(settings, health, supervisor, parts.stored_turns, parts.arrivals, pauses, feed),
        Costs(looks, live.terms),
        EventTail(feed, lambda name: live.for_instance(name).country),
        Kpis(targets),
        Top(live, node_id, health, supervisor, parts.permits, latencies, feed, watched),
        TaskTree(label),
        SettingsInForce(live, answering.stored_settings, flags, records, parts.tenants, unanswered),
        SealedSecrets(answering.secrets, parts.former),
        Audit(looks),
        LeaseTable(node_id, fenced, parts.stored_turns),
        Doctor(lambda: parts.doctor(doors.open(), doors.feeds())),
        Instances(records, supervisor, pauses),
        InstanceBook(parts.tenants, live, pauses, parts.connections, forwarding.store, unanswered),
        DeclaredInstances(parts.tenants, unanswered),
        ShadowBoard(Shadows(parts.desk), looks.knows_instance, lambda name: live.terms(name).mode, label),
        ConnectionBoard(
            connecting, parts.connections, connect_door.witness, Left(parts.pending, forwarding.store.waiting)
        ),
        control,
        DashboardLogin(new_link, sessions),
        FlagBoard(records, flags, parts.tenants),
        DeadLetters(records, append, label, feed),
        ForwardDesk(forwarding.store, feed, forwarding.nudge),
        KnowledgeFiles(answering.library, control.reload),
    )
    api = AdminApi(topics, feed, LedgerAudit(records), allowed)
    return Operating(api, gauges.figures, control.reload)
