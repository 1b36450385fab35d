"""The routes of the admin door and what each does. A new command is one function and one line in `ROUTES`.

Laws of this file:
- Only the daemon's own user and root are answered, by the kernel's word on who is at the other end.
- Nothing changes, and nothing masked is revealed, without an audit entry written first.
- An error is one sentence that says what to do; what broke inside goes to the log, by its class alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, get_args

import msgspec
import trio

from actors.errors import MajlisError, Overloaded, Unavailable
from actors.identity import Conversation, canonical_contact
from daemon.admin.masking import shown
from daemon.admin.operations import AuditEntry, Conflict, NotFound, Operations, Ref
from daemon.admin.views import ActorPage, ActorState, ActorView, DeadLetterPage, Retried
from daemon.feed import EventFeed, Tail
from daemon.http1 import Request, Response, json_response

TAIL_HEARTBEAT_SECONDS = 15.0
DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
"""Masking and encoding this many takes the event loop about 50 ms."""
NDJSON_TYPE = "application/x-ndjson"

_LABEL = re.compile(r"[0-9a-f]{10}")
_URGENCY = ("parked", "holding", "retrying", "answering", "queued", "waiting", "idle")


class BadQuery(Exception):
    """The request cannot be understood; the text says what is allowed."""


_REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadQuery: (400, "bad_query"),
    NotFound: (404, "not_found"),
    Conflict: (409, "conflict"),
}
"""Replies, not failures: the error's text is the sentence for the operator."""


class Call(NamedTuple):
    """One request with the named pieces of its path."""

    request: Request
    named: Mapping[str, str]

    @property
    def reveal(self) -> bool:
        return self.flag("reveal")

    @property
    def ref(self) -> Ref:
        label = self.named.get("label")
        if label is not None:
            if not _LABEL.fullmatch(label):  # a bare phone number, say: it may go into no audit entry
                raise BadQuery(
                    "write a conversation as its label (ten hexadecimal digits), or as INSTANCE/PHONE"
                )
            return label
        return Conversation(self.named["instance"], canonical_contact(self.named["contact"]))

    @property
    def letter_id(self) -> int:
        text = self.named["id"]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise BadQuery("a dead letter is known by its number; see `majlis dead list`")
        return int(text)

    def flag(self, name: str) -> bool:
        value = self.request.query.get(name, "false")
        if value not in ("true", "false"):
            raise BadQuery(f"{name} must be true or false")
        return value == "true"

    def limit(self) -> int:
        text = self.request.query.get("limit", str(DEFAULT_LIMIT))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
            raise BadQuery(f"limit must be a whole number from 1 to {MAX_LIMIT}")
        return int(text)


class AdminApi:
    """Answers the requests of the admin socket."""

    def __init__(self, operations: Operations, feed: EventFeed) -> None:
        self.operations = operations
        self.feed = feed
        self._allowed_uids = {0, os.geteuid()}

    async def handle(self, request: Request) -> Response:
        """The handler for `HttpServer`."""
        if request.peer.uid not in self._allowed_uids:
            return _error(
                403, "forbidden", "only the user that runs the daemon, and root, may use this socket"
            )
        try:
            return await self._dispatch(request)
        except (BadQuery, NotFound, Conflict) as error:
            status, reason = next(word for kind, word in _REFUSALS.items() if isinstance(error, kind))
            return _error(status, reason, str(error))
        except (Unavailable, Overloaded) as error:
            return _error(503, "unavailable", f"this cannot be done now, try again: {error}")
        except MajlisError as error:
            return _error(503, "refused", f"this cannot be done, see `majlis doctor`: {error}")
        except Exception as error:
            name = type(error).__name__
            self.feed.emit("admin.failed", path=_pattern(request), error=name)
            return _error(500, "failed", f"the daemon failed ({name}); see the event admin.failed in its log")

    async def _dispatch(self, request: Request) -> Response:
        methods = []
        for route in ROUTES:
            named = route.match(request.segments)
            if named is None:
                continue
            if route.method == request.method:
                return await route.run(self, Call(request, named))
            methods.append(route.method)
        if methods:
            return _error(405, "method", f"use {' or '.join(methods)} here", {"Allow": ", ".join(methods)})
        return _error(404, "no_route", "there is nothing here; GET /v1 lists all routes")

    async def audit(self, call: Call, action: str, target: str) -> None:
        """Record who asked for what, before it is done."""
        peer = call.request.peer
        await self.operations.audit(AuditEntry(action=action, target=target, uid=peer.uid, pid=peer.pid))
        self.feed.emit("admin.change", action=action, target=target, uid=peer.uid, pid=peer.pid)

    async def answer(self, call: Call, view: object, target: str) -> Response:
        """`view` as JSON, masked unless revealing was asked for and recorded."""
        if call.reveal:
            await self.audit(call, "reveal", target)
        return json_response(200, shown(view, call.reveal))

    def target(self, ref: Ref) -> str:
        return self.feed.label(ref) if isinstance(ref, Conversation) else ref


async def _routes(api: AdminApi, call: Call) -> Response:
    """All routes, with what each does."""
    listed = [
        {"method": route.method, "path": route.path, "help": (route.run.__doc__ or "").partition("\n")[0]}
        for route in ROUTES
    ]
    await trio.lowlevel.checkpoint()
    return json_response(200, {"routes": listed})


async def _status(api: AdminApi, call: Call) -> Response:
    """Readiness, stores, counts."""
    return json_response(200, await api.operations.status())


async def _actors(api: AdminApi, call: Call) -> Response:
    """Active conversations, the most urgent first. Query: state, instance, limit, reveal."""
    state, instance = call.request.query.get("state"), call.request.query.get("instance")
    if state is not None and state not in get_args(ActorState):
        raise BadQuery(f"state must be one of {', '.join(get_args(ActorState))}")
    actors = await api.operations.actors()
    matching = [
        actor for actor in actors if state in (None, actor.state) and instance in (None, actor.instance)
    ]
    matching.sort(key=_urgency)
    page = ActorPage(total=len(actors), matching=len(matching), actors=matching[: call.limit()])
    return await api.answer(call, page, "actors")


async def _conversation(api: AdminApi, call: Call) -> Response:
    """One conversation: what waits, what was answered. Query: reveal."""
    view = await api.operations.conversation(call.ref)
    return await api.answer(call, view, view.conversation)


async def _flush(api: AdminApi, call: Call) -> Response:
    """Close the conversation's window now."""
    await api.audit(call, "flush", api.target(call.ref))
    return json_response(200, await api.operations.flush(call.ref))


async def _dead_list(api: AdminApi, call: Call) -> Response:
    """Dead letters, the latest first. Query: limit, all (also the retried ones), reveal."""
    page: DeadLetterPage = await api.operations.dead_letters(call.limit(), call.flag("all"))
    return await api.answer(call, page, "dead letters")


async def _dead_show(api: AdminApi, call: Call) -> Response:
    """One dead letter with its messages. Query: reveal."""
    letter = await api.operations.dead_letter(call.letter_id)
    return await api.answer(call, letter, f"dead letter {letter.id}")


async def _dead_retry(api: AdminApi, call: Call) -> Response:
    """Put one dead letter back to be answered."""
    await api.audit(call, "dead.retry", f"dead letter {call.letter_id}")
    await api.operations.retry(call.letter_id)
    return json_response(200, Retried(retried=1))


async def _dead_retry_all(api: AdminApi, call: Call) -> Response:
    """Put every open dead letter back to be answered."""
    await api.audit(call, "dead.retry_all", "dead letters")
    return json_response(200, Retried(retried=await api.operations.retry_all()))


async def _tail(api: AdminApi, call: Call) -> Response:
    """Every event from now on, one JSON object a line; an empty line now and then while nothing happens."""
    await trio.lowlevel.checkpoint()
    return Response(200, content_type=NDJSON_TYPE, stream=_Lines(api.feed.tail()))


async def _doctor(api: AdminApi, call: Call) -> Response:
    """Check stores, settings, gateway and responder, and say what to do."""
    return json_response(200, await api.operations.doctor())


class Route(NamedTuple):
    method: str
    path: str
    run: Callable[[AdminApi, Call], Awaitable[Response]]

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The named pieces of the path, None when it is another path."""
        pattern = self.path.split("/")[1:]
        if len(pattern) != len(segments):
            return None
        pairs = list(zip(pattern, segments, strict=True))
        named = {piece.strip("{}"): segment for piece, segment in pairs if piece.startswith("{")}
        fits = all(piece == segment or piece.startswith("{") for piece, segment in pairs)
        return named if fits and all(named.values()) else None


ROUTES = (
    Route("GET", "/v1", _routes),
    Route("GET", "/v1/status", _status),
    Route("GET", "/v1/actors", _actors),
    Route("GET", "/v1/conversations/{label}", _conversation),
    Route("GET", "/v1/conversations/{instance}/{contact}", _conversation),
    Route("POST", "/v1/conversations/{label}/flush", _flush),
    Route("POST", "/v1/conversations/{instance}/{contact}/flush", _flush),
    Route("GET", "/v1/dead", _dead_list),
    Route("GET", "/v1/dead/{id}", _dead_show),
    Route("POST", "/v1/dead/retry-all", _dead_retry_all),
    Route("POST", "/v1/dead/{id}/retry", _dead_retry),
    Route("GET", "/v1/tail", _tail),
    Route("GET", "/v1/doctor", _doctor),
)


class _Lines(trio.abc.ReceiveChannel[bytes]):
    """A tail as lines. The heartbeat lets the server notice a reader that went away while nothing happens."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    async def receive(self) -> bytes:
        with trio.move_on_after(TAIL_HEARTBEAT_SECONDS):
            return msgspec.json.encode(await self._tail.receive()) + b"\n"
        return b"\n"

    async def aclose(self) -> None:
        await self._tail.aclose()


def _urgency(actor: ActorView) -> tuple[int, float]:
    return _URGENCY.index(actor.state), actor.closes_in_seconds or 0.0


def _pattern(request: Request) -> str:
    """The route without what the caller put into it: a path may hold a phone number."""
    found = (route.path for route in ROUTES if route.match(request.segments) is not None)
    return next(found, "unknown")


def _error(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(status, {"status": "error", "reason": reason, "message": message}, headers)
