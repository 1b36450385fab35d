"""The dashboard by its settings: where it is served, which links it gives, and when it is off."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.errors import Conflict
from actors.messages import Message
from daemon.config import ConfigError, Settings, load
from daemon.controls.live_settings import LiveSettings
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.run.dashboard import Dashboard
from daemon.run.inside import Inside
from daemon.run.late import Late
from daemon.run.lifecycle import AdminDoor
from daemon.web.http1 import Response
from tests.daemon.dashboard.browser import SECONDS, read


def settings(directory: Path, **dashboard: object) -> Settings:
    assignments = [f"dashboard.{key}={value}" for key, value in dashboard.items()]
    return load(None, [f"data_dir={directory}", *assignments], {})


async def take(message: Message) -> Response:
    raise AssertionError("nothing is said here")


@asynccontextmanager
async def served(from_settings: Settings) -> AsyncIterator[Dashboard]:
    feed = EventFeed(strict=True)
    nothing: Late[Inside] = Late()
    admin = AdminDoor(Health(feed), lambda: None)
    live = LiveSettings(from_settings)
    dashboard = Dashboard(from_settings, live, feed, take, admin, nothing, lambda _, error: None)
    with trio.fail_after(SECONDS):
        async with dashboard.open():
            yield dashboard


def fault(directory: Path, **dashboard: object) -> str:
    with pytest.raises(ConfigError) as refused:
        settings(directory, **dashboard)
    return str(refused.value)


@pytest.mark.parametrize(
    ("listen", "shown"),
    [
        ("127.0.0.1:0", r"http://127\.0\.0\.1:\d+"),
        ("localhost:0", r"http://localhost:\d+"),
        ("'[::1]:0'", r"http://\[::1\]:\d+"),
        ("0.0.0.0:0", r"http://127\.0\.0\.1:\d+"),
        ("'[::]:0'", r"http://\[::1\]:\d+"),
        ("'*:0'", r"http://127\.0\.0\.1:\d+"),
    ],
)
async def test_a_link_points_to_the_listening_address(tmp_path: Path, listen: str, shown: str) -> None:
    async with served(settings(tmp_path, listen=listen)) as dashboard:
        link = dashboard.site.new("read", "uid 1000")
        found = re.fullmatch(rf"({shown})/#login=([\w-]{{43}})", link.url)
        assert found is not None, link.url
        assert (link.level, link.seconds, link.others) == ("read", 3600.0, [])
        view = dashboard.site.view()
        assert view is not None and view.address == found[1]
        answer = await ask(found[1], "POST", "/session", f'{{"token": "{found[2]}"}}')
        assert answer.startswith("HTTP/1.1 200")


async def test_configured_hosts_get_a_link_each(tmp_path: Path) -> None:
    async with served(settings(tmp_path, listen="127.0.0.1:0", hosts="[majlis.example.com]")) as dashboard:
        link = dashboard.site.new("admin", "uid 0")
        assert link.others == [f"https://majlis.example.com{link.url[link.url.index('/#') :]}"]


async def test_while_starting_pages_are_served_and_the_rest_gets_503(tmp_path: Path) -> None:
    async with served(settings(tmp_path, listen="127.0.0.1:0")) as dashboard:
        place, _, token = dashboard.site.new("operate", "uid 0").url.partition("/#login=")
        assert (await ask(place, "GET", "/")).startswith("HTTP/1.1 200")
        opened = read((await ask(place, "POST", "/session", f'{{"token": "{token}"}}')).encode())
        for path in ("/v1/status", "/v1/tail"):
            answer = read((await ask(place, "GET", path, cookie=opened.cookie)).encode())
            assert (answer.status, answer.reason) == (503, "starting")
        playground = read(
            (await ask(place, "GET", "/playground?instance=demo", cookie=opened.cookie)).encode()
        )
        assert (playground.status, playground.reason) == (503, "starting")


async def test_the_playground_can_be_disabled(tmp_path: Path) -> None:
    async with served(settings(tmp_path, listen="127.0.0.1:0", playground="false")) as dashboard:
        place, _, token = dashboard.site.new("admin", "uid 0").url.partition("/#login=")
        opened = read((await ask(place, "POST", "/session", f'{{"token": "{token}"}}')).encode())
        assert opened.document["playground"] is False
        answer = read((await ask(place, "GET", "/playground?instance=demo", cookie=opened.cookie)).encode())
        assert (answer.status, answer.reason) == (404, "no_playground")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errno.EADDRINUSE, "127.0.0.1:8089 is taken by another program: stop it, or"),
        (errno.EACCES, "this user may not listen on 127.0.0.1:8089: "),
        (errno.EADDRNOTAVAIL, "127.0.0.1:8089 cannot be listened on (Cannot assign requested address): "),
    ],
)
async def test_an_unavailable_address_is_reported_and_stops_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, sentence: str
) -> None:
    async def refuse(listen: str) -> list[trio.SocketListener]:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("daemon.dashboard.site.open_tcp_listeners", refuse)
    async with served(settings(tmp_path)) as dashboard:
        view = dashboard.site.view()
        assert view is not None and view.address == "" and view.problem.startswith(sentence)
        assert dashboard.greeting(with_link=True) == f"No dashboard: {view.problem}"
        with pytest.raises(Conflict, match=re.escape(view.problem)):
            dashboard.site.new("admin", "uid 0")


async def test_the_dashboard_can_be_disabled(tmp_path: Path) -> None:
    async with served(settings(tmp_path, listen="null")) as dashboard:
        assert dashboard.site.view() is None and dashboard.greeting(with_link=True) == ""
        with pytest.raises(Conflict, match=r"dashboard\.listen"):
            dashboard.site.new("read", "uid 1000")


async def test_the_banner_contains_a_link_only_when_allowed(tmp_path: Path) -> None:
    async with served(settings(tmp_path, listen="127.0.0.1:0", level="read")) as dashboard:
        place = dashboard.site.new("read", "uid 0").url.partition("/#")[0]
        assert (
            dashboard.greeting(with_link=False)
            == f"The dashboard: {place} (`majlis dashboard` prints a link)"
        )
        token = dashboard.greeting(with_link=True).partition("#login=")[2]
        opened = await ask(place, "POST", "/session", f'{{"token": "{token}"}}')
        assert '"level":"read"' in opened


def test_wrong_dashboard_settings_are_reported_by_key(tmp_path: Path) -> None:
    assert "dashboard.listen: must be host:port" in fault(tmp_path, listen="8089")
    for host in (
        "https://majlis.example.com",
        "Majlis.example.com",
        "majlis.example.com/path",
        "a b",
        "a:99999x",
    ):
        assert "dashboard.hosts.0: must be a host name in lower case" in fault(tmp_path, hosts=f"['{host}']")
    assert "dashboard.level: must be 'read', 'operate' or 'admin'" in fault(tmp_path, level="root")
    assert "dashboard.login_seconds: must be greater than 0" in fault(tmp_path, login_seconds=0)
    assert settings(tmp_path, hosts="[localhost, 'majlis.example.com:8443', a-b.c]").dashboard.hosts


async def ask(place: str, method: str, path: str, body: str = "", cookie: str = "") -> str:
    host = place.removeprefix("http://")
    name, _, port = host.rpartition(":")
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Cookie: {cookie}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with await trio.open_tcp_stream(name.strip("[]"), int(port)) as stream:
        await stream.send_all((head + body).encode())
        return b"".join([piece async for piece in stream]).decode()
