"""Fixtures for tests of knowledge: a database with two instances, an embeddings server, and what uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from hashlib import sha256

import pytest

from actors.identity import Conversation
from actors.instance import FeatureFlags, InstanceRecord, Terms
from actors.messages import Passage
from actors.ports import Question
from daemon.knowledge import embeddings as embeddings_module
from daemon.knowledge.chunks import TextSection, chunks
from daemon.knowledge.embeddings import EmbeddingsClient, VectorModel
from daemon.knowledge.library import Begun, ChunkText, FileHead, PostgresLibrary, Ready
from daemon.lookups import knowledge
from daemon.lookups.instance import instance_record
from daemon.lookups.spec import Means
from daemon.web.client import HttpClient
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.ledgers import LedgerWorld, batch, open_world
from tests.support.memory import MemoryFeed
from tests.support.patience import PATIENCE_SECONDS

ACME = Conversation("acme", "966500000001")
SHOP = Conversation("demo", "966500000001")


class Shelf:
    """The files of two instances, with or without vectors."""

    def __init__(self, world: LedgerWorld, embeddings: EmbeddingsClient | None = None) -> None:
        self.world = world
        self.embeddings = embeddings
        self.feed = MemoryFeed()
        self.library = PostgresLibrary(world.db, embeddings, self.feed)

    async def begin(self, text: str, name: str = "prices.txt", instance: str = "demo") -> Begun:
        head = FileHead(name=name, sha256=sha256(text.encode()).hexdigest(), bytes=len(text.encode()))
        return await self.library.begin(instance, head)

    async def put(self, load: Begun, text: str, instance: str = "demo") -> int:
        """Store one chunk per line; returns how many."""
        cut = [chunk for line in text.splitlines() for chunk in chunks([TextSection("", line)])]
        texts = [ChunkText(ordinal, "", chunk.text) for ordinal, chunk in enumerate(cut)]
        await self.library.put(instance, load.file, texts)
        return len(texts)

    async def add(self, text: str, name: str = "prices.txt", instance: str = "demo") -> Ready:
        load = await self.begin(text, name, instance)
        assert load.state == "loading"
        return await self.library.commit(instance, load.file, await self.put(load, text, instance))

    async def question(
        self,
        *texts: str,
        conversation: Conversation = SHOP,
        terms: Terms | None = None,
        flags: FeatureFlags | None = None,
        number: int = 1,
    ) -> Question:
        asked = batch(*texts, conversation=conversation, number=number)
        turn = await self.world.ledger.begin(asked, self.world.epoch)
        record: InstanceRecord = await instance_record(self.world.db, conversation.instance)
        return Question(turn, asked, record, flags or FeatureFlags(), terms or Terms())

    async def search(
        self, *texts: str, conversation: Conversation = SHOP, terms: Terms | None = None
    ) -> tuple[Passage, ...]:
        question = await self.question(*texts, conversation=conversation, terms=terms)
        spec = knowledge.lookup(self.embeddings)
        if spec.skip(question):
            return ()
        found: tuple[Passage, ...] = await spec.run(Means(self.world.db), question)
        return found


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        await world.records.register_instances(["acme", "demo"])
        yield world


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no slow server, and there are no real pauses between attempts."""
    monkeypatch.setattr(embeddings_module, "TURN_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(embeddings_module, "LOAD_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(embeddings_module, "_BACKOFF_SECONDS", (0.05, 0.1, 0.2, 0.4))


@pytest.fixture
def server() -> Iterator[FakeEmbeddings]:
    with FakeEmbeddings(synonyms={"cost": "price", "سعر": "price", "honey": "عسل"}).running() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient() as http:
        yield http


@pytest.fixture
def embeddings(http: HttpClient, server: FakeEmbeddings) -> EmbeddingsClient:
    return EmbeddingsClient(
        http,
        MemoryFeed(),
        base_url=server.base_url,
        api_key="vector-key",
        model=VectorModel("test"),
        batch_size=8,
    )


@pytest.fixture
async def by_words(world: LedgerWorld) -> Shelf:
    """Without an embeddings server."""
    return Shelf(world)


@pytest.fixture
async def by_meaning(world: LedgerWorld, embeddings: EmbeddingsClient) -> Shelf:
    return Shelf(world, embeddings)
