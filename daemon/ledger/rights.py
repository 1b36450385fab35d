"""Whether the user of postgres.dsn may do what Majlis does, and what to run where it may not.

A right on some columns is taken for the right here, and a policy for rows is not judged by its condition. Where there
are such, a turn that is taken back shows what they let through: `trial.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from daemon.stores.postgres import Postgres, PostgresSession

WANTED = """
    wanted (name, needed, granted) AS (
        VALUES ('whatsapp_instances', '{SELECT,INSERT}'::text[], '{SELECT,INSERT,UPDATE}'::text[]),
               ('whatsapp_conversations', '{SELECT,INSERT,UPDATE}', NULL),
               ('whatsapp_messages', '{SELECT,INSERT,UPDATE}', NULL),
               ('whatsapp_ai_interactions', '{SELECT,INSERT}', NULL),
               ('whatsapp_escalated_conversations', '{SELECT,INSERT,UPDATE}', NULL),
               ('whatsapp_ai_config', '{SELECT}', '{SELECT,INSERT,UPDATE}'),
               ('whatsapp_webhook_config', '{SELECT}', '{SELECT,INSERT,UPDATE}'),
               ('majlis_migrations', '{SELECT}', NULL),
               ('majlis_own_tables', '{SELECT}', NULL),
               ('majlis_install', '{SELECT,INSERT}', NULL)
    )
"""
"""The rights that the daemon needs on tables; on all others of `majlis_…` it needs all four.

`granted`: what `majlis migrate --role` gives it, where that is more: without it, only `majlis instance set` and its kin
cannot write there.
"""

_OURS = f"""
    {WANTED}, ours AS (
        SELECT c.oid, c.relname, c.relkind, format('%I.%I', n.nspname, c.relname) AS name,
               coalesce(w.needed, '{{SELECT,INSERT,UPDATE,DELETE}}') AS needed
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN wanted w ON w.name = c.relname
        WHERE n.nspname = ANY (current_schemas(false)) AND c.relkind IN ('r', 'p')
          AND (w.name IS NOT NULL OR c.relname LIKE 'majlis\\_%') AND pg_table_is_visible(c.oid)
    )
"""

_ASKS = f"""
    WITH {_OURS}
    SELECT 'right' AS kind, o.name, array_agg(r.word ORDER BY r.place) AS words
    FROM ours o, unnest(o.needed) WITH ORDINALITY AS r (word, place)
    WHERE NOT CASE r.word WHEN 'DELETE' THEN has_table_privilege(o.oid, r.word)
                          ELSE has_any_column_privilege(o.oid, r.word) END
    GROUP BY o.name
    UNION ALL
    SELECT 'rows', o.name, array_agg(r.word ORDER BY r.place)
    FROM ours o, unnest(o.needed) WITH ORDINALITY AS r (word, place)
    WHERE row_security_active(o.oid) AND NOT EXISTS (
        SELECT FROM pg_policy p, unnest(p.polroles) AS role
        WHERE p.polrelid = o.oid AND p.polpermissive AND (role = 0 OR pg_has_role(role, 'USAGE'))
          AND p.polcmd IN ('*', CASE r.word WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' WHEN 'UPDATE' THEN 'w'
                                            ELSE 'd' END))
    GROUP BY o.name
    UNION ALL
    SELECT 'sequence', s.oid::regclass::text, '{{USAGE}}'
    FROM pg_class s
    JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                    AND d.deptype = 'a'
    JOIN ours o ON o.oid = d.refobjid
    WHERE 'INSERT' = ANY (o.needed)
      AND CASE s.relkind WHEN 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') ELSE false END
    UNION ALL
    SELECT 'function', min(n.nspname), '{{EXECUTE}}'
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY (current_schemas(false)) AND p.proname LIKE 'majlis\\_%'
      AND NOT has_function_privilege(p.oid, 'EXECUTE')
    HAVING count(*) > 0
    UNION ALL
    SELECT 'schema', n.nspname, '{{USAGE}}'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = 'majlis_migrations' AND NOT has_schema_privilege(n.oid, 'USAGE')
      AND NOT EXISTS (SELECT FROM ours WHERE ours.relname = 'majlis_migrations')
    ORDER BY 1, 2
"""
"""What the user lacks: kind, name of the object, and the rights. `rows`: row-level security lets nothing through."""

_FOR_INSTANCES = f"""
    WITH {WANTED}
    SELECT format('%I.%I', n.nspname, c.relname) AS name, array_agg(r.word ORDER BY r.place) AS words,
           quote_ident(current_user) AS role
    FROM wanted w JOIN pg_class c ON c.relname = w.name JOIN pg_namespace n ON n.oid = c.relnamespace,
         unnest(w.granted) WITH ORDINALITY AS r (word, place)
    WHERE n.nspname = ANY (current_schemas(false)) AND pg_table_is_visible(c.oid)
      AND NOT has_any_column_privilege(c.oid, r.word)
    GROUP BY 1 ORDER BY 1
"""

HAS_CONDITIONS = f"""
    WITH {_OURS}
    SELECT EXISTS (
        SELECT FROM ours o
        WHERE row_security_active(o.oid)
           OR EXISTS (SELECT FROM unnest(o.needed) AS word WHERE NOT has_table_privilege(o.oid, word)))
"""
"""Whether policies for rows, or rights on single columns, decide about a row of ours."""

_MAY_CREATE = """
    SELECT quote_ident(current_user) AS name, quote_ident(current_schema()) AS schema,
           has_schema_privilege(current_schema(), 'CREATE') AS may
"""


async def check_rights(db: Postgres) -> str | None:
    """Which right the user lacks on what, and what to run; None if it has all."""
    rows = await db.fetch(_ASKS)
    if not rows:
        return None
    user = str(await db.value("SELECT quote_ident(current_user)"))
    lacking = [row for row in rows if row["kind"] != "rows"]
    if not lacking:
        return (
            f"Row-level security lets {user}, the user of postgres.dsn, see or write no rows of "
            f"{_names([row['name'] for row in rows])}: {what_to_run(user)}."
        )
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for row in lacking:
        grouped[row["kind"], tuple(row["words"])].append(row["name"])
    lacks = "; ".join(
        f"{', '.join(words)} on {_WHAT[kind]}{_names(names)}" for (kind, words), names in grouped.items()
    )
    return f"{user}, the user of postgres.dsn, lacks {lacks}: {what_to_run(user)}."


async def missing_for_instances(db: Postgres) -> str | None:
    """Which right to change instances the user lacks, and the GRANT for it; None if it has all."""
    rows = await db.fetch(_FOR_INSTANCES)
    if not rows:
        return None
    grants = " ".join(f"GRANT {', '.join(row['words'])} ON {row['name']} TO {row['role']};" for row in rows)
    return (
        f"{rows[0]['role']}, the user of postgres.dsn, may not change instances: as the owner of the tables run "
        f"`{grants}`, or `majlis migrate --role {rows[0]['role']}`."
    )


def what_to_run(user: str) -> str:
    """How a daemon's user gets all that it needs."""
    return f"with the owner of the tables in postgres.dsn run `majlis migrate --role {user}`"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


_NAMED = 3
_WHAT = {"right": "", "sequence": "", "function": "the functions of ", "schema": "the schema "}


async def why_not_create(session: PostgresSession) -> str | None:
    """Why the user may not create tables, and what to run; None if it may."""
    found = (await session.fetch(_MAY_CREATE))[0]
    if found["schema"] is None:
        return (
            f"{found['name']}, the user of postgres.dsn, has no schema: as a superuser run "
            f"`GRANT USAGE, CREATE ON SCHEMA public TO {found['name']};`, or set its search_path."
        )
    if not found["may"]:
        return (
            f"{found['name']}, the user of postgres.dsn, may not create tables in the schema {found['schema']}: as its "
            f"owner run `GRANT CREATE ON SCHEMA {found['schema']} TO {found['name']};`."
        )
    return None
