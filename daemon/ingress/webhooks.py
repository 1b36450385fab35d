"""The door for webhooks: routes, access, and which answer is given when.

The laws of this file:
1. 200 only after the mirror accepted every message of the payload (I1). If one of several fails, the whole answer is
   503; the gateway sends all of them again, and those already stored are recognised as duplicates.
2. What should come again is never answered 4xx: the gateway would drop it for good. 400 is for what can never be read;
   its body is quarantined first. Every refusal that loses a message is counted and reported (`refusals.py`).
3. An instance that does not exist is not refused: a tenant set up a minute late loses nothing.
4. What was edited or deleted is durable before 200 as well, but after the customers' messages, which it may be about.
   Then come what the business wrote, and the word of the gateway that a message of ours failed after all.
5. Each gateway has its own format: the reader passed in knows them all, and this file knows none.
6. The path of a webhook is read forgivingly, because a slip in it would lose messages: runs of slashes count as one,
   and the word `webhook` may be in any case, an instance too where only one can be meant. All other routes are as they
   are written: a proxy in front may keep strangers from them by their path.
7. Where path and payload name two known instances the payload's wins (`reading.py`), and the sender must be allowed to
   post for the one that wins, and for all else that the payload mentions.
8. Where that instance is in mode `passthrough` the webhook is forwarded as it came, also one that nobody here can read,
   and nothing else is done with it. One that we have forwarded ourselves is refused: it goes round in a circle.
9. A question of Majlis itself (`witness.py`) is answered with its proof, and stored nowhere. One that stands in the
   place of the token needs none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
import trio

from actors.errors import (
    AmendedMessageUnknown,
    ConversationFull,
    MirrorUnavailable,
    Overloaded,
    Unavailable,
)
from actors.messages import Message, Receipt
from daemon.ingress.access import UNBOUNDED, Allows, Authorize, TokensUnknown, any_instance, is_stranger
from daemon.ingress.counters import NO_OBSERVERS, IngressCounters, IngressObservers
from daemon.ingress.forwards import HOPS_HEADER, Came, Forwards, NoForwards, Parcel
from daemon.ingress.inbound import (
    Amendment,
    Ignored,
    Inbound,
    LateFailure,
    Link,
    OwnMessage,
    UnreadablePayload,
)
from daemon.ingress.paths import after_webhook
from daemon.ingress.reading import Reader, WebhookReading
from daemon.ingress.refusals import (
    ADVICE,
    MAX_NAMES,
    OTHERS,
    UNKNOWN,
    LossReason,
    looks_like_a_payload,
    refusal_of,
)
from daemon.ingress.witness import asked_by
from daemon.web.http1 import Request, Response, error_response, json_response

ACK_SECONDS = 5.0
"""For all messages of one payload together."""
ITEMS_AT_A_TIME = 128
"""Of a large payload, handled without a pause; then others have their turn."""
LARGE_BODY_BYTES = 32 * 1024
"""Parsing a body of 1 MiB may take 0.1 s: between two larger than this, everybody else has a turn."""
MAX_LOOKED_AT = 8
"""Of the names in a wrong path, which may have thousands, so many are looked up."""
RETRY_HEADERS = {"Retry-After": "5"}
UNKNOWN_ADVICE = (
    "`majlis instance add NAME` sets it up; what its customers wrote within a day before is answered then"
)
NOT_FORWARDED = "not_forwarded"
"""Why a webhook of an instance in mode `passthrough` goes nowhere: the other system does not have such events."""
_AS_IT_IS = Came()
_EVENT_NAME = re.compile(r"[a-z]{1,32}(?:[.-][a-z]{1,32}){0,4}")


class Inbox(Protocol):
    """Takes what was in a payload."""

    def heard(self, messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[str]]:
        """The messages as they are to be accepted, and why each of the others is not taken in."""

    async def accept(self, message: Message) -> Receipt:
        """Make one message durable, within a bounded time. Cancelling it undoes nothing.

        Raises:
          Unavailable: the mirror is away (`MirrorUnavailable`).
          Overloaded: a limit is reached.
        """

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]:
        """Make several durable together, in their order; returns one outcome per message: see `accept`."""

    async def amend(self, amendment: Amendment) -> str:
        """Make durable that a message was edited or deleted; returns why that changes nothing, or nothing.

        Raises:
          AmendedMessageUnknown: the message may be on its way.
          Unavailable: the mirror or the ledger is away.
          Overloaded: a limit is reached.
        """

    async def take_over(self, own: OwnMessage) -> bool:
        """Make durable that a person speaks in a conversation; False when that changes nothing. May be repeated.

        Raises:
          Unavailable: the ledger is away.
        """

    async def fail_later(self, failure: LateFailure) -> None:
        """Make durable that a confirmed message of ours failed; any other is none of our business. May be repeated.

        Raises:
          Unavailable: the ledger is away.
        """

    def learn(self, link: Link) -> None:
        """Learn a link. Neither waits nor raises: a link is a hint, and the next message brings it again."""


class Page(Protocol):
    """A page to read at the same door. It must answer within a bounded time."""

    async def respond(self, request: Request) -> Response: ...


class Readiness(msgspec.Struct, frozen=True):
    """Whether the daemon may take messages, and if not, why, in stable words."""

    ready: bool
    reasons: tuple[str, ...] = ()
    draining: bool = False


class Ingress:
    """Routes requests of the ingress server; `handle` is its handler."""

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
        self.counters = observers.counters or IngressCounters()
        self._reader = reader
        self._inbox = inbox
        self._readiness = readiness
        self._quarantine = quarantine
        self._authorize = authorize
        self._metrics = metrics
        self._observers = observers
        self._forwards = forwards or NoForwards()
        reader.known.follow(lambda: self.counters.unknown.forget(reader.known.names))
        self._large = trio.Lock()  # a checkpoint alone would wake all of them in the same pass of the loop

    def gate(self, request: Request) -> Response | bool:
        """What answers a request by its head: a webhook without the token is refused before its body is read."""
        if request.method != "POST" or after_webhook(request.segments) is None:
            return False
        entered = self._enter(request)
        if not isinstance(entered, Response):
            return True
        self._observers.measure(entered.status, 0.0)
        return entered

    def rejected(self, status: int, reason: str, request: Request) -> None:
        """The HTTP server refused a request; `request` is what could be read of its head."""
        refusal, names = refusal_of(status, reason), after_webhook(request.segments)
        if refusal is not None and request.method == "POST" and names is not None:
            self._lose(refusal, self._meant(names))

    async def handle(self, request: Request) -> Response:
        names = after_webhook(request.segments)
        if names is not None and len(names) <= 2:
            return await self._measured(request, self._meant(names), names[1] if len(names) == 2 else None)
        segments = request.segments[:-1] if request.segments[-1:] == ("",) else request.segments
        match segments:
            case ("health", "live"):
                return _get(request) or json_response(200, {"status": "live"})
            case ("health", "ready"):
                return _get(request) or self._ready()
            case ("metrics",) if self._metrics is not None:
                return _get(request) or await self._metrics.respond(request)
        if request.method == "POST":
            self._nowhere(request, names)
        return error_response(404, "no_such_route")

    def _nowhere(self, request: Request, names: Sequence[str] | None) -> None:
        """Count what may have been a webhook; of any other path, where its sender may post."""
        if names is not None:
            self._lose("no_such_route", self._meant(names))
        elif looks_like_a_payload(request.body) and self._may_post(request):
            meant = map(self._reader.known.meant, request.segments[:MAX_LOOKED_AT])
            self._lose("no_such_route", next((one for one in meant if one in self._reader.known), None))

    def _may_post(self, request: Request) -> bool:
        try:
            return self._authorize(request) is not None
        except TokensUnknown:
            return False

    def _meant(self, names: Sequence[str]) -> str | None:
        """The instance that a webhook's path names; None: it names none."""
        return self._reader.known.meant(names[0].strip()) if names else None

    def _ready(self) -> Response:
        readiness = self._readiness()
        if readiness.ready and not readiness.draining:
            return json_response(200, {"status": "ready"})
        reasons = (("draining",) if readiness.draining else ()) + readiness.reasons
        return json_response(503, {"status": "not_ready", "reasons": reasons}, RETRY_HEADERS)

    async def _measured(self, request: Request, instance: str | None, event: str | None) -> Response:
        began = time.perf_counter()
        response = await self._webhook(request, instance, event)
        self._observers.measure(response.status, time.perf_counter() - began)
        return response

    async def _webhook(self, request: Request, instance: str | None, event: str | None) -> Response:
        if request.method != "POST":
            return error_response(405, "method_not_allowed", {"Allow": "POST"})
        entered = self._enter(request)
        if isinstance(entered, Response):
            return entered
        hops = request.headers.get(HOPS_HEADER)
        if hops is not None and self._forwards.comes_round(hops):
            self._lose("forwarded_in_a_circle", instance)
            return error_response(508, "forwarded_in_a_circle")
        came = Came(request.headers, request.whole)
        try:
            return await self.receive(request.body, instance, event, entered, came=came)
        except TokensUnknown:
            return self._refuse("tokens_unknown")

    def _enter(self, request: Request) -> Allows | Response:
        """For which instances the sender of a webhook may post, or what answers it already."""
        if nonce := asked_by(request.headers.get("apikey", "")):
            return self._proof("", nonce)
        try:
            allows = self._authorize(request)
        except TokensUnknown:
            return self._not_now() or self._refuse("tokens_unknown")
        if allows is not None:
            return allows
        self.counters.unauthorized += 1
        self._lose("wrong_or_missing_token", self._meant(after_webhook(request.segments) or ()))
        return error_response(401, "wrong_or_missing_token", {"WWW-Authenticate": "Bearer"})

    async def receive(
        self,
        body: bytes,
        instance: str | None = None,
        event: str | None = None,
        allows: Allows = any_instance,
        comes_again: bool = True,
        came: Came = _AS_IT_IS,
    ) -> Response:
        """Take one payload from any door; the caller has checked that the sender may post.

        Args:
          instance: what the path names, or what names it in its place.
          allows: which instances it may mention; any other is answered 403.
          comes_again: whether a refused payload is sent again; if not, it is stored even while we drain.
          came: how it came, for an instance whose webhooks are forwarded.
        """
        if (refusal := self._not_now(comes_again)) is not None:
            return refusal
        instance = None if instance is None else instance.strip()
        if instance is not None and not allows(instance):  # nothing of it needs to be parsed
            return self._not_allowed(instance)
        try:
            inbound, overruled = await self._read(body, instance, event)
        except UnreadablePayload as error:
            return await self._unread(error, body, instance, event, came)
        for mentioned in () if allows in UNBOUNDED else inbound.instances:
            if not allows(mentioned):
                return self._not_allowed(mentioned)
        if overruled:
            self._overrule(overruled, inbound.instance)
        return await self._take(inbound, body, event, allows, came)

    async def _take(
        self, inbound: Inbound, body: bytes, event: str | None, allows: Allows, came: Came
    ) -> Response:
        """By whom it is wanted: Majlis itself, another system, or an inbox."""
        if inbound.probe:
            return self._proof(inbound.instance, inbound.probe)
        self._observers.saw(inbound.instance, inbound.event)
        if self._forwards.wants(inbound.instance):
            event = inbound.event or _as_event(event)
            return await self._forward(Parcel(inbound.instance, event, body, came))
        return await self._store(self._from(inbound, allows))

    def _proof(self, instance: str, nonce: str) -> Response:
        proof = self._observers.asked(instance, nonce)
        return json_response(200, {"status": "ignored", "ignored": ["probe"], "proof": proof})

    async def _read(self, body: bytes, instance: str | None, event: str | None) -> WebhookReading:
        """Raises: UnreadablePayload."""
        if len(body) <= LARGE_BODY_BYTES:
            return self._reader.read(body, instance, event)
        async with self._large:
            return self._reader.read(body, instance, event)

    def _from(self, inbound: Inbound, allows: Allows) -> Inbound:
        """What is to be stored, by what is known of its sender and of its instance."""
        # An open door knows nobody, and one tenant must not say who is no customer of the others.
        if inbound.own_number and allows is any_instance:
            self._reader.known.saw_number(inbound.instance, inbound.own_number)
        if inbound.messages and inbound.instance not in self._reader.known:
            return self._unknown(inbound, is_trusted=not is_stranger(allows))
        return inbound

    def _unknown(self, inbound: Inbound, is_trusted: bool) -> Inbound:
        """Tell that nobody knows its instance; its messages are marked as that, and those of a stranger as his."""
        if not self._reader.known.is_loaded:
            return inbound
        count = len(inbound.messages)
        name = self.counters.unknown.note(inbound.instance, is_trusted, count, time.monotonic())
        self._observers.emit("instance.unknown", instance=name, messages=count, advice=UNKNOWN_ADVICE)
        marked = tuple(
            msgspec.structs.replace(one, early=True, stranger=not is_trusted) for one in inbound.messages
        )
        return msgspec.structs.replace(inbound, messages=marked)

    async def _unread(
        self, error: UnreadablePayload, body: bytes, instance: str | None, event: str | None, came: Came
    ) -> Response:
        """What can never be read: another system may know what to do with it, or it is kept aside."""
        if instance is not None and self._forwards.wants(instance):
            return await self._forward(Parcel(instance, _as_event(event), body, came))
        if came.whole is not None and not body:
            self._lose("body_too_large", instance)
            return error_response(413, "body_too_large")
        self.counters.unreadable += 1
        self._observers.emit("payload.unreadable", reason=error.reason)
        self._lose("unreadable", instance)
        await self._quarantine(body, error.reason)
        return error_response(400, error.reason)

    async def _forward(self, parcel: Parcel) -> Response:
        """Make it durable as it is, and answer with the result."""
        try:
            taken = await self._forwards.take(parcel)
        except Unavailable:
            return self._refuse("unavailable")
        except Overloaded:
            return self._refuse("forwards_full")
        if not taken:
            self._ignore(NOT_FORWARDED)
            return json_response(200, {"status": "ignored", "ignored": [NOT_FORWARDED]})
        self.counters.forwarded += 1
        return json_response(200, {"status": "forwarded"})

    def _not_allowed(self, instance: str) -> Response:
        self.counters.unauthorized += 1
        self._lose("instance_not_allowed", instance)
        return error_response(403, "instance_not_allowed")

    def _lose(self, reason: LossReason, instance: str | None) -> None:
        """A webhook is refused for good: count and tell it. `instance` may be made up."""
        name = instance if instance is not None and instance in self._reader.known else UNKNOWN
        self.counters.lost.add(reason, name, time.monotonic())
        self._observers.emit("webhook.refused", reason=reason, instance=name, advice=ADVICE[reason])

    def _overrule(self, path: str, payload: str) -> None:
        pair, counted = f"{path} → {payload}", self.counters.overruled
        counted[pair if pair in counted or len(counted) < MAX_NAMES else OTHERS] += 1
        self._observers.emit("webhook.mismatch", instance=payload, path=path)

    async def take(self, message: Message) -> Response:
        """Take one message that did not come as a webhook; the answers are the same."""
        if (refusal := self._not_now()) is not None:
            return refusal
        return await self._store(Inbound(message.instance, "", messages=(message,)))

    def _not_now(self, comes_again: bool = True) -> Response | None:
        readiness = self._readiness()
        if readiness.draining and comes_again:
            return self._refuse("draining")
        if not readiness.ready:
            return self._refuse("not_ready", readiness.reasons)
        return None

    async def _store(self, inbound: Inbound) -> Response:
        """Make the messages durable, in their order, and answer with the result."""
        for number, link in enumerate(inbound.links, 1):
            self._inbox.learn(link)
            if number % ITEMS_AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
        messages, ignored = self._inbox.heard(inbound.messages)
        try:
            receipts = await self._accept_all(messages)
            unheeded, unknown = (
                await self._amend_all(inbound.amendments) if inbound.amendments else ((), None)
            )
            if inbound.own:
                await self._take_over_all(inbound.own)
            if inbound.failures:
                await self._fail_all(inbound.failures)
            if unknown is not None:
                raise unknown
        except trio.TooSlowError:
            return self._refuse("ack_timeout")
        except MirrorUnavailable:
            return self._refuse("mirror_unavailable")
        except Unavailable as error:
            is_early = isinstance(error, AmendedMessageUnknown)
            return self._refuse("amended_message_unknown" if is_early else "unavailable")
        except ConversationFull:
            return self._refuse("conversation_full")
        except Overloaded:
            return self._refuse("overloaded")
        if ignored or unheeded:
            reasons = (*inbound.ignored, *map(Ignored, (*ignored, *unheeded)))
            inbound = msgspec.structs.replace(inbound, messages=tuple(messages), ignored=reasons)
        amended = len(inbound.amendments) - len(unheeded)
        return await self._acknowledge(inbound, sum(receipt.duplicate for receipt in receipts), amended)

    async def _accept_all(self, messages: Sequence[Message]) -> list[Receipt]:
        # Nearly always one; `Inbox.accept` bounds its own wait, and a second deadline would cost as much again.
        if len(messages) == 1:
            return [await self._inbox.accept(messages[0])]
        if not messages:
            return []
        receipts = []
        with trio.fail_after(ACK_SECONDS):
            for outcome in await self._inbox.accept_all(messages):
                if isinstance(outcome, Exception):
                    raise outcome
                receipts.append(outcome)
        return receipts

    async def _amend_all(
        self, amendments: Sequence[Amendment]
    ) -> tuple[Sequence[str], AmendedMessageUnknown | None]:
        """Make them durable, in their order; returns why some change nothing, and whether some are to come again.

        These hold up none of the others, nor what else is in the payload: only its answer.
        """
        found, unknown = list[str](), None
        with trio.fail_after(ACK_SECONDS):
            for amendment in amendments:
                try:
                    found.append(await self._inbox.amend(amendment))
                except AmendedMessageUnknown as error:
                    unknown = error
        self.counters.amended += found.count("")
        return [reason for reason in found if reason], unknown

    async def _take_over_all(self, own: Sequence[OwnMessage]) -> None:
        with trio.fail_after(ACK_SECONDS):
            for message in own:
                self.counters.take_overs += await self._inbox.take_over(message)

    async def _fail_all(self, failures: Sequence[LateFailure]) -> None:
        with trio.fail_after(ACK_SECONDS):
            for failure in failures:
                await self._inbox.fail_later(failure)

    async def _acknowledge(self, inbound: Inbound, duplicates: int, amended: int) -> Response:
        if inbound.connected:
            self._observers.emit("gateway.connected", instance=inbound.instance)
        accepted = len(inbound.messages) - duplicates
        self.counters.acked += accepted
        self.counters.duplicates += duplicates
        for number, ignored in enumerate(inbound.ignored, 1):
            self._ignore(ignored.reason, ignored.type)
            if number % ITEMS_AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
        status = "accepted" if accepted or amended else "duplicate" if duplicates else "ignored"
        return json_response(
            200,
            {
                "status": status,
                "accepted": accepted,
                "duplicates": duplicates,
                "ids": [message.id for message in inbound.messages],
                "ignored": [ignored.reason for ignored in inbound.ignored],
            },
        )

    def _ignore(self, reason: str, kind: str = "") -> None:
        self.counters.ignored[reason] += 1
        self._observers.emit("message.ignored", reason=reason, **({"type": kind} if kind else {}))

    def _refuse(self, reason: str, details: Sequence[str] = ()) -> Response:
        self.counters.refused[reason] += 1
        self._observers.emit("message.refused", reason=reason)
        answer = {"status": "retry", "reason": reason, "details": details}
        return json_response(503, answer, RETRY_HEADERS)


def _get(request: Request) -> Response | None:
    """The refusal of any method but GET and HEAD."""
    if request.method in ("GET", "HEAD"):
        return None
    return error_response(405, "method_not_allowed", {"Allow": "GET, HEAD"})


def _as_event(path: str | None) -> str:
    """The event that a path names, where it can be one."""
    return path.replace("-", ".") if path is not None and _EVENT_NAME.fullmatch(path) else ""
