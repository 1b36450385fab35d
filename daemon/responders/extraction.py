"""Extracts the answer from what the model said: the envelope, and the order of the steps. Pure, total.

Laws of this file:
1. Plain text stays as it is, including braces and code.
2. Whatever has the names of the envelope is the envelope: `{"response", "needsDataCollection", "requestedFields",
   "confidence"}`, alone or among prose, in fences, in an array, in quotes, nested, malformed or cut off. Its response
   is the answer; its syntax never reaches a customer. JSON of another shape is opened where it is the whole answer.
3. If the envelope has no response, the prose around it is the answer, unless it only announces what follows (":").
4. Whatever the model said, the work is bounded, and nothing is raised. If no answer is found, it is empty.
5. Silence is said: by an envelope whose response is empty, or by the word NO_REPLY, in whatever quotes, after whatever
   thoughts. Where nothing is said at all, none was chosen. NO_REPLY as an answer's last line is no part of it.
6. Thoughts go first (`thoughts`), at each level: round the envelope, and within its response. Then comes what is round
   the answer and in it that nobody would write (`wrapping`). An extracted answer is not changed by extracting it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

import msgspec

from actors.text import plain_text
from daemon.responders import echoes, shapes, thoughts, wrapping
from daemon.responders.letters import may_say
from daemon.responders.loose_json import Reading, read_object, unescaped
from daemon.responders.marks import may_have_marks

MAX_CHARS = 12_000
MAX_FIELDS = 20
MAX_FIELD_CHARS = 64
_MAX_WRAPPINGS = 4
"""Envelopes in one another that are opened."""
_MAX_STRANGERS = 16
"""Objects that are read to see whether they are the envelope, and are not."""
_CHARS_PER_CHAR = 8
_MIN_REACH = 65_536
"""How much is read: each character of an answer may be escaped twice, and the rest of the envelope is small."""

_NAMES = ("response", "needsdatacollection", "requestedfields", "confidence")
_NAMES_BEGIN = ("response", "needs", "requested", "confidence")
"""In whatever spelling."""
_ANY_NAME = r"(?:response|needs[_-]?data[_-]?collection|requested[_-]?fields|confidence)"
_SHOWN = re.compile(rf"{_ANY_NAME}\\*+[\"'”]?\s*+:", re.IGNORECASE)
_LEAD = r"\{((?:\s|\\+[nrt]?)*+)"
"""A brace and the blanks behind it; there are backslashes when it is within a string."""
_OBJECT = re.compile(rf"{_LEAD}([\"'“]?)([A-Za-z][\w-]{{0,40}}+)\\*+[\"'”]?\s*+:\s*+([\"'“])?")
_BRACELESS = re.compile(rf"\s*+[\"'“]{_ANY_NAME}[\"'”]\s*+:", re.IGNORECASE)
_OPENED = re.compile(rf"{_LEAD}[\"'“]([A-Za-z_-]{{0,40}}+)\\*+[\"'”]?\s*+\Z")
_UNMISTAKABLE = re.compile(
    r"[\"'“*]{0,2}(?:needs[_-]?data[_-]?collection|requested[_-]?fields)[\\\"'”*]*+\s*+:", re.IGNORECASE
)
"""The two names that no prose has by chance."""
_TOLD_NAME = re.compile(
    r"[-\s*_`\"'(\[]{0,8}(needs[_-]?data[_-]?collection|requested[_-]?fields|confidence)(?:[ _](?:score|level))?"
    r"[\"'`*_]{0,3}\s?[:=]([^\n]{0,200})",
    re.IGNORECASE,
)
"""A line that says in words what the envelope says beside its response."""
_MAX_NUMBER = 1e15
"""A response that is a greater number, or none, is no answer."""
NO_REPLY = "NO_REPLY"
"""What a model says to say nothing."""
_WRAPS = "`\"'“”‘’«»*_.:;,!()[]{}<>-–—"
_FENCED_AS = ("text", "txt", "plaintext", "json")
_MAX_SILENCE_CHARS = 80
_LEFT_EMPTY = "-left empty"
"""The envelope's response was there and empty. No name in one spelling has a dash."""
_THOUGHT = "-thought"
"""There were thoughts."""
_MIN_TWICE_CHARS = 20
"""Shorter lines may be said twice on purpose."""
_MAX_LAYERS = 4
"""Of labels, quotation marks and the like that are taken off."""
_FENCED = re.compile(r"```(?:json)?\s*+([\[{].*+)", re.DOTALL)
_JSON_FENCE = "```json"
_BEGUN = re.compile(rf"[\"'\[\s]*+(?:`{{1,3}}j?s?o?n?)?[\"'\[\s]*+(?:{_LEAD}[\"'“]?)?")
"""Nothing but what comes before an envelope's first name."""


class Extracted(msgspec.Struct, frozen=True):
    """The text for the customer, and what else the model said."""

    text: str
    """Empty when there is nothing to say."""
    needs_data_collection: bool = False
    requested_fields: tuple[str, ...] = ()
    confidence: float | None = None
    """How sure the model is, 0 to 1; None when it did not say so in a readable way."""
    is_silence: bool = False
    """The model chose to say nothing; the text is empty."""
    only_thoughts: bool = False
    """The model thought, and came to no answer: most often its output was too short for both."""


_Members = dict[str, object]
"""The envelope's values by their names in one spelling."""


def extract(said: str, max_chars: int = MAX_CHARS) -> Extracted:
    """The answer in `said`, at most `max_chars` long, without control characters and blanks around it."""
    reach = max(_MIN_REACH, _CHARS_PER_CHAR * max_chars)
    text, found = _unwrapped(plain_text(said[:reach]).strip(), _MAX_WRAPPINGS, cut=True)
    bare, thought = _bare(plain_text(text).strip())
    text, is_said_word = _without_silence(bare)
    text = "" if shapes.is_nothing(text) else _once(text)
    is_left_empty = _LEFT_EMPTY in found and not _yes(found.get("needsdatacollection"))
    return Extracted(
        text=text[:max_chars].rstrip(),
        needs_data_collection=_yes(found.get("needsdatacollection")),
        requested_fields=_fields(found.get("requestedfields")),
        confidence=_confidence(found.get("confidence")),
        is_silence=not text and (is_said_word or is_left_empty),
        only_thoughts=not text and not is_said_word and not is_left_empty and (thought or _THOUGHT in found),
    )


def _bare(text: str) -> tuple[str, bool]:
    """The words of `text`, without what stands round them and in them; and whether there were thoughts."""
    thought = False
    for _ in range(_MAX_LAYERS):
        spoken = thoughts.spoken(text)
        told = thoughts.without_told_thoughts(spoken.text)
        bare = wrapping.without_sources(wrapping.bare(told.text))
        thought = thought or spoken.thought or told.thought
        if bare == text:
            break
        text = plain_text(bare).strip()
    return ("" if shapes.is_call(text) else text), thought


def _once(text: str) -> str:
    """`text` without its second half, where a model said all of it twice."""
    half = len(text) // 2
    first, second = text[:half].rstrip(), text[-half:].lstrip() if half else ""
    is_twice = first == second and len(first) >= _MIN_TWICE_CHARS and "\n" in text[len(first) : -len(first)]
    return first if is_twice else text


def _without_silence(text: str) -> tuple[str, bool]:
    """`text` without the word that chooses silence, and whether it was there."""
    if _begins_silence(text):
        return "", True
    head, line, last = text.rpartition("\n")
    return (head.rstrip(), True) if line and _begins_silence(last) else (text, False)


def _begins_silence(text: str) -> bool:
    """Whether the first word is NO_REPLY, in any case, in quotes, fences or emphasis. What follows is a reason, and for
    nobody.
    """
    words = (piece.strip(_WRAPS) for piece in text[:_MAX_SILENCE_CHARS].split())
    return next((word for word in words if word and word not in _FENCED_AS), "").upper() == NO_REPLY


def _unwrapped(text: str, wrappings: int, *, cut: bool) -> tuple[str, _Members]:
    """The answer in `text`, and what its envelopes say.

    Args:
      wrappings: how many envelopes may still be opened.
      cut: whether the text may have been cut off at its end.
    """
    text = echoes.without_echoes(text)
    spoken = thoughts.spoken(text, _read_later(text) if may_have_marks(text) else ())
    text, found = spoken.text.strip(), _Members()
    if spoken.thought:
        found[_THOUGHT] = True
    labelled = wrapping.without_label(text)
    if labelled.startswith(("{", "[", "```")):
        text = labelled
    if _BRACELESS.match(text):
        text = "{" + text
    prose: list[str] = []
    at = 0
    for start, reading in _envelopes(text):
        before = _ending(text[at:start])
        if wrappings <= 0:
            return "", found
        if reading is None:  # written within a string
            answer, inner = _unwrapped(unescaped(text[start:]), wrappings - 1, cut=True)
            return answer, {**inner, **found}
        members = _named(reading.members)
        broken = not reading.whole and [*members][-1:] == ["response"]
        if reading.whole and _is_left_empty(members):
            found[_LEFT_EMPTY] = True
        if "response" not in members and _alone(text, start, reading.end):
            members["response"] = shapes.speaking(reading.members)
        response, inner = _answer(members.pop("response", None), wrappings - 1, cut=broken)
        found = {**inner, **members, **found}
        prose.append(before)
        if response is not None:
            # The same text may have been printed before an envelope that is cut off in the answer.
            same = broken and before.startswith(plain_text(response).rstrip())
            return _announced(before) if same else response, found
        at = reading.end if reading.whole else len(text)
    if not at:
        said = shapes.said_in(_unfenced(text)) if wrappings > 0 else None
        if said is not None:
            answer, inner = _unwrapped(said.strip(), wrappings - 1, cut=False)
            return answer, {**inner, **found}
        text, told = _without_told_names(text)
        return _without_names(_finished(text) if cut else text), {**told, **found}
    prose.append(text[at:].strip(" \n\t]`"))
    return _announced("\n".join(filter(None, prose))), found


def _read_later(text: str) -> list[tuple[int, int]]:
    """Spans of `text` that are JSON to be opened: what is in them is judged by itself."""
    inner = _unfenced(text)
    if inner.startswith(("{", "[")) and not _SHOWN.search(text) and shapes.said_in(inner) is not None:
        return [(0, len(text))]
    return [(start, reading.end) for start, reading in _envelopes(text) if reading and reading.whole]


def _unfenced(text: str) -> str:
    """`text` without a label and the fence of an object or array that is all of it."""
    text = wrapping.without_label(text)
    fenced = _FENCED.match(text)
    return fenced[1].rstrip(" \n`") if fenced else text


def _envelopes(text: str) -> Iterator[tuple[int, Reading | None]]:
    """Where the envelopes in `text` begin, and what is in them; None for one that is written within a string."""
    if not (may_say(text, _NAMES_BEGIN) and _SHOWN.search(text)):
        return
    done, strangers = 0, 0
    for match in _OBJECT.finditer(text):
        lead, quote, name, string = match.groups()
        ours = _one_spelling(name) in _NAMES
        if match.start() < done or not (quote or (ours and string)):
            continue
        if "\\" in lead:
            if ours:
                yield match.start(), None
                return
            continue
        reading = read_object(text, match.start())
        if _is_envelope(reading, ours, _alone(text, match.start(), reading.end)):
            yield match.start(), reading
            done = reading.end if reading.whole else len(text)
        elif (strangers := strangers + 1) == _MAX_STRANGERS:
            return


def _is_envelope(reading: Reading, ours: bool, alone: bool) -> bool:
    """Whether an object is the envelope, and not code or an example that has a `response` in it.

    Args:
      ours: it begins with a name of the envelope.
      alone: there is nothing round it.
    """
    members = _named(reading.members)
    shown = sum(name in members for name in _NAMES)
    response = members.get("response")
    speaks = not isinstance(response, dict) or "response" in _named(response) or not reading.whole
    if alone:
        return shown > 0 and (ours or "response" in members)
    return (ours and (speaks or shown > 1)) or ("response" in members and shown > 1)


def _is_left_empty(members: _Members) -> bool:
    response = members.get("response", ...)
    return response is None or (isinstance(response, str) and shapes.is_nothing(response))


def _alone(text: str, start: int, end: int) -> bool:
    return not _ending(text[:start]) and not text[end:].strip(" \n\t]`\"'")


def _answer(response: object, wrappings: int, *, cut: bool) -> tuple[str | None, _Members]:
    """The words of a response, whatever it is; None when there is none."""
    match response:
        case None | bool():
            return None, {}
        case str():
            return _unwrapped(response.strip(), wrappings, cut=cut)
        case int() | float():
            return str(response) if abs(response) < _MAX_NUMBER else "", {}
        case list():
            return _unwrapped((shapes.said_in_parts(response) or "").strip(), wrappings, cut=cut)
        case dict() if wrappings > 0:
            members = _named(response)
            if _is_left_empty(members) and not cut:
                members[_LEFT_EMPTY] = True
            if "response" not in members:
                members["response"] = shapes.speaking(response)
            answer, inner = _answer(members.pop("response", None), wrappings - 1, cut=cut)
            return answer or "", {**inner, **members}
        case _:
            return "", {}


def _ending(prose: str) -> str:
    """What comes before an envelope, without the fence or bracket that opens it."""
    prose = prose.rstrip(" \n\t[")
    head, fence, language = prose.rpartition("```")
    return head.strip() if fence and language.strip().casefold() in {"", "json"} else prose.strip()


def _announced(prose: str) -> str:
    """Prose as an answer: nothing when it only announces what could not be read."""
    return "" if prose.endswith((":", "：")) else _without_names(prose)


def _finished(text: str) -> str:
    """`text` without an envelope or a fence that is only just begun at its end."""
    opened = _OPENED.search(text, max(0, len(text) - 200))
    if opened and any(name.startswith(_one_spelling(opened[2])) for name in _NAMES):
        text = _ending(text[: opened.start()])
    elif text.endswith("\n{"):
        text = _ending(text[:-1])
    return "" if _BEGUN.fullmatch(text) else text.removesuffix(_JSON_FENCE).rstrip()


def _without_told_names(text: str) -> tuple[str, _Members]:
    """`text` without first and last lines that say what the envelope says beside its response; and what they say."""
    lines, found = text.split("\n"), _Members()
    for last in (-1, 0):
        while lines and (told := _TOLD_NAME.fullmatch(lines[last].rstrip())):
            name, value = _one_spelling(told[1]), told[2].strip(" \t*_`\"',;)")
            is_apart = bool(found) or "." in value or not "".join(lines[-2:-1]).strip()
            if name == "confidence" and (_confidence(value) is None or not is_apart):
                break
            found.setdefault(name, [each.strip(" \"'") for each in value.strip("[]").split(",")])
            if name != "requestedfields":
                found[name] = value
            del lines[last]
            while lines and not lines[last].strip():
                del lines[last]
    return ("\n".join(lines) if found else text), found


def _without_names(text: str) -> str:
    """`text` up to the first name of an envelope that is left in it all the same."""
    shown = _UNMISTAKABLE.search(text) if may_say(text, _NAMES_BEGIN) else None
    return text[: shown.start()].rstrip(", {[\\\n\t") if shown else text


def _one_spelling(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


def _named(members: Mapping[str, object]) -> _Members:
    return {_one_spelling(name): value for name, value in members.items()}


def _yes(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.strip().casefold() in {"true", "yes"})


def _fields(value: object) -> tuple[str, ...]:
    """The names of what the customer is asked for: each once, bounded in number and length."""
    listed = value if isinstance(value, list) else [value]
    named = (" ".join(plain_text(field).split()) for field in listed if isinstance(field, str))
    once = dict.fromkeys(field[:MAX_FIELD_CHARS].rstrip() for field in named if field)
    return tuple(once)[:MAX_FIELDS]


def _confidence(value: object) -> float | None:
    """A number from 0 to 1. From 10 to 100, or with its sign, it is per cent; in between the scale is unknown."""
    number, per_cent = value, False
    if isinstance(value, str):
        written = value.strip()
        number, per_cent = None, written.endswith("%")
        with suppress(ValueError):
            number = float(written.removesuffix("%"))
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if per_cent or 10 <= number <= 100:
        number = number / 100
    return float(number) if 0 <= number <= 1 else None
