"""What a provider's error means. Pure, total, and linear in what the provider wrote.

Laws of this file:
1. What the body says goes before the status: a 403 with the reasons of a moderation is a verdict on this one prompt, a
   400 may be about the key, a 200 may hold an error. Only 401 and 402 are about the account, whatever they say.
2. Codes and types count first, then well-known words of the message. Nothing that a provider only repeats from the
   request (`input`, `flagged_input`) is read.
3. A page, where an answer in JSON is due, comes from something in front of the provider, e.g. a firewall. Where it
   refuses (403, 406, 451), it may be this prompt or this machine that it dislikes: the next provider is asked, and the
   key is not believed to be wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from daemon.responders.error_words import (
    BANNED,
    BY_STATUS,
    BY_WORDS,
    KEY_HINTS,
    POLICY,
    POLICY_SAYS,
    FailureKind,
)
from daemon.web.answer import HttpAnswer, dig, readable_json

_ACCOUNT = (401, 402)
_BLOCKERS = ("cf-mitigated", "x-amzn-waf-action")
"""Headers of firewalls that say: it was they who answered."""

_BLOCK_PAGES = (b"your support id is", b"incapsula incident id")
"""F5's and Imperva's."""
_MAX_NODES = 200
_MAX_MESSAGE_CHARS = 4_000
_MAX_WORDS = 100
_CODES = frozenset(
    {"code", "type", "status", "reason", "error_type", "error_code", "category", "__type", "raw_status_code"}
    | {"status_code", "statuscode", "provider_code"}
)
_MESSAGES = frozenset(
    {"message", "msg", "error", "detail", "raw", "status_msg", "error_description", "title"}
)
_ECHOES = frozenset({"input", "flagged_input", "ctx", "prompt", "messages", "choices", "content"})
"""What is repeated from the request, or is an answer."""
_FLAGS = frozenset(
    {"flagged_input", "content_filter_result", "content_filter_results", "contentfilter", "content_filter"}
)

_VAGUE = ("bad_request", "server_error")
"""Types that some write into any error: the status says more."""


class Trouble(NamedTuple):
    """What an error says. All in lower case."""

    status: int
    """HTTP's; for an error inside a 200 the one that it names, else 200."""
    words: frozenset[str]
    """Its codes and types."""
    message: str
    parameters: tuple[str, ...] = ()
    """Those that it is about, e.g. `max_tokens` or `body.max_tokens`."""
    flagged: bool = False
    """It says what about the prompt was flagged."""
    is_page: bool = False
    """A web page instead of JSON."""
    is_text: bool = False
    """Neither page nor JSON, and not empty."""
    blocked: bool = False
    """Something in front of the provider says that it refused."""


def trouble_of(answer: HttpAnswer) -> Trouble:
    """What an answer says that is an error by its status."""
    payload = answer.json()
    found = _read(answer.status, payload)
    if payload is not None:
        return found._replace(blocked=_is_blocked(answer))
    text = answer.body[:_MAX_MESSAGE_CHARS].decode("utf-8", "replace").strip()
    is_page = is_html(answer)
    return found._replace(
        message="" if is_page else text.lower(),
        is_page=is_page,
        is_text=bool(text) and not is_page,
        blocked=_is_blocked(answer),
    )


def trouble_inside(payload: object) -> Trouble | None:
    """What a 200 says that holds an error, with the status that it names; None: it holds none."""
    if not _holds_error(payload):
        return None
    found = _read(200, payload)
    named = sorted(int(word) for word in found.words if word.isascii() and word.isdigit() and len(word) == 3)
    return found._replace(status=next((status for status in named if status in BY_STATUS), 200))


def kind_of(trouble: Trouble) -> FailureKind:
    """What it means, where the provider's dialect knows nothing special about it."""
    status = trouble.status
    if status in _ACCOUNT:
        return "bad_key"
    if trouble.blocked or (trouble.is_page and BY_STATUS.get(status) in ("blocked", "bad_key")):
        return "blocked"
    if is_policy(trouble):
        return "refused_by_policy"
    return _forbidden(trouble) if status == 403 else _otherwise(trouble)


def _forbidden(trouble: Trouble) -> FailureKind:
    """A 403 is about the key, unless it says something else, or is a mere text that says nothing of a key."""
    if trouble.is_text and not _says(trouble, KEY_HINTS):
        return "blocked"
    said = _by_words(trouble)
    return said if said in ("too_long", "not_found") else "bad_key"


def _otherwise(trouble: Trouble) -> FailureKind:
    said, by_status = _by_words(trouble), BY_STATUS.get(trouble.status)
    if said is not None and (said not in _VAGUE or by_status is None):
        return said
    return by_status or ("garbage" if trouble.status == 200 else "unexpected_status")


def is_policy(trouble: Trouble) -> bool:
    """Whether it is a verdict on the prompt."""
    if trouble.words & BANNED:
        return False
    return trouble.flagged or bool(trouble.words & POLICY) or _says(trouble, POLICY_SAYS)


def is_html(answer: HttpAnswer) -> bool:
    kind = answer.headers.get("content-type", "")
    return kind.startswith("text/html") or answer.body[:200].lstrip().startswith(b"<")


def is_block_page(answer: HttpAnswer) -> bool:
    """Whether a firewall refuses with a page of any status: some do so with 200."""
    page = answer.body[:_MAX_MESSAGE_CHARS].lower() if is_html(answer) else b""
    return any(says in page for says in _BLOCK_PAGES)


def _is_blocked(answer: HttpAnswer) -> bool:
    return any(name in answer.headers for name in _BLOCKERS) or is_block_page(answer)


def _by_words(trouble: Trouble) -> FailureKind | None:
    for words, says, kind in BY_WORDS:
        if trouble.words & words or _says(trouble, says):
            return kind
    return None


def _says(trouble: Trouble, phrases: Iterable[str]) -> bool:
    return any(phrase in trouble.message for phrase in phrases)


def _holds_error(payload: object) -> bool:
    if isinstance(payload, list):
        payload = payload[0] if payload else None
        return dig(payload, "error") is not None
    if not isinstance(payload, dict):
        return False
    if _says_anything(payload.get("error")) or _says_anything(dig(payload, "choices", 0, "error")):
        return True
    if payload.get("type") == "error" or payload.get("object") in ("error", "Error"):
        return True
    if dig(payload, "base_resp", "status_code") not in (None, 0):
        return True
    answers = ("choices", "content", "candidates", "output", "promptFeedback")
    says = payload.get("message") or payload.get("detail") or payload.get("msg")
    return bool(says) and not any(name in payload for name in answers)


def _says_anything(error: object) -> bool:
    """Some write an empty error beside every answer."""
    return any(error.values()) if isinstance(error, dict) else bool(error)


def _read(status: int, payload: object) -> Trouble:
    """What is said anywhere in it, of the first `_MAX_NODES` parts."""
    words: list[str] = []
    messages: list[str] = []
    parameters: list[str] = []
    flagged = False
    waiting: deque[tuple[object, bool]] = deque([(payload, True)])
    for _ in range(_MAX_NODES):
        if not waiting:
            break
        node, may_hold_json = waiting.popleft()
        if isinstance(node, list):
            waiting.extend((each, may_hold_json) for each in node[:_MAX_NODES])
            continue
        if not isinstance(node, dict):
            continue
        for name, value in node.items():
            key = str(name).lower()
            flagged |= key in _FLAGS and bool(value)
            flagged |= key == "reasons" and bool(value) and "provider_name" in node
            if key == "status_code" and "status_msg" in node:
                words.append(f"minimax {value}")
            elif key in _CODES and isinstance(value, (str, int)):
                words.append(str(value)[:100].lower())
            elif key == "param" and isinstance(value, str):
                parameters.append(value[:100].lower())
            elif key == "loc" and isinstance(value, list):
                parameters.append(".".join(str(step) for step in value[:10])[:100].lower())
            if key in _MESSAGES and isinstance(value, str):
                messages.append(value[:_MAX_MESSAGE_CHARS].lower())
                if may_hold_json and value[:1] in "{[":
                    waiting.append((readable_json(value.encode("utf-8", "replace")), False))
            elif isinstance(value, (dict, list)) and (
                key not in _ECHOES or (key == "choices" and node is payload)
            ):
                waiting.append((value if key != "choices" else dig(value, 0, "error"), may_hold_json))
    return Trouble(
        status,
        frozenset(words[:_MAX_WORDS]),
        " ".join(messages)[:_MAX_MESSAGE_CHARS],
        tuple(parameters[:_MAX_WORDS]),
        flagged,
    )
