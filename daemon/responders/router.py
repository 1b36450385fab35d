"""Which responder answers for which instance, and in which order several are tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.errors import ResponderHeld, TurnFailed
from actors.messages import Answer, Prompt
from actors.ports import Responder


class RoutedResponder:
    """The instance's own responder when it has one, else the default."""

    def __init__(self, default: Responder, by_instance: Mapping[str, Responder]) -> None:
        self._default = default
        self._by_instance = dict(by_instance)

    async def answer(self, prompt: Prompt) -> Answer:
        return await self._by_instance.get(prompt.instance, self._default).answer(prompt)


class FallbackResponder:
    """Several responders in order: the first that answers wins.

    Only `TurnFailed` moves on to the next one. `TurnRefused` is a verdict on the prompt, not on the provider:
    asking elsewhere would only shop for a laxer one. When all fail, the last failure is raised, with the
    longest `Retry-After` any of them asked for: a try before that would be refused by at least one of them.
    A key that every responder refuses is no fault of the turn: the turns are held until the key is mended.
    """

    def __init__(self, responders: Sequence[Responder]) -> None:
        if not responders:
            raise ValueError("at least one responder is needed")
        self._responders = tuple(responders)

    async def answer(self, prompt: Prompt) -> Answer:
        failures: list[TurnFailed] = []
        for responder in self._responders:
            try:
                return await responder.answer(prompt)
            except TurnFailed as failure:
                failures.append(failure)
        if all(failure.reason == "bad_key" for failure in failures):
            raise ResponderHeld("responder_refuses_key")
        waits = [
            failure.retry_after_seconds for failure in failures if failure.retry_after_seconds is not None
        ]
        last = failures[-1]
        raise TurnFailed(last.reason, last.detail, max(waits, default=None))
