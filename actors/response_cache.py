"""The response cache: which answers may be given again, and under which key they are found. Pure.

Laws of this file:
1. Only an answer into which nothing of one customer went: no hand-back by a person, no words that look like personal
   data (long numbers, addresses, codes of orders), and the model did not ask for any. It names no word of the
   customer's name either, as far as can be told: none where it is written in another script.
   No history went into it, or (`cache.context: snippet`) one that is whole in the key, and in which only this customer
   and Majlis spoke, of nothing personal; see `actors/snippet.py`.
2. Whatever else the responder is given is part of the key: the instance and its prompt, who answers, the version of
   the files, what the messages refer to (text and id: one whose quote has an id alone has no other's answer) and which
   of them does, the day on the instance's clock, whether it is open and until when. The time is not: an answer that
   names a time of day, or one that counts from now, is not stored.
3. Two questions are the same when they are the same to the letter (`actors/asked.py`), or have nearly the same meaning
   (a vector's similarity) and the same features (`actors/distinctions.py`), and the answer speaks of nothing that only
   the other question named. What a model sees and the key would not has no key.
4. An answer made while a lookup had failed may lack what that lookup would have found, one that was cut lacks its end,
   and one of low quality is not worth giving twice: none of them is stored.
5. Every question has one outcome that is counted: a hit, or why there was none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from actors.asked import exact_form
from actors.distinctions import features_text, is_listed
from actors.escalation import LOW_QUALITY
from actors.instance import ContextTerms, Terms
from actors.lookups import (
    RESPONDER,
    CachedAnswer,
    CacheEntry,
    CacheMiss,
    CacheRecord,
    Facts,
    MissReason,
    NoKey,
    NotKept,
    Span,
)
from actors.messages import Answer, Batch, Context, HistoryEntry, Message, Prompt
from actors.momentary import names_a_moment, names_customer
from actors.personal import is_personal
from actors.ports import Question
from actors.situation import clock, told_name
from actors.snippet import snippet, whole, without_greetings
from actors.text import first_words, normalised, words, words_of
from actors.told import told_contexts

CACHE = "cache"
"""Named as the provider of answers from the cache."""

MAX_QUESTION_CHARS = 500
MAX_MEANING_CHARS = 4_000
_MAX_RAW_CHARS = 4 * MAX_QUESTION_CHARS
_MAX_QUOTED_CHARS = 8_000
"""Longer ones are not even normalised: a batch may hold 50 texts of 64 KiB, and its key is asked for several times."""
_NUMBER = re.compile(r"\d+(?:[.,٫]\d+)*")


class _Asked(NamedTuple):
    """What a batch asks, where an answer to it may be kept."""

    form: str
    """To the letter."""
    plain: str
    said: str
    """Its words."""
    referred: list[tuple[int, Context]]
    quoted: list[str]


def refusal(question: Question) -> NoKey | Literal[""]:
    """Why no answer to this question is kept or given, whatever was said before; empty: it may be."""
    asked = _asked(question)
    return asked if isinstance(asked, str) else ""


def key(question: Question, told: str = "") -> CacheEntry | None:
    """The key under which the answer to this question is stored; None when it may not be.

    Args:
      told: the digest of what was said before, see `actors/snippet.py`.
    """
    keys: dict[str, CacheEntry | None] = question.__dict__.setdefault("cache_keys", {})
    if told not in keys:
        keys[told] = _key(question, told)
    return keys[told]


def _key(question: Question, told: str) -> CacheEntry | None:
    asked = _asked(question)
    if isinstance(asked, str):
        return None
    terms = question.terms
    return CacheEntry(
        scope=_scope(question, _told_with(question.batch.messages, asked.referred, asked.quoted), told),
        question_hash=_digest(f"to the letter: {asked.form}"),
        question=asked.said,
        numbers=" ".join(sorted(_NUMBER.findall(asked.plain))),
        keep_seconds=_keep_seconds(terms),
        max_entries=terms.cache_max_entries,
        model=terms.embedding_model,
        text_hash=text_hash(meaning(question.batch)) if terms.embedding_model else "",
        features=features_text(question.batch.text) if terms.embedding_model else "",
    )


def _asked(question: Question) -> _Asked | NoKey:
    """Or why there is no key. The texts are read once for each question, which is looked at four times in a turn."""
    if not question.flags.cache or not _keep_seconds(question.terms):
        return "off"
    kept: dict[str, _Asked | NoKey] = question.__dict__
    if "cache_asked" not in kept:
        kept["cache_asked"] = _read(question)
    return kept["cache_asked"]


def _read(question: Question) -> _Asked | NoKey:
    terms, messages = question.terms, question.batch.messages
    referred = list(_referred(messages, terms.context))
    text, quoted_chars = question.batch.text, sum(len(each.text) + len(each.id) for _, each in referred)
    if len(text) > _MAX_RAW_CHARS or quoted_chars > _MAX_QUOTED_CHARS:
        return "too_long"
    plain = normalised(text)
    if len(plain) > MAX_QUESTION_CHARS:
        return "too_long"
    if is_personal(plain) or any(is_personal(normalised(each.text)) for _, each in referred):
        return "personal"
    form, quoted = exact_form(text), [exact_form(each.text) for _, each in referred]
    said = " ".join(words_of(plain))
    if form is None or None in quoted or not said:
        return "symbols"
    return _Asked(form, plain, said, referred, [each or "" for each in quoted])


def _keep_seconds(terms: Terms) -> float:
    return max(terms.cache_exact_seconds, terms.cache_similar_seconds)


def record(
    prompt: Prompt, answer: Answer, question: Question, facts: Facts, spans: Sequence[Span] = ()
) -> CacheRecord:
    """What T2 stores with a responder's answer: why it was asked, and the answer's key if it may be given again.

    Args:
      spans: the turn's trace so far.
    """
    looked = _missed(question, facts)
    if refusal(question):
        return CacheRecord(looked)
    reasons = _why_not_kept(prompt, answer, question, facts, spans)
    reason: NotKept | Literal[""] = next((each for each in reasons if each), "")
    entry = None if reason else key(question, snippet(prompt.history).digest)
    return CacheRecord(looked, reason, entry)


def _missed(question: Question, facts: Facts) -> MissReason:
    found = facts.cached_answer
    if isinstance(found, CacheMiss):
        return found.reason
    if found is not None:  # but it was not to be given
        return "handed_back" if _is_handed_back(facts) else "has_history"
    return refusal(question) or "failed"


def _why_not_kept(
    prompt: Prompt, answer: Answer, question: Question, facts: Facts, spans: Sequence[Span]
) -> Iterator[NotKept | Literal[""]]:
    """The reasons, the first of them first; empty ones do not hold."""
    if prompt.handed_back:
        yield "handed_back"
    yield _why_not_after(prompt, question, facts)
    if answer.scope not in ("", question.terms.cache_scope):
        yield "settings_changed"  # it would be found as an answer of who would have been asked before
    if not answer.model or not answer.text:  # no model: the rehearsal's
        yield "no_answer"
    if answer.needs_data_collection or answer.requested_fields:
        yield "needs_data"
    if answer.cut or answer.shortened:  # it is not what the question deserves
        yield "cut"
    if answer.confidence is not None and answer.confidence < LOW_QUALITY:
        yield "low_quality"
    if any(span.outcome in ("failed", "timed_out") for span in spans if span.stage != RESPONDER):
        yield "lookup_failed"
    if clock(question) is not None and names_a_moment(answer.text):
        yield "moment"
    if names_customer(answer.text, told_name(question)):
        yield "customer"


def _why_not_after(prompt: Prompt, question: Question, facts: Facts) -> NotKept | Literal[""]:
    """Why nothing is kept after this history."""
    if not prompt.history:
        return ""
    if question.terms.cache_context != "snippet":
        return "has_history"
    if reason := snippet(prompt.history).refused:
        return reason
    found = facts.cached_answer
    if found is None or found.told != whole(facts.history):  # others spoke in it, or it has changed meanwhile
        return "other_history"
    name = told_name(question)
    said = (entry.text for entry in prompt.history if entry.role == "assistant")
    return "customer" if any(names_customer(text, name) for text in said) else ""


def to_give(question: Question, facts: Facts) -> CachedAnswer | None:
    """The cached answer that was found, if it is what a responder would answer in this conversation."""
    found = facts.cached_answer
    if not isinstance(found, CachedAnswer) or not question.flags.cache or _is_handed_back(facts):
        return None
    # The lookups run side by side: the history that it was found after must be the one that is told.
    return found if found.told == whole(facts.history) else None


def told_history(question: Question, facts: Facts) -> tuple[HistoryEntry, ...]:
    """What a responder is told was said: what the key leaves out is left out here as well."""
    found = facts.cached_answer
    is_looked_up = question.terms.cache_context == "snippet" and found is not None and found.told != ""
    if not is_looked_up or found is None or found.told != whole(facts.history) or _is_handed_back(facts):
        return facts.history
    return without_greetings(facts.history)


def _is_handed_back(facts: Facts) -> bool:
    return facts.takeover.handed_back or facts.takeover.escalation_expired


def hit(answer: Answer) -> CacheRecord | None:
    """What T2 stores when `answer` came from the cache: the hit, to be counted. None when it did not."""
    return CacheRecord(answer.how, hit=answer.entry) if isinstance(answer, CachedAnswer) else None


def fits(asked: str, kept_question: str, kept_answer: str) -> bool:
    """Whether the answer to a question that is alike answers this one too: it names nothing that only the other named.

    So the price of one honey is not given for another, nor one customer greeted by another's name. The features say so
    as well; here nothing is left out but the words of their lists, which name nothing.
    """
    only_there = set(words(kept_question)) - set(words(asked))
    return {word for word in only_there if not is_listed(word)}.isdisjoint(words(kept_answer))


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
    before = {place: sum(map(_length, messages[:place])) for place in places}
    contexts = [
        (before[place], each.kind, each.by, each.id, text)
        for (place, each), text in zip(referred, quoted, strict=True)
    ]
    return [*dict.fromkeys(contexts)], [(before[place], kind) for place, kind in bracketed]


def _length(message: Message) -> int:
    """Of what it says to the letter, however it is spaced."""
    return sum(map(len, (exact_form(message.text) or "").split()))


def _scope(question: Question, quoted: object, told: str) -> str:
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
    parts = (instance, record.system_prompt, terms.cache_scope, formatting, knowledge, quoted, today, told)
    return _digest(repr(parts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
