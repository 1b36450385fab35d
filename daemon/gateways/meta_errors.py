"""What Meta's error codes prove about a send, for every gateway with Meta's Cloud API behind it. Pure and total.

The table follows Meta's own "Cloud API error codes" (Graph v25.0): the code decides, never the HTTP status or the
title. An error object is Meta's word that it did not take the message, so a code that is not in the table is a refusal
too. Not so the codes that Meta itself calls unknown, temporary or internal: whether the message left must then be found
out.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.outcome import NotSent, Remedy, Unknown
from daemon.web.answer import dig

MAX_CODE = 9_999_999


class MetaError(NamedTuple):
    code: int
    subcode: int | None = None


class _Rule(NamedTuple):
    remedy: Remedy
    word: str = ""
    """The reason of a dead letter; empty: `meta_<code>`."""
    retry_after_seconds: float | None = None


_TOKEN = _PERMISSION = _NUMBER = _Rule("hold")
_ACCOUNT = _Rule("hold", retry_after_seconds=600.0)
_CALL_LIMIT = _Rule("hold", retry_after_seconds=300.0)
_OUR_REQUEST = _Rule("refuse", "bad_request")
_TEMPLATE = _Rule("refuse", "template_refused")
_REGISTRATION = _Rule("hold", retry_after_seconds=600.0)

_RULES: dict[int, _Rule] = {
    0: _TOKEN,
    190: _TOKEN,
    3: _PERMISSION,
    10: _PERMISSION,
    **dict.fromkeys(range(200, 300), _PERMISSION),
    131005: _PERMISSION,
    33: _NUMBER,  # the business' own number is gone
    131045: _NUMBER,
    133010: _NUMBER,
    368: _ACCOUNT,
    131031: _ACCOUNT,
    131037: _ACCOUNT,
    131042: _ACCOUNT,
    # Limits. The longest waits: Meta counts calls by the hour.
    4: _CALL_LIMIT,
    80007: _CALL_LIMIT,
    130429: _Rule("hold", retry_after_seconds=5.0),
    131056: _Rule("hold", retry_after_seconds=6.0),  # one message in 6 s to one customer, after a burst
    131048: _Rule("hold", retry_after_seconds=3600.0),
    131064: _Rule("hold", retry_after_seconds=3600.0),
    131057: _Rule("hold", retry_after_seconds=60.0),  # maintenance
    **dict.fromkeys((133000, 133005, 133006, 133008, 133009, 133015, 133016), _REGISTRATION),
    # What no waiting mends.
    131047: _Rule("refuse", "window_closed"),
    470: _Rule("refuse", "window_closed"),  # the same, as older versions say it
    131026: _Rule("refuse", "undeliverable"),
    131021: _Rule("refuse", "sent_to_itself"),
    130497: _Rule("refuse", "country_restricted"),
    130403: _Rule("refuse", "blocked"),
    131030: _Rule("refuse", "not_allow_listed"),
    131049: _Rule("refuse", "marketing_limited"),
    131050: _Rule("refuse", "opted_out"),
    130472: _Rule("refuse", "in_experiment"),
    131051: _Rule("refuse", "unsupported_type"),
    131052: _Rule("refuse", "media_failed"),
    131053: _Rule("refuse", "media_failed"),
    **dict.fromkeys((100, 131008, 131009, 135000), _OUR_REQUEST),
    **dict.fromkeys((132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068, 132069), _TEMPLATE),
}

_PROVES_NOTHING = frozenset({1, 2, 131000, 131016, 133004})
"""Meta: unknown, temporarily down, or something went wrong. Such an answer was seen for messages that arrived."""

_SUBCODE_OBJECT_GONE = 33


def find_error(document: object) -> MetaError | None:
    """Meta's error object: `document` itself, or what it holds under `error`, or the first of its `errors`."""
    for found in (document, dig(document, "error"), dig(document, "errors", 0)):
        code = dig(found, "code")
        if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) <= len(str(MAX_CODE)):
            code = int(code)
        # A code alone may be anybody's; Meta's objects say more.
        if _is_code(code) and any(dig(found, name) is not None for name in _MARKS):
            assert isinstance(code, int)
            subcode = dig(found, "error_subcode")
            return MetaError(code, subcode if _is_code(subcode) and isinstance(subcode, int) else None)
    return None


_MARKS = ("fbtrace_id", "error_data", "type", "title", "href")


def _is_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_CODE


def refusal(
    error: MetaError, http_status: int = 200, retry_after_seconds: float | None = None
) -> NotSent | Unknown:
    """What the error proves about the send that it answers.

    Args:
      retry_after_seconds: what the answer's header asks for; it wins over the table.
    """
    code, subcode = error
    word = reason_of(error)
    rule = _NUMBER if (code, subcode) == (100, _SUBCODE_OBJECT_GONE) else _RULES.get(code)
    if code in _PROVES_NOTHING or (rule is None and http_status >= 500):
        return Unknown(word)
    if rule is None:
        return NotSent(word, "refuse")
    if rule.remedy == "refuse":
        return NotSent(word, "refuse")
    wait = rule.retry_after_seconds if retry_after_seconds is None else retry_after_seconds
    return NotSent(word, "hold", wait)


def reason_of(error: MetaError) -> str:
    """A stable word for an error: the table's own, else `meta_<code>`."""
    rule = None if (error.code, error.subcode) == (100, _SUBCODE_OBJECT_GONE) else _RULES.get(error.code)
    return (rule.word if rule else "") or f"meta_{error.code}"
