"""The embeddings client against a real HTTP server that misbehaves on demand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest
import trio
import trio.testing

from daemon.knowledge import embeddings as embeddings_module
from daemon.knowledge.embeddings import EmbeddingsClient, EmbeddingsUnavailable, VectorModel
from daemon.web.client import HttpClient
from tests.support.embeddings_server import FakeEmbeddings, Fault
from tests.support.memory import MemoryFeed
from tests.support.patience import PATIENCE_SECONDS


@pytest.fixture
def server() -> Iterator[FakeEmbeddings]:
    with FakeEmbeddings().running() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient() as http:
        yield http


def client(
    http: HttpClient, server: FakeEmbeddings, feed: MemoryFeed | None = None, **more: object
) -> EmbeddingsClient:
    settings: dict[str, object] = {
        "base_url": server.base_url,
        "api_key": "vector-key",
        "model": VectorModel("test"),
        **more,
    }
    return EmbeddingsClient(http, feed or MemoryFeed(), **settings)  # type: ignore[arg-type]


async def test_texts_get_their_vectors_in_portions_and_in_order(
    http: HttpClient, server: FakeEmbeddings
) -> None:
    server.shuffled = True
    texts = [f"text number {number}" for number in range(7)]
    vectors = await client(http, server, batch_size=3).vectors(texts)
    assert [len(portion) for portion in server.asked()] == [3, 3, 1]
    assert [json.loads(vector) for vector in vectors] == [server.vector(text) for text in texts]


@pytest.mark.parametrize(
    "fault", ["too_few", "too_many", "garbage", "wrong_types", "infinite", "zero", "reset"]
)
async def test_vectors_that_cannot_be_compared_are_refused(
    http: HttpClient, server: FakeEmbeddings, fault: Fault
) -> None:
    server.order(fault, times=9)
    embeddings = client(http, server)
    with pytest.raises(EmbeddingsUnavailable) as refused:
        await embeddings.vector("one")
    assert refused.value.reason == ("unreachable" if fault == "reset" else "garbage")
    assert "one" not in str(refused.value).split()


async def test_vectors_of_different_lengths_are_refused(http: HttpClient, server: FakeEmbeddings) -> None:
    server.order("uneven", times=9)
    with pytest.raises(EmbeddingsUnavailable, match="another length"):
        await client(http, server).vectors(["one", "two"])


async def test_a_model_does_not_change_the_length_of_its_vectors(
    http: HttpClient, server: FakeEmbeddings
) -> None:
    embeddings = client(http, server)
    await embeddings.vector("one")
    server.order("short")
    with pytest.raises(EmbeddingsUnavailable, match="another length"):
        await embeddings.vector("two")


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (401, "bad_key", "check embeddings.api_key"),
        (404, "bad_request", "check embeddings.base_url"),
        (413, "bad_request", "reduce embeddings.batch_size"),
        (429, "rate_limited", "try again later"),
        (503, "overloaded", "try again later"),
        (302, "overloaded", "has a problem"),
    ],
)
async def test_a_refusal_says_what_to_do(
    http: HttpClient, server: FakeEmbeddings, status: int, reason: str, words: str
) -> None:
    server.order("status", status=status, retry_after="7")
    with pytest.raises(EmbeddingsUnavailable, match=words) as refused:
        await client(http, server).vector("one")
    assert refused.value.reason == reason
    assert refused.value.retry_after_seconds == 7
    assert len(server.asked()) == 1, "in a turn nothing is repeated"


async def test_loading_retries_and_heeds_retry_after(http: HttpClient, server: FakeEmbeddings) -> None:
    server.order("status", status=429, retry_after="1")
    server.order("status", status=500)
    started = trio.current_time()
    assert len(await client(http, server).vectors(["one", "two"])) == 2
    assert len(server.asked()) == 3
    # The second that was asked for, and the backoff of the second try.
    assert trio.current_time() - started >= 1 + 0.1


async def test_loading_does_not_retry_too_late_or_in_vain(http: HttpClient, server: FakeEmbeddings) -> None:
    server.order("status", status=429, retry_after="600")
    with pytest.raises(EmbeddingsUnavailable):
        await client(http, server).vectors(["one"])
    server.order("status", status=401)
    with pytest.raises(EmbeddingsUnavailable):
        await client(http, server).vectors(["one"])
    assert len(server.asked()) == 2


async def test_concurrent_calls_for_one_text_make_one_request(
    http: HttpClient, server: FakeEmbeddings
) -> None:
    embeddings, found = client(http, server), []
    gate = server.gate()

    async def ask(text: str) -> None:
        found.append(await embeddings.vector(text))

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask, "one")
            await trio.to_thread.run_sync(gate.wait_arrived)
            await trio.testing.wait_all_tasks_blocked()
            gate.release()
    assert len(server.asked()) == 1 and len(set(found)) == 1 and len(found) == 5


async def test_a_waiter_survives_the_cancellation_of_the_first_caller(
    http: HttpClient, server: FakeEmbeddings
) -> None:
    embeddings, found = client(http, server), []
    gate = server.gate()
    first = trio.CancelScope()

    async def leading() -> None:
        with first:
            await embeddings.vector("one")

    async def waiting() -> None:
        found.append(await embeddings.vector("one"))

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leading)
            await trio.to_thread.run_sync(gate.wait_arrived)
            nursery.start_soon(waiting)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
    gate.release()
    assert len(found) == 1


async def test_a_failing_server_is_not_called_for_a_while(http: HttpClient, server: FakeEmbeddings) -> None:
    feed = MemoryFeed()
    embeddings = client(http, server, feed)
    server.order("status", times=3, status=500)
    for text in ("a", "b", "c", "d"):
        with pytest.raises(EmbeddingsUnavailable):
            await embeddings.vector(text)
    assert len(server.asked()) == 3
    assert [fields["reason"] for event, _, fields in feed.events if event == "embeddings.failed"] == [
        "overloaded"
    ] * 3


async def test_a_turn_does_not_wait_long(
    http: HttpClient, server: FakeEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings_module, "TURN_SECONDS", 0.5)
    server.order("slow", seconds=30)
    with trio.fail_after(PATIENCE_SECONDS), pytest.raises(EmbeddingsUnavailable) as late:
        await client(http, server).vector("one")
    assert late.value.reason == "timed_out"
