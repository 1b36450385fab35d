"""Encoding of batches and texts for Postgres. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.lookups import Span
from actors.messages import Batch
from actors.ports import Reply
from actors.repeats import once_text

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with what Postgres cannot hold (NUL, lone surrogates) replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def encoded(value: object) -> str:
    """JSON for a `jsonb` parameter, with every string in it made storable."""
    try:
        said = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate
        return _encoded_clean(value)
    # Its escape, or these very letters in a text: then each text is looked at.
    return _encoded_clean(value) if b"\\u0000" in said else said.decode()


def text_hash(text: str) -> str:
    """Equal for two batches that say the same, each thing counted once."""
    return hashlib.sha256(storable(text).strip().encode()).hexdigest()


def wire_batch(batch: Batch) -> dict[str, Any]:
    """A batch as `majlis_begin_measured_turn` expects it."""
    messages = batch.messages
    about = batch.asked if batch.asked.entries else batch
    return {
        "conversation_key": batch.conversation.key,
        "instance": batch.conversation.instance,
        "contact": batch.conversation.contact,
        "lid": next((message.lid for message in reversed(messages) if message.lid), ""),
        "number": batch.number,
        "lo": batch.lo,
        "hi": batch.hi,
        "why": batch.why,
        "tries": batch.attempts,
        "opened_at_ms": batch.opened_at_ms,
        "window_ended_ms": batch.window_ended_ms,
        "held": batch.held,
        "shadow": batch.is_shadow,
        "messages": messages,
        "message_ids": [message.id for message in messages],
        "text": about.text,
        "text_hash": text_hash(once_text(about)),
    }


def wire_reply(reply: Reply) -> dict[str, Any]:
    """A reply as `majlis_answer` expects it. The parts go by themselves."""
    said: dict[str, Any] = msgspec.to_builtins(reply)
    del said["parts"]
    return {**said, "waterfall": wire_spans(reply.spans)}


def wire_spans(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """A trace without what says nothing: no microseconds, no errors that did not happen, one line for all skipped."""
    skipped = [span for span in spans if span.outcome == "skipped"]
    told = [span for span in spans if span.outcome != "skipped"]
    if skipped:
        names = ", ".join(span.name for span in skipped)
        told.insert(spans.index(skipped[0]), msgspec.structs.replace(skipped[0], name=names))
    return [{name: value for name, value in _rounded(span).items() if value != ""} for span in told]


def _rounded(span: Span) -> dict[str, Any]:
    short = msgspec.structs.replace(
        span, started_ms=round(span.started_ms, 1), took_ms=round(span.took_ms, 1)
    )
    return dict(msgspec.to_builtins(short))


def _encoded_clean(value: object) -> str:
    return msgspec.json.encode(_cleaned(msgspec.to_builtins(value))).decode()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value
