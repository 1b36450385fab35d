"""Credentials in the settings: one or two of each kind; and what opens the webhook door for all instances."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from daemon.schema.fields import DoorToken, Secret, Section
from daemon.web.standard_webhooks import read_secret


def one_or_two(value: object) -> object:
    """Two are accepted while the one is changed for the other."""
    return [value] if isinstance(value, str) else value


Tokens = Annotated[tuple[DoorToken, ...], Field(min_length=1, max_length=2)]
Keys = Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]


def _signing(value: SecretStr) -> SecretStr:
    try:
        read_secret(value.get_secret_value())
    except ValueError as error:
        raise PydanticCustomError("signing_secret", "{allowed}", {"allowed": str(error)}) from None
    return value


def _sha256(value: str) -> str:
    if _SHA256.fullmatch(value) is None:
        raise PydanticCustomError("sha256", "must be the SHA-256 of a token: 64 digits, 0 to 9 and a to f")
    return value


_SHA256 = re.compile(r"[0-9a-f]{64}")
SigningSecrets = Annotated[
    tuple[Annotated[Secret, AfterValidator(_signing)], ...], Field(min_length=1, max_length=2)
]
"""Of webhooks that are signed as Standard Webhooks are."""
TokenHashes = Annotated[
    tuple[Annotated[str, AfterValidator(_sha256)], ...], Field(min_length=1, max_length=2)
]


def plain(secrets: tuple[SecretStr, ...] | None) -> tuple[str, ...]:
    """One, or two while they are being changed."""
    return tuple(secret.get_secret_value() for secret in secrets or ())


def signing_keys(secrets: tuple[SecretStr, ...] | None) -> tuple[bytes, ...]:
    """What `SigningSecrets` sign with."""
    return tuple(map(read_secret, plain(secrets)))


class AuthSettings(Section):
    mode: Literal["auto", "token", "none"] = "auto"
    token: Annotated[Tokens | None, BeforeValidator(one_or_two)] = None
    jwt_key: Annotated[Tokens | None, BeforeValidator(one_or_two)] = None
    signing_secret: Annotated[SigningSecrets | None, BeforeValidator(one_or_two)] = None

    @property
    def is_set(self) -> bool:
        """Whether there is anything by which a sender may show who he is."""
        return bool(self.token or self.jwt_key or self.signing_secret)

    @property
    def mode_in_force(self) -> Literal["token", "none"]:
        """What is set is asked for, whatever `mode` says: a forgotten word must not open a door."""
        return "token" if self.is_set or self.mode == "token" else "none"

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token that opens the door now: one, or two while they are being rotated."""
        return plain(self.token)

    @property
    def jwt_keys(self) -> tuple[bytes, ...]:
        return tuple(key.encode() for key in plain(self.jwt_key))

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        return signing_keys(self.signing_secret)
