"""What a customer chose: a button, a row, a form, options of a poll. Pure and total.

The words that the customer saw are used, and the business's own ids only if there are no words.
"""

from __future__ import annotations

from collections.abc import Iterator

from daemon.gateways.evolution.placeholders import placeholder
from daemon.gateways.lenient import JsonObject, NotJson, decode, line, mapping, text

_MAX_FIELDS = 50
_MAX_FIELD_CHARS = 4_096
_MAX_PARAMS_CHARS = 65_536
_MAX_DEPTH = 3
"""A form's field may hold fields: an address, a range of days, a list of guests."""
_MACHINE_FIELDS = frozenset({"id", "flow_token", "wa_flow_response_params", "title", "display_text"})


def button_reply(part: JsonObject) -> str:
    return text(part.get("selectedDisplayText")) or text(part.get("selectedButtonId"))


def list_reply(part: JsonObject) -> str:
    """The chosen row's title; its description is the business's own words, used when there is no title."""
    row_id = mapping(part.get("singleSelectReply")).get("selectedRowId")
    return text(part.get("title")) or text(part.get("description")) or text(row_id)


def template_reply(part: JsonObject) -> str:
    return text(part.get("selectedDisplayText")) or text(part.get("selectedId"))


def poll_vote(part: JsonObject) -> str:
    """The options now ticked, when the gateway could decrypt the vote; the newer versions can."""
    ticked = mapping(part.get("vote")).get("selectedOptions")
    if not isinstance(ticked, list):
        return placeholder("poll vote", cannot_be="read")
    options = [line(option) or line(mapping(option).get("name")) for option in ticked[:_MAX_FIELDS]]
    chosen = ", ".join(option for option in options if option)
    return f"[poll vote] {chosen}" if chosen else "[poll vote taken back]"


def flow_reply(part: JsonObject) -> str:
    """A quick reply's words, or a form's body and its fields, one to a line."""
    body = text(mapping(part.get("body")).get("text")).strip()
    params = params_in(text(mapping(part.get("nativeFlowResponseMessage")).get("paramsJson")))
    title = text(params.get("display_text")) or text(params.get("title"))
    fields = "\n".join(_fields(params))
    return "\n".join(words for words in (body or title, fields) if words) or text(params.get("id"))


def params_in(encoded: str) -> JsonObject:
    """The parameters of a native flow: JSON within JSON."""
    if len(encoded) > _MAX_PARAMS_CHARS:
        return {}
    try:
        return mapping(decode(encoded.encode("utf-8", "replace")))
    except NotJson:
        return {}


def _fields(params: JsonObject) -> Iterator[str]:
    for name, value in list(params.items())[:_MAX_FIELDS]:
        words = "" if name in _MACHINE_FIELDS else line(_words(value, _MAX_DEPTH), _MAX_FIELD_CHARS)
        if words:
            yield f"{line(name)}: {words}"


def _words(value: object, depth: int) -> str:
    """A form's field: text, number, tick box, a list of them, or fields within it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return line(str(value))
    if isinstance(value, list | dict) and depth <= 0:
        return ""
    if isinstance(value, list):
        return ", ".join(filter(None, (_words(one, depth - 1) for one in value[:_MAX_FIELDS])))
    if isinstance(value, dict):
        named = ((line(name), _words(one, depth - 1)) for name, one in list(value.items())[:_MAX_FIELDS])
        return ", ".join(f"{name} {words}" for name, words in named if words)
    return line(value, _MAX_FIELD_CHARS)
