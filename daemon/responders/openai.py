"""Any server that speaks OpenAI's chat completions, Azure's among them.

What is special here:
- User and assistant speak by turns, one text each: the templates of many local models refuse anything else.
- OpenAI and Azure take the bound of an answer as `max_completion_tokens`, and newer models there refuse `max_tokens`;
  other servers (Ollama, LM Studio, older vLLM) know `max_tokens` alone. The host decides, and what a refusal teaches.
- What `base_url` may be is in `openai_address.py`.
- Zhipu and MiniMax have numbers for their errors (`failures.py`); MiniMax's come in a 200.
- Some proxies answer as if a stream had been asked for: its pieces are joined. Others answer in the form of the newer
  Responses API: its messages are read, too.
- Thoughts are in a field of their own (`reasoning_content`, `reasoning`) or in parts marked so, and are no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from actors.messages import CutReason
from actors.prompt import ModelRequest, alternating
from daemon.responders.dialect import Completion, Dialect, Endpoint, count, has_thoughts, texts
from daemon.responders.http_kind import HttpKind
from daemon.responders.kind import ProviderSettings
from daemon.responders.lessons import Adaptation
from daemon.responders.openai_address import Address, address_of, likely_bases, only_api_version
from daemon.schema.fields import Misfit, TextOrDate, is_web_address, web_address
from daemon.web.answer import dig, readable_json
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.finding import DOCTOR_SECONDS, MAX_DOCTOR_BYTES, Finding

_CUTS: Mapping[object, CutReason] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",  # Mistral
    "model_context_window_exceeded": "length",  # Zhipu
    "content_filter": "filter",
    "sensitive": "filter",  # Zhipu
    "error": "error",  # OpenRouter, Mistral
    "network_error": "error",  # Zhipu
    "insufficient_system_resource": "error",  # DeepSeek
    "abort": "error",  # vLLM
}


class OpenAi(Dialect):
    default_base_url = "https://api.openai.com/v1"
    adaptations: Mapping[str, Adaptation] = {
        "max_tokens": Adaptation(("max_tokens",), instead="max_completion_tokens"),
        "max_completion_tokens": Adaptation(("max_completion_tokens",), instead="max_tokens"),
        "temperature": Adaptation(("temperature",)),
        "reasoning_effort": Adaptation(("reasoning_effort", "reasoningeffort", "reasoning effort")),
        "response_format": Adaptation(("response_format", "response format", "json_schema")),
    }

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.address: Address = address_of(self.base_url, endpoint.model, endpoint.api_version)

    @property
    def url(self) -> str:
        return self.address.url

    @property
    def probe_url(self) -> str | None:
        return self.address.models_url

    @property
    def own_headers(self) -> Mapping[str, str]:
        key = self.endpoint.api_key
        if not key:
            return {}
        return {"api-key": key} if self.address.is_azure else {"authorization": f"Bearer {key}"}

    def body(self, request: ModelRequest) -> dict[str, object]:
        system = [{"role": "system", "content": request.system}] if request.system else []
        turns = [{"role": said.role, "content": "\n".join(said.texts)} for said in alternating(request.turns)]
        bound = "max_completion_tokens" if self.address.is_own else "max_tokens"
        wishes = self.endpoint.wishes
        body: dict[str, object] = {
            "model": self.endpoint.model,
            "messages": [*system, *turns],
            bound: self.bound(request),
        }
        if wishes.temperature is not None:
            body["temperature"] = wishes.temperature
        if wishes.reasoning_effort is not None:
            body["reasoning_effort"] = wishes.reasoning_effort
        if request.schema is not None:
            answer = {"name": "answers", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": answer}
        return body

    def read(self, payload: object) -> Completion:
        if isinstance(dig(payload, "output"), list) and dig(payload, "choices") is None:
            return _response(payload)
        choice = dig(payload, "choices", 0)
        message = dig(choice, "message")
        content = dig(message, "content")
        usage = dig(payload, "usage")
        thoughts = any(dig(message, name) for name in ("reasoning_content", "reasoning", "thinking"))
        reasoned = count(dig(usage, "completion_tokens_details", "reasoning_tokens"))
        why = dig(choice, "finish_reason")
        return Completion(
            texts(content),
            dig(payload, "model"),
            dig(usage, "prompt_tokens"),
            _written(usage),
            bool(dig(message, "tool_calls") or dig(message, "function_call")),
            refused=bool(dig(message, "refusal")) or _refusal_in(content),
            cut=_CUTS.get(why, "") if isinstance(why, str) else "",
            thought=thoughts or bool(reasoned) or has_thoughts(content),
        )

    def joined(self, body: bytes) -> object:
        return _joined(body)


def _written(usage: object) -> int:
    """Some count thoughts beside the answer's tokens, and only the total holds both (Gemini's and xAI's)."""
    written = count(dig(usage, "completion_tokens"))
    rest = count(dig(usage, "total_tokens")) - count(dig(usage, "prompt_tokens"))
    return max(written, rest)


def _refusal_in(content: object) -> bool:
    return isinstance(content, list) and any(dig(part, "type") == "refusal" for part in content)


def _response(payload: object) -> Completion:
    """An answer in the form of the Responses API."""
    output = dig(payload, "output")
    items = output if isinstance(output, list) else []
    parts = [
        part
        for item in items
        if dig(item, "type") == "message" and isinstance(dig(item, "content"), list)
        for part in item["content"]
    ]
    usage = dig(payload, "usage")
    why = dig(payload, "incomplete_details", "reason")
    return Completion(
        texts(parts),
        dig(payload, "model"),
        dig(usage, "input_tokens"),
        dig(usage, "output_tokens"),
        any(dig(item, "type") == "function_call" for item in items),
        refused=_refusal_in(parts),
        cut=_CUTS.get(why, "") if isinstance(why, str) else "",
        thought=any(dig(item, "type") == "reasoning" for item in items),
    )


def _joined(body: bytes) -> object:
    """A stream of `data:` lines as the one answer that it is the pieces of; None where it is none."""
    said: dict[str, object] = {}
    text: list[str] = []
    message: dict[str, object] = {}
    choice: dict[str, object] = {"message": message}
    for line in body.splitlines():
        if not line.startswith(b"data:"):
            continue
        piece = readable_json(line[5:])
        if not isinstance(piece, dict):
            continue
        if piece.get("error"):
            return piece
        said |= {name: piece[name] for name in ("model", "usage") if piece.get(name)}
        delta = dig(piece, "choices", 0, "delta") or dig(piece, "choices", 0, "message")
        text.append(texts(dig(delta, "content")))
        message |= {
            name: True
            for name in ("reasoning_content", "reasoning", "refusal", "tool_calls")
            if dig(delta, name)
        }
        why = dig(piece, "choices", 0, "finish_reason")
        choice |= {"finish_reason": why} if why else {}
    if not text:
        return None
    message["content"] = "".join(text)
    return {**said, "choices": [choice]}


class OpenAiSettings(ProviderSettings):
    api_version: TextOrDate | None = None
    """Of an Azure resource, where its older addresses are meant."""


class OpenAiKind(HttpKind):
    name = "openai"
    dialect = OpenAi
    settings = OpenAiSettings
    needs_base_url = True
    needs_key = False

    def address_misfits(self, settings: ProviderSettings, missing: str) -> Iterator[Misfit]:
        """As of any address, but that Azure's may name its version."""
        base_url = settings.base_url or ""
        before, mark, query = base_url.partition("?")
        if mark and not only_api_version(query):
            allowed = "must have no query, except Azure's api-version; keys go into api_key or extra_headers"
            yield Misfit(("base_url",), base_url, allowed)
        yield from web_address(("base_url",), before, missing)
        if (
            self.api_version(settings)
            and is_web_address(before)
            and not self.speak_address(settings).is_azure
        ):
            allowed = "must be left out: only Azure's addresses have one"
            yield Misfit(("api_version",), self.api_version(settings), allowed)

    def speak_address(self, settings: ProviderSettings) -> Address:
        return address_of(settings.base_url or "", settings.model or "", self.api_version(settings))

    def api_version(self, settings: ProviderSettings) -> str | None:
        version = getattr(settings, "api_version", None)
        return version if isinstance(version, str) else None

    async def without_probe(
        self, settings: ProviderSettings, http: HttpClient, status: int
    ) -> Finding | None:
        """Many servers that speak it list no models. A wrong address is looked for a little further."""
        if status not in (404, 405):
            return None
        for base_url in likely_bases(settings.base_url or ""):
            other = self.speak(settings.model_copy(update={"base_url": base_url}))
            with suppress(HttpFailed):
                assert other.probe_url is not None  # they are no addresses of Azure's
                answer = await http.get(other.probe_url, other.headers, DOCTOR_SECONDS / 2, MAX_DOCTOR_BYTES)
                if answer.status == 200 and dig(answer.json(), "data") is not None:
                    return Finding(
                        "problem", "its base_url is incomplete", f"Set its base_url to {base_url}."
                    )
        return None
