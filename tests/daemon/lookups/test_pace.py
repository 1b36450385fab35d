"""The pace of a conversation and silences to machines, against a real Postgres."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from actors.identity import Conversation
from actors.instance import MachineTerms, Terms
from actors.machines import Pace, Recent
from actors.messages import Answer, Batch, Spent
from actors.outcome import Sent
from actors.ports import Reply, Turn
from tests.support.ledgers import LedgerWorld, batch, look, new_token, open_world

TERMS = Terms(machines=MachineTerms(replies=10))
ROBOT = Conversation("demo", "5531996348800")
OTHER_ADDRESS = Conversation("demo", "553196348800")
SAYS = "Thank you for contacting us, we will be back on Monday"
SECONDS = 20
"""From one exchange to the next."""


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


class Talk:
    """Exchanges that lie in the past: each answer of the other side comes a second after our reply."""

    def __init__(self, world: LedgerWorld, conversation: Conversation = ROBOT, ago: float = 1_200) -> None:
        self._world = world
        self._conversation = conversation
        self._at = time.time() - ago

    async def begin(self, text: str = SAYS) -> tuple[Turn, Batch]:
        self._at += SECONDS
        at_ms = round(self._at * 1000)
        made = batch(text, number=at_ms, conversation=self._conversation)
        made = msgspec.structs.replace(made, lo=at_ms, hi=at_ms, opened_at_ms=at_ms)
        turn = await self._world.ledger.begin(made, 1)
        await self._world.rows(
            "UPDATE majlis_turns SET created_at = to_timestamp($2) WHERE id = $1", turn.id, self._at + 9.0
        )
        return turn, made

    async def exchange(self, times: int, text: str = SAYS) -> None:
        for _ in range(times):
            turn, _ = await self.begin(text)
            turn = await self._world.ledger.answer(turn, 1, Reply(Answer("How can I help?", "p"), ("one",)))
            await self._world.ledger.claim(turn, 1, 0, False, new_token())
            await self._world.ledger.settle(turn, 1, 0, Sent(f"G{turn.id}"))
            await self._world.ledger.finish(turn, 1)
            await self._world.rows(
                "UPDATE majlis_outbox SET last_claimed_at = to_timestamp($2 - 0.5), settled_at = to_timestamp($2)"
                " WHERE turn_id = $1",
                turn.id,
                self._at + SECONDS - 1.0,
            )

    async def begin_anew(self, times: int) -> None:
        """One exchange whose turn is superseded so often: no exchanges of their own."""
        for _ in range(times):
            turn, _ = await self.begin()
            await self._world.ledger.supersede(turn, 1, Spent(), False)
            self._at -= SECONDS
        await self.exchange(1)

    async def pace(self, terms: Terms = TERMS) -> Pace:
        """Of one more turn, which stays open."""
        turn, made = await self.begin()
        self.turn = turn
        found = await look(self._world.lookups, turn, made, "pace", terms=terms)
        assert isinstance(found, Pace)
        again = await look(self._world.lookups, turn, made, "pace", terms=terms)
        assert found == again, "I3: another attempt ends as this one"
        told = [
            msgspec.json.decode(
                await self._world.db.value(f"SELECT {function}($1, 5, 2, 11, 3600000)", turn.id), type=Recent
            )
            for function in ("majlis_recent_talk", "majlis_pace")
        ]
        assert told[0] == told[1], "an older daemon judges by the same"
        return found

    async def silence(self) -> Pace:
        found = await self.pace()
        await self._world.ledger.silence_machine(self.turn, 1, found, ())
        return found


async def passed(world: LedgerWorld, seconds: float) -> None:
    """The silences are over since so long."""
    await world.rows(
        "UPDATE majlis_machines SET started_at = now() - interval '2 hours',"
        " until = now() - make_interval(secs => $1)",
        seconds,
    )


async def test_a_machine_is_found_out_after_so_many_replies(world: LedgerWorld) -> None:
    talk = Talk(world)
    await talk.exchange(5)
    await talk.begin_anew(3)
    await talk.exchange(3)
    assert await talk.pace() == Pace()
    assert talk.turn.lately == 10, "this one too"
    await world.ledger.suppress(talk.turn, 1, "duplicate")
    await talk.exchange(1)
    found = await talk.pace()
    assert (found.replies, found.silent, found.silence_seconds) == (10, True, 3_600)
    assert {"instant", "same"} <= set(found.signs)
    off = Terms(machines=MachineTerms(enabled=False))
    assert await look(world.lookups, talk.turn, batch("x", conversation=ROBOT), "pace", terms=off) == Pace()
    guest = batch("x", conversation=Conversation("demo", "999000000000001"))
    assert await look(world.lookups, talk.turn, guest, "pace", terms=TERMS) == Pace(), "the playground"


async def test_a_silence_holds_for_both_addresses_until_it_is_over_and_comes_back_sooner(
    world: LedgerWorld,
) -> None:
    """The night with another machine: each silence is longer, and takes fewer replies."""
    talk, other = Talk(world), Talk(world, OTHER_ADDRESS)
    await talk.exchange(10)
    assert (await talk.silence()).times == 1
    assert await talk.pace() == await other.pace() == Pace(silent=True)
    assert talk.turn.lately is other.turn.lately is None, "however few turns there were"
    [listed] = (await world.records.silent(3600, 10)).items()
    assert listed[0] == ROBOT and listed[1].machine is not None and "same" in listed[1].machine.signs
    assert (await world.records.attention(3600)).machines == 1
    await passed(world, 400)
    late = Talk(world, ago=390)
    await late.exchange(5)
    again = await late.silence()
    assert (again.times, again.silence_seconds) == (2, 7_200)
    await passed(world, 90_000)
    assert await Talk(world).pace() == Pace(), "a day later it is as new"


async def test_whoever_is_handed_back_is_watched_from_the_start(world: LedgerWorld) -> None:
    """An operator knows better: what was said before counts no more."""
    talk = Talk(world, ago=620)
    await talk.exchange(10)
    await talk.silence()
    assert (await world.records.silence(OTHER_ADDRESS, 3600)).machine is not None
    assert (await world.records.hand_back(OTHER_ADDRESS)).machines == 1
    assert (await world.records.hand_back(OTHER_ADDRESS)).machines == 0
    assert (await world.records.silence(ROBOT, 3600)).machine is None
    await world.rows("UPDATE majlis_machines SET ended_at = now() - interval '395 s'")
    late = Talk(world, ago=390)
    await late.exchange(9)
    assert await late.pace() == Pace()


async def test_a_persons_take_over_stays_what_it_is(world: LedgerWorld) -> None:
    talk = Talk(world)
    await talk.exchange(10)
    await talk.silence()
    await world.db.value("SELECT majlis_take_over('demo', $1, '', 'H1', 'I am here', 0, 3600)", ROBOT.contact)
    reasons = await world.records.silence(ROBOT, 3600)
    assert reasons.taken_over is not None and reasons.machine is not None
    [(_, listed)] = (await world.records.silent(3600, 10)).items()
    assert listed.taken_over is not None and listed.machine is not None
    ended = await world.records.hand_back(ROBOT)
    assert (ended.takeovers, ended.machines) == (1, 1)
