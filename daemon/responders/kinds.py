"""The kinds of provider that are asked over HTTP.

A new one is a file of its own and a line here; its name is allowed in `daemon/config/sections.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from daemon.config import Provider
from daemon.responders.anthropic import Anthropic
from daemon.responders.gemini import Gemini
from daemon.responders.http_provider import Dialect, Endpoint
from daemon.responders.openai import OpenAi

KINDS: Mapping[str, type[Dialect]] = {"openai": OpenAi, "anthropic": Anthropic, "gemini": Gemini}


def dialect(provider: Provider) -> Dialect:
    """How `provider` is spoken to; not for `rehearsal`, which is no server."""
    assert provider.model is not None  # seen to when the settings were read
    endpoint = Endpoint(
        provider.model,
        provider.api_key.get_secret_value() if provider.api_key else "",
        provider.base_url,
        provider.max_output_tokens,
    )
    return KINDS[provider.kind](endpoint)
