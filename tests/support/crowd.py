"""Concurrent prompts to a responder, for tests on the mock clock."""

from __future__ import annotations

from collections.abc import Mapping

import trio
from trio.testing import wait_all_tasks_blocked

from actors.messages import Answer, Prompt
from actors.ports import Responder


class Crowd:
    """Concurrent prompts, each with its own cancel scope, and their outcomes."""

    def __init__(self, responder: Responder) -> None:
        self.answers: dict[str, Answer] = {}
        self.failures: dict[str, Exception] = {}
        self.scopes: dict[str, trio.CancelScope] = {}
        self._responder = responder

    async def ask(self, text: str, instance: str = "demo", system_prompt: str | None = None) -> None:
        with trio.CancelScope() as self.scopes[text]:
            try:
                prompt = Prompt(instance, (text,), system_prompt=system_prompt)
                self.answers[text] = await self._responder.answer(prompt)
            except Exception as error:
                self.failures[text] = error

    async def ask_all(self, *texts: str) -> Mapping[str, str]:
        """Ask all, started in this order, concurrently; returns the texts of the answers."""
        async with trio.open_nursery() as nursery:
            for text in texts:
                nursery.start_soon(self.ask, text)
                await wait_all_tasks_blocked()
        return {text: answer.text for text, answer in self.answers.items()}
