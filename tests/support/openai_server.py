"""A server with OpenAI's chat completions API, with faults on demand."""

from __future__ import annotations

from typing import ClassVar, Literal

from tests.support.http_faults import Request
from tests.support.model_server import FakeModel, Fault, Json, Question

__all__ = ["FakeOpenAI", "Fault", "completion"]


Insistence = Literal["alternation", "max_completion_tokens", "own_temperature", "no_system", "no_schema"]


class FakeOpenAI(FakeModel):
    """It takes any request that is well-formed, as most such servers do; what it is to insist on is in `insists`."""

    model: ClassVar[str] = "test-model"
    wrong_types: ClassVar[object] = {"choices": {"0": []}, "usage": "many"}

    def __init__(self, api_key: str = "model-key") -> None:
        super().__init__(api_key)
        self.insists: set[Insistence] = set()
        self.lists: list[str] = []
        """The ids of its models, as it lists them."""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def listing(self) -> Json:
        return {"object": "list", "data": [{"id": model, "object": "model"} for model in self.lists]}

    def refusal(self, request: Request) -> tuple[int, object] | None:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return 401, {"error": {"code": "invalid_api_key"}}
        if (request.method, request.path) not in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
            return 404, {"error": {"code": "not_found"}}
        return self._insisted(request.json()) if request.method == "POST" else None

    def _insisted(self, body: object) -> tuple[int, object] | None:
        """The refusal of a strict template (vLLM's), or of a model that wants other parameters (OpenAI's)."""
        assert isinstance(body, dict)
        roles = [message["role"] for message in body["messages"]]
        if "no_system" in self.insists and "system" in roles:
            return 400, _template("System role not supported")
        turns = [role for role in roles if role != "system"]
        if "alternation" in self.insists and turns != [
            ("user", "assistant")[n % 2] for n in range(len(turns))
        ]:
            return 400, _template("Conversation roles must alternate user/assistant/user/assistant/...")
        if "max_completion_tokens" in self.insists and "max_tokens" in body:
            says = "Unsupported parameter: 'max_tokens' is not supported with this model."
            says += " Use 'max_completion_tokens' instead."
            return 400, _unsupported(says, "max_tokens", "unsupported_parameter")
        if "own_temperature" in self.insists and body.get("temperature", 1) != 1:
            says = "Unsupported value: 'temperature' does not support 0.2 with this model."
            says += " Only the default (1) value is supported."
            return 400, _unsupported(says, "temperature", "unsupported_value")
        if "no_schema" in self.insists and "response_format" in body:
            says = "This response_format type is unavailable now"
            return 400, {"error": {"message": says, "type": "invalid_request_error", "param": None}}
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


def _template(says: str) -> Json:
    return {"object": "error", "message": says, "type": "BadRequestError", "param": None, "code": 400}


def _unsupported(says: str, parameter: str, code: str) -> Json:
    return {"error": {"message": says, "type": "invalid_request_error", "param": parameter, "code": code}}


def completion(said: str | Json | None, model: str = "test", finish_reason: str = "stop") -> Json:
    """A chat completion as OpenAI writes it. Args: said: the text, or what a message has instead of one."""
    message = {
        "role": "assistant",
        "refusal": None,
        **(said if isinstance(said, dict) else {"content": said}),
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
