"""The gateway a reply is sent through: that of the settings in force, or one that a webhook names and they allow."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
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
def daemon(gateway: FakeEvolution, second: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    with daemon_under_test(evolution(gateway, allowed_origins=[second.url]), openai(model)) as daemon:
        yield daemon


def _ask(daemon: DaemonUnderTest, phone: str, server_url: str, text: str = "hello") -> None:
    payload = upsert("demo", phone, text, f"M{phone}", int(time.time())) | {"server_url": server_url}
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


def test_a_changed_model_and_gateway_hold_for_the_next_burst_and_the_running_send_ends_where_it_began(
    daemon: DaemonUnderTest, gateway: FakeEvolution, second: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2, I6: at run time, for one instance; each customer gets one reply. A feed begins and ends with its setting."""
    running, following, other = (f"55119000002{number:02d}" for number in (1, 2, 3))
    daemon.majlis("set", "gateway.feed", "websocket", "--instance", "demo")
    daemon.wait_for(lambda: daemon.status()["feeds"], "the feed has begun")
    held = gateway.gate("before_send")
    _ask(daemon, running, "", "where are you?")
    held.wait_arrived()
    for key, value in (("model", model.model), ("gateway.base_url", second.url), ("gateway.feed", "webhook")):
        changed = daemon.majlis("set", key, value, "--instance", "demo")
        assert changed.returncode == 0, changed.stderr
    _ask(daemon, following, "", "do you deliver?")
    daemon.wait_for(lambda: second.texts(following), "the next one goes to the new gateway")
    _ask(daemon, other, "", "where are you?")  # what the former model said of it is not given again
    daemon.wait_for(lambda: second.texts(other), "and so does the one after it")
    held.release()
    daemon.wait_for(lambda: gateway.texts(running), "the running send ends where it began")
    daemon.wait_settled()
    counts = [
        [len(server.texts(phone)) for server in (gateway, second)] for phone in (running, following, other)
    ]
    assert counts == [[1, 0], [0, 1], [0, 1]]
    assert [question.model for question in model.questions[-3:]] == ["test", model.model, model.model]
    daemon.wait_for(lambda: not daemon.status()["feeds"], "the feed has ended")
    refused = daemon.majlis("set", "gateway.api_key", "canary-secret", "--instance", "demo")
    assert refused.returncode != 0 and "`majlis instance set NAME gateway.api_key=-`" in refused.stderr
    assert (
        "base_url: must be an http:// or https:// address"
        in daemon.majlis("set", "gateway.base_url", "nowhere", "--instance", "demo").stderr
    )
