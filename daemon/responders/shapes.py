"""An answer that is JSON of another shape than the one asked for: which of its texts is for the customer. Pure, total.

Laws of this file:
1. Only JSON that is the whole answer is opened, and only when one of its names says where the words are.
2. An error, and a call of a tool, have no words for a customer, whatever else is in them.
3. JSON of which no name is known stays as it is: it may be what was asked for.
4. What is nested deeper than `_MAX_DEPTH` is not opened.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress

from daemon.responders.loose_json import read_object

_MAX_DEPTH = 6
_SPEAKING = (
    *(
        "finalanswer",
        "finalresponse",
        "response",
        "answer",
        "reply",
        "message",
        "output",
        "outputtext",
        "text",
    ),
    *(
        "content",
        "result",
        "completion",
        "generatedtext",
        "responsetext",
        "answertext",
        "messagetext",
        "body",
        "msg",
    ),
    *("airesponse", "botresponse", "assistant", "respuesta", "resposta", "mensaje", "mensagem", "texto"),
    *("réponse", "antwort", "cevap", "yanıt", "الرد", "رد", "الإجابة", "إجابة", "الجواب", "جواب", "النص"),
)
"""Names of what is said, the surest first, in one spelling."""
_HOLDING = (
    "choices",
    "candidates",
    "messages",
    "parts",
    "data",
    "json",
    "outputs",
    "items",
    "delta",
    "replies",
    "responses",
    "answers",
)
"""Names of what holds it."""
_HOLDING_WORDS = ("messages", "parts", "outputs", "replies", "responses", "answers")
"""Of these, strings are words too."""
_FAILED = ("error", "errors", "exception", "traceback", "errormessage")
_FAILURES = ("error", "failed", "failure", "fail")
_OTHERS = ("user", "human", "system", "developer", "tool")
_THOUGHTS = ("thinking", "reasoning", "thought", "thoughts", "redactedthinking", "analysis")
_NAMES_TOOL = ("name", "function", "tool", "toolname", "action", "functionname", "recipientname")
_ARGUMENTS = ("arguments", "parameters", "args", "toolinput", "actioninput", "input", "kwargs")
_CALLS = ("toolcalls", "toolcall", "functioncall", "tooluses", "functioncalls")
_FINAL_ACTIONS = ("finalanswer", "final", "respond", "response", "answer", "reply")
_BESIDE = ("needsdatacollection", "requestedfields", "confidence")
"""What the envelope says beside its response."""
_LIKE_RESPONSE = ("res", "rep", "rsp", "ans")
"""How a misspelt one begins. "reasoning" and "intent" are not for the customer."""
_NOTHINGS = frozenset((
    "null", "NULL", "Null", "None", "undefined", "NaN", "nan", "N/A", "n/a", "{}", "[]", "[object Object]",
    "…", "...",
))  # fmt: skip
"""What programs write for nothing. "None." and "no" are answers."""
_MAX_NUMBER = 1e15
_HTTP_FAILURES = range(400, 600)

_PYTHON_CALL = re.compile(
    r"\[?\s?(?P<sure>print\(|default_api\.|functions?\.)?[a-z_]\w{0,60}+(?:\.\w{1,60}+)?\((?P<named>\w{1,40}+\s?=|\)|)",
    re.IGNORECASE,
)
_CALL_IN_WORDS = re.compile(
    r"functools\s?\[|(?:Action|Tool|Function)\s?:[^\n]{1,120}\n\s{0,8}(?:Action Input|Input|Arguments|Parameters)\s?:"
    r"|```tool_(?:code|call|use|outputs?)\b|call:\w{1,60}\{",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"\[\s*+\"")
"""An array of strings. With a blank in one of them they are sentences, else names."""


def said_in(text: str) -> str | None:
    """The words for a customer in JSON that is the whole of `text`: empty when it says nothing; None when it is no
    such JSON.
    """
    text = text.strip()
    if is_call(text):
        return ""
    value = _value(text)
    if isinstance(value, list) and _SENTENCES.match(text) and all(isinstance(item, str) for item in value):
        return _parts(value, _MAX_DEPTH) if any(" " in item.strip() for item in value) else None
    return None if value is None else _said(value, _MAX_DEPTH)


def speaking(members: Mapping[str, object]) -> str | None:
    """The words in an object; empty when it says nothing; None when no name is known."""
    return _said(dict(members), _MAX_DEPTH)


def said_in_parts(items: list[object]) -> str | None:
    """The parts of one message, one below another; None when none of them is known."""
    return _parts(items, _MAX_DEPTH)


def is_nothing(text: str) -> bool:
    """Whether it is what programs write for nothing, or blank."""
    return not (bare := text.strip()) or bare in _NOTHINGS


def is_call(text: str) -> bool:
    """Whether `text` is a call of a tool and nothing else."""
    if _CALL_IN_WORDS.match(text):
        return True
    if not text.endswith((")", ")]")) or "\n" in text:
        return False
    call = _PYTHON_CALL.match(text)
    return call is not None and bool(call["sure"] or call["named"].endswith("="))


def _value(text: str) -> object:
    """An object or array that is the whole of `text`, also when it is cut off; None when there is none."""
    if text.startswith('"') and text.endswith('"') and text[1:2] in ("{", "[", "\\"):
        inner = _strict(text)
        text = inner.strip() if isinstance(inner, str) else text
    if text.startswith("{"):
        reading = read_object(text, 0)
        return reading.members if not text[reading.end :].strip() and reading.members else None
    if not text.startswith("["):
        return None
    value = _strict(text)
    if value is None and (text.endswith("]") or "]" not in text):
        reading = read_object('{"-":' + text, 0)
        value = reading.members.get("-") if reading.end >= len(text) + 5 else None
    return value


def _strict(text: str) -> object:
    with suppress(ValueError, RecursionError):
        return json.loads(text, strict=False)
    return None


def _said(value: object, depth: int) -> str | None:
    match value:
        case str():
            return value
        case int() | float() if not isinstance(value, bool) and abs(value) < _MAX_NUMBER:
            return str(value)
        case list() if depth:
            return _said_by(value, depth - 1)
        case dict() if depth:
            return _said_in_object({_spelling(name): item for name, item in value.items()}, depth - 1)
        case _:
            return None


def _said_by(items: list[object], depth: int) -> str | None:
    """What the objects of an array say, one below another; strings and numbers by themselves are data."""
    objects = [item for item in items if isinstance(item, dict)]
    said = [_said(item, depth) for item in objects]
    strange = any(text is None and "type" not in item for item, text in zip(objects, said, strict=True))
    if strange or len(objects) != len(items) or all(text is None for text in said):
        return None
    return "\n".join(filter(None, said))


def _said_in_object(members: dict[str, object], depth: int) -> str | None:
    if _has_failed(members) or _is_others(members):
        return ""
    if _is_call(members):
        final = _spelling(str(members.get("action", ""))) in _FINAL_ACTIONS
        said = _said(members.get("actioninput"), depth) if final else ""
        return said or ""
    for name in _SPEAKING:
        if name in members:
            value = members[name]
            found = _parts(value, depth) if isinstance(value, list) else _said(value, depth)
            if found is not None or value is None:
                return found or ""
    held = (_said_in_held(name, members[name], depth) for name in _HOLDING if name in members)
    found = next((said for said in held if said is not None), None)
    return _only_words(members) if found is None else found


def _said_in_held(name: str, held: object, depth: int) -> str | None:
    if isinstance(held, list) and name in ("choices", "candidates"):
        held = held[:1]
    if isinstance(held, list) and name in _HOLDING_WORDS and all(isinstance(item, str) for item in held):
        return _parts(held, depth)
    return _said(held, depth) if isinstance(held, list | dict) else None


def _only_words(members: Mapping[str, object]) -> str | None:
    """The words of an envelope whose first name is misspelt; empty when it has none, or only thoughts."""
    if not any(name in members for name in (*_BESIDE, *_THOUGHTS)):
        return None
    alike = (value for name, value in members.items() if name.startswith(_LIKE_RESPONSE))
    words = [value for value in alike if isinstance(value, str) and not is_nothing(value)]
    return words[0] if len(words) == 1 else ""


def _parts(items: list[object], depth: int) -> str | None:
    """The parts of one message; here strings are words."""
    said = [item if isinstance(item, str) else _said(item, depth) for item in items]
    known = [text for text in said if text]
    return "\n".join(known) if known or not items else None


def _has_failed(members: Mapping[str, object]) -> bool:
    if any(members.get(name) for name in _FAILED):
        return True
    if any(_spelling(str(members.get(name))) in _FAILURES for name in ("status", "type", "state")):
        return True
    code = next((members[name] for name in ("code", "statuscode") if name in members), None)
    if code in _HTTP_FAILURES or any(members.get(name) is False for name in ("success", "ok")):
        return True
    return bool(members.get("detail")) and not _has_words(members)


def _is_others(members: Mapping[str, object]) -> bool:
    """Whether it is somebody else's message, or thoughts."""
    return members.get("role") in _OTHERS or _spelling(str(members.get("type"))) in _THOUGHTS


def _is_call(members: Mapping[str, object]) -> bool:
    if _spelling(str(members.get("type"))) in ("function", "tooluse", "toolcall", "functioncall"):
        return True
    named = any(name in members for name in _NAMES_TOOL) and any(name in members for name in _ARGUMENTS)
    return (named or any(members.get(name) for name in _CALLS)) and not _has_words(members)


def _has_words(members: Mapping[str, object]) -> bool:
    values = (members.get(name) for name in _SPEAKING)
    return any(isinstance(value, str) and value.strip() for value in values)


def _spelling(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").casefold()
