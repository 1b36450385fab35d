"""Whether the daemon may acknowledge messages, and if not, why. The one place that knows.

Law 9: a store that is away or weaker than configured means not ready, no acknowledgement, and a sentence that
says what to change. Only Redis and the first start count against readiness: while Postgres is away, messages are
still acknowledged and replies are held.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.errors import MajlisError, Unavailable
from actors.ports import Feed
from daemon.ingress.answers import Readiness


class Health:
    """Collects the problems of the stores and derives readiness from them."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._problems: dict[str, tuple[str, ...]] = {}
        self._starting: tuple[str, ...] = ("Majlis is starting.",)
        self._was_ready = False
        self._draining = False
        self._readiness = self._derived()

    def readiness(self) -> Readiness:
        """Asked with every webhook, so it is derived when something changes."""
        return self._readiness

    def _derived(self) -> Readiness:
        needed = ("redis", "postgres", "leases") if self._starting else ("redis", "leases")
        reasons = self._starting + tuple(text for store in needed for text in self._problems.get(store, ()))
        return Readiness(ready=not reasons, reasons=reasons, draining=self._draining)

    def stores(self) -> Mapping[str, str]:
        """`ok` or a sentence, for each store."""
        return {store: " ".join(self._problems.get(store, ())) or "ok" for store in ("redis", "postgres")}

    def unless_starting(self, error: MajlisError) -> MajlisError:
        """`error`, that something does not exist; until the start is over that cannot be known, and this says so."""
        return Unavailable("majlis is not ready yet, see `majlis status`") if self._starting else error

    def started(self) -> None:
        """Stores, leases and recovery are done."""
        self._starting = ()
        self._readiness = self._derived()
        self._announce()

    def drain(self) -> None:
        """The daemon is stopping: nothing new is taken."""
        self._draining = True
        self._readiness = self._derived()

    def report(self, store: str, problems: tuple[str, ...]) -> bool:
        """Take note of how a store is; True when it is well again after a problem."""
        before = self._problems.get(store, ())
        self._problems[store] = problems
        self._readiness = self._derived()
        if problems and problems != before:
            self._feed.emit("store.problem", store=store, problem=" ".join(problems))
        if before and not problems:
            self._feed.emit("store.recovered", store=store)
        self._announce()
        return bool(before) and not problems

    def _announce(self) -> None:
        ready = self._readiness.ready
        if ready != self._was_ready and not self._starting:
            self._was_ready = ready
            if ready:
                self._feed.emit("daemon.ready")
            else:
                self._feed.emit("daemon.not_ready", reasons=list(self._readiness.reasons))
