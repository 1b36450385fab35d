"""Every kind of AI provider. A new one is a file of its own, and a line here."""

from __future__ import annotations

from daemon.responders.anthropic import AnthropicKind
from daemon.responders.gemini import GeminiKind
from daemon.responders.kind import ProviderKind
from daemon.responders.openai import OpenAiKind
from daemon.responders.rehearsal import Rehearsal

_KINDS: tuple[ProviderKind, ...] = (
    Rehearsal(),
    OpenAiKind(),
    AnthropicKind(),
    GeminiKind(),
)
PROVIDERS = {kind.name: kind for kind in _KINDS}
