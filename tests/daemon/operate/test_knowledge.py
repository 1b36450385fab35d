"""Files of instances and the response cache, over the real library and a real Postgres."""

from __future__ import annotations

import os

import msgspec

from daemon.web.http1 import Peer, Request
from tests.support.operators import Operators


async def call(
    operators: Operators, method: str, path: str, body: object = None
) -> tuple[int, dict[str, object]]:
    content = b"" if body is None else msgspec.json.encode(body)
    segments = tuple(path.split("/")[1:])
    response = await operators.api.handle(
        Request(method, path, segments, {}, {}, content, Peer("", 1, os.geteuid()))
    )
    document: dict[str, object] = msgspec.json.decode(response.body)
    return response.status, document


async def test_a_file_is_added_through_the_admin_api(operators: Operators) -> None:
    head = {"name": "hours.txt", "sha256": "ab", "bytes": 5}
    status, begun = await call(operators, "POST", "/v1/knowledge/demo/files", head)
    assert (status, begun["state"]) == (200, "loading")
    load = f"/v1/knowledge/demo/files/{begun['file']}"
    chunk = {"ordinal": 0, "heading": "Hours", "text": "open at nine"}
    assert await call(operators, "POST", f"{load}/chunks", {"chunks": [chunk]}) == (200, {"stored": 1})
    assert (await call(operators, "POST", f"{load}/ready", {"chunks": 2}))[0] == 409
    ready = await call(operators, "POST", f"{load}/ready", {"chunks": 1})
    assert ready == (200, {"chunks": 1, "replaced": False})
    _, page = await call(operators, "GET", "/v1/knowledge/demo")
    assert [file["name"] for file in page["files"]] == ["hours.txt"]  # type: ignore[attr-defined]
    _, removed = await call(operators, "POST", "/v1/knowledge/demo/remove", {"names": ["hours.txt"]})
    assert removed == {"removed": ["hours.txt"], "missing": []}
    assert [(entry.action, entry.target) for entry in operators.audited] == [
        ("knowledge.add", "demo: hours.txt"),
        ("knowledge.ready", f"demo: load {begun['file']}"),  # a chunk was missing
        ("knowledge.ready", f"demo: load {begun['file']}"),
        ("knowledge.remove", "demo: hours.txt"),
    ]
    assert operators.forgotten == 2, "the daemon uses each change at once"


async def test_unreadable_requests_and_unknown_names_are_refused(operators: Operators) -> None:
    for path, body, status in (
        ("/v1/knowledge/demo/files", {"name": "x"}, 400),
        ("/v1/knowledge/demo/files", {"name": "x", "sha256": "ab", "bytes": -1}, 400),
        ("/v1/knowledge/demo/files", {"name": "x", "sha256": "ab", "bytes": 2**63}, 400),
        ("/v1/knowledge/demo/files/x/chunks", {"chunks": []}, 400),
        ("/v1/knowledge/demo/files/7/ready", {"chunks": 2**31}, 400),
        ("/v1/knowledge/demo/files/9999999/chunks", {"chunks": []}, 409),
        ("/v1/knowledge/nobody/files", {"name": "x", "sha256": "ab", "bytes": 1}, 404),
        ("/v1/knowledge/nobody/remove", {"names": []}, 404),
    ):
        assert (await call(operators, "POST", path, body))[0] == status, (path, body)
    assert (await call(operators, "GET", "/v1/knowledge/nobody"))[0] == 404
    status, stats = await call(operators, "GET", "/v1/cache")
    assert isinstance(stats, dict) and (status, stats["instances"]) == (200, [])
    assert await call(operators, "POST", "/v1/cache/clear") == (200, {"entries": 0})
