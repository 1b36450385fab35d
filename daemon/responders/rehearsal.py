"""The built-in responder: repeats the batch, so that batching can be seen without an AI."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from actors.messages import Answer, Asked, Prompt
from daemon.responders.kind import ProviderKind, ProviderSettings
from daemon.responders.lessons import Lessons
from daemon.responders.provider import GIVEN_UP, Together
from daemon.web.client import HttpClient
from daemon.web.finding import Finding


class RehearsalResponder:
    """Answers `Heard <n>: <the combined text>`, n being the number of messages in the batch."""

    def __init__(self, name: str = "rehearsal") -> None:
        self.name = name

    async def answer(self, prompt: Prompt) -> Answer:
        return Answer(text=f"Heard {len(prompt.messages)}: {prompt.text}", provider=self.name)

    def given_up(self, prompt: Prompt, started_at: float) -> Asked:
        return Asked(self.name, started_at, trio.current_time() - started_at, GIVEN_UP)

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        return Together({key: await self.answer(prompt) for key, prompt in prompts.items()})


class Rehearsal(ProviderKind):
    name = "rehearsal"
    costs_money = False

    def provider(
        self, settings: ProviderSettings, http: HttpClient, max_answer_chars: int, lessons: Lessons
    ) -> RehearsalResponder:
        return RehearsalResponder(settings.name)

    async def check(self, settings: ProviderSettings, http: HttpClient) -> Finding:
        return Finding("ok", "repeats the customer's messages")
