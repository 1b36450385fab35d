"""What a responder is given to try a prompt that is not live: everything as in a turn, and nothing is changed by it.

A question of nobody, or one that was answered before: then with what had been said until then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import trio

from actors import triage
from actors.amendments import amended
from actors.identity import Conversation
from actors.instance import Terms
from actors.lookups import Facts
from actors.messages import Batch, HistoryEntry, Message, Passage, Prompt, Waiting
from actors.ports import FlagSource, Lookups, Question, Turn
from daemon.lookups.history import BYTES_PER_TOKEN, MAX_MESSAGES, within
from daemon.stores.postgres import Postgres

NOBODY = "999000000000000"
"""A customer of the playground, with whom nobody has a conversation."""
_SAID_BEFORE = "SELECT sender_type, content FROM majlis_said_before($1, $2, $3)"


class DraftQuestion(NamedTuple):
    prompt: Prompt
    escalation: str
    """Why a person would be asked for, by what the messages say; empty: nobody would."""


class DraftPrompts:
    """Args:
    terms: what an instance's settings say.
    wall_ms: Unix time, milliseconds.
    """

    def __init__(
        self,
        db: Postgres,
        lookups: Lookups,
        flags: FlagSource,
        terms: Callable[[str], Terms],
        history_tokens: int,
        wall_ms: Callable[[], int],
    ) -> None:
        self._db = db
        self._lookups = lookups
        self._flags = flags
        self._terms = terms
        self._history_tokens = history_tokens
        self._wall_ms = wall_ms

    async def fresh(self, instance: str, texts: Sequence[str], draft: str | None) -> DraftQuestion:
        """A customer without history writes `texts`. `draft` None: the prompt that is live.

        Raises:
          LedgerUnavailable: the instance's settings cannot be read.
        """
        now = self._wall_ms() // 1000
        messages = [
            Message(instance, NOBODY, f"draft-{number}", text, now) for number, text in enumerate(texts, 1)
        ]
        return await self._asked(
            Conversation(instance, NOBODY), messages, draft, Turn(0, "started", None), ()
        )

    async def again(
        self, turn: int, conversation: Conversation, messages: Sequence[Message], draft: str | None
    ) -> DraftQuestion:
        """The messages of turn `turn` come once more. Raises `LedgerUnavailable`."""
        chars = self._history_tokens * BYTES_PER_TOKEN
        rows = await self._db.fetch(_SAID_BEFORE, turn, MAX_MESSAGES, chars)
        history = within(((row["sender_type"], row["content"]) for row in rows), self._history_tokens)
        return await self._asked(conversation, messages, draft, Turn(turn, "started", None), history)

    async def _asked(
        self,
        conversation: Conversation,
        messages: Sequence[Message],
        draft: str | None,
        turn: Turn,
        history: tuple[HistoryEntry, ...],
    ) -> DraftQuestion:
        now_ms, instance = self._wall_ms(), conversation.instance
        record = await self._lookups.instance(instance)
        if draft is not None:
            record = msgspec.structs.replace(record, system_prompt=draft.strip() or None)
        entries = tuple(Waiting(place, now_ms, message) for place, message in enumerate(messages, 1))
        batch = Batch(conversation, 1, 1, len(entries), "flush", 0, now_ms, now_ms, entries)
        question = Question(
            turn, amended(batch).asked, record, self._flags.of(instance), self._terms(instance), now_ms
        )
        facts = Facts(history=history, knowledge=await self._knowledge(question))
        return DraftQuestion(triage.prompt(question, facts), triage.reason(question, facts))

    async def _knowledge(self, question: Question) -> tuple[Passage, ...]:
        """As in a turn; without it, as there."""
        lookup = self._lookups.about(question).get("knowledge")
        if lookup is None or lookup.skip:
            return ()
        with trio.move_on_after(lookup.deadline_seconds):
            found: tuple[Passage, ...] = await lookup.call()
            return found
        return ()
