"""How to talk to one kind of provider: its addresses, its words for a question, and what its answers say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from actors.messages import CutReason
from actors.prompt import ModelRequest
from daemon.responders.error_words import FailureKind
from daemon.responders.failures import Trouble
from daemon.responders.lessons import Adaptation

MAX_ROOM_TOKENS = 16_384
"""The most that is asked for of a model's own accord, when an answer was cut; what is configured may be more."""


class Wishes(msgspec.Struct, frozen=True):
    """What the settings want of the answers, beyond their length."""

    temperature: float | None = None
    """None: the model's own."""
    reasoning_effort: str | None = None
    """None: the model's own."""
    extra_body: Mapping[str, object] = {}
    """Merged over every request; it wins."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked; its repr shows no key."""

    model: str
    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    """Up to the version, e.g. `https://api.openai.com/v1`; None: the provider's own."""
    max_output_tokens: int = 1_024
    """Of one answer."""
    wishes: Wishes = field(default_factory=Wishes)
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    api_version: str | None = None
    """Where a server asks for one beside the address."""


class Completion(msgspec.Struct, frozen=True):
    """What a model said, read from the provider's answer. Nothing in it is trusted: any value may be anything."""

    text: str
    """Without the model's thoughts."""
    model: object = None
    input_tokens: object = 0
    output_tokens: object = 0
    calls_tool: bool = False
    """It asks for a tool, which nobody here offers."""
    refused: bool = False
    """By the model or a filter, on account of what was asked: whatever text there is, it is no answer."""
    cut: CutReason = ""
    thought: bool = False
    """There are thoughts in the answer, or they were paid for."""


class Dialect(ABC):
    """How to talk to one kind of provider."""

    default_base_url: str
    adaptations: Mapping[str, Adaptation] = {}
    """What may be left out of a request, or called by another name, if the model does not want it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.base_url = (endpoint.base_url or self.default_base_url).rstrip("/")

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    @abstractmethod
    def probe_url(self) -> str | None:
        """A GET that costs nothing and needs the key; None: there is none that proves anything."""

    @property
    @abstractmethod
    def own_headers(self) -> Mapping[str, str]: ...

    @property
    def headers(self) -> Mapping[str, str]:
        return {**self.own_headers, **self.endpoint.extra_headers}

    @abstractmethod
    def body(self, request: ModelRequest) -> dict[str, object]:
        """The request, without what the settings add to it as it is."""

    @abstractmethod
    def read(self, payload: object) -> Completion:
        """What a 200 says that holds no error."""

    def joined(self, body: bytes) -> object:
        """The payload of a 200 that is no JSON, e.g. of a stream that nobody asked for; None: it cannot be read."""
        return None

    def verdict(self, trouble: Trouble) -> FailureKind | None:
        """What an error means that only this kind of provider writes so."""
        return None

    def retry_after_seconds(self, payload: object) -> float | None:
        """How long to wait, if the body says so and no header does."""
        return None

    def bound(self, request: ModelRequest) -> int:
        """How many tokens the answer may have."""
        configured = self.endpoint.max_output_tokens * request.answers
        return min(configured * request.room, max(configured, MAX_ROOM_TOKENS))


def count(value: object) -> int:
    """A token count that fits the ledger's integer; 0 when it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value < 2**31 else 0


def texts(parts: object) -> str:
    """A plain string, or the `text` of the parts of a list that are for the reader, one after another.

    Thoughts are parts too: `{"type": "thinking", …}`, `{"type": "reasoning", …}`, `{"thought": true, …}`.
    """
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    found = (part.get("text") for part in parts if isinstance(part, dict) and not is_thought(part))
    return "".join(text for text in found if isinstance(text, str))


def is_thought(part: object) -> bool:
    if not isinstance(part, dict):
        return False
    kind = part.get("type")
    return bool(part.get("thought")) or (
        isinstance(kind, str) and any(word in kind for word in ("thinking", "reasoning", "thought"))
    )


def has_thoughts(parts: object) -> bool:
    return isinstance(parts, list) and any(is_thought(part) for part in parts)
