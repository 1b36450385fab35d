"""Mode `shadow`: what Majlis would have said, laid beside what the old system sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.errors import Missing
from actors.identity import Conversation
from actors.instance import Mode
from actors.modes import SHADOW
from daemon.ledger.shadows import Shadows, ShadowTurn
from daemon.operate.call import AdminCall, iso
from daemon.operate.parameters import InstanceName, Parameters, Reveal
from daemon.operate.route import Route
from daemon.web.http1 import Response

MAX_TURNS = 1_000
_MICROS = 1_000_000


class WouldSay(msgspec.Struct, frozen=True, kw_only=True):
    """What Majlis would have done."""

    text: str
    """Empty: nothing would have been sent; `rule` says why."""
    rule: str
    """`shadow`, or the rule of a silence."""
    provider: str = ""
    model: str = ""
    cost: float = 0.0
    """In the currency of the providers' prices."""
    seconds: float | None = None
    """From when the customer wrote; the window is part of it. None: there was no answer."""


class OldReply(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent for the business."""

    text: str
    sender: str
    """`program`: software through the gateway; `person`; `agent`: a person in Chatwoot."""
    at: str
    seconds: float
    """From when the customer wrote."""


class ShadowTurnView(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: str
    """When the customer wrote."""
    conversation: str
    contact: str
    text: str
    """What the customer wrote."""
    majlis: WouldSay
    old: list[OldReply]
    """Until the customer wrote again."""


class ShadowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Of the turns that are listed."""

    turns: int = 0
    both: int = 0
    """In which both answered; the next three are the others."""
    only_majlis: int = 0
    only_old: int = 0
    neither: int = 0
    majlis_seconds: float | None = None
    """The median of its answers; None: there are none."""
    old_seconds: float | None = None
    """The median of the first answers."""
    cost: float = 0.0


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    mode: Mode
    """Now."""
    summary: ShadowSummary
    turns: list[ShadowTurnView]
    """The newest first."""


class ShadowQuery(Parameters, frozen=True, kw_only=True):
    instance: InstanceName
    limit: Annotated[int, Meta(ge=1, le=MAX_TURNS, description="Maximum number of turns.")] = 50
    reveal: Reveal = False


class ShadowBoard:
    """`knows` is whether there is such an instance; `mode` gives its mode by the settings in force."""

    def __init__(
        self,
        shadows: Shadows,
        knows: Callable[[str], Awaitable[bool]],
        mode: Callable[[str], Mode],
        label: Callable[[Conversation], str],
    ) -> None:
        self._shadows = shadows
        self._knows = knows
        self._mode = mode
        self._label = label

    async def report(self, instance: str, limit: int) -> ShadowReport:
        """The newest turns that were heard in mode `shadow`. Raises `LedgerUnavailable`, `Missing`."""
        found = await self._shadows.latest(instance, limit)
        if not found and not await self._knows(instance):
            raise Missing(f"There is no instance called {instance}: see `majlis instance list`, or add it.")
        return ShadowReport(
            instance=instance,
            mode=self._mode(instance),
            summary=summary(found),
            turns=[self._view(turn) for turn in found],
        )

    def _view(self, turn: ShadowTurn) -> ShadowTurnView:
        conversation = turn.conversation
        return ShadowTurnView(
            id=turn.id,
            at=iso(turn.began_at),
            conversation=self._label(conversation),
            contact=conversation.contact,
            text=turn.text,
            majlis=WouldSay(
                text=_would_say(turn),
                rule=turn.rule,
                provider=turn.provider,
                model=turn.model,
                cost=turn.cost_micros / _MICROS,
                seconds=turn.seconds,
            ),
            old=[
                OldReply(text=one.text, sender=one.sender, at=iso(one.at), seconds=one.seconds)
                for one in turn.replies
            ],
        )


def summary(turns: Sequence[ShadowTurn]) -> ShadowSummary:
    """Pure."""
    answered = [(bool(_would_say(turn)), bool(turn.replies)) for turn in turns]
    ours = [turn.seconds for turn in turns if _would_say(turn) and turn.seconds is not None]
    theirs = [turn.replies[0].seconds for turn in turns if turn.replies]
    return ShadowSummary(
        turns=len(turns),
        both=answered.count((True, True)),
        only_majlis=answered.count((True, False)),
        only_old=answered.count((False, True)),
        neither=answered.count((False, False)),
        majlis_seconds=median(ours) if ours else None,
        old_seconds=median(theirs) if theirs else None,
        cost=sum(turn.cost_micros for turn in turns) / _MICROS,
    )


def _would_say(turn: ShadowTurn) -> str:
    """A silence by another rule may have an answer too: that of a model which chose to say nothing."""
    return turn.answer if turn.rule == SHADOW else ""


async def _report(board: ShadowBoard, call: AdminCall, asked: ShadowQuery) -> Response:
    """What Majlis would have said in mode shadow, beside what the old system sent."""
    return await call.answer(await board.report(asked.instance, asked.limit), f"shadow {asked.instance}")


ROUTES = (
    Route("GET", "/v1/instances/{instance}/shadow", ShadowBoard, _report, "read", ShadowReport, ShadowQuery),
)
