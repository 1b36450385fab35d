"""Every route of the admin door, in one table. One file per family; a new route is one function and one entry here.

`docs/openapi.json` is made from this table: after a change, `python -m daemon.operate docs/openapi.json`.
"""

from __future__ import annotations

from typing import Any, get_args

import trio

from daemon.operate import knowledge as lib
from daemon.operate import openapi
from daemon.operate.call import Call, Desk
from daemon.operate.control_views import (
    Draining,
    Dropped,
    InstanceFlushed,
    InstancePause,
    InstanceResumed,
    LogLevelView,
)
from daemon.operate.inspect_views import (
    ConfigPage,
    Explanation,
    LeasePage,
    TopPage,
    TopSort,
    TreePage,
    TurnPage,
)
from daemon.operate.login import LoginLink
from daemon.operate.reports import CostReport, FlagPage, Paused, Reloaded, Resumed
from daemon.operate.route import (
    INSTANCE,
    LIMIT,
    NDJSON,
    OFFSET,
    REVEAL,
    Param,
    Route,
    RoutePage,
    RouteView,
    Stored,
    flag,
    number,
    one_of,
)
from daemon.operate.routes import change, dashboard, flags, inside, letters, library, look, steer
from daemon.operate.views import (
    ActorPage,
    ActorState,
    ConversationView,
    DeadLetterPage,
    DeadLetterView,
    DoctorReport,
    Flushed,
    Retried,
    SilentPage,
    Status,
    TurnDetail,
)
from daemon.web.http1 import Response, json_response

__all__ = ["ROUTES", "Route"]

_STATE = one_of("state", "Only this state.", get_args(ActorState))
_SORT = one_of("sort", "In which order; default: urgency.", get_args(TopSort))
_DAYS = number("days", "Today and the days before it, UTC.", 1, look.MAX_DAYS, look.DEFAULT_DAYS)
_SECONDS = number("seconds", "How long.", 1, change.MAX_PAUSE_SECONDS)
_TOP_LIMIT = number("limit", "The most to be listed.", 1, inside.MAX_ROWS, inside.DEFAULT_ROWS)
_TASKS = number("limit", "The most to be listed of one kind under one task.", 1, 1_000, inside.DEFAULT_TASKS)
_ALL = flag("all", "Also the ones that were retried or dropped.")
_ONLY = {"type": "string", "description": "Several with commas between them."}
_TAIL = (
    Param("instance", "Only events of these instances.", _ONLY),
    Param("conversation", "Only events of these: a label, or INSTANCE/PHONE.", _ONLY),
    Param("kind", "Only these names, such as turn.done, or subjects, such as turn.", _ONLY),
)


async def _routes(desk: Desk, call: Call) -> Response:
    """All routes, with what each does and the level that it needs."""
    await trio.lowlevel.checkpoint()
    views = [
        RouteView(method=route.method, path=route.path, level=route.level, help=route.help)
        for route in ROUTES
    ]
    return json_response(200, RoutePage(views))


async def _openapi(desk: Desk, call: Call) -> Response:
    """This interface as an OpenAPI document."""
    await trio.lowlevel.checkpoint()
    return json_response(200, openapi.document(ROUTES))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1", _routes, "read", RoutePage),
    Route("GET", "/v1/openapi.json", _openapi, "read", dict[str, Any]),
    # Reads
    Route("GET", "/v1/status", look.status, "read", Status),
    Route(
        "GET", "/v1/actors", look.actors, "read", ActorPage, (_STATE, INSTANCE, _SORT, OFFSET, LIMIT, REVEAL)
    ),
    Route("GET", "/v1/silent", look.silent, "read", SilentPage, (INSTANCE, LIMIT, REVEAL)),
    Route("GET", "/v1/conversations/{label}", look.conversation, "read", ConversationView, (REVEAL,)),
    Route(
        "GET",
        "/v1/conversations/{instance}/{contact}",
        look.conversation,
        "read",
        ConversationView,
        (REVEAL,),
    ),
    Route("GET", "/v1/turns", inside.turns, "read", TurnPage, (INSTANCE, _TOP_LIMIT, REVEAL)),
    Route("GET", "/v1/turns/{id}", look.turn, "read", TurnDetail, (REVEAL,)),
    Route("GET", "/v1/explain/{message}", inside.explain, "read", Explanation, (INSTANCE, REVEAL)),
    Route("GET", "/v1/cost", look.cost, "read", CostReport, (INSTANCE, _DAYS)),
    Route("GET", "/v1/tail", look.tail, "read", dict[str, Any], _TAIL, content_type=NDJSON),
    Route("GET", "/v1/top", inside.top, "read", TopPage, (_SORT, INSTANCE, OFFSET, _TOP_LIMIT, REVEAL)),
    Route("GET", "/v1/tree", inside.tree, "read", TreePage, (_TASKS,)),
    Route("GET", "/v1/config", inside.config, "read", ConfigPage, (REVEAL,)),
    Route("GET", "/v1/leases", inside.leases, "read", LeasePage),
    Route("GET", "/v1/doctor", look.doctor, "read", DoctorReport),
    # Conversations
    Route("POST", "/v1/conversations/{label}/flush", change.flush, "operate", Flushed),
    Route("POST", "/v1/conversations/{instance}/{contact}/flush", change.flush, "operate", Flushed),
    Route("POST", "/v1/conversations/{label}/pause", change.pause, "operate", Paused, (_SECONDS,)),
    Route(
        "POST", "/v1/conversations/{instance}/{contact}/pause", change.pause, "operate", Paused, (_SECONDS,)
    ),
    Route("POST", "/v1/conversations/{label}/resume", change.resume, "operate", Resumed),
    Route("POST", "/v1/conversations/{instance}/{contact}/resume", change.resume, "operate", Resumed),
    # Instances, and the daemon as a whole
    Route("POST", "/v1/instances/{instance}/flush", steer.flush, "operate", InstanceFlushed),
    Route("POST", "/v1/flush", steer.flush, "operate", InstanceFlushed),
    Route("POST", "/v1/instances/{instance}/pause", steer.pause, "operate", InstancePause, (_SECONDS,)),
    Route("POST", "/v1/instances/{instance}/resume", steer.resume, "operate", InstanceResumed),
    Route("POST", "/v1/pause", steer.pause, "operate", InstancePause, (_SECONDS,)),
    Route("POST", "/v1/resume", steer.resume, "operate", InstanceResumed),
    Route("POST", "/v1/reload", change.reload, "operate", Reloaded),
    Route("GET", "/v1/log-level", steer.log_level, "read", LogLevelView),
    Route("POST", "/v1/log-level/{level}", steer.set_log_level, "admin", LogLevelView),
    Route("POST", "/v1/drain", steer.drain, "admin", Draining),
    Route("POST", "/v1/dashboard/login", dashboard.log_in, "read", LoginLink),
    Route("GET", "/v1/flags", flags.list_flags, "read", FlagPage),
    Route("POST", "/v1/flags/{flag}/{change}", flags.change, "operate", FlagPage, (INSTANCE,)),
    # Dead letters
    Route("GET", "/v1/dead", letters.list_dead_letters, "read", DeadLetterPage, (_ALL, LIMIT, REVEAL)),
    Route("GET", "/v1/dead/{id}", letters.show, "read", DeadLetterView, (REVEAL,)),
    Route("POST", "/v1/dead/retry-all", letters.retry_all, "operate", Retried),
    Route("POST", "/v1/dead/{id}/retry", letters.retry, "operate", Retried),
    Route("POST", "/v1/dead/{id}/drop", letters.drop, "operate", Dropped),
    # Files and kept answers
    Route("GET", "/v1/knowledge/{instance}", library.list_files, "read", lib.FilePage),
    Route("POST", "/v1/knowledge/{instance}/files", library.begin, "operate", lib.Begun, body=lib.FileHead),
    Route(
        "POST",
        "/v1/knowledge/{instance}/files/{id}/chunks",
        library.put,
        "operate",
        Stored,
        body=lib.ChunkPage,
    ),
    Route(
        "POST",
        "/v1/knowledge/{instance}/files/{id}/ready",
        library.commit,
        "operate",
        lib.Ready,
        body=lib.Ready,
    ),
    Route(
        "POST", "/v1/knowledge/{instance}/remove", library.remove, "operate", lib.Removed, body=lib.FileNames
    ),
    Route("GET", "/v1/cache", library.cache_stats, "read", lib.CacheStats, (INSTANCE,)),
    Route("POST", "/v1/cache/clear", library.cache_clear, "operate", lib.Cleared, (INSTANCE,)),
)
