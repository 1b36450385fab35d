"""Gives an instance's webhook back to where it was. The laws stand in `connecting.py`."""

from __future__ import annotations

from actors.crash_points import reach
from daemon.gateways.webhook_setup import SetupFailed, Webhook, WebhookSetup
from daemon.ledger.connections import ConnectedInstance, Connections
from daemon.operate.connect_checks import shown_address
from daemon.operate.connect_wish import GivenBack

NOTHING_TO_GIVE_BACK = "Majlis has not set its webhook: nothing to give back. For its settings: --to VERSION."


async def give_back(
    setup: WebhookSetup,
    stored: Connections,
    connection: ConnectedInstance,
    now: Webhook | None,
    former: Webhook | None,
    force: bool,
    confirm: bool,
) -> GivenBack:
    """Have the gateway post where it posted before. Args: now: what stands there; former: what stood there."""
    instance = connection.instance
    stands = _same(now, former)
    is_ours = now is not None and now.url in connection.ours
    if not (stands or is_ours or force):
        words = "The webhook is no longer the one that Majlis set: somebody has changed it. Nothing was done."
        return GivenBack("changed", words, now, former)
    if not confirm:
        return GivenBack("would_be", f"Its messages would go {_whither(former)}.", now, former)
    if not stands:
        await setup.write(instance, former)
        reach("webhook_restored")
        now = await setup.read(instance)
        if not _same(now, former):
            raise SetupFailed("The gateway did not take all of the former webhook: compare both.")
    await stored.forget(instance)
    return GivenBack("given_back", f"Its messages go {_whither(former)} again.", now, former)


def _same(now: Webhook | None, former: Webhook | None) -> bool:
    return former is None if now is None else now.is_as(former)


def _whither(former: Webhook | None) -> str:
    if former is None:
        return "nowhere: no webhook was set"
    return f"to {shown_address(former.url)}" if former.enabled else "nowhere: the webhook was switched off"
