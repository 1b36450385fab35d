"""Which share of questions the response cache would answer, in each `cache.context`: a play of its pure rules.

    python -m bench.cache_share

A thousand customers of one shop, in a week of eight hours a day. Most greet first; each asks one to four things out of
thirty, some of which are asked much more often than others, in one of a few wordings, and many say thanks at the end.
The model words the same answer in one of two ways, and one answer in eight names a time of day or asks for details. No
vectors: what they add comes on top.
"""

from __future__ import annotations

import random
import sys

from actors.escalation import SMALL_TALK
from actors.identity import Conversation
from actors.instance import CacheContext, FeatureFlags, InstanceRecord, Terms
from actors.lookups import CachedAnswer, CacheMiss, Facts
from actors.messages import Answer, Batch, HistoryEntry, Message, Prompt, Waiting
from actors.ports import Question, Turn
from actors.response_cache import key, record, to_give, told_history
from actors.snippet import snippet, whole, without_greetings
from actors.text import words

CUSTOMERS, DAYS, DAY_SECONDS = 1_000, 7, 28_800
GREETINGS = (("السلام عليكم", 5), ("Hi", 3), ("hello", 3), ("مرحبا", 3), ("Good morning", 1))
WORDINGS = (
    ("how much is {}?", 4),
    ("price of {}", 4),
    ("{} price?", 3),
    ("do you have {} and what does it cost", 1),
)
SUBJECTS = tuple(f"article {chr(97 + n)}{chr(97 + n)}" for n in range(30))
THANKS = (("thanks", 3), ("ok", 2), ("شكرا", 2))
EXACT_SECONDS = 3_600.0


def main() -> None:
    for context in ("first_question", "snippet"):
        for customers in (CUSTOMERS, 10 * CUSTOMERS):
            questions, hits = play(context, customers)
            share = f"{hits:6,} of {questions:6,}  {hits / questions:.0%}"
            sys.stdout.write(f"{context:15} {customers:6,} customers  {share}\n")


def play(context: CacheContext, customers: int) -> tuple[int, int]:
    """Questions and hits."""
    chance = random.Random(1)
    terms = Terms(cache_scope="who", cache_context=context)
    kept: dict[tuple[str, str], tuple[float, Answer]] = {}
    hits = 0
    turns = sorted(_turns(chance, customers))
    histories: dict[int, tuple[HistoryEntry, ...]] = {}
    for at, customer, text in turns:
        history = histories.get(customer, ())
        question = _question(customer, text, terms)
        is_later = context == "snippet"
        told = snippet(without_greetings(history) if is_later else history)
        entry = key(question, told.digest) if not history or (is_later and not told.refused) else None
        before = whole(history) if is_later and not told.refused else ""
        found = kept.get((entry.scope, entry.question_hash)) if entry else None
        look: CachedAnswer | CacheMiss = CacheMiss("not_seen", before)
        if found and at - found[0] < EXACT_SECONDS:
            look = CachedAnswer(found[1].text, "cache", told=before)
        facts = Facts(history=history, cached_answer=look)
        given: Answer | None = to_give(question, facts)
        if given is None:
            given = _answer(chance, text)
            prompt = Prompt("shop", (text,), told_history(question, facts))
            entry = record(prompt, given, question, facts).entry
            if entry:
                kept[entry.scope, entry.question_hash] = at, given
        else:
            hits += 1
        histories[customer] = (*history, HistoryEntry("user", text), HistoryEntry("assistant", given.text))
    return len(turns), hits


def _turns(chance: random.Random, customers: int) -> list[tuple[float, int, str]]:
    turns = []
    often = [1 / (place + 1) for place in range(len(SUBJECTS))]
    for customer in range(customers):
        at = chance.uniform(0, DAYS * DAY_SECONDS)
        said = [_one(chance, GREETINGS)] if chance.random() < 0.7 else []
        for subject in chance.choices(SUBJECTS, often, k=chance.choices((1, 2, 3, 4), (5, 3, 1, 1))[0]):
            said.append(_one(chance, WORDINGS).format(subject))
        if chance.random() < 0.4:
            said.append(_one(chance, THANKS))
        for text in said:
            turns.append((at, customer, text))
            at += chance.uniform(30, 120)
    return turns


def _one(chance: random.Random, choices: tuple[tuple[str, int], ...]) -> str:
    return chance.choices([text for text, _ in choices], [weight for _, weight in choices])[0]


def _answer(chance: random.Random, text: str) -> Answer:
    needs = chance.random() < 1 / 8
    if SMALL_TALK.issuperset(words(text)):
        return Answer(
            chance.choice(("Hello! How can we help?", "Welcome! How may I help you?")), "main", "model"
        )
    return Answer(
        f"{chance.choice(('Gladly: ', ''))}an answer to {text}", "main", "model", needs_data_collection=needs
    )


def _question(customer: int, text: str, terms: Terms) -> Question:
    conversation = Conversation("shop", f"96650{customer:07}")
    message = Message(*conversation, "m", text, 1)
    batch = Batch(conversation, 1, 0, 1, "timeout", 0, 1, 2, (Waiting(0, 1, message),))
    return Question(Turn(1, "started", "1"), batch, InstanceRecord(), FeatureFlags(), terms, 0)


if __name__ == "__main__":
    main()
