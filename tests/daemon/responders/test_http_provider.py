"""Every provider against a server that behaves, and misbehaves, like the real one: the same few kinds of failure."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest
import trio

from actors.errors import TurnFailed, TurnRefused
from actors.messages import HistoryEntry, Passage, Prompt, Spent
from actors.prompt import EARLIER, SILENCE_IS_AN_ANSWER, SITUATION, model_request
from daemon.responders.http_provider import ProviderTerms
from daemon.web.client import HttpClient
from tests.support.model_server import FakeModel, Fault
from tests.support.models import SERVERS, kind_of, prompt, provider_at
from tests.support.openai_server import FakeOpenAI
from tests.support.patience import PATIENCE_SECONDS

SHORT = ProviderTerms(timeout_seconds=2)
"""Within it a connection must be made, also on a busy machine; one that is not is `unreachable`."""
PROMPT = prompt("hello", "are you open?")


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[FakeModel]:
    with SERVERS[request.param]().running() as fake:
        yield fake


async def test_everything_in_the_prompt_reaches_the_model(server: FakeModel, http: HttpClient) -> None:
    """I4: the system text, the history, what holds now, then the batch with what it refers to: in order."""
    history = (HistoryEntry("user", "hi"), HistoryEntry("assistant", "Hello!"))
    knowledge = (Passage("hours.md", "open daily", 0.9),)
    messages = ('[answers the business\'s message: "سكري ٩٠"]\nhello', "are you open?")
    holds = "It is Monday."
    asked = Prompt("demo", messages, history, knowledge, system_prompt="You sell shoes.", situation=holds)
    await provider_at(server, http).answer(asked)
    (question,) = server.questions
    assert question.model == server.model
    assert question.texts == (
        model_request(asked).system,
        "hi",
        "Hello!",
        model_request(asked).turns[-1].text,
    )
    system, last = question.texts[0], question.texts[-1]
    assert system.startswith("You sell shoes.") and "open daily" not in system
    assert last.startswith(f"[{SITUATION} ") and last.endswith("\n\n" + "\n".join(messages))
    assert last.index("open daily") < last.index(holds)
    model = "model" if kind_of(server) == "gemini" else "assistant"
    assert question.roles == ("system", "user", model, "user")


async def test_the_beginning_of_a_request_is_the_same_in_the_next_turn(
    server: FakeModel, http: HttpClient
) -> None:
    """To the byte, up to the last turn, whatever was looked up and whatever holds by then: providers cache it."""
    history = (HistoryEntry("user", "hi"), HistoryEntry("assistant", "Hello!"))
    passages = (Passage("prices.md", "shirt 20", 0.9),)
    first = Prompt("demo", ("how much?",), history, passages, situation="It is Monday.")
    later = (*history, HistoryEntry("user", "how much?"), HistoryEntry("assistant", "20"))
    second = Prompt("demo", ("and now?",), later, (), handed_back=True, situation="It is Tuesday.")
    for asked in (first, second):
        await provider_at(server, http).answer(asked)
    sent, sent_next = (json.dumps(question.body, ensure_ascii=False) for question in server.questions)
    beginning = sent[: sent.index(f"[{SITUATION}")]
    assert "Hello!" in beginning and sent_next.startswith(beginning)


async def test_a_history_that_begins_with_an_answer_and_ends_with_a_question(
    server: FakeModel, http: HttpClient
) -> None:
    """The servers insist on turns that begin with the user's and alternate, and would refuse."""
    if isinstance(server, FakeOpenAI):
        server.insists.add("alternation")
    history = (HistoryEntry("assistant", "Hello!"), HistoryEntry("user", "hi"))
    answer = await provider_at(server, http).answer(Prompt("demo", ("open?",), history))
    assert answer.text.endswith("open?")
    assert "\n".join(server.questions[0].texts).endswith(f"{EARLIER}\nHello!\nhi\nopen?")


async def test_without_a_system_prompt_none_is_sent(server: FakeModel, http: HttpClient) -> None:
    await provider_at(server, http, ProviderTerms(system_prompt="")).answer(PROMPT)
    assert server.questions[0].roles == ("user",)


async def test_an_answer_has_its_text_tokens_and_cost(server: FakeModel, http: HttpClient) -> None:
    """11 tokens read at 2.5, 7 written at 10 for a million: 97.5 millionths."""
    terms = ProviderTerms(price_per_million_input_tokens=2.5, price_per_million_output_tokens=10)
    answer = await provider_at(server, http, terms).answer(PROMPT)
    assert answer.text == "Answer 1: hello\nare you open?"
    assert (answer.provider, answer.model) == ("main", server.model)
    assert (answer.input_tokens, answer.output_tokens, answer.cost_micros) == (11, 7, 98)
    assert (answer.needs_data_collection, answer.requested_fields, answer.confidence) == (False, (), None)


async def test_a_call_that_is_given_up_has_cost_what_was_asked_and_what_may_be_written_by_then(
    server: FakeModel, http: HttpClient
) -> None:
    """A guess: a token for four bytes, fifty a second, at most as many as an answer may have."""
    terms = ProviderTerms(
        system_prompt="", price_per_million_input_tokens=2, price_per_million_output_tokens=10
    )
    provider, asked = provider_at(server, http, terms), Prompt("demo", ("a" * 400,))
    given_up = provider.given_up(asked, trio.current_time() - 2)
    assert (given_up.provider, given_up.failure) == ("main", "superseded")
    assert given_up.spent == Spent(100, 100, 1_200)
    assert provider.given_up(asked, trio.current_time() - 3_600).spent.output_tokens == 1_024
    assert provider.given_up(Prompt("demo", ("\ud800",)), trio.current_time()).spent == Spent()


async def test_the_envelope_is_opened(server: FakeModel, http: HttpClient) -> None:
    envelope = {"response": "Your name?", "needsDataCollection": True, "requestedFields": ["name"]}
    server.text_for = lambda asked: json.dumps({**envelope, "confidence": 0.4})
    answer = await provider_at(server, http).answer(PROMPT)
    assert (answer.text, answer.needs_data_collection) == ("Your name?", True)
    assert (answer.requested_fields, answer.confidence) == (("name",), 0.4)


async def test_a_model_that_only_thought_is_said_to_have(server: FakeModel, http: HttpClient) -> None:
    server.text_for = lambda asked: "<think>The margin is 40%, so"
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(PROMPT)
    assert (failure.value.reason, "margin" in str(failure.value)) == ("thoughts_only", False)


@pytest.mark.parametrize("said", ['{"response": "", "confidence": 1}', "NO_REPLY"])
async def test_silence_is_an_answer_where_it_is_allowed_and_costs_what_it_costs(
    server: FakeModel, http: HttpClient, said: str
) -> None:
    server.text_for = lambda asked: said
    provider = provider_at(server, http, ProviderTerms(price_per_million_output_tokens=10))
    answer = await provider.answer(msgspec.structs.replace(PROMPT, may_be_silent=True))
    assert (answer.text, answer.is_silence, answer.output_tokens, answer.cost_micros) == ("", True, 7, 70)
    with pytest.raises(TurnFailed) as failure:
        await provider.answer(PROMPT)
    assert failure.value.reason == "garbage"
    told = [SILENCE_IS_AN_ANSWER in question.system for question in server.questions]
    assert told == [True, False], "it is told that it may, and only then"


async def test_a_long_answer_is_cut(server: FakeModel, http: HttpClient) -> None:
    """I8."""
    server.text_for = lambda asked: "word " * 1000
    answer = await provider_at(server, http, ProviderTerms(max_answer_chars=100)).answer(PROMPT)
    assert 0 < len(answer.text) <= 100


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "bad_key"),
        (402, "bad_key"),
        (403, "bad_key"),
        (400, "bad_request"),
        (404, "not_found"),
        (408, "timed_out"),
        (413, "too_long"),
        (422, "bad_request"),
        (429, "rate_limited"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (504, "timed_out"),
        (529, "overloaded"),
        (302, "unexpected_status"),
        (418, "unexpected_status"),
    ],
)
async def test_statuses_that_another_attempt_or_provider_may_avoid(
    server: FakeModel, http: HttpClient, status: int, reason: str
) -> None:
    server.order("status", status=status, retry_after="7")
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(PROMPT)
    assert (failure.value.reason, failure.value.retry_after_seconds) == (reason, 7.0)


async def test_without_retry_after_none_is_invented(server: FakeModel, http: HttpClient) -> None:
    server.order("status", status=429)
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(PROMPT)
    assert failure.value.retry_after_seconds is None


@pytest.mark.parametrize(
    "body", ["error", ["error"], {"error": "no"}, {"error": {"type": {}, "details": 1}}, None]
)
async def test_the_body_of_an_error_is_not_trusted(server: FakeModel, http: HttpClient, body: object) -> None:
    """I14: whatever an error's body is, its status still counts."""
    server.order("status", status=503, body=body)
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(PROMPT)
    assert failure.value.reason == "overloaded"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("garbage", "garbage"),
        ("wrong_types", "garbage"),
        ("empty", "garbage"),
        ("no_body", "garbage"),
        ("controls", "garbage"),
        ("tool", "tool_call_only"),
        ("huge", "too_large"),
        ("gzip_bomb", "too_large"),
        ("reset", "unreachable"),
        ("truncated", "unreachable"),
    ],
)
async def test_unusable_answers_are_failures(
    server: FakeModel, http: HttpClient, fault: Fault, reason: str
) -> None:
    """I8: bounded; I14: a bad answer fails an attempt, never the daemon."""
    server.order(fault)
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(PROMPT)
    assert failure.value.reason == reason


@pytest.mark.parametrize(("fault", "fault_seconds"), [("hang", 0.0), ("drip", 0.05), ("slow", 60.0)])
async def test_the_deadline_ends_silence_and_drips(
    server: FakeModel, http: HttpClient, fault: Fault, fault_seconds: float
) -> None:
    """I8."""
    server.order(fault, seconds=fault_seconds)
    with trio.fail_after(PATIENCE_SECONDS), pytest.raises(TurnFailed) as failure:
        await provider_at(server, http, SHORT).answer(PROMPT)
    assert failure.value.reason == "timed_out"


async def test_a_filtered_answer_is_a_refusal(server: FakeModel, http: HttpClient) -> None:
    server.order("filtered")
    with pytest.raises(TurnRefused) as refusal:
        await provider_at(server, http).answer(PROMPT)
    assert refusal.value.reason == "refused_by_policy"


async def test_control_characters_are_dropped_from_an_answer(server: FakeModel, http: HttpClient) -> None:
    """I14: what the ledger could not store never comes near it."""
    server.text_for = lambda asked: "We are\x00 open\ud800.\r\nWelcome! "
    assert (await provider_at(server, http).answer(PROMPT)).text == "We are open.\nWelcome!"


async def test_a_server_that_is_down_is_unreachable_and_then_answers(
    server: FakeModel, http: HttpClient
) -> None:
    """I10: also over a kept connection that died meanwhile."""
    provider = provider_at(server, http)
    await provider.answer(PROMPT)
    await trio.to_thread.run_sync(server.down)
    with pytest.raises(TurnFailed) as failure:
        await provider.answer(PROMPT)
    assert failure.value.reason == "unreachable"
    await trio.to_thread.run_sync(server.up)
    assert (await provider.answer(PROMPT)).text.startswith("Answer 2")


async def test_failures_show_neither_key_nor_text(server: FakeModel, http: HttpClient) -> None:
    """I11."""
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http, api_key="k-secret").answer(prompt("text-secret"))
    assert failure.value.reason == "bad_key"
    assert "secret" not in f"{failure.value!r} {failure.value}"


async def test_several_conversations_share_a_call_and_its_bound(server: FakeModel, http: HttpClient) -> None:
    """One call; room for as many answers; what is believed comes back under its key, what is not does not."""

    def answer(asked: str) -> str:
        keys = [json.loads(line)["conversation"] for line in asked.splitlines()]
        known = {"needsDataCollection": False, "requestedFields": [], "confidence": 0.7}
        entries = [{"conversation": key, "response": f"to {key}", **known} for key in keys[:2]]
        return json.dumps({"answers": [{**entry, "response": "Yes."} for entry in entries]})

    server.text_for = answer
    prompts = {"k1": prompt("one"), "k2": prompt("two"), "k3": prompt("three")}
    terms = ProviderTerms(price_per_million_input_tokens=1)
    together = await provider_at(server, http, terms, max_output_tokens=100).answer_together(prompts)
    assert {key: answer.text for key, answer in together.answers.items()} == {"k1": "Yes.", "k2": "Yes."}
    assert together.answers["k1"].confidence == 0.7
    assert (together.input_tokens, together.output_tokens, together.cost_micros) == (11, 7, 11)
    (question,) = server.questions
    assert "300" in json.dumps(question.body)
