"""A whole turn that is taken back: shows that the daemon's user can write and read what a turn writes and reads.

The catalogue of Postgres answers that for the owner of the tables, and for a user with whole rights. What a policy for
rows lets through, or a right on single columns, shows only in trying. So where there are such, the steps of a turn are
run at the start, by the code that runs them later, in one transaction that is never committed. What is left of it are
gaps in the numbers of some rows. Triggers of the business run too; what they do outside of the database stays done.
"""

from __future__ import annotations

import secrets

from actors.errors import StaleEpoch, TakenOver, TurnFailed
from actors.identity import Conversation
from actors.messages import Answer, Batch, Message, Spent, Waiting
from actors.outcome import Sent
from actors.ports import Reply
from daemon.ledger.ledger import PostgresLedger
from daemon.ledger.rights import HAS_CONDITIONS, what_to_run
from daemon.stores.postgres import LedgerError, LedgerMisconfigured, Postgres, PostgresSession

_CONTACT = "10000000000"
"""No such number can be given out."""

_STATEMENT_SECONDS = 5
_NO_RIGHT = "42501"
_INSTANCE = """
    SELECT instance_name FROM (SELECT instance_name FROM whatsapp_instances
                               WHERE instance_name <> '' ORDER BY instance_name LIMIT 50) AS known
    WHERE (SELECT rule FROM majlis_instance_rule(instance_name)) = '' LIMIT 1
"""

_READ_BACK = """
    SELECT format($sql$
        SELECT 'whatsapp_messages' AS name
        WHERE (SELECT count(*) FROM whatsapp_messages WHERE conversation_id = %1$L) < 2
        UNION ALL
        SELECT 'whatsapp_ai_interactions' WHERE NOT EXISTS (
            SELECT FROM whatsapp_ai_interactions WHERE whatsapp_instance_id = %2$L AND user_phone = %3$L)
        UNION ALL
        SELECT 'whatsapp_escalated_conversations' WHERE NOT EXISTS (
            SELECT FROM whatsapp_escalated_conversations WHERE whatsapp_instance_id = %2$L AND user_phone = %3$L)
        $sql$, t.conversation_id, r.instance_id, t.contact)
    FROM majlis_turns t CROSS JOIN LATERAL majlis_instance_rule(t.instance) r WHERE t.id = $1
"""
"""The question which tables hide what the turn has written. The ids stand in it as literals, which fit any type."""


async def try_a_turn(db: Postgres) -> str | None:
    """What policies or rights on columns keep the user of postgres.dsn from, and what to run; None if from nothing.

    Raises:
      LedgerUnavailable: Postgres cannot be asked.
    """
    if not await db.value(HAS_CONDITIONS):
        return None
    user = str(await db.value("SELECT quote_ident(current_user)"))
    try:
        async with db.session() as session:
            await session.run(f"BEGIN; SET LOCAL statement_timeout = '{_STATEMENT_SECONDS}s'")
            hidden = await _whole_turn(session)
            await session.run("ROLLBACK")
    except LedgerMisconfigured as error:
        if error.sqlstate != _NO_RIGHT:
            raise
        return (
            f"Postgres refuses a turn of {user}, the user of postgres.dsn ({error}): mend the policy or the right, or "
            f"{what_to_run(user)}."
        )
    except (LedgerError, StaleEpoch, TakenOver, TurnFailed):
        return None  # a constraint, a trigger or another daemon was in the way, not a right
    if not hidden:
        return None
    return (
        f"Row-level security hides from {user}, the user of postgres.dsn, what it writes into {', '.join(hidden)}: "
        f"mend the policy, or {what_to_run(user)}."
    )


async def _whole_turn(session: PostgresSession) -> list[str]:
    """From the first step to the last; returns the names of the tables whose rows cannot be read afterwards."""
    instance = await session.value(_INSTANCE)
    if instance is None:
        instance = "majlis-trial"
        await session.fetch("INSERT INTO whatsapp_instances (instance_name) VALUES ($1)", instance)
    await session.fetch(
        "INSERT INTO majlis_partitions (partition) SELECT 0 WHERE NOT EXISTS (SELECT FROM majlis_partitions"
        " WHERE partition = 0)"
    )
    epoch = int(await session.value("SELECT epoch FROM majlis_partitions WHERE partition = 0") or 0)
    ledger, token = PostgresLedger(session, partitions=1), secrets.token_hex(8)
    turn = await ledger.begin(_batch(Conversation(instance, _CONTACT), token), epoch)
    await ledger.spend(turn, epoch, token, Spent(1), ())
    reply = Reply(Answer("trial", "trial", "trial", 0, 0), ("trial",), escalation="asks_for_human")
    turn = await ledger.answer(turn, epoch, reply)
    await ledger.claim(turn, epoch, 0, False, token)
    await ledger.settle(turn, epoch, 0, Sent(token))
    await ledger.finish(turn, epoch)
    rows = await session.fetch(await session.value(_READ_BACK, turn.id))
    return [row["name"] for row in rows]


def _batch(conversation: Conversation, token: str) -> Batch:
    message = Message(conversation.instance, conversation.contact, f"majlis-trial-{token}", "trial", 0)
    return Batch(conversation, 0, 0, 0, "timeout", 0, 0, 0, (Waiting(0, 0, message),))
