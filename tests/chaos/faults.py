"""The nineteen kinds of faults. Each is a function that begins one and returns how it ends.

A fault names what it takes hold of, so that no two of them work on the same thing at the same time; different things
may fail together.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import redis

from tests.acceptance.harness import DaemonUnderTest
from tests.chaos.checker import LostTail
from tests.chaos.system import System
from tests.support.gateway_server import Fault as GatewayFault
from tests.support.model_server import Fault as ModelFault
from tests.support.openai_server import completion
from tests.support.patience import PATIENCE_SECONDS

BEYOND_LEASE_SECONDS = 12.0
"""A lease lasts ten seconds."""
SPARE_FILES = 2

End = Callable[[], None]
Begin = Callable[[System, int, random.Random], End]
"""Takes the system, the number of the daemon that it concerns, and the dice."""


@dataclass(frozen=True)
class Kind:
    begin: Begin
    holds: str
    """What it takes hold of; `daemon` and `link` stand for those of one daemon."""
    seconds: tuple[float, float] = (0.3, 3.0)
    stops_daemon: bool = False
    """Whether the process of the daemon ends, as ordered."""


def _nothing() -> None:
    """It is over by itself."""


# Daemons


def kill_daemon(system: System, number: int, dice: random.Random) -> End:
    daemon = system.daemons[number]
    daemon.kill()
    return lambda: daemon.start(until_ready=False)


def stop_daemon(system: System, number: int, dice: random.Random) -> End:
    daemon = system.daemons[number]
    daemon.signal(signal.SIGTERM)

    def end() -> None:
        daemon.wait_exit()
        daemon.start(until_ready=False)

    return end


def pause_daemon(system: System, number: int, dice: random.Random) -> End:
    daemon = system.daemons[number]
    daemon.signal(signal.SIGSTOP)
    return lambda: daemon.signal(signal.SIGCONT)


def starve_daemon_of_files(system: System, number: int, dice: random.Random) -> End:
    """EMFILE: hardly a file or connection can be opened."""
    daemon = system.daemons[number]
    if not daemon.has_status():  # one that is starting may end without files, and say so
        return _nothing
    pid = daemon.pid
    before, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    in_use = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + SPARE_FILES, hard))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (before, hard)) and None


# Redis


def kill_redis(system: System, number: int, dice: random.Random) -> End:
    """One that writes no file yet, or none any more, comes back as it was when it had one."""
    is_written = _is_written(system)
    _kill(system.stores.redis.server.pid)
    if not is_written:
        system.lost_tails.append(LostTail(system.last_written_at, time.time()))
    return _nothing


def freeze_redis(system: System, number: int, dice: random.Random) -> End:
    pid = system.stores.redis.server.pid
    if pid is None:
        return _nothing
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def fill_redis(system: System, number: int, dice: random.Random) -> End:
    _configure(system, "maxmemory 100kb")
    return lambda: _configure(system, "maxmemory 0")


def weaken_redis(system: System, number: int, dice: random.Random) -> End:
    worse, better = dice.choice(
        [
            ("appendonly no", "appendonly yes"),
            ("appendfsync everysec", "appendfsync always"),
            ("maxmemory-policy allkeys-lru", "maxmemory-policy noeviction"),
        ]
    )
    if _is_written(system):
        system.last_written_at = time.time()
    _configure(system, worse)
    return lambda: _configure(system, better)


def break_redis_link(system: System, number: int, dice: random.Random) -> End:
    """Of one daemon alone; the answers under way are lost, or everything that follows."""
    link = system.redis_links[number]
    if dice.random() < 0.5:
        link.lose_answers = dice.randint(1, 5)
        return _nothing
    link.mode = dice.choice(["broken", "hanging"])
    return lambda: setattr(link, "mode", "open")


# Postgres


def kill_postgres(system: System, number: int, dice: random.Random) -> End:
    _kill(system.stores.postgres.server.pid)
    return _nothing


def hang_postgres(system: System, number: int, dice: random.Random) -> End:
    """For both daemons."""
    for link in system.postgres_links:
        link.mode = "hanging"

    def end() -> None:
        for link in system.postgres_links:
            link.mode = "open"

    return end


def make_postgres_read_only(system: System, number: int, dice: random.Random) -> End:
    """As after a failover to a replica: sessions that begin now can only read, and those from before are gone."""

    def order(mode: str) -> None:
        def alter() -> None:
            system.query(f"ALTER DATABASE majlis SET default_transaction_read_only = {mode}", writes=True)

        _insist(alter, asyncpg.PostgresError, OSError)

    order("on")
    with suppress(asyncpg.PostgresError, OSError):
        system.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    return lambda: order("off")


def break_postgres_link(system: System, number: int, dice: random.Random) -> End:
    """Of one daemon alone: what it asked for is committed, and it does not hear of it; or nothing passes any more."""
    link = system.postgres_links[number]
    if dice.random() < 0.5:
        link.lose_answers = dice.randint(1, 5)
        return _nothing
    link.mode = "broken"
    return lambda: setattr(link, "mode", "open")


# The gateway and the model


_REFUSALS: tuple[GatewayFault, ...] = (
    "connection_closed",
    "instance_not_loaded",
    "plain_503",
    "reset_before_send",
    "timeout_before_send",
    "find_503",
    "find_reset",
)
_LOST: tuple[GatewayFault, ...] = (
    "timeout_after_send",
    "reset_after_send",
    "plain_502_after_send",
    "garbage",
    "prisma_400_after_send",
)
_MODEL: tuple[ModelFault, ...] = ("garbage", "empty", "hang", "reset", "truncated", "status", "slow")
_MISSPOKEN: tuple[tuple[int, object], ...] = (
    (200, {"error": {"message": "Provider returned error", "code": 502}}),
    (200, completion("Re half of what", finish_reason="error")),
    (200, completion("<think>The customer wants to know")),
    (200, completion("<|tool_call|>price()<|/tool_call|>")),
)
"""Status and body of what is no answer."""
_TOO_LONG = {
    "message": "This model's maximum context length is 8192 tokens.",
    "code": "context_length_exceeded",
}
_FLAGGED = {"reasons": ["harassment"], "flagged_input": "Re", "provider_name": "OpenAI"}
_VERDICTS: tuple[tuple[int, object], ...] = (
    (400, {"error": {**_TOO_LONG, "type": "invalid_request_error"}}),
    (403, {"error": {"message": "Input was flagged", "code": 403, "metadata": _FLAGGED}}),
)
"""The same of what is one on this very prompt: no other attempt helps."""
_WRAPPINGS = (
    "<think>They ask again: {}</think>\n\n{}",
    "<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
    '```json\n{{"response": "{}", "needsDataCollection": false, "confidence": 0.9}}\n```',
    "Assistant: **{}**",
)
"""An answer, and what a machine puts round it."""


def take_gateway_down(system: System, number: int, dice: random.Random) -> End:
    system.gateway.down()
    return system.gateway.up


def let_gateway_refuse(system: System, number: int, dice: random.Random) -> End:
    """Nothing leaves, and it says so, or not."""
    system.gateway.order(dice.choice(_REFUSALS), times=dice.randint(1, 4))
    return system.gateway.clear_orders


def lose_gateway_answers(system: System, number: int, dice: random.Random) -> End:
    """Messages leave, and the daemon does not hear of it."""
    system.gateway.order(dice.choice(_LOST), times=dice.randint(1, 4))
    return system.gateway.clear_orders


def give_webhooks_up(system: System, number: int, dice: random.Random) -> End:
    """What is written meanwhile is in its records alone, and comes late, twice, or never. It may also restart, and then
    what it was about to repeat is forgotten."""
    system.webhooks.gives_up = True
    restarts = dice.random() < 0.5
    if restarts:
        system.gateway.down()
        system.webhooks.forget()

    def end() -> None:
        if restarts:
            system.gateway.up()
        system.webhooks.gives_up = False

    return end


def let_model_fail(system: System, number: int, dice: random.Random) -> End:
    system.model.order(dice.choice(_MODEL), times=dice.randint(1, 6))
    return system.model.clear_orders


def let_model_misspeak(system: System, number: int, dice: random.Random) -> End:
    """Its answers are wrapped; some are none, and one prompt may get a verdict."""
    plain = system.model.text_for
    assert plain is not None
    wrapping = dice.choice(_WRAPPINGS)
    system.model.text_for = lambda asked: wrapping.format(*[plain(asked)] * 2)

    def refuse(asked: str) -> bool:
        system.refused.update(asked.split())
        return True

    for status, body in dice.sample(_MISSPOKEN, 2):
        system.model.order("status", dice.randint(1, 2), status=status, body=body)
    status, body = dice.choice(_VERDICTS)
    system.model.order("status", dice.randint(0, 2), refuse, status=status, body=body)

    def end() -> None:
        system.model.text_for = plain
        system.model.clear_orders()

    return end


KINDS: Mapping[str, Kind] = {
    "kill daemon": Kind(kill_daemon, "daemon", stops_daemon=True),
    "stop daemon": Kind(stop_daemon, "daemon", stops_daemon=True),
    "pause daemon": Kind(pause_daemon, "daemon"),
    "pause daemon beyond its lease": Kind(
        pause_daemon, "daemon", (BEYOND_LEASE_SECONDS, BEYOND_LEASE_SECONDS + 3)
    ),
    "starve daemon of files": Kind(starve_daemon_of_files, "daemon"),
    "kill redis": Kind(kill_redis, "redis"),
    "freeze redis": Kind(freeze_redis, "redis"),
    "fill redis": Kind(fill_redis, "redis"),
    "weaken redis": Kind(weaken_redis, "redis"),
    "break redis link": Kind(break_redis_link, "redis link"),
    "kill postgres": Kind(kill_postgres, "postgres"),
    "hang postgres": Kind(hang_postgres, "postgres link"),
    "make postgres read-only": Kind(make_postgres_read_only, "postgres"),
    "break postgres link": Kind(break_postgres_link, "postgres link"),
    "take gateway down": Kind(take_gateway_down, "gateway"),
    "gateway gives webhooks up": Kind(give_webhooks_up, "gateway", (0.9, 5.0)),
    "gateway refuses or loses": Kind(
        lambda system, number, dice: dice.choice([let_gateway_refuse, lose_gateway_answers])(
            system, number, dice
        ),
        "gateway orders",
    ),
    "model fails": Kind(let_model_fail, "model"),
    "model misspeaks": Kind(let_model_misspeak, "model"),
}


def _kill(pid: int | None) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _configure(system: System, setting: str) -> None:
    def order() -> None:
        with system.stores.redis_client() as client:
            client.execute_command("CONFIG", "SET", *setting.split())  # type: ignore[no-untyped-call]

    _insist(order, redis.RedisError)


def _is_written(system: System) -> bool:
    """Whether all that Redis holds is in its append-only file; a kill loses nothing then."""
    found: dict[str, object] = {}

    def look() -> None:
        with system.stores.redis_client() as client:
            found.update(client.info("persistence"))

    _insist(look, redis.RedisError)
    is_begun = found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"]
    return bool(found["aof_enabled"] and not is_begun)


def _insist(order: Callable[[], None], *away: type[Exception]) -> None:
    """A store that is restarting takes orders soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            order()
        except away:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def concerned(kind: Kind, daemon: DaemonUnderTest) -> str:
    """A name for what a fault of this kind takes hold of when it concerns this daemon."""
    return f"{kind.holds} {daemon.root}" if kind.holds == "daemon" else kind.holds
