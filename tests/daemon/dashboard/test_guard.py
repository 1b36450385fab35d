"""Which requests the guard lets through: known host names, our own page, JSON."""

from __future__ import annotations

import pytest

from daemon.dashboard.guard import Guard, cross_site_refusal, split_host
from daemon.web.http1 import Peer, Request


def request(method: str = "GET", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, "/", ("",), {}, named, b"", Peer("127.0.0.1"))


def status(guard: Guard, asked: Request) -> int | None:
    refusal = guard.refusal(asked)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8089",
        "localhost:8089",
        "LOCALHOST:8089",
        "localhost.:8089",
        "[::1]:8089",
        "localhost:9000",  # the other end of a tunnel
        "majlis.example.com",
        "Majlis.Example.com:443",
        "majlis.example.com:80",
        "proxy.example.com:8443",
    ],
)
def test_known_host_names_are_accepted(host: str) -> None:
    guard = Guard("127.0.0.1", 8089, ("majlis.example.com", "proxy.example.com:8443"))
    assert status(guard, request(host=host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example.com",
        "evil.example.com:8089",
        "127.0.0.1.evil.example.com:8089",
        "localhost.evil.example.com:8089",
        "majlis.example.com:8089",
        "proxy.example.com",
        "10.0.0.5:8089",
        "127.0.0.1:8089,evil.example.com",
        "127.0.0.1:8089@evil.example.com",
        "[::1",
        "[::1]evil",
        "localhost:0x50",
        "localhost:１２",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_host_names_are_refused(host: str, method: str) -> None:
    """DNS rebinding: refused whatever else the request contains, even for static files."""
    guard = Guard("127.0.0.1", 8089, ("majlis.example.com", "proxy.example.com:8443"))
    asked = request(method, host=host, origin=f"http://{host}", content_type="application/json")
    assert status(guard, asked) == 421


def test_the_listening_address_is_accepted_as_host() -> None:
    assert status(Guard("10.0.0.5", 8089), request(host="10.0.0.5:8089")) is None
    assert status(Guard("10.0.0.5", 8089), request(host="10.0.0.6:8089")) == 421
    assert status(Guard("10.0.0.5", 80), request(host="10.0.0.5")) is None
    assert status(Guard("fd00::5", 8089), request(host="[fd00::5]:8089")) is None


def test_listening_on_all_addresses_accepts_any_address_and_no_name() -> None:
    for everywhere in ("0.0.0.0", "::", "*"):
        guard = Guard(everywhere, 8089)
        assert status(guard, request(host="10.0.0.5:8089")) is None
        assert status(guard, request(host="[fd00::5]:8089")) is None
        assert status(guard, request(host="10.0.0.5:8090")) == 421
        assert status(guard, request(host="server.lan:8089")) == 421


def test_changes_need_our_own_origin_and_json() -> None:
    guard = Guard("127.0.0.1", 8089, ("majlis.example.com",))
    host, kind = "localhost:8089", "application/json; charset=utf-8"

    def posted(**headers: str) -> int | None:
        return status(guard, request("POST", host=host, **headers))

    assert posted(origin="http://localhost:8089", content_type=kind) is None
    assert posted(content_type=kind) is None  # a program, which sends no Origin
    assert posted(origin="null", content_type=kind, sec_fetch_site="same-origin") is None
    assert posted(origin="null", content_type=kind) == 403
    assert posted(origin="http://localhost:3000", content_type=kind) == 403
    assert posted(origin="http://127.0.0.1:8089", content_type=kind) == 403
    assert posted(origin="https://evil.example.com", content_type=kind) == 403
    assert posted(origin="localhost:8089", content_type=kind) == 403
    assert posted(origin="http://localhost:8089") == 415
    assert posted(origin="http://localhost:8089", content_type="text/plain") == 415
    assert posted(content_type="application/x-www-form-urlencoded") == 415
    behind = request(
        "DELETE", host="majlis.example.com", origin="https://majlis.example.com", content_type=kind
    )
    assert status(guard, behind) is None


def test_data_is_refused_to_pages_of_other_sites() -> None:
    assert cross_site_refusal(request()) is None
    assert cross_site_refusal(request(sec_fetch_site="same-origin")) is None
    assert cross_site_refusal(request(sec_fetch_site="none")) is None
    for site in ("same-site", "cross-site"):
        refusal = cross_site_refusal(request(sec_fetch_site=site))
        assert refusal is not None and refusal.status == 403


def test_host_headers_are_split_into_name_and_port() -> None:
    assert split_host("Example.com:8443") == ("example.com", 8443)
    assert split_host("[::1]:80") == ("::1", None)
    assert split_host("example.com:99999x") == ("", None)
