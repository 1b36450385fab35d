"""Every kind of AI provider. A new one is a file of its own, and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.fields import with_every_key
from daemon.responders.anthropic import AnthropicKind
from daemon.responders.gemini import GeminiKind
from daemon.responders.kind import ProviderKind, ProviderSettings
from daemon.responders.openai import OpenAiKind
from daemon.responders.rehearsal import Rehearsal

_KINDS: tuple[ProviderKind, ...] = (
    Rehearsal(),
    OpenAiKind(),
    AnthropicKind(),
    GeminiKind(),
)
PROVIDERS = {kind.name: kind for kind in _KINDS}

if TYPE_CHECKING:  # the keys of a kind are known to the kind alone
    AnyProviderSettings = ProviderSettings
else:
    AnyProviderSettings = with_every_key(ProviderSettings, PROVIDERS)
