"""A server that behaves like Anthropic's messages endpoint, with faults on demand.

It insists on what the real one insists on: key and version in their headers, `max_tokens`, the user first.
"""

from __future__ import annotations

from typing import ClassVar

from tests.support.http_faults import Request
from tests.support.model_server import FakeModel, Json, Question

MODEL = "claude-test"


class FakeAnthropic(FakeModel):
    model: ClassVar[str] = MODEL
    error_body: ClassVar[object] = {"type": "error", "error": {"type": "ordered", "message": "ordered"}}
    wrong_types: ClassVar[object] = {"content": {"0": []}, "usage": "many", "stop_reason": ["end_turn"]}

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def refusal(self, request: Request) -> tuple[int, object] | None:
        if request.headers.get("x-api-key") != self.api_key:
            return 401, error("authentication_error")
        if request.headers.get("anthropic-version") != "2023-06-01":
            return 400, error("invalid_request_error")
        if (request.method, request.path) not in (("POST", "/v1/messages"), ("GET", f"/v1/models/{MODEL}")):
            return 404, error("not_found_error")
        if request.method == "POST" and not _is_well_formed(request.json()):
            return 400, error("invalid_request_error")
        return None

    def read(self, request: Request) -> Question:
        body = request.json()
        assert isinstance(body, dict)
        said = [("system", body["system"])] if "system" in body else []
        for message in body["messages"]:
            said += [(message["role"], block["text"]) for block in message["content"]]
        return Question(body["model"], tuple(role for role, _ in said), tuple(text for _, text in said), body)

    def completion(self, text: str, model: str) -> Json:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 7},
        }

    def filtered(self) -> Json:
        return {**self.completion("", MODEL), "content": [], "stop_reason": "refusal"}

    def tool_call(self) -> Json:
        call = {"type": "tool_use", "id": "a", "name": "price", "input": {}}
        return {**self.completion("", MODEL), "content": [call], "stop_reason": "tool_use"}


def error(kind: str, message: str = "ordered", **details: str) -> Json:
    """An error as Anthropic writes it."""
    more = {"details": details} if details else {}
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


def _is_well_formed(body: object) -> bool:
    assert isinstance(body, dict)
    roles = [message["role"] for message in body["messages"]]
    by_turns = roles == [("user", "assistant")[index % 2] for index in range(len(roles))]
    texts = [block["text"] for message in body["messages"] for block in message["content"]]
    return bool(by_turns and roles and all(text.strip() for text in texts) and body["max_tokens"] >= 1)
