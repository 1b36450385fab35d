"""Any server that speaks OpenAI's chat completions.

What is special here:
- OpenAI and Azure take the bound of an answer as `max_completion_tokens`, and newer models there refuse `max_tokens`;
  other servers (Ollama, LM Studio, older vLLM) know `max_tokens` alone. The host decides.
- 429 with `insufficient_quota` or `billing_not_active` is an account without money: no waiting helps.
- 400 with `content_filter` (Azure) or `invalid_prompt` (OpenAI) is a refusal; others come in a 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from actors.prompt import ModelRequest
from daemon.responders.http_kind import HttpKind
from daemon.responders.http_provider import Completion, Dialect, FailureKind, texts
from daemon.responders.kind import ProviderSettings
from daemon.web.answer import dig
from daemon.web.finding import Finding

_VERDICTS: Mapping[object, FailureKind] = {
    "content_filter": "refused_by_policy",
    "invalid_prompt": "refused_by_policy",
    "insufficient_quota": "bad_key",
    "billing_not_active": "bad_key",
}
_OWN_HOSTS = (".openai.com", ".openai.azure.com")


class OpenAi(Dialect):
    default_base_url = "https://api.openai.com/v1"

    @property
    def url(self) -> str:
        return f"{self.base_url}/chat/completions"

    @property
    def probe_url(self) -> str:
        return f"{self.base_url}/models"

    @property
    def headers(self) -> Mapping[str, str]:
        key = self.endpoint.api_key
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, request: ModelRequest) -> dict[str, object]:
        system = [{"role": "system", "content": request.system}] if request.system else []
        turns = [{"role": turn.role, "content": turn.text} for turn in request.turns]
        body: dict[str, object] = {
            "model": self.endpoint.model,
            "messages": [*system, *turns],
            self._bound: self.endpoint.max_output_tokens * request.answers,
        }
        if request.schema is not None:
            answer = {"name": "answers", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": answer}
        return body

    @property
    def _bound(self) -> str:
        host = urlsplit(self.base_url).hostname or ""
        return "max_completion_tokens" if host.endswith(_OWN_HOSTS) else "max_tokens"

    def read(self, payload: object) -> Completion | None:
        choice = dig(payload, "choices", 0)
        if dig(choice, "finish_reason") == "content_filter" or dig(choice, "message", "refusal"):
            return None
        usage = dig(payload, "usage")
        return Completion(
            texts(dig(choice, "message", "content")),
            dig(payload, "model"),
            dig(usage, "prompt_tokens"),
            dig(usage, "completion_tokens"),
            bool(dig(choice, "message", "tool_calls") or dig(choice, "message", "function_call")),
        )

    def verdict(self, status: int, payload: object) -> FailureKind | None:
        for member in ("code", "type"):
            said = dig(payload, "error", member)
            if isinstance(said, str) and said in _VERDICTS:
                return _VERDICTS[said]
        return None


class OpenAiKind(HttpKind):
    name = "openai"
    dialect = OpenAi
    needs_base_url = True
    needs_key = False

    def not_found(self, settings: ProviderSettings) -> Finding:
        # Many servers that speak it list no models, so this proves nothing.
        advice = "Make sure that base_url is the part before /chat/completions; if it is, this server lists no models."
        return Finding("warning", "there is no /models", advice)
