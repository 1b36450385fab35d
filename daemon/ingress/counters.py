"""What the webhook door counts, and its observers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from daemon.ingress.refusals import Refusals
from daemon.ingress.unknown import UnknownInstances


class IngressCounters:
    """Counts of webhooks by outcome, since the start."""

    def __init__(self) -> None:
        self.acked = 0
        """New messages that were answered 200."""
        self.duplicates = 0
        self.amended = 0
        """Edits and deletions that were taken in, repeats included."""
        self.take_overs = 0
        """Messages of people of the business that silenced Majlis in a chat, or keep it silent."""
        self.forwarded = 0
        """Webhooks of instances in mode `passthrough`, taken in to be forwarded."""
        self.unreadable = 0
        self.unauthorized = 0
        self.ignored: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """Webhooks answered 503, by reason."""
        self.lost = Refusals()
        """Webhooks refused for good, those that the HTTP server refused among them."""
        self.unknown = UnknownInstances()
        self.overruled: Counter[str] = Counter()
        """Webhooks whose path names another known instance than the payload: `path → payload`."""


def _ignore_event(_event: str, **_fields: object) -> None:
    pass


def _ignore_time(_status: int, _seconds: float) -> None:
    pass


def _ignore_instance(_instance: str, _event: str) -> None:
    pass


def _no_proof(_instance: str, _nonce: str) -> str:
    return ""


class IngressObservers(NamedTuple):
    """Called for each webhook, which nothing may delay: they must neither wait nor raise."""

    emit: Callable[..., None] = _ignore_event
    measure: Callable[[int, float], None] = _ignore_time
    """Called with the status of every webhook, and how long its answer took."""
    saw: Callable[[str, str], None] = _ignore_instance
    """Called with instance and event of each that could be read, whatever becomes of it. See `Witness`."""
    asked: Callable[[str, str], str] = _no_proof
    """Called with instance and number of a question of Majlis itself; gives the proof that answers it."""
    counters: IngressCounters | None = None
    """Counts as well; None: the door makes its own."""


NO_OBSERVERS = IngressObservers()
