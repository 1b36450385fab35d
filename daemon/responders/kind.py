"""What a kind of AI provider is: its settings, how it answers, and what the doctor checks.

A kind is a subclass of `ProviderKind` and one line in `kinds.py`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from daemon.responders.lessons import Lessons
from daemon.responders.provider import Provider
from daemon.schema.fields import (
    Count,
    Headers,
    JsonMembers,
    Misfit,
    Name,
    Seconds,
    SecondsOrZero,
    Secret,
    Section,
    Visible,
    number,
)
from daemon.web.client import HttpClient
from daemon.web.finding import Finding

Temperature = Annotated[float, BeforeValidator(number), Field(ge=0, le=2, strict=True, allow_inf_nan=False)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class ProviderSettings(Section):
    """One entry of `responder.providers`. A kind with keys of its own has a subclass."""

    name: Name
    kind: str
    base_url: Visible | None = None
    api_key: Secret | None = None
    model: Visible | None = None
    timeout_seconds: Seconds = 30.0
    system_prompt: str | None = None
    max_output_tokens: Count = 1_024
    temperature: Temperature | None = None
    reasoning_effort: ReasoningEffort | None = None
    extra_body: JsonMembers = Field(default_factory=dict)
    extra_headers: Headers = Field(default_factory=dict)
    max_in_flight: Count = 2_000
    weight: SecondsOrZero = 1.0
    price_per_million_input_tokens: SecondsOrZero = 0.0
    price_per_million_output_tokens: SecondsOrZero = 0.0

    @property
    def place(self) -> str:
        """Says whether two entries mean the same server, key and model, and nothing else: their calls are one count."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        asked = repr((self.kind, self.base_url, self.model, key))
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        """Of those that differ between providers: some of the others cannot be hashed."""
        return hash((self.name, self.kind, self.base_url, self.model))


class ProviderKind(ABC):
    """One kind of provider. It holds no state; the objects that it makes do."""

    name: str
    """The value of a provider's `kind`."""
    settings: type[ProviderSettings] = ProviderSettings
    costs_money = True
    """Whether its answers have a price, which a budget needs to know."""

    traced_as = ""
    """OpenTelemetry's name for it, where that is another one."""

    def misfits(self, settings: ProviderSettings) -> Iterator[Misfit]:
        """What is wrong with the settings, each by its key within the entry."""
        yield from ()

    @abstractmethod
    def provider(
        self, settings: ProviderSettings, http: HttpClient, max_answer_chars: int, lessons: Lessons
    ) -> Provider:
        """Answers conversations; `http` keeps connections, `lessons` what models turn out not to want."""

    @abstractmethod
    async def check(self, settings: ProviderSettings, http: HttpClient) -> Finding:
        """What `majlis doctor` reports about it. Bounded; a provider's failure raises nothing."""
