"""What the world may do with our tables and functions, and who works with them: what the catalogue of Postgres says.

The world is PUBLIC and the roles of the platform's API. Supabase grants whatever is created in its schema to `anon` and
`authenticated`, and PostgREST lets anybody who knows the project's public key, or has an account in the business' own
software, act as one of these; it lets them reach every table and function of the schema. `authenticator` is the role
that it logs in as, and the roles that this one may switch to belong to the API as well. Not so `service_role`, the
business' own key for its servers, nor a role that the rows of a table do not hide from anyway.

Ours is what is called `majlis_…` in the schema of Majlis, and those shared tables that Majlis has made. The partitions
of a table, and what inherits from it, are doors to the same rows, with rights of their own: they count as the table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from daemon.ledger.rights import WANTED
from daemon.stores.postgres import Postgres, PostgresSession

POLICY = "majlis_keeps"
"""The policy by which roles that had rights on a table before it was closed keep seeing its rows."""

_NAMED = 3

_WORLD = f"""
    WITH RECURSIVE {WANTED}, place AS (
        SELECT c.relnamespace AS nsp, c.relowner AS owner, n.nspname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('majlis_migrations')
    ), api AS (
        SELECT r.oid, r.rolname FROM pg_roles r CROSS JOIN place
        WHERE r.rolname IN ('anon', 'authenticated', 'authenticator')
           OR NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname <> 'service_role'
              AND NOT pg_has_role(r.oid, place.owner, 'USAGE')
              AND r.oid IN (SELECT m.roleid FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member
                            WHERE a.rolname = 'authenticator')
    ), named (oid, ours, wants) AS (
        SELECT c.oid, coalesce(o.ours, true), coalesce(w.granted, w.needed, '{{SELECT,INSERT,UPDATE,DELETE}}')
        FROM place JOIN pg_class c ON c.relnamespace = place.nsp
        LEFT JOIN majlis_own_tables o ON o.name = c.relname LEFT JOIN wanted w ON w.name = c.relname
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (c.relname LIKE 'majlis\\_%' OR o.name IS NOT NULL)
        UNION ALL
        SELECT i.inhrelid, named.ours, '{{}}' FROM named JOIN pg_inherits i ON i.inhparent = named.oid
    ), tables AS (
        SELECT c.oid, c.relname, c.relowner, n.nspname, named.ours, named.wants,
               coalesce(c.relacl, acldefault('r', c.relowner)) || (
                   SELECT array_agg(item) FROM pg_attribute a, unnest(a.attacl) AS item
                   WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL) AS acl,
               CASE WHEN c.relkind IN ('r', 'p') THEN c.relrowsecurity END AS rls
        FROM (SELECT oid, bool_and(ours) AS ours, max(wants) AS wants FROM named GROUP BY oid) AS named
        JOIN pg_class c ON c.oid = named.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    ), objects (kind, oid, name, bare, owner, ours, rls, acl, wants) AS (
        SELECT 'TABLE', t.oid, format('%I.%I', t.nspname, t.relname), t.relname, t.relowner, t.ours, t.rls,
               t.acl, CASE WHEN t.rls IS NOT NULL THEN t.wants END
        FROM tables t
        UNION ALL
        SELECT 'SEQUENCE', s.oid, format('%I.%I', place.nspname, s.relname), s.relname, s.relowner,
               coalesce(t.ours, true), t.rls, coalesce(s.relacl, acldefault('s', s.relowner)), '{{USAGE}}'
        FROM place JOIN pg_class s ON s.relnamespace = place.nsp AND s.relkind = 'S'
        LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                             AND d.refclassid = 'pg_class'::regclass
        LEFT JOIN tables t ON t.oid = d.refobjid
        WHERE t.oid IS NOT NULL OR s.relname LIKE 'majlis\\_%'
        UNION ALL
        SELECT 'ROUTINE', p.oid,
               format('%I.%I(%s)', place.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proname,
               p.proowner, true, NULL, coalesce(p.proacl, acldefault('f', p.proowner)), '{{EXECUTE}}'
        FROM place JOIN pg_proc p ON p.pronamespace = place.nsp
        WHERE p.proname LIKE 'majlis\\_%' AND p.prokind <> 'a'
    ), workers AS (
        SELECT r.oid, r.rolname, r.rolname = ANY ($1::text[]) AS asked FROM pg_roles r CROSS JOIN place
        WHERE NOT pg_has_role(r.oid, place.owner, 'USAGE') AND r.oid NOT IN (SELECT oid FROM api)
          AND (r.rolname = ANY ($1::text[])
               OR r.oid IN (SELECT h.grantee FROM tables t, aclexplode(t.acl) h
                            WHERE t.relname = 'majlis_turns' AND h.privilege_type = 'INSERT'))
    )
"""
"""The API's roles; what is ours or shared, with its rights; and the roles that daemons work as: those that may store a
turn, and `$1`."""

_OBJECTS = f"""
    {_WORLD}, everything AS (
        SELECT r.oid FROM pg_roles r
        WHERE r.rolname IN ('pg_read_all_data', 'pg_write_all_data')
          AND EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid)
          AND NOT EXISTS (SELECT FROM api WHERE pg_has_role(api.oid, r.oid, 'USAGE'))
    )
    SELECT o.kind, o.name, o.bare, o.ours, o.rls, pg_has_role(o.owner, 'USAGE') AS may_alter,
           quote_ident(pg_get_userbyid(o.owner)) AS owner,
           ARRAY(SELECT 'PUBLIC' FROM unnest(held.roles) AS role WHERE role = 0
                 UNION
                 SELECT api.rolname::text FROM unnest(held.roles) AS role JOIN api ON role <> 0
                 AND pg_has_role(api.oid, role, 'USAGE')
                 ORDER BY 1) AS open_to,
           ARRAY(SELECT CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END
                 FROM unnest(held.roles) AS role
                 WHERE role = 0 OR role IN (SELECT oid FROM api) AND role <> o.owner ORDER BY 1) AS holders,
           coalesce((SELECT jsonb_agg(jsonb_build_object('role', l.role, 'asked', l.asked, 'words', l.words))
                     FROM (SELECT quote_ident(w.rolname) AS role, w.asked,
                                  string_agg(n.word, ', ' ORDER BY n.place) AS words
                           FROM workers w CROSS JOIN unnest(o.wants) WITH ORDINALITY AS n (word, place)
                           WHERE NOT EXISTS (SELECT FROM aclexplode(o.acl) h
                                             WHERE h.privilege_type = n.word AND h.grantee <> 0
                                               AND pg_has_role(w.oid, h.grantee, 'USAGE'))
                           GROUP BY 1, 2 ORDER BY 1) l), '[]')::text AS lacks,
           CASE WHEN o.rls IS NOT NULL AND o.kind = 'TABLE' THEN ARRAY(
               SELECT quote_ident(r.rolname) FROM (
                   SELECT oid FROM workers
                   UNION
                   SELECT role FROM unnest(held.roles) AS role
                   WHERE NOT o.rls OR role = ANY (coalesce(k.polroles, '{{}}')) OR NOT EXISTS (
                         SELECT FROM pg_policy p, unnest(p.polroles) AS to_role
                         WHERE p.polrelid = o.oid AND p.polpermissive AND p.polname <> '{POLICY}'
                           AND CASE to_role WHEN 0 THEN true ELSE pg_has_role(role, to_role, 'USAGE') END)
                   UNION
                   SELECT oid FROM everything
               ) AS mine JOIN pg_roles r ON r.oid = mine.oid
               WHERE NOT r.rolbypassrls AND NOT pg_has_role(r.oid, o.owner, 'USAGE')
                 AND r.oid NOT IN (SELECT oid FROM api)
               ORDER BY 1) END AS keeps,
           ARRAY(SELECT quote_ident(pg_get_userbyid(role)) FROM unnest(k.polroles) AS role ORDER BY 1) AS kept,
           ARRAY(SELECT quote_ident(r.rolname) FROM workers w JOIN pg_roles r ON r.oid = w.oid
                 WHERE w.asked AND NOT r.rolbypassrls ORDER BY 1) AS asked
    FROM objects o
    CROSS JOIN LATERAL (SELECT array_agg(DISTINCT grantee) AS roles FROM aclexplode(o.acl)) held
    LEFT JOIN pg_policy k ON k.polrelid = o.oid AND o.kind = 'TABLE' AND k.polname = '{POLICY}'
    ORDER BY CASE o.kind WHEN 'SEQUENCE' THEN 1 WHEN 'TABLE' THEN 2 ELSE 3 END, o.name
"""

_MEANT_FOR_THE_API = f"""
    {_WORLD}
    SELECT rolname FROM api WHERE rolname = ANY ($1::text[])
"""


class Lack(msgspec.Struct, frozen=True):
    """Rights that a daemon's role does not have by a grant of its own; those of PUBLIC do not count, they go."""

    role: str
    asked: bool
    words: str


class Door(msgspec.Struct, frozen=True):
    """A table, sequence or function, and who has a way in.

    Attributes:
      ours: False for a shared table that was there before Majlis, and for its sequences.
      rls: whether the table has row-level security; of a sequence: its table. None where there are no rows to hide.
      open_to: PUBLIC and the API's roles that may do anything with it.
      holders: whom the rights have to be revoked from, to close it.
      keeps: the roles that have to see its rows as before. None where there are no rows to hide.
      kept: the roles that see them by our policy now.
      asked: the roles that shall be able to work, and do not see all rows anyway.
    """

    kind: str
    name: str
    bare: str
    ours: bool
    rls: bool | None
    may_alter: bool
    owner: str
    open_to: tuple[str, ...]
    holders: tuple[str, ...]
    lacks: tuple[Lack, ...]
    keeps: tuple[str, ...] | None
    kept: tuple[str, ...]
    asked: tuple[str, ...]

    @property
    def is_shut(self) -> bool:
        """Ours needs both; of a table that was there before, row-level security is the business' own choice."""
        if not self.ours:
            return self.rls is True or not self.open_to
        return not self.open_to and not (self.kind == "TABLE" and self.rls is False)


class OpenDoors(msgspec.Struct, frozen=True):
    """A finding: what is open to whom, and what to run."""

    text: str
    advice: str


async def doors(db: Postgres | PostgresSession, roles: Collection[str] = ()) -> list[Door]:
    """Every table, sequence and function of ours, and the shared tables that were there before.

    Args:
      roles: roles that daemons shall work as, besides those that can already.
    """
    rows = await db.fetch(_OBJECTS, list(roles))
    return [
        msgspec.convert(row | {"lacks": msgspec.json.decode(row["lacks"])}, Door, strict=False)
        for row in rows
    ]


async def handed_out(session: PostgresSession, roles: Collection[str]) -> list[str]:
    """Those of these roles that the platform's API hands out."""
    return [row["rolname"] for row in await session.fetch(_MEANT_FOR_THE_API, list(roles))]


def what_is_open(found: Sequence[Door]) -> list[OpenDoors]:
    """A finding for what is ours, and one for the tables that were there before."""
    findings = []
    if ours := [door for door in found if door.ours and not door.is_shut]:
        said = []
        if unlocked := [door for door in ours if door.open_to]:
            said.append(f"{_who(unlocked)} may use {_listed(unlocked)}")
        if bare := [door for door in ours if door.kind == "TABLE" and door.rls is False]:
            said.append(f"row-level security is off on {_listed(bare)}")
        owners = sorted({door.owner for door in ours})
        findings.append(
            OpenDoors(
                "; ".join(said),
                f"Run `majlis migrate` as their owner ({', '.join(owners)}); what another role granted it must revoke.",
            )
        )
    if before := [door for door in found if not door.ours and not door.is_shut and door.kind == "TABLE"]:
        findings.append(
            OpenDoors(
                f"{_who(before)} may use {_listed(before, len(before))}, which Majlis did not make",
                "Run `majlis migrate --close-tables`, or give them row-level security and policies of your own.",
            )
        )
    return findings


def _who(found: Sequence[Door]) -> str:
    return ", ".join(sorted({role for door in found for role in door.open_to}))


def _listed(found: Sequence[Door], named: int = _NAMED) -> str:
    """`table a, b, c and 24 more; 66 functions`, one item for each kind."""
    words = {"TABLE": "table", "SEQUENCE": "sequence", "ROUTINE": "function"}
    parts = []
    for kind, word in words.items():
        names = [door.bare for door in found if door.kind == kind]
        if kind != "TABLE" and len(names) > 1:
            parts.append(f"{len(names)} {word}s")
        elif names:
            more = f" and {len(names) - named} more" if len(names) > named else ""
            plural = "s" if len(names) > 1 else ""
            parts.append(f"the {word}{plural} {', '.join(names[:named])}{more}")
    return "; ".join(parts)
