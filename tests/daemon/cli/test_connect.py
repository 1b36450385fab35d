"""`majlis instance connect` and `rollback`, typed at a running admin server with a gateway behind it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import segno

from actors.identity import Conversation
from daemon.cli import waiting
from daemon.config import load
from daemon.ingress.witness import asked_by
from daemon.operate.call import Caller
from daemon.operate.qr import QUIET_MODULES, lines
from daemon.web.http1 import Peer
from daemon.web.http1 import Request as HttpRequest
from tests.daemon.cli.conftest import FakeTerminal, Typed, on_a_terminal
from tests.support.gateway_server import FakeEvolution
from tests.support.http_faults import Exchange, FaultServer, Request
from tests.support.operators import INSTALL, DoorInThread

CODE = "2@canary7394,abc"


class ProvingDoor(FaultServer):
    """Answers as the webhook door of this installation."""

    async def handle(self, request: Request, exchange: Exchange) -> None:
        asked = request.json()
        assert isinstance(asked, dict)
        nonce = asked_by(request.headers["apikey"])
        about = ("", nonce) if nonce else (asked["instance"], asked["data"]["nonce"])
        question = Conversation(about[0], f"probe {about[1]}")
        await exchange.answer_json(200, {"proof": question.label(INSTALL)})


@pytest.fixture
def gateway(door: DoorInThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEvolution]:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.02)
    with FakeEvolution().running() as gateway:
        known = {"kind": "evolution", "base_url": gateway.url, "api_key": gateway.api_key}
        (tmp_path / "own.yaml").write_text(json.dumps({"gateway": known}))
        settings = load(tmp_path / "own.yaml", environment={})
        door.do(lambda: _use(door, settings))
        yield gateway


async def _use(door: DoorInThread, settings: object) -> None:
    door.use(settings)  # type: ignore[arg-type]
    door.operators.feed.set_install_id(INSTALL)


@pytest.fixture
def url() -> Iterator[str]:
    with ProvingDoor().running() as served:
        yield f"{served.url}/webhook/acme"


def test_what_is_there_is_shown_asked_for_and_given_back(
    door: DoorInThread, majlis: Typed, gateway: FakeEvolution, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = gateway.webhook
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    refused = majlis("instance", "connect", "acme", "--url", url)
    assert refused.status == 2 and "add --yes" in refused.err and "127.0.0.1:8080/webhook?…" in refused.out
    assert gateway.webhook_of("acme") == former
    done = majlis("instance", "connect", "acme", "--url", url, "--yes", "--wait", "0")
    assert done.status == 0 and "read back" in done.out and "no event came yet" in done.out
    assert "secret" not in refused.out + done.out and gateway.webhook_of("acme") != former
    shown = json.loads(majlis("instance", "connect", "acme", "--yes", "--json").out)
    assert shown["done"] is True

    came = iter(range(3))  # each look of the command: an event a moment later

    async def look(instance: str) -> object:
        if next(came, 0):
            door.operators.witness.saw(instance, "send.message")
        return await one(instance)

    one = door.operators.connection_board.one
    monkeypatch.setattr(door.operators.connection_board, "one", look)
    assert "it works: send.message came" in majlis("instance", "connect", "acme", "--yes").out

    gateway.webhooks["acme"] = {**(gateway.webhook_of("acme") or {}), "url": "https://third.example/x"}
    changed = majlis("instance", "rollback", "--all", "--yes", "--wait", "0")
    assert changed.status == 1 and "not given back: acme" in changed.err
    assert "https://third.example/x" in changed.out and "--force" in changed.out
    back = majlis("instance", "rollback", "acme", "--yes", "--force")
    assert back.status == 0 and "nothing left to answer" in back.out
    assert (gateway.webhook_of("acme") or {})["url"] == (former or {})["url"]
    assert (
        majlis("instance", "rollback").status == 2
        and majlis("instance", "rollback", "a", "--all").status == 2
    )
    assert majlis("instance", "connect", "acme", "--api-key", "canary").status == 2


def test_silence_for_a_connected_instance_is_asked_about_first(
    door: DoorInThread, majlis: Typed, gateway: FakeEvolution, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its former system hears nothing: if Majlis falls silent or forgets it, the customers write to nobody."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    former = gateway.webhook
    majlis("instance", "add", "rose", "mode=live")
    assert majlis("instance", "set", "rose", "mode=shadow").status == 0, (
        "not connected: its old system answers"
    )
    majlis("instance", "set", "rose", "mode=live")
    assert majlis("instance", "connect", "rose", "--url", url, "--yes", "--wait", "0").status == 0
    document = {"instances": {"rose": {"mode": "off"}}}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(document)))
    planned = majlis("instance", "apply", "-f", "-", "--dry-run")
    assert "no answer from anyone" in " ".join(planned.out.split())
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for words in (
        ("instance", "set", "rose", "mode=shadow"),
        ("instance", "set", "rose", "active=false"),
        ("instance", "rollback", "rose", "--to", "2"),
        ("set", "mode", "off", "--instance", "rose"),
    ):
        asked = majlis(*words)
        assert asked.status == 2 and "no answer from anyone" in asked.err and "--yes" in asked.err, words
        assert "mode=passthrough" in asked.err and "majlis instance rollback rose" in asked.err
    assert door.operators.live.terms("rose").mode == "live"
    assert majlis("instance", "set", "rose", "batching.window_seconds=5").status == 0
    assert majlis("instance", "set", "rose", "mode=shadow", "--yes").status == 0
    assert majlis("instance", "set", "rose", "mode=off").status == 0, "nobody answers already"

    answer = door.do(lambda: _post(door, "remove"))
    assert (answer["reason"], gateway.webhook_of("rose") == former) == ("asks_first", False)
    removed = majlis("instance", "remove", "rose", "--rollback", "--yes")
    assert removed.status == 0 and "given back" in removed.out and "is removed" in removed.out
    assert (gateway.webhook_of("rose") or {})["url"] == (former or {})["url"]


async def _post(door: DoorInThread, deed: str) -> dict[str, object]:
    segments = ("v1", "instances", "rose", deed)
    request = HttpRequest("POST", "/".join(segments), segments, {}, {}, b"{}", Peer("", uid=0))
    response = await door.operators.api.answer(request, Caller("admin"))
    return dict(msgspec.json.decode(response.body))


def test_a_code_is_shown_until_the_phone_is_paired(
    door: DoorInThread, majlis: Typed, gateway: FakeEvolution, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = on_a_terminal(monkeypatch)
    gateway.phones["acme"], gateway.codes["acme"] = "close", CODE
    looks = iter([CODE, CODE, "2@another", ""])

    async def qr(instance: str, phone: str) -> object:
        gateway.codes["acme"] = next(looks)
        if not gateway.codes["acme"]:
            gateway.phones["acme"] = "open"
        return await pair(instance, phone)

    pair = door.operators.connection_board.qr
    monkeypatch.setattr(door.operators.connection_board, "qr", qr)
    typed = majlis(
        "instance", "connect", "acme", "--url", url, "--yes", "--wait", "0", "--phone", "5511999990012"
    )
    assert typed.status == 0 and screen.text.count("Scan it") == 2, "once for each code"
    assert "type WZYEH1YY" in screen.text and "the phone is paired" in screen.text
    assert read_back(screen) == matrix(CODE)


def read_back(screen: FakeTerminal) -> list[list[bool]]:
    """The modules as a terminal shows them: the colours of the upper and the lower half of each character."""
    rows: list[list[bool]] = []
    for line in lines(CODE):
        assert line in screen.text and line.endswith("\x1b[0m")
        upper: list[bool] = []
        lower: list[bool] = []
        for piece in line.removesuffix("\x1b[0m").split("\x1b[")[1:]:
            colours, _, blocks = piece.partition("m")
            _, _, above, _, _, below = colours.split(";")
            upper += [above == "16"] * len(blocks)
            lower += [below == "16"] * len(blocks)
        rows += [upper, lower]
    return rows


def matrix(code: str) -> list[list[bool]]:
    made = segno.make(code, error="l", boost_error=False, micro=False)
    rows = [[bool(module) for module in row] for row in made.matrix_iter(border=QUIET_MODULES)]
    return rows + [[False] * len(rows[0])] * (len(rows) % 2)
