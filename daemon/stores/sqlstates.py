"""What each error code of Postgres means for the work: one table, from which everything else follows.

Only what Postgres says about the values of this statement counts against the work. Everything else, and every code
that is not listed, is taken for trouble of the server, of a pooler or of the setup: the work is held until it ends.
`turn.max_hold_seconds` bounds that where the guess is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cause = Literal["work", "away", "setup"]


@dataclass(frozen=True)
class Meaning:
    """What to make of an error.

    Attributes:
      cause: `work`: the statement's own values were refused, waiting does not help. `away`: the server cannot do it
        now. `setup`: somebody has to change something (a right, a table, a pooler).
      word: the reason that is shown.
      keeps_session: the error cannot be a property of the session. All other sessions are replaced after an error,
        because a session may keep a state that its server has left long ago.
      again: the statement had no effect, and a new session may do it: it is asked for once more at once.
    """

    cause: Cause
    word: str = ""
    keeps_session: bool = False
    again: bool = False


_WORK = Meaning("work", keeps_session=True)
_SETUP = Meaning("setup", "postgres_misconfigured", again=True)

UNEXPECTED = Meaning("away", "postgres_unexpected")
"""For every code that is not in the table."""

TABLE = {
    # What the statement's own values, or the triggers and constraints that judge them, refuse.
    "20": _WORK,  # no branch of a CASE in a trigger
    "21": _WORK,  # a subquery of a trigger found several rows
    "22": _WORK,  # data
    "23": _WORK,  # constraints
    "27": _WORK,  # a trigger changed the row under us
    "38": _WORK,  # a trigger in another language raised
    "44": _WORK,  # WITH CHECK OPTION
    "54": _WORK,  # too large for an index, too deep
    "MJ": _WORK,  # raised by the ledger's own functions
    "P0": _WORK,  # RAISE, ASSERT and STRICT in triggers
    # Passing states of the server that a session does not remember.
    "40": Meaning("away", "postgres_collision", keeps_session=True),
    "55P03": Meaning("away", "postgres_locked", keeps_session=True),
    "57014": Meaning("away", "postgres_statement_timeout", keeps_session=True),
    # The connection, the server, or a pooler before it.
    "08": Meaning("away", "postgres_connection_lost"),
    "08P01": Meaning("setup", "postgres_protocol_refused"),
    "24": Meaning("away", "postgres_session_state", again=True),
    "25": Meaning("away", "postgres_session_state", again=True),
    "25006": Meaning("away", "postgres_read_only", again=True),
    "25P03": Meaning("away", "postgres_idle_in_transaction", again=True),
    "26": Meaning("setup", "postgres_statement_lost", again=True),
    "34": Meaning("away", "postgres_session_state", again=True),
    "42P05": Meaning("setup", "postgres_statement_lost", again=True),
    "53": Meaning("away", "postgres_out_of_resources"),
    "53100": Meaning("away", "postgres_disk_full"),
    "53300": Meaning("away", "postgres_too_many_connections"),
    "55": Meaning("away", "postgres_not_in_state", again=True),
    "57": Meaning("away", "postgres_intervention"),
    "57P": Meaning("away", "postgres_stopping_or_starting"),
    "58": Meaning("away", "postgres_system_error"),
    "XX": Meaning("away", "postgres_internal_error", again=True),
    # What somebody has to change: rights, tables, names, settings.
    "0A": _SETUP,
    "0L": _SETUP,
    "0P": _SETUP,
    "28": Meaning("setup", "postgres_login_refused"),
    "2F": _SETUP,
    "39": _SETUP,
    "3D": Meaning("setup", "postgres_no_such_database"),
    "3F": _SETUP,
    "42": _SETUP,
    "F0": _SETUP,
    "HV": _SETUP,
}
"""SQLSTATEs by their beginning; the longest that fits counts."""

DRIVER_FAILED = "postgres_driver_failed"
DSN_UNUSABLE = "postgres_dsn_unusable"
"""What the driver says without the server."""

ADVICE = {
    DRIVER_FAILED: "if it stays, restart Majlis and report the name in the brackets",
    "postgres_disk_full": "make room on the disk of the Postgres server",
    DSN_UNUSABLE: "check postgres.dsn, its parameters, and the certificate files that it names",
    "postgres_login_refused": "check the user and the password in postgres.dsn, and pg_hba.conf",
    "postgres_misconfigured": "run `majlis doctor`, which names what the user of postgres.dsn lacks",
    "postgres_no_such_database": "create the database that postgres.dsn names",
    "postgres_protocol_refused": "postgres.dsn seems to name a pooler: see `Poolers` in docs/operations.md, or name"
    " Postgres itself",
    "postgres_read_only": "point postgres.dsn at the primary",
    "postgres_statement_lost": "a pooler that changes sessions between statements is not supported: let postgres.dsn"
    " name Postgres itself, or a pool in session mode",
    "postgres_too_many_connections": "raise max_connections of Postgres, or lower postgres.pool_size",
}
"""What to do about some of the words; of the others, only time helps."""


def meaning(sqlstate: str) -> Meaning:
    """What to make of this code."""
    for length in range(len(sqlstate), 1, -1):
        if (found := TABLE.get(sqlstate[:length])) is not None:
            return found
    return UNEXPECTED
