"""Which gateway's parser reads a webhook."""

from __future__ import annotations

import msgspec
import pytest

from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.inbound import RoutedParser, UnreadablePayload, no_webhooks
from tests.support.payloads import upsert
from tests.support.pigeon import read_letters

LETTER = msgspec.json.encode({"letters": [{"from": "5511900001095", "mark": "A", "words": "hello"}]})
UPSERT = msgspec.json.encode(upsert("demo", "5511900001095", "oi", "B", 1785100386))
PARSE = RoutedParser(parse_webhook, {"tower": read_letters, "mute": no_webhooks})


@pytest.mark.parametrize("instance", ["tower", " tower "])
def test_an_instance_in_the_path_is_read_as_its_gateway_writes(instance: str) -> None:
    (message,) = PARSE(LETTER, instance, None).messages
    assert (message.id, message.text) == ("A", "hello")
    with pytest.raises(UnreadablePayload):
        PARSE(UPSERT, instance, None)


@pytest.mark.parametrize("instance", ["demo", "nobody-declared-it", "messages-upsert", None])
def test_any_other_webhook_is_read_as_the_default_gateway_writes(instance: str | None) -> None:
    assert [message.id for message in PARSE(UPSERT, instance, None).messages] == ["B"]


def test_a_webhook_for_a_gateway_that_posts_none_is_unreadable() -> None:
    with pytest.raises(UnreadablePayload) as refused:
        PARSE(UPSERT, "mute", None)
    assert refused.value.reason == "no_webhooks"
