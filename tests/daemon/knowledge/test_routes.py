"""The admin routes of files and the response cache, with the real library and a real Postgres."""

from __future__ import annotations

import os

import msgspec

from daemon.observe.feed import EventFeed
from daemon.operate import AdminApi
from daemon.web.http1 import Peer, Request, Response
from tests.daemon.operate.fake_operations import FakeOperations
from tests.support.shelf import Shelf


class Api:
    def __init__(self, shelf: Shelf) -> None:
        self.operations = FakeOperations()
        self.operations.library = shelf.library
        self._api = AdminApi(self.operations, EventFeed(strict=True))

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        content = b"" if body is None else msgspec.json.encode(body)
        segments = tuple(path.split("/")[1:])
        request = Request(method, path, segments, {}, {}, content, Peer("", 1, os.geteuid()))
        response: Response = await self._api.handle(request)
        document: dict[str, object] = msgspec.json.decode(response.body)
        return response.status, document


async def test_a_file_is_added_through_the_admin_api(by_words: Shelf) -> None:
    api = Api(by_words)
    head = {"name": "hours.txt", "sha256": "ab", "bytes": 5}
    status, begun = await api.call("POST", "/v1/knowledge/demo/files", head)
    assert (status, begun["state"]) == (200, "loading")
    load = f"/v1/knowledge/demo/files/{begun['file']}"
    chunk = {"ordinal": 0, "heading": "Hours", "text": "open at nine"}
    assert await api.call("POST", f"{load}/chunks", {"chunks": [chunk]}) == (200, {"stored": 1})
    assert (await api.call("POST", f"{load}/ready", {"chunks": 2}))[0] == 409
    assert await api.call("POST", f"{load}/ready", {"chunks": 1}) == (200, {"chunks": 1, "replaced": False})
    _, page = await api.call("GET", "/v1/knowledge/demo")
    assert [file["name"] for file in page["files"]] == ["hours.txt"]  # type: ignore[attr-defined]
    assert (await api.call("POST", "/v1/knowledge/demo/remove", {"names": ["hours.txt"]}))[1]["missing"] == []
    assert [(entry.action, entry.target) for entry in api.operations.audited] == [
        ("knowledge.add", "demo: hours.txt"),
        ("knowledge.ready", f"demo: load {begun['file']}"),  # the one that misses a chunk
        ("knowledge.ready", f"demo: load {begun['file']}"),
        ("knowledge.remove", "demo: hours.txt"),
    ]
    assert api.operations.reloads == 2


async def test_unreadable_bodies_and_unknown_files(by_words: Shelf) -> None:
    api = Api(by_words)
    for path, body, status in (
        ("/v1/knowledge/demo/files", {"name": "x"}, 400),
        ("/v1/knowledge/demo/files/x/chunks", {"chunks": []}, 400),
        ("/v1/knowledge/demo/files/7/chunks", {"chunks": []}, 409),
        ("/v1/knowledge/nobody/files", {"name": "x", "sha256": "ab", "bytes": 1}, 404),
        ("/v1/knowledge/nobody/remove", {"names": []}, 404),
    ):
        assert (await api.call("POST", path, body))[0] == status, path
    assert (await api.call("GET", "/v1/knowledge/nobody"))[0] == 404
    assert await api.call("GET", "/v1/cache") == (200, {"instances": []})
    assert await api.call("POST", "/v1/cache/clear") == (200, {"entries": 0})
