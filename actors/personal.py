"""What looks like personal data in a text. Pure; in doubt it is: an answer that is not kept costs a call."""

from __future__ import annotations

import re

_KEYCAP = re.compile("\u20e3")
_SIGN = re.compile(r"[\d@]")
"""Whatever looks personal has one of these."""
_PERSONAL = re.compile(
    r"\d{5,}"  # a phone number, an account, a code
    r"|\d(?:[\s().+/*·•_~-]{0,2}\d){6,}"  # the same, written in groups
    r"|@"
    r"|#\s?\d"
    r"|[^\W\d_][-_]?\d{3,}"  # ord-1234, ab123
    r"|(?:order|invoice|ticket|booking|طلب|طلبيه|طلبي|الطلب|فاتوره|الفاتوره|حجز|الحجز)"
    r"\W{1,3}(?:(?:no|nr|number|id|رقم)\W{1,3})?\d{3,}"
)


def is_personal(text: str) -> bool:
    """Whether normalised `text` looks as if it held personal data."""
    return _SIGN.search(text) is not None and _PERSONAL.search(_KEYCAP.sub("", text)) is not None
