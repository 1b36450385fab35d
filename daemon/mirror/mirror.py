"""The mirror: the durable copy of buffers, windows and batches in Redis (`actors.ports.Mirror`).

Every change is one Lua script and therefore atomic; `scripts/prelude.lua` lists what the scripts guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.errors import ConversationFull, MirrorUnavailable, StaleEpoch
from actors.identity import Conversation
from actors.messages import Batch, CloseReason, Message, Receipt, Snapshot, TurnOutcome, Waiting, WindowPolicy
from daemon.mirror import scripts
from daemon.mirror.group_commit import AppendRequest
from daemon.mirror.keys import INSTALL, PartitionKeys, Place, place
from daemon.stores.redis import RedisReply, RedisStore, ScriptCall, reply_or_raise

KEEP_PROCESSED_SECONDS = 300
"""Processed messages are kept this long, for debugging."""
KEEP_IDS_SECONDS = 48 * 3600
"""Message ids are remembered this long after processing; the gateway stops retrying long before."""
KEEP_IDS = 10_000
"""The most processed ids remembered per conversation."""

FOREIGN = "foreign"
"""Why a Redis that does not hold this installation's data is refused: flushed, or another one."""

UNREADABLE = "[a message that could not be read]"

_decoder = msgspec.json.Decoder(Message)
_encode = msgspec.json.Encoder().encode

Appended = Receipt | ConversationFull | MirrorUnavailable | ValueError
"""The outcome of one append in a group."""


class RedisMirror:
    """Implements `actors.ports.Mirror` on a `RedisStore`.

    Args:
      appends: the same Redis over a connection that carries nothing else: acknowledgements wait for no turn.
      alarm_seconds: a frozen batch that is neither deferred nor committed for this long becomes due again.
    """

    def __init__(
        self,
        redis: RedisStore,
        partitions: int,
        *,
        appends: RedisStore | None = None,
        alarm_seconds: float = 60.0,
    ) -> None:
        self._redis = redis
        self._appends = appends or redis
        self._partitions = partitions
        self._alarm_ms = _ms(alarm_seconds)

    async def append(self, message: Message, policy: WindowPolicy, at_ms: int | None = None) -> Receipt:
        """Store one message durably, once.

        Args:
          at_ms: the original arrival time of a message moved from another conversation. It was acknowledged there and
            is not counted again.

        Raises:
          ConversationFull: `max_waiting_messages` already wait.
          MirrorUnavailable: it may or may not be stored; repeating the call finds out.
          ValueError: it can never be stored: it is not valid Unicode.
        """
        outcome = (await self.append_group([AppendRequest(message, policy, at_ms)]))[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def append_group(self, group: Sequence[AppendRequest]) -> list[Appended]:
        """Store many messages in one round trip; returns one outcome per message, in order.

        Raises:
          MirrorUnavailable: the round trip failed; any of the messages may be stored.
        """
        calls = [self._append_call(one) for one in group]
        answers = iter(
            await self._appends.call_many([call for call in calls if isinstance(call, ScriptCall)])
        )
        return [_appended(next(answers)) if isinstance(call, ScriptCall) else call for call in calls]

    async def load(self, conversation: Conversation) -> Snapshot:
        """The current state of the conversation."""
        return _snapshot(conversation, await self._redis.call(self._load_call(conversation)))

    async def load_many(self, conversations: Sequence[Conversation]) -> list[Snapshot]:
        """Many conversations in one round trip.

        Raises:
          MirrorUnavailable: one of them could not be loaded.
        """
        answers = await self._redis.call_many([self._load_call(one) for one in conversations])
        return [
            _snapshot(one, reply_or_raise(answer)) for one, answer in zip(conversations, answers, strict=True)
        ]

    async def freeze(
        self, conversation: Conversation, epoch: int, why: CloseReason, policy: WindowPolicy
    ) -> Batch | None:
        """Freeze the waiting messages into a batch, or return the unfinished batch unchanged; None if there is neither.

        Raises:
          StaleEpoch: the partition is not held under this epoch.
        """
        key, keys, shared = self._place(conversation)
        window = (_ms(policy.window_seconds), policy.max_messages)
        call = ScriptCall(
            scripts.FREEZE,
            (keys.queue, keys.state, shared.due, shared.lock),
            (
                key,
                epoch,
                why,
                policy.max_batch_messages,
                self._alarm_ms,
                *window,
                int(policy.album_seconds > 0),
            ),
        )
        answer = _fenced(await self._redis.call(call))
        return None if answer[0] == b"empty" else _batch(conversation, answer)

    async def defer(
        self, conversation: Conversation, epoch: int, number: int, delay_seconds: float, counts: bool
    ) -> None:
        """Retry batch `number` in `delay_seconds`; does nothing if the batch has ended.

        Args:
          counts: whether the failure counts as an attempt.

        Raises:
          StaleEpoch: the partition is not held under this epoch.
        """
        key, keys, shared = self._place(conversation)
        arguments = (key, epoch, number, _ms(delay_seconds), int(counts))
        _fenced(
            await self._redis.call(
                ScriptCall(scripts.DEFER, (keys.state, shared.due, shared.lock), arguments)
            )
        )

    async def commit(
        self, conversation: Conversation, epoch: int, batch: Batch, outcome: TurnOutcome
    ) -> Snapshot:
        """End the batch and return what waits now. Idempotent; works even when Redis is full.

        Raises:
          StaleEpoch: the partition is not held under this epoch.
        """
        key, keys, shared = self._place(conversation)
        call = ScriptCall(
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
        return _snapshot(conversation, _fenced(await self._redis.call(call))[1])

    async def fence(self, epochs: Mapping[int, int], owner: str) -> dict[int, int]:
        """Claim partitions under the given epochs.

        Returns:
          The partitions that were refused, with the higher epoch that holds each; 0 for one whose lock is gone.

        Raises:
          MirrorUnavailable: Redis is away, or does not hold the data of this installation.
        """
        # A lock of the version before names no installation, so the stamp is checked as well. A Redis that is emptied
        # between this check and the fence has no lock either, and the script refuses.
        if await self._redis.command("HGET", INSTALL, "install_id") != self._redis.installation.encode():
            raise MirrorUnavailable(FOREIGN)
        calls = [
            ScriptCall(scripts.FENCE, (PartitionKeys.of(partition).lock,), (epoch, owner))
            for partition, epoch in epochs.items()
        ]
        answers = await self._redis.call_many(calls)
        rows = zip(epochs, map(reply_or_raise, answers), strict=True)
        return {
            partition: 0 if answer[0] == b"foreign" else answer[1]
            for partition, answer in rows
            if answer[0] != 1
        }

    async def due(self, epochs: Mapping[int, int], limit: int = 1000) -> tuple[list[Conversation], list[int]]:
        """Find conversations that are due.

        Args:
          epochs: the epoch under which each partition is held.
          limit: the most conversations per partition.

        Returns:
          The due conversations, and the partitions that are held under another epoch.
        """
        calls = [
            ScriptCall(scripts.DUE, (keys.due, keys.lock), (epoch, limit))
            for keys, epoch in ((PartitionKeys.of(partition), epoch) for partition, epoch in epochs.items())
        ]
        answers = [reply_or_raise(answer) for answer in await self._redis.call_many(calls)]
        stale = [partition for partition, answer in zip(epochs, answers, strict=True) if not answer[0]]
        return [Conversation.from_key(key.decode()) for answer in answers for key in answer[1:]], stale

    def state_key(self, conversation: Conversation) -> str:
        """The Redis key of a conversation's state."""
        return self._place(conversation).own.state

    def _append_call(self, request: AppendRequest) -> ScriptCall | ValueError:
        """Encode one append. All user text is encoded here, so that a message that cannot be encoded fails alone."""
        message, policy = request.message, request.policy
        try:
            key, keys, shared = self._place(message.conversation)
            identity, payload = message.id.encode(), _encode(message)
        except UnicodeEncodeError:
            return ValueError("the message is not valid Unicode")  # the original error quotes the text
        return ScriptCall(
            scripts.APPEND,
            (keys.queue, keys.state, keys.seen, shared.due, shared.active, shared.totals, shared.lock),
            (
                key,
                identity,
                payload,
                _ms(policy.window_seconds),
                policy.max_messages,
                policy.max_waiting_messages,
                "" if request.at_ms is None else request.at_ms,
                "acknowledged" if request.at_ms is None else "moved_in",
                int(policy.album_seconds > 0),
            ),
        )

    def _load_call(self, conversation: Conversation) -> ScriptCall:
        keys = self._place(conversation).own
        return ScriptCall(scripts.LOAD, (keys.queue, keys.state), ())

    def _place(self, conversation: Conversation) -> Place:
        return place(conversation, self._partitions)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _fenced(answer: RedisReply) -> RedisReply:
    if answer[0] == b"stale":
        raise StaleEpoch("the partition is not held under this epoch")
    return answer


def _appended(answer: RedisReply | MirrorUnavailable) -> Appended:
    if isinstance(answer, MirrorUnavailable):
        return answer
    if answer[0] == b"foreign":
        return MirrorUnavailable(FOREIGN)
    if answer[0] == b"full":
        return ConversationFull("the conversation holds as many waiting messages as it may")
    return _receipt(answer)


def _receipt(reply: RedisReply) -> Receipt:
    status, seq, at_ms, deadline_ms, now_ms, waiting, frozen = reply
    return Receipt(
        duplicate=status == b"dup",
        seq=seq,
        at_ms=at_ms,
        deadline_ms=deadline_ms,
        now_ms=now_ms,
        waiting=waiting,
        frozen=bool(frozen),
    )


def _batch(conversation: Conversation, reply: RedisReply) -> Batch:
    _, number, lo, hi, why, attempts, opened_at_ms, frozen_at_ms, entries = reply
    return Batch(
        conversation=conversation,
        number=number,
        lo=lo,
        hi=hi,
        why=why.decode(),
        attempts=attempts,
        opened_at_ms=opened_at_ms,
        frozen_at_ms=frozen_at_ms,
        entries=tuple(waiting_message(conversation, entry) for entry in entries),
    )


def _snapshot(conversation: Conversation, reply: RedisReply) -> Snapshot:
    now_ms, deadline_ms, batch_number, retry_at_ms, entries = reply
    return Snapshot(
        conversation=conversation,
        now_ms=now_ms,
        waiting=tuple(waiting_message(conversation, entry) for entry in entries),
        deadline_ms=deadline_ms or None,
        batch_number=batch_number or None,
        retry_at_ms=retry_at_ms or None,
    )


def waiting_message(conversation: Conversation, reply: RedisReply) -> Waiting:
    """Decode one stream entry. Never fails.

    An entry that cannot be decoded (damaged, or written by another version) becomes a placeholder message. It must
    not hold up the messages around it, and it must not vanish: the turn records it.
    """
    identity, (_, payload, _, at_ms) = reply
    seq = int(identity.partition(b"-")[0])
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        instance, contact = conversation
        message = Message(instance, contact, f"unreadable-{seq}", UNREADABLE, sent_at=0, kind="unreadable")
    return Waiting(seq=seq, at_ms=int(at_ms), message=message)
