"""The targets: what is aimed at, what was measured, and what that says. And the mirror's memory by instance."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from actors.targets import Judgement, TargetName, TargetState
from daemon.observe.target_watch import TargetWatch
from daemon.operate.call import AdminCall, iso
from daemon.operate.parameters import Instance, Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response

if TYPE_CHECKING:  # the command line reads the report, and needs no driver
    from daemon.mirror.sizes import InstanceSizes

TOP_INSTANCES = 20

WORDS: Mapping[TargetName, tuple[str, str, str]] = {
    "response_time": ("response time, 95 of 100 answers", "s", "answers"),
    "errors": ("turns that end as dead letters", "share", "turns"),
    "cost_per_message": ("cost per answered message", "", "messages"),
    "conversations": ("conversations at once", "", "minutes"),
    "messages_per_minute": ("messages in a minute", "", "minutes"),
}
"""What each is, its unit, and what its samples are."""
STATES: Mapping[TargetState, str] = {
    "reached": "reached",
    "missed": "missed",
    "unknown": "too little traffic to say",
}


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    name: TargetName
    what: str
    state: TargetState
    """`unknown`: too little traffic to say."""
    says: str
    """The state in words."""
    actual: float | None
    """None: nothing was measured."""
    target: float
    unit: str
    samples: int
    samples_are: str
    why: str = ""
    """What the numbers do not say."""


class MirrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one instance takes of Redis' memory."""

    instance: str
    bytes: int
    conversations: int
    """With anything in Redis: those that wait, and those of the last two days."""


class MirrorMemory(msgspec.Struct, frozen=True, kw_only=True):
    """As the last walk through Redis found it; a walk takes a second for each 200 keys."""

    total_bytes: int
    instances: list[MirrorRow]
    """The largest first, 20 at most."""


class KpiReport(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    since: str
    """Turns that ended before this do not count."""
    is_whole: bool
    """False: there were so many turns that the newest ones alone, since `since`, were read."""
    period_seconds: float
    instance: str = ""
    """Empty: all."""
    targets: list[TargetRow]
    untimed: int
    """Answers whose time does not count: they waited for a gateway, a store or an operator."""
    mirror: MirrorMemory | None
    """None: it is being measured."""


class KpiQuery(Parameters, frozen=True, kw_only=True):
    instance: Instance | None = None
    minutes: (
        Annotated[
            int,
            Meta(ge=1, le=44_640, description="Only the last minutes. Default: targets.period_seconds."),
        ]
        | None
    ) = None


class Kpis:
    def __init__(self, watch: TargetWatch) -> None:
        self._watch = watch

    async def report(self, minutes: int | None, instance: str | None) -> KpiReport:
        """Raises: LedgerUnavailable."""
        reading = await self._watch.read(None if minutes is None else minutes * 60.0, instance)
        now = datetime.now(UTC)
        turns = reading.turns
        since = turns.since or now
        return KpiReport(
            at=iso(now),
            since=iso(since),
            is_whole=(now - since).total_seconds() > reading.period_seconds * 0.98,
            period_seconds=reading.period_seconds,
            instance=instance or "",
            targets=[_row(verdict) for verdict in reading.verdicts],
            untimed=max(0, turns.answered - turns.timed),
            mirror=_memory(self._watch.sizes, reading.instance),
        )


def _row(verdict: Judgement) -> TargetRow:
    what, unit, samples_are = WORDS[verdict.name]
    return TargetRow(
        name=verdict.name,
        what=what,
        state=verdict.state,
        says=STATES[verdict.state],
        actual=verdict.actual,
        target=verdict.target,
        unit=unit,
        samples=verdict.samples,
        samples_are=samples_are,
        why=verdict.why,
    )


def _memory(sizes: InstanceSizes, instance: str | None) -> MirrorMemory | None:
    known = sizes.latest
    if known is None:
        return None
    asked = [name for name in known if instance in (None, name)]
    largest = heapq.nlargest(TOP_INSTANCES, asked, key=lambda name: known[name].bytes)
    return MirrorMemory(
        total_bytes=sizes.shared_bytes + sum(size.bytes for size in known.values()),
        instances=[
            MirrorRow(instance=name, bytes=known[name].bytes, conversations=known[name].conversations)
            for name in largest
        ],
    )


async def _report(kpis: Kpis, call: AdminCall, asked: KpiQuery) -> Response:
    """Whether the targets are reached: response time, errors, cost, load; and the mirror's memory by instance."""
    return json_response(200, await kpis.report(asked.minutes, asked.instance or None))


ROUTES = (Route("GET", "/v1/kpi", Kpis, _report, "read", KpiReport, KpiQuery),)
