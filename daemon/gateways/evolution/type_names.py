"""The names of WhatsApp's message types: what is none, and how one is said in words. Pure.

WhatsApp adds types faster than anybody reads them. What has the name of one and is not known here is heard all the
same, as its name in words: `scheduledCallCreationMessage` is a "scheduled call creation".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from daemon.gateways.lenient import JsonObject, mapping

MAX_TYPE_CHARS = 64

METADATA = frozenset(
    {
        "messageContextInfo",
        "contextInfo",
        "context",
        "referral",
        "base64",
        "mediaUrl",
        "speechToText",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
    }
)
"""What stands beside the type of a message and is none."""

_NOT_IN_NAMES = re.compile(r"[^0-9A-Za-z_.-]")
_ENDS_NAME = re.compile(r"Message(V\d+)?(Extension)?$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def bare_name(name: str) -> str:
    """A name out of a payload, fit for a log."""
    return _bare(name[:MAX_TYPE_CHARS])


@lru_cache(maxsize=256)
def _bare(name: str) -> str:
    """Cached: nearly all are the same few."""
    return _NOT_IN_NAMES.sub("", name)


def in_words(name: str) -> str:
    """`stickerPackMessage` as "sticker pack"."""
    bare = bare_name(name)
    return " ".join(_WORD.findall(_ENDS_NAME.sub("", bare) or bare)).lower() or "message of an unknown type"


def is_type(name: str) -> bool:
    """Whether this is what WhatsApp calls a type, known or not."""
    return name not in METADATA and _ENDS_NAME.search(name[-MAX_TYPE_CHARS:]) is not None


def wrapped_in(body: object) -> JsonObject:
    """The message in a wrapper: ephemeralMessage, viewOnceMessage, documentWithCaptionMessage, editedMessage,
    deviceSentMessage, lottieStickerMessage, botInvokeMessage, associatedChildMessage, or new ones. Empty: it is none.
    """
    return mapping(body.get("message")) if isinstance(body, dict) else mapping(None)


def types_in(level: JsonObject) -> Iterator[str]:
    """What has the name of a type, in the order of the payload; then whatever else may be one."""
    bodies = [name for name, body in level.items() if isinstance(body, dict) and name not in METADATA]
    yield from filter(is_type, bodies)
    yield from (name for name in bodies if not is_type(name))
