"""Where an OpenAI-like server is asked, from whatever its owner copied as `base_url`. Pure.

- The address up to the version is meant (`https://api.openai.com/v1`). The whole one of the chat completions, or of the
  models, is as good.
- Azure has two forms. The newer one, `https://NAME.openai.azure.com/openai/v1`, takes the deployment's name as the
  model. The older one has the deployment in the address and a version behind it:
  `…/openai/deployments/DEPLOYMENT/chat/completions?api-version=…`. The resource alone (`https://NAME.openai.azure.com`)
  means the newer form, or the older one where `api_version` is set. Azure wants its key in `api-key`, and what its list
  of models holds is not what is deployed.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

DATED_VERSION = "2024-10-21"
"""Of Azure's older addresses, where neither the address nor the settings name one: the last that is generally
available."""
_AZURE_HOSTS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_DEPLOYMENTS = "/openai/deployments/"
_VERSION = re.compile(r"/v\d")
_ENDS = ("/chat/completions", "/completions", "/responses", "/models", "/embeddings")


class Address(NamedTuple):
    url: str
    models_url: str | None
    """The list of models; None: there is none that says what can be asked."""
    is_azure: bool = False
    is_own: bool = False
    """It is OpenAI's or Azure's own."""


def address_of(base_url: str, model: str, api_version: str | None = None) -> Address:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    path = parts.path.rstrip("/")
    version = next(iter(parse_qs(parts.query).get("api-version", [])), None) or api_version
    root = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    is_azure = host.endswith(_AZURE_HOSTS)
    if _DEPLOYMENTS in f"{path}/":
        before, _, after = path.partition(_DEPLOYMENTS)
        deployment = after.partition("/")[0] or quote(model, safe="")
        return _dated(f"{root}{before}{_DEPLOYMENTS}{deployment}", version)
    if is_azure and path in ("/models", "/models/chat/completions"):
        return _dated(f"{root}/models", version)._replace(is_own=False)
    path = _without_end(path)
    if is_azure:
        if path in ("", "/openai") and version is not None:
            return _dated(f"{root}{_DEPLOYMENTS}{quote(model, safe='')}", version)
        before = path.partition("/openai")[0] if "/openai" in path else ""
        return Address(f"{root}{before}/openai/v1/chat/completions", None, is_azure=True, is_own=True)
    is_own = host == "api.openai.com" or host.endswith(".api.openai.com")
    base = root + (path or ("/v1" if is_own else ""))
    return Address(f"{base}/chat/completions", f"{base}/models", is_own=is_own)


def _dated(base: str, version: str | None) -> Address:
    query = urlencode({"api-version": version or DATED_VERSION})
    return Address(f"{base}/chat/completions?{query}", None, is_azure=True, is_own=True)


def _without_end(path: str) -> str:
    end = next((end for end in _ENDS if path.endswith(end)), "")
    return path.removesuffix(end).rstrip("/")


def only_api_version(query: str) -> bool:
    return set(parse_qs(query, keep_blank_values=True)) == {"api-version"}


def likely_bases(base_url: str) -> tuple[str, ...]:
    """Where such servers usually are on that host, if the version was left out."""
    parts = urlsplit(base_url)
    path = _without_end(parts.path.rstrip("/"))
    if _VERSION.search(path):
        return ()
    root = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    return tuple(dict.fromkeys(f"{root}{before}/v1" for before in (path, "", "/api", "/openai")))
