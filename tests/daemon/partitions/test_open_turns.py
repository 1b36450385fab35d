"""The search for unfinished turns: it names what no actor works on, some at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import pytest
import trio

from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from actors.messages import Snapshot
from actors.ports import Ledger, OpenTurn
from actors.supervisor import Supervisor
from daemon.partitions import open_turns
from daemon.partitions.fencing import FencedOwnership
from daemon.partitions.open_turns import OpenTurnSearch


class World:
    """Ledger, ownership and supervisor in one."""

    def __init__(self, count: int) -> None:
        self.turns = [OpenTurn(n, Conversation("demo", str(n)), n, 10.0 * n) for n in range(1, count + 1)]
        self.at_work: set[int] = set()
        self.nudged: list[int] = []
        self.ledger_is_away = False
        self.questions: list[tuple[int, ...]] = []

    def fenced(self) -> dict[int, int]:
        return {3: 7, 5: 7}

    async def unfinished(self, partitions: Collection[int], after: int, limit: int) -> tuple[OpenTurn, ...]:
        await trio.lowlevel.checkpoint()
        if self.ledger_is_away:
            raise LedgerUnavailable("away")
        self.questions.append(tuple(partitions))
        return tuple(turn for turn in self.turns if turn.id > after)[:limit]

    def works_on(self, _conversation: Conversation, number: int) -> bool:
        return number in self.at_work

    def nudge(self, conversation: Conversation, check_ledger: bool = False) -> bool:
        assert check_ledger
        self.nudged.append(int(conversation.contact))
        return True

    def search(self, old_seconds: float = 45) -> OpenTurnSearch:
        own = (cast(Ledger, self), cast(FencedOwnership, self), cast(Supervisor, self))
        return OpenTurnSearch(*own, old_seconds)


async def test_what_an_actor_works_on_is_not_named() -> None:
    """A batch that is held, retried or answered right now is in good hands, however old; of the rest the old count."""
    world = World(9)
    world.at_work = {1, 8}
    search = world.search()
    assert await search.search() == search.old == 4
    assert world.nudged == [2, 3, 4, 5, 6, 7, 9]
    assert world.questions == [(3, 5)], "partitions that are fenced, and no others"


async def test_a_round_is_bounded_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_turns, "AT_ONCE", 2)
    world = World(5)
    search = world.search()
    for _ in range(4):
        await search.search()
    assert world.nudged == [1, 2, 3, 4, 5, 1, 2]


async def test_a_recovery_names_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_turns, "AT_ONCE", 2)
    world = World(5)
    search = world.search()
    await search.search()
    await search.search_all([])
    assert world.nudged == [1, 2, 1, 2, 3, 4, 5]


async def test_a_recovery_leaves_alone_what_the_mirror_holds_frozen() -> None:
    """A gateway that was away for long leaves thousands of them; each would ask both stores once more."""
    world = World(4)
    search = world.search(old_seconds=15)
    held = [
        Snapshot(Conversation("demo", "2"), 0, (), None, 2, None),
        Snapshot(Conversation("demo", "3"), 0, (), None, None, None),
    ]
    await search.search_all(held)
    assert (world.nudged, search.old) == ([1, 3, 4], 2)
    await search.search()
    assert world.nudged == [1, 3, 4, 1, 2, 3, 4], "afterwards only an actor is proof"


async def test_without_the_ledger_nothing_is_known_and_a_recovery_goes_on() -> None:
    world = World(5)
    world.ledger_is_away = True
    assert await world.search().search() is None
    await world.search().search_all([])
    assert world.nudged == []
