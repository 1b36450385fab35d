"""The secrets of instances, as they were opened: values of settings like all others, from a place of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from daemon.config.run_time import RunTimeValue


class Opened(NamedTuple):
    """What is known of the stored secrets."""

    values: Mapping[str, tuple[RunTimeValue, ...]] = {}
    """By instance."""
    shut: Mapping[str, Mapping[str, str]] = {}
    """Those that cannot be opened: by instance and key, why not."""
    are_read: bool = False
    """False: what is stored is not known yet."""
