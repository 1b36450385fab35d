"""What the doctor reports about vectors, gateways of undeclared instances, and budgets without prices."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import pytest
import trio

from actors.errors import MajlisError
from daemon import run as root
from daemon.config import Settings, load
from daemon.knowledge import embeddings as embeddings_module
from daemon.knowledge.embeddings import TURN_SECONDS, EmbeddingsClient
from daemon.ledger.pooler import CHANGES_SESSIONS
from daemon.ledger.rows import StoredInstances
from daemon.operate import doctor
from daemon.operate.doctor import MAX_STORED, Check, examine
from daemon.run.stores import check_from_outside
from daemon.web.client import HttpClient
from tests.daemon.ledger.test_rights import ROLE, as_limited, let_limited_work
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.gateway_server import FakeEvolution
from tests.support.ledgers import open_world
from tests.support.memory import MemoryFeed
from tests.support.pg_proxy import Pooler


@pytest.fixture
def server() -> Iterator[FakeEmbeddings]:
    with FakeEmbeddings().running() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient() as http:
        yield http


def settings_of(path: Path, dsn: str = "embedded", model: str | None = None, **tree: object) -> Settings:
    environment = {"MAJLIS_DATA_DIR": str(path), "MAJLIS_POSTGRES__DSN": dsn}
    if model is not None:
        environment |= {
            "MAJLIS_EMBEDDINGS__MODEL": model,
            "MAJLIS_EMBEDDINGS__BASE_URL": "http://127.0.0.1:9/v1",
        }
    file = path / "config.yaml"
    file.write_text(json.dumps(tree))
    return load(file, environment=environment)


def embeddings_of(http: HttpClient, server: FakeEmbeddings, key: str = "vector-key") -> EmbeddingsClient:
    return EmbeddingsClient(http, MemoryFeed(), base_url=server.base_url, api_key=key, model="small")


async def server_check(
    settings: Settings, http: HttpClient, embeddings: EmbeddingsClient | None
) -> Check | None:
    report = await examine(settings, http, no_stores, embeddings)
    return next((check for check in report.checks if check.name == "embeddings"), None)


async def states(settings: Settings, http: HttpClient, prefix: str) -> dict[str, str]:
    report = await examine(settings, http, no_stores)
    return {check.name: check.state for check in report.checks if check.name.startswith(prefix)}


async def no_stores() -> list[Check]:
    return []


def test_a_file_of_authorities_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    """Everything else is looked at all the same."""
    found = {}
    for name in ("null", str(tmp_path / "none.pem")):
        report = root.doctor(load(None, [f"data_dir={tmp_path}", f"tls.ca_file={name}"], {}))
        found[name] = next(check for check in report.checks if check.name == "tls")
        assert len(report.checks) > 4
    well, bad = found.values()
    assert (well.state, bad.state) == ("ok", "problem")
    assert bad.detail == f"tls.ca_file: {tmp_path}/none.pem cannot be read (No such file or directory)."


async def test_an_embeddings_server_that_answers_is_ok(
    tmp_path: Path, http: HttpClient, server: FakeEmbeddings
) -> None:
    settings = settings_of(tmp_path)
    check = await server_check(settings, http, embeddings_of(http, server))
    assert check == Check(name="embeddings", state="ok", detail="reachable, model small")
    assert await server_check(settings, http, None) is None
    assert len(server.asked()) == 1


async def test_an_embeddings_server_that_does_not_answer_is_a_problem(
    tmp_path: Path, http: HttpClient, server: FakeEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the key, or does not run. Each problem names the setting to check."""
    monkeypatch.setattr(embeddings_module, "_BACKOFF_SECONDS", (0.05, 0.1, 0.2, 0.4))
    settings = settings_of(tmp_path)
    check = await server_check(settings, http, embeddings_of(http, server, "wrong"))
    assert check and check.state == "problem" and "embeddings.api_key" in check.detail and check.advice
    await trio.to_thread.run_sync(server.down)
    check = await server_check(settings, http, embeddings_of(http, server))
    assert check and check.state == "problem" and "embeddings.base_url" in check.detail and check.advice


async def test_a_busy_or_slow_embeddings_server_is_a_warning(
    tmp_path: Path, http: HttpClient, server: FakeEmbeddings
) -> None:
    """It may recover in a moment. A server that takes longer than a turn waits is reported although it works."""
    settings = settings_of(tmp_path)
    server.order("status", status=429, retry_after="60")
    check = await server_check(settings, http, embeddings_of(http, server))
    assert check and check.state == "warning" and "429" in check.detail
    server.order("slow", seconds=TURN_SECONDS + 0.1)
    check = await server_check(settings, http, embeddings_of(http, server))
    assert check and check.state == "warning" and "a turn waits only 1.5 s" in check.detail and check.advice


async def test_a_gateway_is_ok_when_all_instances_are_only_in_the_database(
    tmp_path: Path, http: HttpClient
) -> None:
    """None is declared, so the gateway is asked for one that it cannot know. A declared one must exist there."""
    with FakeEvolution(instances=frozenset({"acme"})).running() as gateway:

        def declared(*names: str, key: str = gateway.api_key) -> Settings:
            tree = {"kind": "evolution", "base_url": gateway.url, "api_key": key}
            return settings_of(tmp_path, gateway=tree, instances={name: {} for name in names})

        assert await states(declared(), http, "gateway") == {"gateway of default": "ok"}
        assert await states(declared("acme", "lost"), http, "gateway") == {
            "gateway of acme": "ok",
            "gateway of lost": "problem",
        }
        wrong = await states(declared(key="wrong"), http, "gateway")
        assert wrong == {"gateway of default": "problem"}


async def test_the_gateway_is_asked_about_instances_that_are_only_in_the_database(
    tmp_path: Path, http: HttpClient
) -> None:
    """Some of them, by name; the rest are counted. One that the gateway does not know is only a warning."""
    gateway = FakeEvolution(instances=frozenset({"acme", "shop-00", "shop-01"}))
    with gateway.running():
        tree = {"kind": "evolution", "base_url": gateway.url, "api_key": gateway.api_key}
        settings = settings_of(tmp_path, gateway=tree, instances={"acme": {}})
        asked: list[object] = []

        async def stored(known: Collection[str], limit: int) -> StoredInstances:
            asked.append((sorted(known), limit))
            return StoredInstances(tuple(f"shop-{number:02}" for number in range(3)), 45)

        report = await examine(settings, http, no_stores, stored=stored)
        checks = {check.name: check for check in report.checks}
        assert asked == [(["acme"], MAX_STORED)] and report.well
        assert {name: check.state for name, check in checks.items() if name.startswith("gateway")} == {
            "gateway of acme": "ok",
            "gateway of shop-00": "ok",
            "gateway of shop-01": "ok",
            "gateway of shop-02": "warning",
            "gateway of others": "warning",
        }
        assert "switch it off in the database" in checks["gateway of shop-02"].advice
        assert checks["gateway of others"].detail.startswith("42 more instances are only in the database")

        alone = settings_of(tmp_path, gateway=tree, instances={})
        names = [check.name for check in (await examine(alone, http, no_stores, stored=stored)).checks]
        assert "gateway of default" not in names and "gateway of shop-00" in names
        printed = settings_of(tmp_path, instances={})
        await examine(printed, http, no_stores, stored=stored)
        assert len(asked) == 2


async def test_checks_that_did_not_run_in_time_are_counted(
    tmp_path: Path, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that never answers does not hold up the report."""
    monkeypatch.setattr(doctor, "PEERS_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tree = {"kind": "evolution", "base_url": url, "api_key": "key"}
        settings = settings_of(tmp_path, gateway=tree, instances={f"i{number}": {} for number in range(12)})
        checks = {check.name: check for check in (await examine(settings, http, no_stores)).checks}
    assert checks["responder rehearsal"].state == "ok"
    assert checks["not asked"].state == "problem"
    assert checks["not asked"].detail == "12 of 13 did not answer within 0.3 s"


async def test_a_budget_that_no_price_can_use_up_is_a_warning(tmp_path: Path, http: HttpClient) -> None:
    def budget(cost: float | None, price: float) -> Settings:
        provider = {"name": "main", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "small"}
        priced = {**provider, "price_per_million_output_tokens": price}
        return settings_of(
            tmp_path,
            responder={"providers": [priced, {"name": "spare", "kind": "rehearsal"}]},
            instances={"acme": {"limits": {"cost_per_day": cost}}, "free": {}},
        )

    assert await states(budget(5, 0), http, "limits") == {"limits of acme": "warning"}
    assert await states(budget(5, 0.4), http, "limits") == {}
    assert await states(budget(None, 0), http, "limits") == {}


async def test_a_database_without_pgvector_is_a_warning_where_embeddings_are_configured(
    tmp_path: Path, fresh_durable_postgres_dsn: str
) -> None:
    wanted = settings_of(tmp_path, fresh_durable_postgres_dsn, "small")
    unwanted = settings_of(tmp_path, fresh_durable_postgres_dsn)
    async with open_world(fresh_durable_postgres_dsn) as world:
        assert (await database_checks(wanted))["pgvector"].state == "ok"
        await world.rows("DROP EXTENSION vector CASCADE")
        check = (await database_checks(wanted))["pgvector"]
        assert (
            check.state == "warning" and "no pgvector" in check.detail and "CREATE EXTENSION" in check.advice
        )
        assert "pgvector" not in await database_checks(unwanted)


async def test_a_database_that_is_not_fit_is_reported_once(
    tmp_path: Path, fresh_durable_postgres_dsn: str
) -> None:
    """Before `majlis migrate`, whether it can compare vectors is unknown."""
    async with open_world(fresh_durable_postgres_dsn) as world:
        await world.rows("DELETE FROM majlis_migrations")
        checks = await database_checks(settings_of(tmp_path, fresh_durable_postgres_dsn, "small"))
    assert checks["postgres"].state == "problem" and "pgvector" not in checks


async def test_what_somebody_has_to_change_at_postgres_is_named_with_what_to_run(
    tmp_path: Path, fresh_durable_postgres_dsn: str
) -> None:
    """A missing right, hidden rows, a pooler that changes sessions, a server that cannot be written: each in words."""
    limited = as_limited(fresh_durable_postgres_dsn)
    async with open_world(fresh_durable_postgres_dsn) as world, trio.open_nursery() as nursery:

        async def said(dsn: str = limited) -> str:
            check = (await database_checks(settings_of(tmp_path, dsn)))["postgres"]
            return check.detail if check.state == "problem" else ""

        await let_limited_work(world.db)
        assert await said() == ""
        await world.rows(f"REVOKE DELETE ON majlis_turns FROM {ROLE}")
        assert f"run `GRANT DELETE ON public.majlis_turns TO {ROLE};`" in await said()
        await world.rows(f"GRANT DELETE ON majlis_turns TO {ROLE}")
        await world.rows("ALTER TABLE majlis_turns ENABLE ROW LEVEL SECURITY")
        assert (
            f"see or write no rows of public.majlis_turns: as a superuser run `ALTER ROLE {ROLE} BYPASSRLS;`"
            in (await said())
        )
        await world.rows("ALTER TABLE majlis_turns DISABLE ROW LEVEL SECURITY")
        pooler = Pooler(fresh_durable_postgres_dsn, "transaction")
        await nursery.start(pooler.serve)
        assert await said(pooler.dsn) == CHANGES_SESSIONS
        name = await world.db.value("SELECT current_database()")
        await world.rows(f"ALTER ROLE {ROLE} IN DATABASE {name} SET default_transaction_read_only = on")
        assert "read-only: point postgres.dsn at the primary" in await said()
        nursery.cancel_scope.cancel()


async def test_the_database_lists_instances_that_are_not_declared(
    fresh_durable_postgres_dsn: str,
) -> None:
    async with open_world(fresh_durable_postgres_dsn) as world:
        await world.rows(
            "INSERT INTO whatsapp_instances (instance_name, is_active)"
            " VALUES ('b', true), ('a', true), ('a', true), ('off', false), ('c', NULL)"
        )
        assert await world.records.stored_instances({"demo"}, 2) == StoredInstances(("a", "b"), 3)
        assert await world.records.stored_instances({"demo", "a", "b", "c"}, 2) == StoredInstances()


async def database_checks(settings: Settings) -> dict[str, Check]:
    return {check.name: check for check in await check_from_outside(settings)}


def test_migrating_a_database_that_is_away_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(MajlisError, match=r"check that it runs and can be reached at postgres\.dsn"):
        root.migrate(
            settings_of(
                tmp_path, "postgresql://nobody@127.0.0.1:9/none", redis={"url": "redis://127.0.0.1:9/0"}
            )
        )


@pytest.mark.parametrize(("mode", "state"), [(0o700, "ok"), (0o750, "warning"), (0o755, "warning")])
async def test_a_data_dir_that_others_may_enter_is_a_warning(
    tmp_path: Path, http: HttpClient, mode: int, state: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(mode)
    settings = settings_of(tmp_path).model_copy(update={"data_dir": tmp_path / "data"})
    assert await states(settings, http, "data_dir") == {"data_dir": state}
