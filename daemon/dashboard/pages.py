"""The page itself: the few files beside this one, read once at the start. Nothing else is served from the disk.

They hold no data, so anybody may have them. A browser asks each time and is told `304` while it has them as they are.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from daemon.web.http1 import Request, Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
_HEADERS = {"Cache-Control": "no-cache"}


class Pages:
    def __init__(self) -> None:
        folder = resources.files("daemon.dashboard") / "pages"
        self._files = {
            file.name: _response(file.name, file.read_bytes())
            for file in folder.iterdir()
            if _suffix(file.name) in TYPES
        }

    def index(self, request: Request) -> Response:
        return _unless_known(self._files[INDEX], request)

    def file(self, name: str, request: Request) -> Response | None:
        """None: there is no such file."""
        found = self._files.get(name)
        return found if found is None else _unless_known(found, request)


def _response(name: str, body: bytes) -> Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return Response(200, body, TYPES[_suffix(name)], {**_HEADERS, "ETag": etag})


def _unless_known(response: Response, request: Request) -> Response:
    etag = response.headers["ETag"]
    known = (word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(","))
    return Response(304, headers=response.headers) if etag in known else response


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
