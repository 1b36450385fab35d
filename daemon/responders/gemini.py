"""Google's Gemini, `generateContent`.

What is special here:
- The model is part of the address, the key is in `x-goog-api-key`; the assistant is called `model`.
- A wrong key is a 400 that says API_KEY_INVALID in its details; 400 FAILED_PRECONDITION is an account without billing.
- How long to wait after a 429 is in the body (`RetryInfo`), not in a header.
- A blocked question has no candidates but a `blockReason`; a blocked answer has a finish reason that says why.
- A model's thoughts are parts of the answer, marked so: they are paid for, and not for the customer.
- A schema for the answer names its types in capitals and knows no `additionalProperties`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from urllib.parse import quote

from actors.prompt import ModelRequest, Utterance, alternating
from daemon.responders.http_kind import HttpKind
from daemon.responders.http_provider import Completion, Dialect, FailureKind, count, texts
from daemon.web.answer import MAX_RETRY_AFTER_SECONDS, dig

_REFUSED = frozenset(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"))
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)s")


class Gemini(Dialect):
    default_base_url = "https://generativelanguage.googleapis.com/v1beta"

    @property
    def url(self) -> str:
        return f"{self.probe_url}:generateContent"

    @property
    def probe_url(self) -> str:
        return f"{self.base_url}/models/{quote(self.endpoint.model.removeprefix('models/'), safe='')}"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"x-goog-api-key": self.endpoint.api_key}

    def body(self, request: ModelRequest) -> dict[str, object]:
        system = {"systemInstruction": {"parts": [{"text": request.system}]}} if request.system else {}
        answer: dict[str, object] = {"maxOutputTokens": self.endpoint.max_output_tokens * request.answers}
        if request.schema is not None:
            answer |= {"responseMimeType": "application/json", "responseSchema": _schema(request.schema)}
        return {
            **system,
            "contents": list(map(_content, alternating(request.turns))),
            "generationConfig": answer,
        }

    def read(self, payload: object) -> Completion | None:
        candidate = dig(payload, "candidates", 0)
        if dig(payload, "promptFeedback", "blockReason") or str(dig(candidate, "finishReason")) in _REFUSED:
            return None
        parts = dig(candidate, "content", "parts")
        spoken = [part for part in parts if not dig(part, "thought")] if isinstance(parts, list) else []
        usage = dig(payload, "usageMetadata")
        written = count(dig(usage, "candidatesTokenCount")) + count(dig(usage, "thoughtsTokenCount"))
        return Completion(
            texts(spoken),
            dig(payload, "modelVersion"),
            dig(usage, "promptTokenCount"),
            written,
            any(dig(part, "functionCall") for part in spoken),
        )

    def verdict(self, status: int, payload: object) -> FailureKind | None:
        wrong_key = any(dig(detail, "reason") == "API_KEY_INVALID" for detail in _details(payload))
        if wrong_key or dig(payload, "error", "status") == "FAILED_PRECONDITION":
            return "bad_key"
        return None

    def retry_after_seconds(self, payload: object) -> float | None:
        for detail in _details(payload):
            delay = dig(detail, "retryDelay")
            match = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
            if match:
                return min(math.ceil(float(match[1])), MAX_RETRY_AFTER_SECONDS)
        return None


def _content(said: Utterance) -> dict[str, object]:
    role = "model" if said.role == "assistant" else "user"
    return {"role": role, "parts": [{"text": text} for text in said.texts]}


def _details(payload: object) -> list[object]:
    details = dig(payload, "error", "details")
    return details if isinstance(details, list) else []


def _schema(schema: object) -> object:
    """A JSON schema as this API writes it."""
    if isinstance(schema, list):
        return [_schema(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: value.upper() if name == "type" and isinstance(value, str) else _schema(value)
        for name, value in schema.items()
        if name != "additionalProperties"
    }


class GeminiKind(HttpKind):
    name = "gemini"
    dialect = Gemini
    traced_as = "gcp.gemini"
