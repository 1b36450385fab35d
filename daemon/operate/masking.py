"""Hides phone numbers and texts in what the admin door shows. Pure; by field name, so a new view cannot forget it."""

from __future__ import annotations

import msgspec

from daemon.observe.logs import mask_digits


def mask_contact(contact: str) -> str:
    """`…12`: enough to tell two contacts apart in one list, of no use to call them."""
    number, at, server = contact.partition("@")
    return f"…{number[-2:]}{at}{server}"


def mask_text(text: str) -> str:
    return f"({len(text)} characters)"


_MASKS = {
    "contact": mask_contact,
    "text": mask_text,
    "detail": mask_digits,
    "why": mask_digits,
    "requested_fields": mask_digits,  # a model wrote them
}


def shown(view: object, reveal: bool) -> object:
    """`view` as plain JSON data; contacts and texts masked unless `reveal`."""
    document: object = msgspec.to_builtins(view)
    return document if reveal else _masked(document)


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {key: _field(str(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _field(name: str, value: object) -> object:
    mask = _MASKS.get(name)
    if mask is not None and isinstance(value, str):
        return mask(value)
    if mask is not None and isinstance(value, list):
        return [_field(name, item) for item in value]
    return _masked(value)
