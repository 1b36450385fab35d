"""Who may post webhooks: by what the head of a request says, and where the body is signed by that.

Laws of this file:
1. A credential of an instance opens the door for that instance alone; a shared one opens it for all. Where several have
   the same one, it opens for these. There are tokens, keys of JWTs (`jwt.py`) and secrets of signatures
   (`daemon/web/standard_webhooks.py`); any of them will do.
2. An instance with a credential of its own is guarded: whoever shows neither that nor a shared one posts nothing for
   it. For the others the door stays as it was, open or closed: a first token that is set while the daemon runs must
   not turn away all other tenants' webhooks, whose gateways would never send them again.
3. While it is not known which one is right (not read yet, or sealed with a key that is not there), nobody is told that
   his is wrong: `TokensUnknown`, and the gateway sends again.
4. What is asked with every request costs the same for one instance and for a thousand, and its time tells nothing
   about a token.
5. Whoever shows nothing by which he may post is refused by the head. A signature shows it only at the end of the body:
   of one that is in time and for which there is a secret, the body is read, within the bounds of strangers.
6. Nothing in a token or a signature says whose key it was made with: those of the instance in the path are tried, and
   those for all.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from daemon.ingress import jwt
from daemon.ingress.credentials import (
    NO_KEYS,
    AllowingKey,
    Allows,
    KeyIndex,
    OwnCredentials,
    SharedKeys,
    TokenIndex,
)
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.paths import after_webhook
from daemon.web.http1 import Request
from daemon.web.standard_webhooks import Signature, signature_in

BEARER = 1
"""Its place in `_given`."""


class SignedBody(NamedTuple):
    """What the head cannot show: the body is signed."""

    signature: Signature
    keys: Sequence[AllowingKey]
    otherwise: Callable[[], Allows | None]
    """What holds if none of the keys signed it. Raises: TokensUnknown."""

    def allows(self, body: bytes) -> Allows | None:
        """For which instances whoever signed this may post; None: for none at all. Raises: TokensUnknown."""
        for key, allows in self.keys:
            if self.signature.is_of(body, key):
                return allows
        return self.otherwise()


Authorize = Callable[[Request], Allows | SignedBody | None]
"""Reads the head of a webhook: for which instances its sender may post; None: for none at all."""


class TokensUnknown(Exception):
    """Whether the sender may post cannot be said now; it is to come again."""


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
    """Access by the credentials of instances, beside those for all.

    Args:
      to_all: who else may post: `SharedToken`, `open_door` or `closed_door`.
      own: the credentials in force; another object when they changed.
      known: what a name in a path means.
      shared: keys that open the door for all.
      now: Unix seconds.
    """

    def __init__(
        self,
        to_all: Callable[[Request], Allows | None],
        own: Callable[[], OwnCredentials],
        known: KnownInstances,
        shared: SharedKeys = NO_KEYS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._to_all = to_all
        self._own = own
        self._known = known
        self._shared = shared
        self._now = now
        self._unguarded: dict[Allows, Allows] = {
            somebody_here: _Unguarded(self._is_unguarded, by_stranger=False),
            anybody: _Unguarded(self._is_unguarded, by_stranger=True),
        }
        self._learn(own())

    def __call__(self, request: Request) -> Allows | SignedBody | None:
        """Raises: TokensUnknown."""
        allows = self._to_all(request)
        if allows is any_instance:
            return allows
        own = self._own()
        if own is not self._read:
            self._learn(own)
        given = _given(request)
        if self._tokens:
            for presented in given:
                if (allowed := self._tokens.find(presented)) is not None:
                    return allowed
        if self._jwt_keys and (allowed := self._by_jwt(request, given[BEARER])) is not None:
            return allowed
        if self._signing_keys and (signed := self._signed(request, allows)) is not None:
            return signed
        return self._otherwise(request, allows)

    def _learn(self, own: OwnCredentials) -> None:
        self._read = own
        self._tokens = TokenIndex(own)
        self._jwt_keys = KeyIndex(own.jwt_keys, self._shared.jwt, any_instance)
        self._signing_keys = KeyIndex(own.signing_keys, self._shared.signing, any_instance)
        self._guarded: Collection[str] = own.holders

    def _by_jwt(self, request: Request, shown: bytes) -> Allows | None:
        if not jwt.is_shaped(shown):
            return None
        for key, allows in self._jwt_keys.of(self._meant(request)):
            if jwt.is_signed(shown, key):
                return allows if jwt.is_in_force(shown, self._now()) else None
        return None

    def _signed(self, request: Request, allows: Allows | None) -> SignedBody | None:
        keys = self._signing_keys.of(self._meant(request))
        signature = signature_in(request.headers, self._now()) if keys else None
        if signature is None:
            return None
        return SignedBody(signature, keys, lambda: self._otherwise(request, allows))

    def _otherwise(self, request: Request, allows: Allows | None) -> Allows | None:
        """For which instances he may post who has shown nothing that is right. Raises: TokensUnknown."""
        own = self._read
        if not own.are_read or (own.shut and self._may_be_for(request, own.shut)):
            raise TokensUnknown
        if allows is not None and (self._guarded or own.shut):
            return self._unguarded.get(allows, allows)
        return allows

    def _may_be_for(self, request: Request, instances: Collection[str]) -> bool:
        """Where the path names no instance, the body does, and it is not read yet."""
        meant = self._meant(request)
        return meant is None or meant in instances

    def _meant(self, request: Request) -> str | None:
        """The instance that the path names."""
        names = after_webhook(request.segments)
        return self._known.meant(names[0].strip()) if names else None

    def _is_unguarded(self, instance: str) -> bool:
        """Raises: TokensUnknown."""
        if instance in self._read.shut:
            raise TokensUnknown
        return instance not in self._guarded


def _given(request: Request) -> list[bytes]:
    """What the sender shows, in both ways."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    shown = (request.headers.get("apikey", ""), bearer.strip() if scheme.lower() == "bearer" else "")
    return [token.encode("latin-1") for token in shown]
