"""What one instance is and wants: its database row, its feature flags, its configured terms. Pure data."""

from __future__ import annotations

from typing import Literal

import msgspec

LimitPolicy = Literal["alert", "fallback", "hold", "suppress"]
"""What a reached limit does: only raise an alert | send the fallback message | wait | end the turn by a named rule."""


ReactionPolicy = Literal["context", "answer", "ignore"]
"""What a reaction is: context of the next message | something to answer | nothing."""

UnknownTypePolicy = Literal["answer", "ignore"]
"""What a message is whose type is not known."""

OtherSenderPolicy = Literal["history", "takeover", "ignore"]
"""What a message is that other software sent to a customer: told to the model | a take-over | nothing."""


Mode = Literal["live", "shadow", "passthrough", "off"]
"""What Majlis does for an instance: answers | answers and sends nothing | forwards what comes to another address, and
nothing else | keeps the history and says nothing."""

ReplyFormatting = Literal["whatsapp", "unchanged"]
"""How a model's Markdown is sent: as WhatsApp's own formatting | as the model wrote it."""

CacheContext = Literal["first_question", "snippet"]
"""When an answer may come from the cache: for a first question | also later, where what was said last is the same."""

Threshold = float | Literal["auto"]
"""From 0 to 1, or as it was measured for the embedding model."""
SIMILAR, RELEVANT = 0.95, 0.3
"""How similar two questions and how relevant a passage must be, where nothing else is said or measured."""


class InstanceRecord(msgspec.Struct, frozen=True):
    """The instance as the database knows it, together with its AI configuration."""

    rule: str = ""
    """Why it may not answer: `unknown_instance`, `inactive_instance`; empty when it may."""
    system_prompt: str | None = None
    escalation_enabled: bool = False
    escalation_threshold: int = 3
    escalation_keywords: tuple[str, ...] = ()
    """Empty: the defaults of `actors/escalation.py`."""
    escalated_message: str = ""
    fallback_message: str = ""
    knowledge_files: int = 0
    knowledge_version: int = 0
    """Grows with every change of the instance's files."""


class FeatureFlags(msgspec.Struct, frozen=True):
    """What can be turned on and off while the daemon runs."""

    parallel: bool = True
    cache: bool = True
    knowledge: bool = True
    batching: bool = False
    escalation: bool = True
    takeover: bool = True


class TurnShare(msgspec.Struct, frozen=True):
    """What an instance may have of the turns that run at once, see `actors/fairness.py`."""

    weight: float = 1.0
    """Of its turns among those of all instances, while they wait."""
    places: tuple[tuple[str, int], ...] = ()
    """Who answers, by names that only say whether it is the same one, each with how many calls it takes at once. Empty:
    nothing bounds this instance alone."""


class ContactTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Who is a customer of an instance. Numbers are digits with country code; a prefix ends in `*`."""

    ignore: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    """Empty: everybody else."""
    answer_staff: bool = False
    answer_instances: bool = False
    priority: tuple[str, ...] = ()
    """They go first within their instance."""
    link_numbers: bool = True
    """Spellings of one number in Brazil, Mexico and Argentina are one person."""


class OptOutTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How a customer stops Majlis, and lets it speak again."""

    enabled: bool = True
    stop_words: tuple[str, ...] = ()
    start_words: tuple[str, ...] = ()
    message: str = ""
    """What confirms it; empty: in the language of the word."""
    back_message: str = ""


class MachineTerms(msgspec.Struct, frozen=True, kw_only=True):
    """When a conversation looks like one with another machine."""

    enabled: bool = True
    replies: int = 30
    within_seconds: float = 600.0
    silence_seconds: float = 3600.0


class ContextTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is told beside the words of the customer."""

    references: bool = True
    """What a message refers to: quoted message, status, ad, product."""
    reactions: ReactionPolicy = "context"
    edits: bool = True
    """Edited and deleted messages count as their writer left them."""
    unknown_types: UnknownTypePolicy = "answer"
    clock: bool = True
    """Date, time, and whether it is open."""
    customer_name: bool = True
    timezone: str = "UTC"
    hours: tuple[str, ...] = ()
    """When it is open, e.g. `sun-thu 09:00-22:00`; empty: nothing is said of it."""


class ReplyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer becomes WhatsApp messages."""

    model_silence: bool = True
    """The model may choose to say nothing."""
    formatting: ReplyFormatting = "whatsapp"
    max_chars: int = 4000
    """Of one message. WhatsApp refuses texts over 65,536 characters and folds long ones."""
    max_parts: int = 10
    """Messages for one answer; what does not fit is cut."""
    retry_cut: bool = True
    """An answer that ended at its bound of tokens is asked for once more, with more room."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of one instance's turns."""

    mode: Mode = "live"
    share: TurnShare = TurnShare()
    escalated_goes_first: bool = False
    """A conversation that is escalated goes first within its instance."""
    escalated_message: str = ""
    """Where the instance's row has none."""
    fallback_message: str = ""
    """Where the instance's row has none; empty: nothing is said."""
    escalated_repeat_seconds: float = 300.0
    hand_back_seconds: float = 86400.0
    notify_numbers: tuple[str, ...] = ()
    has_notify_webhook: bool = False
    has_alert_webhook: bool = False
    """Whether there is one; `actors/notices.py` says why the address is not here."""
    allowed_origins: tuple[str, ...] = ()
    """Gateways that a payload or a stored webhook address may name."""
    turns_per_minute_per_contact: int | None = None
    turns_per_minute: int | None = None
    tokens_per_day: int | None = None
    cost_per_day_micros: int | None = None
    on_rate: LimitPolicy = "hold"
    on_budget: LimitPolicy = "fallback"
    warn_at: tuple[float, ...] = (0.5, 0.8)
    """Shares of a daily budget at which an alert is sent."""
    cost_per_message_micros: int | None = None
    """An alert is sent when an answer costs more, on average over the day."""
    reason_names: tuple[tuple[str, str], ...] = ()
    """Reasons of escalations, each with the name that others are told instead."""
    knowledge_threshold: Threshold = RELEVANT
    knowledge_max_passages: int = 5
    knowledge_max_tokens: int = 1500
    cache_scope: str = ""
    """A digest of who answers: answers of other providers, models or prompts of theirs are not given again."""
    answered_by: object = None
    """Who answers, as the responder knows it: it goes with the prompt, so that one turn has one set of settings."""
    cache_exact_seconds: float = 3600.0
    cache_similar_seconds: float = 86400.0
    cache_similarity: Threshold = SIMILAR
    cache_context: CacheContext = "first_question"
    cache_max_entries: int = 10_000
    embedding_model: str = ""
    """Empty: questions are compared by their words alone."""
    duplicate_seconds: float = 300.0
    """A repeat of a text that waits for its reply is not answered within this time; 0: it is."""
    max_age_seconds: float = 86400.0
    """A message that is older when it arrives is history."""
    reply: ReplyTerms = ReplyTerms()
    contacts: ContactTerms = ContactTerms()
    opt_out: OptOutTerms = OptOutTerms()
    machines: MachineTerms = MachineTerms()
    context: ContextTerms = ContextTerms()
