"""What stood at the gateways before `majlis instance connect`: sealed as secrets are, and with the same keys.

Whoever changes those keys seals this anew as well: a key that is taken away while it seals something leaves an instance
whose webhook cannot be given back any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import trio

from daemon.gateways.webhook_setup import Webhook
from daemon.ledger.connections import ConnectedInstance, Connections
from daemon.tenants.key_file import KeyFileUnfit
from daemon.tenants.sealing import CannotOpen, Sealed, Sealer
from daemon.tenants.secret_keys import SecretKeys

SETTING = "webhook before"
"""Part of the place that a former webhook is sealed for."""
AT_A_TIME = 200


class WebhooksResealed(NamedTuple):
    """What one step of sealing them anew has done; another one is needed until nothing is `resealed`."""

    resealed: int
    shut: Mapping[str, str]
    """Those that cannot be opened and stay as they are: by instance, why not."""


class FormerWebhooks:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, stored: Connections, keys: SecretKeys) -> None:
        self._stored = stored
        self._keys = keys

    async def remember(self, instance: str, former: Webhook | None, url: str, by: str) -> None:
        """`url` is what is set next. Raises: NoSealingKey, KeyFileUnfit."""
        sealer = await trio.to_thread.run_sync(self._keys.to_seal)
        sealed = sealer.seal(instance, SETTING, msgspec.to_builtins(former))
        await self._stored.remember(instance, sealed.key_id, sealed.box, url, by)

    async def opened(self, connection: ConnectedInstance) -> Webhook | None:
        """None: there was none. Raises: CannotOpen, KeyFileUnfit."""
        return _opened(await trio.to_thread.run_sync(self._keys.to_open), connection)

    async def shut(self) -> dict[str, str]:
        """Those that cannot be opened: by instance, why not."""
        try:
            sealer = await trio.to_thread.run_sync(self._keys.to_open)
        except KeyFileUnfit as error:
            return {one.instance: str(error) for one in await self._stored.every()}
        return {
            one.instance: why
            for one in await self._stored.every()
            if (why := _why_shut(sealer, one)) is not None
        }

    async def by_key(self) -> dict[str, int]:
        """How many each key seals, by its id."""
        return await self._stored.count()

    async def reseal(self) -> WebhooksResealed:
        """Seal some of them with the first key. Raises: NoSealingKey, KeyFileUnfit."""
        sealer = await trio.to_thread.run_sync(self._keys.to_seal)
        resealed, shut = 0, dict[str, str]()
        for one in await self._stored.every():
            if one.key_id == sealer.first or resealed == AT_A_TIME:
                continue
            try:
                again = sealer.seal(one.instance, SETTING, msgspec.to_builtins(_opened(sealer, one)))
            except CannotOpen as error:
                shut[one.instance] = str(error)
                continue
            # One that was remembered anew in between is sealed with the key of whoever did it, and comes again.
            resealed += await self._stored.reseal(one, again.key_id, again.box)
        return WebhooksResealed(resealed, shut)


def _opened(sealer: Sealer, connection: ConnectedInstance) -> Webhook | None:
    opened = sealer.open(connection.instance, SETTING, Sealed(connection.key_id, connection.former))
    return msgspec.convert(opened, Webhook | None)


def _why_shut(sealer: Sealer, connection: ConnectedInstance) -> str | None:
    try:
        _opened(sealer, connection)
    except CannotOpen as error:
        return str(error)
    return None
