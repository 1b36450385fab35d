"""What operators see and do: implements `daemon.admin.Operations` over the running parts. Reads are snapshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio

from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from actors.messages import Message, Receipt
from actors.supervisor import Supervisor
from daemon import shown
from daemon.admin import (
    ActorView,
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
    RedFlagView,
    Ref,
    Reloaded,
    Resumed,
    SilentView,
    Status,
    TurnDetail,
)
from daemon.admin.control import Control
from daemon.admin.insight import Insight
from daemon.admin.library import Library
from daemon.config import Settings
from daemon.feed import EventFeed
from daemon.health import Health
from daemon.ingress import IngressCounters
from daemon.ledger.records import Records
from daemon.ledger.rows import Silence, TurnRecord
from daemon.letters import Letters
from daemon.mirror.survey import Survey
from daemon.ownership import FencedOwnership
from daemon.pauses import PauseBoard
from daemon.responders.circuit import ProviderView
from daemon.status import StatusReport, longest_hand_back_seconds
from daemon.stores.postgres import LedgerError
from daemon.switchboard import FlagBoard

MAX_SILENT = 10_000
"""How many conversations in which somebody else speaks are looked at, the latest first."""
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
        board: FlagBoard,
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
        red_flags: Callable[[], Sequence[RedFlagView]] = tuple,
        realtime: Callable[[], RealtimeView | None],
        feeds: Callable[[], Sequence[FeedView]] = tuple,
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
        self._letters = Letters(records, append, label, feed)
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
            red_flags=red_flags,
            realtime=realtime,
            feeds=feeds,
        )

    async def status(self) -> Status:
        return await self._report.now()

    async def actors(self) -> Sequence[ActorView]:
        return [shown.actor_view(view, self._label(view.conversation)) for view in self._supervisor.views()]

    async def silent(self) -> Sequence[SilentView]:
        found = await self._silent()
        return [
            shown.silent_view(conversation, silence, self._label(conversation))
            for conversation, silence in found.items()
        ]

    async def conversation(self, ref: Ref) -> ConversationView:
        conversation = await self._resolve(ref)
        view = self._supervisor.view(conversation)
        turns, silence = await self._stored(conversation)
        if view is None and not turns and silence == Silence():
            raise NotFound(
                f"Nothing is known of {self._label(conversation)}: check the spelling, instance/contact."
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
            tries=view.tries if view else 0,
            batch=view.batch_number if view else None,
            taken_over=shown.pause_view(silence),
            escalated=shown.escalation_view(silence),
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

    async def dead_letter(self, letter_id: int) -> DeadLetterView:
        return await self._letters.view(letter_id)

    async def retry(self, letter_id: int) -> None:
        await self._letters.retry(letter_id)

    async def retry_all(self) -> int:
        return await self._letters.retry_all()

    async def drop(self, letter_id: int) -> None:
        await self._letters.drop(letter_id)

    async def flush(self, ref: Ref) -> Flushed:
        conversation = await self._resolve(ref)
        label = self._label(conversation)
        view = self._supervisor.view(conversation)
        if view is None:
            raise Conflict(f"Nothing waits in {label}: there is nothing to flush.")
        if view.phase == "idle" and not view.waiting:
            raise Conflict(f"Nothing waits in {label}: its last burst is answered.")
        self._supervisor.flush(conversation)
        return Flushed(conversation=label, messages=len(view.waiting))

    async def pause(self, ref: Ref, seconds: int | None) -> Paused:
        conversation = await self._resolve(ref)
        instance = conversation.instance
        if not self._board.of(instance).takeover:
            raise Conflict(
                f"Take-over is switched off for {instance}, so a pause would not be heeded: "
                f"`majlis flags set takeover on --instance {instance}` first."
            )
        configured = self._settings.for_instance(instance).takeover.pause_seconds
        duration_seconds = float(seconds or configured or PAUSE_SECONDS)
        if not await self._pause(conversation, duration_seconds):
            raise NotFound(f"The database has no instance called {instance}: check the spelling.")
        silence = await self._silence(conversation)
        until = shown.iso(silence.taken_over.until) if silence.taken_over else ""
        return Paused(conversation=self._label(conversation), until=until)

    async def resume(self, ref: Ref) -> Resumed:
        conversation = await self._resolve(ref)
        ended = await self._records.hand_back(conversation)
        view = self._supervisor.view(conversation)
        asleep = view.phase if view is not None and view.phase in ("parked", "holding") else ""
        label = self._label(conversation)
        if not (ended.escalations or ended.takeovers or asleep):
            raise Conflict(
                f"There is nothing to resume in {label}: it is neither escalated, taken over, held nor parked."
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
        await self._records.audit(uid, entry.pid or 0, entry.action, entry.target, {})

    async def _stored(self, conversation: Conversation) -> tuple[tuple[TurnRecord, ...], Silence]:
        """What the ledger knows of it; nothing when it cannot be asked: what is in memory is shown all the same."""
        try:
            return await self._records.turns(conversation), await self._silence(conversation)
        except (LedgerUnavailable, LedgerError):
            return (), Silence()

    async def _silence(self, conversation: Conversation) -> Silence:
        escalation = self._settings.for_instance(conversation.instance).escalation
        return await self._records.silence(conversation, escalation.hand_back_seconds)

    async def _resolve(self, ref: Ref) -> Conversation:
        """A label is a hash and tells no name: it is looked for where somebody acts, or somebody else speaks."""
        if isinstance(ref, Conversation):
            return ref
        for view in self._supervisor.views():
            if self._label(view.conversation) == ref:
                return view.conversation
        with suppress(LedgerUnavailable, LedgerError):
            for conversation in await self._silent():
                if self._label(conversation) == ref:
                    return conversation
        raise NotFound(f"No active conversation is labelled {ref}: name it as instance/contact.")

    async def _silent(self) -> dict[Conversation, Silence]:
        return await self._records.silent(longest_hand_back_seconds(self._settings), MAX_SILENT)
