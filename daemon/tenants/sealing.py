"""Sealing what only a daemon may read: AES-256 in Galois/Counter mode. Pure, but for random numbers.

Laws of this file:
1. A sealed value opens with its key, for its instance and its setting, and for no other: a row that was moved to
   another place, or changed in one bit, stays shut.
2. The first key seals, and every key opens: so a key is changed without a moment in which something does not open.
3. Neither a key nor a value is in any error, nor in what `repr` shows.
4. The cipher is loaded with the first key: it takes megabytes, and commands and most daemons keep no secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from actors.errors import Conflict, MajlisError
from daemon.config.secret_keys import key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + _NONCE_BYTES


class NoSealingKey(Conflict):
    """Nothing can be sealed: there is no key; the text says what to do."""


class CannotOpen(MajlisError):
    """The value stays shut; the text says why."""


class Sealed(NamedTuple):
    """A value as it is stored."""

    key_id: str
    """Which key opens it."""
    box: bytes


class Sealer:
    """Args: keys: the first one seals; without any, nothing can be sealed or opened."""

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._ciphers = {key_id(key): _cipher(key) for key in keys}

    def __repr__(self) -> str:
        return f"<Sealer {' '.join(self._ciphers)}>"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The first one seals."""
        return tuple(self._ciphers)

    @property
    def first(self) -> str:
        """The key that seals, by its id. Raises: NoSealingKey."""
        for name in self._ciphers:
            return name
        raise NoSealingKey("there is no key to seal it with")

    def seal(self, instance: str, setting: str, value: object) -> Sealed:
        """`value` is what JSON has, or JSON itself (`Raw`). Raises: NoSealingKey."""
        first, nonce = self.first, os.urandom(_NONCE_BYTES)
        shut = self._ciphers[first].encrypt(nonce, msgspec.json.encode(value), _place(instance, setting))
        return Sealed(first, _VERSION + nonce + shut)

    def open(self, instance: str, setting: str, sealed: Sealed) -> object:
        """What was sealed. Raises: CannotOpen."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise CannotOpen(f"it was sealed with the key {sealed.key_id[:12]}, which is not there")
        from cryptography.exceptions import InvalidTag

        box = sealed.box
        if not box.startswith(_VERSION):
            raise CannotOpen("another version of Majlis sealed it")
        try:
            opened = cipher.decrypt(
                box[len(_VERSION) : _HEAD_BYTES], box[_HEAD_BYTES:], _place(instance, setting)
            )
            return msgspec.json.decode(opened)
        except (InvalidTag, ValueError, RecursionError):  # a nonce or tag cut short is a ValueError
            raise CannotOpen("it was changed, or brought here from another place") from None


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _place(instance: str, setting: str) -> bytes:
    """Different for different places, whatever the names are made of."""
    name = instance.encode("utf-8", "surrogatepass")
    return _VERSION + len(name).to_bytes(4, "big") + name + setting.encode("utf-8", "surrogatepass")
