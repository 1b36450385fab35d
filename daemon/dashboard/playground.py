"""The playground: the user of the dashboard writes as a customer who does not exist; everything else is real.

Each message goes through the webhook handler, so it is mirrored, batched, answered, paid for and stored like any other;
only the reply ends in `daemon.gateways.playground` instead of at a phone.

Laws of this file:
- A customer belongs to one session and one instance; the session decides which one, never the browser.
- Its conversation is in a partition of this daemon, if it owns any, because the reply must arrive here.
- A message is accepted in the sense of a webhook's 200: it is durable. A refused one is not stored, and the answer says
  why in a sentence.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
import trio

from actors.identity import MAX_INSTANCE_CHARS, Conversation
from actors.messages import Message, WindowKind, WindowPolicy
from daemon.dashboard.access import DashboardSession
from daemon.dashboard.guard import error_response
from daemon.gateways.lenient import clean
from daemon.gateways.playground import MAX_CHATS, Chats, Line
from daemon.web.http1 import Response, json_response

MAX_TEXT_CHARS = 4_096
MAX_MESSAGES_PER_MINUTE = 60
MAX_DRAWS = 1_000
"""Maximum number of random phone numbers tried for one whose partition this daemon owns."""
NAME = "Playground"

_SENTENCES = {
    "not_ready": "Majlis is not ready to accept messages: see the Health page",
    "draining": "Majlis is draining and accepts no new messages",
    "mirror_unavailable": "Redis is unavailable, so nothing can be stored: see the Health page",
    "conversation_full": "too many messages are waiting in this conversation: wait for the answer",
}
_FALLBACK = "Majlis cannot accept this now: try again in a moment"


class LineView(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    id: str
    sender: Literal["customer", "majlis"]
    text: str
    at_ms: int


class ChatView(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    contact: str
    label: str
    """The label of the conversation, as in the logs and on the other pages."""
    messages: list[LineView]
    window_kind: WindowKind
    window_seconds: float
    """After the first message, or after the last one, by its kind."""
    max_messages: int


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    took_ms: float
    """Time until it was durable and acknowledged."""
    label: str


class NewMessage(msgspec.Struct, frozen=True):
    instance: str
    text: str


class InstanceChoice(msgspec.Struct, frozen=True):
    instance: str


Take = Callable[[Message], Awaitable[Response]]
"""The webhooks' door: makes one message durable, and answers as a webhook is answered."""


class Playground:
    """The chats of all sessions."""

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
        """Args:
        owns: whether this daemon owns a conversation.
        knows: whether an instance exists. Raises `Unavailable`.
        """
        self._chats = chats
        self._take = take
        self._window = window
        self._label = label
        self._owns = owns
        self._knows = knows

    async def show(self, session: DashboardSession, instance: str) -> Response:
        """The chat between the session's customer and the instance."""
        if (refusal := await self._unknown(instance)) is not None:
            return refusal
        return json_response(200, self._view(self._customer(session, instance)))

    async def new_customer(self, session: DashboardSession, instance: str) -> Response:
        """A new chat, as a customer without history."""
        if (refusal := await self._unknown(instance)) is not None:
            return refusal
        self.leave(session, instance)
        return json_response(200, self._view(self._customer(session, instance)))

    async def write(self, session: DashboardSession, message: NewMessage) -> Response:
        """Pass a message of the customer on, and wait until it is durable."""
        text = clean(message.text, MAX_TEXT_CHARS).strip()
        if not text or len(message.text) > MAX_TEXT_CHARS:
            words = f"write a text of 1 to {MAX_TEXT_CHARS:,} characters"
            return error_response(400, "bad_text", words)
        if (refusal := await self._unknown(message.instance)) is not None:
            return refusal
        if not _within_rate(session):
            words = f"too fast: write at most {MAX_MESSAGES_PER_MINUTE} messages a minute"
            return error_response(429, "too_many_messages", words, {"Retry-After": "10"})
        conversation = self._customer(session, message.instance)
        self._chats.open(conversation)
        line = Line(f"PLAYGROUND-{secrets.token_hex(8)}", "customer", text, time.time_ns() // 1_000_000)
        self._chats.say(
            conversation, line
        )  # before it is accepted: the answer must not appear above the question
        began = trio.current_time()
        response = await self._take(_message(conversation, line))
        answer = msgspec.json.decode(response.body, type=dict[str, object])
        if response.status != 200 or answer.get("status") != "accepted":
            self._chats.take_back(conversation, line)
            return _refusal(response, answer)
        took_ms = round((trio.current_time() - began) * 1000, 3)
        return json_response(200, Accepted(id=line.id, took_ms=took_ms, label=self._label(conversation)))

    def leave(self, session: DashboardSession, instance: str | None = None) -> None:
        """Forget the session's customer of one instance, or of all."""
        for name in list(session.customers) if instance is None else [instance]:
            contact = session.customers.pop(name, None)
            if contact is not None:
                self._chats.close(Conversation(name, contact))

    async def _unknown(self, instance: str) -> Response | None:
        if instance and len(instance) <= MAX_INSTANCE_CHARS and await self._knows(instance):
            return None
        return error_response(
            404, "no_such_instance", "there is no such instance: see `instances` in config.yaml"
        )

    def _customer(self, session: DashboardSession, instance: str) -> Conversation:
        contact = session.customers.get(instance)
        if contact is None:
            while len(session.customers) >= MAX_CHATS:
                self.leave(session, next(iter(session.customers)))
            contact = session.customers[instance] = self._draw(instance)
        return Conversation(instance, contact)

    def _draw(self, instance: str) -> str:
        for _ in range(MAX_DRAWS):
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
            window_kind=window.kind,
            window_seconds=window.lasts_seconds,
            max_messages=window.max_messages,
        )


def _within_rate(session: DashboardSession) -> bool:
    """Whether the session may write now; counts the message if so."""
    now = trio.current_time()
    while session.written_at and now - session.written_at[0] >= 60:
        session.written_at.popleft()
    if len(session.written_at) >= MAX_MESSAGES_PER_MINUTE:
        return False
    session.written_at.append(now)
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


def _refusal(response: Response, answer: Mapping[str, object]) -> Response:
    reason = str(answer.get("reason", "refused"))
    words = _SENTENCES.get(reason, _FALLBACK)
    return error_response(503, reason, words, {"Retry-After": response.headers.get("Retry-After", "5")})
