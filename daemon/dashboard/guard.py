"""What a browser may bring here, and what it is told to keep to. Pure.

Laws of this file:
- A request under a name that is not ours is refused before anything else is looked at: another site's name may be made
  to point here (DNS rebinding), and the browser would take that site's scripts for ours.
- What changes something comes from our own page, as JSON: no form and no script of another site can send that.
- What is data is not given to another site's page either, whatever the browser would do with it.
- Every answer forbids scripts, styles, frames and connections of anybody else, and being kept or sniffed at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import msgspec

from daemon.web.http1 import Request, Response, json_response

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SAFE_METHODS = ("GET", "HEAD")
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("*", "0.0.0.0", "::")
_OWN_FETCHES = ("same-origin", "none")
"""`none`: typed by a person, or a bookmark."""


class Guard:
    """Args:
    host: where the dashboard listens, a name or an address; with `port`.
    hosts: names under which a web server in front shows it.
    """

    def __init__(self, host: str, port: int, hosts: Sequence[str] = ()) -> None:
        self._host = host.lower()
        self._port = _shown(port)
        self._hosts = tuple(map(split_host, hosts))

    def refusal(self, request: Request) -> Response | None:
        """Why this is not even looked at; None: it may be."""
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            return refused(
                421,
                "wrong_host",
                "the dashboard is not shown under this name: open it at the address that `majlis dashboard` prints, "
                "or add the name to dashboard.hosts in config.yaml",
            )
        if request.method in SAFE_METHODS:
            return None
        if not _is_from_here(request, host):
            return refused(403, "wrong_origin", "this can be done from the dashboard's own page alone")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refused(415, "not_json", "send this with Content-Type: application/json")
        return None

    def _is_ours(self, host: str) -> bool:
        name, port = found = split_host(host)
        if not name:
            return False
        if name in _LOCAL_NAMES or found in self._hosts:  # a tunnel may end at any port of this machine
            return True
        everywhere = self._host in _EVERYWHERE and _is_address(name)  # no site's name can be an address
        return port == self._port and (name == self._host or everywhere)


def foreign(request: Request) -> Response | None:
    """The refusal of data to a page that is not ours, where the browser says so."""
    if request.headers.get("sec-fetch-site", "none") in _OWN_FETCHES:
        return None
    return refused(403, "wrong_origin", "this is shown to the dashboard's own page alone")


def refused(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """As the admin interface says no: a stable word, and a sentence."""
    return json_response(status, {"status": "error", "reason": reason, "message": message}, headers)


def guarded(response: Response) -> Response:
    """With what the browser is told to keep to."""
    return msgspec.structs.replace(response, headers={**HEADERS, **response.headers})


def split_host(host: str) -> tuple[str, int | None]:
    """Name and port of a Host header; None: the scheme's own, which browsers leave out. An empty name: it is none."""
    text = host.strip().lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return "", None
        port = rest[1:]
    else:
        name, _, port = text.partition(":")
    name = name.removesuffix(".")
    if port and not (port.isascii() and port.isdigit() and len(port) < 6):
        return "", None
    return name, _shown(int(port)) if port else None


def _shown(port: int) -> int | None:
    return None if port in (80, 443) else port


def _is_from_here(request: Request, host: str) -> bool:
    """Whether the page that asks stands where it asks; what is no browser says nothing of that."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    if origin == "null" and request.headers.get("sec-fetch-site") == "same-origin":
        return True  # our own page, which tells nobody where it stands
    scheme, separator, place = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and split_host(place) == split_host(host)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
