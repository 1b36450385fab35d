"""Google's Gemini, `generateContent`.

What is special here:
- The model is part of the address, the key is in `x-goog-api-key`; the assistant is called `model`.
- A wrong key is a 400 that says API_KEY_INVALID in its details; 400 FAILED_PRECONDITION is an account without billing.
- How long to wait after a 429 is in the body (`RetryInfo`), not in a header.
- A blocked question has no candidates but a `blockReason`; a blocked answer has a finish reason that says why.
- A model's thoughts are parts of the answer, marked so: they are paid for, and not for the customer.
- A schema for the answer names its types in capitals and knows no `additionalProperties`.
- Models of the second generation take a budget of tokens for their thoughts, later ones a level.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from urllib.parse import quote

from actors.messages import CutReason
from actors.prompt import ModelRequest, Utterance, alternating
from daemon.responders.dialect import Completion, Dialect, Endpoint, count, has_thoughts, texts
from daemon.responders.error_words import FailureKind
from daemon.responders.failures import Trouble
from daemon.responders.http_kind import HttpKind
from daemon.responders.lessons import Adaptation
from daemon.web.answer import MAX_RETRY_AFTER_SECONDS, dig

_FILTERED = frozenset(
    {
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
_BROKEN = frozenset(
    {
        "OTHER",
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "MALFORMED_RESPONSE",
        "IMAGE_OTHER",
        "NO_IMAGE",
    }
)
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)s")
_ENDS_WITH_VERSION = re.compile(r"/v\d{1,3}(?:beta|alpha)?\d{0,3}\Z")
_BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192}
_MOST_THOUGHTS = 24_576
_LEVELS = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium"}


class Gemini(Dialect):
    default_base_url = "https://generativelanguage.googleapis.com/v1beta"
    adaptations: Mapping[str, Adaptation] = {
        "generationConfig.temperature": Adaptation(("temperature",)),
        "generationConfig.thinkingConfig": Adaptation(("thinking",)),
        "generationConfig.responseSchema": Adaptation(
            ("json mode", "responseschema", "response_schema", "responsemimetype", "response_mime_type"),
            also=("generationConfig.responseMimeType",),
        ),
    }

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        base = self.base_url.partition("/models")[0].removesuffix("/openai")
        self.base_url = base if _ENDS_WITH_VERSION.search(base) else f"{base}/v1beta"

    @property
    def url(self) -> str:
        return f"{self.probe_url}:generateContent"

    @property
    def probe_url(self) -> str:
        return f"{self.base_url}/models/{quote(self._model, safe='')}"

    @property
    def _model(self) -> str:
        return self.endpoint.model.removeprefix("models/")

    @property
    def own_headers(self) -> Mapping[str, str]:
        return {"x-goog-api-key": self.endpoint.api_key}

    def body(self, request: ModelRequest) -> dict[str, object]:
        system = {"systemInstruction": {"parts": [{"text": request.system}]}} if request.system else {}
        answer: dict[str, object] = {"maxOutputTokens": self.bound(request)}
        wishes = self.endpoint.wishes
        if wishes.temperature is not None:
            answer["temperature"] = wishes.temperature
        if wishes.reasoning_effort is not None:
            answer["thinkingConfig"] = self._thoughts(wishes.reasoning_effort)
        if request.schema is not None:
            answer |= {"responseMimeType": "application/json", "responseSchema": _schema(request.schema)}
        return {
            **system,
            "contents": list(map(_content, alternating(request.turns))),
            "generationConfig": answer,
        }

    def _thoughts(self, effort: str) -> dict[str, object]:
        if self._model.startswith("gemini-2"):
            return {"thinkingBudget": _BUDGETS.get(effort, _MOST_THOUGHTS)}
        return {"thinkingLevel": _LEVELS.get(effort, "high")}

    def read(self, payload: object) -> Completion:
        if isinstance(payload, list):  # a stream's pieces, where a proxy asked for one
            payload = payload[-1] if len(payload) == 1 else None
        candidate = dig(payload, "candidates", 0)
        why = dig(candidate, "finishReason")
        parts = dig(candidate, "content", "parts")
        usage = dig(payload, "usageMetadata")
        thoughts = count(dig(usage, "thoughtsTokenCount"))
        calls = isinstance(parts, list) and any(dig(part, "functionCall") for part in parts)
        calls |= why in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL")
        return Completion(
            texts(parts if isinstance(parts, list) else None),
            dig(payload, "modelVersion"),
            dig(usage, "promptTokenCount"),
            count(dig(usage, "candidatesTokenCount")) + thoughts,
            calls,
            refused=bool(dig(payload, "promptFeedback", "blockReason")),
            cut=_cut(why),
            thought=bool(thoughts) or has_thoughts(parts),
        )

    def verdict(self, trouble: Trouble) -> FailureKind | None:
        return "bad_key" if trouble.words & {"api_key_invalid", "failed_precondition"} else None

    def retry_after_seconds(self, payload: object) -> float | None:
        for detail in _details(payload):
            delay = dig(detail, "retryDelay")
            match = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
            if match:
                return min(math.ceil(float(match[1])), MAX_RETRY_AFTER_SECONDS)
        return None


def _cut(why: object) -> CutReason:
    if not isinstance(why, str):
        return ""
    if why == "MAX_TOKENS":
        return "length"
    return "filter" if why in _FILTERED else "error" if why in _BROKEN else ""


def _content(said: Utterance) -> dict[str, object]:
    role = "model" if said.role == "assistant" else "user"
    return {"role": role, "parts": [{"text": text} for text in said.texts]}


def _details(payload: object) -> list[object]:
    if isinstance(payload, list):
        payload = payload[0] if payload else None
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
