"""Storms over the whole core in memory. The end is checked against the oracle: what the gateway delivered."""

from __future__ import annotations

import copy
from contextlib import suppress

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.amendments import amended
from actors.errors import LedgerUnavailable
from actors.instance import InstanceRecord
from actors.messages import Message
from tests.simulation.storm import SEEDS, Storm
from tests.support.memory import clock_ms
from tests.support.world import DEMO


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_doubled_or_reordered(autojump_clock: MockClock, seed: int) -> None:
    """I2, I3, I4, I6, I10, I13."""
    storm = Storm(seed)
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        process.start_soon(storm.poll_due)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    ended = [text for _, texts in storm.world.mirror.outcomes for text in texts]
    assert ended == said
    # Two sends in a row of unknown outcome end as a dead letter, never as a third send.
    assert set(storm.world.ledger.dead()) <= {"send_unresolved"}
    answered = [
        text for outcome, texts in storm.world.mirror.outcomes if outcome == "answered" for text in texts
    ]
    delivered = [text for reply in storm.world.replies for text in reply.partition(": ")[2].split("\n")]
    assert delivered == answered


def test_a_seed_plays_the_same_storm_each_time() -> None:
    async def play() -> tuple[object, ...]:
        storm = Storm(SEEDS[0])
        await storm.talk()
        return storm.world.feed.names(), storm.world.mirror.outcomes, storm.world.gateway.delivered

    first, second = (trio.run(play, clock=MockClock(autojump_threshold=0)) for _ in range(2))
    assert first == second


FALLBACK, A_PERSON = "we will be back", "a person comes"


@pytest.mark.parametrize("seed", SEEDS)
async def test_people_and_refusals_in_a_storm_lose_nothing_and_say_nothing_twice(
    autojump_clock: MockClock, seed: int
) -> None:
    """I2, I3, I6: every message has its end, and each reply is delivered at most once for each turn that owns it."""
    storm = Storm(seed, with_people=True)
    storm.world.ledger.records["demo"] = InstanceRecord(
        escalation_enabled=True,
        escalation_keywords=("7",),
        escalated_message=A_PERSON,
        fallback_message=FALLBACK,
    )
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    storm.world.responder.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        process.start_soon(storm.poll_due)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    assert [text for _, texts in storm.world.mirror.outcomes for text in texts] == said
    heard = [reply for reply in storm.world.replies if reply.startswith("Heard")]
    assert len(set(heard)) == len(heard)
    rows = storm.world.ledger.standing()
    for own_words in (FALLBACK, A_PERSON):
        owners = sum(row.reply is not None and row.reply.answer.text == own_words for row in rows)
        assert storm.world.replies.count(own_words) <= owners
    assert {row.turn.state for row in rows} <= {"done", "suppressed", "dead"}
    assert set(storm.world.ledger.dead()) <= {"send_unresolved", "bad_request"}


class Forgetful(Storm):
    """A storm in which the mirror falls back to an older copy of itself; what it forgot may be delivered again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._older = copy.deepcopy(self.world.mirror.buffers)

    async def fall_back(self) -> None:
        """A power cut, a replica that is promoted, a backup: at any moment, under living actors too."""
        while not self.over:
            await trio.sleep(self.dice.random() * 12)
            if self.dice.random() < 0.5:
                self._older = copy.deepcopy(self.world.mirror.buffers)
            elif not self.over:
                self.world.mirror.buffers = copy.deepcopy(self._older)

    async def name_unfinished(self) -> None:
        """The monitor's rounds."""
        while True:
            await trio.sleep(10)
            with suppress(LedgerUnavailable):
                await self.world.name_unfinished()

    async def talk(self) -> list[str]:
        async with trio.open_nursery() as weather:
            weather.start_soon(self.fall_back)
            said = await super().talk()
            weather.cancel_scope.cancel()
        return said

    def at_work(self, process: trio.Nursery) -> None:
        super().at_work(process)
        process.start_soon(self.name_unfinished)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_mirror_that_loses_its_tail_costs_and_doubles_nothing(
    autojump_clock: MockClock, seed: int
) -> None:
    """I2, I6: what the ledger had begun ends by itself; what only the mirror had waits there or comes once more."""
    storm = Forgetful(seed)
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        storm.at_work(process)
        await trio.sleep(300)
        begun = {text for row in storm.world.ledger.rows.values() for text in row.batch.text.split("\n")}
        assert all(not row.is_open for row in storm.world.ledger.rows.values()), "a turn is left unfinished"
        for text in said:  # a gateway repeats what it has no answer for, and sometimes everything
            if text not in begun or storm.dice.random() < 0.3:
                await storm.world.say(text)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    assert all(not row.is_open for row in storm.world.ledger.rows.values())
    rows = storm.world.ledger.standing()
    own = [text for row in rows if row.turn.rule != "duplicate" for text in row.batch.text.split("\n")]
    assert sorted(own, key=int) == said, "each message belongs to exactly one turn"
    assert set(storm.world.ledger.dead()) <= {"send_unresolved"}
    answered = [text for row in rows if row.turn.state == "done" for text in row.batch.text.split("\n")]
    delivered = [text for reply in storm.world.replies for text in reply.partition(": ")[2].split("\n")]
    assert len(set(delivered)) == len(delivered), "a message was answered twice"
    assert set(answered) <= set(delivered)


class Changing(Storm):
    """A storm in which people react, edit and delete what they said, and send albums."""

    async def _say(self, text: str) -> None:
        await super()._say(text)
        for number in range(self.dice.choice([0, 0, 1, 2])):
            self._sent += 1
            await self._tell(self._something(text, f"{text}.{number}"))
            await trio.sleep(self.dice.random() * 3)

    _sent = 0

    def _something(self, text: str, id: str) -> Message:
        target = f"id-{self.dice.choice([*self.heard, text])}-{DEMO.contact}"
        plain = Message(*DEMO, id, f"said {id}", clock_ms() // 1000)
        kinds: list[dict[str, object]] = [
            {"kind": "edit", "amends": target},
            {"kind": "edit", "amends": target},
            {"kind": "deletion", "amends": target, "text": ""},
            {"kind": "reaction", "aside": "reaction"},
            {"album": f"of {text}"},
            {"album": id, "album_size": 2},
        ]
        return msgspec.structs.replace(plain, **self.dice.choice(kinds))

    async def _tell(self, message: Message) -> None:
        """As any message: the gateway may repeat it, and nobody may hear of it before the due poll."""
        if self.dice.random() < 0.3:
            self.world.mirror.on_appended = None
        for _ in range(self.dice.choice([1, 1, 2])):
            await self.world.mirror.append(message, self.world.policy)
        self.world.mirror.on_appended = self.world.supervisor.deliver


@pytest.mark.parametrize("seed", SEEDS[::2])
async def test_edits_deletions_asides_and_albums_keep_every_law(autojump_clock: MockClock, seed: int) -> None:
    """I2, I3, I4, I6, I7, I10: killed between append and freeze, during the turn, or anywhere else."""
    storm = Changing(seed)
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        process.start_soon(storm.poll_due)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    entries = storm.world.mirror.buffers[DEMO].entries
    assert len(entries) == len({entry.message.id for entry in entries}) == len(said) + storm._sent
    rows = [row for row in storm.world.ledger.standing() if not row.turn.moved_to]
    batches = [row.batch for row in rows]
    assert [entry.seq for batch in batches for entry in batch.entries] == [entry.seq for entry in entries], (
        "each belongs to exactly one turn, in order"
    )
    wanted = []
    for row in rows:
        came = tuple(entry for entry in entries if row.batch.lo <= entry.seq <= row.batch.hi)
        asked = amended(msgspec.structs.replace(row.batch, entries=came)).asked
        assert (row.turn.state == "suppressed") == (not asked.entries)
        if row.turn.state == "done":
            wanted.append(asked.text)
    assert [_words(reply) for reply in storm.world.replies] == wanted
    assert set(storm.world.ledger.dead()) <= {"send_unresolved"}


def _words(reply: str) -> str:
    """What the reply repeats, without the lines that say what a message refers to."""
    heard = reply.partition(": ")[2].splitlines()
    return "\n".join(line for line in heard if not line.startswith("[corrects"))
