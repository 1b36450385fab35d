"""A database on a platform like Supabase: its roles, and the privileges that it gives to whatever is created."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from daemon.stores.postgres import Postgres

OWNER, SERVICE = "postgres", "service_role"
WORLD = ("anon", "authenticated")

_ROLES = {
    OWNER: "LOGIN CREATEROLE BYPASSRLS",
    "anon": "NOLOGIN NOINHERIT",
    "authenticated": "NOLOGIN NOINHERIT",
    SERVICE: "NOLOGIN NOINHERIT BYPASSRLS",
    "authenticator": "LOGIN NOINHERIT",
    "tenant": "NOLOGIN",
}
"""`tenant` is none of the platform's: a role that the business' own tokens name. PostgREST may switch to it."""

_EVERYTHING = ("TABLES", "SEQUENCES", "FUNCTIONS")


async def create_role(db: Postgres, name: str, attributes: str = "LOGIN") -> None:
    """Roles belong to the whole server: another test may have made it."""
    await db.fetch(
        f"DO $$ BEGIN CREATE ROLE {name} {attributes};"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"
    )


async def make_platform(db: Postgres) -> None:
    """The platform's roles, and its classic default privileges; `db` is a superuser's."""
    for name, attributes in _ROLES.items():
        await create_role(db, name, attributes)
    async with db.session() as session:
        for name in (*WORLD, SERVICE, "tenant"):
            await session.run(f"GRANT {name} TO authenticator")
        await session.run(f"GRANT ALL ON SCHEMA public TO {OWNER}")
        everybody = ", ".join((OWNER, *WORLD, SERVICE, "tenant"))
        for kind in _EVERYTHING:
            await session.run(
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT ALL ON {kind} TO {everybody}"
            )


def as_role(dsn: str, role: str) -> str:
    """The same database, as this role."""
    return urlunsplit(urlsplit(dsn)._replace(netloc=f"{role}@"))
