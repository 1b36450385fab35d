"""Anthropic's messages.

What is special here:
- The key goes into `x-api-key`, the version into `anthropic-version`, the system text beside the messages.
- User and assistant speak by turns, the user first; several texts of one side are blocks of one message.
- An error names its `type`, which says more than the status; an account out of money gets a 400, recognised by its
  message, or a 429 with a code of its own.
- A refusal is a 200 with the stop reason `refusal`.
- There is no schema for the answer: only the instruction asks for its shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from actors.prompt import ModelRequest, alternating
from daemon.responders.http_kind import HttpKind
from daemon.responders.http_provider import Completion, Dialect, FailureKind, texts
from daemon.web.answer import dig

VERSION = "2023-06-01"

_BY_TYPE: Mapping[object, FailureKind] = {
    "authentication_error": "bad_key",
    "billing_error": "bad_key",
    "permission_error": "bad_key",
    "not_found_error": "not_found",
    "rate_limit_error": "rate_limited",
    "overloaded_error": "overloaded",
    "api_error": "overloaded",
    "timeout_error": "timed_out",
}
_OUT_OF_MONEY = ("Your credit balance is too low", "You have reached your specified")


class Anthropic(Dialect):
    default_base_url = "https://api.anthropic.com/v1"

    @property
    def url(self) -> str:
        return f"{self.base_url}/messages"

    @property
    def probe_url(self) -> str:
        return f"{self.base_url}/models/{quote(self.endpoint.model, safe='')}"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"x-api-key": self.endpoint.api_key, "anthropic-version": VERSION}

    def body(self, request: ModelRequest) -> dict[str, object]:
        system = {"system": request.system} if request.system else {}
        return {
            "model": self.endpoint.model,
            "max_tokens": self.endpoint.max_output_tokens * request.answers,
            **system,
            "messages": [
                {"role": said.role, "content": [{"type": "text", "text": text} for text in said.texts]}
                for said in alternating(request.turns)
            ],
        }

    def read(self, payload: object) -> Completion | None:
        if dig(payload, "stop_reason") == "refusal":
            return None
        usage = dig(payload, "usage")
        return Completion(
            texts(dig(payload, "content")),
            dig(payload, "model"),
            dig(usage, "input_tokens"),
            dig(usage, "output_tokens"),
            dig(payload, "stop_reason") == "tool_use",
        )

    def verdict(self, status: int, payload: object) -> FailureKind | None:
        error = dig(payload, "error")
        message = dig(error, "message")
        if dig(error, "details", "error_code") == "enforced_spend_limit_reached":
            return "bad_key"
        if isinstance(message, str) and message.startswith(_OUT_OF_MONEY):
            return "bad_key"
        error_type = dig(error, "type")
        return _BY_TYPE.get(error_type) if isinstance(error_type, str) else None


class AnthropicKind(HttpKind):
    name = "anthropic"
    dialect = Anthropic
