"""Responders as the settings name them: put together, asked over real HTTP, and looked at by the doctor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
import trio

from actors.errors import ResponderHeld, TurnFailed
from actors.messages import Answer, Prompt
from daemon.config import ConfigError, ResponderSettings, Settings, load
from daemon.config.run_time import RunTimeValue, for_daemon, for_instance
from daemon.controls.live_settings import LiveSettings
from daemon.operate.doctor import examine
from daemon.responders.http_kind import HttpKind
from daemon.responders.kinds import PROVIDERS
from daemon.responders.router import RoutedResponder
from daemon.run.peers import responders
from daemon.web.client import HttpClient
from tests.support.http_faults import Exchange, FaultServer, Request
from tests.support.model_server import FakeModel
from tests.support.models import SERVERS, kind_of
from tests.support.openai_server import FakeOpenAI, completion
from tests.support.providers import Board, RecordedFeed

Tree = dict[str, object]
Load = Callable[..., Settings]


@pytest.fixture
def models() -> Iterator[Mapping[str, FakeModel]]:
    """One server of each kind."""
    with ExitStack() as running:
        yield {kind: running.enter_context(server().running()) for kind, server in SERVERS.items()}


def entry(server: FakeModel, **more: object) -> Tree:
    """What the settings say of `server`; its name is its kind."""
    kind = kind_of(server)
    known = {"name": kind, "kind": kind, "model": server.model, "base_url": server.base_url}
    return {**known, "api_key": server.api_key, **more}


@pytest.fixture
def settings(tmp_path: Path) -> Load:
    """Settings whose `responder` is the first tree; the others are instances of their own."""

    def loaded(responder: Tree, **instances: Tree) -> Settings:
        tree = {"data_dir": str(tmp_path), "responder": responder, "instances": {"demo": {}, **instances}}
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps(tree))
        return load(path, environment={})

    return loaded


def compose(
    settings: Settings, http: HttpClient, feed: RecordedFeed, batching: bool = False
) -> RoutedResponder[ResponderSettings]:
    return responders(LiveSettings(settings), http, Board(batching), feed)


def test_every_http_kind_has_a_test_server() -> None:
    """So that the contract of responders, and the doctor's check, are tried with each of them."""
    asking = {name for name, kind in PROVIDERS.items() if isinstance(kind, HttpKind)}
    assert asking == set(SERVERS)


async def test_three_providers_are_asked_in_order(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    """The first broken, the second with a wrong key: the third answers, and the views say what happened."""
    feed = RecordedFeed()
    models["openai"].order("status", times=9, status=500)
    wrong = entry(models["anthropic"], api_key="wrong")
    loaded = settings(
        {"providers": [entry(models["openai"]), wrong, entry(models["gemini"])], "breaker_failures": 2}
    )
    responder = compose(loaded, http, feed)
    for _ in range(3):
        assert (await responder.answer(Prompt("demo", ("hello",)))).provider == "gemini"
    assert len(models["openai"].questions) == 2
    views = {view.name: (view.state, view.calls, view.last_reason) for view in responder.views()}
    assert views == {
        "openai": ("open", 2, "server_error"),
        "anthropic": ("open", 2, "bad_key"),
        "gemini": ("closed", 3, ""),
    }
    assert feed.names().count("provider.opened") == 2
    assert "key" not in str(responder.views()).replace("bad_key", "")


async def test_instances_share_the_breaker_of_the_same_provider_only(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    """What one instance learns of a provider holds for all who use it; another model is another provider."""
    model = models["openai"]
    own = {"responder": {"providers": [entry(model), {"name": "r", "kind": "rehearsal"}]}}
    other = {"responder": {"providers": [entry(model, model="larger")]}}
    loaded = settings(
        {"providers": [entry(model)], "breaker_failures": 1, "breaker_seconds": 60}, second=own, third=other
    )
    responder = compose(loaded, http, RecordedFeed())
    model.order("status", times=1, status=503)
    assert (await responder.answer(Prompt("second", ("hello",)))).provider == "r"
    with pytest.raises(ResponderHeld, match="providers_busy"):
        await responder.answer(Prompt("demo", ("hello",)))
    assert (await responder.answer(Prompt("third", ("hello",)))).text == "Answer 1: hello"
    assert [(view.name, view.instance, view.state) for view in responder.views()] == [
        ("openai", "", "open"),
        ("r", "second", "closed"),
        ("openai", "third", "closed"),
    ]


async def test_the_settings_of_a_provider_reach_it(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    model = models["anthropic"]
    model.text_for = lambda asked: "word " * 100
    prices = {"price_per_million_input_tokens": 3, "price_per_million_output_tokens": 15}
    chosen = entry(model, system_prompt="You sing.", max_output_tokens=77, **prices)
    responder = compose(settings({"providers": [chosen], "max_answer_chars": 50}), http, RecordedFeed())
    answer = await responder.answer(Prompt("demo", ("hello",)))
    assert len(answer.text) <= 50
    assert answer.cost_micros == 11 * 3 + 7 * 15
    (question,) = model.questions
    assert question.system.startswith("You sing.\n\n")
    assert question.body["max_tokens"] == 77


@pytest.mark.parametrize("kind", list(SERVERS))
async def test_conversations_share_a_call_when_the_flag_is_on(
    kind: str, models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    """One question reaches the server; each gets the answer to its own words; the cost is shared out whole."""

    def answer(asked: str) -> str:
        known = {"needsDataCollection": False, "requestedFields": [], "confidence": 0.9}
        members = [json.loads(line) for line in asked.splitlines()]
        entries = [
            {"conversation": each["conversation"], "response": f"re: {each['messages'][0]}", **known}
            for each in members
        ]
        return json.dumps({"answers": entries})

    model = models[kind]
    model.text_for = answer
    loaded = settings({"providers": [entry(model)], "batching": {"wait_seconds": 2, "max_conversations": 3}})
    responder, answers = compose(loaded, http, RecordedFeed(), batching=True), {}

    async def ask(text: str) -> None:
        answers[text] = await responder.answer(Prompt("demo", (text,)))

    async with trio.open_nursery() as nursery:
        for text in ("one", "two", "three"):
            nursery.start_soon(ask, text)
    assert {text: answer.text for text, answer in answers.items()} == {
        text: f"re: {text}" for text in ("one", "two", "three")
    }
    assert len(model.questions) == 1
    assert sum(answer.input_tokens for answer in answers.values()) == 11
    assert {answer.confidence for answer in answers.values()} == {0.9}


class Changing:
    """Responders of `demo`, whose own settings change at run time."""

    def __init__(self, configured: Settings, http: HttpClient) -> None:
        self.live = LiveSettings(configured)
        self.feed = RecordedFeed()
        self.responder = responders(self.live, http, Board(False), self.feed)

    def set(self, **keys: object) -> None:
        values = [
            RunTimeValue(f"responder.{key.replace('__', '.0.')}", value, "x", sealed=True)
            for key, value in keys.items()
        ]
        for_all = for_daemon(self.live.configured, ())
        self.live.put(for_all, {"demo": for_instance(self.live.configured, for_all.layer, "demo", values)})

    def views(self) -> list[tuple[str, str, str, int]]:
        return [(view.name, view.instance, view.state, view.calls) for view in self.responder.views()]


async def test_a_change_holds_for_the_next_prompt_and_a_running_one_ends_where_it_began(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    """And a prompt of a turn that began before is answered as that turn began, of which nothing stays."""
    old, new = models["openai"], models["anthropic"]
    there = Changing(settings({"providers": [entry(old)]}), http)
    gate = old.gate()
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await there.responder.answer(Prompt("demo", ("hello",))))

    before = there.live.terms("demo")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.to_thread.run_sync(gate.wait_arrived)
        there.set(**{f"providers__{key}": value for key, value in entry(new).items()})
        await ask()
        gate.release()
    second, first = answers
    assert (first.provider, second.provider) == ("openai", "anthropic")
    assert there.live.terms("demo").cache_scope != before.cache_scope
    began_before = Prompt("demo", ("hello",), answered_by=before.answered_by)
    assert (await there.responder.answer(began_before)).provider == "openai"
    assert there.views() == [("openai", "", "closed", 2), ("anthropic", "demo", "closed", 1)]


async def test_a_breaker_belongs_to_the_provider_and_outlives_a_change_of_anything_else(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    model = models["openai"]
    responder = {"providers": [entry(model)], "breaker_failures": 1, "breaker_seconds": 60}
    there = Changing(settings(responder), http)
    model.order("status", times=1, status=503)
    with pytest.raises((TurnFailed, ResponderHeld)):
        await there.responder.answer(Prompt("demo", ("hello",)))
    there.set(deadline_seconds=7, fallback_message="later", providers__system_prompt="Sing.")
    assert there.views() == [("openai", "", "open", 1)]
    with pytest.raises(ResponderHeld):
        await there.responder.answer(Prompt("demo", ("hello",)))
    there.set(providers__model="larger")
    assert there.views() == [("openai", "", "open", 1), ("openai", "demo", "closed", 0)]
    assert (await there.responder.answer(Prompt("demo", ("hello",)))).text
    there.set()
    assert there.views() == [("openai", "", "open", 1)]


async def check(settings: Settings, http: HttpClient) -> dict[str, tuple[str, str]]:
    """What the doctor finds and says, by provider."""

    async def no_stores() -> list[object]:
        return []

    report = await examine(settings, http, no_stores)  # type: ignore[arg-type]
    return {
        each.name.removeprefix("responder "): (each.state, f"{each.detail} {each.advice}")
        for each in report.checks
        if each.name.startswith("responder ")
    }


async def test_the_doctor_checks_every_kind(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    """I15: well; a refused key; a model or an address that is not there; nobody there."""
    entries = [entry(model) for model in models.values()]
    found = await check(settings({"providers": [*entries, {"name": "r", "kind": "rehearsal"}]}), http)
    assert {name: state for name, (state, _) in found.items()} == dict.fromkeys([*SERVERS, "r"], "ok")
    wrong = [entry(model, api_key="wrong") for model in models.values()]
    found = await check(settings({"providers": wrong}), http)
    assert all(state == "problem" and "the key is refused" in said for state, said in found.values())
    lost = [entry(model, model="nope", base_url=f"{model.url}/nowhere") for model in models.values()]
    found = await check(settings({"providers": lost}), http)
    assert {name: state for name, (state, _) in found.items()} == dict.fromkeys(SERVERS, "problem")
    assert all("base_url" in said for _, said in found.values())
    for model in models.values():
        await trio.to_thread.run_sync(model.down)
    found = await check(settings({"providers": entries}), http)
    assert all(state == "problem" and "base_url" in said for state, said in found.values())


async def test_the_doctor_says_what_to_change_and_what_will_be_done_without(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    """A model that is not listed, with the nearest that are; an address without its version; parameters."""
    model = models["openai"]
    assert isinstance(model, FakeOpenAI)
    model.lists = ["test-model-large", "test-model-mini", "other"]
    state, said = (await check(settings({"providers": [entry(model)]}), http))["openai"]
    assert state == "problem"
    assert said.startswith(
        "openai: there is no model test-model Correct its model; the server has test-model-"
    )
    model.lists = [model.model]
    state, said = (await check(settings({"providers": [entry(model, base_url=model.url)]}), http))["openai"]
    assert (state, said) == (
        "problem",
        f"openai: its base_url is incomplete Set its base_url to {model.base_url}.",
    )
    model.insists |= {"max_completion_tokens", "own_temperature"}
    state, said = (await check(settings({"providers": [entry(model, temperature=0.2)]}), http))["openai"]
    assert state == "ok"
    assert "max_tokens: max_completion_tokens is sent instead" in said
    assert "temperature: it is left out" in said
    added = entry(model, extra_body={"temperature": 0.2})
    state, said = (await check(settings({"providers": [added]}), http))["openai"]
    assert state == "problem" and "extra_body" in said


async def test_the_doctor_calls_no_model_well_that_says_nothing(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    """A login page with a 200, an error that waiting does not mend, and what a stranger is to do."""
    model = models["openai"]
    model.order("garbage")
    state, said = (await check(settings({"providers": [entry(model)]}), http))["openai"]
    assert (state, "base_url" in said) == ("problem", True)
    for status, advice in ((413, "room"), (302, "base_url")):
        model.order("status", status=status)
        state, said = (await check(settings({"providers": [entry(model)]}), http))["openai"]
        assert (state, advice in said, "Wait" in said) == ("problem", True, False)


async def test_what_is_learned_of_a_model_holds_for_every_instance_that_asks_it(
    models: Mapping[str, FakeModel], settings: Load, http: HttpClient
) -> None:
    model = models["openai"]
    assert isinstance(model, FakeOpenAI)
    model.insists.add("max_completion_tokens")
    feed = RecordedFeed()
    own = {"responder": {"providers": [entry(model, temperature=0.5)]}}
    responder = compose(settings({"providers": [entry(model)]}, second=own), http, feed)
    for instance in ("demo", "second"):
        await responder.answer(Prompt(instance, ("hello",)))
    assert (model.requests, feed.names()) == (3, ["provider.learned"])


async def test_azure_is_asked_at_its_older_address_with_its_key_in_its_own_header(
    settings: Load, http: HttpClient
) -> None:
    class Azure(FaultServer):
        asked: ClassVar[list[Request]] = []

        async def handle(self, request: Request, exchange: Exchange) -> None:
            self.asked.append(request)
            await exchange.answer_json(200, completion("Yes."))

    with Azure().running() as azure:
        at = f"{azure.url}/openai/deployments/gpt/chat/completions?api-version=2025-01-01"
        known = {"name": "azure", "kind": "openai", "model": "gpt", "base_url": at, "api_key": "k"}
        headers = {"X-Tenant": "shop", "anthropic-beta": "x"}
        loaded = settings({"providers": [{**known, "extra_headers": headers, "extra_body": {"top_p": 0.5}}]})
        answer = await compose(loaded, http, RecordedFeed()).answer(Prompt("demo", ("hello",)))
        assert await check(loaded, http) == {"azure": ("ok", "openai: reachable, model gpt answers ")}
    asked, tried = azure.asked
    assert answer.text == "Yes."
    assert asked.path == tried.path == "/openai/deployments/gpt/chat/completions?api-version=2025-01-01"
    assert asked.headers["api-key"] == "k" and "authorization" not in asked.headers
    assert (asked.headers["x-tenant"], asked.headers["anthropic-beta"]) == ("shop", "x")
    sent = asked.json()
    assert isinstance(sent, dict) and sent["top_p"] == 0.5 and "max_completion_tokens" in sent


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"base_url": "http://localhost/v1?key=1"},
            "base_url: must have no query, except Azure's api-version",
        ),
        ({"api_version": "2025-01-01"}, "api_version: must be left out: only Azure's addresses have one"),
        ({"extra_body": {"messages": []}}, "extra_body.messages: must be left out: Majlis writes it"),
        (
            {"extra_headers": {"Host": "x"}},
            "extra_headers.Host: must be the name of a header that Majlis does not",
        ),
        ({"extra_headers": {"x-a": "s3cret\n"}}, "extra_headers.x-a: must be one line of printable ASCII"),
        ({"temperature": 3}, "temperature: must be less than or equal to 2"),
        ({"reasoning_effort": "most"}, "reasoning_effort: must be 'none', 'minimal', 'low'"),
    ],
)
def test_settings_that_cannot_be_sent_are_refused(settings: Load, more: Tree, says: str) -> None:
    known = {"name": "main", "kind": "openai", "model": "m", "base_url": "http://localhost/v1"}
    with pytest.raises(ConfigError) as refusal:
        settings({"providers": [{**known, **more}]})
    assert f"responder.providers.0.{says}" in str(refusal.value)
    assert "s3cret" not in str(refusal.value)
