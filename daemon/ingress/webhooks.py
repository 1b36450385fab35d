"""The door for webhooks: its routes, and who may post.

What becomes of a payload is said in `payloads.py`, how it is made durable in `storing.py`, and what is answered in
`answers.py`; each of them has laws of its own.

The laws of this file:
1. The path of a webhook is read forgivingly, because a slip in it would lose messages: runs of slashes count as one,
   and the word `webhook` may be in any case, an instance too where only one can be meant. All other routes are as they
   are written: a proxy in front may keep strangers from them by their path.
2. Whether the sender may post is known from the head of the request, before anything of its body is read. Where the
   body is signed it is known at its end, before anything of it is parsed.
3. A request that may have been a webhook and came to no route is counted as a message that was lost.
4. A question of Majlis itself (`witness.py`) that stands in the place of the token needs none.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from actors.messages import Message
from daemon.ingress.access import Authorize, SignedBody, TokensUnknown
from daemon.ingress.answers import Answers, Readiness
from daemon.ingress.begun import Unfinished, WebhookBegun, finished
from daemon.ingress.counters import NO_OBSERVERS, IngressCounters, IngressObservers
from daemon.ingress.credentials import Allows
from daemon.ingress.forwards import Came, Forwards
from daemon.ingress.inbound import Inbound
from daemon.ingress.paths import after_webhook
from daemon.ingress.payloads import Payloads
from daemon.ingress.reading import Reader
from daemon.ingress.refusals import looks_like_a_payload, refusal_of
from daemon.ingress.storing import Inbox, Storing
from daemon.ingress.witness import asked_by
from daemon.web.http1 import UNPROVEN, Request, Response, Unproven, error_response, json_response

MAX_LOOKED_AT = 8
"""Of the names in a wrong path, which may have thousands, so many are looked up."""


class Page(Protocol):
    """A page to read at the same door. It must answer within a bounded time."""

    async def respond(self, request: Request) -> Response: ...


class Ingress:
    """Routes requests of the ingress server; `handle` is its handler, and `receive` takes payloads of other doors."""

    def __init__(
        self,
        *,
        reader: Reader,
        inbox: Inbox,
        readiness: Callable[[], Readiness],
        quarantine: Callable[[bytes, str], Awaitable[None]],
        authorize: Authorize,
        metrics: Page | None = None,
        observers: IngressObservers = NO_OBSERVERS,
        forwards: Forwards | None = None,
    ) -> None:
        """`metrics` answers `/metrics`; without it, the route does not exist."""
        self._known = known = reader.known
        self.counters = counters = observers.counters or IngressCounters()
        self._answers = Answers(readiness, known, counters, observers)
        self._storing = Storing(inbox, self._answers, counters)
        payloads = Payloads(reader, self._storing, quarantine, forwards, self._answers, counters, observers)
        self._payloads = payloads
        self.receive = payloads.receive
        self._authorize = authorize
        self._metrics = metrics
        self._measure = observers.measure
        self._asked = observers.asked
        known.follow(lambda: counters.unknown.forget(known.names))

    def gate(self, request: Request) -> Response | bool | Unproven:
        """What answers a request by its head: a webhook without the token is refused before its body is read."""
        if request.method != "POST" or after_webhook(request.segments) is None:
            return False
        entered = self._enter(request)
        if isinstance(entered, Response):
            self._measure(entered.status, 0.0)
            return entered
        return UNPROVEN if isinstance(entered, SignedBody) else True

    def rejected(self, status: int, reason: str, request: Request) -> None:
        """The HTTP server refused a request; `request` is what could be read of its head."""
        refusal, names = refusal_of(status, reason), after_webhook(request.segments)
        if refusal is not None and request.method == "POST" and names is not None:
            self._answers.lost(refusal, self._meant(names))

    def begin(self, request: Request) -> WebhookBegun:
        """As `handle`, as far as that goes without waiting."""
        names = after_webhook(request.segments)
        if names is None or len(names) > 2:
            return Unfinished(partial(self.handle, request))
        return self._measured(request, names)

    async def handle(self, request: Request) -> Response:
        names = after_webhook(request.segments)
        if names is not None and len(names) <= 2:
            return await finished(self._measured(request, names))
        segments = request.segments[:-1] if request.segments[-1:] == ("",) else request.segments
        match segments:
            case ("health", "live"):
                return _get(request) or json_response(200, {"status": "live"})
            case ("health", "ready"):
                return _get(request) or self._answers.ready()
            case ("metrics",) if self._metrics is not None:
                return _get(request) or await self._metrics.respond(request)
        if request.method == "POST":
            self._nowhere(request, names)
        return error_response(404, "no_such_route")

    async def take(self, message: Message) -> Response:
        """Take one message that did not come as a webhook; the answers are the same."""
        if (refusal := self._answers.not_now()) is not None:
            return refusal
        return await finished(self._storing.begin(Inbound(message.instance, "", messages=(message,))))

    def _measured(self, request: Request, names: Sequence[str]) -> WebhookBegun:
        began_at = time.perf_counter()

        def measured(response: Response) -> Response:
            self._measure(response.status, time.perf_counter() - began_at)
            return response

        async def measured_rest() -> Response:
            try:
                return measured(await rest())
            except TokensUnknown:
                return measured(self._answers.again("tokens_unknown"))

        begun = self._webhook(request, self._meant(names), names[1] if len(names) == 2 else None)
        if isinstance(begun, Response):
            return measured(begun)
        rest, answer = begun.rest, begun.answer
        if answer is None:
            return Unfinished(measured_rest)
        return Unfinished(measured_rest, begun.messages, lambda outcomes: measured(answer(outcomes)))

    def _webhook(self, request: Request, instance: str | None, event: str | None) -> WebhookBegun:
        if request.method != "POST":
            return error_response(405, "method_not_allowed", {"Allow": "POST"})
        came = Came(request.headers, request.whole)
        try:
            entered = self._enter(request)
            if isinstance(entered, SignedBody):
                entered = entered.allows(request.body) or self._refused(request)
            if isinstance(entered, Response):
                return entered
            return self._payloads.begin(request.body, instance, event, entered, came=came)
        except TokensUnknown:
            return self._answers.again("tokens_unknown")

    def _enter(self, request: Request) -> Allows | SignedBody | Response:
        """For which instances the sender of a webhook may post, or what answers it already."""
        if nonce := asked_by(request.headers.get("apikey", "")):
            return self._answers.proven(self._asked("", nonce))
        try:
            allows = self._authorize(request)
        except TokensUnknown:
            return self._answers.not_now() or self._answers.again("tokens_unknown")
        if allows is not None:
            return allows
        return self._refused(request)

    def _refused(self, request: Request) -> Response:
        return self._answers.wrong_token(self._meant(after_webhook(request.segments) or ()))

    def _meant(self, names: Sequence[str]) -> str | None:
        """The instance that a webhook's path names; None: it names none."""
        return self._known.meant(names[0].strip()) if names else None

    def _nowhere(self, request: Request, names: Sequence[str] | None) -> None:
        """Count what may have been a webhook; of any other path, where its sender may post."""
        if names is not None:
            self._answers.lost("no_such_route", self._meant(names))
        elif looks_like_a_payload(request.body) and self._may_post(request):
            meant = map(self._known.meant, request.segments[:MAX_LOOKED_AT])
            self._answers.lost("no_such_route", next((one for one in meant if one in self._known), None))

    def _may_post(self, request: Request) -> bool:
        try:
            allows = self._authorize(request)
            if isinstance(allows, SignedBody):
                allows = allows.allows(request.body)
        except TokensUnknown:
            return False
        return allows is not None


def _get(request: Request) -> Response | None:
    """The refusal of any method but GET and HEAD."""
    if request.method in ("GET", "HEAD"):
        return None
    return error_response(405, "method_not_allowed", {"Allow": "GET, HEAD"})
