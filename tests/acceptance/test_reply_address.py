"""The gateway a reply is sent through: an address named by a webhook counts only if the operator allowed it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution
from tests.support.gateway_server import FakeEvolution
from tests.support.payloads import upsert


@pytest.fixture(scope="module")
def second() -> Iterator[FakeEvolution]:
    with FakeEvolution().running() as server:
        yield server


@pytest.fixture(scope="module")
def stranger() -> Iterator[FakeEvolution]:
    with FakeEvolution().running() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, second: FakeEvolution) -> Iterator[DaemonUnderTest]:
    with daemon_under_test(evolution(gateway, allowed_origins=[second.url])) as daemon:
        yield daemon


def _ask(daemon: DaemonUnderTest, phone: str, server_url: str) -> None:
    payload = upsert("demo", phone, "hello", f"M{phone}", int(time.time())) | {"server_url": server_url}
    assert daemon.post(payload).status == 200


def test_an_allowed_gateway_that_the_webhook_names(
    daemon: DaemonUnderTest, gateway: FakeEvolution, second: FakeEvolution
) -> None:
    _ask(daemon, "5511900000101", f"{second.url}/manager/")
    second.wait_for_deliveries(1)
    assert (len(second.texts("5511900000101")), gateway.texts("5511900000101")) == (1, [])


def test_a_gateway_that_is_not_allowed_gets_neither_reply_nor_key(
    daemon: DaemonUnderTest, gateway: FakeEvolution, stranger: FakeEvolution
) -> None:
    """I12."""
    _ask(daemon, "5511900000102", stranger.url)
    daemon.wait_for(lambda: gateway.texts("5511900000102"), "the configured gateway is used")
    assert stranger.connections == 0
