"""Text that every peer and every store accepts. Pure, total, idempotent."""

from __future__ import annotations

import re

_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def plain_text(text: str) -> str:
    """`text` with Unix line ends, without control characters and lone surrogates.

    NUL and lone surrogates cannot be stored by Postgres, neither by ours nor by the gateway's, which stores a
    message only after it has sent it; the other control characters can take over an operator's terminal.
    """
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
