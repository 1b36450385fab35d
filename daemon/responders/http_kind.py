"""A kind of provider that is asked over HTTP: its dialect, and what its settings need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from actors.errors import TurnFailed, TurnRefused
from actors.messages import Prompt
from daemon.responders.dialect import Dialect, Endpoint, Wishes
from daemon.responders.failures import kind_of, trouble_of
from daemon.responders.kind import ProviderKind, ProviderSettings
from daemon.responders.lessons import Lessons
from daemon.schema.fields import Misfit, unsendable, web_address
from daemon.web.answer import dig
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.finding import DOCTOR_SECONDS, MAX_DOCTOR_BYTES, Finding

if TYPE_CHECKING:
    from daemon.responders.http_provider import HttpProvider

PROBE_TOKENS = 16
"""The longest answer to the doctor's question, which costs a fraction of a cent."""
_WRITTEN_BY_MAJLIS = frozenset({"messages", "contents", "stream"})
_SHOWN_NAMES = 3
_MAX_LISTED = 5_000


_ANSWERED = ("", "cut_short", "thoughts_only", "tool_call_only", "refused_by_policy")
"""It answered, though not with a word."""
_State = Literal["warning", "problem"]
_CORRECT_MODEL = "Correct its model, or its base_url: it ends with the API's version."
_REACH = "Check its base_url, and that the server can be reached from here."
_BAD_KEY: tuple[_State, str, str] = (
    "problem",
    "the key is refused",
    "Set its api_key, and check that its account is in order.",
)
_LATER: tuple[_State, str, str] = (
    "warning",
    "no answer to a question ({failure})",
    "Wait, or add another provider to fall back on.",
)
_NOT_ANSWERED: Mapping[str, tuple[_State, str, str]] = {
    "bad_key": _BAD_KEY,
    "not_found": ("problem", "there is no model {model}, or no such address", _CORRECT_MODEL),
    "bad_request": (
        "problem",
        "it refuses the request as these settings make it",
        "Check temperature, reasoning_effort, max_output_tokens and extra_body.",
    ),
    "too_long": (
        "problem",
        "even one short question is too long for it",
        "Give the model more room for its context at its server, and check extra_body.",
    ),
    "garbage": (
        "problem",
        "what it answers is no answer of this API, or an empty one",
        "Check its base_url: something else may stand there, e.g. a login page; else look at the model's server.",
    ),
    "unexpected_status": (
        "problem",
        "it answers with a status that means nothing here, e.g. a redirect",
        "Check its base_url: it must be the address itself, ending with the API's version.",
    ),
    "blocked": (
        "problem",
        "a web page refuses the question",
        "A firewall in front of it refuses this machine or the question: ask who runs it.",
    ),
    "unreachable": ("problem", "no answer to a question ({failure})", _REACH),
    "timed_out": ("problem", "no answer to a question ({failure})", _REACH),
}


class HttpKind(ProviderKind):
    """A provider with this `dialect`; at its own address and with a key, unless a kind says otherwise."""

    dialect: type[Dialect]
    needs_base_url = False
    needs_key = True

    def misfits(self, settings: ProviderSettings) -> Iterator[Misfit]:
        missing = f"must be set for kind {self.name}"
        if self.needs_base_url or settings.base_url is not None:
            yield from self.address_misfits(settings, missing)
        if not settings.model:
            yield Misfit(("model",), settings.model, missing)
        if self.needs_key and settings.api_key is None:
            yield Misfit(("api_key",), None, missing)
        for key in sorted(_WRITTEN_BY_MAJLIS & settings.extra_body.keys()):
            yield Misfit(("extra_body", key), settings.extra_body[key], "must be left out: Majlis writes it")
        yield from unsendable(("extra_headers",), settings.extra_headers)

    def address_misfits(self, settings: ProviderSettings, missing: str) -> Iterator[Misfit]:
        yield from web_address(("base_url",), settings.base_url, missing)

    def provider(
        self, settings: ProviderSettings, http: HttpClient, max_answer_chars: int, lessons: Lessons
    ) -> HttpProvider:
        from daemon.responders.http_provider import HttpProvider, ProviderTerms  # not loaded by every command

        terms = ProviderTerms(
            timeout_seconds=settings.timeout_seconds,
            system_prompt=settings.system_prompt,
            max_answer_chars=max_answer_chars,
            price_per_million_input_tokens=settings.price_per_million_input_tokens,
            price_per_million_output_tokens=settings.price_per_million_output_tokens,
        )
        return HttpProvider(http, settings.name, self.speak(settings), terms, lessons)

    def speak(self, settings: ProviderSettings, max_output_tokens: int | None = None) -> Dialect:
        """The dialect, towards the server and model of these settings."""
        assert settings.model is not None  # `misfits` refused settings without it
        return self.dialect(
            Endpoint(
                settings.model,
                settings.api_key.get_secret_value() if settings.api_key else "",
                settings.base_url,
                max_output_tokens or settings.max_output_tokens,
                Wishes(settings.temperature, settings.reasoning_effort, settings.extra_body),
                {name.lower(): value.get_secret_value() for name, value in settings.extra_headers.items()},
                self.api_version(settings),
            )
        )

    def api_version(self, settings: ProviderSettings) -> str | None:
        """Where the kind's addresses have one."""
        return None

    async def check(self, settings: ProviderSettings, http: HttpClient) -> Finding:
        """Whether the model exists, as far as the server lists it, and whether it answers one tiny question."""
        return await self.probe(settings, http) or await self.ask(settings, http)

    async def probe(self, settings: ProviderSettings, http: HttpClient) -> Finding | None:
        """What is wrong, by a request that costs nothing; None: nothing that it shows."""
        spoken = self.speak(settings)
        if spoken.probe_url is None:
            return None
        try:
            answer = await http.get(spoken.probe_url, spoken.headers, DOCTOR_SECONDS, MAX_DOCTOR_BYTES)
        except HttpFailed as failure:
            return None if failure.reason == "too_large" else Finding("problem", str(failure), _REACH)
        if answer.status == 200:
            return _missing(settings.model or "", answer.json())
        trouble = trouble_of(answer)
        if (spoken.verdict(trouble) or kind_of(trouble)) == "bad_key":
            return Finding(*_BAD_KEY)
        return await self.without_probe(settings, http, answer.status)

    async def without_probe(
        self, settings: ProviderSettings, http: HttpClient, status: int
    ) -> Finding | None:
        """What it means that the server does not say what models there are; None: its answer to a question will."""
        if status == 404:
            return Finding("problem", f"there is no model {settings.model}", _CORRECT_MODEL)
        return Finding("warning", f"status {status}", _LATER[2])

    async def ask(self, settings: ProviderSettings, http: HttpClient) -> Finding:
        """Ask one tiny question: the only proof that the model answers, and takes what the settings send."""
        from daemon.responders.http_provider import HttpProvider, ProviderTerms  # not loaded by every command

        lessons = Lessons()
        spoken = self.speak(settings, PROBE_TOKENS)
        terms = ProviderTerms(timeout_seconds=DOCTOR_SECONDS, system_prompt="Answer with one word.")
        provider = HttpProvider(http, settings.name, spoken, terms, lessons)
        failure = ""
        try:
            await provider.answer(Prompt("", ("Say yes.",), may_be_silent=True))
        except (TurnFailed, TurnRefused) as failed:
            failure = failed.reason
        learned = lessons.of(spoken.url, spoken.endpoint.model)
        told = "".join(f"; it does not want {self.adaptation(lesson, spoken)}" for lesson in learned)
        if failure in _ANSWERED:
            return Finding("ok", f"reachable, model {settings.model} answers{told}")
        state, detail, advice = _NOT_ANSWERED.get(failure, _LATER)
        return Finding(state, detail.format(model=settings.model, failure=failure), advice)

    def adaptation(self, lesson: str, spoken: Dialect) -> str:
        """What is done without, in words."""
        adaptation = spoken.adaptations.get(lesson)
        if adaptation is None:
            return "a system message: its text goes before the first message instead"
        name = lesson.rpartition(".")[2]
        return (
            f"{name}: {adaptation.instead} is sent instead"
            if adaptation.instead
            else f"{name}: it is left out"
        )


def _missing(model: str, payload: object) -> Finding | None:
    """Whether a list of models lacks it; a list that is empty, or is none, proves nothing."""
    listed = dig(payload, "data")
    entries = listed if isinstance(listed, list) else payload if isinstance(payload, list) else []
    names = [name for entry in entries[:_MAX_LISTED] if isinstance(name := dig(entry, "id"), str)]
    known = {name.removeprefix("models/") for name in names}
    wanted = model.removeprefix("models/")
    if not names or wanted in known or any(name.partition(":")[0] == wanted for name in known):
        return None
    if wanted.partition(":")[0] in known:  # a variant of one, e.g. OpenRouter's `:online`
        return None
    near = get_close_matches(wanted[:200], sorted(known), _SHOWN_NAMES, 0.5) or sorted(known)[:_SHOWN_NAMES]
    advice = f"Correct its model; the server has {', '.join(near)}" + (
        ", …" if len(known) > len(near) else ""
    )
    return Finding("problem", f"there is no model {model}", f"{advice}.")
