"""What becomes of one payload: it is read, and goes to an inbox, to another system, aside, or nowhere.

The laws of this file:
1. Each gateway has its own format: the reader passed in knows them all, and this file knows none.
2. Where path and payload name two known instances the payload's wins (`reading.py`), and the sender must be allowed to
   post for the one that wins, and for all else that the payload mentions.
3. Where that instance is in mode `passthrough` the webhook is forwarded as it came, also one that nobody here can read,
   and nothing else is done with it. One that we have forwarded ourselves is refused: it goes round in a circle.
4. An instance that does not exist is not refused: a tenant set up a minute late loses nothing.
5. 400 is for what can never be read; its body is quarantined first.
6. A question of Majlis itself (`witness.py`) is answered with its proof, and stored nowhere.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import trio

from actors.errors import Overloaded, Unavailable
from daemon.ingress.access import UNBOUNDED, any_instance, is_stranger
from daemon.ingress.answers import Answers
from daemon.ingress.begun import Unfinished, WebhookBegun, finished
from daemon.ingress.counters import IngressCounters, IngressObservers
from daemon.ingress.credentials import Allows
from daemon.ingress.forwards import HOPS_HEADER, Came, Forwards, Parcel
from daemon.ingress.inbound import Inbound, UnreadablePayload
from daemon.ingress.reading import Reader
from daemon.ingress.storing import Storing
from daemon.web.http1 import Response

LARGE_BODY_BYTES = 32 * 1024
"""Parsing a body of 1 MiB may take 0.1 s: between two larger than this, everybody else has a turn."""
UNKNOWN_ADVICE = (
    "`majlis instance add NAME` sets it up; what its customers wrote within a day before is answered then"
)
NOT_FORWARDED = "not_forwarded"
"""Why a webhook of an instance in mode `passthrough` goes nowhere: the other system does not have such events."""
_AS_IT_IS = Came()
_EVENT_NAME = re.compile(r"[a-z]{1,32}(?:[.-][a-z]{1,32}){0,4}")


class Payloads:
    """Takes payloads of every door."""

    def __init__(
        self,
        reader: Reader,
        storing: Storing,
        quarantine: Callable[[bytes, str], Awaitable[None]],
        forwards: Forwards | None,
        answers: Answers,
        counters: IngressCounters,
        observers: IngressObservers,
    ) -> None:
        """`forwards` None: nothing is ever forwarded."""
        self._reader = reader
        self._storing = storing
        self._quarantine = quarantine
        self._forwards = forwards
        self._answers = answers
        self._counters = counters
        self._observers = observers
        self._large = trio.Lock()  # a checkpoint alone would wake all of them in the same pass of the loop

    async def receive(
        self,
        body: bytes,
        instance: str | None = None,
        event: str | None = None,
        allows: Allows = any_instance,
        comes_again: bool = True,
        came: Came = _AS_IT_IS,
    ) -> Response:
        """Take one payload from any door: see `begin`."""
        return await finished(self.begin(body, instance, event, allows, comes_again, came))

    def begin(
        self,
        body: bytes,
        instance: str | None = None,
        event: str | None = None,
        allows: Allows = any_instance,
        comes_again: bool = True,
        came: Came = _AS_IT_IS,
    ) -> WebhookBegun:
        """Take one payload, as far as that goes without waiting; the caller has checked that the sender may post.

        Args:
          instance: what the path names, or what names it in its place.
          allows: which instances it may mention; any other is answered 403.
          comes_again: whether a refused payload is sent again; if not, it is stored even while we drain.
          came: how it came, for an instance whose webhooks are forwarded.
        """
        if self._comes_round(came):
            return self._answers.in_a_circle(instance)
        if (refusal := self._answers.not_now(comes_again)) is not None:
            return refusal
        instance = None if instance is None else instance.strip()
        if instance is not None and not allows(instance):  # nothing of it needs to be parsed
            return self._answers.not_allowed(instance)
        if len(body) > LARGE_BODY_BYTES:
            return Unfinished(partial(self._receive_large, body, instance, event, allows, came))
        return self._receive(body, instance, event, allows, came)

    async def _receive_large(
        self, body: bytes, instance: str | None, event: str | None, allows: Allows, came: Came
    ) -> Response:
        async with self._large:
            begun = self._receive(body, instance, event, allows, came)
        return await finished(begun)

    def _receive(
        self, body: bytes, instance: str | None, event: str | None, allows: Allows, came: Came
    ) -> WebhookBegun:
        try:
            inbound, overruled = self._reader.read(body, instance, event)
        except UnreadablePayload as error:
            return Unfinished(partial(self._unread, error, body, instance, event, came))
        for mentioned in () if allows in UNBOUNDED else inbound.instances:
            if not allows(mentioned):
                return self._answers.not_allowed(mentioned)
        if overruled:
            self._answers.overruled(overruled, inbound.instance)
        return self._take(inbound, body, event, allows, came)

    def _comes_round(self, came: Came) -> bool:
        hops = came.headers.get(HOPS_HEADER)
        return hops is not None and self._forwards is not None and self._forwards.comes_round(hops)

    def _take(
        self, inbound: Inbound, body: bytes, event: str | None, allows: Allows, came: Came
    ) -> WebhookBegun:
        """By whom it is wanted: Majlis itself, another system, or an inbox."""
        if inbound.probe:
            return self._answers.proven(self._observers.asked(inbound.instance, inbound.probe))
        self._observers.saw(inbound.instance, inbound.event)
        if (forwards := self._forwards_of(inbound.instance)) is not None:
            event = inbound.event or _as_event(event)
            parcel = Parcel(inbound.instance, event, body, came)
            return Unfinished(partial(self._forward, forwards, parcel))
        return self._storing.begin(self._from(inbound, allows))

    async def _unread(
        self, error: UnreadablePayload, body: bytes, instance: str | None, event: str | None, came: Came
    ) -> Response:
        """What can never be read: another system may know what to do with it, or it is kept aside."""
        if instance is not None and (forwards := self._forwards_of(instance)) is not None:
            return await self._forward(forwards, Parcel(instance, _as_event(event), body, came))
        if came.whole is not None and not body:
            return self._answers.too_large(instance)
        answer = self._answers.unreadable(error.reason, instance)
        await self._quarantine(body, error.reason)
        return answer

    def _forwards_of(self, instance: str) -> Forwards | None:
        """Where its webhooks go; None: Majlis answers them itself."""
        forwards = self._forwards
        return forwards if forwards is not None and forwards.wants(instance) else None

    async def _forward(self, forwards: Forwards, parcel: Parcel) -> Response:
        """Make it durable as it is, and answer with the result."""
        try:
            taken = await forwards.take(parcel)
        except Unavailable:
            return self._answers.again("unavailable")
        except Overloaded:
            return self._answers.again("forwards_full")
        return self._answers.forwarded() if taken else self._answers.ignored(NOT_FORWARDED)

    # Of whom it is

    def _from(self, inbound: Inbound, allows: Allows) -> Inbound:
        """What is to be stored, by what is known of its sender and of its instance."""
        # An open door knows nobody, and one tenant must not say who is no customer of the others.
        if inbound.own_number and allows is any_instance:
            self._reader.known.saw_number(inbound.instance, inbound.own_number)
        if inbound.messages and inbound.instance not in self._reader.known:
            return self._unknown(inbound, is_trusted=not is_stranger(allows))
        return inbound

    def _unknown(self, inbound: Inbound, is_trusted: bool) -> Inbound:
        """Report that nobody knows its instance; its messages are marked as that, and those of a stranger as his."""
        if not self._reader.known.is_loaded:
            return inbound
        count = len(inbound.messages)
        name = self._counters.unknown.note(inbound.instance, is_trusted, count, time.monotonic())
        self._observers.emit("instance.unknown", instance=name, messages=count, advice=UNKNOWN_ADVICE)
        marked = tuple(
            msgspec.structs.replace(one, early=True, stranger=not is_trusted) for one in inbound.messages
        )
        return msgspec.structs.replace(inbound, messages=marked)


def _as_event(path: str | None) -> str:
    """The event that a path names, where it can be one."""
    return path.replace("-", ".") if path is not None and _EVENT_NAME.fullmatch(path) else ""
