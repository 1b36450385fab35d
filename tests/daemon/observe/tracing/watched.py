"""A Majlis in memory whose turns are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio

from actors.messages import Answer, Asked, Prompt, Spent
from daemon.observe.feed import EventFeed
from daemon.observe.tracing.recorder import Recorder
from daemon.observe.tracing.recording import Model
from daemon.observe.tracing.spans import Trace, TraceSpan
from tests.support.memory import MemoryResponder, clock_ms
from tests.support.world import World

INSTALL = "install-of-the-test"


class FailingOver(MemoryResponder):
    """Emits that providers failed before the one that answers, as a router does."""

    def __init__(self, feed: EventFeed) -> None:
        super().__init__()
        self._feed = feed
        self.failures: list[tuple[str, str]] = []
        """Provider and reason, each after half a second."""
        self.in_vain = Spent()
        """What each of them cost."""

    async def answer(self, prompt: Prompt) -> Answer:
        while self.failures:
            provider, reason = self.failures.pop(0)
            await trio.sleep(0.5)
            cost = msgspec.structs.asdict(self.in_vain) if self.in_vain != Spent() else {}
            self._feed.emit("provider.failed", provider=provider, reason=reason, **cost)
        answer = await super().answer(prompt)
        own = Spent(11, 7, 50)
        asked = (Asked("first", 0, 1, "garbage", self.in_vain), Asked(answer.provider, 0, 1, "", own))
        return msgspec.structs.replace(answer, asked=asked, **msgspec.structs.asdict(own + self.in_vain))


class Watched:
    """`traces` are those that were exported."""

    def __init__(
        self,
        sample: float = 1.0,
        export: Callable[[Trace], None] | None = None,
        strict: bool = True,
        **more: Any,
    ) -> None:
        self.feed = EventFeed(strict=strict)
        self.feed.set_install_id(INSTALL)
        self.traces: list[Trace] = []
        self.responder = FailingOver(self.feed)
        self.world = World(feed=self.feed, responder=self.responder, **more)  # type: ignore[arg-type]
        self.wall_ahead_ns = 0
        self.recorder = Recorder(
            self.feed,
            export or self.traces.append,
            sample,
            _model_of,
            lambda: clock_ms() * 10**6 + self.wall_ahead_ns,
        )
        self.world.recorded = self.recorder.recorded
        self.world.restart()

    async def until_exported(self, count: int = 1) -> Trace:
        """The newest trace, once there are so many."""
        await self._until(lambda: len(self.traces) >= count)
        return self.traces[-1]

    async def until_committed(self) -> None:
        await self._until(lambda: bool(self.world.mirror.outcomes))

    async def _until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(20_000):
            while not condition():  # noqa: ASYNC110  the clock is a mock one
                await trio.sleep(0.5)


def named(trace: Trace, name: str) -> list[TraceSpan]:
    return [span for span in trace.children if span.name == name]


def seconds(span: TraceSpan) -> float:
    return (span.end_ns - span.start_ns) / 1e9


def _model_of(instance: str, provider: str) -> Model:
    return Model("openai", "test-1") if provider == "memory" else Model("anthropic", "")
