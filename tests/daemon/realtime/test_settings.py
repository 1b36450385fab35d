"""Settings of the realtime door that do not fit together are refused before the daemon starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import ConfigError, Settings, load
from daemon.config.run_time import RunTimeValue, for_daemon, for_instance
from daemon.controls.live_settings import LiveSettings
from daemon.observe.feed import EventFeed
from daemon.run.realtime import RealtimeDoor, _client
from daemon.web.http1 import BodyBytes, Response

PROXY = "{name: proxy, token: canary-secret, instances: [demo], may_push: true}"


def given(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "given.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, (), {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("realtime: {listen: '8081'}", ["realtime.listen: must be host:port", "realtime.clients: must name"]),
        ("realtime: {listen: '127.0.0.1:1'}", ["realtime.clients: must name at least one client"]),
        (f"realtime: {{clients: [{PROXY}, {PROXY}]}}", ["clients.1.name", "clients.1.token: must differ"]),
        (f"realtime: {{listen: '127.0.0.1:1', clients: [{PROXY}], allowed_origins: ['https://a/b']}}",
         ["realtime.allowed_origins.0: must be scheme, host and port only"]),
        ("realtime: {clients: [{name: a, token: [canary-secret, b, c]}]}", ["realtime.clients.0.token"]),
        ("realtime: {clients: [{name: a, token: canary-secret, instances: some}]}", ["realtime.clients.0.instances"]),
        ("gateway: {kind: realtime, client: x}", ["gateway.kind: needs realtime.listen", "gateway.client: must be"]),
        (f"realtime: {{listen: '127.0.0.1:1', clients: [{PROXY}]}}\n"
         "instances: {other: {gateway: {kind: realtime, client: proxy}}}",
         ["instances.other.gateway.client: must name a client whose instances include other"]),
        ("gateway: {feed: websocket}", ["gateway.feed: can be websocket for kind evolution only"]),
        ("gateway: {kind: evolution, base_url: 'http://g', api_key: k, feed: websocket}\ninstances: {'a,b': {}}",
         ["gateway.feed: must be webhook for an instance with a comma"]),
    ],
)  # fmt: skip
def test_a_misfit_is_reported_by_its_key_and_without_a_secret(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    """I11."""
    with pytest.raises(ConfigError) as refused:
        given(tmp_path, text)
    said = str(refused.value)
    assert [word for word in words if word not in said] == []
    assert "canary-secret" not in said


async def nobody(body: bytes, instance: str | None, event: None, allows: object) -> Response:
    raise AssertionError


def test_a_client_may_deliver_when_it_is_a_gateway(tmp_path: Path) -> None:
    text = """
    realtime:
      listen: "127.0.0.1:0"
      clients: [{name: proxy, token: [a, b], instances: all, may_push: true}]
    gateway: {kind: realtime, client: proxy}
    instances: {one: {}, two: {}, three: {gateway: {kind: console}}}
    """
    settings = given(tmp_path, text)
    live = LiveSettings(settings)
    door = RealtimeDoor(
        settings, live, EventFeed(), nobody, lambda: None, lambda part, error: None, BodyBytes(1)
    )
    client = _client(settings.realtime.clients[0], door._delivers)
    delivers = [client.may_deliver]
    assert client.tokens == ("a", "b")
    assert client.may_see("anything") and client.may_push and not client.may_watch
    console = [RunTimeValue("gateway.kind", "console", "x")]
    live.put(for_all := for_daemon(settings, console), {})
    delivers.append(client.may_deliver)
    proxy = [RunTimeValue("gateway.kind", "realtime", "x")]
    live.put(for_all, {"one": for_instance(settings, for_all.layer, "one", proxy)})
    assert [*delivers, client.may_deliver] == [True, False, True]
