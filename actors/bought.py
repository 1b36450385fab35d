"""Answers that were paid for and that the ledger could not take: the next attempt does not buy them again. Pure.

A turn that waits for the ledger counts no attempt. Where the ledger takes everything but answers (its disk is full),
every turn would ask again with each of its rounds, for hours, and nothing would count what that costs.

Laws of this file:
1. An answer is for the very turn it was bought for, and for the same words; an edit of them asks anew.
2. It holds for `KEEP_SECONDS`: what it says of now does not hold for long. So a turn is asked again that often at most.
3. At most `MAX_ANSWERS` are kept; the oldest go first. Nothing outlives the process.
"""

from __future__ import annotations

import msgspec

from actors.messages import Answer, Prompt, Spent

KEEP_SECONDS = 600.0
MAX_ANSWERS = 1_000


class _Kept(msgspec.Struct, frozen=True):
    messages: tuple[str, ...]
    answer: Answer
    until: float


class Bought:
    """Answers that could not be stored, by the ids of their turns. `now` is on a clock that never steps back."""

    def __init__(self) -> None:
        self._kept: dict[int, _Kept] = {}

    def find(self, turn_id: int, prompt: Prompt, now: float) -> Answer | None:
        kept = self._kept.get(turn_id)
        holds = kept is not None and kept.messages == prompt.messages and now < kept.until
        return kept.answer if kept is not None and holds else None

    def with_earlier(self, turn_id: int, answer: Answer) -> Answer:
        """A new answer, with what the one has cost that is kept for the turn and holds no longer."""
        if turn_id not in self._kept:
            return answer
        spent = _spent(answer) + _spent(self._kept[turn_id].answer)
        return msgspec.structs.replace(answer, **msgspec.structs.asdict(spent))

    def keep(self, turn_id: int, prompt: Prompt, answer: Answer, now: float) -> None:
        """Keep the answer to `prompt`. The same one again holds no longer for it."""
        before = self._kept.pop(turn_id, None)
        is_same = before is not None and before.answer == answer
        until = before.until if before is not None and is_same else now + KEEP_SECONDS
        while len(self._kept) >= MAX_ANSWERS:
            del self._kept[next(iter(self._kept))]
        self._kept[turn_id] = _Kept(prompt.messages, answer, until)

    def forget(self, turn_id: int) -> None:
        self._kept.pop(turn_id, None)


def _spent(answer: Answer) -> Spent:
    return Spent(answer.input_tokens, answer.output_tokens, answer.cost_micros)
