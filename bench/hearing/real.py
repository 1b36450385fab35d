"""Turns of people, played to real actors: supervisor, actors, turns and outbox over the doubles of the tests.

Each person has a conversation of its own. Time is Trio's mock clock, so minutes pass in milliseconds; the model takes
its seconds of that time, and everything else none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

import trio
from trio.testing import MockClock

from actors.identity import Conversation
from actors.messages import Answer, Prompt
from bench.hearing.cases import Case
from daemon.simulate import HeardOut, LeftReply, PersonTurn, outcome, policy_of
from tests.support.memory import ORIGIN_MS, MemoryResponder
from tests.support.world import World

AT_ONCE = 25
"""People of one world: its ledger in memory looks through all of them at each step."""
UNTIL_ALL_IS_SAID_SECONDS = 600.0
MANY = 1_000
"""Of slots for turns: nobody waits for one."""


class CountingModel(MemoryResponder):
    """Takes its seconds, and says which message of which person it has seen last. Counts a call as it begins."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.delay_seconds = seconds
        self.calls: Counter[int] = Counter()

    async def answer(self, prompt: Prompt) -> Answer:
        person, message = last_of(prompt.messages[-1])
        self.calls[person] += 1
        await trio.sleep(self.delay_seconds)
        return Answer(text_of(person, message), "memory")


def text_of(person: int, message: int) -> str:
    return f"person {person} message {message}"


def last_of(text: str) -> tuple[int, int]:
    """The person and the message that a text names last."""
    person, message = text.split()[-3::2]
    return int(person), int(message)


def heard(turns: Sequence[PersonTurn], case: Case) -> list[HeardOut]:
    """What became of each of these turns."""
    found: list[HeardOut] = []
    for start in range(0, len(turns), AT_ONCE):
        some = turns[start : start + AT_ONCE]
        found += trio.run(partial(_together, some, case), clock=MockClock(autojump_threshold=0))
    return found


async def _together(turns: Sequence[PersonTurn], case: Case) -> list[HeardOut]:
    model = CountingModel(case.model_seconds)
    world = World(policy=policy_of(case.policy).window, responder=model, concurrency=MANY, work=MANY)
    async with trio.open_nursery() as nursery:
        await world.start(nursery)
        began = trio.current_time()
        async with trio.open_nursery() as people:
            for number, turn in enumerate(turns):
                people.start_soon(_write, world, number, turn, turn.is_seen(case.presence))
        await trio.sleep(UNTIL_ALL_IS_SAID_SECONDS)
        nursery.cancel_scope.cancel()
    said: defaultdict[int, list[LeftReply]] = defaultdict(list)
    for record in world.gateway.records:
        person, message = last_of(record.text)
        said[person].append(LeftReply((record.at_ms - ORIGIN_MS) / 1000 - began, message + 1))
    return [outcome(turn, said[person], model.calls[person]) for person, turn in enumerate(turns)]


async def _write(world: World, person: int, turn: PersonTurn, is_seen: bool) -> None:
    began, conversation = trio.current_time(), _conversation(person)
    for number, at in enumerate(turn.at):
        if is_seen:
            for moment in turn.typed[number]:
                await trio.sleep_until(began + moment)
                world.supervisor.typing(conversation, True)
        await trio.sleep_until(began + at)
        await world.say(text_of(person, number), conversation=conversation)


def _conversation(person: int) -> Conversation:
    return Conversation("demo", f"55119{person:08}")


def portions(turns: Sequence[PersonTurn], size: int) -> Iterator[Sequence[PersonTurn]]:
    """The turns in portions, for processes that share the work."""
    for start in range(0, len(turns), size):
        yield turns[start : start + size]
