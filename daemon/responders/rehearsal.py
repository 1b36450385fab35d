"""The built-in responder: says what it heard, so that batching can be seen without an AI."""

from __future__ import annotations

from collections.abc import Mapping

from actors.messages import Answer, Prompt
from daemon.responders.provider import Together


class RehearsalResponder:
    """Answers `Heard <n>: <the combined text>`, n being the number of messages in the batch."""

    def __init__(self, name: str = "rehearsal") -> None:
        self.name = name

    async def answer(self, prompt: Prompt) -> Answer:
        return Answer(text=f"Heard {len(prompt.messages)}: {prompt.text}", provider=self.name)

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        return Together({key: await self.answer(prompt) for key, prompt in prompts.items()})
