"""What a lookup is, how it went, and what the lookups of a turn found. Pure; `actors/parallel.py` runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from actors.escalation import Interaction
from actors.machines import Pace
from actors.messages import Answer, Context, HistoryEntry, Passage, Spent

LookupOutcome = Literal["ok", "failed", "timed_out", "skipped"]

RESPONDER = "responder"
"""The stage of a trace that is no lookup: a span for each provider that was asked."""


class Lookup(msgspec.Struct, frozen=True):
    call: Callable[[], Awaitable[Any]]
    default: Any = None
    deadline_seconds: float = 3.0
    """When it is given up. Cancelling what a peer still does then (a query under way) takes its time on top."""
    skip: bool = False
    """It is known beforehand that nothing would be found: the default is the value."""
    known: Any = None
    """The value, where it need not be asked for."""


class Span(msgspec.Struct, frozen=True):
    """One line of a turn's trace."""

    name: str
    stage: str
    started_ms: float
    """After the start of the first stage, milliseconds."""
    took_ms: float
    outcome: LookupOutcome
    error: str = ""
    """The error's class, or a provider's reason; never a text, which may quote a value."""
    spent: Spent | msgspec.UnsetType = msgspec.UNSET
    """By a provider, also one that was asked in vain; missing where nothing was."""


class FailedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A provider was asked, and its answer could not be used. Kept with the turn when its attempt had failed."""

    provider: str
    reason: str
    attempt: int
    """From 1."""
    at_ms: int
    """When it was asked, Unix time in milliseconds."""
    took_ms: float
    spent: Spent = Spent()


class TakeoverState(msgspec.Struct, frozen=True):
    """Who speaks in a conversation."""

    taken_over: bool = False
    """A person of the business wrote in the chat a while ago."""
    escalated: bool = False
    escalation_expired: bool = False
    """It was escalated so long ago that Majlis takes it back now."""
    handed_back: bool = False
    """A person handled it, and Majlis has not answered since."""
    opted_out: bool = False
    """The customer wrote a stop word, and no start word since."""
    own_instance: bool = False
    """The contact is the number of an instance of ours."""
    lifted: str = ""
    """Why a take-over was taken back just now: its message was a `greeting`; empty: none was."""


class Usage(msgspec.Struct, frozen=True):
    contact_turns: int = 0
    """Other answers begun for this contact in the last minute."""
    contact_wait_seconds: float = 0.0
    """Until the oldest of them is older than a minute."""
    instance_turns: int = 0
    """The same for the instance."""
    instance_wait_seconds: float = 0.0
    tokens_today: int = 0
    """Since midnight UTC."""
    cost_micros_today: int = 0
    answers_today: int = 0
    """Given by a responder or from the cache."""
    day_wait_seconds: float = 0.0
    """Until midnight UTC."""
    fallback_said: bool = False
    """The fallback message went out in this conversation a while ago."""


CacheHit = Literal["hit_exact", "hit_similar", "hit_snippet"]
"""How the response cache answered: to the same words | to another wording | either, later in a conversation."""

NoKey = Literal["off", "too_long", "personal", "symbols"]
"""Why no answer to a question is kept or given, whatever was said before."""

NoSnippet = Literal["has_history", "long_history", "personal_history", "other_history"]
"""Why none is after what was said before."""

MissReason = (
    NoKey
    | NoSnippet
    | Literal[
        "not_seen",
        "expired",
        "not_similar",
        "near_miss",
        "differs",
        "no_vector",
        "handed_back",
        "start_word",
        "failed",
    ]
)
"""Why the response cache did not answer."""

NotKept = (
    NoSnippet
    | Literal[
        "handed_back",
        "no_answer",
        "needs_data",
        "cut",
        "low_quality",
        "lookup_failed",
        "moment",
        "customer",
        "settings_changed",
    ]
)
"""Why a responder's answer is not kept."""


class CachedAnswer(Answer, frozen=True):
    """An answer from the response cache."""

    entry: int = 0
    """The row it came from."""
    how: CacheHit = "hit_exact"
    told: str = ""
    """The digest of all that was said before it, as the lookup found it: by the customer and Majlis alone."""


class CacheMiss(msgspec.Struct, frozen=True):
    """The response cache has no answer."""

    reason: MissReason
    told: str = ""
    """As in `CachedAnswer`: under it the responder's answer may be kept."""


class CacheEntry(msgspec.Struct, frozen=True):
    """The key of an answer in the response cache; `actors/response_cache.py` makes the digests of it."""

    scope: str
    question_hash: str
    question: str
    """Normalised."""
    numbers: str
    """Those in the question: without the same numbers it is another question, however alike it sounds."""
    keep_seconds: float
    max_entries: int
    """Of the instance; the oldest go first."""
    model: str = ""
    """Whose vector of the question is to be kept with it; empty: none is."""
    text_hash: str = ""
    """Under what that vector is kept; empty: none is."""
    features: str = ""
    """What another wording of the question must have as well; without a vector none is looked for."""


class CacheRecord(msgspec.Struct, frozen=True):
    """What became of a question in the response cache."""

    looked: CacheHit | MissReason
    """How it was answered from there, or why it was not: counted by the hour."""
    not_kept: NotKept | Literal[""] = ""
    """Why the responder's answer is not kept; empty: it is, or `looked` says it."""
    entry: CacheEntry | None = None
    """The key under which it is kept."""
    hit: int | None = None
    """The answer came from this entry: nothing is stored, the hit is counted."""


class Facts(msgspec.Struct, frozen=True):
    """One field per lookup; its default is what the turn assumes when the lookup fails or is late."""

    duplicate: bool = False
    history: tuple[HistoryEntry, ...] = ()
    webhook: str = ""
    """The address stored for the instance in `whatsapp_webhook_config`."""
    takeover: TakeoverState = TakeoverState()
    escalated_reply: bool = False
    """The escalated message went out in this conversation within `escalation.repeat_seconds`."""
    interactions: tuple[Interaction, ...] = ()
    """The last five, newest first."""
    knowledge: tuple[Passage, ...] = ()
    cached_answer: CachedAnswer | CacheMiss | None = None
    quoted: tuple[Context, ...] = ()
    """The messages that those of the batch refer to by id, as our own ledger has them."""
    usage: Usage = Usage()
    pace: Pace = Pace()


def facts(found: Mapping[str, object]) -> Facts:
    """From the values of the lookups that ran. Passages under a name that is not known here join the knowledge;
    anything else unknown is of no use to a turn.
    """
    known = {name: value for name, value in found.items() if name in Facts.__struct_fields__}
    others = [value for name, value in found.items() if name not in known and isinstance(value, tuple)]
    more = tuple(passage for value in others for passage in value if isinstance(passage, Passage))
    made = Facts(**known)  # type: ignore[arg-type]
    return msgspec.structs.replace(made, knowledge=(*made.knowledge, *more)) if more else made
