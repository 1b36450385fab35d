"""The seam to what keeps secrets of instances. Without it, none can be set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from daemon.config.run_time import RunTimeValue


class SecretStore(Protocol):
    """Seals secrets. They are stored by `majlis_keep_secrets`, in the transaction of the change that they belong to.

    Which there are is in the state of a version: `State.secrets`, by key.
    """

    def put(self, instance: str, key: str, value: object) -> Mapping[str, str]:
        """What is stored of it, as `majlis_keep_secrets` expects it, for JSON. Raises `Conflict` with what to do."""

    def values(self, instance: str) -> Sequence[RunTimeValue]:
        """Those that are stored and were opened here, as settings."""
