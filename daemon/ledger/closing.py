"""Closes what is ours to the world: `majlis migrate` does it each time, after the migrations.

`doors.py` says what is ours and who the world is. Whoever works with a table by a grant of its own goes on: grants and
policies come first, in the transaction that closes the table. The owner needs neither. One table is changed at a time,
and only one that needs it, so that a running daemon waits for no more than that.

Functions get the search path of the migrator for good, so that nobody who calls one decides what its names mean. Not
those in SQL that only read: a setting would keep the planner from seeing into them, and so from indexes. The others pay
under 0.3 µs a call for it, where the first step of a turn takes some 600. None is SECURITY DEFINER: each can do only
what its caller can.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.errors import MajlisError
from daemon.ledger.doors import POLICY, Door, OpenDoors, doors, handed_out, what_is_open
from daemon.ledger.patience import run_with_retries
from daemon.stores.postgres import PostgresSession

_UNPINNED = """
    SELECT p.oid::regprocedure::text AS name, path.words
    FROM (SELECT string_agg(quote_ident(name), ', ') || ', pg_temp' AS words
          FROM unnest(current_schemas(false)) AS name) AS path
    JOIN pg_proc p ON p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('majlis_migrations'))
    JOIN pg_language l ON l.oid = p.prolang
    WHERE p.proname LIKE 'majlis\\_%' AND p.prokind <> 'a' AND NOT (l.lanname = 'sql' AND p.provolatile <> 'v')
      AND pg_has_role(p.proowner, 'USAGE')
      AND NOT ('search_path=' || path.words = ANY (coalesce(p.proconfig, '{}')))
"""

_KNOWN_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1::text[])"

_SCHEMA = """
    SELECT format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, r.rolname) AS sql
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN pg_roles r
    WHERE c.oid = to_regclass('majlis_migrations') AND r.rolname = ANY ($1::text[])
      AND NOT has_schema_privilege(r.oid, n.oid, 'USAGE')
"""


_KINDS = {"TABLE": "table", "SEQUENCE": "sequence", "ROUTINE": "function"}


class CloseRefused(MajlisError):
    """What was asked for makes no sense in this database; the message says why."""


class Closing(msgspec.Struct, frozen=True):
    """What `majlis migrate` is asked to do besides.

    Attributes:
      roles: daemons shall work as these.
      close_tables: close also the shared tables that were there before.
    """

    roles: tuple[str, ...] = ()
    close_tables: bool = False


class Closed(msgspec.Struct, frozen=True):
    """What was done.

    Attributes:
      closed: each with its kind: `table public.majlis_turns`.
      keep: the roles that keep their access to closed tables, by grants and policies.
      shut_out: those that could use the tables before, and cannot any more.
      still_open: what could not be closed, or was not asked for, and what only another owner can change.
    """

    closed: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    shut_out: tuple[str, ...] = ()
    still_open: tuple[OpenDoors, ...] = ()

    def lines(self) -> list[str]:
        """For people: the tables that others work with by name; of what Majlis alone uses, how many."""
        named = [name for name in self.closed if name.startswith("table ") and ".majlis_" not in name]
        lines = [f"closed {name}" for name in named]
        for kind in ("table", "sequence", "function"):
            if number := sum(name.startswith(f"{kind} ") and name not in named for name in self.closed):
                whose = " of Majlis' own (majlis_…)" if kind == "table" else ""
                lines.append(f"closed {number} {kind}{'' if number == 1 else 's'}{whose}")
        if self.keep:
            lines.append(f"these roles keep their rights: {', '.join(self.keep)}")
        if self.shut_out:
            lines += [
                f"these roles could use the tables and cannot any more: {', '.join(self.shut_out)}",
                "  → Software of yours that used whatsapp_… tables as one of them: see docs/operations.md, Supabase.",
            ]
        for found in self.still_open:
            lines += [f"still open: {found.text}", f"  → {found.advice}"]
        return lines


async def close_doors(session: PostgresSession, asked: Closing) -> Closed:
    """Close what is ours, and what else is asked for.

    Raises:
      CloseRefused: a role that is asked for does not exist, or is one of the platform's API.
      LedgerUnavailable: a table stays locked, or the server cannot be reached.
    """
    await _refuse_nonsense(session, asked.roles)
    found = await doors(session, asked.roles)
    changed, others = [], []
    functions: list[str] = []
    for door in found:
        statements = _statements(door, asked)
        if not statements:
            continue
        if not door.may_alter:
            others.append(_for_its_owner(door, statements))
            continue
        changed.append(door)
        if door.kind == "ROUTINE":
            functions += statements
        else:
            await run_with_retries(session, "; ".join(statements))
    functions += [
        f"ALTER ROUTINE {row['name']} SET search_path = {row['words']}"
        for row in await session.fetch(_UNPINNED)
    ]
    functions += [row["sql"] for row in await session.fetch(_SCHEMA, list(asked.roles))]
    if not functions and not changed:
        return Closed(still_open=(*what_is_open(found), *others))
    if functions:
        await run_with_retries(session, "; ".join(functions))
    keep = sorted({role for door in changed for role in _keepers(door, asked)})
    now = await doors(session)
    is_open = {(door.kind, door.name) for door in now if not door.is_shut}
    closed = [door for door in changed if not door.is_shut and (door.kind, door.name) not in is_open]
    names = tuple(f"{_KINDS[door.kind]} {door.name}" for door in closed)
    shut_out = sorted({role for door in closed if door.kind == "TABLE" for role in door.open_to})
    return Closed(names, tuple(keep), tuple(shut_out), (*what_is_open(now), *others))


async def _refuse_nonsense(session: PostgresSession, roles: Sequence[str]) -> None:
    if not roles:
        return
    known = {row["rolname"] for row in await session.fetch(_KNOWN_ROLES, list(roles))}
    if unknown := [role for role in roles if role not in known]:
        raise CloseRefused(f"There is no role {unknown[0]}: create it first, `CREATE ROLE … LOGIN`.")
    if public := await handed_out(session, roles):
        raise CloseRefused(
            f"The platform's API lets anybody act as {public[0]}: give the daemon a role of its own."
        )


def _statements(door: Door, asked: Closing) -> list[str]:
    """What is to be done about this one, in order; nothing if all is well."""
    closes = door.ours or (asked.close_tables and not door.is_shut)
    statements = [
        f"GRANT {lack.words} ON {door.kind} {door.name} TO {lack.role}"
        for lack in door.lacks
        if closes or lack.asked
    ]
    if keeps := _keepers(door, asked):
        if not door.kept:
            statements.append(
                f"CREATE POLICY {POLICY} ON {door.name} TO {', '.join(keeps)} USING (true) WITH CHECK (true)"
            )
        elif set(keeps) != set(door.kept):
            statements.append(f"ALTER POLICY {POLICY} ON {door.name} TO {', '.join(keeps)}")
    elif door.kept and door.ours:
        statements.append(f"DROP POLICY {POLICY} ON {door.name}")
    if closes and door.kind == "TABLE" and door.rls is False:
        statements.append(f"ALTER TABLE {door.name} ENABLE ROW LEVEL SECURITY")
    if closes and door.holders:
        statements.append(f"REVOKE ALL ON {door.kind} {door.name} FROM {', '.join(door.holders)} CASCADE")
    return statements


def _for_its_owner(door: Door, statements: Sequence[str]) -> OpenDoors:
    sql = "; ".join(statements)
    return OpenDoors(
        f"{door.name} belongs to {door.owner}, so nothing was changed", f"As {door.owner} run `{sql};`."
    )


def _keepers(door: Door, asked: Closing) -> tuple[str, ...]:
    """The roles that our policy of this table has to name."""
    if door.keeps is None:
        return ()
    if door.ours or (asked.close_tables and not door.is_shut):
        return door.keeps
    if door.rls is not True:
        return ()  # nothing hides its rows
    return tuple(sorted({*door.kept, *door.asked}))
