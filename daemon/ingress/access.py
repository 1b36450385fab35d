"""Who may post webhooks, by what the head of a request says.

Laws of this file:
1. A token of an instance opens the door for that instance alone; the shared one opens it for all. Where several have
   the same token, it opens for these.
2. An instance with a token of its own is guarded: whoever has neither that token nor the shared one posts nothing for
   it. For the others the door stays as it was, open or closed: a first token that is set while the daemon runs must
   not turn away all other tenants' webhooks, whose gateways would never send them again.
3. While it is not known which token is right (not read yet, or sealed with a key that is not there), nobody is told
   that his is wrong: `TokensUnknown`, and the gateway sends again.
4. What is asked with every request costs the same for one instance and for a thousand, and its time tells nothing
   about a token.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.paths import after_webhook
from daemon.web.http1 import Request

Allows = Callable[[str], bool]
"""Whether a sender may post for an instance."""
Authorize = Callable[[Request], Allows | None]
"""Reads the head of a webhook: for which instances its sender may post; None: for none at all."""


class TokensUnknown(Exception):
    """Whether the sender may post cannot be said now; it is to come again."""


class OwnTokens(NamedTuple):
    """The tokens that instances have for themselves, as they are in force now."""

    tokens: Mapping[str, Sequence[str]] = {}
    """By instance: one, or two while they are being changed."""
    shut: Collection[str] = ()
    """Instances whose tokens are stored and cannot be opened."""
    are_read: bool = True
    """False: there may be more, which were not read yet."""


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
        matches = [
            hmac.compare_digest(presented, token) for presented in _given(request) for token in self._tokens
        ]  # a list, not a generator: all comparisons are made, so that the time says nothing about the tokens
        return any_instance if any(matches) else None


def open_door(request: Request) -> Allows | None:
    """Access for everyone who can connect (`auth.mode: none`)."""
    address = request.peer.address
    return somebody_here if address == "::1" or address.startswith(_LOOPBACK) else anybody


_LOOPBACK = ("127.", "::ffff:127.")
"""Addresses of this machine begin so, besides `::1`."""


def closed_door(_request: Request) -> Allows | None:
    """Access for nobody (`auth.mode: token` without a token for all)."""
    return None


class _Unguarded:
    """What a sender may post for who shows no token: instances that have none."""

    def __init__(self, is_unguarded: Allows, by_stranger: bool) -> None:
        self._is_unguarded = is_unguarded
        self.by_stranger = by_stranger

    def __call__(self, instance: str) -> bool:
        return self._is_unguarded(instance)


def is_stranger(allows: Allows) -> bool:
    """Whether nothing is known of the sender: he showed no token, and is not at this machine."""
    return allows is anybody or (isinstance(allows, _Unguarded) and allows.by_stranger)


class DoorTokens:
    """Access by the tokens of instances, beside that for all.

    Args:
      to_all: who else may post: `SharedToken`, `open_door` or `closed_door`.
      own: the tokens in force; another object when they changed.
      known: what a name in a path means.
    """

    def __init__(self, to_all: Authorize, own: Callable[[], OwnTokens], known: KnownInstances) -> None:
        self._to_all = to_all
        self._own = own
        self._known = known
        self._secret = secrets.token_bytes(32)
        self._read: OwnTokens | None = None
        self._allows: dict[bytes, Allows] = {}
        self._guarded: Collection[str] = ()
        self._unguarded: dict[Allows, Allows] = {
            somebody_here: _Unguarded(self._is_unguarded, by_stranger=False),
            anybody: _Unguarded(self._is_unguarded, by_stranger=True),
        }

    def __call__(self, request: Request) -> Allows | None:
        """Raises: TokensUnknown."""
        allows = self._to_all(request)
        if allows is any_instance:
            return allows
        own = self._own()
        if own is not self._read:
            self._learn(own)
        if self._allows:
            for presented in _given(request):
                # By a digest that nobody can foresee: how long a search takes says nothing about what is searched for.
                if (allowed := self._allows.get(self._digest(presented))) is not None:
                    return allowed
        if not own.are_read or (own.shut and self._may_be_for(request, own.shut)):
            raise TokensUnknown
        if allows is not None and (self._guarded or own.shut):
            return self._unguarded.get(allows, allows)
        return allows

    def _learn(self, own: OwnTokens) -> None:
        names = defaultdict[bytes, set[str]](set)
        for instance, tokens in own.tokens.items():
            for token in tokens:
                names[self._digest(token.encode())].add(instance)
        self._allows = {digest: frozenset(found).__contains__ for digest, found in names.items()}
        self._guarded = frozenset(name for name, tokens in own.tokens.items() if tokens)
        self._read = own

    def _may_be_for(self, request: Request, instances: Collection[str]) -> bool:
        """Where the path names no instance, the body does, and it is not read yet."""
        names = after_webhook(request.segments)
        return not names or self._known.meant(names[0].strip()) in instances

    def _is_unguarded(self, instance: str) -> bool:
        """Raises: TokensUnknown."""
        if self._read is not None and instance in self._read.shut:
            raise TokensUnknown
        return instance not in self._guarded

    def _digest(self, token: bytes) -> bytes:
        return hashlib.blake2b(token, digest_size=16, key=self._secret).digest()


def _given(request: Request) -> list[bytes]:
    """What the sender shows, in both ways."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    shown = (request.headers.get("apikey", ""), bearer.strip() if scheme.lower() == "bearer" else "")
    return [token.encode("latin-1") for token in shown]
