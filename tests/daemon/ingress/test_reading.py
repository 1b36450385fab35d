"""Whose webhook it is where path and payload name two instances, and which gateway's parser reads it."""

from __future__ import annotations

import msgspec
import pytest

from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.inbound import UnreadablePayload, no_webhooks
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.reading import Reader
from tests.support.payloads import upsert
from tests.support.pigeon import read_letters

LETTER = msgspec.json.encode({"letters": [{"from": "5511900001095", "mark": "A", "words": "hello"}]})
KNOWN = KnownInstances({"demo", "shop", "tower", "mute"})
READER = Reader(parse_webhook, {"tower": read_letters, "mute": no_webhooks}, KNOWN)


def posted(named: str) -> bytes:
    """As Evolution writes it, with a LID whose phone is given."""
    document = upsert(named, "5511900001095", "oi", "B", 1785100386)
    data = document["data"]
    assert isinstance(data, dict)
    data["key"] |= {"remoteJid": "168500006331@lid", "remoteJidAlt": "5511900001095@s.whatsapp.net"}
    return msgspec.json.encode(document)


def test_an_instance_in_the_path_is_read_as_its_gateway_writes() -> None:
    (message,) = READER.read(LETTER, "tower", None).inbound.messages
    assert (message.instance, message.id, message.text) == ("tower", "A", "hello")


@pytest.mark.parametrize("instance", ["demo", "nobody-declared-it", "messages-upsert", None])
def test_any_other_webhook_is_read_as_the_default_gateway_writes(instance: str | None) -> None:
    inbound, overruled = READER.read(posted("demo"), instance, None)
    assert [message.id for message in inbound.messages] == ["B"]
    assert (inbound.instance, overruled) == ("demo", "")


def test_a_webhook_for_a_gateway_that_posts_none_is_unreadable() -> None:
    with pytest.raises(UnreadablePayload) as refused:
        READER.read(LETTER, "mute", None)
    assert refused.value.reason == "no_webhooks"


@pytest.mark.parametrize(
    ("path", "named", "winner", "overruled"),
    [
        ("shop", "shop", "shop", ""),
        ("shop", "demo", "demo", "shop"),  # both are known: the gateway wrote it
        ("typo", "demo", "demo", ""),
        ("shop", "typo", "shop", ""),
        ("new", "other", "new", ""),  # none is known: the operator wrote it
        ("shop", "", "shop", ""),
        ("shop", "Demo", "shop", ""),  # a gateway writes exact names
        ("shop", "SHOP", "SHOP", "shop"),  # so this is another tenant, who is not known yet
        ("tower", "demo", "demo", "tower"),  # also where the path's gateway writes otherwise
    ],
)
def test_the_known_instance_wins_and_of_two_the_payloads(
    path: str, named: str, winner: str, overruled: str
) -> None:
    """I11: all that was read carries the one that wins."""
    reading = READER.read(posted(named), path, None)
    assert reading.overruled == overruled
    assert reading.inbound.instances == {winner}
    assert reading.inbound.messages[0].instance == reading.inbound.links[0].instance == winner


def test_what_wins_is_read_by_its_own_gateway() -> None:
    """Evolution names a tower of pigeons: its gateway writes letters, and this is none."""
    for path in ("demo", "typo"):
        with pytest.raises(UnreadablePayload) as refused:
            READER.read(posted("tower"), path, None)
        assert refused.value.reason == "no_letters"
    with pytest.raises(UnreadablePayload) as refused:
        READER.read(posted("tower"), "tower", None)
    assert refused.value.reason == "no_letters"
