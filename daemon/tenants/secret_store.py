"""The seam to what keeps secrets of instances. Without it, none can be set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class SecretStore(Protocol):
    """Seals secrets. They are stored by `majlis_keep_secrets`, in the transaction of the change that they belong to.

    Which there are is in the state of a version: `State.secrets`, by key.
    """

    def put(self, instance: str, key: str, value: str) -> Mapping[str, str]:
        """What is stored of it, as `majlis_keep_secrets` expects it, for JSON. Raises `Conflict` with what to do."""

    def remove(self, instance: str, key: str) -> None:
        """It is deleted, or about to be: forget what is remembered of it."""

    def names(self, instance: str) -> frozenset[str]:
        """The keys whose secrets are stored and can be opened here."""
