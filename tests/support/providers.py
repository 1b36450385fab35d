"""Providers in memory and what surrounds them, for tests on the mock clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import trio

from actors.identity import Conversation
from actors.instance import FeatureFlags
from actors.messages import Answer, Asked, Prompt, Spent
from daemon.responders.provider import Together


class Scripted:
    """Answers under its name, or fails on demand; records what it was asked."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.prompts: list[Prompt] = []
        self.calls: list[Mapping[str, Prompt]] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        """Waited for in every call."""
        self.together: Callable[[Mapping[str, Prompt]], Together] | None = None
        """The result of a shared call; by default an answer for every conversation."""

    @property
    def asked(self) -> int:
        return len(self.prompts) + len(self.calls)

    async def answer(self, prompt: Prompt) -> Answer:
        self.prompts.append(prompt)
        await self._enter()
        return Answer(prompt.text, self.name, input_tokens=10, output_tokens=5, cost_micros=100)

    def given_up(self, prompt: Prompt, started_at: float) -> Asked:
        spent = Spent(len(prompt.text), cost_micros=100)
        return Asked(self.name, started_at, trio.current_time() - started_at, "superseded", spent)

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        self.calls.append(dict(prompts))
        await self._enter()
        if self.together is not None:
            return self.together(prompts)
        answers = {key: Answer(f"together: {prompt.text}", self.name) for key, prompt in prompts.items()}
        return Together(answers, 31, 11, 301)

    async def _enter(self) -> None:
        if self.before is not None:
            await self.before()
        if self.error is not None:
            raise self.error


class RecordedFeed:
    """A feed that records its events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, conversation: Conversation | None = None, **fields: object) -> None:
        self.events.append((event, fields))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]


class Board:
    """The same feature flags for all, changeable at any time."""

    def __init__(self, batching: bool = True) -> None:
        self.batching = batching

    def of(self, instance: str) -> FeatureFlags:
        return FeatureFlags(batching=self.batching)
