"""What may stand as the address of a server with chat completions."""

from __future__ import annotations

import pytest

from daemon.responders.openai_address import address_of, likely_bases

AZURE = "https://shop.openai.azure.com"
NEWER = f"{AZURE}/openai/v1/chat/completions"
OLDER = f"{AZURE}/openai/deployments/gpt/chat/completions?api-version="


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/responses", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/models", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com", "https://api.openai.com/v1/chat/completions"),
        ("https://api.perplexity.ai", "https://api.perplexity.ai/chat/completions"),
        ("http://localhost:11434/v1", "http://localhost:11434/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/chat/completions"),
        (f"{AZURE}/openai/v1", NEWER),
        (f"{AZURE}/openai/v1/", NEWER),
        (f"{AZURE}/openai/v1/chat/completions", NEWER),
        (f"{AZURE}/openai/v1/chat/completions?api-version=preview", NEWER),
        (AZURE, NEWER),
        (f"{AZURE}/openai", NEWER),
        (f"{AZURE}?api-version=2025-01-01-preview", f"{OLDER}2025-01-01-preview"),
        (f"{AZURE}/openai/deployments/gpt", f"{OLDER}2024-10-21"),
        (
            f"{AZURE}/openai/deployments/gpt/chat/completions?api-version=2024-06-01",
            f"{OLDER}2024-06-01",
        ),
        ("https://x.services.ai.azure.com", "https://x.services.ai.azure.com/openai/v1/chat/completions"),
        (
            "https://x.services.ai.azure.com/api/projects/p/openai/v1",
            "https://x.services.ai.azure.com/api/projects/p/openai/v1/chat/completions",
        ),
        (
            "https://x.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
            "https://x.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
        ),
        (
            "https://x.cognitiveservices.azure.com/openai/deployments/gpt",
            "https://x.cognitiveservices.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://apim.example.com/ai/openai/deployments/gpt",
            "https://apim.example.com/ai/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_whatever_was_copied_is_understood(base_url: str, url: str) -> None:
    address = address_of(base_url, "gpt")
    assert address.url == url
    assert address.is_azure == ("azure" in base_url or "deployments" in base_url)
    assert (address.models_url is None) == address.is_azure, "what Azure lists is not what is deployed"


def test_a_version_in_the_settings_means_azures_older_address_with_the_model_as_deployment() -> None:
    assert address_of(AZURE, "gpt", "2025-03-01").url == f"{OLDER}2025-03-01"
    assert address_of(AZURE, "a/b", "2025-03-01").url.startswith(f"{AZURE}/openai/deployments/a%2Fb/")


@pytest.mark.parametrize(
    ("base_url", "likely"),
    [
        ("http://localhost:11434", ("http://localhost:11434/v1", "http://localhost:11434/api/v1")),
        ("https://x.example/llm/chat/completions", ("https://x.example/llm/v1", "https://x.example/v1")),
        ("https://x.example/v1", ()),
    ],
)
def test_where_the_doctor_looks_for_a_version_that_was_left_out(
    base_url: str, likely: tuple[str, ...]
) -> None:
    assert likely_bases(base_url)[: len(likely) or 1] == likely
