"""Media are cut out of a webhook while it arrives, and nothing else is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress import inline_media
from daemon.ingress.inbound import MAX_TEXT_CHARS
from daemon.ingress.inline_media import LONG_BYTES, MARK, SHORT_BYTES, InlineMedia, was_cut, without_media
from daemon.web.http1 import Peer, Request
from tests.support.payloads import upsert

MEDIA = "/9j/4AAQSkZJRgABAQ+" * (LONG_BYTES // 16)


def photo(caption: str, media: str = MEDIA, **more: object) -> dict[str, Any]:
    document: dict[str, Any] = upsert("acme", "5511900001095", "", "PHOTO-1", 1785100386)
    document["data"]["message"] = {"imageMessage": {"caption": caption, **more}, "base64": media}
    return document


@pytest.mark.parametrize("caption", ["what does this cost?", ""])
def test_a_photo_without_its_bytes_is_still_heard(caption: str) -> None:
    """I1: its words, or that there was a photo; and the message says what it lost."""
    body = json.dumps(photo(caption)).encode()
    (message,) = parse_webhook(without_media(body, 0), None, None).messages
    assert message.text == f"[image; it cannot be seen here] {caption}".strip()
    assert message.kind == "image"
    assert message.media_inline_dropped
    (whole,) = parse_webhook(body, None, None).messages
    assert not whole.media_inline_dropped


def test_media_in_the_message_itself_are_noticed_too() -> None:
    body = json.dumps(photo("hi", media="", file=f"data:image/jpeg;base64,{MEDIA}")).encode()
    (message,) = parse_webhook(without_media(body, 0), None, None).messages
    assert message.media_inline_dropped


@pytest.mark.parametrize(
    "text",
    ["x" * 3 * LONG_BYTES, "ab c" * LONG_BYTES, "م" * LONG_BYTES, '"' * LONG_BYTES, "🙂\\/" * LONG_BYTES],
    ids=["one word", "words", "escapes", "quotes", "slashes"],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_no_text_is_lost(text: str, ascii_only: bool) -> None:
    """Law 1: whatever a customer writes reads the same. Slashes with a backslash are how PHP writes base64."""
    said = upsert("acme", "5511900001095", text, "TEXT-1", 1785100386)
    body = json.dumps(said, ensure_ascii=ascii_only).encode()
    (expected,) = parse_webhook(body, None, None).messages
    (found,) = parse_webhook(without_media(body, 0), None, None).messages
    assert found.text == expected.text and len(found.text) == min(len(text), MAX_TEXT_CHARS)


SHORT, LONG = 8, 40
"""In place of the real bounds, so that small documents have everything that large ones have."""
_RUNS = st.text("ABab01+/=_-", min_size=0, max_size=3 * LONG)
_TEXTS = st.one_of(_RUNS, st.text(max_size=2 * LONG), st.text('":,\\/{[A ', max_size=2 * LONG))
_VALUES = st.recursive(
    st.one_of(_TEXTS, st.integers(), st.just(10**60), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(_TEXTS, st.just("base64")), inner, max_size=4)
    ),
    max_leaves=8,
)


def cut(value: object, written: str = "", bound: int = LONG) -> object:
    """What is to be left of a value, which was `written` so under a name: law 1 again, on the parsed document."""
    if isinstance(value, list):
        return [cut(item) for item in value]
    if isinstance(value, dict):
        return {
            name: cut(
                item,
                json.dumps(item)[1:-1] if isinstance(item, str) else "",
                SHORT if name == "base64" else LONG,
            )
            for name, item in value.items()
        }
    for size in (bound, LONG):
        if isinstance(value, str) and len(written) > size and is_base64(written[:size]):
            return json.loads(f'"{whole_escapes(written[:size])}"') + MARK
    return value


def whole_escapes(head: str) -> str:
    backslashes = len(head) - len(head.rstrip("\\"))
    return head[:-1] if backslashes % 2 else head


def is_base64(head: str) -> bool:
    for escape in ("\\/", "\\n", "\\r"):
        head = head.replace(escape, "")
    return not head.removesuffix("\\").strip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=_VALUES, cuts=st.lists(st.integers(0, 600), max_size=12), indent=st.sampled_from([None, 1]))
def test_only_media_are_cut_however_the_document_is_divided(
    document: object, cuts: list[int], indent: int | None
) -> None:
    """Law 2: of any document, in any pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline_media, "LONG_BYTES", LONG)
        patch.setattr(inline_media, "SHORT_BYTES", SHORT)
        body = json.dumps(document, indent=indent).encode()
        edges = [0, *sorted({edge for edge in cuts if edge < len(body)}), len(body)]
        media = InlineMedia()
        for start, end in itertools.pairwise(edges):
            media.feed(body[start:end])
        expected = cut(document)
        assert json.loads(media.kept) == expected
        if expected == document:
            assert bytes(media.kept) == body


def test_an_escape_may_be_divided() -> None:
    """In what is cut, too: a quote behind a backslash does not end it."""
    document = {"base64": "A" * SHORT_BYTES + 'A\\"}\\\\"\n\\', "caption": 'said "hi"'}
    body = json.dumps(document).encode()
    for place in range(SHORT_BYTES, len(body)):
        media = InlineMedia()
        media.feed(body[:place])
        media.feed(body[place:])
        assert json.loads(media.kept) == document | {"base64": "A" * SHORT_BYTES + MARK}


@settings(max_examples=100, deadline=None)
@given(
    noise=st.lists(st.sampled_from([b'"', b"\\", b":", b'a":"', b"A" * 50, b" ", b"{", b"}", b",", b"\xff"]))
)
def test_what_is_no_document_does_not_become_one(noise: list[bytes]) -> None:
    """But for what is cut: that is not read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inline_media, "LONG_BYTES", LONG)
        patch.setattr(inline_media, "SHORT_BYTES", SHORT)
        media = InlineMedia()
        media.feed(b"{" + b"".join(noise))
    if MARK.encode() not in media.kept:
        assert media.kept == b"{" + b"".join(noise)


@pytest.mark.parametrize(
    ("name", "bound"), [("base64", SHORT_BYTES), ("file", LONG_BYTES), ("text", LONG_BYTES)]
)
def test_a_value_of_exactly_the_bound_is_whole(name: str, bound: int) -> None:
    body = json.dumps({name: "A" * bound, "caption": "hi"}).encode()
    assert without_media(body, 0) == body
    longer = json.loads(without_media(body.replace(b"AA", b"AAA", 1), 0))
    assert was_cut(longer[name]) and longer["caption"] == "hi"


def test_a_value_that_does_not_end_stays_unreadable() -> None:
    body = without_media(json.dumps(photo("hi")).encode()[:-30], 0)
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize(
    ("method", "segments", "is_webhook"),
    [
        ("POST", ("webhook",), True),
        ("POST", ("webhook", "acme", "messages-upsert"), True),
        ("POST", ("", "webhook", "acme"), True),
        ("POST", ("", "WebHook", "", "ACME"), True),  # as forgivingly as it is routed
        ("PUT", ("webhook",), False),
        ("POST", ("v1", "webhook"), False),
        ("GET", ("health", "live"), False),
    ],
)
def test_only_a_webhook_may_be_large(method: str, segments: tuple[str, ...], is_webhook: bool) -> None:
    request = Request(method, "/" + "/".join(segments), segments, {}, {}, b"", Peer("test"))
    assert (inline_media.of_webhook(request) is not None) is is_webhook
