"""The ledger: Postgres as the authority on what was answered.

`migrate` creates the schema and `check_schema` rejects a wrong one. `PostgresLedger` performs the steps of a turn (T1
to T5), each a SQL function in `migrations/` and one round trip. `Records` and `StoredTurns` serve the operators.

In the shared table `whatsapp_messages`, Majlis writes `sender_type` `user` for the customer and `assistant` for its
replies.

May import `daemon/stores` alone.
"""

from daemon.ledger.closing import Closing
from daemon.ledger.ledger import PostgresLedger
from daemon.ledger.migrate import (
    Install,
    Migrated,
    MigrationFailed,
    check_schema,
    check_server,
    install,
    migrate,
    schema_version,
)
from daemon.ledger.records import Records
from daemon.ledger.rows import DeadLetter, TurnRecord

__all__ = [
    "Closing",
    "DeadLetter",
    "Install",
    "Migrated",
    "MigrationFailed",
    "PostgresLedger",
    "Records",
    "TurnRecord",
    "check_schema",
    "check_server",
    "install",
    "migrate",
    "schema_version",
]
