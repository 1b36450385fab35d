"""Anthropic's messages.

What is special here:
- The key goes into `x-api-key`, the version into `anthropic-version`, the system text beside the messages.
- User and assistant speak by turns, the user first; several texts of one side are blocks of one message.
- An error names its `type`, which says more than the status; an account out of money gets a 400, recognised by its
  message, or a 429 with a code of its own.
- A refusal is a 200 with the stop reason `refusal`; what was said before it is no answer.
- There is no schema for the answer: only the instruction asks for its shape.
- The effort is in `output_config`, and has an effect on thoughts where `thinking` lets the model decide about them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from actors.messages import CutReason
from actors.prompt import ModelRequest, alternating
from daemon.responders.dialect import Completion, Dialect, Endpoint, has_thoughts, texts
from daemon.responders.error_words import FailureKind
from daemon.responders.failures import Trouble
from daemon.responders.http_kind import HttpKind
from daemon.responders.lessons import Adaptation
from daemon.web.answer import dig

VERSION = "2023-06-01"

_OUT_OF_MONEY = ("your credit balance is too low", "you have reached your specified")
_CUTS: Mapping[object, CutReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "error",
}
_ENDS_WITH_VERSION = re.compile(r"/v\d{1,3}(?:beta|alpha)?\d{0,3}\Z")


class Anthropic(Dialect):
    default_base_url = "https://api.anthropic.com/v1"
    adaptations: Mapping[str, Adaptation] = {
        "temperature": Adaptation(("temperature",)),
        "output_config": Adaptation(("output_config", "effort")),
        "thinking": Adaptation(("thinking",)),
    }

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        base = self.base_url.removesuffix("/messages")
        # Its own clients are given the address without the version.
        self.base_url = base if _ENDS_WITH_VERSION.search(base) else f"{base}/v1"

    @property
    def url(self) -> str:
        return f"{self.base_url}/messages"

    @property
    def probe_url(self) -> str:
        return f"{self.base_url}/models/{quote(self.endpoint.model, safe='')}"

    @property
    def own_headers(self) -> Mapping[str, str]:
        return {"x-api-key": self.endpoint.api_key, "anthropic-version": VERSION}

    def body(self, request: ModelRequest) -> dict[str, object]:
        system = {"system": request.system} if request.system else {}
        return {
            "model": self.endpoint.model,
            "max_tokens": self.bound(request),
            **system,
            "messages": [
                {"role": said.role, "content": [{"type": "text", "text": text} for text in said.texts]}
                for said in alternating(request.turns)
            ],
            **self._wishes(),
        }

    def _wishes(self) -> dict[str, object]:
        wishes = self.endpoint.wishes
        warmth: dict[str, object] = {} if wishes.temperature is None else {"temperature": wishes.temperature}
        match wishes.reasoning_effort:
            case None:
                return warmth
            case "none":
                return {**warmth, "thinking": {"type": "disabled"}}
            case effort:
                effort = "low" if effort == "minimal" else effort
                return {**warmth, "thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}

    def read(self, payload: object) -> Completion:
        usage = dig(payload, "usage")
        content = dig(payload, "content")
        why = dig(payload, "stop_reason")
        return Completion(
            texts(content),
            dig(payload, "model"),
            dig(usage, "input_tokens"),
            dig(usage, "output_tokens"),
            why == "tool_use",
            refused=why == "refusal",
            cut=_CUTS.get(why, "") if isinstance(why, str) else "",
            thought=has_thoughts(content),
        )

    def verdict(self, trouble: Trouble) -> FailureKind | None:
        if "enforced_spend_limit_reached" in trouble.words:
            return "bad_key"
        return "bad_key" if trouble.message.startswith(_OUT_OF_MONEY) else None


class AnthropicKind(HttpKind):
    name = "anthropic"
    dialect = Anthropic
