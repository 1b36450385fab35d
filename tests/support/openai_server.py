"""A server with OpenAI's chat completions API, with faults on demand."""

from __future__ import annotations

from typing import ClassVar

from tests.support.http_faults import Request
from tests.support.model_server import FakeModel, Fault, Json, Question

__all__ = ["FakeOpenAI", "Fault", "completion"]


class FakeOpenAI(FakeModel):
    model: ClassVar[str] = "test-model"
    wrong_types: ClassVar[object] = {"choices": {"0": []}, "usage": "many"}

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def refusal(self, request: Request) -> tuple[int, object] | None:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return 401, {"error": {"code": "invalid_api_key"}}
        if (request.method, request.path) not in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
            return 404, {"error": {"code": "not_found"}}
        return None

    def read(self, request: Request) -> Question:
        body = request.json()
        assert isinstance(body, dict)
        messages = body["messages"]
        roles = tuple(message["role"] for message in messages)
        return Question(body["model"], roles, tuple(message["content"] for message in messages), body)

    def completion(self, text: str, model: str) -> Json:
        return completion(text, model)

    def filtered(self) -> Json:
        return completion(None, finish_reason="content_filter")

    def tool_call(self) -> Json:
        call = {"id": "a", "type": "function", "function": {"name": "price", "arguments": "{}"}}
        said = completion(None, finish_reason="tool_calls")
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return {**said, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def completion(text: str | None, model: str = "test", finish_reason: str = "stop") -> Json:
    """A chat completion as OpenAI writes it."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
