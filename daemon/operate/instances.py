"""One instance, or all: close its windows, pause its turns, resume them."""

from __future__ import annotations

import msgspec

from actors.errors import Conflict, Missing
from actors.supervisor import Supervisor
from daemon.controls.pauses import EVERYBODY, PauseBoard
from daemon.ledger.records import Records
from daemon.ledger.rows import Pause
from daemon.operate.call import AdminCall, iso
from daemon.operate.parameters import InstanceName, Parameters
from daemon.operate.route import Route
from daemon.operate.takeovers import PauseSeconds
from daemon.web.http1 import Response, json_response

_PUT_OFF = ("retrying", "holding", "parked")


class InstancePause(msgspec.Struct, frozen=True, kw_only=True):
    """While it lasts, messages are acknowledged and wait, and no turn begins."""

    instance: str
    """Empty: every instance."""
    since: str
    until: str = ""
    """Empty: until an operator resumes it."""
    held: str = ""
    """Why Majlis itself holds the instance, and what ends that; empty: an operator paused it."""
    stood_until: str | None = None
    """In the answer to a change: when the pause ended before, empty as above. None: it was not paused before."""


class InstanceResumed(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    """Empty: every instance; those that were paused one by one stay paused."""


class InstanceFlushed(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    """Empty: every instance."""
    conversations: int
    """Those in which something waited, including deferred turns that are now tried again."""
    messages: int


class OneInstance(Parameters, frozen=True, kw_only=True):
    instance: InstanceName


class EveryInstance(Parameters, frozen=True, kw_only=True):
    @property
    def instance(self) -> None:
        return None


class PauseOne(OneInstance, frozen=True, kw_only=True):
    seconds: PauseSeconds | None = None


class PauseEvery(EveryInstance, frozen=True, kw_only=True):
    seconds: PauseSeconds | None = None


class Instances:
    """`instance` None stands for all of them. Every method may raise `Unavailable`."""

    def __init__(self, records: Records, supervisor: Supervisor, pauses: PauseBoard) -> None:
        self._records = records
        self._supervisor = supervisor
        self._pauses = pauses

    async def flush(self, instance: str | None) -> InstanceFlushed:
        """Close every window now. Raises `Missing` for an unknown instance."""
        await self._insist(instance)
        views = [view for view in self._supervisor.views() if instance in (None, view.conversation.instance)]
        waiting = [view for view in views if view.waiting or view.phase in _PUT_OFF]
        for view in waiting:
            self._supervisor.flush(view.conversation)
        messages = sum(len(view.waiting) for view in waiting)
        return InstanceFlushed(instance=instance or "", conversations=len(waiting), messages=messages)

    async def pause(self, instance: str | None, seconds: int | None) -> InstancePause:
        """Let no turn begin from now on. Raises `Missing` for an unknown instance."""
        await self._insist(instance)
        name = instance or EVERYBODY
        before = next((pause for pause in self._pauses.standing() if pause.instance == name), None)
        pause = await self._pauses.pause(name, seconds)
        if pause is None:
            raise Conflict("Another operator ended the pause at the same moment.")
        return msgspec.structs.replace(instance_pause(pause), stood_until=_end(before) if before else None)

    async def resume(self, instance: str | None) -> InstanceResumed:
        """Let turns begin again. Raises `Conflict` when this itself was not paused."""
        if await self._pauses.resume(instance or EVERYBODY):
            return InstanceResumed(instance=instance or "")
        if instance is None:
            raise Conflict(
                "All instances are not paused together; `majlis status` shows pauses of single instances."
            )
        if held := self._pauses.held(instance):
            raise Conflict(f"{instance} is held by Majlis itself, and nobody paused it: {held}.")
        if self._pauses.of(instance) is not None:
            raise Conflict(
                f"{instance} itself is not paused, all instances are: end that with `majlis resume --all`."
            )
        raise Conflict(f"{instance} is not paused: there is nothing to resume.")

    async def _insist(self, instance: str | None) -> None:
        if instance is not None and not await self._records.knows_instance(instance):
            raise Missing(f"The database has no instance called {instance}: check the spelling.")


def instance_pause(pause: Pause) -> InstancePause:
    return InstancePause(instance=pause.instance, since=iso(pause.since), until=_end(pause), held=pause.held)


def _end(pause: Pause) -> str:
    return iso(pause.until) if pause.until else ""


async def _flush(instances: Instances, call: AdminCall, asked: OneInstance | EveryInstance) -> Response:
    """Close every window of the instance, or of all, now. Deferred turns are tried again."""
    await call.audit("flush", _target(asked.instance))
    return json_response(200, await instances.flush(asked.instance))


async def _pause(instances: Instances, call: AdminCall, asked: PauseOne | PauseEvery) -> Response:
    """Pause the instance, or all: no turn begins, and messages are acknowledged and wait."""
    await call.audit("pause", _target(asked.instance))
    return json_response(200, await instances.pause(asked.instance, asked.seconds))


async def _resume(instances: Instances, call: AdminCall, asked: OneInstance | EveryInstance) -> Response:
    """End the pause of the instance, or of all: turns begin again."""
    await call.audit("resume", _target(asked.instance))
    return json_response(200, await instances.resume(asked.instance))


def _target(instance: str | None) -> str:
    return f"instance {instance}" if instance else "all instances"


_ONE = "/v1/instances/{instance}"
ROUTES = (
    Route("POST", f"{_ONE}/flush", Instances, _flush, "operate", InstanceFlushed, OneInstance),
    Route("POST", "/v1/flush", Instances, _flush, "operate", InstanceFlushed, EveryInstance),
    Route("POST", f"{_ONE}/pause", Instances, _pause, "operate", InstancePause, PauseOne),
    Route("POST", f"{_ONE}/resume", Instances, _resume, "operate", InstanceResumed, OneInstance),
    Route("POST", "/v1/pause", Instances, _pause, "operate", InstancePause, PauseEvery),
    Route("POST", "/v1/resume", Instances, _resume, "operate", InstanceResumed, EveryInstance),
)
