"""Any server that speaks OpenAI's chat completions.

What an answer means, by what the caller should do (`actors/errors.py`):

    429                              TurnFailed rate_limited   Retry-After honoured
    500 502 503 529                  TurnFailed overloaded     Retry-After honoured
    408 504, deadline                TurnFailed timed_out
    no connection, lost connection   TurnFailed unreachable
    401 402 403                      TurnFailed bad_key        the next provider may still answer
    unreadable, empty                TurnFailed garbage
    body over the cap                TurnFailed too_large
    400 404 413 422                  TurnRefused bad_request
    content filter, refusal          TurnRefused refused_by_policy
"""

from __future__ import annotations

from typing import Never

from actors.errors import TurnFailed, TurnRefused
from actors.messages import Answer, Prompt
from actors.plain_text import plain_text
from daemon.http_answer import HttpAnswer, dig
from daemon.http_client import HttpClient, HttpFailed

DEFAULT_SYSTEM_PROMPT = (
    "You answer a business's customers on WhatsApp. Reply in the customer's language, briefly and plainly. "
    "The customer may have written several short messages in a row: answer them together, once."
)
MAX_BODY_BYTES = 2 * 1024 * 1024

_FAILURES = {
    401: "bad_key",
    402: "bad_key",
    403: "bad_key",
    408: "timed_out",
    429: "rate_limited",
    500: "overloaded",
    502: "overloaded",
    503: "overloaded",
    504: "timed_out",
    529: "overloaded",
}
_REFUSALS = frozenset({400, 404, 413, 422})


class OpenAiResponder:
    """One chat-completions endpoint with its key and model.

    Args:
      base_url: up to the version, e.g. `https://api.openai.com/v1`; a trailing slash does no harm.
      system_prompt: said before the history; an empty one is left out.
      timeout_seconds: for the whole call, from the first byte sent to the last one read.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        name: str,
        base_url: str,
        api_key: str,
        model: str,
        timeout_seconds: float = 30.0,
        system_prompt: str = DEFAULT_SYSTEM_PROMPT,
    ) -> None:
        self._http = http
        self._name = name
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._system_prompt = system_prompt

    async def answer(self, prompt: Prompt) -> Answer:
        """Raises: TurnFailed, TurnRefused."""
        question = {"model": self._model, "messages": self._messages(prompt)}
        try:
            answer = await self._http.post_json(
                self._url, question, self._headers, self._timeout_seconds, MAX_BODY_BYTES
            )
        except HttpFailed as failure:
            raise TurnFailed(_reason(failure), self._name) from None
        if answer.status != 200:
            self._refuse(answer)
        return read_completion(answer.json(), self._name, self._model)

    def _messages(self, prompt: Prompt) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self._system_prompt}] if self._system_prompt else []
        history = [{"role": entry.role, "content": entry.text} for entry in prompt.history]
        return [*system, *history, {"role": "user", "content": prompt.text}]

    def _refuse(self, answer: HttpAnswer) -> Never:
        detail = f"{self._name} answered {answer.status}"
        if answer.status in _REFUSALS:
            filtered = dig(answer.json(), "error", "code") == "content_filter"
            raise TurnRefused("refused_by_policy" if filtered else "bad_request", detail)
        reason = _FAILURES.get(answer.status, "unexpected_status")
        raise TurnFailed(reason, detail, answer.retry_after_seconds)


def read_completion(payload: object, provider: str, model: str) -> Answer:
    """The answer in a completion; `model` is the one asked, for servers that do not tell which one answered.

    Raises:
      TurnFailed: `garbage`, there is no text in it.
      TurnRefused: `refused_by_policy`, by the provider's filter or in the model's own words.
    """
    choice = dig(payload, "choices", 0)
    if dig(choice, "finish_reason") == "content_filter" or dig(choice, "message", "refusal"):
        raise TurnRefused("refused_by_policy", provider)
    text = plain_text(_content(dig(choice, "message", "content"))).strip()
    if not text:
        raise TurnFailed("garbage", provider)
    told = dig(payload, "model")
    return Answer(
        text=text,
        provider=provider,
        model=(plain_text(told) if isinstance(told, str) else "") or model,
        input_tokens=_count(dig(payload, "usage", "prompt_tokens")),
        output_tokens=_count(dig(payload, "usage", "completion_tokens")),
    )


def _reason(failure: HttpFailed) -> str:
    match failure.reason:
        case "timed_out" | "too_large":
            return failure.reason
        case "bad_encoding":
            return "garbage"
        case _:
            return "unreachable"


def _content(content: object) -> str:
    """A plain string, or the list of typed parts that some servers give."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (dig(part, "text") for part in content)
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _count(value: object) -> int:
    """A token count that fits the ledger's integer; 0 when it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value < 2**31 else 0
