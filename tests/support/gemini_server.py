"""A server that behaves like Gemini's generateContent, with faults on demand.

It insists on what the real one insists on: the key in its header, the model in the address, no unknown names.
"""

from __future__ import annotations

from typing import ClassVar

from tests.support.http_faults import Request
from tests.support.model_server import FakeModel, Json, Question

MODEL = "gemini-test"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


class FakeGemini(FakeModel):
    model: ClassVar[str] = MODEL
    wrong_types: ClassVar[object] = {
        "candidates": [{"content": {"parts": {"text": 1}}, "finishReason": ["STOP"]}]
    }

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1beta"

    def refusal(self, request: Request) -> tuple[int, object] | None:
        if request.headers.get("x-goog-api-key") != self.api_key:
            info: Json = {"@type": _ERROR_INFO, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
            return 400, error(400, "INVALID_ARGUMENT", info)
        model = f"/v1beta/models/{MODEL}"
        if (request.method, request.path) not in (("POST", f"{model}:generateContent"), ("GET", model)):
            return 404, error(404, "NOT_FOUND")
        if request.method == "POST" and not _is_well_formed(request.json()):
            return 400, error(400, "INVALID_ARGUMENT")
        return None

    def read(self, request: Request) -> Question:
        body = request.json()
        assert isinstance(body, dict)
        system = body.get("systemInstruction", {"parts": []})
        said = [("system", part["text"]) for part in system["parts"]]
        for content in body["contents"]:
            said += [(content["role"], part["text"]) for part in content["parts"]]
        return Question(MODEL, tuple(role for role, _ in said), tuple(text for _, text in said), body)

    def completion(self, text: str, model: str) -> Json:
        parts: list[Json] = [{"text": "let me see", "thought": True}, {"text": text}] if text else []
        content = {"role": "model", "parts": parts}
        thoughts = {"thoughtsTokenCount": 3} if text else {}
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 4, **thoughts}
        return {
            "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
            "usageMetadata": {**usage, "totalTokenCount": 18},
            "modelVersion": model,
        }

    def filtered(self) -> Json:
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": MODEL}

    def tool_call(self) -> Json:
        parts = [{"functionCall": {"name": "price", "args": {}}}]
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}
        return {**self.completion("", MODEL), "candidates": [candidate]}


def error(code: int, status: str, *details: Json) -> Json:
    """An error as Google writes it."""
    more = {"details": list(details)} if details else {}
    return {"error": {"code": code, "message": "ordered", "status": status, **more}}


def retry_info(delay: str) -> Json:
    return {"@type": _RETRY_INFO, "retryDelay": delay}


def _is_well_formed(body: object) -> bool:
    assert isinstance(body, dict)
    known = {"systemInstruction", "contents", "generationConfig"}
    roles = [content["role"] for content in body["contents"]]
    by_turns = roles == [("user", "model")[index % 2] for index in range(len(roles))]
    schema = body["generationConfig"].get("responseSchema", {})
    return set(body) <= known and bool(roles) and by_turns and "additionalProperties" not in str(schema)
