"""An instance's connection to its gateway: set, looked at, paired, given back. `connecting.py` does it."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, NamedTuple

import trio
from msgspec import Meta

from actors.errors import Conflict, LedgerUnavailable, MirrorUnavailable, Missing
from daemon.gateways.webhook_setup import SetupFailed
from daemon.ingress.witness import Witness
from daemon.ledger.connections import ConnectedInstance, Connections
from daemon.operate.audit import Outcome
from daemon.operate.call import AdminCall, iso
from daemon.operate.connect_checks import shown_address
from daemon.operate.connect_wish import ConnectEnd, ConnectWish, Ended, GivenBack, Looked
from daemon.operate.connecting import Connecting
from daemon.operate.connection_views import (
    ConnectBody,
    ConnectionPage,
    ConnectionView,
    ConnectView,
    DisconnectBody,
    DisconnectPage,
    DisconnectView,
    QrView,
    shown_webhook,
    webhook_view,
)
from daemon.operate.instances import OneInstance
from daemon.operate.parameters import Parameters
from daemon.operate.qr import svg
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response

MAX_TOGETHER = 16
"""So many instances are given back side by side in one request: each takes 15 s at the most."""
CONNECT_SECONDS = 22.0
"""All of it: a request that takes longer would be cut off without a word of what was done."""
NOTED_SECONDS = 600.0
"""A code that is shown again within this time, to the same person, needs no entry of its own in the audit log."""
_NO_STORE = {"Cache-Control": "no-store"}


class Left(NamedTuple):
    """How much of each instance is left to do, on any daemon."""

    answers: Callable[[Collection[str]], Awaitable[Mapping[str, int]]]
    """Conversations that have something pending. May raise `MirrorUnavailable`."""
    forwards: Callable[[Collection[str]], Awaitable[Mapping[str, int]]]
    """Webhooks that wait to be forwarded. May raise `LedgerUnavailable`."""


class _Pending(NamedTuple):
    answers: Mapping[str, int]
    forwards: Mapping[str, int]


class PairOne(OneInstance, frozen=True, kw_only=True):
    phone: (
        Annotated[
            str,
            Meta(
                pattern=r"^\+?[0-9]{5,20}$",
                max_length=21,
                description="The phone's number: the gateway gives a code to type as well.",
            ),
        ]
        | None
    ) = None


class ConnectionBoard:
    """The answers of the routes."""

    def __init__(self, connecting: Connecting, stored: Connections, witness: Witness, left: Left) -> None:
        self._connecting = connecting
        self._stored = stored
        self._witness = witness
        self._left = left
        self._shown: dict[tuple[str, str], float] = {}

    async def look(self, instance: str, body: ConnectBody) -> ConnectView:
        return self._view(instance, await self._connecting.look(instance, _wish(body)))

    async def connect(self, instance: str, body: ConnectBody, by: str) -> ConnectView:
        """Raises as `Connecting.connect`."""
        with trio.move_on_after(CONNECT_SECONDS):
            return self._view(instance, await self._connecting.connect(instance, _wish(body), body.seen, by))
        raise SetupFailed(
            f"This took longer than {CONNECT_SECONDS:g} s and was stopped: the gateway, the address or a store answers "
            "too slowly. Whether the webhook was set is not known. Repeat the command, which goes on from there; "
            f"`majlis instance rollback {shlex.quote(instance)}` gives the former one back."
        )

    async def one(self, instance: str) -> ConnectionView:
        pending = await self._pending([instance])
        return self._connection(instance, await self._stored.of(instance), pending)

    async def every(self) -> ConnectionPage:
        stored = await self._stored.every()
        pending = await self._pending([one.instance for one in stored])
        return ConnectionPage(connections=[self._connection(one.instance, one, pending) for one in stored])

    async def disconnect(self, instance: str, body: DisconnectBody) -> DisconnectView:
        done = await self._connecting.give_back(instance, body.force, body.confirm)
        return _given_back(instance, done, await self._pending([instance]))

    async def disconnect_all(self, body: DisconnectBody) -> DisconnectPage:
        """Side by side; one that fails keeps no other from it."""
        names = body.instances or [one.instance for one in await self._stored.every()]
        now, later = names[:MAX_TOGETHER], names[MAX_TOGETHER:]
        done: dict[str, GivenBack] = {}

        async def one(name: str) -> None:
            done[name] = await self._connecting.give_back(name, body.force, body.confirm)

        async with trio.open_nursery() as nursery:
            for name in now:
                nursery.start_soon(one, name)
        pending = await self._pending(now)
        return DisconnectPage(instances=[_given_back(name, done[name], pending) for name in now], left=later)

    async def qr(self, instance: str, phone: str) -> QrView:
        """Raises `SetupFailed`; `Conflict` where there is none to be had."""
        pairing = await self._connecting.pair(instance, phone.removeprefix("+"))
        return QrView(
            instance=instance,
            phone=pairing.phone,
            code=pairing.code,
            svg=svg(pairing.code) if pairing.code else "",
            pairing_code=pairing.pairing_code,
            count=pairing.count,
        )

    async def _pending(self, instances: Collection[str]) -> _Pending:
        """Nothing while a store is away: it must not hide what was done at the gateway."""
        answers: Mapping[str, int] = {}
        forwards: Mapping[str, int] = {}
        with suppress(MirrorUnavailable):
            answers = await self._left.answers(instances)
        with suppress(LedgerUnavailable):
            forwards = await self._left.forwards(instances)
        return _Pending(answers, forwards)

    def is_news(self, instance: str, who: str) -> bool:
        """Whether the audit log has no entry yet that a code of this instance is shown to them."""
        now, key = time.monotonic(), (instance, who)
        self._shown = {one: at for one, at in self._shown.items() if now - at < NOTED_SECONDS}
        if key in self._shown:
            return False
        self._shown[key] = now
        return True

    def _view(self, instance: str, found: Looked) -> ConnectView:
        return ConnectView(
            instance=instance,
            done=found.ended in ("set", "proven"),
            may_connect=found.is_complete,
            ended=found.ended,
            words=found.words.replace("NAME", shlex.quote(instance)),
            checks=list(found.checks),
            phone=found.standing.phone,
            can_pair=found.standing.can_pair,
            now=webhook_view(found.now),
            shall=shown_webhook(found.shall),
            former=webhook_view(found.former),
            seen=self._connecting.fingerprint(found.now),
        )

    def _connection(
        self, instance: str, connection: ConnectedInstance | None, pending: _Pending
    ) -> ConnectionView:
        last = self._witness.last(instance)
        known: dict[str, Any] = {}
        if connection is not None:
            known = {
                "url": shown_address(connection.ours[0]),
                "set_at": iso(connection.set_at),
                "set_by": connection.set_by,
            }
        if last is not None:
            known |= {"events": last.number, "last_event": last.event, "last_event_seconds": last.age_seconds}
        return ConnectionView(
            instance=instance,
            connected=connection is not None,
            pending=pending.answers.get(instance),
            forwards=pending.forwards.get(instance),
            **known,
        )


def _given_back(instance: str, done: GivenBack, pending: _Pending) -> DisconnectView:
    return DisconnectView(
        instance=instance,
        ended=done.ended,
        words=done.words,
        now=webhook_view(done.now),
        former=webhook_view(done.former),
        pending=pending.answers.get(instance),
        forwards=pending.forwards.get(instance),
    )


def _wish(body: ConnectBody) -> ConnectWish:
    return ConnectWish(
        url=body.url,
        gateway=body.gateway,
        api_key=body.api_key,
        force=body.force,
        test_message=body.test_message,
        passthrough=body.passthrough,
    )


_BEST_FIRST: Sequence[Outcome] = ("done", "refused", "failed")
_CONNECT_OUTCOMES: Mapping[ConnectEnd, tuple[Outcome, str]] = {
    "looked": ("refused", "looked"),
    "not_set": ("refused", "asked, not set"),
    "not_taken": ("failed", "set, not taken by the gateway"),
    "set": ("done", "set, not proven"),
    "proven": ("done", "set, proven"),
}
_DISCONNECT_OUTCOMES: Mapping[Ended, Outcome] = {
    "would_be": "done",
    "given_back": "done",
    "changed": "refused",
    "not_connected": "refused",
    "failed": "failed",
}


async def _look_or_connect(board: ConnectionBoard, call: AdminCall, asked: OneInstance) -> Response:
    """What is missing to connect the instance, and with `confirm` its webhook at the gateway set to Majlis."""
    body: ConnectBody = call.body
    if not body.confirm:
        return json_response(200, await board.look(asked.instance, body))
    await call.audit("connect", f"instance {asked.instance}")
    call.became("failed", "how it ended is not known")
    try:
        done = await board.connect(asked.instance, body, call.who)
    except (Conflict, Missing):
        call.became("refused", "not set")
        raise
    call.became(*_CONNECT_OUTCOMES[done.ended])
    return json_response(200, done)


async def _one(board: ConnectionBoard, call: AdminCall, asked: OneInstance) -> Response:
    """Whether Majlis has set the instance's webhook, its last event here, and what is still to be answered."""
    return json_response(200, await board.one(asked.instance))


async def _every(board: ConnectionBoard, call: AdminCall, asked: Parameters) -> Response:
    """The same of every instance that is connected."""
    return json_response(200, await board.every())


async def _disconnect(board: ConnectionBoard, call: AdminCall, asked: OneInstance) -> Response:
    """With `confirm`, give the instance's webhook back to where it was; what was acknowledged is still answered."""
    body: DisconnectBody = call.body
    if body.confirm:
        await call.audit("disconnect", f"instance {asked.instance}")
    found = await board.disconnect(asked.instance, body)
    call.became(_DISCONNECT_OUTCOMES[found.ended], found.ended.replace("_", " "))
    return json_response(200, found)


async def _disconnect_all(board: ConnectionBoard, call: AdminCall, asked: Parameters) -> Response:
    """The same for all that are connected, some in each request: see `left`."""
    body: DisconnectBody = call.body
    if body.confirm:
        await call.audit(
            "disconnect", f"{len(body.instances)} instances" if body.instances else "all instances"
        )
    page = await board.disconnect_all(body)
    ends = Counter(one.ended for one in page.instances)
    worst: Outcome = max(
        (_DISCONNECT_OUTCOMES[ended] for ended in ends), key=_BEST_FIRST.index, default=_BEST_FIRST[0]
    )
    counted = [f"{number} {ended.replace('_', ' ')}" for ended, number in ends.items()]
    call.became(worst, ", ".join([*counted, *([f"{len(page.left)} left"] if page.left else [])]))
    return json_response(200, page)


async def _qr(board: ConnectionBoard, call: AdminCall, asked: PairOne) -> Response:
    """The QR code by which the instance's phone is paired, as it is now; the pairing begins."""
    if board.is_news(asked.instance, call.who):
        await call.audit("qr", f"instance {asked.instance}")
    return json_response(200, await board.qr(asked.instance, asked.phone or ""), _NO_STORE)


_ONE = "/v1/instances/{instance}"
ROUTES = (
    Route("GET", "/v1/connections", ConnectionBoard, _every, "read", ConnectionPage),
    Route("GET", f"{_ONE}/connection", ConnectionBoard, _one, "read", ConnectionView, OneInstance),
    Route(
        "POST",
        f"{_ONE}/connect",
        ConnectionBoard,
        _look_or_connect,
        "admin",
        ConnectView,
        OneInstance,
        ConnectBody,
    ),
    Route(
        "POST",
        f"{_ONE}/disconnect",
        ConnectionBoard,
        _disconnect,
        "admin",
        DisconnectView,
        OneInstance,
        DisconnectBody,
    ),
    Route(
        "POST",
        "/v1/disconnect",
        ConnectionBoard,
        _disconnect_all,
        "admin",
        DisconnectPage,
        body=DisconnectBody,
    ),
    Route("GET", f"{_ONE}/qr", ConnectionBoard, _qr, "admin", QrView, PairOne),
)
