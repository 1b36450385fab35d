"""The response cache: which answers may be given again, and under which key they are found. Pure.

Laws of this file:
1. Only an answer into which nothing of one customer went: no history, no hand-back by a person, no words that look
   like personal data (long numbers, addresses, codes of orders), and the model did not ask for any.
   It names no word of the customer's name either, as far as can be told: none where it is written in another script.
2. Whatever else the responder is given is part of the key: the instance and its prompt, who answers, the version of
   the files, what the messages refer to (text and id: one whose quote has an id alone has no other's answer) and which
   of them does, the day on the instance's clock, whether it is open and until when. The time is not: an answer that
   names a time of day, or one that counts from now, is not stored.
3. Two questions are the same when they have the same words, or nearly the same meaning (a vector's similarity), the
   same numbers, and the answer speaks of nothing that only the other question named.
4. An answer made while a lookup had failed may lack what that lookup would have found, and one of low quality is not
   worth giving twice: neither is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

import msgspec

from actors.escalation import LOW_QUALITY
from actors.instance import ContextTerms
from actors.lookups import RESPONDER, Facts, Span
from actors.messages import Answer, Batch, Context, Message, Prompt
from actors.momentary import names_a_moment, names_customer
from actors.ports import CacheEntry, Question
from actors.situation import clock, told_name
from actors.text import first_words, normalised, words
from actors.told import told_contexts

CACHE = "cache"
"""Named as the provider of answers from the cache."""

MAX_QUESTION_CHARS = 500
MAX_MEANING_CHARS = 4_000
_MAX_RAW_CHARS = 4 * MAX_QUESTION_CHARS
_MAX_QUOTED_CHARS = 8_000
"""Longer ones are not even normalised: a batch may hold 50 texts of 64 KiB, and its key is asked for several times."""
_NUMBER = re.compile(r"\d+(?:[.,٫]\d+)*")
_PERSONAL = re.compile(
    r"\d{5,}"  # a phone number, an account, a code
    r"|\d(?:[\s().+/-]{0,2}\d){6,}"  # the same, written in groups
    r"|@"
    r"|#\s?\d"
    r"|[^\W\d_][-_]?\d{3,}"  # ord-1234, ab123
    r"|(?:order|invoice|ticket|booking|طلب|طلبيه|طلبي|الطلب|فاتوره|الفاتوره|حجز|الحجز)"
    r"\W{1,3}(?:(?:no|nr|number|id|رقم)\W{1,3})?\d{3,}"
)


class CachedAnswer(Answer, frozen=True):
    """An answer from the cache. `entry` is the row it came from."""

    entry: int = 0


def key(question: Question) -> CacheEntry | None:
    """The key under which the answer to this question is stored; None when it may not be."""
    terms, messages = question.terms, question.batch.messages
    keep_seconds = max(terms.cache_exact_seconds, terms.cache_similar_seconds)
    if not question.flags.cache or not keep_seconds:
        return None
    referred = list(_referred(messages, terms.context))
    text, quoted_chars = question.batch.text, sum(len(each.text) + len(each.id) for _, each in referred)
    if len(text) > _MAX_RAW_CHARS or quoted_chars > _MAX_QUOTED_CHARS:
        return None
    asked, plain = " ".join(words(text)), normalised(text)
    quoted = [normalised(each.text) for _, each in referred]
    if not asked or len(plain) > MAX_QUESTION_CHARS or is_personal(plain) or any(map(is_personal, quoted)):
        return None
    return CacheEntry(
        scope=_scope(question, _told_with(messages, referred, quoted)),
        question_hash=_digest(asked),
        question=asked,
        numbers=" ".join(sorted(_NUMBER.findall(plain))),
        keep_seconds=keep_seconds,
        max_entries=terms.cache_max_entries,
        model=terms.embedding_model,
        text_hash=text_hash(meaning(question.batch)),
    )


def entry_for(
    prompt: Prompt, answer: Answer, question: Question, spans: Sequence[Span] = ()
) -> CacheEntry | None:
    """The key under which a responder's answer is stored; None when it may not be.

    Args:
      spans: the turn's trace so far.
    """
    if prompt.history or prompt.handed_back or answer.needs_data_collection or answer.requested_fields:
        return None
    if not answer.model or not answer.text:  # no model: the rehearsal's
        return None
    if answer.confidence is not None and answer.confidence < LOW_QUALITY:
        return None
    if _is_passing(answer.text, question) or any(
        span.outcome in ("failed", "timed_out") for span in spans if span.stage != RESPONDER
    ):
        return None
    return key(question)


def _is_passing(answer: str, question: Question) -> bool:
    """Whether something went into it that is true of this moment or this customer alone."""
    if clock(question) is not None and names_a_moment(answer):
        return True
    return names_customer(answer, told_name(question))


def may_give(question: Question, facts: Facts) -> bool:
    """Whether the cached answer that was found is what a responder would answer in this conversation."""
    takeover = facts.takeover
    return (
        question.flags.cache
        and facts.cached_answer is not None
        and not facts.history
        and not takeover.handed_back
        and not takeover.escalation_expired
    )


def hit(answer: Answer, question: Question) -> CacheEntry | None:
    """What T2 stores when `answer` came from the cache: the hit, to be counted. None when it did not."""
    entry = key(question) if isinstance(answer, CachedAnswer) else None
    return (
        msgspec.structs.replace(entry, hit=answer.entry)
        if entry and isinstance(answer, CachedAnswer)
        else None
    )


def fits(asked: str, kept_question: str, kept_answer: str) -> bool:
    """Whether the answer to a question that is alike answers this one too: it names nothing that only the other named.

    So the price of one honey is not given for another, nor one customer greeted by another's name.
    """
    only_there = set(words(kept_question)) - set(words(asked))
    return only_there.isdisjoint(words(kept_answer))


def is_personal(text: str) -> bool:
    """Whether normalised `text` looks as if it held personal data."""
    return _PERSONAL.search(text) is not None


def meaning(batch: Batch) -> str:
    """The text whose vector stands for the batch when it is compared by meaning; empty when it has no word.

    The words alone: so every spelling of a question that was answered before shares its vector.
    """
    return " ".join(first_words(batch.text, 4 * MAX_MEANING_CHARS))[:MAX_MEANING_CHARS]


def text_hash(text: str) -> str:
    """The key under which a text's vector is stored."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _referred(messages: Sequence[Message], terms: ContextTerms) -> Iterator[tuple[int, Context]]:
    """What the messages refer to, each with the place of the message that does."""
    for place, message in enumerate(messages):
        yield from ((place, each) for each in told_contexts(message.context, terms))


def _told_with(
    messages: Sequence[Message], referred: Sequence[tuple[int, Context]], quoted: Sequence[str]
) -> object:
    """All that is told beside the words, and before which of them: "how much is it?" may be about either of two things.

    Text that begins with a bracket is told by its kind: a payment that somebody typed is none.
    """
    bracketed = [(place, message.kind) for place, message in enumerate(messages) if message.text[:1] == "["]
    places = {place for place, _ in (*referred, *bracketed)}
    before = {place: sum(len(words(message.text)) for message in messages[:place]) for place in places}
    contexts = [
        (before[place], each.kind, each.by, each.id, text)
        for (place, each), text in zip(referred, quoted, strict=True)
    ]
    return [*dict.fromkeys(contexts)], [(before[place], kind) for place, kind in bracketed]


def _scope(question: Question, quoted: object) -> str:
    record, terms = question.record, question.terms
    knowledge: object = None
    if question.flags.knowledge:
        passages = (terms.knowledge_threshold, terms.knowledge_max_passages, terms.knowledge_max_tokens)
        knowledge = (record.knowledge_version, *passages)
    shown = clock(question)
    today = shown and (
        shown.zone,
        shown.now.date(),
        shown.openness and (shown.openness.is_open, shown.openness.changes_at),
        terms.context.hours,
    )
    instance = question.batch.conversation.instance
    formatting = terms.reply.formatting
    parts = (instance, record.system_prompt, terms.cache_scope, formatting, knowledge, quoted, today)
    return _digest(repr(parts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
