"""Who may post webhooks, by what the head of a request says."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from daemon.web.http1 import Request

Allows = Callable[[str], bool]
"""Whether a sender may post for an instance."""
Authorize = Callable[[Request], Allows | None]
"""Reads the head of a webhook: for which instances its sender may post; None: for none at all."""


def any_instance(_instance: str) -> bool:
    """What a sender may post for, who has no instances of his own."""
    return True


def somebody_here(_instance: str) -> bool:
    """What a sender may post for who is at this machine, where no token is asked for."""
    return True


def anybody(_instance: str) -> bool:
    """What a sender may post for of whom nothing is known."""
    return True


UNBOUNDED = (any_instance, somebody_here, anybody)
"""Those that may post for every instance."""


class SharedToken:
    """Access by a token in `apikey` or `Authorization: Bearer`; several tokens are valid at once, for a rotation."""

    def __init__(self, tokens: Sequence[str]) -> None:
        """Raises `ValueError` without a token: an open door has to be configured explicitly."""
        if not tokens or not all(tokens):
            raise ValueError("token access needs at least one token, and none may be empty")
        self._tokens = tuple(token.encode() for token in tokens)

    def __call__(self, request: Request) -> Allows | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = [request.headers.get("apikey", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
        matches = [
            hmac.compare_digest(presented.encode("latin-1"), token)
            for presented in given
            for token in self._tokens
        ]  # a list, not a generator: all comparisons are made, so that the time says nothing about the tokens
        return any_instance if any(matches) else None


def open_door(request: Request) -> Allows | None:
    """Access for everyone who can connect (`auth.mode: none`)."""
    address = request.peer.address
    return somebody_here if address == "::1" or address.startswith(_LOOPBACK) else anybody


_LOOPBACK = ("127.", "::ffff:127.")
"""Addresses of this machine begin so, besides `::1`."""
