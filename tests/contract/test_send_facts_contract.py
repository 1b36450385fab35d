"""The contract of kept facts: the fake of other tests, and Redis with `sends.log`, pass the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import trio

from actors.errors import LeaseUncertain, MirrorUnavailable
from actors.outcome import NotSent, Sent
from actors.send_facts import Part, Proof, SendFacts
from daemon.proofs.kept import KeptFacts
from daemon.proofs.sends_log import SendsLog
from daemon.stores.redis import RedisStore
from tests.support.ledgers import DEMO
from tests.support.memory import MemoryFacts

SENT = Proof(7, 0, "b2", Sent("3EB0 \n\u20ac"))
UNSENT = Proof(7, 0, "b2", NotSent("connection_closed", "hold"))
PART = Part(0, "hello", "sending", token="b2", first_token="a1")
BOOT = "a-boot"


@dataclass
class Subject:
    """`restart` kills the process that holds the facts; `away` takes the mirror away, and `full` the disk."""

    facts: SendFacts
    restart: Callable[[], SendFacts]
    away: Callable[[bool], None]
    proved: list[Proof] = field(default_factory=list)

    async def recall(self, part: Part = PART) -> Proof | None:
        return await self.facts.recall(DEMO, 7, part)


class _Redis(RedisStore):
    """A Redis that can be away."""

    is_away = False

    async def pipeline(self, commands):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise MirrorUnavailable("timeout")
        return await super().pipeline(commands)


@pytest.fixture(params=["memory", "kept"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "memory":
        memory = MemoryFacts()

        def again() -> MemoryFacts:
            memory.restart()
            return memory

        def away(is_away: bool) -> None:
            memory.mirror_away = is_away

        yield Subject(memory, again, away)
        return
    url = cast(str, request.getfixturevalue("fresh_redis_url"))
    redis = _Redis(url)
    proved: list[Proof] = []

    async def prove(proof: Proof) -> bool:
        await trio.lowlevel.checkpoint()
        proved.append(proof)
        return True

    def start() -> KeptFacts:
        return KeptFacts(redis, SendsLog(tmp_path / "sends.log", BOOT), prove, 8)

    def take_away(is_away: bool) -> None:
        redis.is_away = is_away

    yield Subject(start(), start, take_away, proved)
    await redis.close()


@pytest.mark.parametrize("proof", [SENT, UNSENT], ids=["sent", "not sent"])
@pytest.mark.parametrize("mirror_away", [False, True], ids=["mirror", "log"])
async def test_a_kept_fact_outlives_the_process_until_it_is_forgotten(
    subject: Subject, proof: Proof, mirror_away: bool
) -> None:
    subject.away(mirror_away)
    await subject.facts.keep(DEMO, proof)
    subject.facts = subject.restart()
    subject.away(False)
    found = await subject.recall()
    assert found == proof
    await subject.facts.forget(DEMO, found)
    assert await subject.recall() is None
    subject.facts = subject.restart()
    assert await subject.recall() is None


async def test_what_is_only_remembered_dies_with_the_process(subject: Subject) -> None:
    subject.facts.remember(SENT)
    assert await subject.recall() == SENT
    subject.facts = subject.restart()
    assert await subject.recall() is None


async def test_the_first_sends_proof_is_found_after_a_resend(subject: Subject) -> None:
    """A message that arrived under either claim arrived; that one did not leave says nothing about the other."""
    first = Proof(7, 0, "a1", Sent("first"))
    await subject.facts.keep(DEMO, Proof(7, 0, "a1", NotSent("busy", "retry")))
    assert await subject.recall() is None
    await subject.facts.keep(DEMO, UNSENT)
    await subject.facts.keep(DEMO, first)
    assert await subject.recall() == first


async def test_facts_of_other_parts_are_not_taken_for_it(subject: Subject) -> None:
    await subject.facts.keep(DEMO, Proof(7, 1, "c3", Sent("x")))
    await subject.facts.keep(DEMO, Proof(8, 0, "d4", Sent("y")))
    assert await subject.recall() is None


async def test_a_mirror_that_is_away_may_hold_a_fact(subject: Subject) -> None:
    subject.away(True)
    with pytest.raises(MirrorUnavailable):
        await subject.recall()
    subject.facts.remember(SENT)
    assert await subject.recall() == SENT


@pytest.mark.parametrize("killed", [False, True])
async def test_a_claim_without_a_start_proves_that_nothing_left(subject: Subject, killed: bool) -> None:
    subject.facts.claiming("b2")
    if killed:
        subject.facts = subject.restart()
    found = await subject.recall()
    assert found is not None
    assert found.token == "b2"
    assert isinstance(found.outcome, NotSent)
    assert await subject.recall() is not None, "until the ledger has it"


@pytest.mark.parametrize("killed", [False, True])
async def test_a_start_ends_that_proof(subject: Subject, killed: bool) -> None:
    subject.facts.claiming("b2")
    subject.facts.starting("b2")
    if killed:
        subject.facts = subject.restart()
    assert await subject.recall() is None


async def test_a_claim_that_is_over_starts_nothing(subject: Subject) -> None:
    subject.facts.claiming("b2")
    await subject.facts.forget(DEMO, UNSENT)
    with pytest.raises(LeaseUncertain):
        subject.facts.starting("b2")
