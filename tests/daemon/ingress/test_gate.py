"""What the ingress says to the head of a request, before any of its body is read."""

from __future__ import annotations

import pytest

from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.access import Authorize, SharedToken, open_door
from daemon.ingress.answers import Readiness
from daemon.ingress.counters import IngressObservers
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress
from daemon.web.http1 import Peer, Request, Response
from tests.daemon.ingress.test_webhooks import Room

TOKEN = {"authorization": "Bearer token"}


def head(method: str, path: str, headers: dict[str, str] | None = None) -> Request:
    segments = tuple(path.removeprefix("/").split("/"))
    return Request(method, path, segments, {}, headers or {}, b"", Peer("127.0.0.1"))


def ingress(authorize: Authorize, measured: list[int]) -> Ingress:
    async def quarantine(_body: bytes, _reason: str) -> None:
        raise AssertionError("no body was read")

    return Ingress(
        reader=Reader(parse_webhook),
        inbox=Room(),
        readiness=lambda: Readiness(True),
        quarantine=quarantine,
        authorize=authorize,
        observers=IngressObservers(measure=lambda status, _seconds: measured.append(status)),
    )


@pytest.mark.parametrize(
    "path",
    ["/webhook", "/webhook/demo", "/webhook/demo/messages-upsert", "/webhook/demo/", "//WebHook///demo//"],
)
def test_a_webhook_is_known_by_its_token_and_refused_without(path: str) -> None:
    measured: list[int] = []
    door = ingress(SharedToken(["token"]), measured)
    assert door.gate(head("POST", path, TOKEN)) is True
    assert measured == [] and door.counters.unauthorized == 0
    for wrong in ({}, {"apikey": "tok"}, {"authorization": "Bearer "}):
        refusal = door.gate(head("POST", path, wrong))
        assert isinstance(refusal, Response) and refusal.status == 401
    assert measured == [401] * 3  # each counts once, here or in `handle`
    assert door.counters.unauthorized == 3


def test_where_there_is_no_token_every_webhook_is_known() -> None:
    assert ingress(open_door, []).gate(head("POST", "/webhook/demo")) is True


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("POST", "/"),
        ("POST", "/webhooks/demo"),
        ("GET", "/webhook/demo"),
    ],
)
def test_any_other_request_is_of_a_stranger_and_is_read(method: str, path: str) -> None:
    """Also one with the token: it is worth a place only with a message."""
    measured: list[int] = []
    door = ingress(SharedToken(["token"]), measured)
    for headers in ({}, TOKEN):
        assert door.gate(head(method, path, headers)) is False
    assert measured == [] and door.counters.unauthorized == 0
