"""The lookups of a turn: what it reads from the ledger before the responder is called. One file each, with its SQL.

`spec.py` defines a lookup. To add one, write its file and add its name below.

May import the ledger's spelling of texts, the knowledge's vectors and search words, and the stores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from importlib import import_module

from actors.instance import InstanceRecord
from actors.lookups import Facts, Lookup
from actors.ports import Question
from daemon.lookups.instance import instance_record
from daemon.lookups.remembered import Remembered
from daemon.lookups.spec import LookupSpec, Means
from daemon.stores.postgres import Postgres

_FILES = (
    "duplicate",
    "history",
    "webhook",
    "takeover",
    "pace",
    "escalated_reply",
    "interactions",
    "usage",
    "quoted",
)

LOOKUPS: tuple[LookupSpec, ...] = tuple(import_module(f"{__name__}.{file}").LOOKUP for file in _FILES)
"""The lookups that need only `Means`; others are passed to `PostgresLookups` as `sources`."""


class PostgresLookups:
    """Implements `actors.ports.Lookups`."""

    def __init__(
        self,
        db: Postgres,
        *,
        history_tokens: int = 800,
        settings_cache_seconds: float = 30.0,
        sources: Sequence[LookupSpec] = (),
    ) -> None:
        self._means = Means(db, history_tokens)
        self._specs = (*LOOKUPS, *sources)
        self._instances = Remembered(partial(instance_record, db), settings_cache_seconds)

    async def instance(self, name: str) -> InstanceRecord:
        record = await self._instances.get(name)
        if record.rule:  # not answered, so it may be being set up right now: the next turn reads it again
            self._instances.drop(name)
        return record

    def known_instance(self, name: str) -> InstanceRecord | None:
        return self._instances.known(name)  # never one that is not answered: see `instance`

    def about(self, question: Question) -> Mapping[str, Lookup]:
        return {
            spec.name: Lookup(
                partial(spec.run, self._means, question),
                default=getattr(_DEFAULTS, spec.name, None),
                deadline_seconds=spec.deadline_seconds,
                skip=spec.skip(question),
            )
            for spec in self._specs
        }

    def drop(self, names: Collection[str]) -> None:
        """Read the settings of these instances again at their next turn."""
        for name in names:
            self._instances.drop(name)

    def forget(self) -> None:
        """Read the settings of every instance again at its next turn."""
        self._instances.forget()


_DEFAULTS = Facts()
