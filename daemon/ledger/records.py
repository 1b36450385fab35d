"""The operators' queries and changes: dead letters, turns, counts, pauses, the audit log. Not used in a turn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from actors.identity import Conversation, canonical_contact
from actors.lookups import FailedCall
from actors.messages import Message, Spent
from actors.turn_end import HELD_TOO_LONG, MIRROR_LOST, TOO_OLD
from daemon.ledger.rows import (
    Attention,
    AuditRow,
    DailyUsage,
    DeadLetter,
    Escalated,
    FlagRow,
    HandedBack,
    LastSends,
    MachineSilence,
    OwnMessageRow,
    Pause,
    ScopeRows,
    SettingRow,
    SilenceReasons,
    StoredInstances,
    TakeoverPeriod,
    TurnRecord,
)
from daemon.ledger.sql import statements
from daemon.ledger.wire import encoded, storable
from daemon.stores.postgres import Postgres, Row

_SQL = statements("records.sql")


class Records:
    """The operators' side of the ledger. Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def dead_letters(self, limit: int = 100, with_retried: bool = False) -> tuple[DeadLetter, ...]:
        """Newest first."""
        return tuple(map(_dead_letter, await self._db.fetch(_SQL["dead_letters"], with_retried, limit, None)))

    async def dead_letter(self, number: int) -> DeadLetter | None:
        rows = await self._db.fetch(_SQL["dead_letters"], True, 1, number)
        return _dead_letter(rows[0]) if rows else None

    async def open_dead_letters(self) -> int:
        """How many dead letters were neither retried nor dropped."""
        return int(await self._db.value(_SQL["open_dead_letters"]))

    async def refused_lids(self, limit: int) -> list[tuple[int, str, str, str]]:
        """Open dead letters of LIDs that WhatsApp did not know: number, instance, LID, and phone number or nothing."""
        rows = await self._db.fetch(_SQL["refused_lids"], limit)
        return [(row["id"], row["instance"], row["lid"], row["phone"]) for row in rows]

    async def mark_retried(self, number: int) -> bool:
        """Returns False if it was retried before."""
        return bool(await self._db.value(_SQL["mark_retried"], number))

    async def mark_dropped(self, number: int) -> bool:
        """Returns False if it was retried or dropped before."""
        return bool(await self._db.value(_SQL["mark_dropped"], number))

    async def bury_unfinished(self) -> int:
        """After the mirror was lost for good: turn every unfinished turn into a dead letter; returns how many."""
        return len(await self._db.fetch(_SQL["bury_unfinished"]))

    async def turn(self, number: int) -> TurnRecord | None:
        rows = await self._db.fetch(_SQL["turn"] + _SQL["by_number"], number)
        return _turn(rows[0]) if rows else None

    async def turns(self, conversation: Conversation, limit: int = 20) -> tuple[TurnRecord, ...]:
        """The newest turns of one conversation, newest first."""
        sql = _SQL["turn"] + _SQL["of_conversation"]
        return tuple(map(_turn, await self._db.fetch(sql, storable(conversation.key), limit)))

    async def has_turns(self) -> bool:
        """Whether any turn was ever stored."""
        return bool(await self._db.value(_SQL["has_turns"]))

    async def attention(self, hand_back_seconds: float) -> Attention:
        """Count what may need a person. Escalations older than `hand_back_seconds` have ended and are not counted."""
        return Attention(**(await self._db.fetch(_SQL["attention"], hand_back_seconds))[0])

    async def silence(self, conversation: Conversation, hand_back_seconds: float) -> SilenceReasons:
        """Why Majlis does not answer in this conversation now, if so."""
        found = await self._db.value(_SQL["silence"], *_named(conversation), hand_back_seconds)
        return msgspec.json.decode(found, type=SilenceReasons)

    async def silent(self, hand_back_seconds: float, limit: int) -> dict[Conversation, SilenceReasons]:
        """Conversations in which Majlis does not answer now, the latest first."""
        found: dict[Conversation, SilenceReasons] = {}
        for row in await self._db.fetch(_SQL["silent"], hand_back_seconds, limit):
            conversation = Conversation(row["instance"], canonical_contact(row["contact"]))
            found[conversation] = _with_reason(found.get(conversation, SilenceReasons()), row)
        return found

    async def own_messages(self, conversation: Conversation, limit: int) -> tuple[OwnMessageRow, ...]:
        """What the business wrote there, the latest first."""
        rows = await self._db.fetch(_SQL["own_messages"], *_named(conversation), limit)
        return tuple(msgspec.json.decode(row["majlis_own_view"], type=OwnMessageRow) for row in rows)

    async def hand_back(self, conversation: Conversation) -> HandedBack:
        """Let Majlis answer again in this conversation."""
        rows = await self._db.fetch(_SQL["hand_back"], *_named(conversation), repeatable=False)
        return HandedBack(**rows[0])

    async def opt_in(self, conversation: Conversation) -> bool:
        """End the customer's opt-out; returns whether there was one."""
        return bool(await self._db.value(_SQL["opt_in"], *_named(conversation)))

    async def store_numbers(self, numbers: Mapping[str, str]) -> None:
        """Store the numbers of instances, by their names."""
        names = [storable(name) for name in numbers]
        await self._db.fetch(_SQL["instance_numbers"], names, list(numbers.values()))

    async def known(self, conversations: Collection[Conversation]) -> tuple[Conversation, ...]:
        """Those that have turns, the one with the latest first."""
        keys = [storable(one.key) for one in conversations]
        return tuple(Conversation.from_key(row["key"]) for row in await self._db.fetch(_SQL["known"], keys))

    async def usage(self, days: int, instance: str | None = None) -> tuple[DailyUsage, ...]:
        """The usage of today and the `days - 1` days before, the latest day first."""
        rows = await self._db.fetch(_SQL["usage"], days, None if instance is None else storable(instance))
        return tuple(DailyUsage(**row) for row in rows)

    async def add_usage(self, instance: str, spent: Spent) -> None:
        """Count for today what was paid for outside of turns."""
        await self._db.fetch(
            _SQL["add_usage"],
            storable(instance),
            spent.input_tokens,
            spent.output_tokens,
            spent.cost_micros,
            repeatable=False,
        )

    async def run_time(
        self, daemon_scope: str, max_settings: int, buckets: Collection[int] | None = None
    ) -> dict[str, ScopeRows]:
        """By scope, the feature flags and settings made at run time for one daemon and for instances.

        `buckets`: only what lies in these.
        """
        asked: tuple[object, ...] = (daemon_scope, max_settings)
        if buckets is None:
            rows = await self._db.fetch(_SQL["run_time"], *asked)
        else:
            rows = await self._db.fetch(_SQL["run_time_of_buckets"], *asked, sorted(buckets))
        by_scope: dict[str, tuple[int, list[FlagRow], list[SettingRow]]] = {}
        for row in rows:
            is_flag, bucket = row.pop("is_flag"), row.pop("bucket")
            _, flags, settings = by_scope.setdefault(row["scope"], (bucket, [], []))
            if is_flag:
                flags.append(FlagRow(row["scope"], row["key"], row["value"] == "true"))
            else:
                settings.append(SettingRow(**row))
        return {
            scope: ScopeRows(tuple(flags), tuple(settings), bucket)
            for scope, (bucket, flags, settings) in by_scope.items()
        }

    async def set_setting(self, scope: str, key: str, value: object, by: str) -> None:
        await self._db.fetch(_SQL["set_setting"], storable(scope), key, encoded(value), storable(by))

    async def clear_setting(self, scope: str, key: str) -> None:
        await self._db.fetch(_SQL["clear_setting"], storable(scope), storable(key))

    async def set_flag(self, row: FlagRow) -> None:
        await self._db.fetch(_SQL["set_flag"], row.scope, row.flag, row.value)

    async def clear_flag(self, scope: str, flag: str) -> None:
        await self._db.fetch(_SQL["clear_flag"], scope, flag)

    async def pauses(self) -> tuple[Pause, ...]:
        """The pauses in force."""
        return tuple(Pause(**row) for row in await self._db.fetch(_SQL["pauses"]))

    async def pause(self, instance: str, seconds: float | None) -> None:
        """Pause one instance, or all for `''`; with None until it is resumed."""
        await self._db.fetch(_SQL["pause"], storable(instance), seconds)

    async def unpause(self, instance: str) -> None:
        await self._db.fetch(_SQL["unpause"], storable(instance))

    async def knows_instance(self, name: str) -> bool:
        return bool(await self._db.value(_SQL["knows_instance"], storable(name)))

    async def stored_instances(self, known: Collection[str], limit: int) -> StoredInstances:
        """Instances in the database that Majlis may answer, without the `known` ones."""
        rows = await self._db.fetch(_SQL["stored_instances"], sorted(map(storable, known)), limit)
        return (
            StoredInstances(tuple(row["name"] for row in rows), rows[0]["total"])
            if rows
            else StoredInstances()
        )

    async def last_sends(self, instances: Collection[str], limit: int = 20) -> dict[str, LastSends]:
        """What became of the latest parts of replies of each of these instances, at most `limit` of each."""
        parts: dict[str, list[Row]] = {name: [] for name in instances}
        by_stored = {storable(name): name for name in instances}
        for row in await self._db.fetch(_SQL["last_sends"], sorted(by_stored), limit):
            parts[by_stored[row["instance"]]].append(row)
        return {name: _last_sends(rows) for name, rows in parts.items()}

    async def register_instances(self, names: Iterable[str]) -> tuple[str, ...]:
        """Insert a row for each configured instance that has none; returns the new ones."""
        rows = await self._db.fetch(_SQL["register_instances"], sorted(set(names)))
        return tuple(row["instance_name"] for row in rows)

    async def note_registered(self, names: Iterable[str]) -> None:
        """Make the first versions of instances that were just registered."""
        await self._db.fetch(_SQL["note_registered"], sorted(names))

    async def audit(self, uid: int, pid: int, action: str, target: str, detail: Mapping[str, object]) -> int:
        """Record what an operator is about to do; returns the entry's number."""
        sql, said = _SQL["audit"], encoded(dict(detail))
        rows = await self._db.fetch(sql, uid, pid, action, storable(target), said, repeatable=False)
        return int(rows[0]["id"])

    async def audit_outcome(self, number: int, outcome: str, why: str) -> None:
        """Record what became of it."""
        await self._db.fetch(_SQL["audit_outcome"], number, outcome, storable(why))

    async def audited(self, limit: int, action: str) -> tuple[AuditRow, ...]:
        """What operators did, the latest first; only actions whose name begins with `action`."""
        rows = await self._db.fetch(_SQL["audited"], limit, storable(action))
        return tuple(AuditRow(**dict(row)) for row in rows)

    async def note_unknown_own(self, instance: str, contacts: Sequence[str], sent_at: int, most: int) -> None:
        """The business wrote in a chat of an instance that nobody knows; at most `most` chats are noted."""
        await self._db.fetch(
            _SQL["note_unknown_own"], storable(instance), list(map(storable, contacts)), sent_at, most
        )

    async def came_too_early(self, names: int, messages: int) -> dict[str, tuple[Message, ...]]:
        """By instance: what was heard of it within a day, before it was set up; see migration 042."""
        rows = await self._db.fetch(_SQL["came_too_early"], names, messages)
        return {
            row["instance"]: msgspec.json.decode(row["messages"], type=tuple[Message, ...]) for row in rows
        }


def _last_sends(parts: Sequence[Row]) -> LastSends:
    failed = [part for part in parts if part["state"] != "sent"]
    return LastSends(
        ids=tuple(part["id"] for part in parts if part["id"]),
        sent=len(parts) - len(failed),
        failed=len(failed),
        reason=failed[0]["reason"] if failed else "",
    )


def _with_reason(known: SilenceReasons, row: Row) -> SilenceReasons:
    """Of several rows of one rule the latest comes first, and counts."""
    reason: TakeoverPeriod | MachineSilence | Escalated | datetime
    match row["rule"]:
        case "taken_over":
            reason = TakeoverPeriod(row["since"], row["until"])
        case "machine":
            reason = MachineSilence(row["since"], row["until"], tuple(row["signs"]))
        case "opted_out":
            reason = row["since"]
        case _:
            reason = Escalated(row["since"], row["why"])
    if getattr(known, row["rule"]) is not None:
        return known
    return msgspec.structs.replace(known, **{row["rule"]: reason})


def _dead_letter(row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        turn_id=row["turn_id"],
        conversation=Conversation.from_key(row["conversation_key"]),
        batch_number=row["batch_number"],
        reason=row["reason"],
        detail=row["detail"],
        # The column counts those that failed before the last one; these reasons end no attempt.
        attempts=row["tries"] + (row["reason"] not in (HELD_TOO_LONG, MIRROR_LOST, TOO_OLD)),
        created_at=row["created_at"],
        retried_at=row["retried_at"],
        dropped_at=row["dropped_at"],
        messages=msgspec.json.decode(row["messages"], type=tuple[Message, ...]),
        provider=row["provider"],
        parts=tuple(row["parts"]),
        failures=msgspec.json.decode(row["failures"], type=tuple[FailedCall, ...]),
        cost_micros=row["cost_micros"],
    )


def _turn(row: Row) -> TurnRecord:
    stored = {name: msgspec.json.decode(row[name]) for name in ("messages", "waterfall", "failures", "parts")}
    return msgspec.convert(row | stored, TurnRecord)


def _named(conversation: Conversation) -> tuple[str, str]:
    return storable(conversation.instance), storable(conversation.contact)
