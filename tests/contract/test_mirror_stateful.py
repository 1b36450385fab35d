"""The mirror against a model of it: appends, repeats, freezes, defers, commits and takeovers in any order.

After every step the mirror equals the model, on fakeredis and on a real Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar

import fakeredis
import msgspec
import pytest
import trio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from outcome import Outcome, acapture

from actors.errors import ConversationFull, StaleEpoch
from actors.messages import Batch, Message, Receipt, TurnOutcome, Waiting, WindowKind, WindowPolicy
from actors.window import counted
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey, Totals
from daemon.stores.redis import RedisStore
from tests.support.mirrors import INSTALLATION, PARTITIONS, fake_store, fenced_mirror, message, real_store

pytestmark = pytest.mark.hypothesis
TALK = message(0).conversation
MAX_WAITING = 6
OpenStore = Callable[[], AbstractAsyncContextManager[RedisStore]]
Result = TypeVar("Result")


def numbered(number: int) -> Message:
    """Every third is an aside, every third of the others part of one album."""
    plain = message(number)
    if number % 3 == 0:
        return msgspec.structs.replace(plain, aside="reaction")
    return msgspec.structs.replace(plain, album="X") if number % 3 == 1 else plain


class Model:
    """The expected behaviour of the mirror, in memory. Messages are identified by their numbers."""

    def __init__(self) -> None:
        self.epoch = 1
        self.seqs: dict[int, int] = {}
        self.waiting: list[int] = []
        self.deadline_ms: int | None = None
        """Of the window, where it is known exactly."""
        self.frozen: list[int] = []
        self.attempts = 0
        self.batches: list[Batch] = []
        self.counted = dict.fromkeys(("acknowledged", "answered", "suppressed", "dead", "moved_out"), 0)

    def append(self, number: int) -> str:
        if number in self.seqs:
            return "duplicate"
        if len(self.waiting) >= MAX_WAITING:
            return "full"
        self.waiting.append(number)
        self.counted["acknowledged"] += 1
        return "new"

    def freeze(self, most: int) -> list[int]:
        if not self.frozen:
            self.frozen, self.waiting, self.attempts = self.waiting[:most], self.waiting[most:], 0
        return self.frozen

    def commit(self, batch: Batch, outcome: TurnOutcome) -> None:
        if self.frozen and batch.number == self.batches[-1].number:
            self.counted["moved_out" if outcome == "moved" else outcome] += len(self.frozen)
            self.frozen = []


class MirrorMachine(RuleBasedStateMachine):
    open_store: OpenStore

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.run(lambda store, mirror: store.command("FLUSHDB"))
        self.run(lambda store, mirror: fenced_mirror(store))

    def run(self, step: Callable[[RedisStore, RedisMirror], Coroutine[Any, Any, Result]]) -> Result:
        async def main() -> Outcome[Result]:
            with trio.fail_after(60):
                async with self.open_store() as store:  # its nurseries would wrap what is raised inside
                    store.expect(INSTALLATION)
                    return await acapture(step, store, RedisMirror(store, PARTITIONS))

        return trio.run(main).unwrap()

    @rule(number=st.integers(0, 30), limit=st.integers(1, 5), kind=st.sampled_from(["rule", "quiet"]))
    def append(self, number: int, limit: int, kind: WindowKind) -> None:
        """I1, I8: stored once under a growing number, or refused entirely."""
        policy = WindowPolicy(max_messages=limit, max_waiting_messages=MAX_WAITING, kind=kind)
        expected = self.model.append(number)
        if expected == "full":
            with pytest.raises(ConversationFull):
                self.run(lambda store, mirror: mirror.append(numbered(number), policy))
            return
        receipt: Receipt = self.run(lambda store, mirror: mirror.append(numbered(number), policy))
        assert receipt.duplicate == (expected == "duplicate")
        assert receipt.waiting == len(self.model.waiting)
        assert receipt.frozen == bool(self.model.frozen)
        if receipt.duplicate:
            assert receipt.seq == self.model.seqs[number]
        else:
            assert all(receipt.seq > seq for seq in self.model.seqs.values())
            self.model.seqs[number] = receipt.seq
            self.the_window_counts_as_the_core_does(number, receipt, policy)

    def the_window_counts_as_the_core_does(self, number: int, receipt: Receipt, policy: WindowPolicy) -> None:
        """I7: and is armed anew by what speaks after asides alone, by quiet by whatever speaks."""
        waiting = [Waiting(one, one, numbered(one)) for one in self.model.waiting]
        arms = len(waiting) == 1 or (numbered(number).speaks and not counted(waiting[:-1], policy, 1))
        sets = arms or (policy.kind == "quiet" and numbered(number).speaks)
        before = receipt.at_ms + round(1_000 * policy.lasts_seconds) if sets else self.model.deadline_ms
        if counted(waiting, policy) >= policy.max_messages:
            assert receipt.deadline_ms <= receipt.now_ms
        elif before is not None:
            assert receipt.deadline_ms == before
        self.model.deadline_ms = receipt.deadline_ms

    @rule(most=st.integers(1, 4))
    def freeze(self, most: int) -> None:
        """I3: contiguous, disjoint, growing, and the same until it ends."""
        unfinished = bool(self.model.frozen)
        expected = self.model.freeze(most)
        policy = WindowPolicy(max_batch_messages=most)
        epoch = self.model.epoch
        batch = self.run(lambda store, mirror: mirror.freeze(TALK, epoch, "timeout", policy))
        if not expected:
            assert batch is None
            return
        assert batch is not None
        assert [entry.message.id for entry in batch.entries] == [f"M{number}" for number in expected]
        assert batch.attempts == self.model.attempts
        if not unfinished:
            self.model.deadline_ms = None
        if unfinished:
            last = self.model.batches[-1]
            assert (batch.number, batch.lo, batch.hi) == (last.number, last.lo, last.hi)
            return
        if self.model.batches:
            last = self.model.batches[-1]
            assert batch.number > last.number
            assert last.hi < batch.lo <= batch.hi
        self.model.batches.append(batch)

    @rule(counts=st.booleans(), last=st.booleans())
    def defer(self, counts: bool, last: bool) -> None:
        """I3: only the unfinished batch can be deferred."""
        if not self.model.batches:
            return
        batch = self.model.batches[-1 if last else 0]
        epoch = self.model.epoch
        self.run(lambda store, mirror: mirror.defer(TALK, epoch, batch.number, 5.0, counts))
        if self.model.frozen and batch.number == self.model.batches[-1].number:
            self.model.attempts += counts

    @rule(outcome=st.sampled_from(["answered", "suppressed", "dead", "moved"]), last=st.booleans())
    def commit(self, outcome: TurnOutcome, last: bool) -> None:
        """I2: a batch ends once, however often it is said."""
        if not self.model.batches:
            return
        batch = self.model.batches[-1 if last else 0]
        epoch = self.model.epoch
        self.model.commit(batch, outcome)
        snapshot = self.run(lambda store, mirror: mirror.commit(TALK, epoch, batch, outcome))
        assert [entry.message.id for entry in snapshot.waiting] == [
            f"M{number}" for number in self.model.waiting
        ]

    @rule()
    def take_over(self) -> None:
        """I5: from now on the previous epoch is stale."""
        self.model.epoch += 1
        epochs = dict.fromkeys(range(PARTITIONS), self.model.epoch)
        assert self.run(lambda store, mirror: mirror.fence(epochs, "b")) == {}

    @rule(step=st.sampled_from(["freeze", "defer", "commit", "fence"]))
    def act_under_an_old_epoch(self, step: str) -> None:
        """I5: refused, whatever it attempts."""
        if not self.model.batches or self.model.epoch == 1:
            return
        batch, old = self.model.batches[-1], self.model.epoch - 1

        async def act(store: RedisStore, mirror: RedisMirror) -> None:
            if step == "freeze":
                await mirror.freeze(TALK, old, "timeout", WindowPolicy())
            elif step == "defer":
                await mirror.defer(TALK, old, batch.number, 5.0, True)
            elif step == "commit":
                await mirror.commit(TALK, old, batch, "dead")
            elif await mirror.fence({0: old}, "a"):
                raise StaleEpoch

        with pytest.raises(StaleEpoch):
            self.run(act)

    @rule()
    def redis_forgets_its_scripts(self) -> None:
        self.run(lambda store, mirror: store.command("SCRIPT", "FLUSH"))

    @invariant()
    def the_mirror_equals_the_model(self) -> None:
        """I2, I10: the counters add up, and what is pending has an alarm and is found by recovery."""

        async def look(store: RedisStore, mirror: RedisMirror) -> tuple[Any, Totals, list[Any]]:
            survey = Survey(store, mirror)
            whole = range(PARTITIONS)
            load, recovered = await mirror.load(TALK), (await survey.recover(whole))[0]
            return load, await survey.totals(whole), recovered

        snapshot, totals, recovered = self.run(look)
        model = self.model
        assert [entry.message.id for entry in snapshot.waiting] == [f"M{number}" for number in model.waiting]
        assert snapshot.frozen == bool(model.frozen)
        assert (snapshot.deadline_ms is not None) == bool(model.waiting)
        assert {name: getattr(totals, name) for name in model.counted} == model.counted
        assert totals.pending == len(model.waiting) + len(model.frozen)
        assert len(recovered) == (1 if totals.pending else 0)


@pytest.mark.parametrize("kind", ["fakeredis", "redis"])
def test_the_mirror_equals_its_model(kind: str, request: pytest.FixtureRequest) -> None:
    """I1, I2, I3, I5, I8, I10 over arbitrary interleavings."""
    if kind == "fakeredis":
        store = partial(fake_store, fakeredis.FakeServer())
    else:
        store = partial(real_store, request.getfixturevalue("fresh_redis_url"))

    class Machine(MirrorMachine):
        open_store = staticmethod(store)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
