"""What the router asks: one provider, as it answers a conversation, or several in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from actors.messages import Answer, Asked, Prompt

GIVEN_UP = "superseded"
"""How a call failed that was given up because the customer said more."""


class Together(msgspec.Struct, frozen=True):
    """The result of one call for several conversations."""

    answers: Mapping[str, Answer]
    """By key, without tokens and cost; a conversation that is missing here has to be asked about by itself."""
    input_tokens: int = 0
    """For the whole call, like the following ones."""
    output_tokens: int = 0
    cost_micros: int = 0
    asked: tuple[Asked, ...] = ()
    """Who was asked for it, in order, where that is known; their tokens and cost are the whole call's."""


class Provider(Protocol):
    @property
    def name(self) -> str: ...

    async def answer(self, prompt: Prompt) -> Answer:
        """Raises `TurnFailed`, `TurnRefused`."""

    def given_up(self, prompt: Prompt, started_at: float) -> Asked:
        """About what a call costs that began then and is given up now."""

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        """Prompts of one instance by key, in one call. Raises as `answer` does."""
