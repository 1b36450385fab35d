"""One message's whole life, by its id at the gateway: where it waits, or how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from actors.counted import ActorView
from actors.errors import Conflict, LedgerUnavailable, MirrorUnavailable, Missing
from actors.identity import Conversation
from actors.messages import Aside, Message, Swept
from actors.supervisor import Supervisor
from daemon.config import Settings
from daemon.controls.pauses import PAUSED, PauseBoard, ended_by, why_paused
from daemon.ledger.rows import OwnMessageRow
from daemon.ledger.stored_turns import StoredTurn, StoredTurns, original_id
from daemon.observe.feed import EventFeed
from daemon.observe.logs import mask_digits
from daemon.observe.readiness import Health
from daemon.operate.call import AdminCall, iso
from daemon.operate.message_life import MessageState, Step, decisive, ended, steps, waits
from daemon.operate.own_messages import why
from daemon.operate.parameters import MUST_BE, Parameters, Reveal
from daemon.operate.route import Route
from daemon.web.http1 import Response

if TYPE_CHECKING:  # the command line reads the views here, and needs no driver
    from daemon.mirror.arrivals import Arrival, Arrivals

MAX_ID_CHARS = 512
MessageId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_ID_CHARS,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+(?![\s\S])",  # unlike $, not before a last line break
        description="A message's id at the gateway.",
        extra={MUST_BE: f"a message's id, at most {MAX_ID_CHARS} printable characters"},
    ),
]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole life of one message."""

    message: str
    conversation: str
    instance: str
    contact: str
    partition: int
    kind: str = ""
    text: str | None = None
    """None: it is no longer kept."""
    swept: Swept = ""
    """Not empty: it was found in the gateway's records, and no webhook brought it."""
    aside: Aside = ""
    """Not empty: it is nothing to answer by itself, by this rule."""
    amends: str = ""
    """The id of the message that it edits or deletes."""
    media_inline_dropped: bool = False
    """Its media came in the webhook itself, too large to keep."""
    state: MessageState
    why: str
    """Where it is, or how it ended, as a sentence."""
    seconds_left: float | None = None
    """Until something happens by itself."""
    turns: list[int] = []
    letters: list[int] = []
    """Its dead letters, including those retried or dropped."""
    steps: list[Step]


class OneMessage(Parameters, frozen=True, kw_only=True):
    message: MessageId
    instance: (
        Annotated[str, Meta(description="Its instance, if several instances know the same id.")] | None
    ) = None
    reveal: Reveal = False


class Sighting(NamedTuple):
    """One conversation that holds the message, and what memory and mirror know of it there."""

    conversation: Conversation
    view: ActorView | None = None
    waiting: bool = False
    arrival: Arrival | None = None


class Explainer:
    """Reads memory, mirror and ledger, and changes nothing."""

    def __init__(
        self,
        settings: Settings,
        health: Health,
        supervisor: Supervisor,
        stored_turns: StoredTurns,
        arrivals: Arrivals,
        pauses: PauseBoard,
        feed: EventFeed,
    ) -> None:
        self._settings = settings
        self._health = health
        self._supervisor = supervisor
        self._stored_turns = stored_turns
        self._arrivals = arrivals
        self._pauses = pauses
        self._feed = feed

    async def explain(self, message_id: str, instance: str | None) -> Explanation:
        """Raises: Missing, or Conflict when several instances know the message."""
        original = original_id(message_id)
        waiting = self._waiting(original, instance)
        turns = await self._turns_of(original, instance, needed=not waiting)
        found = waiting or [Sighting(turn.conversation) for turn in turns[-1:]]
        if not found:
            found = [
                Sighting(arrival.conversation, self._supervisor.view(arrival.conversation), arrival=arrival)
                for arrival in await self._arrivals.find(original, instance)
            ]
        if not found and not turns and (own := await self._stored_turns.own_messages(original, instance)):
            return self._of_business(original, own)
        names = sorted({one.conversation.instance for one in found} | {turn.instance for turn in turns})
        if not names:
            raise self._health.unless_starting(
                Missing(
                    f"No message {mask_digits(message_id)} is known: it never arrived, was ignored (a group, for "
                    "example), or its id is spelled differently (`majlis show` lists the ids of a conversation)."
                )
            )
        if len(names) > 1:
            raise _ambiguous(names)
        return await self._explained(original, found[-1], turns)

    def _of_business(self, original: str, own: tuple[OwnMessageRow, ...]) -> Explanation:
        """A message that the business wrote. Raises: Conflict."""
        if len(own) > 1:
            raise _ambiguous([one.instance for one in own])
        conversation, verdict = own[0].conversation, why(own[0])
        return Explanation(
            message=original,
            conversation=self._feed.label(conversation),
            instance=conversation.instance,
            contact=conversation.contact,
            partition=conversation.partition(self._settings.partitions),
            state="of_business",
            why=verdict,
            steps=[
                Step(at=iso(own[0].sent_at), what="written", detail="by the gateway's clock"),
                Step(at=iso(own[0].arrived_at), what="arrived", detail=verdict),
            ],
        )

    async def _explained(self, original: str, found: Sighting, turns: tuple[StoredTurn, ...]) -> Explanation:
        conversation = found.conversation
        first = turns[0].conversation if turns else conversation
        arrival = found.arrival or await self._arrival(first, original)
        message = arrival.message if arrival else None
        if message is None:
            said = [one for turn in turns for one in turn.messages if original_id(one.id) == original]
            message = said[0] if said else None
        last = decisive(turns) if turns else None
        # As the turn heard it that dealt with it, edits applied: the mirror may hold a copy that was found later.
        heard = [one for one in (last.messages if last else ()) if original_id(one.id) == original]
        judged: Message | None = heard[0] if heard else message
        verdict = None if found.waiting or last is None else ended(last, judged.rule if judged else "")
        if verdict is None:
            view = self._supervisor.view(conversation)
            begun = last is not None and last.state in ("started", "answered")
            frozen = begun and not found.waiting
            verdict = waits(view, frozen, self._why_paused(conversation.instance))
        return Explanation(
            message=original,
            conversation=self._feed.label(conversation),
            instance=conversation.instance,
            contact=conversation.contact,
            partition=conversation.partition(self._settings.partitions),
            kind=judged.kind if judged else "",
            text=judged.text if judged else None,
            media_inline_dropped=bool(message and message.media_inline_dropped),
            state=verdict.state,
            why=verdict.why,
            seconds_left=verdict.seconds_left,
            turns=[turn.id for turn in turns],
            letters=[turn.dead_letter.id for turn in turns if turn.dead_letter is not None],
            swept=judged.swept if judged else "",
            aside=judged.aside if judged else "",
            amends=judged.amends if judged else "",
            steps=steps(arrival, turns, original, judged),
        )

    async def _turns_of(self, original: str, instance: str | None, needed: bool) -> tuple[StoredTurn, ...]:
        """Without the ledger, messages in memory are still explained. Only the ledger knows how others ended."""
        try:
            return await self._stored_turns.turns_of(original, instance)
        except LedgerUnavailable:
            if needed:
                raise
            return ()

    def _waiting(self, original: str, instance: str | None) -> list[Sighting]:
        """Where the message or a replay of it waits in memory."""
        return [
            Sighting(view.conversation, view, waiting=True)
            for view in self._supervisor.views()
            if instance in (None, view.conversation.instance)
            and any(original_id(entry.message.id) == original for entry in view.waiting)
        ]

    async def _arrival(self, conversation: Conversation, original: str) -> Arrival | None:
        """None while the mirror is away: the time of arrival is only a detail, and the rest is shown."""
        try:
            return await self._arrivals.arrival(conversation, original)
        except MirrorUnavailable:
            return None

    def _why_paused(self, instance: str) -> str:
        pause = self._pauses.of(instance)
        if pause is None:
            return ""
        if pause.held:
            return why_paused(pause)
        until = f" until {iso(pause.until)}" if pause.until else " until it is resumed"
        return f"{PAUSED}{until}: {ended_by(pause)}"


def _ambiguous(names: Sequence[str]) -> Conflict:
    return Conflict(
        f"Messages of {' and '.join(names)} have this id: say which, with --instance {shlex.quote(names[0])}."
    )


async def _explain(explainer: Explainer, call: AdminCall, asked: OneMessage) -> Response:
    """The whole life of one message, by its id at the gateway."""
    explained = await explainer.explain(asked.message, asked.instance or None)
    return await call.answer(explained, f"message {explained.message}")


ROUTES = (Route("GET", "/v1/explain/{message}", Explainer, _explain, "read", Explanation, OneMessage),)
