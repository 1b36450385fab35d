"""The words of the protocol as data: message, batch, receipt, snapshot. No behaviour beyond small views."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Literal

import msgspec

from actors.identity import Conversation
from actors.instance import ReplyFormatting

CloseReason = Literal["timeout", "quiet", "count", "flush", "drain"]
"""Why a window closed; recorded with the batch. `timeout` and `quiet`: its time was up, by either kind of window."""

WindowKind = Literal["rule", "quiet"]
"""What ends a window that does not fill: `rule`: its time from the first message; `quiet`: time without another."""

TurnOutcome = Literal["answered", "suppressed", "dead", "moved"]
"""How a batch ended. `moved`: its messages now wait in the conversation of the phone number behind a LID."""

Swept = Literal["", "missed", "too_old", "already_answered"]
"""How a message came: empty, the gateway delivered it. The others were found in the gateway's records only. `missed` is
answered like any other. The last two belong to the history and are not answered: they name the rule why."""

HISTORY_ONLY: Collection[Swept] = ("too_old", "already_answered")

Aside = Literal["", "reaction", "edit", "deletion", "deleted", "backlog", "shadow", "off"]
"""Why a message is nothing to answer by itself, and the rule of a turn that holds nothing else. Empty: it is one.

`reaction`: context of what comes next. `edit`, `deletion`: they changed another message of their batch. `deleted`: its
writer deleted it before it was answered. `backlog`: older than `ingress.max_age_seconds` when it arrived. `shadow`:
heard in mode `shadow`, beside others that were not. `off`: heard in mode `off` (`actors/modes.py`).
"""

ContextKind = Literal["quote", "status", "ad", "product", "reaction", "edit"]


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message refers to: told to the model with it."""

    kind: ContextKind
    text: str = ""
    """What it says, in words; empty where the gateway gives only its id."""
    id: str = ""
    """The gateway's id of the message that it is; empty: it is none, or has none."""
    by: Literal["", "customer", "business"] = ""
    """Who wrote it, where that is known."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One inbound gateway message, as it is kept in the mirror and the ledger."""

    instance: str
    contact: str
    id: str
    text: str
    sent_at: int
    """Gateway's `messageTimestamp`, Unix seconds."""
    kind: str = "text"
    lid: str = ""
    """`<digits>@lid` when the gateway gave it beside the phone number."""
    push_name: str = ""
    context: tuple[Context, ...] = ()
    server_origin: str = ""
    """Where the webhook says its gateway is, `https://host:port`. Anybody may have written it: see
    `actors.reply.choose_origin`."""
    swept: Swept = ""
    media_inline_dropped: bool = False
    """It came with its media in the webhook, too large to keep; they were left out, all else is here."""
    media_hash: str = ""
    """Of the file, as the gateway names it: media are the same only if this is."""
    aside: Aside = ""
    amends: str = ""
    """The id of the message that this one edits or deletes; empty: it does neither."""
    album: str = ""
    """The id of the album that it belongs to, or is the header of."""
    album_size: int = 0
    """Of a header: how many messages follow it."""
    shadow: bool = False
    """It was heard in mode `shadow`: whatever is answered to it is never sent."""
    stranger: bool = False
    """Anybody may have written it: it came without a token, and not from this machine."""
    early: bool = False
    """It came while nobody knew its instance, and so not its mode either."""

    @property
    def conversation(self) -> Conversation:
        return Conversation(self.instance, self.contact)

    @property
    def history_only(self) -> bool:
        """It is kept as something that the customer said, and not answered."""
        return self.aside != "" or self.swept in HISTORY_ONLY

    @property
    def rule(self) -> str:
        """By which rule it is not answered; empty: it is."""
        return self.aside or (self.swept if self.history_only else "")

    @property
    def speaks(self) -> bool:
        """It is something to hear out: the window counts it, and lasts from it."""
        return not (self.aside or self.amends)


class Waiting(msgspec.Struct, frozen=True):
    """A message in the buffer. `seq` grows within a conversation; `at_ms` is its arrival by the mirror's clock."""

    seq: int
    at_ms: int
    message: Message


class WindowPolicy(msgspec.Struct, frozen=True):
    """How long a burst is waited for, and how much of it, before it is answered."""

    window_seconds: float = 8.0
    """By `rule`: after the first message."""
    max_messages: int = 5
    max_batch_messages: int = 50
    max_waiting_messages: int = 1000
    album_seconds: float = 10.0
    """How much longer the rest of an album is waited for; 0: not at all."""
    max_supersedes: int = 0
    """How often more words of the customer may end the call for one batch; 0: they wait for the next one."""
    kind: WindowKind = "rule"
    quiet_seconds: float = 10.0
    """By `quiet`: after the last message."""
    max_seconds: float = 60.0
    """By `quiet`: after the first message, at most."""
    typing_seconds: float = 60.0
    """How long after the first message the window stays open for somebody who types, at most; 0: typing is nothing."""

    @property
    def lasts_seconds(self) -> float:
        """No stored end is further away than this, whatever was written a moment ago."""
        return self.quiet_seconds if self.kind == "quiet" else self.window_seconds

    @property
    def time_is_up(self) -> CloseReason:
        """Why a window closes whose end has come."""
        return "quiet" if self.kind == "quiet" else "timeout"


class Receipt(msgspec.Struct, frozen=True):
    """What the mirror says of one append, all times in milliseconds of the mirror's clock."""

    duplicate: bool
    seq: int
    at_ms: int
    deadline_ms: int
    now_ms: int
    waiting: int
    """Messages now waiting, this one included, those of a frozen batch not."""
    frozen: bool
    """A batch of this conversation is being answered."""


class Batch(msgspec.Struct, frozen=True, dict=True):
    """The messages frozen for one answer. Its boundaries never change, but for turns that are superseded."""

    conversation: Conversation
    number: int
    lo: int
    hi: int
    why: CloseReason
    attempts: int
    """That failed so far and count."""
    opened_at_ms: int
    frozen_at_ms: int
    entries: tuple[Waiting, ...]
    window_ended_ms: int | None = None
    """When its window ended, which may be long before it was frozen. None: the mirror alone knew."""
    held: bool = False
    """Since then it had to wait for a gateway, a store or an operator: how long it took is no measure of us."""
    supersedes: int = 0
    """How often it was widened: its earlier turns were superseded."""

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """In the order the responder sees them: the gateway's timestamp, then arrival."""
        ordered = sorted(self.entries, key=lambda entry: (entry.message.sent_at, entry.seq))
        return tuple(entry.message for entry in ordered)

    @property
    def text(self) -> str:
        return "\n".join(message.text for message in self.messages)

    def without(self, ids: Collection[str]) -> Batch:
        """The same batch without the messages of these ids. Its boundaries stay: they end with it all the same."""
        if not ids:
            return self
        left = tuple(entry for entry in self.entries if entry.message.id not in ids)
        return msgspec.structs.replace(self, entries=left)

    @property
    def asked(self) -> Batch:
        """The same batch without what belongs to the history alone: what an answer is about."""
        return self.without({entry.message.id for entry in self.entries if entry.message.history_only})

    @property
    def is_shadow(self) -> bool:
        """Whatever could be answered in it was heard in mode `shadow`."""
        about = self.asked.entries or self.entries
        return bool(about) and all(entry.message.shadow for entry in about)


class Snapshot(msgspec.Struct, frozen=True):
    """One conversation as the mirror holds it."""

    conversation: Conversation
    now_ms: int
    waiting: tuple[Waiting, ...]
    deadline_ms: int | None
    """When the window of `waiting` closes; None when nothing waits."""
    batch_number: int | None
    """Of the frozen batch; None when there is none."""
    retry_at_ms: int | None
    """When the frozen batch may be tried again; None unless it was deferred."""

    @property
    def frozen(self) -> bool:
        return self.batch_number is not None


class HistoryEntry(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant"]
    text: str


class Passage(msgspec.Struct, frozen=True):
    """A piece of the instance's knowledge that bears on the question."""

    source: str
    """The file it comes from."""
    text: str
    relevance: float
    """0 to 1."""


class Prompt(msgspec.Struct, frozen=True):
    """Everything a responder is given. Texts are data, never instructions to the daemon."""

    instance: str
    messages: tuple[str, ...]
    history: tuple[HistoryEntry, ...] = ()
    knowledge: tuple[Passage, ...] = ()
    system_prompt: str | None = None
    """The instance's own; None: the provider's."""
    handed_back: bool = False
    """A person handled the conversation until now: what came before is context, not a task."""
    situation: str = ""
    """What holds now: date, time, whether it is open, who writes. Told last; empty: nothing."""
    may_be_silent: bool = False
    """The model may choose to say nothing."""
    customer_name: str = ""
    """As `situation` tells it; empty: it tells none."""
    formatting: ReplyFormatting = "unchanged"
    """How the Markdown of the answer is to be sent."""
    retry_cut: bool = False
    """An answer that ended at its bound of tokens is asked for once more, with more room."""
    answered_by: object = None
    """`Terms.answered_by`; None: whoever answers by the settings in force when it is asked."""

    @property
    def text(self) -> str:
        return "\n".join(self.messages)


CutReason = Literal["", "length", "filter", "error"]
"""Why an answer ends before its end: its bound of tokens | a content filter | trouble at the provider."""


MAX_TOKENS = 2**31 - 1
"""More are not counted in one number."""


class Spent(msgspec.Struct, frozen=True):
    """What was paid for."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    """Millionths of the currency the prices are given in."""

    def __add__(self, other: Spent) -> Spent:
        """Both together, as far as the ledger can count."""
        return Spent(
            min(self.input_tokens + other.input_tokens, MAX_TOKENS),
            min(self.output_tokens + other.output_tokens, MAX_TOKENS),
            self.cost_micros + other.cost_micros,
        )


def spent_in_all(asked: Iterable[Asked]) -> Spent:
    """By all that were asked together."""
    return sum((each.spent for each in asked), Spent())


class Asked(msgspec.Struct, frozen=True):
    """One provider that was asked for an answer."""

    provider: str
    started_at: float
    """By the clock that the turn goes by, in seconds."""
    took_seconds: float
    failure: str = ""
    """The reason; empty: it answered."""
    spent: Spent = Spent()
    """Also for an answer that could not be used."""


class Answer(msgspec.Struct, frozen=True):
    """What goes to the customer, and what it cost. The text is extracted already, never a model's raw words."""

    text: str
    provider: str
    """The responder's name; `escalation`, `fallback` and `cache` are said by Majlis itself."""
    model: str = ""
    input_tokens: int = 0
    """Of everything that was asked for it, in vain too; so are the next two."""
    output_tokens: int = 0
    cost_micros: int = 0
    """Millionths of the currency the prices are given in."""
    needs_data_collection: bool = False
    requested_fields: tuple[str, ...] = ()
    confidence: float | None = None
    """The model's own, 0 to 1; kept as `response_quality`."""
    is_silence: bool = False
    """The model chose to say nothing: there is no text, and none is missing."""
    cut: CutReason = ""
    """Why it is not the whole answer; empty: it is."""
    shortened: int = 0
    """How many times less was told, because all of it was too long for whoever was asked."""
    asked: tuple[Asked, ...] = ()
    """Who was asked for it, in order, where that is known. The turn's trace keeps it; the
    stored answer does not."""
    scope: str = ""
    """`Terms.cache_scope` of the settings that it was asked under, where that is known."""
