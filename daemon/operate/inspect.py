"""Looks inside for operators: implements `daemon.operate.inspect_views.Insight`. Nothing here changes anything."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import trio

from actors.actor import ActorView
from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.fairness import FairSlots
from actors.identity import Conversation
from actors.supervisor import Supervisor
from daemon import package_version
from daemon.config import Settings
from daemon.config.in_force import in_force
from daemon.controls.pauses import PauseBoard, ended_by
from daemon.ledger.stored_turns import LeaseRow, StoredTurn, StoredTurns, original_id
from daemon.mirror.arrivals import Arrival, Arrivals
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.logs import mask_digits
from daemon.observe.readiness import Health
from daemon.operate import AlertView, Conflict, NotFound, ProviderView, shown
from daemon.operate import explain as story
from daemon.operate import task_tree as tasks
from daemon.operate.inspect_views import (
    ConfigPage,
    ConfigValue,
    Explanation,
    LeaseOwner,
    LeasePage,
    LeaseView,
    TopPage,
    TopRow,
    TopSort,
    TreePage,
    TurnPage,
)

URGENCY = ("parked", "holding", "retrying", "answering", "queued", "waiting", "idle")
_COUNTED = (
    "message.accepted",
    "turn.answered",
    "turn.done",
    "turn.suppressed",
    "turn.failed",
    "turn.dead",
    "part.sent",
    "part.not_sent",
)
_SORTS: Mapping[TopSort, Callable[[ActorView], tuple[object, ...]]] = {
    "urgency": lambda view: (URGENCY.index(view.phase), _left(view)),
    "left": lambda view: (_left(view),),
    "messages": lambda view: (-len(view.waiting) - view.batch_messages, _left(view)),
    "tries": lambda view: (-view.tries, _left(view)),
    "instance": lambda view: (view.conversation.instance, _left(view)),
}


class Found(NamedTuple):
    """One conversation in which a message is, and what memory and mirror say of it there."""

    conversation: Conversation
    view: ActorView | None
    waiting: bool
    arrival: Arrival | None


class DaemonInsight:
    """One per daemon, made by the composition root."""

    def __init__(
        self,
        *,
        settings: Settings,
        node_id: str,
        health: Health,
        supervisor: Supervisor,
        slots: FairSlots,
        fenced: Callable[[], Mapping[int, int]],
        stored_turns: StoredTurns,
        arrivals: Arrivals,
        pauses: PauseBoard,
        latencies: Latencies,
        feed: EventFeed,
        providers: Callable[[], Sequence[ProviderView]],
        alerts: Callable[[], Sequence[AlertView]],
    ) -> None:
        self._settings = settings
        self._node_id = node_id
        self._health = health
        self._supervisor = supervisor
        self._slots = slots
        self._fenced = fenced
        self._stored_turns = stored_turns
        self._arrivals = arrivals
        self._pauses = pauses
        self._latencies = latencies
        self._feed = feed
        self._providers = providers
        self._alerts = alerts
        self._started_at = time.monotonic()

    async def tree(self, limit: int) -> TreePage:
        await trio.lowlevel.checkpoint()
        return tasks.tree(self._feed.label, limit)

    async def config(self, reveal: bool) -> ConfigPage:
        await trio.lowlevel.checkpoint()
        rows = in_force(self._settings)
        return ConfigPage(
            values=[
                ConfigValue(
                    key=row.key,
                    value=row.value if reveal or not row.key.endswith("_numbers") else mask_digits(row.value),
                    origin=row.origin,
                )
                for row in rows
            ]
        )

    async def leases(self) -> LeasePage:
        rows, fenced = await self._stored_turns.leases(), self._fenced()
        held: dict[str, list[LeaseRow]] = {}
        for row in rows:
            if row.owner and row.seconds_left > 0:
                held.setdefault(row.owner, []).append(row)
        return LeasePage(
            node_id=self._node_id,
            partitions=len(rows),
            held=sum(map(len, held.values())),
            fenced=len(fenced),
            owners=[
                LeaseOwner(
                    owner=owner,
                    ours=owner == self._node_id,
                    partitions=len(mine),
                    seconds_left=min(row.seconds_left for row in mine),
                )
                for owner, mine in sorted(held.items())
            ],
            leases=[_lease(row, fenced) for row in rows],
        )

    async def top(self, sort: TopSort, instance: str | None, offset: int, limit: int) -> TopPage:
        readiness, phases = self._health.readiness(), self._supervisor.phases()
        await trio.lowlevel.checkpoint()
        views = self._supervisor.views()
        busy = [
            view for view in views if view.phase != "idle" and instance in (None, view.conversation.instance)
        ]
        page = heapq.nsmallest(offset + limit, busy, key=_SORTS[sort])[offset:]
        return TopPage(
            at=shown.iso(datetime.now(UTC)),
            node_id=self._node_id,
            version=package_version(),
            ready=readiness.ready and not readiness.draining,
            draining=readiness.draining,
            reasons=list(readiness.reasons),
            uptime_seconds=time.monotonic() - self._started_at,
            active=len(views),
            open_windows=sum(bool(view.waiting) for view in views),
            waiting_messages=sum(len(view.waiting) + view.batch_messages for view in views),
            phases=dict(phases),
            slots_held=self._slots.held,
            slots=self._slots.limit,
            counters={name: self._feed.counters[name] for name in _COUNTED},
            latencies=self._latencies.views(),
            providers=list(self._providers()),
            alerts=list(self._alerts()),
            pauses=[shown.instance_pause(pause) for pause in self._pauses.standing()],
            matching=len(busy),
            rows=[self._row(view) for view in page],
        )

    async def turns(self, instance: str | None, limit: int) -> TurnPage:
        found = await self._stored_turns.latest(instance, limit)
        return TurnPage([shown.turn_head(head, self._feed.label(head.conversation)) for head in found])

    async def explain(self, message_id: str, instance: str | None) -> Explanation:
        original = original_id(message_id)
        waiting = self._waiting(original, instance)
        turns = await self._turns_of(original, instance, needed=not waiting)
        found = waiting or [Found(turn.conversation, None, False, None) for turn in turns[-1:]]
        if not found:
            found = [
                Found(arrival.conversation, self._supervisor.view(arrival.conversation), False, arrival)
                for arrival in await self._in_mirror(original, instance)
            ]
        names = sorted({one.conversation.instance for one in found} | {turn.instance for turn in turns})
        if not names:
            raise self._health.unless_starting(
                NotFound(
                    f"No message {mask_digits(message_id)} is known: it never came, was ignored (a group, a reaction), "
                    "or its id is written otherwise (`majlis show` lists the ids of a conversation)."
                )
            )
        if len(names) > 1:
            raise Conflict(
                f"Messages of {' and '.join(names)} have this id: say which, with --instance {names[0]}."
            )
        return await self._explained(original, found[-1], turns)

    async def _explained(self, original: str, found: Found, turns: tuple[StoredTurn, ...]) -> Explanation:
        conversation = found.conversation
        first = turns[0].conversation if turns else conversation
        arrival = found.arrival or await self._arrival(first, original)
        message = arrival.message if arrival else None
        if message is None:
            said = [one for turn in turns for one in turn.messages if original_id(one.id) == original]
            message = said[0] if said else None
        verdict = None if found.waiting or not turns else story.ended(turns[-1])
        if verdict is None:
            view = self._supervisor.view(conversation)
            frozen = bool(turns) and not found.waiting
            verdict = story.waits(view, frozen, self._why_paused(conversation.instance))
        return Explanation(
            message=original,
            conversation=self._feed.label(conversation),
            instance=conversation.instance,
            contact=conversation.contact,
            partition=conversation.partition(self._settings.partitions),
            kind=message.kind if message else "",
            text=message.text if message else None,
            state=verdict.state,
            why=verdict.why,
            seconds_left=verdict.seconds_left,
            turns=[turn.id for turn in turns],
            letters=[turn.dead_letter.id for turn in turns if turn.dead_letter is not None],
            steps=story.steps(original, arrival, turns),
        )

    async def _turns_of(self, original: str, instance: str | None, needed: bool) -> tuple[StoredTurn, ...]:
        """Without the ledger, what waits in memory is told all the same; how all else ended, nobody else knows."""
        try:
            return await self._stored_turns.turns_of(original, instance)
        except LedgerUnavailable:
            if needed:
                raise
            return ()

    def _waiting(self, original: str, instance: str | None) -> list[Found]:
        """Where it, or a replay of it, waits in memory."""
        return [
            Found(view.conversation, view, True, None)
            for view in self._supervisor.views()
            if instance in (None, view.conversation.instance)
            and any(original_id(entry.message.id) == original for entry in view.waiting)
        ]

    async def _in_mirror(self, original: str, instance: str | None) -> list[Arrival]:
        return await self._arrivals.find(original, instance)

    async def _arrival(self, conversation: Conversation, original: str) -> Arrival | None:
        """The moment is no more than a detail: without the mirror the rest is told."""
        try:
            return await self._arrivals.arrival(conversation, original)
        except MirrorUnavailable:
            return None

    def _why_paused(self, instance: str) -> str:
        pause = self._pauses.of(instance)
        if pause is None:
            return ""
        until = f" until {shown.iso(pause.until)}" if pause.until else " until somebody resumes it"
        return f"paused by an operator{until}: {ended_by(pause)}"

    def _row(self, view: ActorView) -> TopRow:
        plain = shown.actor_view(view, self._feed.label(view.conversation))
        seconds = self._settings.window(view.conversation.instance).window_seconds
        return TopRow(
            **{name: getattr(plain, name) for name in plain.__struct_fields__}, window_seconds=seconds
        )


def _left(view: ActorView) -> float:
    return float("inf") if view.seconds_left is None else view.seconds_left


def _lease(row: LeaseRow, fenced: Mapping[int, int]) -> LeaseView:
    held = bool(row.owner) and row.seconds_left > 0
    return LeaseView(
        partition=row.partition,
        epoch=row.epoch,
        owner=row.owner if held else "",
        seconds_left=row.seconds_left if held else 0.0,
        fenced=fenced.get(row.partition) == row.epoch,
    )
