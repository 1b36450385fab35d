"""Instances as a file: what applying one would change, applying it, and writing down what is set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from actors.errors import Conflict
from daemon.config import ConfigError
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.operate.tenants import ValueChanged, value_changes
from daemon.operate.unanswered import Silencing
from daemon.tenants import Tenants
from daemon.tenants.documents import flattened, nested
from daemon.tenants.history import exported, secrets_of
from daemon.tenants.tenants import Planned
from daemon.web.http1 import Response, json_response

__all__ = ["nested"]  # the command line takes it from here, and knows nothing of what is behind the routes

MAX_INSTANCES = 1_000
EXPORTED = 50
"""In one answer."""
MAX_FAULTS = 50
"""Named in one refusal."""

Effect = Literal["added", "changed", "unchanged"]


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    instances: Annotated[
        dict[str, dict[str, Any]],
        Meta(
            max_length=MAX_INSTANCES,
            description="By instance a tree as under `instances` in config.yaml, with prompt, active, flags and the "
            "other keys of `majlis instance set`. What is not in it stays as it is.",
        ),
    ]
    dry_run: Annotated[bool, Meta(description="Say what would change, and change nothing.")] = False
    why: Annotated[str, Meta(max_length=1_000, description="Kept with the versions.")] = ""


class DeclaredChange(ValueChanged, frozen=True, kw_only=True):
    secret: bool
    """Then only whether it was set says anything."""


class AppliedInstance(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    what: Effect
    version: int = 0
    """The version that was made; 0: none."""
    changes: list[DeclaredChange]
    warning: str = ""
    """Why its customers would get no answer from anyone then; empty: they would."""


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    instances: list[AppliedInstance]


class ExportedInstance(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    values: dict[str, Any]
    """What is stored for it, by key, as JSON."""
    secrets: list[str]
    """The keys of its secrets, which are never shown."""


class ExportPage(msgspec.Struct, frozen=True, kw_only=True):
    instances: list[ExportedInstance]
    after: str = ""
    """Ask again with this for the rest; empty: there are no more."""


class ExportQuery(Parameters, frozen=True, kw_only=True):
    instance: Annotated[str, Meta(description="Only this instance.")] = ""
    after: Annotated[str, Meta(description="Only those whose names come after this one.")] = ""


class DeclaredInstances:
    """Every method may raise `Unavailable`."""

    def __init__(self, tenants: Tenants, unanswered: Silencing) -> None:
        self._tenants = tenants
        self._unanswered = unanswered

    async def apply(self, call: AdminCall) -> Applied:
        """All are judged before any is changed. Raises: Conflict, with a line for each fault; it is recorded."""
        body: Declared = call.body
        values, planned, faults = dict[str, dict[str, Any]](), list[Planned](), list[str]()
        for name, tree in body.instances.items():
            try:
                values[name] = flattened(tree)
                planned.append(await self._tenants.plan(name, values[name]))
            except (ConfigError, Conflict) as error:
                faults += [f"{name}: {line}" for line in str(error).splitlines()]
        if faults:
            more = len(faults) - MAX_FAULTS
            kept = [*faults[:MAX_FAULTS], *([f"and {more} more"] if more > 0 else [])]
            if not body.dry_run:
                await call.audit("instance.apply", f"a file of {len(body.instances)} instances")
            raise Conflict("\n".join(kept))
        return Applied(
            instances=[
                await self._planned(one)
                if body.dry_run
                else await self._apply(call, one, values[one.instance])
                for one in planned
            ]
        )

    async def _planned(self, planned: Planned) -> AppliedInstance:
        changed = {one.key: one.after for one in planned.differences}
        warning = await self._unanswered.warning(planned.instance, changed)
        return msgspec.structs.replace(_view(planned, 0), warning=warning)

    async def _apply(
        self, call: AdminCall, planned: Planned, values: Mapping[str, object]
    ) -> AppliedInstance:
        if planned.what == "change" and not planned.differences:
            return _view(planned, 0)

        keys = ", ".join(one.key for one in planned.differences)
        await call.audit("instance.apply", f"instance {planned.instance}, {keys}")
        done = await self._tenants.apply(planned.instance, values, call.who, call.body.why)
        return _view(planned, done.version)

    async def export(self, call: AdminCall, asked: ExportQuery) -> ExportPage:
        """Raises: Missing."""
        await call.audit(
            "instance.export", f"instance {asked.instance}" if asked.instance else "all instances"
        )
        if asked.instance:
            names, more = [asked.instance], False
        else:
            all_names = sorted(
                one.instance for one in await self._tenants.list() if one.instance > asked.after
            )
            names, more = all_names[:EXPORTED], len(all_names) > EXPORTED
        found = []
        for name in names:
            state = (await self._tenants.state(name)).state
            found.append(ExportedInstance(instance=name, values=exported(state), secrets=secrets_of(state)))
        return ExportPage(instances=found, after=names[-1] if more else "")


def _view(planned: Planned, version: int) -> AppliedInstance:
    effect: Effect = "added" if planned.what == "add" else "changed" if planned.differences else "unchanged"
    changes = [
        DeclaredChange(key=shown.key, before=shown.before, after=shown.after, secret=one.secret)
        for one, shown in zip(planned.differences, value_changes(planned.differences), strict=True)
    ]
    return AppliedInstance(instance=planned.instance, what=effect, version=version, changes=changes)


async def _apply(declared: DeclaredInstances, call: AdminCall, asked: Parameters) -> Response:
    """Add and change instances as a file declares them; with `dry_run`, say what would change."""
    return json_response(200, await declared.apply(call))


async def _export(declared: DeclaredInstances, call: AdminCall, asked: ExportQuery) -> Response:
    """What is stored for instances, phone numbers too, but no secret: to be applied again, or elsewhere."""
    return json_response(200, await declared.export(call, asked))


ROUTES = (
    Route("POST", "/v1/apply", DeclaredInstances, _apply, "admin", Applied, Parameters, Declared),
    Route("GET", "/v1/export", DeclaredInstances, _export, "admin", ExportPage, ExportQuery),
)
