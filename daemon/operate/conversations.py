"""What operators see and do: implements `daemon.operate.Operations` over the running parts. Reads are snapshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from actors.identity import Conversation
from actors.messages import Message, Receipt
from actors.supervisor import Supervisor
from daemon.config import Settings
from daemon.controls.feature_flags import StoredFlags
from daemon.controls.pauses import PauseBoard, ended_by
from daemon.ingress.webhooks import IngressCounters
from daemon.ledger.records import Records
from daemon.ledger.rows import SilenceReasons
from daemon.mirror.survey import Survey
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.operate import (
    ActorView,
    AlertView,
    AuditEntry,
    Conflict,
    ConversationView,
    CostReport,
    DeadLetterPage,
    DeadLetterView,
    DoctorReport,
    FeedView,
    FlagPage,
    Flushed,
    NotFound,
    Paused,
    RealtimeView,
    Ref,
    Reloaded,
    Resumed,
    SilentView,
    Status,
    TurnDetail,
    shown,
)
from daemon.operate.control_views import PAUSED, Control
from daemon.operate.dead_letters import DeadLetters
from daemon.operate.inspect_views import Insight
from daemon.operate.knowledge import Library
from daemon.operate.known import Known
from daemon.operate.login import DashboardView
from daemon.operate.status import StatusReport
from daemon.partitions.fencing import FencedOwnership
from daemon.responders.breaker import ProviderView

PAUSE_SECONDS = 4 * 3600
"""Of an operator's pause where `takeover.pause_seconds` is 0."""


class DaemonOperations:
    """One per daemon, made by the composition root."""

    def __init__(
        self,
        *,
        settings: Settings,
        node_id: str,
        health: Health,
        supervisor: Supervisor,
        ownership: FencedOwnership,
        survey: Survey,
        records: Records,
        library: Library,
        board: StoredFlags,
        counters: IngressCounters,
        append: Callable[[Message], Awaitable[Receipt]],
        pause: Callable[[Conversation, float], Awaitable[bool]],
        forget: Callable[[], None],
        label: Callable[[Conversation], str],
        listen: str,
        feed: EventFeed,
        insight: Insight,
        control: Control,
        pauses: PauseBoard,
        providers: Callable[[], Sequence[ProviderView]],
        alerts: Callable[[], Sequence[AlertView]] = tuple,
        realtime: Callable[[], RealtimeView | None],
        feeds: Callable[[], Sequence[FeedView]] = tuple,
        dashboard: Callable[[], DashboardView | None] = lambda: None,
        doctor: Callable[[], Awaitable[DoctorReport]],
    ) -> None:
        """`pause` is False for an unknown instance; `forget` drops what is kept of instances' rows."""
        self._settings = settings
        self._supervisor = supervisor
        self._ownership = ownership
        self._records = records
        self.library, self.insight, self.control = library, insight, control
        self._pauses = pauses
        self._board = board
        self._pause = pause
        self._forget = forget
        self._label = label
        self._feed = feed
        self._doctor = doctor
        self._health = health
        self._known = Known(settings, health, supervisor, records, label)
        self._letters = DeadLetters(records, append, label, feed)
        self._report = StatusReport(
            settings=settings,
            node_id=node_id,
            health=health,
            supervisor=supervisor,
            ownership=ownership,
            survey=survey,
            records=records,
            counters=counters,
            listen=listen,
            feed=feed,
            pauses=pauses.standing,
            providers=providers,
            alerts=alerts,
            realtime=realtime,
            feeds=feeds,
            dashboard=dashboard,
        )

    async def status(self) -> Status:
        return await self._report.now()

    async def actors(self) -> Sequence[ActorView]:
        return [shown.actor_view(view, self._label(view.conversation)) for view in self._supervisor.views()]

    async def silent(self) -> Sequence[SilentView]:
        found = await self._known.silent()
        return [
            shown.silent_view(
                conversation, silence, self._board.of(conversation.instance), self._label(conversation)
            )
            for conversation, silence in found.items()
        ]

    async def conversation(self, ref: Ref) -> ConversationView:
        conversation = await self._known.conversation(ref)
        view, flags = self._supervisor.view(conversation), self._board.of(conversation.instance)
        turns, silence = await self._known.stored(conversation)
        if view is None and not turns and silence == SilenceReasons():
            raise self._health.unless_starting(
                NotFound(
                    f"Nothing is known of {self._label(conversation)}: check the spelling, INSTANCE/PHONE."
                )
            )
        return ConversationView(
            conversation=self._label(conversation),
            instance=conversation.instance,
            contact=conversation.contact,
            partition=(partition := conversation.partition(self._settings.partitions)),
            epoch=self._ownership.fenced().get(partition),
            state=view.phase if view else "absent",
            why=view.why if view else "",
            closes_in_seconds=shown.seconds_left(view) if view else None,
            tries=view.attempts if view else 0,
            batch=view.batch_number if view else None,
            taken_over=shown.pause_view(silence, flags),
            escalated=shown.escalation_view(silence, flags),
            waiting=[shown.waiting_view(entry) for entry in view.waiting] if view else [],
            turns=[shown.turn_view(turn) for turn in turns],
        )

    async def turn(self, turn_id: int) -> TurnDetail:
        turn = await self._records.turn(turn_id)
        if turn is None:
            raise NotFound(
                "There is no turn of this number: `majlis show` of a conversation lists its turns."
            )
        return shown.turn_detail(turn, self._label(turn.conversation))

    async def cost(self, instance: str | None, days: int) -> CostReport:
        return shown.cost_report(await self._records.usage(days, instance), days)

    async def dead_letters(self, limit: int, include_retried: bool) -> DeadLetterPage:
        return await self._letters.page(limit, include_retried)

    async def dead_letter(self, dead_letter_id: int) -> DeadLetterView:
        return await self._letters.view(dead_letter_id)

    async def retry(self, dead_letter_id: int) -> None:
        await self._letters.retry(dead_letter_id)

    async def retry_all(self) -> int:
        return await self._letters.retry_all()

    async def drop(self, dead_letter_id: int) -> None:
        await self._letters.drop(dead_letter_id)

    async def flush(self, ref: Ref) -> Flushed:
        conversation = await self._known.conversation(ref)
        label = self._label(conversation)
        view = self._supervisor.view(conversation)
        if view is None:
            raise self._health.unless_starting(
                Conflict(f"Nothing waits in {label}: there is nothing to flush.")
            )
        if view.phase == "idle" and not view.waiting:
            raise Conflict(f"Nothing waits in {label}: its last burst is answered.")
        self._supervisor.flush(conversation)
        return Flushed(conversation=label, messages=len(view.waiting))

    async def pause(self, ref: Ref, seconds: int | None) -> Paused:
        conversation = await self._known.conversation(ref)
        instance = conversation.instance
        if not self._board.of(instance).takeover:
            raise Conflict(
                f"Take-over is switched off for {instance}, so a pause would not be heeded: "
                f"`majlis flags set takeover on --instance {instance}` first."
            )
        configured = self._settings.for_instance(instance).takeover.pause_seconds
        duration_seconds = float(seconds or configured or PAUSE_SECONDS)
        before = (await self._known.silence(conversation)).taken_over
        if not await self._pause(conversation, duration_seconds):
            raise NotFound(f"The database has no instance called {instance}: check the spelling.")
        now = (await self._known.silence(conversation)).taken_over
        stood = before is not None and now is not None and before.until == now.until
        until = shown.iso(now.until) if now else ""
        return Paused(conversation=self._label(conversation), until=until, stood=stood)

    async def resume(self, ref: Ref) -> Resumed:
        conversation = await self._known.conversation(ref)
        ended = await self._records.hand_back(conversation)
        view = self._supervisor.view(conversation)
        rests = view is not None and view.phase in ("parked", "holding") and view.why != PAUSED
        asleep = view.phase if view is not None and rests else ""
        label = self._label(conversation)
        if not (ended.escalations or ended.takeovers or asleep):
            if view is not None and view.why == PAUSED and (pause := self._pauses.of(conversation.instance)):
                raise Conflict(f"{label} waits for the end of a pause: `{ended_by(pause)}` ends it.")
            raise self._health.unless_starting(
                Conflict(
                    f"There is nothing to resume in {label}: it is neither escalated, taken over, held nor parked."
                )
            )
        if ended.escalations or ended.takeovers:
            self._feed.emit("conversation.handed_back", conversation, by="operator")
        if asleep:
            self._supervisor.flush(conversation)
        return Resumed(
            conversation=label,
            escalated=ended.escalations > 0,
            taken_over=ended.takeovers > 0,
            state=asleep,
        )

    async def flags(self) -> FlagPage:
        await trio.lowlevel.checkpoint()
        return self._board.page()

    async def set_flag(self, flag: str, value: bool, instance: str | None) -> FlagPage:
        if instance is not None and not await self._records.knows_instance(instance):
            raise NotFound(f"The database has no instance called {instance}: check the spelling.")
        await self._board.set(flag, value, instance)
        return self._board.page()

    async def clear_flag(self, flag: str, instance: str | None) -> FlagPage:
        if not await self._board.clear(flag, instance):
            whom = f"for {instance}" if instance else "for this daemon"
            raise Conflict(f"{flag} is not set {whom}: there is nothing to clear, see `majlis flags`.")
        return self._board.page()

    async def reload(self) -> Reloaded:
        self._forget()
        flags = await self._board.refresh()
        await self._pauses.refresh()
        self._feed.emit("settings.reloaded", flags=flags)
        return Reloaded(flags=flags)

    async def doctor(self) -> DoctorReport:
        return await self._doctor()

    async def audit(self, entry: AuditEntry) -> None:
        uid = -1 if entry.uid is None else entry.uid
        detail = {"origin": entry.origin, "session": entry.session} if entry.origin else {}
        await self._records.audit(uid, entry.pid or 0, entry.action, entry.target, detail)
