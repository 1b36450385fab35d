"""An operator takes over one conversation, as a person of the business does by writing in it, and hands it back."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.counted import ActorView
from actors.errors import Conflict, Missing
from actors.identity import Conversation
from actors.ports import Feed, FlagSource
from actors.supervisor import Supervisor
from daemon.controls.live_settings import LiveSettings
from daemon.controls.pauses import PauseBoard, ended_by
from daemon.ledger.records import Records
from daemon.operate.call import AdminCall, iso
from daemon.operate.directory import Directory
from daemon.operate.parameters import ByContact, ByLabel
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response

TAKEOVER_SECONDS = 4 * 3600
"""How long an operator's take-over lasts where `takeover.pause_seconds` is 0."""
MAX_SECONDS = 30 * 86_400
PauseSeconds = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_SECONDS,
        description="How long, up to 30 days. Default for a conversation: the instance's takeover.pause_seconds "
        "(4 hours if that is 0); for an instance or all: until it is resumed.",
    ),
]


class TakeoverBegun(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    until: str
    stood: bool = False
    """A take-over that ends no sooner than this one was already in force, and stays."""
    has_written: bool = True
    """False: nobody has written there yet. The number may be another than was meant."""


class TakeoverEnded(msgspec.Struct, frozen=True, kw_only=True):
    """What was ended: at least one of these."""

    conversation: str
    escalated: bool
    taken_over: bool
    opted_out: bool = False
    """The customer wanted no messages; the operator ended that too."""
    still_opted_out: bool = False
    """The customer wants no messages: Majlis stays silent until he writes a start word."""
    machine: bool = False
    state: str = ""
    """`parked` or `holding`, if it was woken from that."""


class TakeOverByLabel(ByLabel, frozen=True, kw_only=True):
    seconds: PauseSeconds | None = None


class TakeOverByContact(ByContact, frozen=True, kw_only=True):
    seconds: PauseSeconds | None = None


OptOut = Annotated[
    bool,
    Meta(
        description="End also the silence that the customer asked for with a stop word. Only when he wants it so: "
        "it is his to end."
    ),
]


class ResumeByLabel(ByLabel, frozen=True, kw_only=True):
    opt_out: OptOut = False


class ResumeByContact(ByContact, frozen=True, kw_only=True):
    opt_out: OptOut = False


class OperatorTakeovers:
    """`begin` takes a conversation over for so many seconds, and returns False for an unknown instance."""

    def __init__(
        self,
        settings: LiveSettings,
        directory: Directory,
        supervisor: Supervisor,
        records: Records,
        flags: FlagSource,
        pauses: PauseBoard,
        begin: Callable[[Conversation, float], Awaitable[bool]],
        feed: Feed,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._supervisor = supervisor
        self._records = records
        self._flags = flags
        self._pauses = pauses
        self._begin = begin
        self._feed = feed

    async def find(self, ref: Conversation | str) -> Conversation:
        """The conversation that is meant. Raises: Missing."""
        return await self._directory.find(ref)

    async def begin(self, conversation: Conversation, seconds: int | None) -> TakeoverBegun:
        """Silence Majlis there for so many seconds; None: for as long as the instance's settings say.

        Raises:
          Missing: the instance is unknown.
          Conflict: take-over is switched off there, so it would have no effect.
        """
        instance = conversation.instance
        if not self._flags.of(instance).takeover:
            raise Conflict(
                f"Take-over is switched off for {instance}, so a pause would have no effect: "
                f"`majlis flags set takeover on --instance {shlex.quote(instance)}` first."
            )
        configured = self._settings.for_instance(instance).takeover.pause_seconds
        before = (await self._directory.silence(conversation)).taken_over
        if not await self._begin(conversation, float(seconds or configured or TAKEOVER_SECONDS)):
            raise Missing(f"The database has no instance called {instance}: check the spelling.")
        now = (await self._directory.silence(conversation)).taken_over
        stood = before is not None and now is not None and before.until == now.until
        until = iso(now.until) if now else ""
        return TakeoverBegun(
            conversation=self._directory.label(conversation),
            until=until,
            stood=stood,
            has_written=await self._directory.has_written(conversation),
        )

    async def end(self, conversation: Conversation, opt_out: bool = False) -> TakeoverEnded:
        """Let Majlis answer there again, and wake a parked or held actor. With `opt_out`, the customer's own wish for
        silence ends as well.

        Raises:
          Conflict: there is nothing to end.
        """
        ended = await self._records.hand_back(conversation)
        opted_in = opt_out and await self._records.opt_in(conversation)
        still_out = (await self._directory.silence(conversation)).opted_out is not None
        asleep = self._supervisor.hurry(conversation)
        label = self._directory.label(conversation)
        if not (ended.escalations or ended.takeovers or ended.machines or asleep or opted_in):
            raise self._nothing_to_end(conversation, label, self._supervisor.view(conversation), still_out)
        if opted_in:
            self._feed.emit("contact.opted_in", conversation, by="operator")
        if ended.escalations or ended.takeovers or ended.machines:
            self._feed.emit("conversation.handed_back", conversation, by="operator")
        return TakeoverEnded(
            conversation=label,
            escalated=ended.escalations > 0,
            taken_over=ended.takeovers > 0,
            opted_out=opted_in,
            still_opted_out=still_out,
            machine=ended.machines > 0,
            state=asleep,
        )

    def _nothing_to_end(
        self, conversation: Conversation, label: str, view: ActorView | None, opted_out: bool
    ) -> Exception:
        pause = self._pauses.of(conversation.instance)
        if view is not None and view.held_by == "pause" and pause is not None:
            if pause.held:
                return Conflict(f"{label} waits because its instance is held: {pause.held}.")
            return Conflict(f"{label} waits because of a pause: `{ended_by(pause)}` ends it.")
        if opted_out:
            return Conflict(
                f"The customer of {label} wants no messages, and ends that with a start word. If he asked you to, "
                f"`majlis resume {label} --opt-out` ends it."
            )
        return self._directory.unless_starting(
            Conflict(
                f"There is nothing to resume in {label}: it is not escalated, taken over, silent to a machine, held or "
                "parked."
            )
        )


async def _take_over(
    takeovers: OperatorTakeovers, call: AdminCall, asked: TakeOverByLabel | TakeOverByContact
) -> Response:
    """Silence Majlis in the conversation for a while, as if a person had taken it over."""
    conversation = await takeovers.find(asked.ref)
    await call.audit("pause", call.target(conversation))
    return json_response(200, await takeovers.begin(conversation, asked.seconds))


async def _hand_back(
    takeovers: OperatorTakeovers, call: AdminCall, asked: ResumeByLabel | ResumeByContact
) -> Response:
    """Let Majlis answer in the conversation again: end escalation and take-over, wake it if it is parked or held."""
    conversation = await takeovers.find(asked.ref)
    await call.audit("resume --opt-out" if asked.opt_out else "resume", call.target(conversation))
    return json_response(200, await takeovers.end(conversation, asked.opt_out))


_LABEL, _CONTACT = "/v1/conversations/{label}", "/v1/conversations/{instance}/{contact}"
ROUTES = (
    Route(
        "POST", f"{_LABEL}/pause", OperatorTakeovers, _take_over, "operate", TakeoverBegun, TakeOverByLabel
    ),
    Route(
        "POST",
        f"{_CONTACT}/pause",
        OperatorTakeovers,
        _take_over,
        "operate",
        TakeoverBegun,
        TakeOverByContact,
    ),
    Route("POST", f"{_LABEL}/resume", OperatorTakeovers, _hand_back, "operate", TakeoverEnded, ResumeByLabel),
    Route(
        "POST", f"{_CONTACT}/resume", OperatorTakeovers, _hand_back, "operate", TakeoverEnded, ResumeByContact
    ),
)
