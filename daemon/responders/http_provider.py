"""Asking a model over HTTP: everything that providers have in common. Where they differ is in a `Dialect`.

What an answer means, by what the caller should do (`actors/errors.py`):

    429                              TurnFailed rate_limited   Retry-After honoured
    500 502 503 529                  TurnFailed overloaded     Retry-After honoured
    408 504, deadline                TurnFailed timed_out
    no connection, lost connection   TurnFailed unreachable
    401 402 403                      TurnFailed bad_key        the next provider may still answer
    404                              TurnFailed not_found      address or model are wrong; the next one's may be right
    unreadable, empty                TurnFailed garbage
    a tool was called, nothing said  TurnFailed tool_call_only
    silence was chosen               an answer without text, where the prompt allows it; else garbage
    body over the cap                TurnFailed too_large
    400 413 422                      TurnRefused bad_request
    content filter, refusal          TurnRefused refused_by_policy

A dialect may know more than the status, from the error's body: its `verdict` comes first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Never

import msgspec

from actors.errors import TurnFailed, TurnRefused
from actors.messages import Answer, Prompt
from actors.prompt import ModelRequest, model_request
from actors.text import plain_text
from daemon.responders.batched import read_together, shared_model_request
from daemon.responders.extraction import Extracted, extract
from daemon.responders.formatting import for_whatsapp
from daemon.responders.provider import Together
from daemon.web.answer import HttpAnswer
from daemon.web.client import HttpClient, HttpFailed

MAX_BODY_BYTES = 2 * 1024 * 1024

FailureKind = Literal[
    "rate_limited", "overloaded", "timed_out", "bad_key", "not_found", "bad_request", "refused_by_policy"
]

_BY_STATUS: Mapping[int, FailureKind] = {
    400: "bad_request",
    401: "bad_key",
    402: "bad_key",
    403: "bad_key",
    404: "not_found",
    408: "timed_out",
    413: "bad_request",
    422: "bad_request",
    429: "rate_limited",
    500: "overloaded",
    502: "overloaded",
    503: "overloaded",
    504: "timed_out",
    529: "overloaded",
}
_REFUSALS: frozenset[FailureKind] = frozenset(("bad_request", "refused_by_policy"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked; its repr shows no key."""

    model: str
    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    """Up to the version, e.g. `https://api.openai.com/v1`; None: the provider's own."""
    max_output_tokens: int = 1_024
    """Of one answer."""


class ProviderTerms(msgspec.Struct, frozen=True):
    """How one provider is used."""

    timeout_seconds: float = 30.0
    """For a whole call, from the first byte sent to the last byte read."""
    system_prompt: str | None = None
    """The system prompt for instances without their own; None: the default; empty: none."""
    max_answer_chars: int = 12_000
    price_per_million_input_tokens: float = 0.0
    price_per_million_output_tokens: float = 0.0


class Completion(msgspec.Struct, frozen=True):
    """What a model said, read from the provider's answer. Nothing in it is trusted: any value may be anything."""

    text: str
    model: object
    input_tokens: object
    output_tokens: object
    calls_tool: bool = False
    """It asks for a tool, which nobody here offers."""


class Dialect(ABC):
    """How to talk to one kind of provider."""

    default_base_url: str

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.base_url = (endpoint.base_url or self.default_base_url).rstrip("/")

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    @abstractmethod
    def probe_url(self) -> str:
        """A GET that costs nothing and needs the key."""

    @property
    @abstractmethod
    def headers(self) -> Mapping[str, str]: ...

    @abstractmethod
    def body(self, request: ModelRequest) -> dict[str, object]: ...

    @abstractmethod
    def read(self, payload: object) -> Completion | None:
        """What a 200 says; None when it is a refusal by policy."""

    def verdict(self, status: int, payload: object) -> FailureKind | None:
        """What an error's body says beyond its status."""
        return None

    def retry_after_seconds(self, payload: object) -> float | None:
        """How long to wait, if the body says so and no header does."""
        return None


class HttpProvider:
    """One provider: a dialect, and the terms it is used on."""

    def __init__(
        self, http: HttpClient, name: str, dialect: Dialect, terms: ProviderTerms | None = None
    ) -> None:
        self.name = name
        self._http = http
        self._dialect = dialect
        self._terms = terms or ProviderTerms()

    async def answer(self, prompt: Prompt) -> Answer:
        """Raises: TurnFailed, TurnRefused."""
        completion = await self._complete(model_request(prompt, self._terms.system_prompt))
        extracted = extract(completion.text, self._terms.max_answer_chars)
        if not extracted.text and not (extracted.is_silence and prompt.may_be_silent):
            if completion.calls_tool and not completion.text.strip():
                raise TurnFailed("tool_call_only", f"{self.name}: the model called a tool and said nothing")
            raise TurnFailed("garbage", self.name)
        answer = self._answer(extracted, completion, prompt)
        tokens_in, tokens_out, cost_micros = self._usage(completion)
        return msgspec.structs.replace(
            answer, input_tokens=tokens_in, output_tokens=tokens_out, cost_micros=cost_micros
        )

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        """Raises: TurnFailed, TurnRefused."""
        completion = await self._complete(shared_model_request(prompts, self._terms.system_prompt))
        believed = read_together(completion.text, prompts)
        extracted = {key: extract(text, self._terms.max_answer_chars) for key, text in believed.items()}
        answers = {
            key: self._answer(each, completion, prompts[key])
            for key, each in extracted.items()
            if each.text or (each.is_silence and prompts[key].may_be_silent)
        }
        return Together(answers, *self._usage(completion))

    async def _complete(self, request: ModelRequest) -> Completion:
        dialect, terms = self._dialect, self._terms
        try:
            answer = await self._http.post_json(
                dialect.url,
                dialect.body(request),
                dialect.headers,
                terms.timeout_seconds,
                MAX_BODY_BYTES,
            )
        except HttpFailed as failure:
            raise TurnFailed(_reason(failure), self.name) from None
        if answer.status != 200:
            self._refuse(answer)
        completion = dialect.read(answer.json())
        if completion is None:
            raise TurnRefused("refused_by_policy", self.name)
        return completion

    def _refuse(self, answer: HttpAnswer) -> Never:
        detail, payload = f"{self.name} answered {answer.status}", answer.json()
        kind = self._dialect.verdict(answer.status, payload) or _BY_STATUS.get(answer.status)
        if kind in _REFUSALS:
            raise TurnRefused(kind, detail)
        wish = answer.retry_after_seconds
        if wish is None:
            wish = self._dialect.retry_after_seconds(payload)
        raise TurnFailed(kind or "unexpected_status", detail, wish)

    def _answer(self, extracted: Extracted, completion: Completion, prompt: Prompt) -> Answer:
        served = plain_text(completion.model) if isinstance(completion.model, str) else ""
        return Answer(
            text=for_whatsapp(extracted.text) if prompt.formatting == "whatsapp" else extracted.text,
            provider=self.name,
            model=served or self._dialect.endpoint.model,
            needs_data_collection=extracted.needs_data_collection,
            requested_fields=extracted.requested_fields,
            confidence=extracted.confidence,
            is_silence=extracted.is_silence,
        )

    def _usage(self, completion: Completion) -> tuple[int, int, int]:
        """Input tokens, output tokens, and their price: per million tokens, so one token costs as many millionths."""
        tokens_in, tokens_out = count(completion.input_tokens), count(completion.output_tokens)
        terms = self._terms
        cost = tokens_in * terms.price_per_million_input_tokens
        cost += tokens_out * terms.price_per_million_output_tokens
        return tokens_in, tokens_out, round(cost)


def count(value: object) -> int:
    """A token count that fits the ledger's integer; 0 when it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value < 2**31 else 0


def texts(parts: object) -> str:
    """A plain string, or the `text` members of a list of parts, one after another."""
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        return ""
    found = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in found if isinstance(text, str))


def _reason(failure: HttpFailed) -> str:
    match failure.reason:
        case "timed_out" | "too_large":
            return failure.reason
        case "bad_encoding":
            return "garbage"
        case _:
            return "unreachable"
