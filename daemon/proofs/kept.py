"""Keeps facts about sends until the ledger has them: in memory, then in Redis, then in `sends.log`.

Nothing here is fenced: a fact is true whoever keeps it, and a daemon that owns nothing any more may still know one. So
the task below gives to the ledger whatever it finds, its own and what others left in Redis.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import trio

from actors.errors import MajlisError, MirrorUnavailable, Unavailable
from actors.identity import Conversation
from actors.outcome import NotSent, Sent
from actors.send_facts import Part, Proof
from daemon.mirror import scripts
from daemon.mirror.keys import PartitionKeys
from daemon.mirror.over import OfPartition, call_over
from daemon.proofs.sends_log import SendsLog
from daemon.stores.redis import Argument, RedisStore

OWN_SECONDS = 5.0
"""How long a fact may be in memory before the task below takes care of it, and how often it looks."""
ALL_ROUNDS = 12
"""Every so many looks it asks Redis as well for what others left there."""


class _Kept(msgspec.Struct, frozen=True):
    """A fact as Redis holds it."""

    message_id: str = ""
    not_sent: str = ""
    """Why nothing left; empty: it was sent."""

    @classmethod
    def of(cls, proof: Proof) -> _Kept:
        outcome = proof.outcome
        if isinstance(outcome, Sent):
            return cls(message_id=outcome.message_id)
        return cls(not_sent=outcome.reason or "not_sent")


class KeptFacts:
    """Implements `actors.send_facts.SendFacts`. `prove` gives a fact to the ledger."""

    def __init__(
        self, redis: RedisStore, log: SendsLog, prove: Callable[[Proof], Awaitable[bool]], partitions: int
    ) -> None:
        self._redis = redis
        self._log = log
        self._prove = prove
        self._partitions = partitions
        self._known: dict[str, Proof] = {}
        self._since: dict[str, float] = {}
        self._in_redis: set[str] = set()

    def claiming(self, token: str) -> None:
        self._log.claim(token)

    def starting(self, token: str) -> None:
        self._log.start(token)

    def remember(self, proof: Proof) -> None:
        self._known[proof.token] = proof
        self._since[proof.token] = trio.current_time()

    async def keep(self, conversation: Conversation, proof: Proof) -> None:
        self.remember(proof)
        partition = conversation.partition(self._partitions)
        self._in_redis.add(proof.token)  # at once: the answer of a command that was done may be lost
        try:
            field, value = (
                _field(proof.turn_id, proof.part, proof.token),
                msgspec.json.encode(_Kept.of(proof)),
            )
            await self._redis.command("HSET", PartitionKeys.of(partition).proofs, field, value)
        except MirrorUnavailable:
            self._log.keep(proof)

    async def recall(self, conversation: Conversation, turn_id: int, part: Part) -> Proof | None:
        tokens = [token for token in dict.fromkeys((part.token, part.first_token)) if token]
        found = [
            proof for token in tokens for proof in (self._known.get(token), self._log.proof(token)) if proof
        ]
        if not any(isinstance(proof.outcome, Sent) for proof in found):
            found += await self._in_mirror(conversation, turn_id, part.number, tokens)
        sent = next((proof for proof in found if isinstance(proof.outcome, Sent)), None)
        if sent is not None:
            return sent
        # That nothing left under an earlier claim says nothing about the latest one.
        unsent = next((proof for proof in found if proof.token == part.token), None)
        if unsent is None and self._log.nothing_left(part.token):
            unsent = Proof(turn_id, part.number, part.token, NotSent("never_left", "hold"))
        return unsent

    async def forget(self, conversation: Conversation, proof: Proof) -> None:
        await self._forget(conversation.partition(self._partitions), proof)

    def close(self) -> None:
        """The daemon ends. A send may have been cut off between its answer and the ledger: what it proved is kept."""
        for token, proof in self._known.items():
            if token not in self._in_redis:
                self._log.keep(proof)
        self._log.close()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Give the ledger what it does not have yet, until cancelled."""
        for proof in self._log.proofs():
            self._known[proof.token] = proof
        task_status.started()
        rounds = 0
        while True:
            # A store is away: the next look comes by itself.
            with suppress(Unavailable):
                await self._settle_known()
                if rounds % ALL_ROUNDS == 0:
                    await self._settle_all_in_redis()
                rounds += 1
            await trio.sleep(OWN_SECONDS)

    async def _settle_known(self) -> None:
        """Facts whose actor is gone, or waits for something else."""
        for proof in list(self._known.values()):
            if self._since.get(proof.token, 0.0) <= trio.current_time() - OWN_SECONDS:
                await self._settle(None, proof)

    async def _settle_all_in_redis(self) -> None:
        partitions = range(self._partitions)
        shares = [OfPartition((PartitionKeys.of(partition).proofs,)) for partition in partitions]
        replies = await call_over(self._redis, scripts.GATHER, (), shares)
        kept = (one for reply in replies for one in reply)
        for partition, reply in zip(partitions, kept, strict=True):
            for field, value in zip(reply[::2], reply[1::2], strict=True):
                proof = _read(field, value)
                if proof is None:
                    await self._redis.command("HDEL", PartitionKeys.of(partition).proofs, field)
                else:
                    self._in_redis.add(proof.token)
                    await self._settle(partition, proof)

    async def _settle(self, partition: int | None, proof: Proof) -> None:
        try:
            await self._prove(proof)
        except Unavailable:
            raise
        except MajlisError:
            pass  # the ledger will never take it: the turn is gone
        await self._forget(partition, proof)

    async def _forget(self, partition: int | None, proof: Proof) -> None:
        """Everywhere; `partition` is None where only the next look at Redis will know it."""
        token = proof.token
        self._known.pop(token, None)
        self._since.pop(token, None)
        self._log.forget(token)
        if token in self._in_redis and partition is not None:
            field = _field(proof.turn_id, proof.part, token)
            with suppress(MirrorUnavailable):  # it is found there later, and is idempotent
                await self._redis.command("HDEL", PartitionKeys.of(partition).proofs, field)
                self._in_redis.discard(token)

    async def _in_mirror(
        self, conversation: Conversation, turn_id: int, part: int, tokens: list[str]
    ) -> list[Proof]:
        key = PartitionKeys.of(conversation.partition(self._partitions)).proofs
        fields = [_field(turn_id, part, token) for token in tokens]
        command: list[Argument] = ["HMGET", key, *fields]
        values = await self._redis.command(*command)
        read = (_read(field.encode(), value) for field, value in zip(fields, values, strict=True))
        proofs = [proof for proof in read if proof is not None]
        self._in_redis.update(proof.token for proof in proofs)
        return proofs


def _field(turn_id: int, part: int, token: str) -> str:
    return f"{turn_id}.{part}.{token}"


def _read(field: bytes, value: bytes | None) -> Proof | None:
    """The fact of one field; None if there is none, or it cannot be read."""
    if value is None:
        return None
    try:
        turn, part, token = field.decode().split(".")
        kept = msgspec.json.decode(value, type=_Kept)
        outcome = NotSent(kept.not_sent, "hold") if kept.not_sent else Sent(kept.message_id)
        return Proof(int(turn), int(part), token, outcome)
    except (ValueError, msgspec.MsgspecError):
        return None
