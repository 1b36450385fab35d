"""What the doctor reports about this machine, the stores, gateways, embeddings, and budgets without prices."""

from __future__ import annotations

import errno
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from pathlib import Path

import pytest
import trio

from actors.errors import MajlisError
from actors.messages import Answer
from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from daemon import run as root
from daemon.config import Settings, load
from daemon.gateways.kind import FeedView, GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.knowledge import embeddings as embeddings_module
from daemon.knowledge.embeddings import TURN_SECONDS, EmbeddingsClient, VectorModel
from daemon.ledger.pooler import CHANGES_SESSIONS
from daemon.ledger.rows import LastSends, StoredInstances
from daemon.operate import host_checks, peer_checks, store_checks
from daemon.operate.checks import Check
from daemon.operate.doctor import examine
from daemon.operate.feed_check import feed_checks
from daemon.operate.peer_checks import MAX_STORED, Known
from daemon.run.stores import check_from_outside
from daemon.web.client import HttpClient
from daemon.web.finding import Finding
from tests.daemon.ledger.test_rights import ROLE, as_limited, let_limited_work
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.gateway_server import FakeEvolution
from tests.support.ledgers import DEMO, batch, new_token, open_world, reply_of
from tests.support.memory import MemoryFeed
from tests.support.pg_proxy import Pooler


@pytest.fixture
def server() -> Iterator[FakeEmbeddings]:
    with FakeEmbeddings().running() as server:
        yield server


def test_a_feed_that_does_not_hear_its_instance_is_named() -> None:
    """Deaf feeds lose messages, and a connection alone hears nothing."""
    well = FeedView(instance="acme", connected=True)
    waits, down = (
        FeedView(instance="demo", connected=False, waiting=True),
        FeedView(instance="shop", connected=False),
    )
    assert list(feed_checks([])) == []
    assert [check.state for check in feed_checks([well])] == ["ok"]
    [check] = feed_checks([well, waits, down])
    assert (check.state, check.detail) == (
        "warning",
        "1 of 3 hear their instance; not: demo (waits for its first event), shop (not connected)",
    )
    [check] = feed_checks([FeedView(instance="acme", connected=True, lost=2)])
    assert (check.state, check.detail) == (
        "warning",
        "1 of 1 hear their instance; 2 events were lost since the start",
    )


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
    return EmbeddingsClient(
        http, MemoryFeed(), base_url=server.base_url, api_key=key, model=VectorModel("small")
    )


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

        report = await examine(settings, http, no_stores, known=Known(stored))
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
        names = [check.name for check in (await examine(alone, http, no_stores, known=Known(stored))).checks]
        assert "gateway of default" not in names and "gateway of shop-00" in names
        printed = settings_of(tmp_path, instances={})
        await examine(printed, http, no_stores, known=Known(stored))
        assert len(asked) == 2


async def test_checks_that_did_not_run_in_time_are_counted(
    tmp_path: Path, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that never answers does not hold up the report."""
    monkeypatch.setattr(peer_checks, "PEERS_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tree = {"kind": "evolution", "base_url": url, "api_key": "key"}
        settings = settings_of(tmp_path, gateway=tree, instances={f"i{number}": {} for number in range(12)})
        checks = {check.name: check for check in (await examine(settings, http, no_stores)).checks}
    assert checks["responder rehearsal"].state == "ok"
    assert checks["not asked"].state == "problem"
    assert checks["not asked"].detail == "12 of 13 did not answer within 0.3 s"


async def test_a_check_that_breaks_is_one_more_problem(
    tmp_path: Path, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it breaks by: all others are asked, and what the error says is not shown."""
    (tmp_path / "redis").mkdir()
    monkeypatch.setattr(Path, "exists", _forbidden_in(tmp_path / "redis"))
    settings = settings_of(tmp_path, instances={"acme": {}, "beta": {}})

    async def stores() -> Iterable[Check]:
        return await check_from_outside(settings)

    async def breaks(gateway: GatewaySettings, instance: str, *_: object) -> list[Finding]:
        if instance == "acme":
            raise RuntimeError("https://host/?apikey=canary")
        return [Finding("ok", "well")]

    monkeypatch.setattr(GATEWAYS["console"], "check", breaks)
    checks = {check.name: check for check in (await examine(settings, http, stores)).checks}
    assert checks["redis engine"].detail.startswith(
        f"{tmp_path}/redis cannot be looked into (Permission denied)"
    )
    assert checks["gateway of acme"].detail == "could not be looked at (RuntimeError)"
    assert {checks[name].state for name in ("redis engine", "gateway of acme")} == {"problem"}
    assert {checks[name].state for name in ("postgres", "gateway of beta", "responder rehearsal")} == {"ok"}


def _forbidden_in(folder: Path) -> Callable[[Path], bool]:
    exists = Path.exists

    def asked(path: Path) -> bool:
        if path.parent == folder:
            raise PermissionError(errno.EACCES, "Permission denied")
        return exists(path)

    return asked


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
        await world.rows(
            "INSERT INTO majlis_knowledge_files (instance, name, sha256, bytes, chunks, model, state)"
            " VALUES ('acme', 'old.md', '', 1, 1, 'another', 'ready'), ('acme', 'new.md', '', 1, 1, 'small', 'ready')"
        )
        old = (await database_checks(wanted))["pgvector"]
        assert (
            old.state == "warning" and "these files again" in old.advice and "prefixes: 1, of" in old.detail
        )
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
    """A right, rows, an open door, a pooler that changes sessions, a server that cannot be written: each in words."""
    limited = as_limited(fresh_durable_postgres_dsn)
    async with open_world(fresh_durable_postgres_dsn) as world, trio.open_nursery() as nursery:

        async def said(dsn: str = limited) -> str:
            check = (await database_checks(settings_of(tmp_path, dsn)))["postgres"]
            return check.detail if check.state == "problem" else ""

        await let_limited_work(world.db)
        assert await said() == ""
        await world.rows(f"REVOKE DELETE ON majlis_turns FROM {ROLE}")
        assert "lacks DELETE on public.majlis_turns: with the owner of the tables" in await said()
        await world.rows(f"GRANT DELETE ON majlis_turns TO {ROLE}")
        await world.rows("DROP POLICY majlis_keeps ON majlis_turns")
        assert "see or write no rows of public.majlis_turns" in await said()
        await world.rows(f"CREATE POLICY mine ON majlis_turns TO {ROLE} USING (partition > 0)")
        assert f"Postgres refuses a turn of {ROLE}" in await said()
        await world.rows("DROP POLICY mine ON majlis_turns")
        await let_limited_work(world.db)
        await world.rows("GRANT SELECT ON majlis_turns TO PUBLIC")
        doors = (await database_checks(settings_of(tmp_path, limited)))["postgres doors"]
        assert doors.state == "warning" and "PUBLIC may use the table majlis_turns" in doors.detail
        assert "Run `majlis migrate`" in str(doors.advice)
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


async def test_secrets_that_others_can_read_are_named_and_not_shown(tmp_path: Path, http: HttpClient) -> None:
    """I11: by their keys."""
    file = tmp_path / "config.yaml"
    file.write_text("{}")
    settings = load(file, ["gateway.api_key=canary", "alerts.webhook=https://canary.example/"], {})
    settings = settings.model_copy(update={"data_dir": tmp_path})
    checks = {check.name: check for check in (await examine(settings, http, no_stores)).checks}
    assert checks["command line"].state == "warning"
    assert "gateway.api_key, alerts.webhook" in checks["command line"].detail
    assert "canary" not in str(checks)
    assert "command line" not in await states(settings_of(tmp_path), http, "command")


@pytest.mark.parametrize(
    ("pattern", "limit", "kept", "state"),
    [
        ("core", 0, "33", "ok"),
        ("core", 4096, "33", "warning"),
        ("core", 4096, "00000000", "ok"),
        ("|/usr/lib/systemd/systemd-coredump", 0, "33", "warning"),
        ("|/usr/lib/systemd/systemd-coredump", 0, "00000000", "ok"),
        ("|/usr/lib/systemd/systemd-coredump", 0, None, "warning"),
    ],
)
def test_what_a_crash_would_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, limit: int, kept: str | None, state: str
) -> None:
    """A program that takes core files gets them whatever the limit is; the filter keeps the memory out."""
    for name, content in (("CORE_PATTERN", pattern), ("CORE_FILTER", kept)):
        place = tmp_path / name
        monkeypatch.setattr(host_checks, name, place)
        if content is not None:
            place.write_text(f"{content}\n")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    found = {check.name: check.state for check in host_checks.host_checks(Settings(), in_daemon=True)}
    assert found["core files"] == state
    outside = [check.name for check in host_checks.host_checks(Settings(), in_daemon=False)]
    assert "core files" not in outside


async def test_what_many_instances_share_is_said_once(tmp_path: Path, http: HttpClient) -> None:
    with FakeEvolution().running() as gateway:
        gateway.webhook, gateway.clock_skew_seconds = None, -600
        tree = {"kind": "evolution", "base_url": gateway.url, "api_key": gateway.api_key}
        settings = settings_of(tmp_path, gateway=tree, instances={f"i{number}": {} for number in range(5)})
        report = await examine(settings, http, no_stores)
    found = {check.name: (check.state, check.detail) for check in report.checks}
    assert [found[f"gateway of i{number}"][0] for number in range(5)] == ["ok"] * 5
    whom = "evolution, i0, i1, i2 and 2 more: "
    assert found["gateway clock"] == ("warning", f"{whom}its clock is about 10 min behind ours")
    assert found["gateway webhook"] == ("warning", f"{whom}it has no webhook that is switched on")
    assert sum(check.state != "ok" for check in report.checks) == 2


async def test_the_last_sends_of_each_instance(migrated_postgres_dsn: str) -> None:
    """Those of the playground's customers never reach the gateway, and an id is left out for some seconds."""
    async with open_world(migrated_postgres_dsn) as world:
        ledger = world.ledger

        async def send(number: int, *outcomes: SendOutcome, contact: str = DEMO.contact) -> None:
            turn = await ledger.begin(batch("hello", number=number), 1)
            texts = tuple(f"part {part}" for part in range(len(outcomes)))
            turn = await ledger.answer(turn, 1, reply_of(Answer("a", "main", "m", 1, 1), *texts))
            for part, outcome in enumerate(outcomes):
                await ledger.claim(turn, 1, part, resend=False, token=new_token())
                await ledger.settle(turn, 1, part, outcome)
            await world.rows("UPDATE majlis_turns SET contact = $1 WHERE id = $2", contact, turn.id)

        assert await world.records.last_sends(["demo", "other"]) == {
            "demo": LastSends(),
            "other": LastSends(),
        }
        await send(1, Sent("A"), Sent("B"))
        await send(2, Sent("C"), NotSent("bad_key", "refuse"))
        await send(3, Unknown("timed_out"))
        await send(4, Sent("PLAYGROUND"), contact="999000000000001")
        found = await world.records.last_sends(["demo"])
        assert found == {"demo": LastSends((), 3, 1, "bad_key")}
        await world.rows("UPDATE majlis_outbox SET settled_at = settled_at - interval '1 minute'")
        assert (await world.records.last_sends(["demo"]))["demo"].ids == ("C", "B", "A")
        assert (await world.records.last_sends(["demo"], 2))["demo"] == LastSends(("C",), 1, 1, "bad_key")
        await world.rows("UPDATE majlis_outbox SET last_claimed_at = now() - interval '2 days'")
        assert await world.records.last_sends(["demo"]) == {"demo": LastSends()}


@pytest.mark.parametrize(("skew", "words"), [(0, ""), (-60, "60 s behind ours"), (60, "60 s ahead of ours")])
async def test_a_clock_of_postgres_that_is_off_is_a_warning(
    migrated_postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, skew: int, words: str
) -> None:
    monkeypatch.setattr(store_checks, "wall_seconds", lambda: time.time() - skew)
    async with open_world(migrated_postgres_dsn) as world:
        checks = await store_checks.postgres_checks(world.db, None, vectors="")
    assert [words in check.detail for check in checks if check.name == "postgres clock"] == [True] * bool(
        words
    )
