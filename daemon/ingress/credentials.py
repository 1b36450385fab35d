"""What opens the webhook door: the credentials that are in force, and indexes of them. Pure.

What is asked with every request costs the same for one instance and for a thousand: a token is found by its digest, and
keys, which nothing in a request names, are those of the instance in its path and those for all, two of each at most.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

Allows = Callable[[str], bool]
"""Whether a sender may post for an instance."""
AllowingKey = tuple[bytes, Allows]
"""A key, and for whom it opens the door."""


class SharedKeys(NamedTuple):
    """Keys that open the door for all instances; tokens that do are `SharedToken`'s."""

    jwt: Sequence[bytes] = ()
    signing: Sequence[bytes] = ()


NO_KEYS = SharedKeys()


class OwnCredentials(NamedTuple):
    """What instances have for themselves: by instance one, or two while it is being changed."""

    tokens: Mapping[str, Sequence[str]] = {}
    token_hashes: Mapping[str, Sequence[str]] = {}
    """SHA-256 of a token that is known to the gateway alone, in hexadecimal."""
    jwt_keys: Mapping[str, Sequence[bytes]] = {}
    signing_keys: Mapping[str, Sequence[bytes]] = {}
    shut: Collection[str] = ()
    """Instances of whose credentials one is stored and cannot be opened, or does not fit."""
    are_read: bool = True
    """False: there may be more, which were not read yet."""

    @property
    def holders(self) -> frozenset[str]:
        """The instances that have any."""
        kinds = (self.tokens, self.token_hashes, self.jwt_keys, self.signing_keys)
        return frozenset(name for kind in kinds for name, has in kind.items() if has)


class TokenIndex:
    """Tokens by a digest that nobody can foresee: how long a search takes says nothing about what is searched for."""

    def __init__(self, own: OwnCredentials) -> None:
        self._key = secrets.token_bytes(32)
        names = defaultdict[bytes, set[str]](set)
        for instance, tokens in own.tokens.items():
            for token in tokens:
                names[self._digest(_hash(token.encode()))].add(instance)
        for instance, hashes in own.token_hashes.items():
            for one in hashes:
                names[self._digest(bytes.fromhex(one))].add(instance)
        self._allows = {digest: frozenset(found).__contains__ for digest, found in names.items()}

    def __len__(self) -> int:
        return len(self._allows)

    def find(self, token: bytes) -> Allows | None:
        """For whom a token opens the door; where several have the same, for these."""
        return self._allows.get(self._digest(_hash(token)))

    def _digest(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, digest_size=16, key=self._key).digest()


class KeyIndex:
    """Keys by instance, before those for all. `shared`: opens for `to_all`."""

    def __init__(self, own: Mapping[str, Sequence[bytes]], shared: Iterable[bytes], to_all: Allows) -> None:
        names = defaultdict[bytes, set[str]](set)
        for instance, keys in own.items():
            for key in keys:
                names[key].add(instance)
        allows = {key: frozenset(found).__contains__ for key, found in names.items()}
        self._shared: tuple[AllowingKey, ...] = tuple((key, to_all) for key in shared)
        self._own = {
            instance: (*((key, allows[key]) for key in keys), *self._shared) for instance, keys in own.items()
        }

    def __bool__(self) -> bool:
        return bool(self._shared or self._own)

    def of(self, instance: str | None) -> tuple[AllowingKey, ...]:
        """Those that may have been used for an instance; None: it is not known yet which one is meant."""
        return self._shared if instance is None else self._own.get(instance, self._shared)


def _hash(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
