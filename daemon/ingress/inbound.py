"""What a webhook brings, in Majlis' own terms. Each gateway reads its own payloads into these types."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from actors.errors import MajlisError
from actors.messages import Message

MAX_TEXT_CHARS = 65_536
"""WhatsApp's own bound of a text: no gateway reads more of one."""


class UnreadablePayload(MajlisError):
    """This payload can never be read: answer 400. Contrast `Inbound.ignored`: read, but not for us.

    `reason` is a stable word. Neither the message nor the context holds the payload's text.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Link(msgspec.Struct, frozen=True):
    """The gateway says that these are the same person: `lid` is `<digits>@lid`, `phone` a canonical contact."""

    instance: str
    lid: str
    phone: str


class Ignored(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item of a payload is no message to answer."""

    reason: str
    """From a closed set, because it becomes a metric's label."""
    type: str = ""
    """The gateway's name of what it is: letters, digits, `_`, `.` and `-`, at most 64. It is foreign: no label."""


OwnSender = Literal["person", "program", "chatwoot"]
"""Who sent a message of the business: a person by hand, software through the gateway, an agent in Chatwoot."""


class OwnMessage(msgspec.Struct, frozen=True):
    """What the business wrote, sent or spoke in a one-to-one chat, by hand or by other software."""

    instance: str
    contact: str
    """The other side: the phone number, or the LID while the phone number is unknown."""
    lid: str
    """`<digits>@lid` when it is given beside the phone number, else empty."""
    id: str
    text: str
    sent_at: int
    """Unix seconds; 0: unknown."""
    on_phone: bool = False
    """It was certainly written on a telephone. What programs send through the gateway looks as if it were written in
    WhatsApp Web: a webhook tells the two apart, the gateway's records do not."""
    sender: OwnSender = "person"
    kind: str = "text"
    """As of a customer's message."""
    recorded: bool = False
    """It was found in the gateway's records."""


class Amendment(msgspec.Struct, frozen=True):
    """Somebody edited or deleted a message. Gateways name it by its id; whose it is they tell from varying sides."""

    instance: str
    id: str
    """Of this event; made of the target's where it has none of its own, so that it is the same each time."""
    target: str
    """The id of the message that changed."""
    contact: str = ""
    """Of its conversation, where the gateway says so for certain; empty: found by the target."""
    text: str = ""
    """What it says now. Empty with `deleted` false: nobody can read what it says."""
    deleted: bool = False
    sent_at: int = 0
    """Unix seconds; 0: unknown."""
    made_at: int = 0
    """The same, as the change itself says it: its author's clock, and equal in whatever shape it comes; 0: not told."""


class LateFailure(msgspec.Struct, frozen=True):
    """The gateway had confirmed a message, and says now that it failed."""

    instance: str
    ids: tuple[str, ...]
    """What the message may be called, the likeliest first."""
    reason: str
    """A stable word: `error`, `failed`, or what Meta's code means."""


class Typing(msgspec.Struct, frozen=True):
    """A customer types or records a voice message, or does so no more. Told while it lasts, and never stored."""

    instance: str
    contact: str
    """The phone number, or the LID: whichever the gateway tells."""
    is_typing: bool


class Inbound(msgspec.Struct, frozen=True):
    """What one webhook brought."""

    instance: str
    """The one it is for; each message, link and own message names its own."""
    event: str
    """The gateway's name for it, in one spelling; empty when it has none."""
    messages: tuple[Message, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    """One for each item that is neither in `messages` nor in `amendments`."""
    links: tuple[Link, ...] = ()
    """LIDs whose phone numbers this payload gave, each once. Only received one-to-one messages give them."""
    own: tuple[OwnMessage, ...] = ()
    """Signs that a person speaks in a chat. Each is in `ignored` too, as `own_message`."""
    amendments: tuple[Amendment, ...] = ()
    """What was edited or deleted, by whomever. Their event is in `ignored` only if there is none to heed."""
    failures: tuple[LateFailure, ...] = ()
    """Of any software's messages. Their event is in `ignored` too, as `status_update`."""
    typing: Typing | None = None
    """Its event is in `ignored` too, as `presence`."""
    named: str = ""
    """The instance that the payload itself names, where it names one and it is fit for a name."""
    connected: bool = False
    """The gateway says that the instance is connected to WhatsApp, now or again."""
    own_number: str = ""
    """The instance's own phone number, where the gateway names it."""
    probe: str = ""
    """Majlis itself sent it, to find out where an address leads: the random number of this question."""

    @property
    def instances(self) -> frozenset[str]:
        """Every instance that it mentions: some gateways put several into one payload."""
        kinds = (self.messages, self.links, self.own, self.amendments, self.failures)
        spoken = (item.instance for items in kinds for item in items)
        return frozenset((self.instance, *spoken))


class Parse(Protocol):
    """Reads one payload. Pure; raises `UnreadablePayload` for a payload that can never be read.

    Everything that is read is of `instance`; without one, the payload says whose it is. Which of the two counts where
    they differ is decided elsewhere (`reading.py`): the parser only says what the payload names (`Inbound.named`).
    `event` comes from the URL's path, if it has one.
    """

    def __call__(self, body: bytes, instance: str | None, event: str | None) -> Inbound: ...


def no_webhooks(body: bytes, instance: str | None, event: str | None) -> Inbound:
    """The parser of a gateway that posts none."""
    raise UnreadablePayload("no_webhooks")
