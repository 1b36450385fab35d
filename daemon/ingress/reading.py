"""Whose webhook it is, and which gateway's parser reads it. Pure.

The laws of this file:
1. The path and the payload may name two instances. Where both are known, the payload's wins: the gateway wrote it, and
   the address may have been copied from another instance. Where one of them is known, that one wins; where none is, the
   path's, because the operator wrote it. Only paths are forgiven their case: where the payload's name is the path's in
   another case, it wins, known or not, or a new tenant's messages would reach the one whose name is alike.
2. A payload is read by the parser of the gateway of the instance that wins, whatever the path says. Everything in it
   carries that instance.
3. The payload's name is known only once it is read: by the parser of the path's instance, and where that cannot read
   it, as the default gateway writes. So a payload is parsed at most three times, and once where the names agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from daemon.ingress.inbound import Inbound, Parse, UnreadablePayload
from daemon.ingress.known_instances import KnownInstances


class WebhookReading(NamedTuple):
    inbound: Inbound
    overruled: str = ""
    """A known instance that the path names, and that lost to the payload's; empty: none."""


class Reader:
    """Reads each payload as the gateway of its instance writes it.

    Args:
      default: for instances that have no gateway of their own, and for what only the payload can tell.
      by_instance: the parsers of those that have.
    """

    def __init__(
        self,
        default: Parse,
        by_instance: Mapping[str, Parse] | None = None,
        known: KnownInstances | None = None,
    ) -> None:
        self.known = known or KnownInstances()
        self.read_by(default, by_instance or {})

    def read_by(self, default: Parse, by_instance: Mapping[str, Parse]) -> None:
        """The settings changed: these are the parsers from now on."""
        self._default = default
        self._by_instance = dict(by_instance)

    def read(self, body: bytes, instance: str | None, event: str | None) -> WebhookReading:
        """`instance` and `event` come from the path, if it has them. Raises `UnreadablePayload`."""
        if instance is None:
            return WebhookReading(self._default(body, None, event))
        try:
            inbound = self._parse_of(instance)(body, instance, event)
        except UnreadablePayload:
            of_another = self._of_another(body, instance, event)
            if of_another is None:
                raise
            inbound = of_another
        if inbound.named in (inbound.instance, ""):
            return WebhookReading(inbound)  # nearly always
        winner = self._winner(inbound.instance, inbound.named)
        if winner == inbound.instance:
            return WebhookReading(inbound)
        overruled = inbound.instance if inbound.instance in self.known else ""
        return WebhookReading(self._parse_of(winner)(body, winner, event), overruled)

    def _of_another(self, body: bytes, instance: str, event: str | None) -> Inbound | None:
        """What the path's gateway cannot read may be of another instance; None: it is not."""
        if self._parse_of(instance) is self._default:
            return None
        try:
            inbound = self._default(body, instance, event)
        except UnreadablePayload:
            return None
        return None if self._winner(instance, inbound.named) == instance else inbound

    def _winner(self, path: str, named: str) -> str:
        # A gateway writes exact names: the same in another case is another instance, which is not known yet.
        return named if named in self.known or self.known.alike(named, path) else path

    def _parse_of(self, instance: str) -> Parse:
        return self._by_instance.get(instance, self._default)
