"""The marks in what a model says that are for its machine: where thoughts, tools and turns begin and end. Pure, total.

Laws of this file:
1. A mark is known by its form and the words in its name, not by a list of models: `<seed:think>`, `[THINK]`,
   `◁think▷`, `<|START_THINKING|>` and `<|channel>thought` all begin thoughts.
2. HTML and whatever else stands in angle brackets is no mark: `<3`, `<b>`, `a < b > c`, `<s>90</s>`.
3. A mark in inline code with text on both sides is spoken about, not used.
4. Each character is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

MarkKind = Literal[
    "think",  # thoughts begin
    "unthink",  # and end
    "channel",  # thoughts begin, and end with their message
    "aside",  # thoughts begin that only their own end ends
    "unaside",
    "final",  # the answer begins; what was said before was not yet it
    "answer",  # as "final", and it ends with "unanswer"
    "unanswer",
    "comment",  # a message for the customer begins that is not yet the answer
    "tool",  # a call of a tool begins
    "untool",
    "us",  # the model's turn begins
    "them",  # somebody else's turn begins
    "end",  # a turn or message ends
    "drop",  # means nothing
]


class ModelMark(msgspec.Struct, frozen=True):
    """One mark and its place."""

    kind: MarkKind
    start: int
    end: int
    name: str = ""
    """Which tool: only its own end ends it."""
    stands_for: str = ""
    """The text that it was made of."""


_LT, _GT = r"(?:<|&lt;|\\u003[cC]|＜)", r"(?:>|&gt;|\\u003[eE]|＞)"
_ROLE = "user|human|customer|system|developer|tool|observation|ipython|environment|assistant|model|chatbot|ai"
_BAR = "[|｜]"

_MARK = re.compile(
    rf"""
      (?P<bytes>(?:<0x[0-9A-Fa-f]{{2}}>)++)
    | (?:<\|start\|>[^<>\n]{{0,80}}+)?<\|channel\|>(?P<channel>[^<>\n]{{0,80}}+)
        (?:<\|constrain\|>[^<>\n]{{0,40}}+)?(?:<\|message\|>)?
    | (?P<message><\|message\|>)
    | <\|(?P<xtml>open|close)\|>(?P<xtml_name>\w{{1,20}}+)[^<>\n]{{0,100}}+<\|sep\|>
    | </?{_BAR}(?P<dsml>DSML){_BAR}[^<>]{{0,200}}+>
    | (?P<special><{_BAR}[^\s<>]{{1,64}}+>|</?[^\s<>|｜]{{1,40}}+{_BAR}>)
    | \[(?P<square>\|\w{{1,24}}+\||/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)
        |EOS|EOT|BOS|UNK|[gs]MASK|unused\d{{1,3}}|/?(?i:think|thinking|thought|thoughts|reasoning))\]
    | (?P<pair>◁/?\w{{1,20}}+▷|<</?SYS>>|\]<\]minimax\[>\[)
    | {_LT}(?P<slash>/?)[^\S\n]?(?P<tag>[A-Za-z][\w:|.=-]{{0,60}}+)(?P<rest>(?:\s[^<>]{{0,200}}?)?)/?{_GT}
    """,
    re.VERBOSE,
)
_MAY_BEGIN = re.compile(r"[<＜\[◁\]&\\]")
"""A mark begins with one of these: elsewhere nothing is looked for."""
_HEADER_BEFORE = re.compile(
    r"(?:<\|start\|>[^\S\n]?assistant[^\S\n]?)?(?P<header>to=[\w.-]{1,80}|(?<!\S)(?:analysis|commentary|final))\Z"
)
_MAX_HEADER_CHARS = 120
_ROLE_NEXT = re.compile(
    rf"\s{{0,2}}({_ROLE})[^\S\n]{{0,2}}(?:<[|｜][^\s<>]{{1,40}}+>|\n|(?=<)|\Z)", re.IGNORECASE
)
_CHANNEL_NEXT = re.compile(r"[^\S\n]?(?:thoughts?|thinking|analysis|commentary|final)?\b:?", re.IGNORECASE)
_QUOTED = re.compile(r"(?<!`)`(?=<|&lt;|\[|◁)[^`\n]{2,80}(?<=[>\];▷])`(?!`)")
"""Inline code that begins and ends with a mark."""

_PREFIX = r"(?:[a-z0-9]{1,20}[:_|.-]){0,3}"
_THOUGHT = re.compile(
    rf"{_PREFIX}(?:(?:ant)?think(?:ing|s)?|thoughts?|reasoning|analysis|reflections?|reflexion|scratch_?pad"
    r"|monologue|deliberation|introspection|chain_of_thought|cot)"
    r"(?:[_-](?:fast|faster|process|content|block|steps?|trace))?"
)
_AMBIGUOUS = (
    *(
        "reason",
        "rationale",
        "plan",
        "planning",
        "critique",
        "self_critique",
        "draft",
        "internal",
        "inner_voice",
    ),
)
"""These are thoughts where they are closed too, or where the answer begins with them."""
_BOX = "details"
_PANGU = ("unused16", "unused17")
"""What begins and ends its thoughts."""
_ANSWER = re.compile(
    r"(?:the_)?(?:final_?)?(?:answer|response|reply|solution)|final|final_?(?:output|message)"
)
_ANSWER_IF_CLOSED = ("output", "assistant")
_TOOL = re.compile(
    rf"{_PREFIX}(?:tool_?(?:calls?|code|use|response|results?|outputs?|request)|function_?(?:calls?|results?|response)"
    r"|invoke|tvoe_calls)|function=.*"
)
_TOKENS: dict[str, MarkKind] = {
    **dict.fromkeys(("eos", "eop", "end_of_turn", "end_of_utterance", "endoftext"), "end"),
    **dict.fromkeys(("bos", "sop", "pad", "unk", "mask_token", "start_of_image", "image_soft_token"), "drop"),
}
_NUMBERED = re.compile(r"(?:extra_id_|special_|unused|reserved_token_)\d{1,4}")
_REASONING_BOX = re.compile(
    r"<details[^<>]{0,100}\btype=.{0,3}(?:reasoning|think)"
    r"|<details[^<>]{0,100}>\s{0,4}<summary>[^<>\n]{0,40}(?:thinking|thought|reasoning|التفكير)",
    re.IGNORECASE,
)
_CLOSING = re.compile(rf"{_LT}/([A-Za-z_]{{1,16}}+)\s?{_GT}")
_STRUCK = re.compile(r"<s>[^<>\n]{1,200}+</s>")
"""HTML for what is struck through."""

_ENDS = re.compile(r"(?:^|[_:/])(?:end|close|suffix)(?:[_:]|$)")
_ENDS_NAME = re.compile(r"(?:^|[_:])(?:start|begin|end|open|close)(?=[_:]|$)")
_SPECIAL: tuple[tuple[re.Pattern[str], MarkKind, MarkKind], ...] = (
    (re.compile(r"^content_thinking$"), "channel", "channel"),
    (re.compile(r"think|thought|reasoning|inner_(?:prefix|suffix)|monologue"), "think", "unthink"),
    (
        re.compile(r"^(?:end_header_id|header_end|end_of_role|im_middle|im_sep|message|sep|constrain)$"),
        "drop",
        "drop",
    ),
    (
        re.compile(r"^(?:im_end|return|end|call|eo[tmsp](?:_id)?|content_model_end_sampling|plamo:tag)$"),
        "end",
        "end",
    ),
    (re.compile(r"tool|function|python_tag|action|content_invoke"), "tool", "untool"),
    (
        re.compile(r"^(?:(?:start|begin)_(?:of_)?(?:response|solution|answer)|start_text|content_text)$"),
        "final",
        "end",
    ),
    (re.compile(r"^end_?(?!of_(?:box|image|audio|role))(?:of_?)?[a-z]"), "end", "end"),
    (
        re.compile(
            r"^(?:im_start|start|start_header_id|header_start|start_of_(?:turn(?:_token)?|role)|turn)$"
        ),
        "us",
        "end",
    ),
    (
        re.compile(r"(?:^|_)(?:user|human|system|developer|observation|ipython|environment)(?:_|$)"),
        "them",
        "end",
    ),
    (re.compile(r"(?:^|_)(?:assistant|chatbot|model)(?:_|$)"), "us", "end"),
)
"""What `<|name|>` means by its name, and what it means when it ends something; the first that is found counts."""
_TAGS: tuple[tuple[re.Pattern[str], MarkKind, MarkKind], ...] = (
    (_THOUGHT, "think", "unthink"),
    (_TOOL, "tool", "untool"),
)


class _View(msgspec.Struct, frozen=True):
    """A text, and what is asked about it often."""

    text: str
    first: int
    """Where there is something to be seen first, and last."""
    last: int
    closed: frozenset[str]
    """Names of tags that are closed somewhere."""
    boxed: bool
    """Thoughts are hidden as a web page hides them."""


def marks(text: str) -> Iterator[ModelMark]:
    """The marks in `text`, in order; none of them overlap."""
    view = _View(
        text,
        first=len(text) - len(text.lstrip()),
        last=len(text.rstrip()),
        closed=frozenset(found[1].casefold() for found in _CLOSING.finditer(text)),
        boxed="<details" in text and _REASONING_BOX.search(text) is not None,
    )
    mentions = _mentions(view)
    mention, at = next(mentions, None), 0
    for sign in _MAY_BEGIN.finditer(text):
        start = sign.start()
        while mention and mention[1] <= start:
            mention = next(mentions, None)
        if start < at or (mention and mention[0] < start):
            continue
        found = _MARK.match(text, start)
        mark = _read(view, found) if found else None
        if mark is not None:
            yield msgspec.structs.replace(mark, start=max(at, mark.start))
            at = mark.end


def may_have_marks(text: str) -> bool:
    """Whether there is anything that a mark begins with."""
    return _MAY_BEGIN.search(text) is not None


def _mentions(view: _View) -> Iterator[tuple[int, int]]:
    """Where marks are spoken about."""
    for found in _QUOTED.finditer(view.text) if "`" in view.text else ():
        if view.first < found.start() and found.end() < view.last:
            yield found.span()


def _read(view: _View, found: re.Match[str]) -> ModelMark | None:
    return _READERS.get(found.lastgroup or "", _tag)(view, found)


def _bytes(_: _View, found: re.Match[str]) -> ModelMark:
    raw = bytes.fromhex(found[0].replace("<0x", "").replace(">", ""))
    return ModelMark("drop", *found.span(), stands_for=raw.decode("utf-8", "ignore"))


def _header(_: _View, found: re.Match[str]) -> ModelMark:
    return ModelMark(_channel(found["channel"]), *found.span(), name="channel")


def _message(view: _View, found: re.Match[str]) -> ModelMark:
    """Where a message begins; its header may have no mark."""
    start, end = found.span()
    first = max(0, start - _MAX_HEADER_CHARS)
    header = _HEADER_BEFORE.search(view.text[first:start])
    if header is None:
        return ModelMark("drop", start, end)
    return ModelMark(_channel(header["header"]), first + header.start(), end, name="channel")


def _channel(header: str) -> MarkKind:
    words = header.casefold().split()
    recipient = next((word[3:] for word in words if word.startswith("to=")), "")
    if recipient == "user" or "final" in words:
        return "final"
    if recipient == "self" or "commentary" not in words:
        return "tool" if recipient and recipient != "self" else "channel"
    return "tool" if recipient else "comment"


def _xtml(_: _View, found: re.Match[str]) -> ModelMark:
    opens, name = found["xtml"] == "open", found["xtml_name"]
    kind: MarkKind = "tool" if opens else "untool"
    if name == "think":
        kind = "think" if opens else "unthink"
    elif name in ("response", "message"):
        kind = "end" if not opens else "final" if name == "response" else "drop"
    return ModelMark(kind, *found.span(), name=name)


def _dsml(_: _View, found: re.Match[str]) -> ModelMark:
    return ModelMark("tool", *found.span(), name="dsml")


def _pair(_: _View, found: re.Match[str]) -> ModelMark:
    closes = "/" in found[0]
    kind: MarkKind = "drop"
    if "SYS" in found[0]:
        kind = "drop" if closes else "them"  # the customer's words follow
    elif "think" in found[0].casefold():
        kind = "unthink" if closes else "think"
    return ModelMark(kind, *found.span())


def _square(view: _View, found: re.Match[str]) -> ModelMark:
    start, end = found.span()
    name, closes = found["square"].strip("/").casefold(), found[0][1] == "/"
    if name.startswith("|"):
        return _token(view.text, start, end, name)
    kind: MarkKind = "drop"
    if name in ("inst", "tool_results"):
        kind = "us" if closes else "them"
    elif name in ("system_prompt", "available_tools"):
        kind = "drop" if closes else "them"
    elif name == "tool_calls":
        kind = "untool" if closes else "tool"
    elif name in ("eos", "eot"):
        kind = "end"
    elif not name.startswith(("unused", "gmask", "smask", "bos", "unk")) or name in _PANGU:
        kind = "unthink" if closes or name == _PANGU[1] else "think"
    return ModelMark(kind, start, end, name=name)


def _special(view: _View, found: re.Match[str]) -> ModelMark:
    return _token(view.text, *found.span(), found[0][1:-1])


def _token(text: str, start: int, end: int, token: str) -> ModelMark:
    """`|name|`; also `|name` and `name|`, which begin and end what is between them."""
    name = token.replace("▁", "_").strip("|｜/").casefold()
    ends = token[0] not in "|｜" or token[1:2] == "/" or _ENDS.search(name) is not None
    if name == "channel":
        word = None if ends else _CHANNEL_NEXT.match(text, end)
        kind: MarkKind = "final" if word and "final" in word[0].casefold() else "unthink" if ends else "think"
        return ModelMark(kind, start, word.end() if word else end)
    kinds = (
        (ending if ends else beginning) for pattern, beginning, ending in _SPECIAL if pattern.search(name)
    )
    kind = next(kinds, "drop")
    if kind == "us":
        return _turn(text, start, end)
    return ModelMark(kind, start, end, name=_ENDS_NAME.sub("", name).strip("_:"))


def _turn(text: str, start: int, end: int) -> ModelMark:
    """The beginning of a turn, and whose it is."""
    role = _ROLE_NEXT.match(text, end)
    if role is None:
        return ModelMark("us", start, end)
    ours = role[1].casefold() in ("assistant", "model", "chatbot", "ai")
    return ModelMark("us" if ours else "them", start, role.end())


def _tag(view: _View, found: re.Match[str]) -> ModelMark | None:
    """A tag, if it is a mark."""
    name = found["tag"].casefold()
    if _THOUGHT.fullmatch(name) and found[0].endswith("/>"):
        return ModelMark("drop", *found.span())
    if name in _AMBIGUOUS or name == _BOX:
        return _ambiguous(view, found)
    if name == "start_of_turn":
        return _turn(view.text, *found.span())
    kind = _tag_kind(view, found, name)
    return ModelMark(kind, *found.span(), name=name.partition("=")[0]) if kind else None


def _tag_kind(view: _View, found: re.Match[str], name: str) -> MarkKind | None:
    closes = bool(found["slash"])
    for pattern, beginning, ending in _TAGS:
        if pattern.fullmatch(name):
            return ending if closes else beginning
    if found["rest"].strip():
        return None
    if _ANSWER.fullmatch(name) or (name in _ANSWER_IF_CLOSED and name in view.closed):
        return "unanswer" if closes else "answer" if _begins_line(view.text, found.start()) else None
    if name == "s":
        return None if _is_struck(view, found.start(), closes=closes) else "end" if closes else "drop"
    return _TOKENS.get(name) or ("drop" if _NUMBERED.fullmatch(name) else None)


def _ambiguous(view: _View, found: re.Match[str]) -> ModelMark | None:
    start, end = found.span()
    name, closes = found["tag"].casefold(), bool(found["slash"])
    if name == _BOX:
        opens = not closes and _REASONING_BOX.match(view.text, start) is not None
        known = opens or (closes and view.boxed)
    else:
        opens = not closes
        known = closes or name in view.closed or start == view.first
    return ModelMark("aside" if opens else "unaside", start, end, name=name) if known else None


def _begins_line(text: str, start: int) -> bool:
    """Whether a tag is the first thing in its line, or follows another mark."""
    before = text[max(0, start - 40) : start].rstrip(" \t")
    return not before or before[-1] in "\n>]▷;"


def _is_struck(view: _View, start: int, *, closes: bool) -> bool:
    """Whether `<s>` or `</s>` is HTML: both in a line, and not round the whole answer."""
    at = view.text.rfind("<s>", max(0, start - 210), start) if closes else start
    struck = _STRUCK.match(view.text, at) if at >= 0 else None
    if struck is None or (closes and struck.end() != start + 4):
        return False
    return view.first < at or struck.end() < view.last


_READERS: dict[str, Callable[[_View, re.Match[str]], ModelMark | None]] = {
    "bytes": _bytes,
    "channel": _header,
    "message": _message,
    "xtml_name": _xtml,
    "dsml": _dsml,
    "special": _special,
    "square": _square,
    "pair": _pair,
}
