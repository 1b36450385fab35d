"""Protection against other web sites: checks of requests, and security headers of responses. Pure.

Laws of this file:
- A request with an unknown host name is refused before anything else: another site may point its name here (DNS
  rebinding), and the browser would treat that site's scripts as ours.
- Changes are accepted only from our own page and as JSON, which no form and no script of another site can send.
- Data is never given to another site's page, whatever the browser would do with it.
- Every response forbids scripts, styles, frames and connections of other origins, caching and content sniffing.
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
"""`none`: an address typed by a person, or a bookmark."""


class Guard:
    """Refuses requests from other origins."""

    def __init__(self, host: str, port: int, hosts: Sequence[str] = ()) -> None:
        """Args:
        host: the name or address that the dashboard listens on, with `port`.
        hosts: names under which a reverse proxy serves it.
        """
        self._host = host.lower()
        self._port = _shown(port)
        self._hosts = tuple(map(split_host, hosts))

    def refusal(self, request: Request) -> Response | None:
        """The refusal of a request that must not be handled; None if it may be."""
        host = request.headers.get("host", "")
        if not self._is_known_host(host):
            return error_response(
                421,
                "wrong_host",
                "the dashboard is not served under this name: open it at the address that `majlis dashboard` prints, "
                "or add the name to dashboard.hosts in config.yaml",
            )
        if request.method in SAFE_METHODS:
            return None
        if not _is_same_origin(request, host):
            return error_response(403, "wrong_origin", "this is possible only from the dashboard's own page")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return error_response(415, "not_json", "send this with Content-Type: application/json")
        return None

    def _is_known_host(self, host: str) -> bool:
        name, port = found = split_host(host)
        if not name:
            return False
        if name in _LOCAL_NAMES or found in self._hosts:  # a tunnel may use any local port
            return True
        everywhere = self._host in _EVERYWHERE and _is_address(
            name
        )  # another site cannot have an address as its name
        return port == self._port and (name == self._host or everywhere)


def cross_site_refusal(request: Request) -> Response | None:
    """The refusal of data to another site's page, if the browser says that it is one."""
    if request.headers.get("sec-fetch-site", "none") in _OWN_FETCHES:
        return None
    return error_response(403, "wrong_origin", "this is available only to the dashboard's own page")


def error_response(
    status: int, reason: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the form of the admin interface: a stable reason and a sentence."""
    return json_response(status, {"status": "error", "reason": reason, "message": message}, headers)


def with_security_headers(response: Response) -> Response:
    """The response with the headers that restrict the browser."""
    return msgspec.structs.replace(response, headers={**HEADERS, **response.headers})


def split_host(host: str) -> tuple[str, int | None]:
    """Name and port of a Host header; None: the default port, which browsers omit. An empty name: it is invalid."""
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


def _is_same_origin(request: Request, host: str) -> bool:
    """Whether the request comes from our own page. Programs other than browsers send no Origin."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    if origin == "null" and request.headers.get("sec-fetch-site") == "same-origin":
        return True  # our own page, whose referrer policy hides its origin
    scheme, separator, place = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and split_host(place) == split_host(host)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
