"""The gateway of the playground: takes replies to customers that the dashboard made up.

Laws of this file:
- A send to such a customer never reaches a real gateway, whatever the instance, and whether the dashboard is on or off.
- What was said is kept in memory, for the few newest customers that this daemon's own dashboard opened. For others
  (after a restart, of another daemon) it is dropped at once, and still counts as sent.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from typing import Literal, NamedTuple

from actors.errors import MajlisError
from actors.identity import Conversation, is_playground
from actors.outcome import NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Sent
from actors.ports import Gateway, MaySend, at_any_time

MAX_CHATS = 100
MAX_LINES = 200
"""The lines kept of one chat, from both sides."""


class Line(NamedTuple):
    """One message of a chat."""

    id: str
    sender: Literal["customer", "majlis"]
    text: str
    at_ms: int
    """Unix time, milliseconds."""
    key: str = ""
    """The key of the send, the same for every attempt."""


class Chats:
    """What was said to and by the playground's customers. If there are too many chats, the least recent is dropped."""

    def __init__(self) -> None:
        self._chats: dict[Conversation, deque[Line]] = {}

    def open(self, conversation: Conversation) -> tuple[Line, ...]:
        """The lines of the chat that are kept, in order."""
        lines = self._chats.pop(conversation, None)
        self._chats[conversation] = lines = deque(maxlen=MAX_LINES) if lines is None else lines
        while len(self._chats) > MAX_CHATS:
            del self._chats[next(iter(self._chats))]
        return tuple(lines)

    def close(self, conversation: Conversation) -> None:
        self._chats.pop(conversation, None)

    def say(self, conversation: Conversation, line: Line) -> None:
        """Keep a line, if the chat is open."""
        lines = self._chats.get(conversation)
        if lines is not None:
            lines.append(line)

    def take_back(self, conversation: Conversation, line: Line) -> None:
        """Remove a line that was not accepted after all."""
        lines = self._chats.get(conversation)
        if lines is not None and line in lines:
            lines.remove(line)

    def sent(self, conversation: Conversation) -> tuple[Line, ...]:
        return tuple(line for line in self._chats.get(conversation, ()) if line.sender == "majlis")


class PlaygroundGateway:
    """Keeps replies to the playground's customers, and passes all others to `gateway`."""

    def __init__(self, gateway: Gateway, chats: Chats) -> None:
        self._gateway = gateway
        self._chats = chats

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        if not is_playground(conversation.contact):
            return await self._gateway.send(conversation, text, may_send, origin, key)
        for line in self._chats.sent(conversation):
            if key and line.key == key:
                return Sent(line.id)
        try:
            may_send()
        except MajlisError:
            return NotSent("lease_ended", "hold")
        line = Line(f"PLAYGROUND-{secrets.token_hex(8)}", "majlis", text, time.time_ns() // 1_000_000, key)
        self._chats.say(conversation, line)
        return Sent(line.id)

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        if not is_playground(conversation.contact):
            return await self._gateway.find(conversation, text, since_ms, known_ids, origin)
        for line in self._chats.sent(conversation):
            if line.text == text and line.at_ms >= since_ms and line.id not in known_ids:
                return RecordFound(line.id)
        return NoRecord()
