"""One rehearsal: the simulated gateway, a daemon (given or temporary), the play between them, and the report."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import msgspec
import trio

from actors.errors import MajlisError
from daemon.simulate.books import Books
from daemon.simulate.gateway import GatewaySide
from daemon.simulate.own_daemon import CannotRehearse, OwnDaemon
from daemon.simulate.play import QUIET_SECONDS, Extent, Play, Retries
from daemon.simulate.report import Report, report_of
from daemon.simulate.script import Script, Shares
from daemon.simulate.tokens import mark_of
from daemon.simulate.webhooks import Target, Unanswered, WebhookClient
from daemon.web.http1 import HttpServer, Limits, open_tcp_listeners

SHOW_SECONDS = 0.2
_AFTER_KILL_QUIET_SECONDS = 4.0  # a send that the kill interrupted is settled within this time
_LIMITS = Limits(max_connections=2048, max_connections_per_address=2048, idle_seconds=75.0)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to rehearse."""

    customers: int
    extent: Extent
    rate: float
    seed: int
    shares: Shares
    responder: Literal["echo", "any"] = "echo"
    patience_seconds: float = 60.0
    retry_scale: float = 0.1
    connections: int = 32
    kill: bool = False
    url: str | None = None
    """The daemon to rehearse with; None: a temporary one."""
    listen: str = "127.0.0.1:0"
    instance: str = "demo"
    token: str | None = None
    settings: tuple[str, ...] = ()


class RehearsalProgress(msgspec.Struct, frozen=True):
    """The progress of a rehearsal; `begun` is 0 to 1."""

    stage: Literal["starting", "playing", "restarting"]
    begun: float = 0.0
    sent: int = 0
    acknowledged: int = 0
    answered: int = 0
    waiting: int = 0


class RehearsalResult(msgspec.Struct, frozen=True):
    report: Report | None
    """None if it was interrupted before anything was sent."""
    gateway_url: str
    signal_number: int | None = None
    kept_directory: str | None = None


Show = Callable[[RehearsalProgress], None]


def rehearse(plan: Plan, show: Show) -> RehearsalResult:
    """Run one rehearsal in a Trio loop of its own; `show` is called with the progress several times a second.

    Raises:
      CannotRehearse: it cannot start or go on.
      ValueError: `plan.url` or `plan.token` is not valid.
    """
    if plan.url is not None:
        _target(plan, plan.url)
    try:
        return trio.run(_Rehearsal(plan, show).run)
    except BaseExceptionGroup as group:
        ours, others = group.split(MajlisError)
        if ours is None or others is not None:
            raise
        raise _first(ours) from None


class _Rehearsal:
    def __init__(self, plan: Plan, show: Show) -> None:
        self._plan = plan
        self._show = show
        self._mark = mark_of(time.time_ns() // 1_000_000)
        self._books = Books(
            self._mark,
            echo=plan.responder == "echo",
            patience_seconds=plan.patience_seconds,
        )
        self._play: Play | None = None
        self._gateway: GatewaySide | None = None
        self._restarts: list[float] = []
        self._is_restarting = False
        self._restarted = trio.Event()
        self._signal_number: int | None = None
        self._kept_directory: str | None = None
        self._gateway_url = ""

    async def run(self) -> RehearsalResult:
        async with trio.open_nursery() as nursery:
            work = trio.CancelScope()
            await nursery.start(self._watch_signals, work)
            nursery.start_soon(self._keep_showing)
            with work:
                await self._rehearse()
            nursery.cancel_scope.cancel()
        return RehearsalResult(self._report(), self._gateway_url, self._signal_number, self._kept_directory)

    async def _rehearse(self) -> None:
        plan = self._plan
        listeners = await _listen(plan.listen)
        host, port = listeners[0].socket.getsockname()[:2]
        self._gateway_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._gateway = GatewaySide(plan.instance, plan.customers, self._books, self._answering)
        server = HttpServer(self._gateway.handle, _LIMITS, name="gateway")
        async with trio.open_nursery() as doors:
            await doors.start(lambda task_status: server.serve(listeners, task_status=task_status))
            async with self._daemon() as own:
                await self._run_play(own)
            doors.cancel_scope.cancel()

    @asynccontextmanager
    async def _daemon(self) -> AsyncIterator[OwnDaemon | None]:
        """A temporary daemon, whose directory is kept if it lost something; None if `plan.url` names a daemon."""
        plan = self._plan
        if plan.url is not None:
            await _expect_ready(plan.url)
            yield None
            return
        async with OwnDaemon(self._gateway_url, plan.instance, plan.settings) as own:
            try:
                yield own
            finally:  # also after an interrupt
                report = self._report()
                if report is not None and not report.is_faultless:
                    own.keep_directory()
                self._kept_directory = str(own.directory) if own.keeps_directory else None

    async def _run_play(self, own: OwnDaemon | None) -> None:
        url = self._plan.url if own is None else own.url
        assert url is not None
        play = self._play = self._new_play(url)
        async with trio.open_nursery() as nursery:
            if own is not None:
                nursery.start_soon(own.watch)
                if self._plan.kill:
                    nursery.start_soon(self._kill, own, play)
            await play.run()
            if own is not None and self._plan.kill:
                await self._restarted.wait()  # the play may end while the daemon is still starting again
            nursery.cancel_scope.cancel()

    def _new_play(self, url: str) -> Play:
        plan = self._plan
        return Play(
            script=Script(plan.seed, plan.customers, plan.rate, plan.shares),
            books=self._books,
            customers=plan.customers,
            extent=plan.extent,
            target=_target(plan, url),
            instance=plan.instance,
            mark=self._mark,
            retries=Retries(plan.retry_scale, plan.seed),
            connections=plan.connections,
            server_url=self._gateway_url,
            quiet_seconds=_AFTER_KILL_QUIET_SECONDS if plan.kill else QUIET_SECONDS,
        )

    async def _answering(self, customer: int) -> None:
        if self._play is not None:
            await self._play.answering(customer)

    async def _kill(self, own: OwnDaemon, play: Play) -> None:
        await play.halfway.wait()
        self._is_restarting = True
        self._restarts.append(await own.kill_and_restart())
        self._is_restarting = False
        self._restarted.set()

    def _report(self) -> Report | None:
        if self._play is None:
            return None
        now, plan = trio.current_time(), self._plan
        return report_of(
            self._books,
            now,
            seed=plan.seed,
            customers=plan.customers,
            seconds=now - self._play.began,
            interrupted=self._signal_number is not None,
            restarts=tuple(self._restarts),
            echo=plan.responder == "echo",
            strangers=self._gateway.strangers if self._gateway is not None else 0,
            instance=plan.instance,
        )

    async def _keep_showing(self) -> None:
        books = self._books
        while True:
            if self._play is None:
                self._show(RehearsalProgress("starting"))
            else:
                self._show(
                    RehearsalProgress(
                        "restarting" if self._is_restarting else "playing",
                        self._play.progress,
                        books.sent,
                        books.acknowledged,
                        books.answered,
                        books.waiting,
                    )
                )
            await trio.sleep(SHOW_SECONDS)

    async def _watch_signals(
        self, work: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """The first signal ends the play; a temporary daemon is then stopped, within a time limit."""
        ends = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup it stays ignored
            ends.append(signal.SIGHUP)
        with trio.open_signal_receiver(*ends) as signals:
            task_status.started()
            async for number in signals:
                if self._signal_number is None:
                    self._signal_number = number
                    work.cancel()


def _target(plan: Plan, url: str) -> Target:
    return Target(url, {"apikey": plan.token} if plan.token else {})


async def _listen(address: str) -> list[trio.SocketListener]:
    try:
        return await open_tcp_listeners(address)
    except (OSError, ValueError) as error:
        message = f"cannot listen on {address} ({error}): choose another address with --listen"
        raise CannotRehearse(message) from None


async def _expect_ready(url: str) -> None:
    async with WebhookClient(Target(url)) as client:
        try:
            answer = await client.get("/health/ready")
        except Unanswered:
            message = f"no daemon answers at {url}: start it, or omit --url to rehearse with a temporary one"
            raise CannotRehearse(message, is_running=False) from None
    if answer.status != 200:
        raise CannotRehearse(f"the daemon at {url} is not ready ({answer.status}): see `majlis status`")


def _first(group: BaseExceptionGroup[MajlisError]) -> MajlisError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MajlisError)
    return error
