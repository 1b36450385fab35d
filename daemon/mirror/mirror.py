"""The mirror: the durable copy of buffers, windows and batches in Redis (`actors.ports.Mirror`).

Each change is one script, hence atomic; what the scripts promise stands at the head of `scripts/prelude.lua`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.errors import ConversationFull, MirrorUnavailable, StaleEpoch
from actors.identity import Conversation
from actors.messages import Batch, CloseReason, Message, Receipt, Snapshot, TurnOutcome, WindowPolicy
from daemon.mirror import replies, scripts
from daemon.mirror.group_commit import Append
from daemon.mirror.keys import PartitionKeys, Place, place
from daemon.stores.redis import Call, RedisStore, Reply

KEEP_PROCESSED_SECONDS = 300
"""Processed entries stay this long for debugging."""
KEEP_IDS_SECONDS = 48 * 3600
"""A message id is known this long after its message was processed; the gateway retries far shorter."""
KEEP_IDS = 10_000
"""At most this many processed ids per conversation."""

Appended = Receipt | ConversationFull | MirrorUnavailable | ValueError
"""What became of one append of a group."""


class RedisMirror:
    """Implements `actors.ports.Mirror` on a `RedisStore`.

    `alarm_seconds`: a frozen batch of which nothing is heard for so long counts as due again.
    """

    def __init__(self, redis: RedisStore, partitions: int, *, alarm_seconds: float = 60.0) -> None:
        self._redis = redis
        self._partitions = partitions
        self._alarm_ms = _ms(alarm_seconds)

    async def append(self, message: Message, policy: WindowPolicy, at_ms: int | None = None) -> Receipt:
        """Store one message durably, once; `at_ms` marks a moved message: acknowledged before, not counted again.

        Raises:
          ConversationFull: `max_waiting_messages` already wait.
          MirrorUnavailable: it may or may not be stored; a repeat finds out.
          ValueError: it cannot be stored ever, for it is not valid Unicode.
        """
        outcome = (await self.append_group([Append(message, policy, at_ms)]))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def append_group(self, group: Sequence[Append]) -> list[Appended]:
        """Store many messages in one round trip; what befalls one of them stands in its place.

        Raises:
          MirrorUnavailable: the round trip failed, any of them may be stored.
        """
        calls = [self._append_call(one) for one in group]
        answers = iter(await self._redis.call_many([call for call in calls if isinstance(call, Call)]))
        return [_appended(next(answers)) if isinstance(call, Call) else call for call in calls]

    async def load(self, conversation: Conversation) -> Snapshot:
        """The conversation as it stands."""
        return replies.snapshot(conversation, await self._redis.call(self._load_call(conversation)))

    async def load_many(self, conversations: Sequence[Conversation]) -> list[Snapshot]:
        """Many conversations in one round trip.

        Raises:
          MirrorUnavailable: one of them could not be loaded.
        """
        answers = await self._redis.call_many([self._load_call(one) for one in conversations])
        return [
            replies.snapshot(one, sound(answer)) for one, answer in zip(conversations, answers, strict=True)
        ]

    async def freeze(
        self, conversation: Conversation, epoch: int, why: CloseReason, policy: WindowPolicy
    ) -> Batch | None:
        """Freeze what waits, or give back the unfinished batch as it was; None when there is neither.

        Raises:
          StaleEpoch: the partition is not held under this epoch.
        """
        key, keys, shared = self._place(conversation)
        window = (_ms(policy.window_seconds), policy.max_messages)
        call = Call(
            scripts.FREEZE,
            (keys.queue, keys.state, shared.due, shared.lock),
            (key, epoch, why, policy.max_batch_messages, self._alarm_ms, *window),
        )
        answer = _fenced(await self._redis.call(call))
        return None if answer[0] == b"empty" else replies.batch(conversation, answer)

    async def defer(
        self, conversation: Conversation, epoch: int, number: int, delay_seconds: float, counts: bool
    ) -> None:
        """Try batch `number` again in `delay_seconds`; `counts` it as a failed attempt. No effect once it has ended.

        Raises:
          StaleEpoch: the partition is not held under this epoch.
        """
        key, keys, shared = self._place(conversation)
        arguments = (key, epoch, number, _ms(delay_seconds), int(counts))
        _fenced(await self._redis.call(Call(scripts.DEFER, (keys.state, shared.due, shared.lock), arguments)))

    async def commit(
        self, conversation: Conversation, epoch: int, batch: Batch, outcome: TurnOutcome
    ) -> Snapshot:
        """End the batch; gives back what waits now. Idempotent, and works when Redis is full.

        Raises:
          StaleEpoch: the partition is not held under this epoch.
        """
        key, keys, shared = self._place(conversation)
        call = Call(
            scripts.COMMIT,
            (
                keys.queue,
                keys.state,
                keys.seen,
                shared.due,
                shared.active,
                shared.lock,
                shared.totals,
                keys.stats,
                keys.status,
            ),
            (
                key,
                epoch,
                batch.number,
                outcome,
                "moved_out" if outcome == "moved" else outcome,
                KEEP_PROCESSED_SECONDS * 1000,
                KEEP_IDS_SECONDS * 1000,
                KEEP_IDS,
            ),
        )
        return replies.snapshot(conversation, _fenced(await self._redis.call(call))[1])

    async def fence(self, epochs: Mapping[int, int], owner: str) -> frozenset[int]:
        """Take partitions under the given epochs; gives back those refused, held under a higher epoch."""
        calls = [
            Call(scripts.FENCE, (PartitionKeys.of(partition).lock,), (epoch, owner))
            for partition, epoch in epochs.items()
        ]
        answers = await self._redis.call_many(calls)
        return frozenset(
            partition for partition, answer in zip(epochs, answers, strict=True) if not sound(answer)[0]
        )

    async def due(self, epochs: Mapping[int, int], limit: int = 1000) -> tuple[list[Conversation], list[int]]:
        """Conversations whose time has come, at most `limit` per partition; and partitions that are not fenced so."""
        calls = [
            Call(scripts.DUE, (keys.due, keys.lock), (epoch, limit))
            for keys, epoch in ((PartitionKeys.of(partition), epoch) for partition, epoch in epochs.items())
        ]
        answers = [sound(answer) for answer in await self._redis.call_many(calls)]
        stale = [partition for partition, answer in zip(epochs, answers, strict=True) if not answer[0]]
        return [Conversation.from_key(key.decode()) for answer in answers for key in answer[1:]], stale

    def state_key(self, conversation: Conversation) -> str:
        """Where the state of a conversation lies."""
        return self._place(conversation).own.state

    def _append_call(self, one: Append) -> Call | ValueError:
        """All user text is encoded here, so that what cannot be encoded fails alone."""
        message, policy = one.message, one.policy
        try:
            key, keys, shared = self._place(message.conversation)
            identity, payload = message.id.encode(), replies.encode_message(message)
        except UnicodeEncodeError:
            return ValueError("the message is not valid Unicode")  # the original would quote it
        return Call(
            scripts.APPEND,
            (keys.queue, keys.state, keys.seen, shared.due, shared.active, shared.totals),
            (
                key,
                identity,
                payload,
                _ms(policy.window_seconds),
                policy.max_messages,
                policy.max_waiting_messages,
                "" if one.at_ms is None else one.at_ms,
                "acknowledged" if one.at_ms is None else "moved_in",
            ),
        )

    def _load_call(self, conversation: Conversation) -> Call:
        keys = self._place(conversation).own
        return Call(scripts.LOAD, (keys.queue, keys.state), ())

    def _place(self, conversation: Conversation) -> Place:
        return place(conversation, self._partitions)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def sound(answer: Reply | MirrorUnavailable) -> Reply:
    """The answer, unless an error stands in its place."""
    if isinstance(answer, MirrorUnavailable):
        raise answer
    return answer


def _fenced(answer: Reply) -> Reply:
    if answer[0] == b"stale":
        raise StaleEpoch("the partition is not held under this epoch")
    return answer


def _appended(answer: Reply | MirrorUnavailable) -> Appended:
    if isinstance(answer, MirrorUnavailable):
        return answer
    if answer[0] == b"full":
        return ConversationFull("the conversation holds as many waiting messages as it may")
    return replies.receipt(answer)
