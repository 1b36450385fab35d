"""Every route of the admin interface, in one table. Each topic's file lists its own.

`docs/openapi.json` is made from this table: after a change, `python -m daemon.operate docs/openapi.json`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from daemon.operate import (
    actors,
    audit_log,
    connections,
    control,
    conversations,
    cost,
    dead_letters,
    declared,
    doctor,
    drafts,
    explain,
    feature_flags,
    forwards,
    instances,
    knowledge,
    kpi,
    leases,
    login,
    openapi,
    secrets,
    settings,
    shadow,
    status,
    tail,
    takeovers,
    task_tree,
    tenants,
    top,
    turns,
)
from daemon.operate.call import AdminCall
from daemon.operate.levels import Level
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    path: str
    level: Level
    """The lowest level that may use it."""
    help: str


class RoutePage(msgspec.Struct, frozen=True):
    routes: list[RouteView]


class Interface:
    """The admin interface itself."""

    async def routes(self, call: AdminCall, asked: Parameters) -> Response:
        """All routes, with what each does and the level it needs."""
        await trio.lowlevel.checkpoint()
        views = [
            RouteView(method=route.method, path=route.path, level=route.level, help=route.help)
            for route in ROUTES
        ]
        return json_response(200, RoutePage(views))

    async def document(self, call: AdminCall, asked: Parameters) -> Response:
        """This interface as an OpenAPI document."""
        await trio.lowlevel.checkpoint()
        return json_response(200, openapi.document(ROUTES))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1", Interface, Interface.routes, "read", RoutePage),
    Route("GET", "/v1/openapi.json", Interface, Interface.document, "read", dict[str, Any]),
    *status.ROUTES,
    *actors.ROUTES,
    *conversations.ROUTES,
    *takeovers.ROUTES,
    *turns.ROUTES,
    *drafts.ROUTES,
    *explain.ROUTES,
    *cost.ROUTES,
    *kpi.ROUTES,
    *tail.ROUTES,
    *top.ROUTES,
    *task_tree.ROUTES,
    *settings.ROUTES,
    *audit_log.ROUTES,
    *secrets.ROUTES,
    *leases.ROUTES,
    *doctor.ROUTES,
    *instances.ROUTES,
    *tenants.ROUTES,
    *declared.ROUTES,
    *shadow.ROUTES,
    *connections.ROUTES,
    *control.ROUTES,
    *login.ROUTES,
    *feature_flags.ROUTES,
    *dead_letters.ROUTES,
    *forwards.ROUTES,
    *knowledge.ROUTES,
)
