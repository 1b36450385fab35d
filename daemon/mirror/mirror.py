"""The mirror: the durable copy of buffers, windows and batches in Redis (`actors.ports.Mirror`).

Every change is one Lua script and therefore atomic; `scripts/prelude.lua` lists what the scripts guarantee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from actors.errors import ConversationFull, MirrorUnavailable, StaleEpoch
from actors.identity import Conversation
from actors.messages import Batch, CloseReason, Message, Receipt, Snapshot, TurnOutcome, Waiting, WindowPolicy
from daemon.mirror import scripts
from daemon.mirror.group_commit import AppendRequest
from daemon.mirror.keys import CHANGES, INSTALL, ConversationKeys, Keyed, PartitionKeys, Place, place
from daemon.mirror.over import MAX_TOGETHER, OfPartition, call_of, is_refused_together
from daemon.stores.redis import Argument, RedisReply, RedisStore, ScriptCall, reply_or_raise

KEEP_PROCESSED_SECONDS = 300
"""Processed messages are kept this long, for debugging."""
KEEP_IDS_SECONDS = 48 * 3600
"""Message ids are remembered this long after processing; the gateway stops retrying long before."""
KEEP_IDS = 10_000
"""The most processed ids remembered per conversation."""

FOREIGN = "foreign"
"""Why a Redis that does not hold this installation's data is refused: flushed, or another one."""

MAX_DUE = 2000
"""The most conversations of one answer to what is due."""

UNREADABLE = "[a message that could not be read]"

_decoder = msgspec.json.Decoder(Message)
_encode = msgspec.json.Encoder().encode

Appended = Receipt | ConversationFull | MirrorUnavailable | ValueError
"""The outcome of one append in a group."""


class GoesOn(NamedTuple):
    """Where a search for what is overdue goes on."""

    partition: int
    score: bytes
    ties: int
    """How many of this score are known."""


class DuePage(NamedTuple):
    """What is due, or a part of it."""

    conversations: Sequence[Conversation] = ()
    stale: Sequence[int] = ()
    """Partitions that are held under another epoch."""
    goes_on: GoesOn | None = None
    """The bound was reached: there may be more from here on."""
    changes: bytes | None = None
    """The counter of changes of settings."""

    def with_more(self, partitions: Sequence[int], reply: RedisReply) -> DuePage:
        changes, stale, rest, found = reply
        return DuePage(
            [*self.conversations, *(Conversation.from_key(key.decode()) for key in found)],
            [*self.stale, *(partitions[number] for number in stale)],
            self.goes_on or (GoesOn(partitions[rest[0]], rest[1], rest[2]) if rest else None),
            changes,
        )


class RedisMirror:
    """Implements `actors.ports.Mirror` on a `RedisStore`.

    Args:
      appends: the same Redis over a connection that carries nothing else: acknowledgements wait for no turn.
      looks: over a connection for what looks at everything.
      alarm_seconds: a frozen batch that is neither deferred nor committed for this long becomes due again.
    """

    def __init__(
        self,
        redis: RedisStore,
        partitions: int,
        *,
        appends: RedisStore | None = None,
        looks: RedisStore | None = None,
        alarm_seconds: float = 60.0,
    ) -> None:
        self._redis = redis
        self._appends = appends or redis
        self._looks = looks or redis
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
        return _snapshot(conversation, await self._redis.call(_load_call(self._place(conversation).own)))

    async def load_many(self, conversations: Sequence[Keyed]) -> list[Snapshot]:
        """Many conversations in one round trip.

        Raises:
          MirrorUnavailable: one of them could not be loaded.
        """
        calls = [_load_call(ConversationKeys.of(key, partition)) for key, partition in conversations]
        rows = zip(conversations, await self._redis.call_many(calls), strict=True)
        return [_snapshot(Conversation.from_key(key), reply_or_raise(answer)) for (key, _), answer in rows]

    async def freeze(
        self, conversation: Conversation, epoch: int, why: CloseReason, policy: WindowPolicy
    ) -> Batch | None:
        """Freeze the waiting messages into a batch, or return the unfinished batch unchanged; None if there is neither.

        None also for `quiet` where something more was said meanwhile: it is not time yet.

        Raises:
          StaleEpoch: the partition is not held under this epoch.
        """
        key, keys, shared = self._place(conversation)
        window = (_ms(policy.lasts_seconds), policy.max_messages)
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
                _longest_ms(policy),
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

    async def due(
        self,
        epochs: Mapping[int, int],
        within_seconds: float | None = None,
        *,
        goes_on: GoesOn | None = None,
        limit: int = MAX_DUE,
    ) -> DuePage:
        """Find conversations that are due.

        Args:
          epochs: the epoch under which each partition is held; they are looked through in this order.
          within_seconds: became due so lately; None: all that is overdue.
          goes_on: where to go on in the first partition.
          limit: the most conversations.
        """
        numbers = list(epochs)
        page = DuePage()
        while numbers and not self._redis.is_split:
            part, numbers = numbers[:MAX_TOGETHER], numbers[MAX_TOGETHER:]
            arguments = _due_arguments(within_seconds, limit - len(page.conversations), goes_on)
            shares = [_due_share(number, epochs[number]) for number in part]
            (reply,) = await self._looks.call_many([call_of(scripts.DUE, arguments, shares, [CHANGES])])
            if is_refused_together([reply]):
                self._redis.split()
                break
            page, goes_on = page.with_more(part, reply_or_raise(reply)), None
            if page.goes_on is not None:
                break
        return (
            page
            if not self._redis.is_split
            else await self._due_apart(epochs, within_seconds, goes_on, limit)
        )

    async def _due_apart(
        self, epochs: Mapping[int, int], within_seconds: float | None, goes_on: GoesOn | None, limit: int
    ) -> DuePage:
        """Each partition for itself: the bound is divided between them."""
        calls = []
        for number, epoch in epochs.items():
            arguments = _due_arguments(within_seconds, max(1, limit // len(epochs)), goes_on)
            calls.append(call_of(scripts.DUE, arguments, [_due_share(number, epoch)]))
            goes_on = None
        page = DuePage()
        for number, reply in zip(epochs, await self._looks.call_many(calls), strict=True):
            page = page.with_more([number], reply_or_raise(reply))
        return page._replace(changes=await self._looks.command("GET", CHANGES))

    @property
    def is_split(self) -> bool:
        """Whether each partition must be asked for itself."""
        return self._redis.is_split

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
                _ms(policy.lasts_seconds),
                policy.max_messages,
                policy.max_waiting_messages,
                "" if request.at_ms is None else request.at_ms,
                "acknowledged" if request.at_ms is None else "moved_in",
                int(policy.album_seconds > 0),
                _longest_ms(policy),
            ),
        )

    def _place(self, conversation: Conversation) -> Place:
        return place(conversation, self._partitions)


def _load_call(keys: ConversationKeys) -> ScriptCall:
    return ScriptCall(scripts.LOAD, (keys.queue, keys.state), ())


def _due_share(partition: int, epoch: int) -> OfPartition:
    keys = PartitionKeys.of(partition)
    return OfPartition((keys.due, keys.lock), (epoch,))


def _due_arguments(within_seconds: float | None, limit: int, goes_on: GoesOn | None) -> Sequence[Argument]:
    within = "" if within_seconds is None else _ms(within_seconds)
    return (within, limit, goes_on.score if goes_on else "", goes_on.ties if goes_on else 0)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _longest_ms(policy: WindowPolicy) -> Argument:
    """After its first message a window is over at the latest; empty: what is said later does not move its end."""
    return _ms(policy.max_seconds) if policy.kind == "quiet" else ""


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
