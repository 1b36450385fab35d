"""A kind of provider that is asked over HTTP: its dialect, and what its settings need."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.responders.http_provider import Dialect, Endpoint, HttpProvider, ProviderTerms
from daemon.responders.kind import ProviderKind, ProviderSettings
from daemon.schema.fields import Misfit, web_address
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.finding import DOCTOR_SECONDS, MAX_DOCTOR_BYTES, Finding


class HttpKind(ProviderKind):
    """A provider with this `dialect`; at its own address and with a key, unless a kind says otherwise."""

    dialect: type[Dialect]
    needs_base_url = False
    needs_key = True

    def misfits(self, settings: ProviderSettings) -> Iterator[Misfit]:
        missing = f"must be set for kind {self.name}"
        if self.needs_base_url or settings.base_url is not None:
            yield from web_address(("base_url",), settings.base_url, missing)
        if not settings.model:
            yield Misfit(("model",), settings.model, missing)
        if self.needs_key and settings.api_key is None:
            yield Misfit(("api_key",), None, missing)

    def provider(self, settings: ProviderSettings, http: HttpClient, max_answer_chars: int) -> HttpProvider:
        terms = ProviderTerms(
            timeout_seconds=settings.timeout_seconds,
            system_prompt=settings.system_prompt,
            max_answer_chars=max_answer_chars,
            price_per_million_input_tokens=settings.price_per_million_input_tokens,
            price_per_million_output_tokens=settings.price_per_million_output_tokens,
        )
        return HttpProvider(http, settings.name, self.speak(settings), terms)

    def speak(self, settings: ProviderSettings) -> Dialect:
        """The dialect, towards the server and model of these settings."""
        assert settings.model is not None  # `misfits` refused settings without it
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        return self.dialect(Endpoint(settings.model, key, settings.base_url, settings.max_output_tokens))

    async def check(self, settings: ProviderSettings, http: HttpClient) -> Finding:
        spoken = self.speak(settings)
        try:
            answer = await http.get(spoken.probe_url, spoken.headers, DOCTOR_SECONDS, MAX_DOCTOR_BYTES)
        except HttpFailed as failure:
            advice = "Check its base_url, and that the server can be reached from here."
            return Finding("problem", str(failure), advice)
        if spoken.verdict(answer.status, answer.json()) == "bad_key" or answer.status in (401, 402, 403):
            advice = "Set its api_key, and check that its account is in order."
            return Finding("problem", "the key is refused", advice)
        if answer.status == 404:
            return self.not_found(settings)
        if answer.status != 200:
            advice = "Wait, or add another provider to fall back on."
            return Finding("warning", f"status {answer.status}", advice)
        return Finding("ok", f"reachable, model {settings.model}")

    def not_found(self, settings: ProviderSettings) -> Finding:
        """What a 404 for the probe means."""
        advice = "Correct its model, or its base_url: it ends with the API's version."
        return Finding("problem", f"there is no model {settings.model}", advice)
