"""The static files of the dashboard, read once at startup. Nothing else is served from disk.

They contain no data, so they need no login. Browsers revalidate them and get 304 while they are unchanged.
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
    """All files of the folder `pages`, each with its entity tag."""

    def __init__(self) -> None:
        folder = resources.files("daemon.dashboard") / "pages"
        self._files = {
            file.name: _response(file.name, file.read_bytes())
            for file in folder.iterdir()
            if _suffix(file.name) in TYPES
        }

    def index(self, request: Request) -> Response:
        """The page itself."""
        return _unless_cached(self._files[INDEX], request)

    def file(self, name: str, request: Request) -> Response | None:
        """The file of this name; None if there is none."""
        found = self._files.get(name)
        return found if found is None else _unless_cached(found, request)


def _response(name: str, body: bytes) -> Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    return Response(200, body, TYPES[_suffix(name)], {**_HEADERS, "ETag": etag})


def _unless_cached(response: Response, request: Request) -> Response:
    etag = response.headers["ETag"]
    cached = (word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(","))
    return Response(304, headers=response.headers) if etag in cached else response


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
