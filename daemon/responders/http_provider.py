"""Asking a model over HTTP: everything that providers have in common. Where they differ is in a `Dialect`.

What an answer means, by what the caller should do (`actors/errors.py`). The body says more than the status, and is read
first: see `failures.py`.

    429                                  TurnFailed rate_limited   Retry-After honoured
    503 529, "overloaded"                TurnFailed overloaded     Retry-After honoured
    500 502 520 …                        TurnFailed server_error   Retry-After honoured
    408 504 522 524, deadline            TurnFailed timed_out
    no connection, lost connection       TurnFailed unreachable
    401 402, 403 about the key           TurnFailed bad_key        the next provider may still answer
    403 406 451 as a page, a firewall    TurnFailed blocked        this prompt or this machine: the key may be right
    404 405 410, an unknown model        TurnFailed not_found      address or model are wrong
    400 422 about parameters             TurnFailed bad_request    another provider may take it
    413, a request over the model's room TurnFailed too_long       another provider may, or a shorter history
    unreadable, empty                    TurnFailed garbage
    nothing but thoughts                 TurnFailed thoughts_only  asked with more room before
    cut before a whole sentence          TurnFailed cut_short      by trouble at the provider
    a tool was called, nothing said      TurnFailed tool_call_only
    silence was chosen                   an answer without text, where the prompt allows it; else garbage
    body over the cap                    TurnFailed too_large
    an error inside a 200                what it says, by the same rules
    content filter, refusal              TurnRefused refused_by_policy   a verdict on this one prompt

What a failed answer cost goes with the failure (`spent`).

An answer that was cut is asked for once more where the prompt wants it (`retry_cut`): for its bound of tokens, with
more room, and as long as there is time for it. Otherwise, and if it is cut again, what goes out ends with its last
whole sentence; `Answer.cut` says why.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import trio

from actors.errors import TurnFailed, TurnRefused
from actors.messages import Answer, Asked, CutReason, Prompt, Spent
from actors.prompt import ModelRequest, model_request
from actors.text import plain_text
from daemon.responders.batched import read_together, shared_model_request
from daemon.responders.dialect import Completion, Dialect, count
from daemon.responders.extraction import Extracted, extract
from daemon.responders.failures import Trouble, is_block_page, is_policy, kind_of, trouble_inside, trouble_of
from daemon.responders.formatting import for_whatsapp
from daemon.responders.lessons import (
    MAX_LESSONS_PER_CALL,
    SYSTEM_ROLE,
    Lessons,
    adapted,
    lesson_of,
    merged,
    without_system_role,
)
from daemon.responders.provider import GIVEN_UP, Together
from daemon.responders.sentences import up_to_last_word, whole_sentences
from daemon.web.answer import HttpAnswer, readable_json
from daemon.web.client import HttpClient, HttpFailed

MAX_BODY_BYTES = 2 * 1024 * 1024
BYTES_PER_TOKEN = 4
TOKENS_PER_SECOND = 50
"""For a guess: of text in UTF-8, which is about right for scripts of two bytes a letter too; and of an answer."""
_SPARE_SECONDS = 0.25
"""Before the deadline of who asks, a second try ends."""
_NO_ROOM_LEFT = "max_tokens or model output limit was reached"
"""How OpenAI says, in a 400, that a model used up its bound before it said anything."""


class ProviderTerms(msgspec.Struct, frozen=True):
    """How one provider is used."""

    timeout_seconds: float = 30.0
    """For a whole call, from the first byte sent to the last byte read."""
    system_prompt: str | None = None
    """The system prompt for instances without their own; None: the default; empty: none."""
    max_answer_chars: int = 12_000
    price_per_million_input_tokens: float = 0.0
    price_per_million_output_tokens: float = 0.0


class _Said(msgspec.Struct, frozen=True):
    """An answer, and what it cost with all that was asked before it."""

    completion: Completion
    spent: Spent
    trouble: Trouble | None = None
    """What broke it off."""


class HttpProvider:
    """One provider: a dialect, and the terms it is used on.

    Args:
      lessons: what models were found not to want; the same object for all providers of a daemon.
    """

    def __init__(
        self,
        http: HttpClient,
        name: str,
        dialect: Dialect,
        terms: ProviderTerms | None = None,
        lessons: Lessons | None = None,
    ) -> None:
        self.name = name
        self._http = http
        self._dialect = dialect
        self._terms = terms or ProviderTerms()
        self._lessons = lessons or Lessons()

    async def answer(self, prompt: Prompt) -> Answer:
        """Raises: TurnFailed, TurnRefused."""
        began = trio.current_time()
        request = model_request(prompt, self._terms.system_prompt)
        said = await self._complete(request, self._terms.timeout_seconds)
        if prompt.retry_cut and self._is_cut_short(said.completion):
            said = await self._with_more_room(request, said, began)
        return self._answer_to(prompt, said)

    def given_up(self, prompt: Prompt, started_at: float) -> Asked:
        """All of the question, and the answer as far as it has been written by then: providers charge for both."""
        request = model_request(prompt, self._terms.system_prompt)
        texts = (request.system, *(turn.text for turn in request.turns))
        size = sum(len(text.encode("utf-8", "replace")) for text in texts)
        seconds = trio.current_time() - started_at
        written = min(round(seconds * TOKENS_PER_SECOND), self._dialect.bound(request))
        spent = self._price(size // BYTES_PER_TOKEN, written)
        return Asked(self.name, started_at, seconds, GIVEN_UP, spent)

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        """Raises: TurnFailed, TurnRefused."""
        request = shared_model_request(prompts, self._terms.system_prompt)
        said = await self._complete(request, self._terms.timeout_seconds)
        if said.completion.refused:
            raise TurnRefused("refused_by_policy", self.name, said.spent)
        believed = read_together(said.completion.text, prompts)
        extracted = {key: extract(text, self._terms.max_answer_chars) for key, text in believed.items()}
        answers = {
            key: self._answer(each, said.completion, prompts[key])
            for key, each in extracted.items()
            if each.text or (each.is_silence and prompts[key].may_be_silent)
        }
        return Together(answers, said.spent.input_tokens, said.spent.output_tokens, said.spent.cost_micros)

    def _is_cut_short(self, completion: Completion) -> bool:
        """Whether the bound of tokens ended it. An answer that is one whole object was only followed by blanks."""
        text = completion.text.strip().removeprefix("```json").strip("`")
        is_whole = text.startswith("{") and isinstance(readable_json(text.encode("utf-8", "replace")), dict)
        return completion.cut == "length" and not completion.refused and not is_whole

    async def _with_more_room(self, request: ModelRequest, first: _Said, began: float) -> _Said:
        """The answer with twice the room, or four times after nothing but thoughts; the first where that fails."""
        wider = msgspec.structs.replace(request, room=2 if self._says_something(first) else 4)
        now = trio.current_time()
        took = now - began
        # Who asks may have less time; if it ended in the middle, the first answer would be lost, and its count.
        left = min(
            self._terms.timeout_seconds - took, trio.current_effective_deadline() - now - _SPARE_SECONDS
        )
        if self._dialect.bound(wider) <= self._dialect.bound(request) or left < took:
            return first
        try:
            again = await self._complete(wider, left)
        except (TurnFailed, TurnRefused) as failure:
            return msgspec.structs.replace(first, spent=first.spent + failure.spent)
        spent = first.spent + again.spent
        return msgspec.structs.replace(again if self._says_something(again) else first, spent=spent)

    def _says_something(self, said: _Said) -> bool:
        """Whether there is anything for the customer in it, e.g. more than thoughts."""
        return not said.completion.refused and bool(extract(said.completion.text).text)

    def _answer_to(self, prompt: Prompt, said: _Said) -> Answer:
        completion = said.completion
        if completion.refused:
            raise TurnRefused("refused_by_policy", self.name, said.spent)
        cut: CutReason = completion.cut
        if cut == "length" and not self._is_cut_short(completion):
            cut = ""
        extracted = extract(completion.text, self._terms.max_answer_chars)
        if cut:
            text = whole_sentences(extracted.text)
            if not text and extracted.text and cut == "length":
                text = up_to_last_word(extracted.text)
            extracted = msgspec.structs.replace(extracted, text=text, is_silence=False)
        if not extracted.text and not (extracted.is_silence and prompt.may_be_silent):
            raise self._nothing(said, cut, extracted.only_thoughts)
        return msgspec.structs.replace(
            self._answer(extracted, completion, prompt),
            cut=cut,
            input_tokens=said.spent.input_tokens,
            output_tokens=said.spent.output_tokens,
            cost_micros=said.spent.cost_micros,
        )

    def _nothing(self, said: _Said, cut: CutReason, only_thoughts: bool) -> TurnFailed | TurnRefused:
        """Why an answer that has nothing for the customer has nothing."""
        if cut == "filter":
            return TurnRefused("refused_by_policy", self.name, said.spent)
        if said.trouble is not None:
            return self._failure(said.trouble, "an error in the answer", said.spent)
        completion, reason, detail = said.completion, "cut_short" if cut else "garbage", self.name
        if not completion.text.strip() and completion.calls_tool:
            reason, detail = "tool_call_only", f"{self.name}: the model called a tool and said nothing"
        elif only_thoughts or (not completion.text.strip() and completion.thought):
            reason, detail = "thoughts_only", f"{self.name}: nothing but thoughts; see max_output_tokens"
        return TurnFailed(reason, detail, spent=said.spent)

    async def _complete(self, request: ModelRequest, seconds: float) -> _Said:
        """What the model says, asked as it wants to be asked."""
        answer = await self._ask(request, seconds)
        if answer.status != 200 or is_block_page(answer):
            return self._without_room(answer)
        payload = answer.json()
        if payload is None:
            payload = self._dialect.joined(answer.body)
        completion = self._dialect.read(payload)
        spent = self._spent(completion)
        trouble = trouble_inside(payload)
        if trouble is None:
            return _Said(completion, spent)
        if not completion.text.strip():
            wish = answer.retry_after_seconds or self._dialect.retry_after_seconds(payload)
            raise self._failure(trouble, "an error in a 200", spent, wish)
        return _Said(msgspec.structs.replace(completion, cut=completion.cut or "error"), spent, trouble)

    async def _ask(self, request: ModelRequest, seconds: float) -> HttpAnswer:
        """The answer of the provider, whatever it is; what it refuses and can do without is left out."""
        dialect, model = self._dialect, self._dialect.endpoint.model
        known = self._lessons.of(dialect.url, model)
        lessons = known
        ends_at = trio.current_time() + seconds
        for _ in range(MAX_LESSONS_PER_CALL):
            answer = await self._post(request, lessons, ends_at - trio.current_time())
            lesson = self._lesson(answer, request, lessons)
            if lesson is None or lesson in lessons:
                break
            lessons = (*lessons, lesson)
        if lessons != known and answer.status == 200:
            self._lessons.learn(self.name, dialect.url, model, lessons)
        return answer

    async def _post(self, request: ModelRequest, lessons: tuple[str, ...], seconds: float) -> HttpAnswer:
        try:
            return await self._http.post_json(
                self._dialect.url,
                merged(self._body(request, lessons), self._dialect.endpoint.wishes.extra_body),
                self._dialect.headers,
                max(seconds, 0.0),
                MAX_BODY_BYTES,
            )
        except HttpFailed as failure:
            raise TurnFailed(_reason(failure), self.name) from None

    def _body(self, request: ModelRequest, lessons: tuple[str, ...]) -> dict[str, object]:
        asked = without_system_role(request) if SYSTEM_ROLE in lessons else request
        return adapted(self._dialect.body(asked), self._dialect.adaptations, lessons)

    def _lesson(self, answer: HttpAnswer, request: ModelRequest, lessons: tuple[str, ...]) -> str | None:
        """What `answer` teaches, if it is a refusal that does."""
        trouble = trouble_inside(answer.json()) if answer.status == 200 else trouble_of(answer)
        if trouble is None or trouble.status in (401, 402, 403, 429) or is_policy(trouble):
            return None
        has_system = bool(request.system) and SYSTEM_ROLE not in lessons
        return lesson_of(trouble, self._body(request, lessons), self._dialect.adaptations, has_system)

    def _without_room(self, answer: HttpAnswer) -> _Said:
        """The one error that stands for an empty answer, as such. Raises for all others."""
        trouble = trouble_of(answer)
        if _NO_ROOM_LEFT in trouble.message or "max_tokens_exceeded" in trouble.words:
            return _Said(Completion("", cut="length", thought=True), Spent())
        wish = answer.retry_after_seconds
        if wish is None:
            wish = self._dialect.retry_after_seconds(answer.json())
        raise self._failure(trouble, str(answer.status), Spent(), wish)

    def _failure(
        self, trouble: Trouble, how: str, spent: Spent, wish: float | None = None
    ) -> TurnFailed | TurnRefused:
        """What to raise for an error."""
        kind = self._dialect.verdict(trouble) or kind_of(trouble)
        detail = f"{self.name} answered {how}"
        if kind == "refused_by_policy":
            return TurnRefused(kind, detail, spent)
        return TurnFailed(kind, detail, wish, spent)

    def _answer(self, extracted: Extracted, completion: Completion, prompt: Prompt) -> Answer:
        served = plain_text(completion.model) if isinstance(completion.model, str) else ""
        return Answer(
            text=for_whatsapp(extracted.text) if prompt.formatting == "whatsapp" else extracted.text,
            provider=self.name,
            model=served or self._dialect.endpoint.model,
            needs_data_collection=extracted.needs_data_collection,
            requested_fields=extracted.requested_fields,
            confidence=extracted.confidence,
            is_silence=extracted.is_silence,
        )

    def _spent(self, completion: Completion) -> Spent:
        return self._price(count(completion.input_tokens), count(completion.output_tokens))

    def _price(self, tokens_in: int, tokens_out: int) -> Spent:
        """Per million tokens, so one token costs as many millionths."""
        terms = self._terms
        cost = tokens_in * terms.price_per_million_input_tokens
        cost += tokens_out * terms.price_per_million_output_tokens
        return Spent(tokens_in, tokens_out, round(cost))


def _reason(failure: HttpFailed) -> str:
    match failure.reason:
        case "timed_out" | "too_large":
            return failure.reason
        case "bad_encoding":
            return "garbage"
        case _:
            return "unreachable"
