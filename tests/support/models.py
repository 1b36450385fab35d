"""Every kind of model server and its provider."""

from __future__ import annotations

from collections.abc import Mapping

from actors.messages import Prompt
from daemon.responders.dialect import Dialect, Endpoint
from daemon.responders.http_kind import HttpKind
from daemon.responders.http_provider import HttpProvider, ProviderTerms
from daemon.responders.kinds import PROVIDERS
from daemon.web.client import HttpClient
from tests.support.anthropic_server import FakeAnthropic
from tests.support.gemini_server import FakeGemini
from tests.support.model_server import FakeModel
from tests.support.openai_server import FakeOpenAI

SERVERS: Mapping[str, type[FakeModel]] = {
    "openai": FakeOpenAI,
    "anthropic": FakeAnthropic,
    "gemini": FakeGemini,
}


def kind_of(server: FakeModel) -> str:
    return next(kind for kind, known in SERVERS.items() if type(server) is known)


def dialect_of(kind: str, endpoint: Endpoint) -> Dialect:
    """How a kind of provider speaks to `endpoint`."""
    known = PROVIDERS[kind]
    assert isinstance(known, HttpKind)
    return known.dialect(endpoint)


def provider_at(
    server: FakeModel,
    http: HttpClient,
    terms: ProviderTerms | None = None,
    *,
    name: str = "main",
    api_key: str | None = None,
    max_output_tokens: int = 1_024,
) -> HttpProvider:
    """The provider that calls `server`."""
    kind = kind_of(server)
    key = server.api_key if api_key is None else api_key
    endpoint = Endpoint(server.model, key, f"{server.base_url}/", max_output_tokens)
    return HttpProvider(http, name, dialect_of(kind, endpoint), terms)


def prompt(*messages: str) -> Prompt:
    return Prompt("demo", messages)
