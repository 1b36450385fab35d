"""The playground: a person at the dashboard writes as a customer who does not exist, and everything else is real.

What is written goes through the very door of the webhooks, so it is mirrored, heard out, answered, paid for and kept
like anything else; only the reply ends in `daemon.gateways.playground` instead of at a phone.

Laws of this file:
- A customer belongs to one session and one instance; the session says who it is, never the browser.
- Its conversation is one of this daemon's own, as long as it has any: the reply must come back here.
- "Said" means what 200 means to a gateway: durable. What was refused was not said, and is told in a sentence.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
import trio

from actors.identity import MAX_INSTANCE_CHARS, Conversation
from actors.messages import Message, WindowPolicy
from daemon.dashboard.access import Session
from daemon.dashboard.guard import refused
from daemon.gateways.lenient import clean
from daemon.gateways.playground import MAX_CHATS, Chats, Line
from daemon.web.http1 import Response, json_response

MAX_TEXT_CHARS = 4_096
MAX_SAID_PER_MINUTE = 60
DRAWS = 1_000
"""How many numbers are drawn for one whose conversation is ours."""
NAME = "Playground"

_SENTENCES = {
    "not_ready": "Majlis is not ready to take messages: see the status",
    "draining": "Majlis is stopping and takes no messages any more",
    "mirror_unavailable": "Redis is away, so nothing can be kept: see the status",
    "conversation_full": "too much waits in this conversation already: wait for its answer",
}
_OTHERWISE = "Majlis cannot take this now: try again in a moment"


class LineView(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    id: str
    sender: Literal["customer", "majlis"]
    text: str
    at_ms: int


class ChatView(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    contact: str
    label: str
    """Of the conversation, as in the logs and the other pages."""
    messages: list[LineView]
    window_seconds: float
    max_messages: int


class SaidView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    took_ms: float
    """Until it was durable and acknowledged."""
    label: str


class Saying(msgspec.Struct, frozen=True):
    instance: str
    text: str


class Choice(msgspec.Struct, frozen=True):
    instance: str


Take = Callable[[Message], Awaitable[Response]]
"""The webhooks' door: makes one message durable, and answers as a webhook is answered."""


class Playground:
    """Args:
    owns: whether a conversation is this daemon's to answer.
    knows: whether there is such an instance. Raises `Unavailable`.
    """

    def __init__(
        self,
        chats: Chats,
        *,
        take: Take,
        window: Callable[[str], WindowPolicy],
        label: Callable[[Conversation], str],
        owns: Callable[[Conversation], bool],
        knows: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._chats = chats
        self._take = take
        self._window = window
        self._label = label
        self._owns = owns
        self._knows = knows

    async def show(self, session: Session, instance: str) -> Response:
        """What was said between the session's customer and the instance."""
        if (stranger := await self._stranger(instance)) is not None:
            return stranger
        return json_response(200, self._view(self._customer(session, instance)))

    async def renew(self, session: Session, instance: str) -> Response:
        """A new customer, of whom nobody knows anything."""
        if (stranger := await self._stranger(instance)) is not None:
            return stranger
        self.leave(session, instance)
        return json_response(200, self._view(self._customer(session, instance)))

    async def say(self, session: Session, saying: Saying) -> Response:
        """Hand the customer's message in, and wait until it is durable."""
        text = clean(saying.text, MAX_TEXT_CHARS).strip()
        if not text or len(saying.text) > MAX_TEXT_CHARS:
            words = f"write something, of at most {MAX_TEXT_CHARS:,} characters"
            return refused(400, "bad_text", words)
        if (stranger := await self._stranger(saying.instance)) is not None:
            return stranger
        if not _is_in_time(session):
            words = f"nobody writes so fast: say at most {MAX_SAID_PER_MINUTE} messages a minute"
            return refused(429, "too_many_messages", words, {"Retry-After": "10"})
        conversation = self._customer(session, saying.instance)
        self._chats.open(conversation)
        line = Line(f"PLAYGROUND-{secrets.token_hex(8)}", "customer", text, time.time_ns() // 1_000_000)
        self._chats.say(conversation, line)  # before it is: the answer must not stand above the question
        began = trio.current_time()
        response = await self._take(_message(conversation, line))
        said = msgspec.json.decode(response.body, type=dict[str, object])
        if response.status != 200 or said.get("status") != "accepted":
            self._chats.take_back(conversation, line)
            return _refusal(response, said)
        took_ms = round((trio.current_time() - began) * 1000, 3)
        return json_response(200, SaidView(id=line.id, took_ms=took_ms, label=self._label(conversation)))

    def leave(self, session: Session, instance: str | None = None) -> None:
        """Forget the session's customer of one instance, or of all."""
        for name in list(session.customers) if instance is None else [instance]:
            contact = session.customers.pop(name, None)
            if contact is not None:
                self._chats.close(Conversation(name, contact))

    async def _stranger(self, instance: str) -> Response | None:
        if instance and len(instance) <= MAX_INSTANCE_CHARS and await self._knows(instance):
            return None
        return refused(404, "no_such_instance", "there is no such instance: see `instances` in config.yaml")

    def _customer(self, session: Session, instance: str) -> Conversation:
        contact = session.customers.get(instance)
        if contact is None:
            while len(session.customers) >= MAX_CHATS:
                self.leave(session, next(iter(session.customers)))
            contact = session.customers[instance] = self._draw(instance)
        return Conversation(instance, contact)

    def _draw(self, instance: str) -> str:
        for _ in range(DRAWS):
            contact = f"999{secrets.randbelow(10**12):012d}"
            if self._owns(Conversation(instance, contact)):
                break
        return contact

    def _view(self, conversation: Conversation) -> ChatView:
        window = self._window(conversation.instance)
        return ChatView(
            instance=conversation.instance,
            contact=conversation.contact,
            label=self._label(conversation),
            messages=[
                LineView(line.id, line.sender, line.text, line.at_ms)
                for line in self._chats.open(conversation)
            ],
            window_seconds=window.window_seconds,
            max_messages=window.max_messages,
        )


def _is_in_time(session: Session) -> bool:
    """Whether the session may write now; counts it then."""
    now = trio.current_time()
    while session.said and now - session.said[0] >= 60:
        session.said.popleft()
    if len(session.said) >= MAX_SAID_PER_MINUTE:
        return False
    session.said.append(now)
    return True


def _message(conversation: Conversation, line: Line) -> Message:
    """As any gateway's webhook would have brought it."""
    return Message(
        instance=conversation.instance,
        contact=conversation.contact,
        id=line.id,
        text=line.text,
        sent_at=line.at_ms // 1000,
        push_name=NAME,
    )


def _refusal(response: Response, said: Mapping[str, object]) -> Response:
    reason = str(said.get("reason", "refused"))
    words = _SENTENCES.get(reason, _OTHERWISE)
    return refused(503, reason, words, {"Retry-After": response.headers.get("Retry-After", "5")})
