"""An instance's webhook at its gateway: set to Majlis, proven, given back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import crash_points
from actors.counted import ActorView
from actors.errors import Conflict, Missing
from actors.identity import Conversation
from actors.messages import Message
from daemon.config import load
from daemon.config.run_time import for_daemon
from daemon.config.secret_keys import KEY_BYTES, key_id
from daemon.gateways.evolution.payload import OF_TYPING, WANTED_EVENTS, parse_webhook
from daemon.gateways.webhook_setup import SetupFailed
from daemon.ingress.access import Authorize, DoorTokens, SharedToken, closed_door, open_door
from daemon.ingress.answers import Readiness
from daemon.ingress.counters import IngressObservers
from daemon.ingress.credentials import Allows
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress
from daemon.ingress.witness import Prove
from daemon.operate import connections
from daemon.operate.call import Caller
from daemon.operate.connect_look import ConnectDoor
from daemon.operate.connect_wish import ConnectWish, Looked
from daemon.operate.connecting import Connecting
from daemon.operate.connection_views import ConnectBody, ConnectView, DisconnectBody
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.tenants.secret_keys import SecretKeys
from daemon.web.client import HttpClient
from daemon.web.http1 import Peer, Request, Response, json_response
from tests.daemon.web.http1.support import serving
from tests.support.gateway_server import FakeEvolution, Fault
from tests.support.operators import SEALING_KEYS, Operators, open_operators

TOKEN, OTHER_TOKEN, SHARED_TOKEN = "door-token-4711", "door-token-4712", "door-token-4713"
HEARD_FIELDS = ("url", "headers", "enabled", "events", "webhookByEvents", "webhookBase64")
FORMER = {
    "url": "https://old.example/hook/7?key=canary7391",
    "headers": {"jwt_key": "canary7392", "x-tenant": 7},
    "enabled": True,
    "events": ["MESSAGES_UPSERT", "QRCODE_UPDATED", "CALL"],
    "webhookByEvents": True,
    "webhookBase64": True,
}


@pytest.fixture
def gateway() -> Iterator[FakeEvolution]:
    with FakeEvolution(instances=frozenset({"demo", "shop", "new"})).running() as gateway:
        gateway.webhook = {**FORMER, "id": "cmfyoow42000hov4xwkdug3lv"}
        yield gateway


@pytest.fixture
async def operators(
    migrated_postgres_dsn: str, gateway: FakeEvolution, tmp_path: Path
) -> AsyncIterator[Operators]:
    known = {"kind": "evolution", "base_url": gateway.url, "api_key": gateway.api_key}
    tree = {
        "gateway": known,
        "ingress": {"auth": {"token": SHARED_TOKEN}},
        "instances": {
            **{name: {"ingress": {"token": TOKEN}} for name in ("demo", "shop", "new", "gone")},
            "other": {"gateway": {"kind": "console"}},
        },
    }
    (tmp_path / "own.yaml").write_text(json.dumps(tree))
    settings = load(tmp_path / "own.yaml", environment={})
    async with open_operators(migrated_postgres_dsn, settings) as opened:
        await opened.records.register_instances(["demo", "shop", "new", "gone", "other"])
        yield opened


class NoInbox:
    def heard(self, messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[str]]:
        return messages, ()


@asynccontextmanager
async def majlis(
    operators: Operators,
    prove: Prove | None = None,
    token: str = TOKEN,
    authorize: Authorize | None = None,
) -> AsyncIterator[str]:
    """The webhook door; gives back its address."""

    prove = prove or operators.prove

    async def keep(body: bytes, reason: str) -> None:
        raise AssertionError(reason)

    ingress = Ingress(
        reader=Reader(parse_webhook),
        inbox=NoInbox(),  # type: ignore[arg-type]
        readiness=lambda: Readiness(True),
        quarantine=keep,
        authorize=authorize or SharedToken([token]),
        observers=IngressObservers(
            saw=operators.witness.saw,
            asked=lambda instance, nonce: operators.witness.asked(instance, nonce) and prove(instance, nonce),
        ),
    )
    async with serving(ingress.handle) as served:
        yield f"http://127.0.0.1:{served.port}"


async def connected(operators: Operators, url: str, instance: str = "demo", **more: object) -> ConnectView:
    """As the command does it: looked at, then done."""
    body = ConnectBody(url=url, **more)  # type: ignore[arg-type]
    found = await operators.connection_board.look(instance, body)
    assert not found.done and found.words
    if not (found.may_connect or body.force):
        return found
    body = msgspec.structs.replace(body, confirm=True, seen=found.seen)
    done = await operators.connection_board.connect(instance, body, "uid 0")
    assert done.done is (done.ended in ("set", "proven")) and done.words, "no end is without a reason"
    return done


async def given_back(operators: Operators, instance: str = "demo", force: bool = False) -> str:
    body = DisconnectBody(confirm=True, force=force)
    return (await operators.connection_board.disconnect(instance, body)).ended


def stands(gateway: FakeEvolution, instance: str = "demo") -> dict[str, object]:
    webhook = gateway.webhook_of(instance)
    assert webhook is not None
    return {name: webhook[name] for name in HEARD_FIELDS}


def states(view: ConnectView) -> dict[str, str]:
    return {check.name: check.state for check in view.checks}


async def test_connected_an_event_arrives_and_the_former_webhook_comes_back(
    operators: Operators, gateway: FakeEvolution
) -> None:
    board = operators.connection_board
    async with majlis(operators) as door, HttpClient() as http:
        url = f"{door}/webhook/demo"
        found = await board.look("demo", ConnectBody(url=url))
        assert found.may_connect and states(found)["way"] == "ok", found.checks
        assert found.former is not None and found.former.headers == ["jwt_key", "x-tenant"]
        assert stands(gateway) == FORMER, "to look changes nothing"
        assert (await board.one("demo")).connected is False
        done = await connected(operators, door)
        assert done.done and states(done)["read back"] == "ok"
        assert stands(gateway) == {
            "url": url,
            "headers": {"apikey": TOKEN},
            "enabled": True,
            "events": [*WANTED_EVENTS, OF_TYPING, "QRCODE_UPDATED", "CALL"],
            "webhookByEvents": False,
            "webhookBase64": True,
        }, "what the former one had comes on"
        told = gateway.event("demo", "connection.update", {"state": "open"})
        assert told is not None
        address, headers, body = told
        assert (await http.post_json(address, msgspec.json.decode(body), headers, 5, 4096)).status == 200
        now = await board.one("demo")
        assert (now.connected, now.events, now.last_event) == (True, 1, "connection.update")
        assert now.set_by == "uid 0" and now.url == url
        shown = b"".join(map(msgspec.json.encode, (found, done, now, await board.every())))
        for secret in (b"canary", TOKEN.encode(), gateway.api_key.encode()):
            assert secret not in shown
        rows = await operators.world.rows("SELECT * FROM majlis_connections")
        assert b"old.example" not in str(rows).encode() and b"canary" not in rows[0]["former"]
        assert await given_back(operators) == "given_back"
        assert stands(gateway) == FORMER
        assert await given_back(operators) == "not_connected"
        assert await given_back(operators, "nobody") == "failed", "a slip is no success"


async def test_an_address_of_our_own_is_never_the_former_one(
    operators: Operators, gateway: FakeEvolution
) -> None:
    async with majlis(operators) as door, majlis(operators) as moved:
        await connected(operators, door)
        assert states(await connected(operators, ""))["address"] == "ok", "as last time"
        await connected(operators, moved)
        gateway.webhooks["demo"] = {**stands(gateway), "url": f"{door}/webhook/demo", "enabled": False}
        assert (await connected(operators, moved)).done, "an older one of ours is ours as well"
        assert stands(gateway)["url"] == f"{moved}/webhook/demo" and stands(gateway)["enabled"] is True
        gateway.webhooks["demo"] = None
        assert (await connected(operators, moved)).done, "nothing is no former webhook"
        shop = await operators.connection_board.look("shop", ConnectBody())
        assert shop.shall.url == f"{moved}/webhook/shop", "as for the one that was connected last"
        await operators.db.fetch("UPDATE majlis_connections SET key_id = 'gone'")
        view = await connected(operators, "")
        assert view.done and states(view)["webhook before"] == "warning"
        await operators.db.fetch(
            "UPDATE majlis_connections SET key_id = $1", operators.secret_keys.to_open().first
        )
    assert await given_back(operators) == "given_back" and stands(gateway) == FORMER


class Killed(BaseException):
    pass


@pytest.mark.parametrize("point", ["former_remembered", "webhook_set", "webhook_restored"])
async def test_killed_between_two_steps_the_same_command_ends_it(
    operators: Operators, gateway: FakeEvolution, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(reached: str) -> None:
        if reached == point:
            raise Killed

    async with majlis(operators) as door:
        with monkeypatch.context() as patch:
            patch.setattr(crash_points, "hook", die)
            if point != "webhook_restored":
                with pytest.raises(Killed):
                    await connected(operators, door)
            else:
                await connected(operators, door)
                with pytest.raises(BaseException) as died:
                    await given_back(operators)
                assert isinstance(died.value, Killed) and stands(gateway) == FORMER
        if point == "webhook_restored":
            assert await given_back(operators) == "given_back"
        else:
            assert (await operators.connection_board.one("demo")).connected
            assert (await connected(operators, door)).done
            assert stands(gateway)["url"] == f"{door}/webhook/demo"
        assert await given_back(operators) in ("given_back", "not_connected")
        assert stands(gateway) == FORMER


async def test_a_webhook_that_somebody_changed_is_left_alone(
    operators: Operators, gateway: FakeEvolution
) -> None:
    async with majlis(operators) as door:
        await connected(operators, door)
        theirs = {**FORMER, "url": "https://third.example/hook"}
        gateway.webhooks["demo"] = theirs
        view = await operators.connection_board.disconnect("demo", DisconnectBody(confirm=True))
        assert view.ended == "changed" and view.now is not None and view.former is not None
        assert (
            view.now.url == "https://third.example/hook" and view.former.url == "https://old.example/hook/7?…"
        )
        assert stands(gateway) == theirs
        found = await operators.connection_board.look("demo", ConnectBody())
        gateway.webhooks["demo"] = {**FORMER, "url": "https://fourth.example/hook"}
        with pytest.raises(Conflict, match="not the one that was shown"):
            body = ConnectBody(confirm=True, seen=found.seen)
            await operators.connection_board.connect("demo", body, "uid 0")
        assert stands(gateway)["url"] == "https://fourth.example/hook"
        assert await given_back(operators, force=True) == "given_back" and stands(gateway) == FORMER


@pytest.mark.parametrize(
    "former",
    [None, {**FORMER, "enabled": False, "events": []}, {**FORMER, "headers": {}, "webhookByEvents": False}],
)
async def test_none_at_all_and_one_switched_off_come_back_too(
    operators: Operators, gateway: FakeEvolution, former: dict[str, object] | None
) -> None:
    gateway.webhook = former
    async with majlis(operators) as door:
        assert (await connected(operators, door)).done
    assert await given_back(operators) == "given_back"
    gone = {
        "url": "",
        "enabled": False,
        "events": [],
        "headers": {},
        "webhookByEvents": False,
        "webhookBase64": False,
    }
    assert stands(gateway) == (gone if former is None else former)


async def test_the_way_is_proven_by_this_very_majlis(operators: Operators, gateway: FakeEvolution) -> None:
    """Neither a stranger's answer, nor that of another Majlis, nor a refusal proves it; then nothing is changed.

    No token goes there either: who sits at a mistyped address gets none.
    """
    shown: list[str] = []

    async def polite(request: Request) -> Response:
        shown.append(str(request.headers))
        return json_response(200, {"status": "ignored", "proof": "0123456789"})

    async def detail(url: str) -> tuple[str, str]:
        view = await connected(operators, url)
        (way,) = [check for check in view.checks if check.name == "way"]
        assert stands(gateway) == FORMER and not view.done
        return way.state, way.detail

    async with (
        majlis(operators, prove=lambda instance, nonce: "a proof of another key") as elsewhere,
        majlis(operators, token=OTHER_TOKEN) as shut,
        serving(polite) as stranger,
    ):
        operators.witness.asked("demo", "0" * 32)  # one that nobody expects is not noted
        for url, words in (
            (f"http://127.0.0.1:{stranger.port}/webhook/demo", "is not this Majlis"),
            (shut, "refuses the token"),
            ("http://127.0.0.1:9/webhook/demo", "does not answer from here"),
        ):
            state, said = await detail(url)
            assert state == "problem" and words in said
        assert shown and not any(token in one for one in shown for token in (TOKEN, SHARED_TOKEN))
        view = await operators.connection_board.look("demo", ConnectBody(url=elsewhere))
        assert states(view)["way"] == "warning" and view.may_connect, (
            "it arrived here, by way of something else"
        )
        forced = await connected(operators, "http://127.0.0.1:9/webhook/demo", force=True)
        assert forced.ended == "set" and "the next event proves it" in forced.words
        assert stands(gateway)["headers"] == {"apikey": TOKEN}, "its own, and never the one for all"


async def test_what_the_gateway_does_not_do_is_said(operators: Operators, gateway: FakeEvolution) -> None:
    async with majlis(operators) as door:
        cases: list[tuple[Fault, str]] = [
            ("set_400", "takes this address, one of the events or a header for invalid"),
            ("set_500", "may not be loaded"),
            ("set_reset_before", "is not known"),
        ]
        for fault, words in cases:
            gateway.order(fault)
            with pytest.raises(SetupFailed, match=words):
                await connected(operators, door)
            assert stands(gateway) == FORMER
        gateway.order("set_other")
        view = await connected(operators, door)
        assert not view.done and states(view)["read back"] == "problem"
        assert await given_back(operators) == "changed"
        gateway.webhooks["demo"] = {**FORMER}
        gateway.order("set_reset_after")
        with pytest.raises(SetupFailed, match="is not known"):
            await connected(operators, door)
        assert (await connected(operators, door)).done
        gateway.order("set_500")
        assert await given_back(operators) == "failed" and await given_back(operators) == "given_back"
        gateway.phones["demo"] = None  # type: ignore[assignment]  # not loaded: then it answers null for any webhook
        gateway.webhooks["demo"] = None
        view = await connected(operators, door)
        assert not view.may_connect and states(view)["gateway"] == "problem"
    assert (await connected(operators, door, "gone")).may_connect is False
    gateway.api_key = "another"
    assert states(await connected(operators, door))["gateway"] == "problem"


async def test_what_cannot_be_connected_says_why(operators: Operators) -> None:
    with pytest.raises(Missing, match="no instance called nobody"):
        await connected(operators, "https://majlis.example", "nobody")
    with pytest.raises(Conflict, match="kind console, whose webhooks are not set from here"):
        await connected(operators, "https://majlis.example", "other")
    for url in (
        "ftp://majlis.example",
        "majlis.example",
        "https://u:p@majlis.example/",
        "https://x.example/?key=1",
    ):
        with pytest.raises(Conflict, match=r"^url must"):
            await connected(operators, url)
    operators.listen = "0.0.0.0:1"
    view = await connected(operators, "")
    assert view.shall.url == "http://127.0.0.1:1/webhook/demo" and states(view)["address"] == "warning"
    with pytest.raises(Conflict, match="cannot be stored here"):
        await connected(
            operators, "http://127.0.0.1:9", force=True, gateway="http://127.0.0.1:9", api_key="k"
        )


async def test_the_audit_log_says_what_became_of_it(operators: Operators, gateway: FakeEvolution) -> None:
    """And an end that nobody foresaw is called one that may be half done."""

    async def post(deed: str, **body: object) -> int:
        segments = ("v1", "instances", "demo", deed)
        content = msgspec.json.encode({"confirm": True, **body})
        request = Request("POST", "/".join(segments), segments, {}, {}, content, Peer("", uid=0))
        return (await operators.api.answer(request, Caller("admin"))).status

    board = operators.connection_board
    async with majlis(operators) as door:
        seen = (await board.look("demo", ConnectBody(url=door))).seen
        await post("connect", url="http://127.0.0.1:9")
        await post("connect", url=door, seen="another")
        gateway.order("set_reset_before")
        await post("connect", url=door, seen=seen)
        gateway.order("set_other")
        await post("connect", url=door, seen=seen)
        await post("disconnect")
        gateway.webhooks["demo"] = {**FORMER}
        await post("connect", url=door, seen=seen)
        await post("disconnect")
        await post("connect", url="http://127.0.0.1:9", seen=seen, force=True)
    assert [operators.outcomes[number] for number in sorted(operators.outcomes)] == [
        ("refused", "asked, not set"),
        ("refused", "not set"),
        ("failed", "how it ended is not known"),
        ("failed", "set, not taken by the gateway"),
        ("refused", "changed"),
        ("done", "set, proven"),
        ("done", "given back"),
        ("done", "set, not proven"),
    ]


async def test_what_takes_too_long_ends_with_a_reason(
    operators: Operators, gateway: FakeEvolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.0)
    with pytest.raises(SetupFailed, match=r"was stopped.*Repeat the command"):
        await operators.connection_board.connect("demo", ConnectBody(confirm=True), "uid 0")
    assert stands(gateway) == FORMER


async def test_all_are_given_back_and_a_failure_stops_none(
    operators: Operators, gateway: FakeEvolution
) -> None:
    board = operators.connection_board
    async with majlis(operators) as door:
        for name in ("demo", "shop", "new"):
            assert (await connected(operators, door, name)).done
    gateway.instances = frozenset({"demo", "new"})
    gateway.webhooks["new"] = {**FORMER, "url": "https://third.example"}
    waits = ActorView(Conversation("demo", "5511999990001"), "waiting", (), None, 0, 0, None, "")
    operators.actors.show(waits)
    await operators.world.rows("INSERT INTO majlis_forward_queues (instance, waiting) VALUES ('demo', 2)")
    page = await board.disconnect_all(DisconnectBody())
    assert {one.instance: one.ended for one in page.instances} == {
        "demo": "would_be",
        "new": "changed",
        "shop": "failed",
    }
    page = await board.disconnect_all(DisconnectBody(confirm=True))
    found = {one.instance: one for one in page.instances}
    assert found["demo"].ended == "given_back" and found["demo"].pending == 1
    assert (found["demo"].forwards, found["shop"].forwards) == (2, 0)
    assert "no such instance" in found["shop"].words
    assert stands(gateway) == FORMER and page.left == []
    operators.mirror.is_away = True
    assert (await board.one("shop")).pending is None, "not known is not nothing"


class StoredSettings:
    """The store of tenants' settings: what is changed is in force a moment later."""

    def __init__(self, operators: Operators, config: Path) -> None:
        self.changes: list[tuple[str, dict[str, object]]] = []
        self._operators = operators
        self._config = config

    async def change(
        self, name: str, changes: Mapping[str, object], unset: Collection[str], by: str, why: str = ""
    ) -> None:
        self.changes.append((name, dict(changes)))
        tree = json.loads(self._config.read_text())
        own = tree["instances"].setdefault(name, {})
        for key, value in changes.items():
            section, _, inner = key.rpartition(".")
            (own.setdefault(section, {}) if section else own)[inner] = value
        for key in unset:
            section, _, inner = key.rpartition(".")
            del own[section][inner]
        self._config.write_text(json.dumps(tree))
        self._operators.live.put(for_daemon(load(self._config, environment={}), ()), {})


async def test_an_instance_gets_a_token_and_a_gateway_of_its_own(
    operators: Operators, gateway: FakeEvolution, tmp_path: Path
) -> None:
    """The token is made before the address is proven, and is what the gateway shows from then on."""
    stored = StoredSettings(operators, tmp_path / "own.yaml")
    door = ConnectDoor(lambda: operators.listen, operators.witness, HttpClient)
    connecting = Connecting(
        operators.live, operators.records, operators.connections, operators.former, door, stored
    )
    wish = ConnectWish(gateway=gateway.url, api_key=gateway.api_key)

    def token() -> str:
        tokens = operators.live.for_instance("other").ingress.token
        return tokens[0].get_secret_value() if tokens else ""

    def authorize(request: Request) -> Allows | None:
        return SharedToken([token() or "none yet"])(request)

    gateway.instances = frozenset({"other"})
    async with majlis(operators, authorize=authorize) as url:
        wish = msgspec.structs.replace(wish, url=url)
        found = await connecting.look("other", wish)
        assert found.proven and found.shall.headers == {"apikey": ""} and stored.changes == []
        nowhere = msgspec.structs.replace(wish, url="http://127.0.0.1:9")
        assert (await connecting.connect("other", nowhere, "", "uid 0")).ended == "not_set"
        assert not token(), "whoever posts for it today has none: the door would refuse all of that"
        done = await connecting.connect("other", wish, connecting.fingerprint(found.now), "uid 0")
        assert done.ended == "proven"
    (of_gateway, *_, of_token, _) = stored.changes
    assert of_gateway == (
        "other",
        {
            "gateway.kind": "evolution",
            "gateway.base_url": gateway.url,
            "gateway.api_key": gateway.api_key,
        },
    )
    assert of_token == ("other", {"ingress.token": token()}) and len(token()) >= 32
    assert stands(gateway, "other")["headers"] == {"apikey": token()}


async def test_an_instance_with_a_key_of_jwts_and_no_token_shows_those(
    operators: Operators, gateway: FakeEvolution, tmp_path: Path
) -> None:
    """The gateway makes them with the key, and the way is proven as it will be gone. No token is made beside it."""
    stored = StoredSettings(operators, tmp_path / "own.yaml")
    door = ConnectDoor(lambda: operators.listen, operators.witness, HttpClient)
    connecting = Connecting(
        operators.live, operators.records, operators.connections, operators.former, door, stored
    )
    key = "jwt-key-of-other-4714"
    await stored.change("other", {"ingress.jwt_key": key}, (), "test")
    gateway.instances = frozenset({"other"})
    authorize = DoorTokens(closed_door, operators.live.own_credentials, KnownInstances(["other"]))
    async with majlis(operators, authorize=authorize) as url:
        wish = ConnectWish(url=url, gateway=gateway.url, api_key=gateway.api_key)
        found = await connecting.look("other", wish)
        done = await connecting.connect("other", wish, connecting.fingerprint(found.now), "uid 0")
    assert done.ended == "proven" and stands(gateway, "other")["headers"] == {"jwt_key": key}
    assert operators.live.for_instance("other").ingress.token is None
    (of_token,) = (check for check in done.checks if check.name == "token")
    assert of_token.state == "warning" and "after 11 minutes it is refused" in of_token.detail


async def test_whoever_had_the_messages_can_have_them_again(
    operators: Operators, gateway: FakeEvolution, tmp_path: Path
) -> None:
    """Where they went, with what, and which of them, is the address of mode passthrough; and nobody is left alone."""
    stored = StoredSettings(operators, tmp_path / "own.yaml")
    door = ConnectDoor(lambda: operators.listen, operators.witness, HttpClient)
    connecting = Connecting(
        operators.live, operators.records, operators.connections, operators.former, door, stored
    )

    async def connect(**wish: Any) -> Looked:
        ask = ConnectWish(url=url, **wish)
        found = await connecting.look("demo", ask)
        return await connecting.connect("demo", ask, connecting.fingerprint(found.now), "uid 0")

    async with majlis(operators) as url:
        await stored.change("demo", {"mode": "shadow", "ingress.token": TOKEN}, (), "test")
        found = await connect()
        assert found.ended == "not_set" and stands(gateway) == FORMER, "nobody would answer"
        assert {check.name: check.state for check in found.checks}["mode"] == "problem"
        assert "passthrough.url" not in stored.changes[-1][1]
        assert (await connect(passthrough=True)).ended == "proven"
        passed = operators.live.for_instance("demo").passthrough
        assert operators.live.terms("demo").mode == "passthrough"
        assert passed.url is not None and passed.url.get_secret_value() == FORMER["url"]
        headers = {name: value.get_secret_value() for name, value in passed.headers.items()}
        assert headers == {"jwt_key": "canary7392", "x-tenant": "7"}
        assert passed.by_events and list(passed.events) == FORMER["events"]
        changes = len(stored.changes)
        await stored.change("demo", {"passthrough.url": "https://inside.example"}, (), "test")
        assert (await connect()).ended == "proven" and len(stored.changes) == changes + 1, (
            "what somebody set since stays"
        )
        gateway.webhooks["shop"] = None
        with_nobody = await connecting.look("shop", ConnectWish(url=url, passthrough=True))
        assert not with_nobody.is_answered, "there is nobody to forward to"


@pytest.mark.parametrize("arrives", [True, False])
async def test_an_open_door_asks_for_the_token_only_when_the_gateway_shows_it_and_it_arrives(
    migrated_postgres_dsn: str, gateway: FakeEvolution, tmp_path: Path, arrives: bool
) -> None:
    """I1: the gateway never repeats what is refused for its token, so nothing is refused while it is connected."""
    known = {"kind": "evolution", "base_url": gateway.url, "api_key": gateway.api_key}
    (tmp_path / "own.yaml").write_text(json.dumps({"gateway": known, "instances": {"demo": {}}}))
    settings = load(tmp_path / "own.yaml", environment={})
    async with open_operators(migrated_postgres_dsn, settings) as operators:
        await operators.records.register_instances(["demo"])
        await connected_at_an_open_door(operators, gateway, arrives)


async def connected_at_an_open_door(operators: Operators, gateway: FakeEvolution, arrives: bool) -> None:
    """With the real store of settings."""
    await operators.changes.look()
    door = ConnectDoor(lambda: operators.listen, operators.witness, HttpClient)
    connecting = Connecting(
        operators.live, operators.records, operators.connections, operators.former, door, operators.tenants
    )
    shown_when_asked_for: list[str] = []

    def authorize(request: Request) -> Allows | None:
        """As `DoorTokens` of an open door; where the token does not arrive, a proxy took it away."""
        tokens = operators.live.for_instance("demo").ingress.token
        if not tokens:
            return open_door(request)
        webhook = gateway.webhook_of("demo")
        shown_when_asked_for.append(str(webhook and webhook["headers"]))
        return SharedToken([tokens[0].get_secret_value()])(request) if arrives else None

    async with majlis(operators, authorize=authorize) as url:
        wish = ConnectWish(url=url, gateway=gateway.url, api_key=gateway.api_key)
        found = await connecting.look("demo", wish)
        assert found.proven
        done = await connecting.connect("demo", wish, connecting.fingerprint(found.now), "uid 0")
    assert done.ended == "proven"
    token = json.loads(json.dumps(stands(gateway)["headers"]))["apikey"]
    assert shown_when_asked_for and all(token in shown for shown in shown_when_asked_for)
    assert (operators.live.for_instance("demo").ingress.token is not None) is arrives
    state = "ok" if arrives else "warning"
    assert [check.state for check in done.checks if check.name == "token"][-1] == state
    (latest, _), *_ = await operators.tenants.history("demo", 1)
    assert latest.why.startswith("connect") and latest.made_by == "uid 0"
    assert ("ingress.token" in latest.state.secrets) is arrives and "gateway.api_key" in latest.state.secrets
    assert token not in str(latest.state) and gateway.api_key not in str(latest.state)


async def test_changed_keys_seal_what_is_remembered_anew(
    operators: Operators, gateway: FakeEvolution
) -> None:
    async with majlis(operators) as door:
        await connected(operators, door)
    both = SecretKeys((b"n" * KEY_BYTES, SEALING_KEYS[0]))
    of = operators.connections
    live, records, ways = operators.live, operators.records, ConnectDoor(str, operators.witness, HttpClient)
    assert list(await FormerWebhooks(of, SecretKeys((b"o" * KEY_BYTES,))).shut()) == ["demo"]
    rotating = FormerWebhooks(of, both)
    assert await rotating.reseal() == (1, {}) and await rotating.reseal() == (0, {})
    lost = FormerWebhooks(of, SecretKeys((b"o" * KEY_BYTES,)))
    assert (await lost.reseal()).shut.keys() == {"demo"}
    assert await rotating.by_key() == {key_id(b"n" * KEY_BYTES): 1}
    new = Connecting(live, records, of, FormerWebhooks(of, SecretKeys((b"n" * KEY_BYTES,))), ways)
    assert (await new.give_back("demo", force=False, confirm=True)).ended == "given_back"
    assert stands(gateway) == FORMER


async def test_a_code_is_for_admins_alone_and_is_kept_nowhere(
    operators: Operators, gateway: FakeEvolution
) -> None:
    gateway.phones["demo"], gateway.codes["demo"] = "close", "2@canary7393,abc"
    ask = Request(
        "GET",
        "/v1/instances/demo/qr",
        ("v1", "instances", "demo", "qr"),
        {"phone": "5511999990001"},
        {},
        b"",
        Peer("", uid=0),
    )
    for level, status in (("read", 403), ("operate", 403), ("admin", 200), ("admin", 200)):
        response = await operators.api.answer(ask, Caller(level))  # type: ignore[arg-type]
        assert response.status == status
    shown = msgspec.json.decode(response.body)
    assert (shown["phone"], shown["code"], shown["pairing_code"]) == (
        "connecting",
        "2@canary7393,abc",
        "WZYEH1YY",
    )
    assert shown["svg"].startswith("<svg") and response.headers["Cache-Control"] == "no-store"
    assert [entry.action for entry in operators.audited] == ["qr"], "a code that changes is one look"
    assert "canary" not in str(operators.audited)
    gateway.codes["demo"] = "x" * 5_000
    assert (await operators.connection_board.qr("demo", "")).svg == "", "no code of WhatsApp is as long"
    gateway.phones["demo"] = "open"
    assert (await operators.connection_board.qr("demo", "")).phone == "open"


async def test_a_test_message_goes_to_the_phone_itself(operators: Operators, gateway: FakeEvolution) -> None:
    async with majlis(operators) as door:
        view = await connected(operators, door, test_message=True)
        assert states(view)["test message"] == "warning", "the gateway does not tell the number"
        gateway.owner = "5511999990001"
        assert states(await connected(operators, door, test_message=True))["test message"] == "ok"
    assert [sent.number for sent in gateway.deliveries] == ["5511999990001"]
